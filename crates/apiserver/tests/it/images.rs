//! Image streams, their tags, mappings and imports.

use openshifter_apiserver::{LayersVerb, NoNode, ResourceId};
use serde_json::{Value, json};

use crate::backends;
use crate::cluster::{self, Cluster, Reply};

const BASE: &str = "/apis/image.openshift.io/v1/namespaces/shop";

async fn mapping(cluster: &Cluster, stream: &str, tag: &str, image: &str) -> Reply {
    let object = json!({
        "kind": "ImageStreamMapping",
        "apiVersion": "image.openshift.io/v1",
        "metadata": {"name": stream},
        "image": {
            "metadata": {"name": image},
            "dockerImageReference": format!("registry.test/{stream}@{image}"),
            "dockerImageLayers": [{"name": "sha256:0a", "size": 10, "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"}],
        },
        "tag": tag,
    });
    cluster
        .post(&format!("{BASE}/imagestreammappings"), object)
        .await
}

async fn stream(cluster: &Cluster, name: &str) {
    let reply = cluster
        .post(
            &format!("{BASE}/imagestreams"),
            json!({"metadata": {"name": name}}),
        )
        .await;
    assert_eq!(reply.status, 201, "{}", reply.text);
}

async fn put(cluster: &Cluster, path: &str, body: &Value) -> Reply {
    let headers = [("content-type", "application/json")];
    cluster
        .send("PUT", path, None, &headers, Some(body.to_string()))
        .await
}

#[tokio::test]
async fn a_tag_is_set_as_oc_tag_does() {
    let cluster = Cluster::start("istag").await;
    cluster.project("shop", None).await;
    stream(&cluster, "web").await;
    let reply = mapping(&cluster, "web", "1", "sha256:aa").await;
    assert_eq!(reply.status, 201, "{}", reply.text);

    // A tag of a stream that is not there yet, pointing to another stream's.
    let tag = json!({
        "metadata": {"name": "prod:stable", "namespace": "shop"},
        "tag": {"name": "stable", "from": {"kind": "ImageStreamTag", "name": "web:1"}},
    });
    let path = format!("{BASE}/imagestreamtags/prod:stable");
    let reply = put(&cluster, &path, &tag).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    assert_eq!(reply.body["image"]["metadata"]["name"], "sha256:aa");
    let made = cluster.get(&path).await;
    assert_eq!(made.status, 200);
    assert_eq!(made.body["tag"]["from"]["name"], "web:1");
    assert_eq!(
        made.body["image"]["dockerImageReference"],
        "registry.test/web@sha256:aa"
    );

    // Changed, and a stale change refused.
    let mut changed = made.body.clone();
    changed["metadata"]["annotations"] = json!({"note": "kept"});
    let reply = put(&cluster, &path, &changed).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.body["metadata"]["annotations"]["note"], "kept");
    let stale = put(&cluster, &path, &changed).await;
    assert_eq!(
        (stale.status, stale.body["reason"].as_str()),
        (409, Some("Conflict"))
    );
    let patch = cluster
        .send(
            "PATCH",
            &path,
            None,
            &[("content-type", "application/merge-patch+json")],
            Some(json!({"tag": {"referencePolicy": {"type": "Local"}}}).to_string()),
        )
        .await;
    assert_eq!(patch.status, 200, "{}", patch.text);
    assert_eq!(patch.body["tag"]["referencePolicy"]["type"], "Local");

    // A tag with a wish is not made twice; one without wish or image is none.
    let tags = format!("{BASE}/imagestreamtags");
    let again = cluster.post(&tags, tag.clone()).await;
    assert_eq!(
        (again.status, again.body["reason"].as_str()),
        (409, Some("AlreadyExists"))
    );
    let bare = json!({"metadata": {"name": "web:none"}});
    let reply = put(&cluster, &format!("{BASE}/imagestreamtags/web:none"), &bare).await;
    insta::assert_snapshot!(reply.body["message"].as_str().unwrap(), @"imagestreamtag web:none is not a spec tag in imagestream shop/web, cannot be updated");
    assert_eq!(reply.status, 400);

    let deleted = cluster.send("DELETE", &path, None, &[], None).await;
    assert_eq!(deleted.status, 200);
    let gone = cluster.send("DELETE", &path, None, &[], None).await;
    assert_eq!(gone.status, 404);
    cluster.stop().await;
}

