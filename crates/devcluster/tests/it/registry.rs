//! The cluster's own registry: reached as a pod's port, with a user's token, by an independent client.

use std::io::Write;
use std::path::Path;

use openshifter_apiserver::ResourceId;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Cluster, PATIENCE, make_pod};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub(crate) fn digest(bytes: &[u8]) -> String {
    let hex = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    format!("sha256:{hex}")
}

/// A registry's client, over a port of the machine that is forwarded to the registry's pod.
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Client {
    pub(crate) async fn of(cluster: &Cluster, user: &str) -> Self {
        let port = cluster.forward_registry().await;
        Self {
            http: reqwest::Client::builder()
                .tls_certs_only([
                    reqwest::Certificate::from_pem(cluster.inner.ca_pem().as_bytes()).unwrap(),
                ])
                .timeout(PATIENCE)
                .build()
                .unwrap(),
            base: format!("https://localhost:{port}"),
            token: cluster.token(user).await,
        }
    }

    fn ask(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = if path.starts_with("https://") {
            path.to_owned()
        } else {
            format!("{}{path}", self.base)
        };
        self.http
            .request(method.parse().unwrap(), url)
            .bearer_auth(&self.token)
    }

    async fn status(&self, method: &str, path: &str) -> u16 {
        let answer = self.ask(method, path).send().await.unwrap();
        answer.status().as_u16()
    }

    /// Pushes a blob in one request.
    pub(crate) async fn push(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        let answer = self
            .ask(
                "POST",
                &format!("/v2/{repository}/blobs/uploads/?digest={digest}"),
            )
            .body(bytes.to_vec())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        digest
    }

    pub(crate) async fn push_manifest(
        &self,
        repository: &str,
        tag: &str,
        manifest: &Value,
    ) -> (u16, Value) {
        let answer = self
            .ask("PUT", &format!("/v2/{repository}/manifests/{tag}"))
            .header("content-type", OCI_MANIFEST)
            .body(manifest.to_string())
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_default())
    }
}

/// Layer, configuration and manifest of a small image on the machine's programs.
pub(crate) fn image(greeting: &str) -> (Vec<u8>, Vec<u8>) {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(greeting.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "opt/greeting", greeting.as_bytes())
        .unwrap();
    let tar = tar.into_inner().unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": {
            "Cmd": ["sh", "-c", "cat /opt/greeting; exec sleep 1000"],
            "Labels": {"devcluster.openshifter.test/rootfs": "host"},
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(&tar)]},
    });
    (gzip.finish().unwrap(), config.to_string().into_bytes())
}

pub(crate) fn manifest(layer: &[u8], config: &[u8]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest(config),
            "size": config.len(),
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "digest": digest(layer),
            "size": layer.len(),
        }],
    })
}

fn streams() -> ResourceId {
    ResourceId::new("image.openshift.io", "imagestreams")
}

