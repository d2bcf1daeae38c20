//! Running a command in a container, through its agent.

use std::io;

use openshifter_apiserver::{ExecSession, NodeError, TerminalSize};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::calls::{self, Sockets};
use crate::agent::wire::{self, CHUNK, Frame, Kind, Outcome, Refusal, Request};

/// Bytes in flight between agent and client, each way.
const BUFFER: usize = 4 * CHUNK;

/// What to run, and which streams are wanted.
#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) command: Vec<String>,
    pub(crate) stdin: bool,
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
    pub(crate) tty: bool,
}

/// Starts it.
pub(crate) async fn exec(
    sockets: &Sockets,
    socket: &str,
    container: &str,
    exec: Exec,
) -> Result<ExecSession, NodeError> {
    let gone = |_: io::Error| NodeError::NotRunning(container.to_owned());
    let name = exec.command.first().cloned().unwrap_or_default();
    let request = Request::Exec {
        command: exec.command,
        stdin: exec.stdin,
        tty: exec.tty,
    };
    let mut stream = sockets.call(socket, &request).await.map_err(gone)?;
    match calls::outcome(&mut stream).await.map_err(gone)? {
        Outcome::Started => {}
        Outcome::Refused {
            reason: Refusal::NotInPath,
            ..
        } => return Err(NodeError::NoSuchCommand(name)),
        Outcome::Refused { message, .. } => {
            return Err(NodeError::Other(format!("{message}: unknown")));
        }
        other => return Err(NodeError::Other(format!("the agent answered {other:?}"))),
    }
    let (from, to) = stream.into_split();
    let (stdin, stdin_end) = pipe(exec.stdin);
    let (stdout_end, stdout) = pipe(exec.stdout);
    let (stderr_end, stderr) = pipe(exec.stderr && !exec.tty);
    let (resize, sizes) = mpsc::channel(4);
    let (mut ended, exit) = oneshot::channel();
    let over = CancellationToken::new();
    let sizes = exec.tty.then_some(sizes);
    let sending = over.clone();
    tokio::spawn(async move {
        // A failure means that the agent is gone, which the receiving side reports.
        let _ = sending
            .run_until_cancelled(send_input(stdin_end, sizes, to))
            .await;
    });
    tokio::spawn(async move {
        tokio::select! {
            // Nobody waits for the end: both halves are dropped, and the agent ends the command.
            () = ended.closed() => {}
            outcome = receive_output(from, stdout_end, stderr_end) => {
                let _ = ended.send(outcome);
            }
        }
        over.cancel();
    });
    let container = container.to_owned();
    Ok(ExecSession {
        stdin: stdin.map(|s| Box::new(s) as Box<_>),
        stdout: stdout.map(|s| Box::new(s) as Box<_>),
        stderr: stderr.map(|s| Box::new(s) as Box<_>),
        exit: Box::pin(async move {
            match exit.await {
                Ok(Ok(outcome)) => Ok(outcome.code()),
                // The container ended under the command.
                Ok(Err(_)) | Err(_) => Err(NodeError::NotRunning(container)),
            }
        }),
        resize: exec.tty.then_some(resize),
    })
}

fn pipe(wanted: bool) -> (Option<DuplexStream>, Option<DuplexStream>) {
    if !wanted {
        return (None, None);
    }
    let (a, b) = tokio::io::duplex(BUFFER);
    (Some(a), Some(b))
}

/// Sends input and sizes, until it is cancelled: the sending half stays open until the session's end,
/// since its end is the agent's sign that the client is gone.
async fn send_input(
    mut input: Option<DuplexStream>,
    mut sizes: Option<mpsc::Receiver<TerminalSize>>,
    mut to: OwnedWriteHalf,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        tokio::select! {
            read = next_input(&mut input, &mut buffer) => {
                let n = read.unwrap_or(0);
                wire::send(&mut to, &Frame::new(Kind::Stdin, buffer[..n].to_vec())).await?;
                if n == 0 {
                    input = None;
                }
            }
            size = next_size(&mut sizes) => match size {
                Some(TerminalSize { width, height }) => {
                    let payload = [height.to_be_bytes(), width.to_be_bytes()].concat();
                    wire::send(&mut to, &Frame::new(Kind::Resize, payload)).await?;
                }
                None => sizes = None,
            },
        }
    }
}

async fn next_input(input: &mut Option<DuplexStream>, buffer: &mut [u8]) -> io::Result<usize> {
    match input {
        Some(input) => input.read(buffer).await,
        None => std::future::pending().await,
    }
}

async fn next_size(sizes: &mut Option<mpsc::Receiver<TerminalSize>>) -> Option<TerminalSize> {
    match sizes {
        Some(sizes) => sizes.recv().await,
        None => std::future::pending().await,
    }
}

async fn receive_output(
    mut from: OwnedReadHalf,
    mut stdout: Option<DuplexStream>,
    mut stderr: Option<DuplexStream>,
) -> io::Result<Outcome> {
    while let Some(frame) = wire::receive(&mut from).await? {
        let sink = match frame.kind {
            Kind::Stdout => &mut stdout,
            Kind::Stderr => &mut stderr,
            Kind::Outcome => return frame.parse(),
            _ => continue,
        };
        if let Some(to) = sink
            && to.write_all(&frame.payload).await.is_err()
        {
            // The client does not read it any more; the command goes on, as with a genuine runtime.
            *sink = None;
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}
