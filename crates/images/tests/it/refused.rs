//! What cannot be copied is named before anything is written.

use openshifter_images::{
    Digest, ImagesError, Platforms, Registry, RegistryCredentials, RegistryEndpoint, RegistryTrust,
    Wanted,
};
use serde_json::json;

use crate::images::{DOCKER, Maker, OCI, seed};
use crate::proxy::{Fault, Proxy};
use crate::server::{Server, plain, repository, tuning};

#[tokio::test]
async fn images_and_parts_that_are_gone() {
    let from = Server::start();
    let (digest, large) = seed(&from, "a:1");
    let source = from.repository("a").await;
    let survey = async |wanted: Wanted| source.survey(&wanted, &Platforms::All).await.unwrap_err();
    let mut texts = vec![
        survey(Wanted::tag("2")).await.to_string(),
        survey(Wanted::digest(Digest::of(b"gone")))
            .await
            .to_string(),
        survey(Wanted {
            tag: Some("1".into()),
            digest: Some(Digest::of(b"planned")),
        })
        .await
        .to_string(),
    ];
    std::fs::remove_file(from.blob(&large.hex())).unwrap();
    texts.push(survey(Wanted::digest(digest)).await.to_string());
    insta::assert_snapshot!(texts.join("\n").replace(&from.address, "SOURCE"), @r"
    the image SOURCE/a:2 is not there
    the image SOURCE/a@sha256:283bb9deef02e6843abfb538efa1eca70801bd8a701c3f98191e123496339247 is not there
    the tag of SOURCE/a:1 has moved: it was sha256:9b0f1b10aff55228716a1fbbc59bda8fe735ed14ccd5e2c5226a9ab72a48d47e in the plan and is sha256:c2cfbd46b62615955079a59ffe9d9b94dd141a8bd40e8285640ed138b52605fa now
    SOURCE: the blob sha256:661d02b694d3883c0d01eb2ca1c9ed96a36d1ca831bf112dbdc6fa11f0bf1a36 of SOURCE/a@sha256:c2cfbd46b62615955079a59ffe9d9b94dd141a8bd40e8285640ed138b52605fa is missing
    ");
}

#[tokio::test]
async fn a_tag_that_is_gone_does_not_matter_where_the_digest_is_there() {
    let from = Server::start();
    let (digest, _) = seed(&from, "a:1");
    let source = from.repository("a").await;
    let wanted = Wanted {
        tag: Some("2".into()),
        digest: Some(digest),
    };
    assert_eq!(
        source
            .survey(&wanted, &Platforms::All)
            .await
            .unwrap()
            .digest(),
        digest
    );
}

#[tokio::test]
async fn the_manifest_that_a_pod_runs_is_what_the_tags_index_lists() {
    let from = Server::start();
    let maker = Maker::new();
    let image = |seed| maker.image(&OCI, "amd64", &[maker.layer(&OCI, seed, 1000, false)]);
    let (listed, other) = (image(7), image(8));
    let digest =
        |of: &serde_json::Value| -> Digest { of["digest"].as_str().unwrap().parse().unwrap() };
    let index = maker.index(&OCI, &[("amd64", listed.clone())]);
    maker.push(&index, &from, "a:1");
    maker.push(&other, &from, "a:2");
    let source = from.repository("a").await;
    let survey = async |digest: Digest| {
        let wanted = Wanted {
            tag: Some("1".into()),
            digest: Some(digest),
        };
        source.survey(&wanted, &Platforms::All).await
    };
    assert_eq!(
        survey(digest(&listed)).await.unwrap().digest(),
        digest(&listed)
    );
    let moved = survey(digest(&other)).await.unwrap_err();
    assert!(matches!(moved, ImagesError::TagMoved { .. }), "{moved}");
}

/// A manifest that no registry of today would take, as one of its time served it.
async fn served(media_type: &'static str, text: String) -> ImagesError {
    let from = Server::start();
    seed(&from, "a:1");
    let proxy = Proxy::start(&from.address, move |asked| {
        if asked.is("GET", "/manifests/old") {
            Fault::Answer(
                200,
                vec![("content-type", media_type.to_owned())],
                text.clone(),
            )
        } else {
            Fault::Pass
        }
    })
    .await;
    let source = repository(&proxy.address, "a").await;
    source
        .survey(&Wanted::tag("old"), &Platforms::All)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn manifests_of_other_kinds() {
    let error = served(
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        json!({"schemaVersion": 1, "name": "a", "tag": "old", "fsLayers": [], "signatures": []})
            .to_string(),
    )
    .await;
    assert!(
        matches!(&error, ImagesError::UnsupportedManifest { media_type, .. } if media_type.contains("v1+prettyjws")),
        "{error}"
    );
    let part =
        |media_type: &str| json!({"mediaType": media_type, "digest": Digest::of(b"x"), "size": 1});
    let error = served(
        DOCKER.manifest,
        json!({"schemaVersion": 2, "mediaType": DOCKER.manifest, "config": part("application/vnd.docker.container.image.v1+json"),
            "layers": [part("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")]})
        .to_string(),
    )
    .await;
    assert!(
        matches!(&error, ImagesError::ForeignLayer { digest, .. } if *digest == Digest::of(b"x")),
        "{error}"
    );
    let error = served("text/html", "<html>".to_owned()).await;
    assert!(matches!(error, ImagesError::BadManifest { .. }), "{error}");
}

#[tokio::test]
async fn statements_about_an_image_go_with_it() {
    let (from, to) = (Server::start(), Server::start());
    let maker = Maker::new();
    let image = maker.image(&OCI, "amd64", &[maker.layer(&OCI, 5, 1000, false)]);
    let statement = maker.blob(
        "application/vnd.in-toto+json",
        br#"{"_type":"https://in-toto.io/Statement/v0.1"}"#,
    );
    let config = maker.blob("application/vnd.oci.image.config.v1+json", b"{}");
    let about = json!({"schemaVersion": 2, "mediaType": OCI.manifest, "config": config, "layers": [statement]});
    let mut about = maker.blob(OCI.manifest, about.to_string().as_bytes());
    about["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image["digest"]});
    let index = maker.index(&OCI, &[("amd64", image), ("unknown", about)]);
    maker.push(&index, &from, "a:1");
    let survey = from
        .repository("a")
        .await
        .survey(&Wanted::tag("1"), &Platforms::All)
        .await
        .unwrap();
    openshifter_images::copy(
        &survey,
        &to.repository("a").await,
        Some("1"),
        &Default::default(),
    )
    .await
    .unwrap();
    let raw =
        |server: &Server| crate::inspect::read_whole(&format!("docker://{}/a:1", server.address));
    assert_eq!(raw(&to), raw(&from));
}

async fn connect(address: &str, trust: RegistryTrust) -> Result<Registry, ImagesError> {
    let endpoint = RegistryEndpoint::parse(address, trust)?;
    Registry::connect_tuned(&endpoint, RegistryCredentials::Anonymous, tuning()).await
}

#[tokio::test]
async fn plain_http_needs_leave() {
    let from = Server::start();
    for address in [from.address.clone(), format!("http://{}", from.address)] {
        let error = connect(&address, RegistryTrust::default())
            .await
            .unwrap_err();
        assert!(matches!(error, ImagesError::PlainHttp { .. }), "{error}");
        connect(&address, plain()).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_registry_is_told() {
    let from = Server::start();
    let proxy = Proxy::start(&from.address, |_| Fault::Answer(404, vec![], String::new())).await;
    let error = connect(&proxy.address, plain()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("there is no registry at this address"),
        "{error}"
    );
    // None of the ports that the system hands out: nobody listens there.
    let error = connect("127.0.0.1:1", plain()).await.unwrap_err();
    assert!(matches!(error, ImagesError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn certificates_are_verified() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cert"), made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("key"), made.signing_key.serialize_pem()).unwrap();
    let tls = format!(
        "  tls:\n    certificate: {0}/cert\n    key: {0}/key\n",
        folder.path().display()
    );
    let from = Server::configured(&tls, "");
    let port = from.address.rsplit_once(':').unwrap().1;
    let address = format!("localhost:{port}");
    let trusted = RegistryTrust {
        ca_pem: Some(made.cert.pem().into_bytes()),
        ..RegistryTrust::default()
    };
    connect(&address, trusted.clone()).await.unwrap();
    let insecure = RegistryTrust {
        insecure: true,
        ..RegistryTrust::default()
    };
    connect(&address, insecure).await.unwrap();
    let error = connect(&address, RegistryTrust::default())
        .await
        .unwrap_err();
    assert!(matches!(error, ImagesError::Untrusted { .. }), "{error}");
    // By its address the certificate is one of another name.
    let error = connect(&from.address, trusted).await.unwrap_err();
    assert!(matches!(error, ImagesError::Untrusted { .. }), "{error}");
}

#[tokio::test]
async fn a_redirect_to_plain_http_is_not_followed() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let router = axum::Router::new()
        .route("/v2/", axum::routing::get(|| async { "{}" }))
        .fallback(|| async {
            (
                http::StatusCode::TEMPORARY_REDIRECT,
                [("location", "http://elsewhere.example/blob?signature=geheim")],
            )
        });
    let config = axum_server::tls_rustls::RustlsConfig::from_pem(
        made.cert.pem().into_bytes(),
        made.signing_key.serialize_pem().into_bytes(),
    )
    .await
    .unwrap();
    let handle = axum_server::Handle::<std::net::SocketAddr>::new();
    tokio::spawn(
        axum_server::bind_rustls("127.0.0.1:0".parse().unwrap(), config)
            .handle(handle.clone())
            .serve(router.into_make_service()),
    );
    let address = handle.listening().await.unwrap().to_string();
    let trust = RegistryTrust {
        ca_pem: Some(made.cert.pem().into_bytes()),
        ..RegistryTrust::default()
    };
    let registry = connect(&address, trust).await.unwrap();
    let repository = registry.repository("a").unwrap();
    let error = repository
        .survey(&Wanted::tag("1"), &Platforms::All)
        .await
        .unwrap_err();
    handle.shutdown();
    let text = format!("{error} {error:?}");
    assert!(matches!(error, ImagesError::PlainHttp { .. }), "{text}");
    assert!(
        text.contains("http://elsewhere.example/blob") && !text.contains("geheim"),
        "{text}"
    );
}
