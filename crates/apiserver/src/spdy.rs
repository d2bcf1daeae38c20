//! SPDY/3.1, as far as Kubernetes' streams use it: frames and compressed headers.
//!
//! Ports are forwarded over it, bare on an upgraded connection or inside WebSocket messages. There is
//! no flow control: the peers that Kubernetes uses neither send nor understand window updates, so a
//! stream that nobody reads holds the whole connection up.
//!
//! Source: <https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/>.

mod dictionary;
mod frames;
mod headers;

pub(crate) use frames::{Encoder, Frame, FrameReader, RST_CANCEL, RST_REFUSED, data, ping, reset};

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpdyError {
    /// The connection broke, or ended within a frame.
    #[error("the connection broke")]
    Broken(#[from] std::io::Error),
    /// The peer speaks another protocol, or not by its rules.
    #[error("not SPDY/3.1: {0}")]
    Protocol(&'static str),
}
