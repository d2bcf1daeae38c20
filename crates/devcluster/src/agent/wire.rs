//! The protocol between node and agent: frames of one byte kind, four bytes length (big endian)
//! and payload. A connection begins with one [`Request`]; what follows depends on it.

use std::io::{self, Read, Write};
use std::net::SocketAddrV4;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Payloads are at most this long; whatever says more is not this protocol.
const MAX_PAYLOAD: usize = 8 << 20;

/// Size of the pieces in which streams are cut.
pub(crate) const CHUNK: usize = 64 << 10;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A [`Request`], the first frame that the node sends.
    Request,
    /// Standard input; empty at its end.
    Stdin,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// An [`Outcome`].
    Outcome,
    /// One byte: the number of the signal to send to the process.
    Signal,
    /// Four bytes: rows and columns of the terminal, big endian.
    Resize,
}

/// What the node wants of an agent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase")]
pub(crate) enum Request {
    /// Start the container's process. The connection stays open as long as the container lives:
    /// its end ends the container.
    Start(Process),
    /// Run one more command in the container.
    #[serde(rename_all = "camelCase")]
    Exec {
        command: Vec<String>,
        stdin: bool,
        tty: bool,
    },
    /// Take connections for Services at these addresses, too.
    Services { addresses: Vec<SocketAddrV4> },
    /// Connect to a port; after [`Outcome::Started`] the connection carries bare bytes.
    Port { port: u16 },
}

/// The container's process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Process {
    pub(crate) command: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) cwd: String,
    /// Where connections for Services are taken, from before the start on.
    pub(crate) services: Vec<SocketAddrV4>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub(crate) enum Outcome {
    /// It runs, or is connected.
    Started,
    /// The process ended by itself.
    Exited { code: i32 },
    /// A signal ended it.
    Killed { signal: i32 },
    /// It could not be started, or not be connected.
    Refused { reason: Refusal, message: String },
}

impl Outcome {
    /// The exit code as a container runtime gives it: 128 and the signal's number when killed.
    pub(crate) fn code(&self) -> i32 {
        match self {
            Self::Started => 0,
            Self::Exited { code } => *code,
            Self::Killed { signal } => 128 + signal,
            Self::Refused {
                reason: Refusal::Permission,
                ..
            } => 126,
            Self::Refused { .. } => 127,
        }
    }
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Refusal {
    /// No such executable in `$PATH`.
    NotInPath,
    /// The path named does not exist.
    NotFound,
    /// It may not be executed.
    Permission,
    /// Anything else.
    Other,
}

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(kind: Kind, payload: Vec<u8>) -> Self {
        Self { kind, payload }
    }

    /// A frame whose payload is JSON.
    pub(crate) fn json<T: Serialize>(kind: Kind, value: &T) -> io::Result<Self> {
        Ok(Self::new(kind, serde_json::to_vec(value)?))
    }

    /// The payload as JSON.
    pub(crate) fn parse<'a, T: Deserialize<'a>>(&'a self) -> io::Result<T> {
        serde_json::from_slice(&self.payload)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
    }
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Self::Request => 0,
            Self::Stdin => 1,
            Self::Stdout => 2,
            Self::Stderr => 3,
            Self::Outcome => 4,
            Self::Signal => 5,
            Self::Resize => 6,
        }
    }

    fn of(byte: u8) -> Option<Self> {
        [
            Self::Request,
            Self::Stdin,
            Self::Stdout,
            Self::Stderr,
            Self::Outcome,
            Self::Signal,
            Self::Resize,
        ]
        .into_iter()
        .find(|kind| kind.byte() == byte)
    }
}

fn header(kind: Kind, length: usize) -> io::Result<[u8; 5]> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "frame is too long");
    if length > MAX_PAYLOAD {
        return Err(too_long());
    }
    let length = u32::try_from(length).map_err(|_| too_long())?.to_be_bytes();
    Ok([kind.byte(), length[0], length[1], length[2], length[3]])
}

fn read_header(header: [u8; 5]) -> io::Result<(Kind, usize)> {
    let bad = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let kind = Kind::of(header[0]).ok_or_else(|| bad("unknown kind of frame"))?;
    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
    if length > MAX_PAYLOAD {
        return Err(bad("frame is too long"));
    }
    Ok((kind, length))
}

/// Writes one frame, blocking.
pub(crate) fn write(to: &mut impl Write, kind: Kind, payload: &[u8]) -> io::Result<()> {
    to.write_all(&header(kind, payload.len())?)?;
    to.write_all(payload)?;
    to.flush()
}

/// Reads one frame, blocking; `None` at a clean end.
pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Frame>> {
    let mut first = [0_u8; 5];
    if from.read(&mut first[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut first[1..])?;
    let (kind, length) = read_header(first)?;
    let mut payload = vec![0; length];
    from.read_exact(&mut payload)?;
    Ok(Some(Frame { kind, payload }))
}

/// Writes one frame.
pub(crate) async fn send<W: AsyncWrite + Unpin>(to: &mut W, frame: &Frame) -> io::Result<()> {
    to.write_all(&header(frame.kind, frame.payload.len())?)
        .await?;
    to.write_all(&frame.payload).await?;
    to.flush().await
}

/// Reads one frame; `None` at a clean end.
pub(crate) async fn receive<R: AsyncRead + Unpin>(from: &mut R) -> io::Result<Option<Frame>> {
    let mut first = [0_u8; 5];
    if from.read(&mut first[..1]).await? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut first[1..]).await?;
    let (kind, length) = read_header(first)?;
    let mut payload = vec![0; length];
    from.read_exact(&mut payload).await?;
    Ok(Some(Frame { kind, payload }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_the_way() {
        let mut bytes = Vec::new();
        write(&mut bytes, Kind::Stdout, b"hello").unwrap();
        write(&mut bytes, Kind::Stdin, b"").unwrap();
        let mut from = bytes.as_slice();
        assert_eq!(
            read(&mut from).unwrap(),
            Some(Frame::new(Kind::Stdout, b"hello".to_vec()))
        );
        assert_eq!(
            read(&mut from).unwrap(),
            Some(Frame::new(Kind::Stdin, Vec::new()))
        );
        assert_eq!(read(&mut from).unwrap(), None);
    }

    #[test]
    fn what_is_not_a_frame_is_refused() {
        assert!(read(&mut [99, 0, 0, 0, 0].as_slice()).is_err());
        assert!(read(&mut [2, 255, 0, 0, 0].as_slice()).is_err());
        assert!(read(&mut [2, 0, 0, 0, 9, 1].as_slice()).is_err());
    }

    #[test]
    fn codes_are_those_of_a_container_runtime() {
        assert_eq!(Outcome::Killed { signal: 9 }.code(), 137);
        assert_eq!(Outcome::Exited { code: 3 }.code(), 3);
    }
}
