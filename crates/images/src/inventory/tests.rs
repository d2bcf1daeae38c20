//! The inventory of objects as genuine servers serve them.

use openshifter_objects::Object;
use serde_json::{Value, json};

use crate::{Choices, Digest, ImagePlan, Inventory};

fn object(value: Value) -> Object {
    let mut value = value;
    if value["metadata"].get("namespace").is_none() {
        value["metadata"]["namespace"] = "shop".into();
    }
    Object::from_value(value).unwrap()
}

fn digest(text: &str) -> String {
    Digest::of(text.as_bytes()).to_string()
}

fn internal(stream: &str, of: &str) -> String {
    format!(
        "image-registry.openshift-image-registry.svc:5000/shop/{stream}@{}",
        digest(of)
    )
}

fn stream(name: &str, tags: &[(&str, &str)]) -> Object {
    let tags: Vec<Value> = tags
        .iter()
        .map(|(tag, of)| {
            json!({"tag": tag, "items": [{"image": digest(of), "dockerImageReference": internal(name, of), "generation": 1}]})
        })
        .collect();
    object(
        json!({"apiVersion": "image.openshift.io/v1", "kind": "ImageStream", "metadata": {"name": name},
        "status": {"dockerImageRepository": format!("image-registry.openshift-image-registry.svc:5000/shop/{name}"), "tags": tags}}),
    )
}

fn build_config(name: &str, source: &Value, to: &str) -> Object {
    object(
        json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "metadata": {"name": name},
        "spec": {"source": source, "output": {"to": {"kind": "ImageStreamTag", "name": to}},
            "strategy": {"type": "Source", "sourceStrategy": {"from": {"kind": "ImageStreamTag", "namespace": "openshift", "name": "python:3.9"}}}}}),
    )
}

fn deployment(name: &str, spec: &Value) -> Object {
    object(
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"template": {"spec": spec}}}),
    )
}

/// Name, digest, decision, origin, uses; digests as the text that they are of.
fn shown(objects: &[Object], choices: &[&str]) -> String {
    let inventory = Inventory::of(objects);
    let unreadable = inventory.unreadable.clone();
    let plan = ImagePlan::of(inventory, &Choices::parse(choices).unwrap()).unwrap();
    let mut text = String::new();
    for one in &plan.images {
        text.push_str(&format!(
            "{}: {} ({})\n",
            one.image.name,
            serde_json::to_value(&one.decision).unwrap()["decision"]
                .as_str()
                .unwrap(),
            one.image.origin
        ));
        if let Some(problem) = &one.problem {
            text.push_str(&format!("  problem: {problem}\n"));
        }
        if let Some(note) = &one.note {
            text.push_str(&format!("  note: {note}\n"));
        }
        text.push_str(&format!(
            "  digest: {}\n",
            one.image.digest.map(|d| d.to_string()).unwrap_or_default()
        ));
        for used in &one.image.uses {
            text.push_str(&format!(
                "  {:?} {} {}\n",
                used.kind, used.object, used.place
            ));
        }
    }
    for (used, why) in unreadable {
        text.push_str(&format!(
            "unreadable: {} {}: {why}\n",
            used.object, used.place
        ));
    }
    for unused in plan.unused {
        text.push_str(&format!("unused: {unused}\n"));
    }
    for of in ["old", "git", "binary", "tools", "running"] {
        text = text.replace(&digest(of), of);
    }
    text
}

#[test]
fn what_was_built_is_told_from_what_was_given() {
    let objects = [
        stream("web", &[("latest", "git")]),
        stream("api", &[("latest", "binary"), ("stable", "binary")]),
        stream("pushed", &[("1", "tools")]),
        build_config(
            "web",
            &json!({"type": "Git", "git": {"uri": "https://git.example/web"}}),
            "web:latest",
        ),
        build_config(
            "api",
            &json!({"type": "Binary", "binary": {}}),
            "api:latest",
        ),
        object(
            json!({"apiVersion": "apps.openshift.io/v1", "kind": "DeploymentConfig", "metadata": {"name": "web"},
            "spec": {"triggers": [{"type": "ImageChange", "imageChangeParams": {"from": {"kind": "ImageStreamTag", "name": "web:latest"}}}],
                "template": {"spec": {"containers": [{"name": "web", "image": internal("web", "old")}, {"name": "blank", "image": " "}]}}}}),
        ),
        object(
            json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly", "annotations": {
                "image.openshift.io/triggers": "[{\"from\":{\"kind\":\"ImageStreamTag\",\"name\":\"api:stable\"},\"fieldPath\":\"x\"}]"}},
            "spec": {"jobTemplate": {"spec": {"template": {"spec": {
                "initContainers": [{"name": "i", "image": "172.30.1.1:5000/shop/pushed:1"}],
                "containers": [{"name": "a", "image": internal("api", "binary")}]}}}}}}),
        ),
    ];
    insta::assert_snapshot!(shown(&objects, &[]));
}

