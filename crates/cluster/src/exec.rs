//! Runs a command in a container. Its end is proven by the status that the server sends, never assumed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::call::{Call, segment};
use crate::exec_pump::{Pipes, Place, Shared, pump};
use crate::retry::{Failure, Repeat};
use crate::{Cluster, ClusterError};

/// Bytes kept between the connection and our reader or writer. Small buffers cost most of the throughput.
const BUFFER: usize = 1 << 20;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutcome {
    /// Its exit code.
    pub exit_code: i32,
    /// The end of its standard error (16 KiB).
    pub stderr: String,
}

impl ExecOutcome {
    /// Whether it exited with zero.
    pub fn success(&self) -> bool {
        self.exit_code == 0
    }
}

/// How a command is started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecOptions {
    /// Whether it has a standard input.
    pub stdin: bool,
    /// Whether it has a terminal: then there is one stream of output, and its size can be changed.
    pub tty: bool,
    /// Whether its standard error is read as a stream ([`Exec::stderr`]) beside the end that is kept of it.
    pub stderr: bool,
    /// After how long without a byte it is given up; [`Duration::MAX`] for never, as a person needs it.
    /// `None` for [`Tuning::exec_stall`](crate::Tuning::exec_stall).
    pub stall: Option<Duration>,
}

/// Changes the size of a command's terminal.
#[derive(Debug, Clone)]
pub struct ExecResize(mpsc::Sender<(u16, u16)>);

impl ExecResize {
    /// Tells the new size, in columns and rows. Sizes that come faster than they can be sent are left out.
    pub fn resize(&self, columns: u16, rows: u16) {
        let _ = self.0.try_send((columns, rows));
    }
}

/// A command that runs in a container.
///
/// Take [`Exec::stdin`] and [`Exec::stdout`], use them (at the same time, if both), then ask [`Exec::finish`] for the
/// end. Dropping it breaks the connection; what reads its output then gets an error, not an end of file.
pub struct Exec {
    stdin: Option<ExecStdin>,
    stdout: Option<ExecStdout>,
    stderr: Option<ExecStdout>,
    resize: Option<ExecResize>,
    can_close_stdin: bool,
    task: Task,
}

impl std::fmt::Debug for Exec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exec")
            .field("can_close_stdin", &self.can_close_stdin)
            .finish_non_exhaustive()
    }
}