#[tokio::test]
async fn an_image_is_pushed_tagged_run_and_removed() {
    let cluster = Cluster::start("push").await;
    let kube = cluster.project("shop").await;
    let client = Client::of(&cluster, "developer").await;

    // Not without a token; and a token is had with it.
    let nobody = client.http.get(format!("{}/v2/", client.base));
    let nobody = nobody.send().await.unwrap();
    assert_eq!(nobody.status(), 401);
    assert_eq!(
        nobody.headers()["www-authenticate"].to_str().unwrap(),
        format!("Bearer realm=\"{}/openshift/token\"", client.base)
    );
    let login = client
        .http
        .get(format!("{}/openshift/token?account=x", client.base))
        .basic_auth("whoever", Some(&client.token));
    let login: Value = login.send().await.unwrap().json().await.unwrap();
    assert_eq!(login["token"], client.token.as_str());
    assert_eq!(client.status("GET", "/v2/").await, 200);

    let (layer, config) = image("hello from a layer\n");
    let manifest = manifest(&layer, &config);
    let (status, refused) = client.push_manifest("shop/web", "latest", &manifest).await;
    assert_eq!(
        (status, refused["errors"][0]["code"].as_str()),
        (400, Some("MANIFEST_BLOB_UNKNOWN"))
    );

    // The layer in pieces, one of which is sent out of order.
    let begun = client.ask("POST", "/v2/shop/web/blobs/uploads/");
    let begun = begun.send().await.unwrap();
    assert_eq!(begun.status(), 202);
    let upload = begun.headers()["location"].to_str().unwrap().to_owned();
    let (first, rest) = layer.split_at(10);
    let patch = |bytes: &[u8], from: usize| {
        client
            .ask("PATCH", &upload)
            .header(
                "content-range",
                format!("{from}-{}", from + bytes.len() - 1),
            )
            .body(bytes.to_vec())
            .send()
    };
    let sent = patch(first, 0).await.unwrap();
    assert_eq!(
        (sent.status().as_u16(), &sent.headers()["range"]),
        (202, &"0-9".parse().unwrap())
    );
    assert_eq!(patch(rest, 4).await.unwrap().status(), 416);
    let so_far = client.ask("GET", &upload).send().await.unwrap();
    assert_eq!(
        (so_far.status().as_u16(), &so_far.headers()["range"]),
        (204, &"0-9".parse().unwrap())
    );
    patch(rest, 10).await.unwrap();
    let wrong = format!("{upload}?digest={}", digest(b"other"));
    assert_eq!(client.status("PUT", &wrong).await, 400);
    let end = format!("{upload}?digest={}", digest(&layer));
    assert_eq!(client.status("PUT", &end).await, 201);
    assert_eq!(client.status("PUT", &end).await, 404);
    client.push("shop/web", &config).await;
    let (status, said) = client.push_manifest("shop/web", "latest", &manifest).await;
    assert_eq!(status, 201, "{said}");

    // The stream, the tag and the Image are there.
    let name = digest(manifest.to_string().as_bytes());
    let stream = cluster
        .store()
        .get(&streams(), Some("shop"), "web")
        .unwrap();
    let item = &stream["status"]["tags"][0]["items"][0];
    assert_eq!(item["image"], name.as_str());
    let images = ResourceId::new("image.openshift.io", "images");
    let object = cluster.store().get(&images, None, &name).unwrap();
    assert_eq!(
        object["dockerImageLayers"][0]["name"],
        digest(&layer).as_str()
    );

    // It is read back, in parts, too.
    let got = client.ask("GET", "/v2/shop/web/manifests/latest");
    let got = got.send().await.unwrap();
    assert_eq!(got.headers()["docker-content-digest"], name.as_str());
    assert_eq!(got.text().await.unwrap(), manifest.to_string());
    let blob = format!("/v2/shop/web/blobs/{}", digest(&layer));
    let part = client.ask("GET", &blob).header("range", "bytes=3-5");
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.unwrap(), layer[3..6].to_vec());
    let tags: Value = client
        .ask("GET", "/v2/shop/web/tags/list")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(tags, json!({"name": "shop/web", "tags": ["latest"]}));

    // A pod runs it.
    let reference = item["dockerImageReference"].as_str().unwrap();
    let pod = json!({
        "metadata": {"name": "web"},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "web", "image": reference}]},
    });
    make_pod(&kube, "shop", pod).await;
    let pod = cluster.until_ready("shop", "web").await;
    assert_eq!(pod["status"]["containerStatuses"][0]["imageID"], reference);
    let pods = kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(kube.clone(), "shop");
    let read = async {
        while pods.logs("web", &Default::default()).await.unwrap() != "hello from a layer\n" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap();

    // Somebody else sees nothing of it, and may not take it over; whoever may, does.
    let stranger = Client::of(&cluster, "stranger").await;
    cluster.project_of("stranger", "other").await;
    assert_eq!(stranger.status("GET", &blob).await, 401);
    let mount = |from: &str| {
        format!(
            "/v2/{}/blobs/uploads/?mount={}&from=shop/web",
            from,
            digest(&layer)
        )
    };
    assert_eq!(stranger.status("POST", &mount("other/web")).await, 202);
    assert_eq!(client.status("POST", &mount("shop/copy")).await, 201);
    let other = format!("/v2/shop/copy/blobs/{}", digest(&config));
    assert_eq!(client.status("HEAD", &other).await, 404);
    // Removing images is for those who may do it everywhere.
    let doomed = format!("/v2/shop/web/manifests/{name}");
    assert_eq!(client.status("DELETE", &doomed).await, 401);
    assert_eq!(client.status("GET", "/v2/_catalog").await, 401);
    let bindings = ResourceId::new("rbac.authorization.k8s.io", "clusterrolebindings");
    let binding = json!({
        "metadata": {"name": "developers-administer"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "developer"}],
        "roleRef": {"kind": "ClusterRole", "apiGroup": "rbac.authorization.k8s.io", "name": "cluster-admin"},
    });
    cluster.store().create(&bindings, None, binding).unwrap();
    let catalog = client.ask("GET", "/v2/_catalog").send().await.unwrap();
    let catalog: Value = catalog.json().await.unwrap();
    assert!(
        catalog["repositories"]
            .as_array()
            .unwrap()
            .contains(&json!("shop/web")),
        "{catalog}"
    );
    // The base image of the catalogue is read through the stream that names it.
    let base = "/v2/openshift/python/manifests/latest";
    assert_eq!(client.status("GET", base).await, 200);
    assert_eq!(client.status("DELETE", &doomed).await, 202);
    assert_eq!(client.status("GET", &doomed).await, 404);
    assert_eq!(
        client.status("GET", "/v2/shop/web/manifests/latest").await,
        404
    );
    let stream = cluster
        .store()
        .get(&streams(), Some("shop"), "web")
        .unwrap();
    assert_eq!(stream["status"]["tags"], json!([]));
    cluster.stop().await;
}

