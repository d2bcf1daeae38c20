//! What leads to images at the target: tags of ImageStreams, and the triggers and builds that follow tags.

use std::collections::BTreeSet;

use openshifter_chart::{ImageFollower, ImageRecord};
use openshifter_objects::{Object, escape, places};
use serde_json::{Value, json};

use super::place::stream_of;
use crate::MigrateError;

/// Where objects name an ImageStreamTag or ImageStreamImage.
const FROM: &[&str] = &[
    "/spec/triggers/*/imageChangeParams/from",
    "/spec/triggers/*/imageChange/from",
    "/spec/strategy/*/from",
    "/spec/source/images/*/from",
];

/// Where objects that have no triggers of their own hold them, as JSON.
const TRIGGERS: &str = "image.openshift.io/triggers";

/// BuildConfigs whose image is brought along or has another in its place, and which must not build one more at once. One
/// that builds the present image is free, whatever becomes of a former one.
pub(crate) fn held_builds(records: &[ImageRecord]) -> BTreeSet<String> {
    records
        .iter()
        .filter(|record| match record.decision.as_str() {
            "copy" => record.comes_along(),
            "map" | "external" => true,
            _ => false,
        })
        .filter_map(|record| record.build_config.clone())
        .filter(|name| !builds_anew(records, name))
        .collect()
}

fn builds_anew(records: &[ImageRecord], config: &str) -> bool {
    let mut anew = records.iter().filter(|one| one.decision == "rebuild");
    anew.any(|record| record.build_config.as_deref() == Some(config))
}

/// Makes ImageStreams lead to the images that take the place of others, and not to where those are that are copied;
/// makes what followed an ImageStream of another project follow the one here.
///
/// # Errors
/// When an ImageStream that has to be made cannot be.
pub(crate) fn adapt(
    objects: &mut Vec<Object>,
    records: &[ImageRecord],
    namespace: &str,
) -> Result<(), MigrateError> {
    for record in records.iter().filter(|record| record.to.is_some()) {
        if let Some(tag) = record.tags.first()
            && !objects.iter().any(|object| is_stream(object, &tag.stream))
        {
            objects.insert(0, stream_of(&tag.stream, namespace, &record.name)?);
        }
    }
    for record in records {
        for tag in &record.tags {
            let Some(stream) = objects
                .iter_mut()
                .find(|object| is_stream(object, &tag.stream))
            else {
                continue;
            };
            match &record.to {
                Some(to) => lead_to(stream, &tag.tag, to, record.insecure),
                None if is_copied(record) => lead_nowhere(stream, &tag.tag, namespace),
                None => {}
            }
        }
        if record.to.is_some() || is_copied(record) {
            redirect(objects, record, namespace);
        }
    }
    for name in held_builds(records) {
        hold_config(objects, &name);
    }
    Ok(())
}

/// Keeps those BuildConfigs from building over their image, too, whose image was to be copied and is not at hand: an
/// import goes on only where the target has it already.
pub(crate) fn hold_where_present(objects: &mut [Object], records: &[ImageRecord]) {
    let copied = records.iter().filter(|record| record.decision == "copy");
    let configs = copied.filter_map(|record| record.build_config.as_deref());
    for name in configs.filter(|name| !builds_anew(records, name)) {
        hold_config(objects, name);
    }
}

fn hold_config(objects: &mut [Object], name: &str) {
    let config = objects
        .iter_mut()
        .find(|object| object.is("build.openshift.io", "BuildConfig") && object.name() == name);
    if let Some(config) = config {
        hold(config);
    }
}

fn is_stream(object: &Object, name: &str) -> bool {
    object.is("image.openshift.io", "ImageStream") && object.name() == name
}

fn is_copied(record: &ImageRecord) -> bool {
    record.decision == "copy" && record.comes_along()
}