/// Ends the pump when the command is given up.
struct Task(JoinHandle<Result<ExecOutcome, ClusterError>>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Standard input of a command.
///
/// `shutdown` says that the input is complete. Dropping it before that fails the command
/// ([`ClusterError::ExecInputAbandoned`]), so that a torn input is never taken for a whole one. A write that fails
/// with `BrokenPipe` means that the command has ended: [`Exec::finish`] says how.
pub struct ExecStdin {
    pipe: DuplexStream,
    complete: bool,
    shared: Arc<Shared>,
}

/// Standard output of a command.
///
/// Its end of file means that the command has ended by itself. When the connection breaks, reading fails with
/// `UnexpectedEof` instead.
pub struct ExecStdout {
    pipe: DuplexStream,
    shared: Arc<Shared>,
}

impl Cluster {
    /// Runs a command in a container (the pod's first, or the one that its annotation names, when none is given).
    ///
    /// `command` is the program and its arguments; no shell is involved. They show up in process lists and audit logs,
    /// so they must hold no secret.
    ///
    /// # Errors
    /// When the pod or container is not there or not running, this user may not, or the cluster cannot be reached. A
    /// program that does not exist shows at [`Exec::finish`].
    pub async fn exec(
        &self,
        namespace: &str,
        pod: &str,
        container: Option<&str>,
        command: &[String],
        stdin: bool,
    ) -> Result<Exec, ClusterError> {
        let stall = self.link().tuning.exec_stall;
        self.exec_with_stall(namespace, pod, container, command, stdin, stall)
            .await
    }

    /// [`Cluster::exec`] for a command that may be silent for longer, or should be given up sooner, than usual.
    ///
    /// # Errors
    /// As [`Cluster::exec`].
    pub async fn exec_with_stall(
        &self,
        namespace: &str,
        pod: &str,
        container: Option<&str>,
        command: &[String],
        stdin: bool,
        stall: Duration,
    ) -> Result<Exec, ClusterError> {
        let options = ExecOptions {
            stdin,
            stall: Some(stall),
            ..ExecOptions::default()
        };
        self.exec_with(namespace, pod, container, command, &options)
            .await
    }

    /// [`Cluster::exec`] with everything that a command may have: a terminal, or its standard error as a stream.
    ///
    /// # Errors
    /// As [`Cluster::exec`].
    pub async fn exec_with(
        &self,
        namespace: &str,
        pod: &str,
        container: Option<&str>,
        command: &[String],
        options: &ExecOptions,
    ) -> Result<Exec, ClusterError> {
        let (stdin, tty) = (options.stdin, options.tty);
        let stall = options.stall.unwrap_or(self.link().tuning.exec_stall);
        let place = Place {
            cluster: self.name().to_owned(),
            pod: format!("Pod/{pod} in namespace {namespace}"),
            command: command.first().cloned().unwrap_or_default(),
        };
        let path = format!(
            "/api/v1/namespaces/{}/pods/{}/exec",
            segment(namespace, "a namespace")?,
            segment(pod, "a pod")?
        );
        let action = format!("run `{}` in {}", place.command, place.pod);
        let mut call = Call::get(path, action).query("stdout", "true");
        // A terminal has one stream of output.
        call = match tty {
            true => call.query("tty", "true"),
            false => call.query("stderr", "true"),
        };
        if stdin {
            call = call.query("stdin", "true");
        }
        if let Some(container) = container {
            call = call.query("container", container);
        }
        for part in command {
            call = call.query("command", part.clone());
        }
        let connection = self.upgrade(&call, &|reason| place.failed(reason)).await?;
        let can_close_stdin = connection.supports_stream_close();
        let shared = Arc::new(Shared::new());
        let (stdin_ours, stdin_pump) = duplex(BUFFER);
        let (stdout_ours, stdout_pump) = duplex(BUFFER);
        let (stderr_ours, stderr_pump) = duplex(BUFFER);
        let with_stderr = options.stderr && !tty;
        let (resize, sizes) = mpsc::channel(4);
        let pipes = Pipes {
            stdin: stdin.then_some(stdin_pump),
            stdout: Some(stdout_pump),
            stderr: with_stderr.then_some(stderr_pump),
            sizes: tty.then_some(sizes),
        };
        let task = tokio::spawn(pump(
            connection.into_stream(),
            can_close_stdin,
            pipes,
            shared.clone(),
            place,
            stall,
        ));
        Ok(Exec {
            stdin: stdin.then(|| ExecStdin {
                pipe: stdin_ours,
                complete: false,
                shared: shared.clone(),
            }),
            stdout: Some(ExecStdout {
                pipe: stdout_ours,
                shared: shared.clone(),
            }),
            stderr: with_stderr.then_some(ExecStdout {
                pipe: stderr_ours,
                shared,
            }),
            resize: tty.then_some(ExecResize(resize)),
            can_close_stdin,
            task: Task(task),
        })
    }

    /// Opens a WebSocket. Until it stands nothing has begun (no command was started), so a server in trouble is asked
    /// again. `failed` makes the error of a reason that only the caller can put into a sentence.
    pub(crate) async fn upgrade(
        &self,
        call: &Call,
        failed: &(dyn Fn(String) -> ClusterError + Send + Sync),
    ) -> Result<kube::client::Connection, ClusterError> {
        let link = self.link();
        let mut attempts = link.attempts();
        loop {
            let request = Request::get(call.target())
                .body(Vec::new())
                .map_err(|error| failed(error.to_string()))?;
            let limit = link.tuning.answer_timeout;
            let failure = match timeout(limit, link.clients.upgrade.connect(request)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(kube::Error::Api(status))) => {
                    let body = serde_json::to_vec(&status).unwrap_or_default();
                    let code = StatusCode::from_u16(status.code)
                        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                    let failure = link.refusal(call, code, &http::HeaderMap::new(), &body);
                    match failure {
                        // Kubelets say 500 for what is not there (any more): no trouble, but an answer.
                        Failure::Unknown(ClusterError::Api(error)) if error.status == 500 => {
                            Failure::Final(failed(error.message))
                        }
                        Failure::Unknown(error) => Failure::NotDone(error),
                        other => other,
                    }
                }
                Ok(Err(kube::Error::UpgradeConnection(error))) => Failure::Final(failed(format!(
                    "no WebSocket connection came about ({error}); \
                         a proxy on the way may not let it through"
                ))),
                Ok(Err(error)) => match link.failed(call, &error) {
                    Failure::Unknown(error) => Failure::NotDone(error),
                    other => other,
                },
                Err(_) => Failure::Final(ClusterError::NoAnswer {
                    cluster: link.cluster.clone(),
                    action: call.action.clone(),
                    reason: format!("nothing came for {} s", limit.as_secs_f32()),
                }),
            };
            attempts.pause(failure, Repeat::Harmless).await?;
        }
    }
}

