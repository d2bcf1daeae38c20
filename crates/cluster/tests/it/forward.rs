//! Ports of pods: their bytes, and why there are none.

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::any;
use openshifter_cluster::Cluster;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{Server, ok, shown};

/// Serves the port of pod `web-2`, which is the only one of its service that is ready.
async fn serve<F>(session: fn(WebSocket) -> F) -> (Server, Cluster)
where
    F: Future<Output = ()> + Send + 'static,
{
    let upgrade = move |upgrade: WebSocketUpgrade| async move {
        upgrade.protocols(["v4.channel.k8s.io"]).on_upgrade(session)
    };
    let routes = Router::new().route(
        "/api/v1/namespaces/shop/pods/web-2/portforward",
        any(upgrade),
    );
    let server = Server::with_routes(routes, |asked| {
        let pod = |name: &str, ready: &str| {
            json!({"metadata": {"name": name, "namespace": "shop"},
                "spec": {"containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 8443}]}]},
                "status": {"conditions": [{"type": "Ready", "status": ready}]}})
        };
        match asked.path.as_str() {
            "/api/v1/namespaces/shop/services/web" => ok(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
                "spec": {"selector": {"app": "web"}, "ports": [{"port": 5000, "targetPort": "http"}]}})),
            "/api/v1/namespaces/shop/pods" => {
                assert_eq!(asked.query["labelSelector"], "app=web");
                ok(json!({"apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "1"},
                    "items": [pod("web-1", "False"), pod("web-2", "True")]}))
            }
            _ => None,
        }
    })
    .await;
    let cluster = server.connect().await;
    (server, cluster)
}

fn frame(channel: u8, bytes: &[u8]) -> Message {
    let mut whole = vec![channel];
    whole.extend_from_slice(bytes);
    Message::Binary(Bytes::from(whole))
}

async fn begin(socket: &mut WebSocket) {
    for channel in [0, 1] {
        socket
            .send(frame(channel, &8443_u16.to_le_bytes()))
            .await
            .unwrap();
    }
}

/// Sends back what comes.
async fn echo(mut socket: WebSocket) {
    begin(&mut socket).await;
    while let Some(Ok(message)) = socket.recv().await {
        if let Message::Binary(bytes) = message {
            assert_eq!(bytes[0], 0);
            socket.send(frame(0, &bytes[1..])).await.unwrap();
        }
    }
}

async fn refuse(mut socket: WebSocket) {
    begin(&mut socket).await;
    let text = "error forwarding port 8443 to pod: connection refused";
    let _ = socket.send(frame(1, text.as_bytes())).await;
}

#[tokio::test]
async fn bytes_go_to_a_ready_pod_and_come_back() {
    let (_server, cluster) = serve(echo).await;
    let forward = cluster.forward_service("shop", "web", 5000).await.unwrap();
    assert!(forward.address().ip().is_loopback());
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
    let connections = (0..2).map(|_| {
        let (address, sent) = (forward.address(), sent.clone());
        async move {
            let (mut from, mut to) = TcpStream::connect(address).await.unwrap().into_split();
            let mut back = vec![0; sent.len()];
            let (sending, reading) = tokio::join!(to.write_all(&sent), from.read_exact(&mut back));
            sending.unwrap();
            reading.unwrap();
            assert!(back == sent);
        }
    });
    futures::future::join_all(connections).await;
    let address = forward.address();
    drop(forward);
    // The listener goes with it, as soon as the runtime gets to it.
    tokio::time::timeout(std::time::Duration::from_secs(30), async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_the_pod_refuses_is_told() {
    let (_server, cluster) = serve(refuse).await;
    let forward = cluster.forward_pod("shop", "web-2", 8443).await.unwrap();
    let mut stream = TcpStream::connect(forward.address()).await.unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
    tokio::time::timeout(std::time::Duration::from_secs(30), async {
        while forward.failure().is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(
        forward.failure().unwrap(),
        "error forwarding port 8443 to pod: connection refused"
    );
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let (server, cluster) = serve(echo).await;
    let mut texts = Vec::new();
    for (service, port) in [("gone", 5000), ("web", 80)] {
        let error = cluster
            .forward_service("shop", service, port)
            .await
            .unwrap_err();
        texts.push(shown(&error, &server));
    }
    texts.push(shown(
        &cluster
            .forward_pod("shop", "web-1", 8443)
            .await
            .unwrap_err(),
        &server,
    ));
    insta::assert_snapshot!(texts.join("\n"));
}

#[tokio::test]
async fn the_token_of_the_credentials_can_be_used_elsewhere() {
    let (_server, cluster) = serve(echo).await;
    let token = cluster.bearer_token().await.unwrap().unwrap();
    assert_eq!(
        openshifter_cluster::ExposeSecret::expose_secret(&token),
        "t"
    );
}
