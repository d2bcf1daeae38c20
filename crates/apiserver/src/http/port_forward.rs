//! Ports of pods.
//!
//! Three ways lead to them, as on a genuine server: SPDY on an upgraded connection (`kubectl` before
//! 1.30 and the fallback of later ones), the same inside the messages of a WebSocket
//! (`SPDY/3.1+portforward.k8s.io`), and bare WebSocket messages led by the number of their channel
//! (`v4.channel.k8s.io`), whose ports the query names.
//!
//! Each connection to a port over SPDY is a pair of streams: see `session`.

mod session;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, Request, StatusCode, header};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::codec::{BytesCodec, FramedWrite};
use tokio_util::io::StreamReader;

use super::App;
use super::request::Target;
use super::respond::{Answer, plain};
use super::streams::{CHUNK, V4, all_params, frame, lower_case, params, read_command, upgrade};
use crate::error::ApiError;
use crate::node::{Duplex, NodeError};
use crate::spdy::SpdyError;
use session::serve;

/// The protocol inside SPDY.
const PROTOCOL: &str = "portforward.k8s.io";
/// SPDY inside WebSocket messages.
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";

const OFFERED_VERSION: &str = "x-stream-protocol-version";
const ACCEPTED_VERSIONS: &str = "x-accepted-stream-protocol-versions";

/// Where connections go.
struct Pod {
    app: Arc<App>,
    namespace: String,
    name: String,
}

impl Pod {
    async fn connect(&self, port: u16) -> Result<Box<dyn Duplex>, String> {
        let connected = self.app.backend.port(&self.namespace, &self.name, port);
        connected.await.map_err(|error: NodeError| {
            format!("error forwarding port {port} to pod {}: {error}", self.name)
        })
    }
}

/// Answers a request to forward ports.
pub(super) async fn handle(
    app: &Arc<App>,
    target: &Target,
    request: Request<Body>,
) -> Result<Answer, ApiError> {
    let pod = Pod {
        app: Arc::clone(app),
        namespace: target.namespace().unwrap_or_default().to_owned(),
        name: target.name().to_owned(),
    };
    let spdy = request
        .headers()
        .get(header::UPGRADE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.eq_ignore_ascii_case("SPDY/3.1"));
    if spdy {
        return over_spdy(pod, request);
    }
    let ports: Vec<u16> = params(&all_params(&request), "ports")
        .flat_map(|ports| ports.split(','))
        .map(|port| {
            port.parse::<u16>()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| ApiError::bad_request(format!("unable to parse {port:?} as a port")))
        })
        .collect::<Result<_, _>>()?;
    let (upgrade, protocol) = upgrade(request, &[TUNNEL, V4]).await?;
    if protocol == V4 && ports.is_empty() {
        return Err(ApiError::bad_request(
            "query parameter \"ports\" is required",
        ));
    }
    let response = upgrade.on_upgrade(move |socket| async move {
        let stopping = pod.app.stopping.clone();
        let forwarding = async {
            if protocol == TUNNEL {
                tunnel(pod, socket).await;
            } else {
                channels(&pod, socket, &ports).await;
            }
        };
        tokio::select! {
            () = forwarding => {}
            () = stopping.cancelled() => {}
        }
    });
    Ok(Answer::Raw(lower_case(response)))
}