#[tokio::test]
async fn image_tags_show_wish_and_history() {
    let cluster = Cluster::start("itag").await;
    cluster.project("shop", None).await;
    stream(&cluster, "web").await;
    mapping(&cluster, "web", "1", "sha256:aa").await;
    let tag = json!({
        "metadata": {"name": "web:next"},
        "spec": {"name": "next", "from": {"kind": "ImageStreamImage", "name": "web@sha256:aa"}},
    });
    let reply = cluster.post(&format!("{BASE}/imagetags"), tag).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    assert_eq!(reply.body["status"]["items"][0]["image"], "sha256:aa");
    assert_eq!(reply.body["spec"]["from"]["name"], "web@sha256:aa");
    let list = cluster.get(&format!("{BASE}/imagetags")).await;
    assert_eq!(list.body["items"].as_array().unwrap().len(), 2);
    cluster.stop().await;
}

#[tokio::test]
async fn histories_images_and_layers_are_read_from_a_stream() {
    let cluster = Cluster::start("isimage").await;
    cluster.project("shop", None).await;
    stream(&cluster, "web").await;
    for image in ["sha256:aa", "sha256:ab", "sha256:ab"] {
        mapping(&cluster, "web", "latest", image).await;
    }
    let found = cluster.get(&format!("{BASE}/imagestreams/web")).await;
    let items = found.body["status"]["tags"][0]["items"].as_array().unwrap();
    let images: Vec<&str> = items
        .iter()
        .map(|item| item["image"].as_str().unwrap())
        .collect();
    assert_eq!(images, ["sha256:ab", "sha256:aa"]);

    let one = cluster
        .get(&format!("{BASE}/imagestreamimages/web@sha256:aa"))
        .await;
    assert_eq!(one.status, 200, "{}", one.text);
    assert_eq!(one.body["metadata"]["name"], "web@sha256:aa");
    assert_eq!(one.body["image"]["metadata"]["name"], "sha256:aa");
    for (name, status) in [
        ("web@a", 409),
        ("web@ab", 200),
        ("web@cc", 404),
        ("web", 400),
        ("no@aa", 404),
    ] {
        let reply = cluster
            .get(&format!("{BASE}/imagestreamimages/{name}"))
            .await;
        assert_eq!(reply.status, status, "{name}: {}", reply.text);
    }
    let layers = cluster
        .get(&format!("{BASE}/imagestreams/web/layers"))
        .await;
    assert_eq!(layers.body["blobs"]["sha256:0a"]["size"], 10);
    assert_eq!(
        layers.body["images"]["sha256:ab"]["layers"],
        json!(["sha256:0a"])
    );
    let secrets = cluster
        .get(&format!("{BASE}/imagestreams/web/secrets"))
        .await;
    assert_eq!(secrets.body["kind"], "SecretList");
    assert_eq!(secrets.body["items"].as_array().unwrap().len(), 3);
    let post = cluster
        .post(&format!("{BASE}/imagestreams/web/layers"), json!({}))
        .await;
    assert_eq!(post.status, 405);
    cluster.stop().await;
}

#[tokio::test]
async fn a_pushed_image_is_described_by_its_manifest() {
    let cluster = Cluster::start("pushed").await;
    cluster.project("shop", None).await;
    stream(&cluster, "web").await;
    let image = backends::app("1");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let object = json!({
        "metadata": {"name": "web"},
        "tag": "1",
        "image": {
            "metadata": {"name": image.digest, "annotations": {
                "openshift.io/image.managed": "true",
                "image.openshift.io/manifestBlobStored": "true",
            }},
            "dockerImageReference": format!("image-registry.openshift-image-registry.svc:5000/shop/web@{}", image.digest),
            "dockerImageManifest": text(&image.manifest),
            "dockerImageManifestMediaType": image.media_type,
            "dockerImageConfig": text(&image.config),
        },
    });
    let reply = cluster
        .post(&format!("{BASE}/imagestreammappings"), object)
        .await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let kept = cluster
        .get(&format!(
            "/apis/image.openshift.io/v1/images/{}",
            image.digest
        ))
        .await
        .body;
    assert_eq!(kept["dockerImageLayers"][0]["name"], "sha256:0a");
    assert_eq!(kept["dockerImageMetadata"]["Config"]["Cmd"], json!(["1"]));
    assert!(kept["dockerImageManifest"].is_null() && kept["dockerImageConfig"].is_null());
    let annotations = &kept["metadata"]["annotations"];
    assert_eq!(annotations["openshift.io/image.managed"], "true");
    cluster.stop().await;
}

