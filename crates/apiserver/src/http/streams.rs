//! Logs and commands of pods: the streams between a client and a node.
//!
//! Commands go over WebSockets, each message led by the number of its channel; the protocols
//! are called `v4.channel.k8s.io` and
//! `v5.channel.k8s.io`, of which only the latter can close a single channel.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::FromRequestParts as _;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use super::App;
use super::builds;
use super::port_forward;
use super::request::{Target, query};
use super::respond::{Answer, plain};
use super::webhooks;
use crate::error::ApiError;
use crate::node::{ExecRequest, ExecSession, LogRequest, NodeError, TerminalSize};

pub(super) const V4: &str = "v4.channel.k8s.io";
const V5: &str = "v5.channel.k8s.io";
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;
pub(super) const CHUNK: usize = 32 * 1024;

pub(crate) async fn handle(
    app: &Arc<App>,
    target: &Target,
    request: Request<Body>,
) -> Result<Answer, ApiError> {
    match target.kind.plural.as_str() {
        "builds" => return builds::log(app, target, request).await,
        "buildconfigs" if target.subresource.as_deref() == Some("webhooks") => {
            return webhooks::handle(app, target, request).await;
        }
        "buildconfigs" => return builds::start_binary(app, target, request).await,
        _ => {}
    }
    let pod = app
        .store
        .get(&target.kind.id(), target.namespace(), target.name())
        .ok_or_else(|| ApiError::not_found(&target.kind, target.name()))?;
    match target.subresource.as_deref() {
        Some("log") => log(app, target, &pod, query(request.uri().query())).await,
        Some("exec") => exec(app, target, &pod, request).await,
        _ => port_forward::handle(app, target, request).await,
    }
}

pub(super) fn params<'a>(
    query: &'a [(String, String)],
    name: &str,
) -> impl Iterator<Item = &'a str> {
    let name = name.to_owned();
    query
        .iter()
        .filter(move |(known, _)| *known == name)
        .map(|(_, value)| value.as_str())
}

pub(super) fn all_params(request: &Request<Body>) -> Vec<(String, String)> {
    url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect()
}

/// The container that is meant.
fn container(target: &Target, pod: &Value, asked: Option<&str>) -> Result<String, ApiError> {
    let names = |field: &str| -> Vec<&str> {
        pod["spec"][field]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|container| container["name"].as_str())
            .collect()
    };
    let containers = names("containers");
    match asked.filter(|name| !name.is_empty()) {
        Some(name) => {
            if containers.contains(&name) || names("initContainers").contains(&name) {
                Ok(name.to_owned())
            } else {
                Err(ApiError::bad_request(format!(
                    "container {name} is not valid for pod {}",
                    target.name()
                )))
            }
        }
        None => match containers.as_slice() {
            [only] => Ok((*only).to_owned()),
            many => Err(ApiError::bad_request(format!(
                "a container name must be specified for pod {}, choose one of: [{}]",
                target.name(),
                many.join(" ")
            ))),
        },
    }
}

async fn log(
    app: &Arc<App>,
    target: &Target,
    pod: &Value,
    query: HashMap<String, String>,
) -> Result<Answer, ApiError> {
    let text = |name: &str| query.get(name).map(String::as_str);
    let flag = |name: &str| text(name).is_some_and(|value| value == "true" || value == "1");
    let number = |name: &str| -> Result<Option<u64>, ApiError> {
        text(name)
            .map(|value| {
                value.parse::<u64>().map_err(|_| {
                    ApiError::invalid(
                        "",
                        "PodLogOptions",
                        target.name(),
                        &[crate::error::Cause::invalid(
                            name,
                            &json!(value),
                            "must be greater than or equal to 0",
                        )],
                    )
                })
            })
            .transpose()
    };
    let container = container(target, pod, text("container"))?;
    let request = LogRequest {
        namespace: target.namespace().unwrap_or_default().to_owned(),
        pod: target.name().to_owned(),
        container: Some(container.clone()),
        follow: flag("follow"),
        previous: flag("previous"),
        tail_lines: number("tailLines")?.and_then(|lines| usize::try_from(lines).ok()),
        limit_bytes: number("limitBytes")?,
        since_seconds: number("sinceSeconds")?,
        timestamps: flag("timestamps"),
    };
    let previous = request.previous;
    let reader = app
        .backend
        .logs(request)
        .await
        .map_err(|error| match error {
            NodeError::NotStarted(_) | NodeError::NotRunning(_) if previous => {
                ApiError::bad_request(format!(
                    "previous terminated container {container:?} in pod {:?} not found",
                    target.name()
                ))
            }
            NodeError::NotStarted(_) | NodeError::NotRunning(_) => ApiError::bad_request(format!(
                "container {container:?} in pod {:?} is waiting to start: ContainerCreating",
                target.name()
            )),
            NodeError::Unsupported(what) => ApiError::not_implemented(&what),
            other => ApiError::internal(other.to_string()),
        })?;
    let stream = ReaderStream::with_capacity(reader, CHUNK)
        .take_until(app.stopping.clone().cancelled_owned());
    let mut response = plain(StatusCode::OK, "");
    *response.body_mut() = Body::from_stream(stream);
    Ok(Answer::Raw(response))
}