#[tokio::test]
async fn an_upload_goes_on_where_its_connection_was_cut() {
    let cluster = Cluster::start("resume").await;
    cluster.project("shop").await;
    let client = Client::of(&cluster, "developer").await;
    // Larger than what buffers on the way hold back.
    let mut number = 7_u32;
    let blob: Vec<u8> = std::iter::repeat_with(|| {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        number.to_be_bytes()[0]
    })
    .take(6 << 20)
    .collect();
    let begun = client.ask("POST", "/v2/shop/web/blobs/uploads/");
    let begun = begun.send().await.unwrap();
    let upload = begun.headers()["location"].to_str().unwrap().to_owned();
    let pieces = blob[..5 << 20]
        .chunks(1 << 20)
        .map(|piece| Ok(piece.to_vec()));
    let cut = pieces
        .chain([Err(std::io::Error::other("cut"))])
        .collect::<Vec<_>>();
    let cut = reqwest::Body::wrap_stream(futures::stream::iter(cut));
    assert!(client.ask("PATCH", &upload).body(cut).send().await.is_err());
    let kept = async {
        loop {
            let so_far = client.ask("GET", &upload).send().await.unwrap();
            let range = so_far.headers()["range"].to_str().unwrap();
            let last: usize = range.strip_prefix("0-").unwrap().parse().unwrap();
            if last > 0 {
                return last + 1;
            }
        }
    };
    let kept = tokio::time::timeout(PATIENCE, kept).await.unwrap();
    let rest = client
        .ask("PATCH", &upload)
        .header("content-range", format!("{kept}-{}", blob.len() - 1))
        .body(blob[kept..].to_vec());
    assert_eq!(rest.send().await.unwrap().status(), 202);
    let end = format!("{upload}?digest={}", digest(&blob));
    assert_eq!(client.status("PUT", &end).await, 201);
    cluster.stop().await;
}

