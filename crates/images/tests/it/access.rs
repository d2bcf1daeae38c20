//! The way to a cluster's own registry: exposed, or through the API server.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures::{SinkExt, StreamExt};
use openshifter_cluster::{Access, Cluster, Credentials, Trust};
use openshifter_images::{
    ClusterRegistry, CopyOptions, ImagesError, Platforms, RegistryAccess, Wanted, copy,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::images::seed;
use crate::inspect::raw;
use crate::server::{Server, plain, tuning};

const NAMESPACE: &str = "/api/v1/namespaces/openshift-image-registry";

/// What a cluster says of its registry.
#[derive(Clone, Default)]
struct Cast {
    /// Where the registry listens.
    registry: String,
    /// The CA of services.
    ca: String,
    /// Host under which ImageStreams say that it is exposed.
    exposed: Option<String>,
    /// Whether the user may look into the registry's project.
    allowed: bool,
}

/// An API server; ends with its value.
struct Api {
    handle: axum_server::Handle<std::net::SocketAddr>,
    cluster: Cluster,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

impl Api {
    async fn start(cast: Cast) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cast = Arc::new(cast);
        let forward = cast.clone();
        let router = Router::new()
            .route(
                &format!("{NAMESPACE}/pods/registry-1/portforward"),
                any(move |upgrade: WebSocketUpgrade| async move {
                    upgrade
                        .protocols(["v4.channel.k8s.io"])
                        .on_upgrade(move |socket| bridge(socket, forward.registry.clone()))
                }),
            )
            .fallback(move |request: Request| {
                let cast = cast.clone();
                async move { answer(&cast, request.uri().path()) }
            });
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let config = axum_server::tls_rustls::RustlsConfig::from_config(Arc::new(config));
        let handle = axum_server::Handle::<std::net::SocketAddr>::new();
        tokio::spawn(
            axum_server::bind_rustls("127.0.0.1:0".parse().unwrap(), config)
                .handle(handle.clone())
                .serve(router.into_make_service()),
        );
        let address = handle.listening().await.unwrap();
        let access = Access {
            name: "prod".into(),
            base: Access::parse_base(&address.to_string()).unwrap(),
            trust: Trust {
                ca_pem: Some(made.cert.pem().into_bytes()),
                ..Trust::default()
            },
            credentials: Credentials::Token("sha256~geheim".into()),
        };
        let cluster = Cluster::connect(&access).await.unwrap();
        Self { handle, cluster }
    }
}

fn answer(cast: &Cast, path: &str) -> Response {
    let status = |code: StatusCode| {
        let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "code": code.as_u16(),
            "reason": if code == StatusCode::NOT_FOUND { "NotFound" } else { "Forbidden" }});
        (code, axum::Json(body)).into_response()
    };
    let ok = |value: Value| axum::Json(value).into_response();
    if (path.contains("/namespaces/openshift-image-registry/")
        || path.contains("/namespaces/default/"))
        && !cast.allowed
    {
        return status(StatusCode::FORBIDDEN);
    }
    match path {
        "/api" => (
            [("content-type", "application/json")],
            include_str!("../../../cluster/tests/fixtures/discovery-api.json"),
        )
            .into_response(),
        "/apis" => (
            [("content-type", "application/json")],
            include_str!("../../../cluster/tests/fixtures/discovery-apis.json"),
        )
            .into_response(),
        "/api/v1/namespaces/shop/configmaps/openshift-service-ca.crt" => {
            ok(json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "openshift-service-ca.crt", "namespace": "shop"}, "data": {"service-ca.crt": cast.ca}}))
        }
        "/api/v1/namespaces/openshift-image-registry/services/image-registry" => {
            ok(json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "image-registry", "namespace": "openshift-image-registry"},
            "spec": {"selector": {"docker-registry": "default"}, "ports": [{"name": "5000-tcp", "port": 5000, "targetPort": 5000}]}}))
        }
        "/api/v1/namespaces/openshift-image-registry/pods" => ok(
            json!({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": [
            {"metadata": {"name": "registry-1", "namespace": "openshift-image-registry"}, "spec": {"containers": []},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]}}]}),
        ),
        "/apis/image.openshift.io/v1/namespaces/openshift/imagestreams" => {
            let mut status = json!({"dockerImageRepository": "image-registry.openshift-image-registry.svc:5000/openshift/cli"});
            if let Some(host) = &cast.exposed {
                status["publicDockerImageRepository"] = format!("{host}/openshift/cli").into();
            }
            ok(
                json!({"apiVersion": "image.openshift.io/v1", "kind": "ImageStreamList", "metadata": {},
                "items": [{"metadata": {"name": "cli", "namespace": "openshift"}, "status": status}]}),
            )
        }
        _ => status(StatusCode::NOT_FOUND),
    }
}