/// Takes a WebSocket in one of the offered protocols.
pub(super) async fn upgrade(
    request: Request<Body>,
    offered: &[&'static str],
) -> Result<(WebSocketUpgrade, &'static str), ApiError> {
    let asked = protocols(request.headers());
    let upgrade_to = request
        .headers()
        .get(header::UPGRADE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_ascii_lowercase();
    if upgrade_to.starts_with("spdy/") {
        return Err(ApiError::not_implemented(
            "commands over SPDY/3.1; it speaks WebSocket with v5.channel.k8s.io or v4.channel.k8s.io",
        ));
    }
    if upgrade_to != "websocket" {
        return Err(ApiError::bad_request("Upgrade request required"));
    }
    let Some(protocol) = offered
        .iter()
        .copied()
        .find(|one| asked.iter().any(|asked| asked == one))
    else {
        return Err(ApiError::plain(StatusCode::FORBIDDEN, ""));
    };
    let (mut parts, _) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
    Ok((upgrade.protocols([protocol]), protocol))
}

fn protocols(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|value| value.trim().to_owned())
        .collect()
}

async fn exec(
    app: &Arc<App>,
    target: &Target,
    pod: &Value,
    request: Request<Body>,
) -> Result<Answer, ApiError> {
    let query = all_params(&request);
    let flag = |name: &str| params(&query, name).any(|value| matches!(value, "true" | "1"));
    let container = container(target, pod, params(&query, "container").next())?;
    let command: Vec<String> = params(&query, "command").map(str::to_owned).collect();
    if command.is_empty() {
        return Err(ApiError::bad_request(
            "you must specify at least 1 command for the container",
        ));
    }
    let exec = ExecRequest {
        namespace: target.namespace().unwrap_or_default().to_owned(),
        pod: target.name().to_owned(),
        container: Some(container),
        stdin: flag("stdin"),
        stdout: flag("stdout"),
        stderr: flag("stderr"),
        tty: flag("tty"),
        command,
    };
    if !(exec.stdin || exec.stdout || exec.stderr) {
        return Err(ApiError::bad_request(
            "you must specify at least one of stdin, stdout, stderr",
        ));
    }
    let (upgrade, protocol) = upgrade(request, &[V5, V4]).await?;
    let session = match app.backend.exec(exec.clone()).await {
        Ok(session) => Ok(session),
        Err(error @ NodeError::NoSuchCommand(_)) => Err(error),
        Err(NodeError::Unsupported(what)) => return Err(ApiError::not_implemented(&what)),
        // The node's own words, as the kubelet answers them.
        Err(error) => {
            return Err(ApiError::plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                error.to_string(),
            ));
        }
    };
    let stopping = app.stopping.clone();
    let response = upgrade.on_upgrade(move |socket| async move {
        let closes = protocol == V5;
        tokio::select! {
            () = run(socket, exec, session, closes) => {}
            () = stopping.cancelled() => {}
        }
    });
    Ok(Answer::Raw(lower_case(response)))
}

/// The answer to an upgrade, its `Connection` as Go's servers write it.
pub(super) fn lower_case(mut response: super::respond::Response) -> super::respond::Response {
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    response
}

/// A message on a channel.
pub(super) fn frame(channel: u8, payload: &[u8]) -> Message {
    let mut bytes = Vec::with_capacity(payload.len() + 1);
    bytes.push(channel);
    bytes.extend_from_slice(payload);
    Message::Binary(Bytes::from(bytes))
}

