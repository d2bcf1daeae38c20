//! Commands in containers: their bytes, their end, and the ways in which there is none.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use openshifter_cluster::{Cluster, ClusterError, Exec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{Server, shown, status};

const SUCCESS: &str = r#"{"metadata":{},"status":"Success"}"#;
const EXIT_3: &str = r#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: command terminated with exit code 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#;
const NO_TAR: &str = r#"{"metadata":{},"status":"Failure","message":"Internal error occurred: error executing command in container: exec: \"tar\": executable file not found in $PATH: unknown","reason":"InternalError","code":500}"#;

/// Serves exec in pod `web` of `shop` with the given session.
async fn serve<F>(protocols: &'static [&'static str], session: fn(WebSocket) -> F) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    let upgrade = move |upgrade: WebSocketUpgrade| async move {
        let upgrade = upgrade.protocols(protocols.iter().copied());
        upgrade.on_upgrade(session)
    };
    let routes = Router::new().route("/api/v1/namespaces/shop/pods/web/exec", any(upgrade));
    Server::with_routes(routes, |_| None).await
}

const V5: &[&str] = &["v5.channel.k8s.io"];
const V4: &[&str] = &["v4.channel.k8s.io"];

fn frame(channel: u8, bytes: &[u8]) -> Message {
    let mut whole = vec![channel];
    whole.extend_from_slice(bytes);
    Message::Binary(Bytes::from(whole))
}

async fn run(cluster: &Cluster, stdin: bool) -> Exec {
    let command = ["tar".to_owned(), "-c".to_owned()];
    cluster
        .exec("shop", "web", Some("main"), &command, stdin)
        .await
        .unwrap()
}

async fn output(exec: &mut Exec) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    exec.stdout().unwrap().read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// What a genuine server does for `echo out; echo err >&2; exit 3`.
async fn exits(mut socket: WebSocket) {
    for message in [
        frame(1, b""),
        frame(1, b"out\n"),
        frame(2, b"err\n"),
        frame(3, EXIT_3.as_bytes()),
    ] {
        socket.send(message).await.unwrap();
    }
    let close = CloseFrame {
        code: 1000,
        reason: "".into(),
    };
    let _ = socket.send(Message::Close(Some(close))).await;
}

#[tokio::test]
async fn a_command_ends_with_its_exit_code() {
    for protocols in [V5, V4] {
        let server = serve(protocols, exits).await;
        let cluster = server.connect().await;
        let mut exec = run(&cluster, false).await;
        assert_eq!(exec.can_close_stdin(), protocols == V5);
        assert!(exec.stdin().is_none());
        assert_eq!(output(&mut exec).await.unwrap(), b"out\n");
        let outcome = exec.finish().await.unwrap();
        assert_eq!((outcome.exit_code, outcome.stderr.as_str()), (3, "err\n"));
    }
}

/// `cat`: gives back what it gets until the input is closed.
async fn cat(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Binary(bytes) = message else {
            continue;
        };
        match bytes[..] {
            [255, 0] => {
                let _ = socket.send(frame(3, SUCCESS.as_bytes())).await;
                return;
            }
            [0, ..] => socket.send(frame(1, &bytes[1..])).await.unwrap(),
            _ => panic!("unexpected frame"),
        }
    }
}

#[tokio::test]
async fn megabytes_go_both_ways_at_once() {
    let server = serve(V5, cat).await;
    let cluster = server.connect().await;
    let mut exec = run(&cluster, true).await;
    let sent: Vec<u8> = (0..8_000_003_u32).map(|n| (n % 251) as u8).collect();
    let mut stdin = exec.stdin().unwrap();
    let write = async {
        stdin.write_all(&sent).await.unwrap();
        stdin.shutdown().await.unwrap();
    };
    let ((), read) = tokio::join!(write, output(&mut exec));
    assert!(read.unwrap() == sent);
    assert!(exec.finish().await.unwrap().success());
}

#[tokio::test]
async fn input_that_nobody_took_is_closed() {
    let server = serve(V5, cat).await;
    let cluster = server.connect().await;
    let exec = run(&cluster, true).await;
    assert!(exec.finish().await.unwrap().success());
}

