//! Carries bytes between a command's pipes and its WebSocket, until the status channel says how the command ended.
//!
//! kube's own pump would do most of this; this one keeps apart an end and a tear, sends larger frames, and notices a
//! stall.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::{SplitSink, SplitStream};
use futures::{Sink, SinkExt, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use crate::answer::{Status, shortened};
use crate::{ClusterError, ExecOutcome};

// Channels of `*.channel.k8s.io`: the first byte of each message.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;
/// v5: the channel named by the second byte is at its end.
const CLOSE: u8 = 255;

/// Bytes of input per message, as `kubectl` sends them; some servers read into buffers of this size.
const FRAME: usize = 32 << 10;

/// Bytes of standard error that are kept.
const STDERR_TAIL: usize = 16 << 10;

/// Load balancers close connections on which nothing moves.
const PING: Duration = Duration::from_secs(15);

/// What runs where, for messages.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) cluster: String,
    pub(crate) pod: String,
    pub(crate) command: String,
}

impl Place {
    pub(crate) fn failed(&self, reason: String) -> ClusterError {
        ClusterError::ExecFailed {
            cluster: self.cluster.clone(),
            pod: self.pod.clone(),
            command: self.command.clone(),
            reason,
        }
    }

    fn torn(&self, reason: String) -> ClusterError {
        ClusterError::ExecTorn {
            cluster: self.cluster.clone(),
            pod: self.pod.clone(),
            command: self.command.clone(),
            reason,
        }
    }
}

/// The ends of the pipes that the pump has.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(crate) stdin: Option<DuplexStream>,
    pub(crate) stdout: Option<DuplexStream>,
    pub(crate) stderr: Option<DuplexStream>,
    /// New sizes of the terminal, in columns and rows.
    pub(crate) sizes: Option<mpsc::Receiver<(u16, u16)>>,
}

/// What the pump and the ends of the pipes tell each other.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The command's status was seen: an end of its output is a true one.
    pub(crate) ended: AtomicBool,
    /// The input was dropped before it was complete.
    pub(crate) abandoned: AtomicBool,
    /// Our own reader of the output is what everything waits for.
    blocked_by_us: AtomicBool,
    started: Instant,
    /// When a byte last came or went, in milliseconds since the start.
    moved: AtomicU64,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            ended: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            blocked_by_us: AtomicBool::new(false),
            started: Instant::now(),
            moved: AtomicU64::new(0),
        }
    }

    fn touch(&self) {
        let now = self.started.elapsed().as_millis() as u64;
        self.moved.store(now, Ordering::Relaxed);
    }

    fn last_moved(&self) -> Instant {
        self.started + Duration::from_millis(self.moved.load(Ordering::Relaxed))
    }
}

/// Runs until the command has ended, the connection is torn, the input is abandoned, or nothing moves.
pub(crate) async fn pump<S>(
    socket: WebSocketStream<S>,
    can_close: bool,
    pipes: Pipes,
    shared: std::sync::Arc<Shared>,
    place: Place,
    stall: Duration,
) -> Result<ExecOutcome, ClusterError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    shared.touch();
    let (mut sink, mut stream) = socket.split();
    let Pipes {
        stdin,
        stdout,
        stderr: errors,
        sizes,
    } = pipes;
    let mut outputs = [stdout, errors];
    let mut stderr = Tail::default();
    let result = tokio::select! {
        status = receive(&mut stream, &mut outputs, &mut stderr, &shared) => match status {
            Ok(status) => Ok(status),
            Err(reason) => Err(place.torn(reason)),
        },
        Abandoned = send(&mut sink, stdin, sizes, can_close, &shared) => {
            Err(ClusterError::ExecInputAbandoned {
                cluster: place.cluster.clone(),
                pod: place.pod.clone(),
                command: place.command.clone(),
            })
        }
        reason = stalled(&shared, stall) => Err(ClusterError::ExecStalled {
            cluster: place.cluster.clone(),
            pod: place.pod.clone(),
            command: place.command.clone(),
            reason,
            after: stall,
            stderr: String::new(),
        }),
    };
    let said = stderr.text();
    let outcome = match result {
        Ok(status) => outcome(&status, said, &place),
        Err(mut error) => {
            // What hangs has often said why.
            if let ClusterError::ExecStalled { stderr, .. } = &mut error {
                *stderr = said;
            }
            Err(error)
        }
    };
    if let Ok(outcome) = &outcome {
        // Only now is the end of the pipe, which its drop makes, an end of the output.
        shared.ended.store(true, Ordering::Release);
        tracing::trace!(exit_code = outcome.exit_code, "a command has ended");
    }
    drop(outputs);
    // A courtesy: the server has ended the session by itself.
    let _ = timeout(Duration::from_secs(1), sink.close()).await;
    outcome
}