#[tokio::test]
async fn what_is_missing_is_not_pulled() {
    let cluster = Cluster::start("missing").await;
    let client = cluster.project("shop").await;
    cluster.project_of("stranger", "other").await;
    let registry = "image-registry.openshift-image-registry.svc:5000";
    let wanted = |name: &str, image: String| {
        json!({
            "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "c", "image": image}]},
        })
    };
    let none = digest(b"none");
    for (name, image) in [
        ("tag", format!("{registry}/shop/web:latest")),
        ("digest", format!("{registry}/shop/web@{none}")),
        ("abroad", format!("{registry}/other/web@{none}")),
        ("name", "Not/An Image".to_owned()),
    ] {
        make_pod(&client, "shop", wanted(name, image)).await;
    }
    let waiting = |pod: &Value| pod["status"]["containerStatuses"][0]["state"]["waiting"].clone();
    let message = async |name: &str, reason: &str| {
        let pod = cluster
            .until(&crate::support::pods(), "shop", name, reason, |pod| {
                waiting(pod)["reason"] == reason
            })
            .await;
        waiting(&pod)["message"]
            .as_str()
            .unwrap()
            .replace(&none, "[digest]")
    };
    insta::assert_snapshot!(message("tag", "ErrImagePull").await, @"initializing source docker://image-registry.openshift-image-registry.svc:5000/shop/web:latest: reading manifest latest in image-registry.openshift-image-registry.svc:5000/shop/web: manifest unknown");
    insta::assert_snapshot!(message("digest", "ImagePullBackOff").await, @r#"Back-off pulling image "image-registry.openshift-image-registry.svc:5000/shop/web@[digest]": ErrImagePull: initializing source docker://image-registry.openshift-image-registry.svc:5000/shop/web@[digest]: reading manifest [digest] in image-registry.openshift-image-registry.svc:5000/shop/web: manifest unknown"#);
    insta::assert_snapshot!(message("abroad", "ImagePullBackOff").await, @r#"Back-off pulling image "image-registry.openshift-image-registry.svc:5000/other/web@[digest]": ErrImagePull: initializing source docker://image-registry.openshift-image-registry.svc:5000/other/web@[digest]: reading manifest in image-registry.openshift-image-registry.svc:5000/other/web: unauthorized: authentication required"#);
    insta::assert_snapshot!(message("name", "InvalidImageName").await, @r#"Failed to apply default image tag "Not/An Image": couldn't parse image name "Not/An Image": invalid reference format"#);
    cluster.stop().await;
}

/// An independent client copies an image in and out through the exposed Route, and finds it identical.
#[tokio::test]
async fn skopeo_copies_an_image_through_the_route() {
    let data = tempfile::tempdir().unwrap();
    let mut config = crate::support::config("exposed", data.path());
    config.expose_registry = true;
    let inner = openshifter_devcluster::DevCluster::start(config)
        .await
        .unwrap();
    let cluster = Cluster { inner, data };
    cluster.project("shop").await;
    let routes = ResourceId::new("route.openshift.io", "routes");
    let namespace = "openshift-image-registry";
    cluster
        .until(&routes, namespace, "default-route", "admitted", |route| {
            route["status"]["ingress"][0]["conditions"][0]["status"] == "True"
        })
        .await;

    let work = tempfile::tempdir().unwrap();
    let layout = work.path().join("layout");
    let (layer, config) = image("copied\n");
    write_layout(&layout, &layer, &config);
    // The Route's host is no name of this machine, so it is told by a Route of a name that is.
    cluster
        .store()
        .update(&routes, Some(namespace), "default-route", |route| {
            route["spec"]["host"] = json!("localhost");
        })
        .unwrap();
    cluster
        .until(
            &routes,
            namespace,
            "default-route",
            "at its new host",
            |route| route["status"]["ingress"][0]["host"] == "localhost",
        )
        .await;
    let registry = format!("localhost:{}", cluster.inner.router_addr().port());
    let certificates = work.path().join("certificates");
    std::fs::create_dir(&certificates).unwrap();
    std::fs::write(certificates.join("ca.crt"), cluster.inner.ca_pem()).unwrap();
    let credentials = format!("developer:{}", cluster.token("developer").await);
    let remote = format!("docker://{registry}/shop/copied:1");
    let source = format!("oci:{}:1", layout.display());
    let skopeo = async |arguments: &[&str]| {
        let output = tokio::process::Command::new("skopeo")
            .args(arguments)
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(PATIENCE, output)
            .await
            .unwrap()
            .expect("skopeo has to be installed: the Debian package skopeo");
        assert!(
            output.status.success(),
            "skopeo {}: {}",
            arguments[0],
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    // Streams say where they are to be had from outside.
    let streams = ResourceId::new("image.openshift.io", "imagestreams");
    cluster
        .until(&streams, "openshift", "python", "told", |stream| {
            let told = &stream["status"]["publicDockerImageRepository"];
            *told == json!(format!("{registry}/openshift/python"))
        })
        .await;
    let certificates = certificates.display().to_string();
    skopeo(&[
        "copy",
        "--insecure-policy",
        "--dest-cert-dir",
        &certificates,
        "--dest-creds",
        &credentials,
        &source,
        &remote,
    ])
    .await;
    let raw = skopeo(&[
        "inspect",
        "--raw",
        "--cert-dir",
        &certificates,
        "--creds",
        &credentials,
        &remote,
    ])
    .await;
    assert_eq!(raw, manifest(&layer, &config).to_string().into_bytes());
    let back = format!("oci:{}:1", work.path().join("back").display());
    skopeo(&[
        "copy",
        "--insecure-policy",
        "--src-cert-dir",
        &certificates,
        "--src-creds",
        &credentials,
        &remote,
        &back,
    ])
    .await;
    let name = digest(&layer).replace(':', "/");
    assert_eq!(
        std::fs::read(work.path().join("back/blobs").join(name)).unwrap(),
        layer
    );
    cluster.stop().await;
}

fn write_layout(folder: &Path, layer: &[u8], config: &[u8]) {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let manifest = manifest(layer, config).to_string();
    for bytes in [layer, config, manifest.as_bytes()] {
        let name = digest(bytes);
        std::fs::write(blobs.join(name.trim_start_matches("sha256:")), bytes).unwrap();
    }
    std::fs::write(
        folder.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    let index = json!({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": OCI_MANIFEST,
            "digest": digest(manifest.as_bytes()),
            "size": manifest.len(),
            "annotations": {"org.opencontainers.image.ref.name": "1"},
        }],
    });
    std::fs::write(folder.join("index.json"), index.to_string()).unwrap();
}