fn import(spec: Value) -> Value {
    json!({
        "kind": "ImageStreamImport",
        "apiVersion": "image.openshift.io/v1",
        "metadata": {"name": "app"},
        "spec": spec,
    })
}

fn from(name: &str) -> Value {
    json!({"from": {"kind": "DockerImage", "name": name}})
}

#[tokio::test]
async fn images_are_imported_and_what_cannot_be_is_said() {
    let cluster = Cluster::start("imports").await;
    cluster.project("shop", None).await;
    let path = format!("{BASE}/imagestreamimports");

    // Only looked at: nothing is made.
    let look = cluster
        .post(
            &path,
            import(json!({"images": [from("registry.test/app:1")]})),
        )
        .await;
    assert_eq!(look.status, 201, "{}", look.text);
    assert_eq!(
        look.body["status"]["images"][0]["status"]["status"],
        "Success"
    );
    assert!(look.body["status"]["import"].is_null());
    assert_eq!(
        cluster
            .get(&format!("{BASE}/imagestreams/app"))
            .await
            .status,
        404
    );

    let images = [
        from("registry.test/app:1"),
        from("registry.test/no:1"),
        from("registry.test/secret:1"),
        from("registry.test/down:1"),
    ];
    let mut images: Vec<Value> = images.to_vec();
    for (image, tag) in images.iter_mut().zip(["1", "no", "secret", "down"]) {
        image["to"] = json!({ "name": tag });
    }
    let done = cluster
        .post(&path, import(json!({"import": true, "images": images})))
        .await;
    let said: Vec<String> = done.body["status"]["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| {
            let status = &image["status"];
            format!("{} {} {}", image["tag"], status["code"], status["message"])
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    "1" null null
    "no" 404 "dockerimage.image.openshift.io \"registry.test/no:1\" not found"
    "secret" 401 "you may not have access to the container image \"registry.test/secret:1\""
    "down" 500 "Internal error occurred: registry.test/down:1: connection refused"
    "#);
    let stream = cluster.get(&format!("{BASE}/imagestreams/app")).await.body;
    assert_eq!(done.body["status"]["import"], stream);
    let digest = backends::app("1").digest;
    assert_eq!(
        stream["status"]["tags"][0]["items"][0]["image"],
        digest.as_str()
    );
    assert_eq!(
        stream["status"]["tags"][0]["items"][0]["dockerImageReference"],
        format!("registry.test/app@{digest}")
    );
    let condition = &stream["status"]["tags"][1]["conditions"][0];
    assert_eq!(
        (condition["type"].as_str(), condition["reason"].as_str()),
        (Some("ImportSuccess"), Some("NotFound"))
    );
    assert_eq!(
        stream["spec"]["tags"][0]["from"]["name"],
        "registry.test/app:1"
    );
    let generation = &stream["spec"]["tags"][0]["generation"];
    assert_eq!(stream["metadata"]["generation"], *generation);
    assert_eq!(
        stream["status"]["tags"][0]["items"][0]["generation"],
        *generation
    );
    let tag = cluster.get(&format!("{BASE}/imagestreamtags/app:1")).await;
    assert_eq!(
        tag.body["image"]["dockerImageMetadata"]["Architecture"],
        "amd64"
    );
    cluster.stop().await;
}

#[tokio::test]
async fn a_repository_is_imported_with_its_tags() {
    let cluster = Cluster::start("repository").await;
    cluster.project("shop", None).await;
    let path = format!("{BASE}/imagestreamimports");
    let spec = json!({"import": true, "repository": from("registry.test/app")});
    let reply = cluster.post(&path, import(spec)).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let tags: Vec<&str> = reply.body["status"]["repository"]["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| image["tag"].as_str().unwrap())
        .collect();
    assert_eq!(tags, ["latest", "2", "1"]);
    let list = cluster.get(&format!("{BASE}/imagestreamtags")).await;
    assert_eq!(list.body["items"].as_array().unwrap().len(), 3);
    let missing = json!({"import": true, "repository": from("registry.test/none")});
    let reply = cluster.post(&path, import(missing)).await;
    assert_eq!(reply.body["status"]["repository"]["status"]["code"], 404);
    cluster.stop().await;
}

#[tokio::test]
async fn of_an_index_one_image_is_taken_or_all() {
    let cluster = Cluster::start("index").await;
    cluster.project("shop", None).await;
    let path = format!("{BASE}/imagestreamimports");
    let mut image = from("registry.test/multi:1");
    let one = cluster
        .post(&path, import(json!({"import": true, "images": [image]})))
        .await;
    let machine = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    let taken = &one.body["status"]["images"][0]["image"];
    assert_eq!(taken["dockerImageMetadata"]["Architecture"], machine);
    image["importPolicy"] = json!({"importMode": "PreserveOriginal"});
    let all = cluster
        .post(&path, import(json!({"import": true, "images": [image]})))
        .await;
    let entry = &all.body["status"]["images"][0];
    assert_eq!(
        entry["image"]["dockerImageManifests"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(entry["manifests"].as_array().unwrap().len(), 2);
    let images = cluster.get("/apis/image.openshift.io/v1/images").await;
    assert_eq!(images.body["items"].as_array().unwrap().len(), 3);
    cluster.stop().await;
}

#[tokio::test]
async fn an_import_that_asks_for_nothing_is_refused() {
    let cluster = Cluster::start("bad-imports").await;
    cluster.project("shop", None).await;
    let path = format!("{BASE}/imagestreamimports");
    let mut said = Vec::new();
    for spec in [
        json!({}),
        json!({"images": [{"from": {"kind": "ImageStreamTag", "name": "a:1"}}]}),
        json!({"images": [{"from": {"kind": "DockerImage", "name": ""}}]}),
    ] {
        let reply = cluster.post(&path, import(spec)).await;
        assert_eq!(reply.status, 422, "{}", reply.text);
        said.push(reply.body["message"].as_str().unwrap().to_owned());
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
    ImageStreamImport.image.openshift.io "app" is invalid: : Invalid value: null: you must specify at least one repository or image to import
    ImageStreamImport.image.openshift.io "app" is invalid: spec.images[0].from.kind: Invalid value: "ImageStreamTag": only DockerImage is supported
    ImageStreamImport.image.openshift.io "app" is invalid: spec.images[0].from.name: Required value
    "#);
    cluster.stop().await;
}

#[tokio::test]
async fn rights_to_streams_are_asked_for() {
    let cluster = Cluster::start("image-rights").await;
    let (dev, other) = (cluster.login("dev").await, cluster.login("other").await);
    cluster.project("shop", Some(&dev)).await;
    cluster.project("stall", Some(&other)).await;
    stream(&cluster, "web").await;
    mapping(&cluster, "web", "1", "sha256:aa").await;
    let headers = [("content-type", "application/json")];
    // Another project's images are not got at by a tag.
    let thief = json!({"metadata": {"name": "web"}, "spec": {"tags": [
        {"name": "1", "from": {"kind": "ImageStreamTag", "namespace": "shop", "name": "web:1"}},
    ]}});
    let reply = cluster
        .send(
            "POST",
            "/apis/image.openshift.io/v1/namespaces/stall/imagestreams",
            Some(&other),
            &headers,
            Some(thief.to_string()),
        )
        .await;
    insta::assert_snapshot!(reply.body["message"].as_str().unwrap(), @r#"ImageStream.image.openshift.io "web" is invalid: spec.tags[1].from: Forbidden: shop/web"#);
    assert_eq!(reply.status, 422);
    let import = import(json!({"import": true, "images": [from("registry.test/app:1")]}));
    let reply = cluster
        .send(
            "POST",
            &format!("{BASE}/imagestreamimports"),
            Some(&other),
            &headers,
            Some(import.to_string()),
        )
        .await;
    assert_eq!(reply.status, 403);

    let access = cluster.server.access();
    assert_eq!(access.user(Some(&dev)).unwrap(), "dev");
    assert_eq!(access.user(None).unwrap(), "system:anonymous");
    assert_eq!(access.user(Some("sha256~wrong")).unwrap_err().code(), 401);
    let layers = |token, verb| {
        access
            .may_layers(token, verb, "shop", "web")
            .map_err(|error| error.code())
    };
    assert_eq!(layers(Some(&dev), LayersVerb::Push), Ok("dev".to_owned()));
    assert_eq!(layers(Some(&other), LayersVerb::Pull), Err(403));
    assert_eq!(layers(None, LayersVerb::Pull), Err(403));
    // Accounts pull within their project; the builder pushes, too.
    let token = |name| cluster.server.service_account_token("shop", name).unwrap();
    use secrecy::ExposeSecret as _;
    let builder = token("builder");
    assert!(layers(Some(builder.expose_secret()), LayersVerb::Push).is_ok());
    let default = token("default");
    assert!(layers(Some(default.expose_secret()), LayersVerb::Pull).is_ok());
    assert_eq!(
        layers(Some(default.expose_secret()), LayersVerb::Push),
        Err(403)
    );
    assert!(access.account_may_pull("shop", "default", "shop", "web"));
    assert!(!access.account_may_pull("stall", "default", "shop", "web"));
    let catalog = |token| {
        access.may(
            token,
            "list",
            "image.openshift.io",
            "imagestreams",
            None,
            None,
            None,
        )
    };
    assert_eq!(catalog(Some(dev.as_str())).unwrap_err().code(), 403);
    cluster.stop().await;
}

#[tokio::test]
async fn without_registries_imports_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = cluster::config("no-registries", folder.path());
    cluster::install_tls();
    let server = openshifter_apiserver::ApiServer::start(config, std::sync::Arc::new(NoNode))
        .await
        .unwrap();
    let store = server.store();
    let namespaces = ResourceId::core("namespaces");
    store
        .create(&namespaces, None, json!({"metadata": {"name": "shop"}}))
        .unwrap();
    let refused = openshifter_apiserver::import_images(
        &store,
        &openshifter_apiserver::NoRegistries,
        "shop",
        import(json!({"import": true, "images": [from("registry.test/app:1")]})),
    )
    .await
    .unwrap_err();
    assert_eq!(refused.code(), 501);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_roll_out_waits_for_the_images_of_its_triggers() {
    let cluster = Cluster::start("roll-out").await;
    cluster.project("shop", None).await;
    let config = json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 1,
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": " "}]},
            },
            "triggers": [{"type": "ConfigChange"}, {"type": "ImageChange", "imageChangeParams": {
                "automatic": true,
                "containerNames": ["web"],
                "from": {"kind": "ImageStreamTag", "name": "web:1"},
            }}],
        },
    });
    let base = "/apis/apps.openshift.io/v1/namespaces/shop/deploymentconfigs";
    let made = cluster.post(base, config).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.body["status"]["latestVersion"], 0);
    let path = format!("{base}/web/instantiate");
    let request = json!({"kind": "DeploymentRequest", "apiVersion": "apps.openshift.io/v1", "name": "web",
        "latest": true, "force": true});
    let refused = cluster.post(&path, request.clone()).await;
    insta::assert_snapshot!(refused.body["message"].as_str().unwrap(), @r#"cannot trigger a deployment for "web" because it contains unresolved images"#);
    assert_eq!(refused.status, 400);
    let nameless = cluster.post(&path, json!({"latest": true})).await;
    assert_eq!(nameless.status, 422);

    stream(&cluster, "web").await;
    mapping(&cluster, "web", "1", "sha256:aa").await;
    let rolled = cluster.post(&path, request).await;
    assert_eq!(rolled.status, 201, "{}", rolled.text);
    assert_eq!(rolled.body["status"]["latestVersion"], 1);
    let image = "registry.test/web@sha256:aa";
    let spec = &rolled.body["spec"];
    assert_eq!(spec["template"]["spec"]["containers"][0]["image"], image);
    assert_eq!(
        spec["triggers"][1]["imageChangeParams"]["lastTriggeredImage"],
        image
    );
    assert_eq!(spec["triggers"][0], json!({"type": "ConfigChange"}));
    cluster.stop().await;
}

#[tokio::test]
async fn a_wish_for_what_is_no_image_is_refused() {
    let cluster = Cluster::start("bad-wish").await;
    cluster.project("shop", None).await;
    let wish = |kind: &str| {
        json!({"metadata": {"name": "web"}, "spec": {"tags": [
            {"name": "1", "from": {"kind": kind, "name": "web:1"}},
        ]}})
    };
    let path = format!("{BASE}/imagestreams");
    let refused = cluster.post(&path, wish("Image")).await;
    insta::assert_snapshot!(refused.body["message"].as_str().unwrap(), @r#"ImageStream.image.openshift.io "web" is invalid: spec.tags[1].from.kind: Invalid value: "Image": valid values are 'DockerImage', 'ImageStreamImage', 'ImageStreamTag'"#);
    assert_eq!(refused.status, 422);
    assert_eq!(cluster.post(&path, wish("DockerImage")).await.status, 201);
    cluster.stop().await;
}