#[tokio::test]
async fn input_that_is_dropped_half_way_never_counts_as_whole() {
    let server = serve(V5, cat).await;
    let cluster = server.connect().await;
    let mut exec = run(&cluster, true).await;
    let mut stdin = exec.stdin().unwrap();
    stdin.write_all(b"half of").await.unwrap();
    drop(stdin);
    let error = exec.finish().await.unwrap_err();
    assert!(matches!(error, ClusterError::ExecInputAbandoned { .. }));
    insta::assert_snapshot!(shown(&error, &server), @"prod: the input of `tar` in Pod/web in namespace shop was given up before its end");
}

/// `head -c 5 | cat` on a server that cannot close the input.
async fn bounded(mut socket: WebSocket) {
    let mut got = Vec::new();
    while got.len() < 5 {
        match socket.recv().await {
            Some(Ok(Message::Binary(bytes))) if bytes[0] == 0 => got.extend_from_slice(&bytes[1..]),
            Some(Ok(_)) => {}
            _ => return,
        }
    }
    let _ = socket.send(frame(1, &got)).await;
    let _ = socket.send(frame(3, SUCCESS.as_bytes())).await;
}

#[tokio::test]
async fn on_v4_the_connection_stays_open_after_the_input() {
    let server = serve(V4, bounded).await;
    let cluster = server.connect().await;
    let mut exec = run(&cluster, true).await;
    let mut stdin = exec.stdin().unwrap();
    stdin.write_all(b"hello").await.unwrap();
    stdin.shutdown().await.unwrap();
    assert_eq!(output(&mut exec).await.unwrap(), b"hello");
    assert!(exec.finish().await.unwrap().success());
}

/// The connection ends in the middle of the output, without a status, as when a node or a proxy dies.
async fn torn(mut socket: WebSocket) {
    socket.send(frame(1, b"half of a tar")).await.unwrap();
}

#[tokio::test]
async fn a_torn_connection_is_never_an_end() {
    let server = serve(V5, torn).await;
    let cluster = server.connect().await;
    let mut exec = run(&cluster, false).await;
    let error = output(&mut exec).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    let error = exec.finish().await.unwrap_err();
    assert!(matches!(error, ClusterError::ExecTorn { .. }), "{error}");
    // The reason differs with how the socket went down.
    let text = error.to_string();
    let start =
        "prod: the connection to `tar` in Pod/web in namespace shop was torn before its end: ";
    assert!(text.starts_with(start), "{text}");
}

/// A polite end without a status.
async fn closed(mut socket: WebSocket) {
    socket.send(frame(1, b"out")).await.unwrap();
    let close = CloseFrame {
        code: 1000,
        reason: "".into(),
    };
    socket.send(Message::Close(Some(close))).await.unwrap();
}

