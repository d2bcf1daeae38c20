//! Terminals, uploads and logs: what streams for as long as a person, a build or a network takes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use futures::StreamExt;
use openshifter_cluster::{ClusterError, ExecOptions, LogOptions};
use openshifter_objects::GroupKind;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use crate::server::{Server, shown, status};

const SUCCESS: &str = r#"{"metadata":{},"status":"Success"}"#;

fn frame(channel: u8, bytes: &[u8]) -> Message {
    let mut whole = vec![channel];
    whole.extend_from_slice(bytes);
    Message::Binary(Bytes::from(whole))
}

/// Says which size its terminal was given, and ends at the first line.
async fn terminal(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Binary(bytes) = message else {
            continue;
        };
        match bytes.split_first() {
            Some((4, size)) => socket.send(frame(1, size)).await.unwrap(),
            Some((0, _)) => {
                let _ = socket.send(frame(3, SUCCESS.as_bytes())).await;
                return;
            }
            other => panic!("unexpected frame {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_terminal_has_a_size_and_one_stream_of_output() {
    let upgrade = |request: Request| async {
        let query = request.uri().query().unwrap().to_owned();
        assert!(
            query.contains("tty=true") && !query.contains("stderr"),
            "{query}"
        );
        let (mut parts, _) = request.into_parts();
        use axum::extract::FromRequestParts;
        let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
            .await
            .unwrap();
        upgrade
            .protocols(["v5.channel.k8s.io"])
            .on_upgrade(terminal)
    };
    let routes = Router::new().route("/api/v1/namespaces/shop/pods/web/exec", any(upgrade));
    let server = Server::with_routes(routes, |_| None).await;
    let cluster = server.connect().await;
    let options = ExecOptions {
        stdin: true,
        tty: true,
        stderr: true,
        stall: Some(Duration::MAX),
    };
    let command = ["sh".to_owned()];
    let mut exec = cluster
        .exec_with("shop", "web", None, &command, &options)
        .await
        .unwrap();
    assert!(exec.stderr().is_none());
    exec.resizer().unwrap().resize(120, 40);
    let mut size = [0; 25];
    let mut stdout = exec.stdout().unwrap();
    stdout.read_exact(&mut size).await.unwrap();
    let size: serde_json::Value = serde_json::from_slice(&size).unwrap();
    assert_eq!(size, json!({"Width": 120, "Height": 40}));
    let mut stdin = exec.stdin().unwrap();
    stdin.write_all(b"exit\r").await.unwrap();
    assert!(exec.finish().await.unwrap().success());
}

#[tokio::test]
async fn standard_error_may_be_a_stream_of_its_own() {
    async fn talks(mut socket: WebSocket) {
        for message in [
            frame(2, b"war"),
            frame(1, b"out"),
            frame(2, b"ning"),
            frame(3, SUCCESS.as_bytes()),
        ] {
            socket.send(message).await.unwrap();
        }
    }
    let upgrade = |upgrade: WebSocketUpgrade| async {
        upgrade.protocols(["v4.channel.k8s.io"]).on_upgrade(talks)
    };
    let routes = Router::new().route("/api/v1/namespaces/shop/pods/web/exec", any(upgrade));
    let server = Server::with_routes(routes, |_| None).await;
    let cluster = server.connect().await;
    let options = ExecOptions {
        stderr: true,
        ..ExecOptions::default()
    };
    let mut exec = cluster
        .exec_with("shop", "web", None, &["x".to_owned()], &options)
        .await
        .unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    let (mut stdout, mut stderr) = (exec.stdout().unwrap(), exec.stderr().unwrap());
    let (read_out, read_err) = tokio::join!(
        stdout.read_to_string(&mut out),
        stderr.read_to_string(&mut err)
    );
    read_out.unwrap();
    read_err.unwrap();
    assert_eq!((out.as_str(), err.as_str()), ("out", "warning"));
    assert_eq!(exec.finish().await.unwrap().stderr, "warning");
}

const BINARY: &str =
    "/apis/build.openshift.io/v1/namespaces/shop/buildconfigs/web/instantiatebinary";

/// Counts what comes.
async fn takes(request: Request) -> Response {
    let file = request.uri().query().unwrap_or_default().to_owned();
    let mut body = request.into_body().into_data_stream();
    let mut count = 0;
    while let Some(Ok(bytes)) = body.next().await {
        count += bytes.len();
    }
    let build = json!({"apiVersion": "build.openshift.io/v1", "kind": "Build",
        "metadata": {"name": "web-1", "annotations": {"bytes": count.to_string(), "query": file}}});
    (axum::http::StatusCode::CREATED, axum::Json(build)).into_response()
}

fn config() -> GroupKind {
    GroupKind::new("build.openshift.io", "BuildConfig")
}

#[tokio::test]
async fn megabytes_are_uploaded_as_they_are_read() {
    let routes = Router::new().route(BINARY, post(takes));
    let server = Server::with_routes(routes, |_| None).await;
    let cluster = server.connect().await;
    let size = 20_000_001;
    let source = tokio::io::repeat(7).take(size);
    let query = [("asFile", "a b&c".to_owned())];
    let build = cluster
        .upload_subresource(
            &config(),
            Some("shop"),
            "web",
            "instantiatebinary",
            &query,
            source,
        )
        .await
        .unwrap();
    assert_eq!(build.annotation("bytes"), Some(size.to_string().as_str()));
    assert_eq!(build.annotation("query"), Some("asFile=a+b%26c"));
}

/// A file that can be read half-way.
struct Breaks(usize);

impl AsyncRead for Breaks {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0 == 0 {
            return Poll::Ready(Err(io::Error::other(
                "app.py was changed while it was read",
            )));
        }
        self.0 -= 1;
        buf.put_slice(&[1; 1000]);
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_source_that_cannot_be_read_is_named() {
    let routes = Router::new().route(BINARY, post(takes));
    let server = Server::with_routes(routes, |_| None).await;
    let cluster = server.connect().await;
    let error = cluster
        .upload_subresource(
            &config(),
            Some("shop"),
            "web",
            "instantiatebinary",
            &[],
            Breaks(500),
        )
        .await
        .unwrap_err();
    assert!(matches!(error, ClusterError::Upload { .. }), "{error:?}");
    insta::assert_snapshot!(error.to_string(), @"prod: cannot create instantiatebinary of BuildConfig.build.openshift.io/web in namespace shop: app.py was changed while it was read");
}

#[tokio::test]
async fn a_refusal_is_told_although_the_upload_is_under_way() {
    let refuse = || async { status(422, "Invalid", "unable to find latest tagged image").unwrap() };
    let routes = Router::new().route(BINARY, post(refuse));
    let server = Server::with_routes(routes, |_| None).await;
    let cluster = server.connect().await;
    let endless = tokio::io::repeat(7);
    let error = cluster
        .upload_subresource(
            &config(),
            Some("shop"),
            "web",
            "instantiatebinary",
            &[],
            endless,
        )
        .await
        .unwrap_err();
    assert!(error.is_invalid(), "{}", shown(&error, &server));
}

#[tokio::test]
async fn a_log_is_read_as_it_is_written() {
    let (sender, receiver) = tokio::sync::mpsc::channel::<io::Result<Bytes>>(1);
    let receiver = std::sync::Arc::new(std::sync::Mutex::new(Some(receiver)));
    let log = move |request: Request| {
        let receiver = receiver.lock().unwrap().take().unwrap();
        async move {
            let query = request.uri().query().unwrap().to_owned();
            assert_eq!(query, "container=main&follow=true&tailLines=5");
            Body::from_stream(futures::stream::unfold(receiver, |mut receiver| async {
                Some((receiver.recv().await?, receiver))
            }))
        }
    };
    let routes = Router::new().route("/api/v1/namespaces/shop/pods/web/log", get(log));
    let server = Server::with_routes(routes, |_| None).await;
    let cluster = server.connect().await;
    let options = LogOptions {
        follow: true,
        tail: Some(5),
        ..LogOptions::default()
    };
    let mut log = cluster
        .pod_log("shop", "web", Some("main"), &options)
        .await
        .unwrap();
    for line in ["first\n", "second\n"] {
        sender.send(Ok(Bytes::from(line))).await.unwrap();
        assert_eq!(log.chunk().await.unwrap().unwrap(), line);
    }
    drop(sender);
    assert_eq!(log.chunk().await.unwrap(), None);
}

#[tokio::test]
async fn a_build_that_has_not_started_has_no_log() {
    let server = Server::start(|asked| {
        (asked.path == "/apis/build.openshift.io/v1/namespaces/shop/builds/web-1/log").then(|| {
            status(
                400,
                "BadRequest",
                "build web-1 is in an error state. No logs are available.",
            )
            .unwrap()
        })
    })
    .await;
    let cluster = server.connect().await;
    let error = cluster
        .build_log("shop", "web-1", &LogOptions::default())
        .await
        .unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"prod: cannot read the log of Build/web-1 in namespace shop: build web-1 is in an error state. No logs are available. (400 BadRequest)");
}