impl Exec {
    /// The command's input; `None` when it was started without, or this was asked before.
    pub fn stdin(&mut self) -> Option<ExecStdin> {
        self.stdin.take()
    }

    /// The command's output; `None` when this was asked before. What nobody reads is thrown away.
    pub fn stdout(&mut self) -> Option<ExecStdout> {
        self.stdout.take()
    }

    /// The command's standard error; `None` when it was started without ([`ExecOptions::stderr`]), or this was asked
    /// before. What nobody reads is thrown away.
    pub fn stderr(&mut self) -> Option<ExecStdout> {
        self.stderr.take()
    }

    /// What changes the size of the command's terminal; `None` when it has none.
    pub fn resizer(&self) -> Option<ExecResize> {
        self.resize.clone()
    }

    /// Whether the server can pass on the end of our input.
    ///
    /// Before Kubernetes 1.30 (protocol v4) it cannot: the command has to know by itself how much to read, as with
    /// `head -c N | tar -x`. A command that reads to the end of its input never ends there.
    pub fn can_close_stdin(&self) -> bool {
        self.can_close_stdin
    }

    /// Waits for the command's end and says how it ended.
    ///
    /// Input that was not taken is closed, output that was not taken is thrown away.
    ///
    /// # Errors
    /// [`ClusterError::ExecTorn`] when the connection ended without the command's status: whatever it had put out is
    /// not all. [`ClusterError::ExecStalled`] when nothing came or went for too long. [`ClusterError::ExecFailed`] when
    /// the program could not be started.
    pub async fn finish(mut self) -> Result<ExecOutcome, ClusterError> {
        if let Some(mut stdin) = self.stdin.take() {
            // It fails when the command has ended already, which is fine.
            let _ = stdin.shutdown().await;
        }
        drop(self.stdout.take());
        drop(self.stderr.take());
        match (&mut self.task.0).await {
            Ok(result) => result,
            Err(error) => Err(ClusterError::BadAnswer {
                cluster: String::new(),
                action: "run a command".into(),
                reason: error.to_string(),
            }),
        }
    }
}

impl AsyncWrite for ExecStdin {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.complete = true;
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

impl Drop for ExecStdin {
    fn drop(&mut self) {
        // Set before the pipe itself is dropped, so that the pump sees it with the end of the pipe.
        if !self.complete {
            self.shared.abandoned.store(true, Ordering::Release);
        }
    }
}

impl AsyncRead for ExecStdout {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let room = buf.remaining();
        match Pin::new(&mut self.pipe).poll_read(cx, buf) {
            Poll::Ready(Ok(()))
                if room > 0
                    && buf.filled().len() == before
                    && !self.shared.ended.load(Ordering::Acquire) =>
            {
                Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the connection to the command was torn before its end",
                )))
            }
            other => other,
        }
    }
}