/// Takes what comes until the status does; the reason when it does not.
async fn receive<S>(
    stream: &mut SplitStream<WebSocketStream<S>>,
    outputs: &mut [Option<DuplexStream>; 2],
    stderr: &mut Tail,
    shared: &Shared,
) -> Result<Bytes, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let bytes = match next(stream).await? {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => Bytes::from(text),
            Message::Close(frame) => {
                return Err(match frame.filter(|frame| !frame.reason.is_empty()) {
                    Some(frame) => format!("the server closed it: {}", shortened(&frame.reason)),
                    None => "the server closed it without a status".into(),
                });
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        let Some(channel) = bytes.first() else {
            continue;
        };
        match *channel {
            STDOUT | STDERR if bytes.len() > 1 => {
                shared.touch();
                if *channel == STDERR {
                    stderr.push(&bytes[1..]);
                }
                let output = &mut outputs[usize::from(*channel == STDERR)];
                if let Some(pipe) = output.as_mut() {
                    shared.blocked_by_us.store(true, Ordering::Relaxed);
                    let written = pipe.write_all(&bytes[1..]).await;
                    shared.blocked_by_us.store(false, Ordering::Relaxed);
                    shared.touch();
                    if written.is_err() {
                        // Nobody reads it any more; the command shall still come to its end.
                        *output = None;
                    }
                }
            }
            STATUS => return Ok(bytes.slice(1..)),
            _ => {}
        }
    }
}

async fn next<T>(stream: &mut T) -> Result<Message, String>
where
    T: Stream<Item = Result<Message, WsError>> + Unpin,
{
    match stream.next().await {
        Some(Ok(message)) => Ok(message),
        Some(Err(error)) => Err(shortened(&error.to_string())),
        None => Err("it ended without a status".into()),
    }
}

/// The input was dropped before it was complete.
struct Abandoned;

/// Sends the input, then keeps the connection alive. Returns only when the input is abandoned: a connection that takes
/// no more is for the receiving side to judge, since a command may well end before it has read everything.
async fn send<S>(
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
    mut stdin: Option<DuplexStream>,
    mut sizes: Option<mpsc::Receiver<(u16, u16)>>,
    can_close: bool,
    shared: &Shared,
) -> Abandoned
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ping.reset();
    loop {
        let mut frame = BytesMut::with_capacity(FRAME + 1);
        frame.put_u8(STDIN);
        let read = async {
            match stdin.as_mut() {
                Some(pipe) => (&mut *pipe).take(FRAME as u64).read_buf(&mut frame).await,
                None => std::future::pending().await,
            }
        };
        let sized = async {
            match sizes.as_mut() {
                Some(sizes) => sizes.recv().await,
                None => std::future::pending().await,
            }
        };
        let message = tokio::select! {
            size = sized => match size {
                Some((columns, rows)) => resized(columns, rows),
                None => {
                    sizes = None;
                    continue;
                }
            },
            read = read => match read {
                Ok(0) | Err(_) => {
                    stdin = None;
                    if shared.abandoned.load(Ordering::Acquire) {
                        return Abandoned;
                    }
                    if !can_close {
                        continue;
                    }
                    Message::Binary(Bytes::from_static(&[CLOSE, STDIN]))
                }
                Ok(_) => Message::Binary(frame.freeze()),
            },
            _ = ping.tick() => {
                // A server whose command has ended closes the connection while its last output may still be under
                // way; a ping that finds it closed makes the system throw that output away. So none is sent while
                // bytes move, or wait for our own reader.
                if shared.last_moved().elapsed() < PING || shared.blocked_by_us.load(Ordering::Relaxed) {
                    continue;
                }
                Message::Ping(Bytes::new())
            }
        };
        let moves = message.is_binary();
        if push(sink, message).await.is_err() {
            // The writer of the input gets a broken pipe, and `receive` finds the status or the tear.
            drop(stdin.take());
            let never: Infallible = std::future::pending().await;
            match never {}
        }
        if moves {
            shared.touch();
        }
    }
}