#[tokio::test]
async fn a_close_frame_alone_proves_nothing() {
    let server = serve(V5, closed).await;
    let cluster = server.connect().await;
    let error = run(&cluster, false).await.finish().await.unwrap_err();
    insta::assert_snapshot!(shown(&error, &server), @r"
    prod: the connection to `tar` in Pod/web in namespace shop was torn before its end: the server closed it without a status
    hint: try again; what arrived so far is incomplete
    ");
}

#[tokio::test]
async fn a_dropped_command_gives_its_reader_an_error() {
    let server = serve(V5, cat).await;
    let cluster = server.connect().await;
    let mut exec = run(&cluster, true).await;
    let mut stdout = exec.stdout().unwrap();
    drop(exec);
    let error = stdout.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
}

/// Says something, then nothing for ever.
async fn stalls(mut socket: WebSocket) {
    socket.send(frame(1, b"out")).await.unwrap();
    while let Some(Ok(_)) = socket.recv().await {}
}

#[tokio::test]
async fn a_stall_is_noticed() {
    let server = serve(V5, stalls).await;
    let cluster = server.connect().await;
    let start = Instant::now();
    let error = run(&cluster, false).await.finish().await.unwrap_err();
    insta::assert_snapshot!(shown(&error, &server), @r"
    prod: `tar` in Pod/web in namespace shop stalled: no byte came or went for 2 s
    hint: try again; what arrived so far is incomplete
    ");
    // The limit is one of two seconds; a busy machine may take longer to say so.
    assert!(start.elapsed() < Duration::from_secs(60));
}

/// More output than all buffers hold, then a status.
async fn talks(mut socket: WebSocket) {
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..32 {
        if socket.send(frame(1, &piece)).await.is_err() {
            return;
        }
    }
    let _ = socket.send(frame(3, SUCCESS.as_bytes())).await;
}

#[tokio::test]
async fn output_that_nobody_reads_holds_up_nothing() {
    let server = serve(V5, talks).await;
    let cluster = server.connect().await;
    assert!(run(&cluster, false).await.finish().await.unwrap().success());
    // Also when it was taken and dropped.
    let mut exec = run(&cluster, false).await;
    drop(exec.stdout());
    assert!(exec.finish().await.unwrap().success());
}

#[tokio::test]
async fn output_that_is_held_and_not_read_is_named_as_the_stall() {
    let server = serve(V5, talks).await;
    let cluster = server.connect().await;
    let mut exec = run(&cluster, false).await;
    let _held = exec.stdout().unwrap();
    let error = exec.finish().await.unwrap_err();
    insta::assert_snapshot!(shown(&error, &server), @r"
    prod: `tar` in Pod/web in namespace shop stalled: nobody read its output for 2 s
    hint: try again; what arrived so far is incomplete
    ");
}

/// The container runtime finds no such program.
async fn no_program(mut socket: WebSocket) {
    let _ = socket.send(frame(3, NO_TAR.as_bytes())).await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let server = serve(V5, no_program).await;
    let cluster = server.connect().await;
    let error = run(&cluster, false).await.finish().await.unwrap_err();
    insta::assert_snapshot!(shown(&error, &server), @r#"
    prod: cannot run `tar` in Pod/web in namespace shop: Internal error occurred: error executing command in container: exec: "tar": executable file not found in $PATH: unknown
    hint: check that the container runs and has this program
    "#);
}

#[tokio::test]
async fn pods_and_containers_that_cannot_run_it_are_told_apart() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "/api/v1/namespaces/shop/pods/done/exec" => Some(plain_500()),
        "/api/v1/namespaces/shop/pods/web/exec" => {
            status(400, "BadRequest", "container nope is not valid for pod web")
        }
        "/api/v1/namespaces/shop/pods/none/exec" => {
            status(404, "NotFound", "pods \"none\" not found")
        }
        _ => None,
    })
    .await;
    let cluster = server.connect().await;
    let mut texts = Vec::new();
    for pod in ["done", "web", "none"] {
        let command = ["true".to_owned()];
        let result = cluster.exec("shop", pod, None, &command, false).await;
        let error = result.err().unwrap();
        texts.push(shown(&error, &server));
    }
    insta::assert_snapshot!(texts.join("\n"), @r#"
    prod: cannot run `true` in Pod/done in namespace shop: container not found ("a")
    hint: check that the container runs and has this program
    prod: cannot run `true` in Pod/web in namespace shop: container nope is not valid for pod web (400 BadRequest)
    prod: cannot run `true` in Pod/none in namespace shop: pods "none" not found (404 NotFound)
    "#);
    // A kubelet's 500 is an answer, no trouble: it is not asked again.
    assert_eq!(
        server.count("GET", "/api/v1/namespaces/shop/pods/done/exec"),
        1
    );
}

fn plain_500() -> Response {
    (
        axum::http::StatusCode::INTERNAL_SERVER_ERROR,
        "container not found (\"a\")",
    )
        .into_response()
}

#[tokio::test]
async fn an_overloaded_server_is_asked_again() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "/api/v1/namespaces/shop/pods/web/exec" => match asked.before {
            0 => status(429, "TooManyRequests", "slow down"),
            _ => status(404, "NotFound", "pods \"web\" not found"),
        },
        _ => None,
    })
    .await;
    let cluster = server.connect().await;
    let command = ["true".to_owned()];
    let result = cluster.exec("shop", "web", None, &command, false).await;
    assert!(result.err().unwrap().is_not_found());
    assert_eq!(
        server.count("GET", "/api/v1/namespaces/shop/pods/web/exec"),
        2
    );
}