#[test]
fn a_binary_build_of_a_git_config_is_no_git_build() {
    let build = |name: &str, source: Value, of: &str| {
        object(
            json!({"apiVersion": "build.openshift.io/v1", "kind": "Build", "metadata": {"name": name},
            "spec": {"source": source}, "status": {"config": {"name": "web"}, "output": {"to": {"imageDigest": digest(of)}}}}),
        )
    };
    let git = json!({"type": "Git", "git": {"uri": "https://git.example/web"}});
    let objects = [
        stream("web", &[("latest", "binary"), ("1", "git")]),
        build_config("web", &git, "web:latest"),
        build("web-1", git.clone(), "git"),
        build("web-2", json!({"type": "Binary", "binary": {}}), "binary"),
    ];
    insta::assert_snapshot!(shown(&objects, &["rebuild"]));
}

#[test]
fn the_commit_of_an_image_is_that_of_the_build_that_made_it() {
    let git = |uri: &str| json!({"type": "Git", "git": {"uri": uri}});
    let uri = "https://git.example/web";
    let build = |number: u64, uri: &str, of: Option<&str>, phase: &str| {
        object(
            json!({"apiVersion": "build.openshift.io/v1", "kind": "Build",
            "metadata": {"name": format!("web-{number}"), "annotations": {"openshift.io/build.number": number.to_string()}},
            "spec": {"source": git(uri), "revision": {"git": {"commit": format!("c{number}")}}},
            "status": {"phase": phase, "config": {"name": "web"},
                "output": of.map_or(json!({}), |of| json!({"to": {"imageDigest": digest(of)}}))}}),
        )
    };
    let commit = |builds: &[Object]| {
        let mut objects = vec![
            stream("web", &[("latest", "now")]),
            build_config("web", &git(uri), "web:latest"),
        ];
        objects.extend_from_slice(builds);
        let inventory = Inventory::of(&objects);
        let web = inventory
            .images
            .iter()
            .find(|one| one.name == "shop/web:latest");
        let origin = web.map(|web| &web.origin);
        let Some(crate::Origin::BuiltFromSource { commit, .. }) = origin else {
            panic!("{origin:?}");
        };
        commit.clone()
    };
    let made = build(2, uri, Some("now"), "Complete");
    let other = build(3, uri, Some("pushed-over"), "Complete");
    assert_eq!(commit(&[made, other.clone()]).as_deref(), Some("c2"));
    // The tag does not lead to what the last build made.
    assert_eq!(commit(&[other]), None);
    // Builds that do not tell what they made: the last that came through did.
    let silent = |number: u64, phase: &str| build(number, uri, None, phase);
    assert_eq!(
        commit(&[
            silent(9, "Complete"),
            silent(10, "Complete"),
            silent(11, "Failed")
        ])
        .as_deref(),
        Some("c10")
    );
    // A commit of another repository is none of this one.
    let before = build(4, "https://git.example/before", Some("now"), "Complete");
    assert_eq!(commit(&[before]), None);
}

#[test]
fn external_images_get_their_digest_from_pods() {
    let pod = |name: &str, image: &str, of: &str| {
        object(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name,
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "1", "controller": true}]},
            "spec": {"containers": [{"name": "c", "image": image}]},
            "status": {"phase": "Running", "containerStatuses": [{"name": "c", "image": "sha256:00", "imageID": format!("docker-pullable://quay.io/a/b@{}", digest(of))}]}}),
        )
    };
    let objects = [
        deployment(
            "one",
            &json!({"containers": [{"name": "c", "image": "quay.io/a/b:1"}, {"name": "d", "image": "Not An Image"}],
            "volumes": [{"name": "v", "image": {"reference": "quay.io/a/files:2"}}]}),
        ),
        deployment(
            "two",
            &json!({"containers": [{"name": "c", "image": "redis"}]}),
        ),
        pod("one-1", "quay.io/a/b:1", "running"),
        pod("two-1", "redis", "running"),
        pod("two-2", "redis", "old"),
    ];
    insta::assert_snapshot!(shown(
        &objects,
        &[
            "map docker.io/library/*=mirror.example/hub/*",
            "copy quay.io/zzz"
        ]
    ));
}

