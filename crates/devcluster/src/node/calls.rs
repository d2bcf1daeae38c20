//! Calling agents: the node's side of the protocol.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::UnixStream;

use crate::agent::wire::{self, Frame, Kind, Outcome, Request};

/// The folder of the agents' sockets, held open: the path of a socket may be 107 bytes long, that of
/// a data folder longer, and `/proc/self/fd` shortens it.
#[derive(Debug, Clone)]
pub(crate) struct Sockets {
    folder: Arc<OwnedFd>,
}

impl Sockets {
    /// Opens the folder, emptied of what an earlier run left.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        if folder.exists() {
            fs_err::remove_dir_all(folder)?;
        }
        fs_err::create_dir_all(folder)?;
        let folder = fs_err::File::open(folder)?.into_parts().0;
        Ok(Self {
            folder: Arc::new(folder.into()),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        format!("/proc/self/fd/{}/{name}", self.folder.as_raw_fd()).into()
    }

    /// A socket for one agent to listen on.
    pub(crate) fn listen(&self, name: &str) -> io::Result<StdListener> {
        let path = self.path(name);
        let _ = std::fs::remove_file(&path);
        StdListener::bind(path)
    }

    /// Forgets a socket.
    pub(crate) fn remove(&self, name: &str) {
        let _ = std::fs::remove_file(self.path(name));
    }

    /// Calls an agent and sends the request.
    pub(crate) async fn call(&self, name: &str, request: &Request) -> io::Result<UnixStream> {
        let mut stream = UnixStream::connect(self.path(name)).await?;
        wire::send(&mut stream, &Frame::json(Kind::Request, request)?).await?;
        Ok(stream)
    }
}

/// Reads the request that a connection begins with.
pub(crate) async fn receive<T: serde::de::DeserializeOwned>(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
) -> io::Result<T> {
    match wire::receive(from).await? {
        Some(frame) if frame.kind == Kind::Request => frame.parse(),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Reads the next outcome.
pub(crate) async fn outcome(from: &mut (impl tokio::io::AsyncRead + Unpin)) -> io::Result<Outcome> {
    loop {
        match wire::receive(from).await? {
            Some(frame) if frame.kind == Kind::Outcome => return frame.parse(),
            Some(_) => {}
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