fn resized(columns: u16, rows: u16) -> Message {
    let size = serde_json::json!({"Width": columns, "Height": rows}).to_string();
    let mut frame = BytesMut::with_capacity(size.len() + 1);
    frame.put_u8(RESIZE);
    frame.extend_from_slice(size.as_bytes());
    Message::Binary(frame.freeze())
}

async fn push<T>(sink: &mut T, message: Message) -> Result<(), WsError>
where
    T: Sink<Message, Error = WsError> + Unpin,
{
    sink.send(message).await
}

/// Returns when no byte has come or gone for `limit`, with what was waited for.
async fn stalled(shared: &Shared, limit: Duration) -> &'static str {
    loop {
        let Some(until) = shared.last_moved().checked_add(limit) else {
            return std::future::pending().await;
        };
        if Instant::now() >= until {
            return if shared.blocked_by_us.load(Ordering::Relaxed) {
                "nobody read its output"
            } else {
                "no byte came or went"
            };
        }
        sleep_until(until).await;
    }
}

/// What the status says about the command.
fn outcome(status: &[u8], stderr: String, place: &Place) -> Result<ExecOutcome, ClusterError> {
    let status: Status = serde_json::from_slice(status)
        .map_err(|error| place.torn(format!("its status cannot be read: {error}")))?;
    if status.status == "Success" {
        return Ok(ExecOutcome {
            exit_code: 0,
            stderr,
        });
    }
    let exit_code = status
        .details
        .as_ref()
        .and_then(|details| details.causes.as_ref())
        .into_iter()
        .flatten()
        .find(|cause| cause.reason == "ExitCode")
        .and_then(|cause| cause.message.parse().ok());
    match exit_code {
        Some(exit_code) if status.reason == "NonZeroExitCode" => {
            Ok(ExecOutcome { exit_code, stderr })
        }
        _ => Err(place.failed(shortened(&status.message))),
    }
}

/// The last bytes of standard error.
#[derive(Debug, Default)]
struct Tail {
    bytes: VecDeque<u8>,
    cut: bool,
}

impl Tail {
    fn push(&mut self, more: &[u8]) {
        let more = &more[more.len().saturating_sub(STDERR_TAIL)..];
        let surplus = (self.bytes.len() + more.len()).saturating_sub(STDERR_TAIL);
        self.cut |= surplus > 0;
        self.bytes.drain(..surplus);
        self.bytes.extend(more);
    }

    fn text(mut self) -> String {
        let text = String::from_utf8_lossy(self.bytes.make_contiguous()).into_owned();
        if self.cut { format!("…{text}") } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            cluster: "prod".into(),
            pod: "Pod/db-0 in namespace shop".into(),
            command: "tar".into(),
        }
    }

    #[test]
    fn a_status_is_success_an_exit_code_or_a_failure() {
        let of = |status: &str| outcome(status.as_bytes(), String::new(), &place());
        assert_eq!(
            of(r#"{"metadata":{},"status":"Success"}"#)
                .unwrap()
                .exit_code,
            0
        );
        let exit = r#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: command terminated with exit code 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#;
        assert_eq!(of(exit).unwrap().exit_code, 3);
        let none = r#"{"metadata":{},"status":"Failure","message":"Internal error occurred: exec: \"tar\": executable file not found in $PATH","reason":"InternalError","code":500}"#;
        insta::assert_snapshot!(of(none).unwrap_err().to_string(), @r#"prod: cannot run `tar` in Pod/db-0 in namespace shop: Internal error occurred: exec: "tar": executable file not found in $PATH"#);
        assert!(matches!(of("{"), Err(ClusterError::ExecTorn { .. })));
        // A failure that names no code is none of the command's.
        assert!(of(r#"{"status":"Failure","reason":"NonZeroExitCode"}"#).is_err());
    }

    #[test]
    fn only_the_end_of_stderr_is_kept() {
        let mut tail = Tail::default();
        tail.push(b"first ");
        tail.push(&vec![b'x'; 3 * STDERR_TAIL]);
        tail.push(b"last");
        let text = tail.text();
        assert!(text.starts_with('…') && text.ends_with("xlast"));
        assert_eq!(text.len(), STDERR_TAIL + '…'.len_utf8());
    }
}