async fn run(
    socket: WebSocket,
    request: ExecRequest,
    session: Result<ExecSession, NodeError>,
    closes: bool,
) {
    let (mut sink, stream) = socket.split();
    if request.stdout {
        let _ = sink.send(frame(STDOUT, &[])).await;
    }
    let status = match session {
        Ok(session) => {
            let Some(exit) = pump(&mut sink, stream, session, closes).await else {
                return;
            };
            match exit {
                Ok(0) => json!({"metadata": {}, "status": "Success"}),
                Ok(code) => failed(&request, code, closes),
                Err(error) => internal(&error),
            }
        }
        Err(error) => internal(&error),
    };
    let _ = sink
        .send(frame(STATUS, status.to_string().as_bytes()))
        .await;
    let end = CloseFrame {
        code: 1000,
        reason: "".into(),
    };
    let _ = sink.send(Message::Close(Some(end))).await;
    let _ = sink.close().await;
}

fn failed(request: &ExecRequest, code: i32, closes: bool) -> Value {
    let why = if closes {
        format!("command terminated with exit code {code}")
    } else {
        format!(
            "error executing command [{}], exit code {code}",
            request.command.join(" ")
        )
    };
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("command terminated with non-zero exit code: {why}"),
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

fn internal(error: &NodeError) -> Value {
    let message = match error {
        NodeError::NoSuchCommand(_) => format!(
            "Internal error occurred: error executing command in container: failed to exec in container: \
             failed to start exec {:?}: OCI runtime exec failed: exec failed: unable to start container \
             process: {error}",
            uuid::Uuid::new_v4().simple().to_string()
        ),
        other => format!("Internal error occurred: error executing command in container: {other}"),
    };
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("Internal error occurred: {message}"),
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    })
}

type Sink = SplitSink<WebSocket, Message>;

/// Moves bytes until the command and its output have ended. None when the client went away, which ends
/// the command.
async fn pump(
    sink: &mut Sink,
    stream: SplitStream<WebSocket>,
    session: ExecSession,
    closes: bool,
) -> Option<Result<i32, NodeError>> {
    let ExecSession {
        stdin,
        stdout,
        stderr,
        exit,
        resize,
    } = session;
    // A bounded queue: a client that does not read holds the command up, not the server's memory.
    let (sender, mut output) = mpsc::channel::<Message>(8);
    let gone = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(read_client(stream, stdin, resize, closes, gone.clone()));
    for (channel, reader) in [(STDOUT, stdout), (STDERR, stderr)] {
        if let Some(reader) = reader {
            tasks.spawn(read_command(channel, reader, sender.clone()));
        }
    }
    drop(sender);
    let copy = async {
        while let Some(message) = output.recv().await {
            if sink.send(message).await.is_err() {
                return false;
            }
        }
        true
    };
    // The tasks end with the set, when this function returns.
    tokio::select! {
        (exit, delivered) = async { tokio::join!(exit, copy) } => delivered.then_some(exit),
        () = gone.cancelled() => None,
    }
}

pub(super) async fn read_command(
    channel: u8,
    mut reader: Box<dyn AsyncRead + Send + Unpin>,
    sender: mpsc::Sender<Message>,
) {
    let mut buffer = vec![0; CHUNK];
    loop {
        match reader.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                if sender.send(frame(channel, &buffer[..count])).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn read_client(
    mut stream: SplitStream<WebSocket>,
    mut stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    resize: Option<mpsc::Sender<TerminalSize>>,
    closes: bool,
    gone: CancellationToken,
) {
    while let Some(Ok(message)) = stream.next().await {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => Bytes::from(text),
            Message::Close(_) => break,
            Message::Ping(_) | Message::Pong(_) => continue,
        };
        match (bytes.first().copied(), bytes.get(1..)) {
            (Some(STDIN), Some(data)) => {
                if let Some(writer) = &mut stdin {
                    let written = async {
                        writer.write_all(data).await?;
                        writer.flush().await
                    };
                    if written.await.is_err() {
                        // The command no longer reads; what is still sent is dropped, as by a pipe.
                        stdin = None;
                    }
                }
            }
            (Some(RESIZE), Some(data)) => {
                if let (Some(resize), Ok(size)) = (&resize, serde_json::from_slice::<Value>(data)) {
                    let side = |name: &str| {
                        size[name]
                            .as_u64()
                            .and_then(|size| u16::try_from(size).ok())
                    };
                    if let (Some(width), Some(height)) = (side("Width"), side("Height")) {
                        let _ = resize.try_send(TerminalSize { width, height });
                    }
                }
            }
            (Some(CLOSE), Some([STDIN])) if closes => {
                if let Some(mut writer) = stdin.take() {
                    let _ = writer.shutdown().await;
                }
            }
            _ => {}
        }
    }
    gone.cancel();
}