/// A port of a pod, as a kubelet forwards it.
async fn bridge(socket: WebSocket, address: String) {
    let (mut sink, mut stream) = socket.split();
    let frame = |channel: u8, bytes: &[u8]| {
        let mut whole = vec![channel];
        whole.extend_from_slice(bytes);
        Message::Binary(Bytes::from(whole))
    };
    for channel in [0, 1] {
        sink.send(frame(channel, &5000_u16.to_le_bytes()))
            .await
            .unwrap();
    }
    let (mut from, mut to) = tokio::net::TcpStream::connect(address)
        .await
        .unwrap()
        .into_split();
    let down = async {
        let mut block = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut block).await {
            if sink.send(frame(0, &block[..read])).await.is_err() {
                return;
            }
        }
        let _ = sink.close().await;
    };
    let up = async {
        while let Some(Ok(message)) = stream.next().await {
            if let Message::Binary(bytes) = message
                && to.write_all(&bytes[1..]).await.is_err()
            {
                return;
            }
        }
    };
    tokio::select! { () = down => {}, () = up => {} }
}

fn access() -> RegistryAccess {
    RegistryAccess {
        namespace: Some("shop".into()),
        tuning: tuning(),
        ..RegistryAccess::default()
    }
}

#[tokio::test]
async fn a_registry_that_is_not_exposed_is_reached_through_the_api_server() {
    let host = "image-registry.openshift-image-registry.svc";
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cert"), made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("key"), made.signing_key.serialize_pem()).unwrap();
    let tls = format!(
        "  tls:\n    certificate: {0}/cert\n    key: {0}/key\n",
        folder.path().display()
    );
    let internal = Server::configured(&tls, "");
    let api = Api::start(Cast {
        registry: internal.address.clone(),
        ca: made.cert.pem(),
        allowed: true,
        ..Cast::default()
    })
    .await;
    let found = ClusterRegistry::find(&api.cluster, &access())
        .await
        .unwrap();
    assert!(found.is_forwarded());
    assert_eq!(found.registry().name(), format!("{host}:5000"));

    let from = Server::start();
    let (digest, _) = seed(&from, "a:1");
    let survey = from
        .repository("a")
        .await
        .survey(&Wanted::tag("1"), &Platforms::All)
        .await
        .unwrap();
    let there = found.registry().repository("shop/a").unwrap();
    copy(&survey, &there, Some("1"), &CopyOptions::default())
        .await
        .unwrap();
    let back = Server::start();
    let survey = there
        .survey(&Wanted::digest(digest), &Platforms::All)
        .await
        .unwrap();
    copy(
        &survey,
        &back.repository("b").await,
        Some("1"),
        &CopyOptions::default(),
    )
    .await
    .unwrap();
    assert_eq!(
        raw(&format!("docker://{}/b:1", back.address)),
        raw(&format!("docker://{}/a:1", from.address))
    );

    // Without the cluster's service CA its certificate is not believed.
    let api = Api::start(Cast {
        registry: internal.address.clone(),
        allowed: true,
        ..Cast::default()
    })
    .await;
    let error = ClusterRegistry::find(&api.cluster, &access())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("its certificate is not trusted"),
        "{error}"
    );
}

#[tokio::test]
async fn an_old_registry_without_tls_is_reached_in_the_same_way() {
    let internal = Server::start();
    let api = Api::start(Cast {
        registry: internal.address.clone(),
        allowed: true,
        ..Cast::default()
    })
    .await;
    let found = ClusterRegistry::find(&api.cluster, &access())
        .await
        .unwrap();
    seed(&internal, "shop/a:1");
    let there = found.registry().repository("shop/a").unwrap();
    let survey = there
        .survey(&Wanted::tag("1"), &Platforms::All)
        .await
        .unwrap();

    // By another way to the same registry, no byte has to be sent.
    let other = ClusterRegistry::find(&api.cluster, &access())
        .await
        .unwrap();
    let here = other.registry().repository("live/a").unwrap();
    let copied = copy(&survey, &here, Some("1"), &CopyOptions::default())
        .await
        .unwrap();
    assert_eq!((copied.copied, copied.mounted), (0, 3));
}

#[tokio::test]
async fn an_exposed_registry_is_taken_as_it_is() {
    let exposed = Server::start();
    let api = Api::start(Cast {
        exposed: Some(exposed.address.clone()),
        ..Cast::default()
    })
    .await;
    let access = RegistryAccess {
        trust: plain(),
        ..access()
    };
    let found = ClusterRegistry::find(&api.cluster, &access).await.unwrap();
    assert!(!found.is_forwarded());
    assert_eq!(found.registry().name(), exposed.address);
}

#[tokio::test]
async fn each_way_that_is_none_is_named() {
    let api = Api::start(Cast::default()).await;
    let error = ClusterRegistry::find(&api.cluster, &access())
        .await
        .unwrap_err();
    assert!(matches!(error, ImagesError::NoWay { .. }));
    insta::assert_snapshot!(error.to_string(), @"prod: there is no way to its registry: it is not exposed; through the API server: prod: cannot get Service/image-registry in namespace openshift-image-registry: no (403 Forbidden); through the API server: prod: cannot get Service/docker-registry in namespace default: no (403 Forbidden)");
}
