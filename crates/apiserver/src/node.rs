//! The node's side of a pod: what runs commands, reads logs and reaches ports.

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

/// Bytes to and from a port.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A command to run in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecRequest {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Container; the server has filled in the only or default one.
    pub container: Option<String>,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Whether standard input is sent.
    pub stdin: bool,
    /// Whether standard output is wanted.
    pub stdout: bool,
    /// Whether standard error is wanted.
    pub stderr: bool,
    /// Whether it runs on a terminal.
    pub tty: bool,
}

/// Terminal size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// A running command.
pub struct ExecSession {
    /// Its standard input; dropping it closes the input.
    pub stdin: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// Its standard output.
    pub stdout: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// Its standard error; none on a terminal.
    pub stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    /// Its exit code, once it has ended. Dropping this future ends the command.
    pub exit: BoxFuture<'static, Result<i32, NodeError>>,
    /// Takes new terminal sizes, if it has a terminal.
    pub resize: Option<mpsc::Sender<TerminalSize>>,
}

impl std::fmt::Debug for ExecSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecSession").finish_non_exhaustive()
    }
}

/// Which part of a container's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogRequest {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Container; the server has filled in the only or default one.
    pub container: Option<String>,
    /// Whether to go on as the log grows, until the container ends.
    pub follow: bool,
    /// Of the previous run of the container.
    pub previous: bool,
    /// Only so many lines from the end.
    pub tail_lines: Option<usize>,
    /// Only so many bytes.
    pub limit_bytes: Option<u64>,
    /// Only what is not older, in seconds.
    pub since_seconds: Option<u64>,
    /// Whether each line begins with its time.
    pub timestamps: bool,
}

/// What a node cannot do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// The container is not running: not yet, or no more.
    #[error("container not found ({0:?})")]
    NotRunning(String),
    /// The command does not exist in the container.
    #[error("exec: {0:?}: executable file not found in $PATH: unknown")]
    NoSuchCommand(String),
    /// Nothing listens on the port.
    #[error("failed to connect to localhost:{0} inside namespace: connection refused")]
    ConnectionRefused(u16),
    /// The container has no log (yet).
    #[error("container {0:?} is waiting to start")]
    NotStarted(String),
    /// The node does not do this.
    #[error("the node does not implement {0}")]
    Unsupported(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// What the server asks of the node. Implemented by whatever runs the containers.
pub trait NodeBackend: Send + Sync {
    /// Runs a command in a container.
    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Result<ExecSession, NodeError>>;

    /// Reads a container's log.
    fn logs(
        &self,
        request: LogRequest,
    ) -> BoxFuture<'_, Result<Box<dyn AsyncRead + Send + Unpin>, NodeError>>;

    /// Connects to a port of a pod.
    fn port(
        &self,
        namespace: &str,
        pod: &str,
        port: u16,
    ) -> BoxFuture<'_, Result<Box<dyn Duplex>, NodeError>>;
}

/// A cluster without a node: pods are kept and never run.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoNode;

impl NodeBackend for NoNode {
    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Result<ExecSession, NodeError>> {
        Box::pin(async move { Err(NodeError::NotRunning(request.container.unwrap_or_default())) })
    }

    fn logs(
        &self,
        request: LogRequest,
    ) -> BoxFuture<'_, Result<Box<dyn AsyncRead + Send + Unpin>, NodeError>> {
        Box::pin(async move { Err(NodeError::NotStarted(request.container.unwrap_or_default())) })
    }

    fn port(
        &self,
        _namespace: &str,
        _pod: &str,
        port: u16,
    ) -> BoxFuture<'_, Result<Box<dyn Duplex>, NodeError>> {
        Box::pin(async move { Err(NodeError::ConnectionRefused(port)) })
    }
}