/// Upgrades the connection itself.
fn over_spdy(pod: Pod, request: Request<Body>) -> Result<Answer, ApiError> {
    let offered: Vec<&str> = request
        .headers()
        .get_all(OFFERED_VERSION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    if offered.is_empty() {
        return Err(ApiError::plain(
            StatusCode::BAD_REQUEST,
            "unable to upgrade: X-Stream-Protocol-Version is required",
        ));
    }
    if !offered.contains(&PROTOCOL) {
        let mut response = plain(
            StatusCode::FORBIDDEN,
            format!(
                "unable to upgrade: unable to negotiate protocol: client supports [{}], server accepts \
                 [{PROTOCOL}]\n",
                offered.join(" ")
            ),
        );
        response
            .headers_mut()
            .insert(ACCEPTED_VERSIONS, HeaderValue::from_static(PROTOCOL));
        return Ok(Answer::Raw(response));
    }
    let upgraded = hyper::upgrade::on(request);
    let tasks = pod.app.tasks.clone();
    tasks.spawn(async move {
        let stopping = pod.app.stopping.clone();
        let forwarding = async {
            match upgraded.await {
                Ok(connection) => {
                    let (input, output) =
                        tokio::io::split(hyper_util::rt::TokioIo::new(connection));
                    let output = FramedWrite::new(output, BytesCodec::new());
                    finish(serve(pod, BufReader::with_capacity(CHUNK, input), output).await);
                }
                Err(error) => tracing::debug!(%error, "no upgrade to SPDY"),
            }
        };
        tokio::select! {
            () = forwarding => {}
            () = stopping.cancelled() => {}
        }
    });
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("SPDY/3.1"));
    headers.insert(OFFERED_VERSION, HeaderValue::from_static(PROTOCOL));
    Ok(Answer::Raw(response))
}

/// Takes the bytes of a SPDY connection out of messages and puts them into such.
async fn tunnel(pod: Pod, socket: WebSocket) {
    let (sink, stream) = socket.split();
    let bytes = stream.filter_map(|message| {
        std::future::ready(match message {
            Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_)) => None,
            Ok(Message::Text(_)) => Some(Err(std::io::Error::other("a message that is text"))),
            Err(error) => Some(Err(std::io::Error::other(error))),
        })
    });
    let messages = sink.with(|bytes: Bytes| std::future::ready(Ok(Message::Binary(bytes))));
    let messages = messages.sink_map_err(|error: axum::Error| std::io::Error::other(error));
    finish(serve(pod, StreamReader::new(bytes), messages).await);
}

fn finish(ended: Result<(), SpdyError>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "the forwarding of ports broke");
    }
}

/// Each port has two channels, one for its bytes and one for what goes wrong; the first message on each
/// is the port's number.
async fn channels(pod: &Pod, socket: WebSocket, ports: &[u16]) {
    let (mut sink, mut stream) = socket.split();
    let (sender, mut output) = mpsc::channel::<Message>(8);
    let mut writers: Vec<Option<tokio::io::WriteHalf<Box<dyn Duplex>>>> = Vec::new();
    let mut tasks = JoinSet::new();
    for (index, port) in ports.iter().enumerate() {
        let Ok(data) = u8::try_from(index * 2) else {
            break;
        };
        for channel in [data, data + 1] {
            if sink
                .send(frame(channel, &port.to_le_bytes()))
                .await
                .is_err()
            {
                return;
            }
        }
        match pod.connect(*port).await {
            Ok(duplex) => {
                let (reader, writer) = tokio::io::split(duplex);
                writers.push(Some(writer));
                tasks.spawn(read_command(data, Box::new(reader), sender.clone()));
            }
            Err(message) => {
                writers.push(None);
                if sink
                    .send(frame(data + 1, message.as_bytes()))
                    .await
                    .is_err()
                {
                    return;
                }
            }
        }
    }
    drop(sender);
    let to_client = async {
        while let Some(message) = output.recv().await {
            if sink.send(message).await.is_err() {
                return;
            }
        }
        let _ = sink.send(Message::Close(None)).await;
    };
    let to_pod = async {
        while let Some(Ok(message)) = stream.next().await {
            let Message::Binary(bytes) = message else {
                continue;
            };
            let Some((channel, data)) = bytes.split_first() else {
                continue;
            };
            let slot = writers.get_mut(usize::from(*channel) / 2);
            if let Some(slot) = slot.filter(|_| channel % 2 == 0)
                && let Some(writer) = slot
            {
                let sent = async {
                    writer.write_all(data).await?;
                    writer.flush().await
                };
                if sent.await.is_err() {
                    *slot = None;
                }
            }
        }
    };
    tokio::select! {
        () = to_client => {}
        () = to_pod => {}
    }
}