fn lead_to(stream: &mut Object, tag: &str, to: &str, insecure: bool) {
    let spec = &mut stream.value_mut()["spec"];
    if spec.is_null() {
        *spec = json!({});
    }
    let tags = &mut spec["tags"];
    if tags.is_null() {
        *tags = json!([]);
    }
    let Some(tags) = tags.as_array_mut() else {
        return;
    };
    if !tags.iter().any(|entry| entry["name"] == tag) {
        tags.push(json!({"name": tag}));
    }
    for entry in tags.iter_mut().filter(|entry| entry["name"] == tag) {
        entry["from"] = json!({"kind": "DockerImage", "name": to});
        if insecure {
            entry["importPolicy"]["insecure"] = true.into();
        } else if let Some(policy) = entry["importPolicy"].as_object_mut() {
            // That leave was for the registry of another image.
            policy.remove("insecure");
        }
        if entry["importPolicy"].is_null()
            && let Some(entry) = entry.as_object_mut()
        {
            entry.remove("importPolicy");
        }
    }
}

/// What is pushed is not imported from elsewhere as well. A tag that follows one beside it goes on doing so.
fn lead_nowhere(stream: &mut Object, tag: &str, namespace: &str) {
    let tags = stream.value_mut()["spec"]
        .get_mut("tags")
        .and_then(Value::as_array_mut);
    for entry in tags.into_iter().flatten() {
        let from = &entry["from"];
        let follows = from["kind"] == "ImageStreamTag" && is_of(from, None, namespace);
        if entry["name"] == tag
            && !follows
            && let Some(entry) = entry.as_object_mut()
        {
            entry.remove("from");
            entry.remove("importPolicy");
        }
    }
}

/// Whether a project is meant: another one by its name, our own by its name or by none.
fn is_of(from: &Value, other: Option<&str>, own: &str) -> bool {
    let written = from["namespace"].as_str().filter(|text| !text.is_empty());
    match other {
        Some(other) => written == Some(other),
        None => written.is_none_or(|written| written == own),
    }
}

/// Makes what follows an image by a name that leads nowhere at the target follow the first of its tags.
fn redirect(objects: &mut [Object], record: &ImageRecord, namespace: &str) {
    let Some(tag) = record.tags.first().map(ToString::to_string) else {
        return;
    };
    for follower in &record.follows {
        // A tag of the project itself leads to the image, as does its digest in the stream where it is copied.
        let leads = !follower.name.contains('@') || is_copied(record);
        if follower.namespace.is_none() && leads {
            continue;
        }
        let Some(object) = objects
            .iter_mut()
            .find(|object| object.key() == follower.object)
        else {
            continue;
        };
        let found: Vec<String> = FROM
            .iter()
            .flat_map(|pattern| places(object.value(), pattern))
            .filter(|(_, from)| is_meant(from, follower, namespace))
            .map(|(place, _)| place)
            .collect();
        for place in found {
            if let Some(from) = object.value_mut().pointer_mut(&place) {
                follow(from, &tag, follower);
            }
        }
        redirect_annotation(object, &tag, follower, namespace);
    }
}

fn redirect_annotation(object: &mut Object, tag: &str, follower: &ImageFollower, namespace: &str) {
    let written = object
        .annotation(TRIGGERS)
        .and_then(|text| serde_json::from_str(text).ok());
    let Some(Value::Array(mut triggers)) = written else {
        return;
    };
    let mut changed = false;
    for trigger in &mut triggers {
        if is_meant(&trigger["from"], follower, namespace) {
            follow(&mut trigger["from"], tag, follower);
            changed = true;
        }
    }
    let place = format!("/metadata/annotations/{}", escape(TRIGGERS));
    if let Some(text) = object.value_mut().pointer_mut(&place).filter(|_| changed) {
        *text = Value::Array(triggers).to_string().into();
    }
}

fn is_meant(from: &Value, follower: &ImageFollower, namespace: &str) -> bool {
    from["kind"] != "DockerImage"
        && from["name"] == *follower.name
        && is_of(from, follower.namespace.as_deref(), namespace)
}

fn follow(from: &mut Value, tag: &str, follower: &ImageFollower) {
    from["kind"] = "ImageStreamTag".into();
    from["name"] = tag.into();
    // Our own may be a knob, and is right.
    if let (Some(_), Some(from)) = (&follower.namespace, from.as_object_mut()) {
        from.remove("namespace");
    }
}

