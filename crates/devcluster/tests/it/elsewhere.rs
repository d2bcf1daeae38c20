//! Images of another registry on this machine: imported into streams, run by pods, and what is said when they are not.

use base64::Engine;
use openshifter_apiserver::ResourceId;
use serde_json::{Value, json};

use crate::registry::{Client, image, manifest};
use crate::support::{Cluster, PATIENCE, make, make_pod};

/// A cluster whose registry is exposed as `localhost`, and its host and port.
async fn exposed() -> (Cluster, String) {
    let data = tempfile::tempdir().unwrap();
    let mut config = crate::support::config("abroad", data.path());
    config.expose_registry = true;
    let inner = openshifter_devcluster::DevCluster::start(config)
        .await
        .unwrap();
    let cluster = Cluster { inner, data };
    let routes = ResourceId::new("route.openshift.io", "routes");
    let (namespace, name) = ("openshift-image-registry", "default-route");
    // The Route's own host is no name of this machine.
    cluster
        .until(&routes, namespace, name, "made", |_| true)
        .await;
    cluster
        .store()
        .update(&routes, Some(namespace), name, |route| {
            route["spec"]["host"] = json!("localhost");
        })
        .unwrap();
    cluster
        .until(&routes, namespace, name, "at its new host", |route| {
            route["status"]["ingress"][0]["host"] == "localhost"
        })
        .await;
    let host = format!("localhost:{}", cluster.inner.router_addr().port());
    (cluster, host)
}

fn streams() -> ResourceId {
    ResourceId::new("image.openshift.io", "imagestreams")
}

/// What a stream's status says of a tag.
fn tag<'a>(stream: &'a Value, name: &str) -> &'a Value {
    stream["status"]["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|tag| tag["tag"] == name)
        .unwrap_or(&Value::Null)
}

#[tokio::test]
async fn an_image_of_another_registry_is_imported_and_run() {
    let (abroad, host) = exposed().await;
    abroad.project("shop").await;
    let registry = Client::of(&abroad, "developer").await;
    let (layer, config) = image("from abroad\n");
    registry.push("shop/web", &layer).await;
    registry.push("shop/web", &config).await;
    let manifest = manifest(&layer, &config);
    let (status, said) = registry.push_manifest("shop/web", "1", &manifest).await;
    assert_eq!(status, 201, "{said}");

    let cluster = Cluster::start("importer").await;
    let client = cluster.project("shop").await;
    let wish = |name: &str, tag: &str, insecure: bool| {
        json!({
            "name": name,
            "from": {"kind": "DockerImage", "name": format!("{host}/shop/web:{tag}")},
            "importPolicy": {"insecure": insecure},
        })
    };
    // Nobody's credentials, a certificate that nobody signed, and a host that is not this machine's.
    let mut far = wish("far", "1", true);
    far["from"]["name"] = json!("registry.example.test/shop/web:1");
    let stream = json!({
        "metadata": {"name": "web"},
        "spec": {"tags": [wish("closed", "1", true), wish("unsigned", "1", false), far]},
    });
    make(
        &client,
        Some("shop"),
        "image.openshift.io/v1",
        "ImageStream",
        "imagestreams",
        stream,
    )
    .await;
    let mut text = String::new();
    for name in ["closed", "unsigned", "far"] {
        let stream = cluster
            .until(&streams(), "shop", "web", name, |stream| {
                tag(stream, name)["conditions"][0]["type"] == "ImportSuccess"
            })
            .await;
        let condition = &tag(&stream, name)["conditions"][0];
        assert_eq!(condition["status"], "False");
        let said = condition["message"]
            .as_str()
            .unwrap()
            .replace(&host, "[host]");
        let reason = condition["reason"].as_str().unwrap();
        text.push_str(&format!("{name}: {reason}: {said}\n"));
    }
    insta::assert_snapshot!(text, @r#"
    closed: Unauthorized: you may not have access to the container image "[host]/shop/web:1"
    unsigned: InternalError: Internal error occurred: [host]/shop/web:1: [host]: its certificate is not trusted: it is signed by an unknown authority
    far: InternalError: Internal error occurred: registry.example.test/shop/web:1: image "registry.example.test/shop/web:1" is not in this cluster: it has the built-in images of openshifter.test and those built here
    "#);

    // With a pull secret of the project, and of what is not there.
    let auth = format!("developer:{}", abroad.token("developer").await);
    let auth = base64::engine::general_purpose::STANDARD.encode(auth);
    let config = json!({"auths": {&host: {"auth": auth}}});
    let secret = json!({
        "metadata": {"name": "abroad"},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": config.to_string()},
    });
    make(&client, Some("shop"), "v1", "Secret", "secrets", secret).await;
    cluster
        .store()
        .update(&streams(), Some("shop"), "web", |stream| {
            stream["spec"]["tags"] = json!([wish("open", "1", true), wish("gone", "2", true)]);
        })
        .unwrap();
    let stream = cluster
        .until(&streams(), "shop", "web", "imported", |stream| {
            tag(stream, "open")["items"].is_array() && tag(stream, "gone")["conditions"].is_array()
        })
        .await;
    assert_eq!(tag(&stream, "gone")["conditions"][0]["reason"], "NotFound");
    let item = &tag(&stream, "open")["items"][0];
    let digest = crate::registry::digest(manifest.to_string().as_bytes());
    assert_eq!(item["image"], digest.as_str());
    let reference = format!("{host}/shop/web@{digest}");
    assert_eq!(item["dockerImageReference"], reference.as_str());

    // An import by request says the same.
    let import = json!({
        "metadata": {"name": "web"},
        "spec": {"import": false, "images": [{
            "from": {"kind": "DockerImage", "name": format!("{host}/shop/web:1")},
            "importPolicy": {"insecure": true},
        }]},
    });
    let path = "image.openshift.io/v1";
    let import = make(
        &client,
        Some("shop"),
        path,
        "ImageStreamImport",
        "imagestreamimports",
        import,
    )
    .await;
    assert_eq!(
        import["status"]["images"][0]["image"]["metadata"]["name"],
        digest.as_str(),
        "{import:#}"
    );

    // A pod pulls it by the digest, and is told when there is none.
    for (name, image) in [
        ("web", reference.clone()),
        ("none", format!("{host}/shop/none:1")),
    ] {
        let pod = json!({
            "metadata": {"name": name},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "imagePullSecrets": [{"name": "abroad"}],
                "containers": [{"name": "web", "image": image}],
            },
        });
        make_pod(&client, "shop", pod).await;
    }
    let pod = cluster.until_ready("shop", "web").await;
    assert_eq!(
        pod["status"]["containerStatuses"][0]["imageID"],
        reference.as_str()
    );
    let pods = kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(client, "shop");
    let read = async {
        while pods.logs("web", &Default::default()).await.unwrap() != "from abroad\n" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap();
    cluster
        .until(&crate::support::pods(), "shop", "none", "refused", |pod| {
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
                == "ImagePullBackOff"
        })
        .await;
    cluster.stop().await;
    abroad.stop().await;
}