#[test]
fn a_pod_has_the_images_of_its_init_containers_too() {
    let status = |name: &str, of: &str| json!({"name": name, "imageID": format!("quay.io/a/b@{}", digest(of))});
    let pod = object(
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {
            "initContainers": [{"name": "prepare", "image": "quay.io/a/tools:1"}],
            "containers": [{"name": "web", "image": "quay.io/a/b:1"}, {"name": "waits", "image": "quay.io/a/c:1"}],
        },
        "status": {
            "initContainerStatuses": [status("prepare", "tools")],
            "containerStatuses": [{"name": "waits", "imageID": ""}, status("web", "b")],
        }}),
    );
    let images: Vec<(String, Digest)> = super::images_of_pod(&pod)
        .into_iter()
        .map(|(image, digest)| (image.to_string(), digest))
        .collect();
    let of = |text: &str| Digest::of(text.as_bytes());
    let expected = [
        ("quay.io/a/b:1", of("b")),
        ("quay.io/a/tools:1", of("tools")),
    ];
    assert_eq!(
        images,
        expected.map(|(image, digest)| (image.to_owned(), digest))
    );
}

#[test]
fn imported_tags_lead_outside_and_missing_ones_are_named() {
    let imported = object(
        json!({"apiVersion": "image.openshift.io/v1", "kind": "ImageStream", "metadata": {"name": "tools"},
        "spec": {"lookupPolicy": {"local": true}, "tags": [
            {"name": "1", "from": {"kind": "DockerImage", "name": "lab.local/tools:1"}},
            {"name": "alias", "from": {"kind": "ImageStreamTag", "name": "1"}},
            {"name": "round", "from": {"kind": "ImageStreamTag", "name": "tools:round"}},
            {"name": "later", "from": {"kind": "DockerImage", "name": "lab.local/tools:2"}}]},
        "status": {"publicDockerImageRepository": "images.apps.example.com/shop/tools",
            "dockerImageRepository": "image-registry.openshift-image-registry.svc:5000/shop/tools", "tags": [{"tag": "1", "items": [
            {"image": digest("tools"), "dockerImageReference": format!("lab.local/tools@{}", digest("tools"))}]}]}}),
    );
    let objects = [
        imported,
        deployment(
            "a",
            &json!({"containers": [{"name": "c", "image": "tools:1"}]}),
        ),
        deployment(
            "b",
            &json!({"containers": [{"name": "c", "image": format!("images.apps.example.com/shop/tools@{}", digest("tools"))}]}),
        ),
        deployment(
            "c",
            &json!({"containers": [{"name": "c", "image": "image-registry.openshift-image-registry.svc:5000/other/x:1"}]}),
        ),
        object(
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "d", "annotations": {
            "image.openshift.io/triggers": "[{\"from\":{\"kind\":\"ImageStreamTag\",\"name\":\"gone:1\"}},{\"from\":{\"kind\":\"ImageStreamTag\",\"name\":\"postgresql:13\",\"namespace\":\"openshift\"}}]"}},
            "spec": {}}),
        ),
    ];
    insta::assert_snapshot!(shown(&objects, &["copy"]));
    assert_eq!(
        Inventory::of(&objects)
            .exposed
            .into_iter()
            .collect::<Vec<_>>(),
        ["images.apps.example.com"]
    );
}

#[test]
fn choices_hold_in_their_order() {
    let objects = [
        stream("web", &[("latest", "git")]),
        stream("api", &[("latest", "binary")]),
        build_config("web", &json!({"dockerfile": "FROM scratch"}), "web:latest"),
        build_config("api", &json!({"type": "Binary"}), "api:latest"),
    ];
    insta::assert_snapshot!(shown(
        &objects,
        &[
            "copy",
            "external shop/api:*",
            "rebuild api:latest",
            "map web:latest=quay.io/shop/web:7"
        ]
    ));
}

#[test]
fn a_tag_beside_a_written_digest_may_lead_anywhere() {
    let pinned = format!("quay.io/acme/tool:1@{}", digest("tool"));
    let spec = json!({"containers": [{"name": "tool", "image": pinned}]});
    let inventory = Inventory::of(&[deployment("tool", &spec)]);
    let wanted = inventory.images[0].wanted();
    assert_eq!(
        (wanted.tag, wanted.digest),
        (None, Some(Digest::of(b"tool")))
    );
}

#[test]
fn what_is_wanted_names_tag_and_digest() {
    let objects = [
        stream("web", &[("latest", "git")]),
        deployment(
            "one",
            &json!({"containers": [{"name": "c", "image": "quay.io/a/b:1"}]}),
        ),
    ];
    let inventory = Inventory::of(&objects);
    let plan = ImagePlan::of(inventory, &Choices::parse(["copy"]).unwrap()).unwrap();
    let wanted: Vec<_> = plan
        .images
        .iter()
        .map(|one| (one.image.repository(), one.image.wanted()))
        .collect();
    let expected = [
        (Some("a/b"), crate::Wanted::tag("1")),
        (
            Some("shop/web"),
            crate::Wanted {
                tag: Some("latest".into()),
                digest: Some(Digest::of(b"git")),
            },
        ),
    ];
    assert_eq!(wanted, expected);
}