/// Keeps a BuildConfig from building by itself, as the refactoring of an export does: an import may decide otherwise.
fn hold(config: &mut Object) {
    let Some(triggers) = config
        .value_mut()
        .pointer_mut("/spec/triggers")
        .and_then(Value::as_array_mut)
    else {
        return;
    };
    triggers.retain(|trigger| match trigger["type"].as_str() {
        Some("ConfigChange") => false,
        // Without more it means the image that the build starts from, and it cannot be paused.
        Some("ImageChange") => trigger["imageChange"].is_object(),
        _ => true,
    });
    for trigger in triggers
        .iter_mut()
        .filter(|trigger| trigger["type"] == "ImageChange")
    {
        trigger["imageChange"]["paused"] = true.into();
    }
}

#[cfg(test)]
mod tests {
    use openshifter_chart::ImageTag;
    use openshifter_objects::ObjectKey;

    use super::*;

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap()
    }

    fn stream(name: &str, spec: &Value) -> Object {
        object(
            json!({"apiVersion": "image.openshift.io/v1", "kind": "ImageStream",
            "metadata": {"name": name}, "spec": spec}),
        )
    }

    fn foreign(object: &Object, name: &str) -> ImageFollower {
        ImageFollower {
            object: object.key(),
            namespace: Some("other".to_owned()),
            name: name.to_owned(),
        }
    }

    /// A DeploymentConfig, a Deployment and a BuildConfig that all follow `other/base:1`.
    fn followers() -> [Object; 3] {
        let from = json!({"kind": "ImageStreamTag", "name": "base:1", "namespace": "other"});
        let triggers = json!([{"from": from, "fieldPath": "spec.template.spec.containers[?(@.name==\"a\")].image"},
            {"from": {"kind": "ImageStreamTag", "name": "base:1", "namespace": "third"}}]);
        [
            object(
                json!({"apiVersion": "apps.openshift.io/v1", "kind": "DeploymentConfig", "metadata": {"name": "dc"},
                "spec": {"triggers": [{"type": "ConfigChange"}, {"type": "ImageChange", "imageChangeParams": {"from": from}}]}}),
            ),
            object(json!({"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "d", "annotations": {TRIGGERS: triggers.to_string()}}, "spec": {}})),
            object(
                json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "metadata": {"name": "bc"},
                "spec": {"strategy": {"sourceStrategy": {"from": from}}, "source": {"images": [{"from": from}]},
                    "triggers": [{"type": "ImageChange", "imageChange": {"from": from}}, {"type": "ConfigChange"}]}}),
            ),
        ]
    }

    fn record(decision: &str, follows: Vec<ImageFollower>) -> ImageRecord {
        ImageRecord {
            name: "other/base:1".to_owned(),
            decision: decision.to_owned(),
            included: decision == "copy",
            to: (decision == "map").then(|| "mirror.example/base:2".to_owned()),
            tags: vec![ImageTag {
                stream: "base".to_owned(),
                tag: "1".to_owned(),
            }],
            follows,
            ..ImageRecord::default()
        }
    }

    #[test]
    fn what_followed_another_project_follows_the_copy_or_the_image_in_its_place() {
        for decision in ["copy", "map"] {
            let mut objects = followers().to_vec();
            let follows = objects
                .iter()
                .map(|object| foreign(object, "base:1"))
                .collect();
            let mut one = record(decision, follows);
            one.insecure = true;
            if decision == "copy" {
                objects.push(stream(
                    "base",
                    &json!({"tags": [{"name": "1",
                    "from": {"kind": "ImageStreamTag", "name": "base:1", "namespace": "other"}}]}),
                ));
            }
            adapt(&mut objects, &[one], "shop").unwrap();
            let found = |kind: &str| {
                let found = objects.iter().find(|object| object.kind() == kind);
                found.unwrap().value().clone()
            };
            let here = json!({"kind": "ImageStreamTag", "name": "base:1"});
            let config = found("DeploymentConfig");
            assert_eq!(
                config["spec"]["triggers"][1]["imageChangeParams"]["from"],
                here
            );
            let build = found("BuildConfig");
            assert_eq!(build["spec"]["strategy"]["sourceStrategy"]["from"], here);
            assert_eq!(build["spec"]["source"]["images"][0]["from"], here);
            assert_eq!(build["spec"]["triggers"][0]["imageChange"]["from"], here);
            let text = found("Deployment")["metadata"]["annotations"][TRIGGERS].clone();
            let triggers: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
            assert_eq!(triggers[0]["from"], here);
            assert_eq!(triggers[1]["from"]["namespace"], "third");
            let tags = found("ImageStream")["spec"]["tags"].clone();
            let expected = match decision {
                "copy" => json!([{"name": "1"}]),
                _ => json!([{"name": "1", "importPolicy": {"insecure": true},
                    "from": {"kind": "DockerImage", "name": "mirror.example/base:2"}}]),
            };
            assert_eq!(tags, expected, "{decision}");
        }
    }

    #[test]
    fn what_follows_its_own_project_goes_on() {
        let from = json!({"kind": "ImageStreamTag", "name": "web:1", "namespace": "shop"});
        let by_digest =
            json!({"kind": "ImageStreamImage", "name": "web@sha256:00", "namespace": "shop"});
        let config = object(
            json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "metadata": {"name": "bc"},
            "spec": {"strategy": {"sourceStrategy": {"from": from}}, "source": {"images": [{"from": by_digest}]}}}),
        );
        let follows: Vec<ImageFollower> = ["web:1", "web@sha256:00"]
            .map(|name| ImageFollower {
                object: config.key(),
                namespace: None,
                name: name.to_owned(),
            })
            .to_vec();
        let adapted = |decision: &str| {
            let mut objects = vec![stream("base", &json!({})), config.clone()];
            adapt(&mut objects, &[record(decision, follows.clone())], "shop").unwrap();
            objects[1].value().clone()
        };
        assert_eq!(&adapted("copy"), config.value());
        let mapped = adapted("map");
        assert_eq!(mapped["spec"]["strategy"]["sourceStrategy"]["from"], from);
        // The knob of its namespace stays where it was.
        assert_eq!(
            mapped["spec"]["source"]["images"][0]["from"],
            json!({"kind": "ImageStreamTag", "name": "base:1", "namespace": "shop"})
        );
    }

    #[test]
    fn a_build_does_not_put_its_image_over_one_that_was_chosen() {
        let config = |name: &str| {
            object(
                json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "metadata": {"name": name},
                "spec": {"triggers": [{"type": "ConfigChange"}, {"type": "ImageChange"},
                    {"type": "ImageChange", "imageChange": {"from": {}}}, {"type": "Generic"}]}}),
            )
        };
        let of = |decision: &str| ImageRecord {
            build_config: Some(decision.to_owned()),
            tags: Vec::new(),
            ..record(decision, Vec::new())
        };
        let mut objects = vec![
            config("map"),
            config("external"),
            config("copy"),
            config("rebuild"),
        ];
        let mut records = ["map", "external", "copy", "rebuild"].map(of).to_vec();
        // A former image of what is built anew.
        records.push(ImageRecord {
            build_config: Some("rebuild".to_owned()),
            ..of("copy")
        });
        adapt(&mut objects, &records, "shop").unwrap();
        for held in &objects[..3] {
            assert_eq!(
                held.value()["spec"]["triggers"],
                json!([{"type": "ImageChange", "imageChange": {"from": {}, "paused": true}}, {"type": "Generic"}]),
                "{}",
                held.name()
            );
        }
        assert_eq!(objects[3].value(), config("rebuild").value());
        // A copy that the chart lacks: a target that the import goes on with has it.
        let mut objects = vec![config("copy")];
        let lacking = ImageRecord {
            included: false,
            ..of("copy")
        };
        hold_where_present(&mut objects, &[lacking]);
        assert_eq!(
            objects[0].value()["spec"]["triggers"][0]["imageChange"]["paused"],
            true
        );
        let mut objects = vec![config("map")];
        adapt(&mut objects, &[of("map")], "shop").unwrap();
        let key = ObjectKey::new("build.openshift.io", "BuildConfig", "map");
        assert_eq!(objects[0].key(), key);
    }
}
