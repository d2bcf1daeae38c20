//! Frames: reading them without ever holding a whole one that is large, and writing them.

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::SpdyError;
use super::headers::{Headers, Packer, Unpacker};

const VERSION: u16 = 3;
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;
const FIN: u8 = 1;
const STREAM_MASK: u32 = 0x7fff_ffff;
/// Status of a reset: the stream is not taken.
pub(crate) const RST_REFUSED: u32 = 3;
/// Status of a reset: the stream is no longer wanted.
pub(crate) const RST_CANCEL: u32 = 5;
/// Frames other than data are short; longer ones are no SPDY.
const CONTROL_LIMIT: usize = 256 * 1024;
/// The pieces in which the data of a frame is handed on.
const CHUNK: usize = 32 * 1024;

/// What a peer sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A new stream.
    Open {
        stream: u32,
        fin: bool,
        headers: Headers,
    },
    /// Bytes of a stream, or a part of those of one frame; `fin` with its last.
    Data {
        stream: u32,
        fin: bool,
        payload: Bytes,
    },
    /// A stream is given up.
    Reset { stream: u32 },
    /// To be sent back.
    Ping(u32),
    /// No new streams will come.
    GoAway,
}

/// What is left of a frame of data.
struct Pending {
    stream: u32,
    fin: bool,
    left: usize,
}

/// Reads frames.
pub(crate) struct FrameReader<R> {
    input: R,
    headers: Unpacker,
    pending: Option<Pending>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            headers: Unpacker::new(),
            pending: None,
        }
    }

    /// The next frame; none at the end of the connection.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, SpdyError> {
        loop {
            if let Some(pending) = self.pending.take() {
                return self.data(pending).await.map(Some);
            }
            let mut head = [0; 8];
            if self.input.read(&mut head[..1]).await? == 0 {
                return Ok(None);
            }
            self.input.read_exact(&mut head[1..]).await?;
            let word = |at: usize| {
                u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
            };
            let (first, second) = (word(0), word(4));
            let fin = head[4] & FIN != 0;
            // Three bytes always fit.
            let length = usize::try_from(second & 0x00ff_ffff).unwrap_or_default();
            if first & !STREAM_MASK == 0 {
                self.pending = Some(Pending {
                    stream: first,
                    fin,
                    left: length,
                });
                continue;
            }
            let version = u16::from_be_bytes([head[0] & 0x7f, head[1]]);
            if version != VERSION {
                return Err(SpdyError::Protocol("another version"));
            }
            if length > CONTROL_LIMIT {
                return Err(SpdyError::Protocol("a frame that is too long"));
            }
            let mut body = vec![0; length];
            self.input.read_exact(&mut body).await?;
            let kind = u16::from_be_bytes([head[2], head[3]]);
            if let Some(frame) = self.control(kind, fin, &body)? {
                return Ok(Some(frame));
            }
        }
    }

    async fn data(&mut self, mut pending: Pending) -> Result<Frame, SpdyError> {
        let size = pending.left.min(CHUNK);
        let mut payload = BytesMut::zeroed(size);
        self.input.read_exact(&mut payload).await?;
        pending.left -= size;
        let (stream, last) = (pending.stream, pending.left == 0);
        let fin = pending.fin && last;
        if !last {
            self.pending = Some(pending);
        }
        Ok(Frame::Data {
            stream,
            fin,
            payload: payload.freeze(),
        })
    }

    fn control(&mut self, kind: u16, fin: bool, body: &[u8]) -> Result<Option<Frame>, SpdyError> {
        const CUT: SpdyError = SpdyError::Protocol("a frame that is too short");
        let number = || {
            let bytes = body.first_chunk::<4>().ok_or(CUT)?;
            Ok::<u32, SpdyError>(u32::from_be_bytes(*bytes))
        };
        Ok(match kind {
            SYN_STREAM => {
                let stream = number()? & STREAM_MASK;
                let headers = self.headers.unpack(body.get(10..).ok_or(CUT)?)?;
                Some(Frame::Open {
                    stream,
                    fin,
                    headers,
                })
            }
            // What is packed in them belongs to the one stream of compressed headers.
            SYN_REPLY | HEADERS => {
                self.headers.unpack(body.get(4..).ok_or(CUT)?)?;
                None
            }
            RST_STREAM => Some(Frame::Reset {
                stream: number()? & STREAM_MASK,
            }),
            PING => Some(Frame::Ping(number()?)),
            GOAWAY => Some(Frame::GoAway),
            // Settings, window updates, and what an older peer may not know.
            _ => None,
        })
    }
}

fn control(kind: u16, body: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(8 + body.len());
    frame.put_u16(0x8000 | VERSION);
    frame.put_u16(kind);
    // No frame of ours has flags or comes near the limit of three bytes.
    frame.put_u32(u32::try_from(body.len()).unwrap_or_default());
    frame.put_slice(body);
    frame.freeze()
}

/// Bytes of a stream; the last with `fin`. At most 16 MiB less one byte.
pub(crate) fn data(stream: u32, fin: bool, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(8 + payload.len());
    frame.put_u32(stream & STREAM_MASK);
    let length = u32::try_from(payload.len()).unwrap_or_default() & 0x00ff_ffff;
    frame.put_u32(length | if fin { u32::from(FIN) << 24 } else { 0 });
    frame.put_slice(payload);
    frame.freeze()
}

/// The answer to a ping.
pub(crate) fn ping(id: u32) -> Bytes {
    control(PING, &id.to_be_bytes())
}

/// Gives a stream up.
pub(crate) fn reset(stream: u32, status: u32) -> Bytes {
    let mut body = [0; 8];
    body[..4].copy_from_slice(&stream.to_be_bytes());
    body[4..].copy_from_slice(&status.to_be_bytes());
    control(RST_STREAM, &body)
}

/// Writes the frames that hold headers, which depend on all before them: they have to be sent in the
/// order in which they were made.
pub(crate) struct Encoder {
    headers: Packer,
}

impl Encoder {
    pub(crate) fn new() -> Result<Self, SpdyError> {
        Ok(Self {
            headers: Packer::new()?,
        })
    }

    /// Takes a stream, without headers of our own.
    pub(crate) fn reply(&mut self, stream: u32) -> Result<Bytes, SpdyError> {
        let mut body = (stream & STREAM_MASK).to_be_bytes().to_vec();
        body.extend(self.headers.pack(&[])?);
        Ok(control(SYN_REPLY, &body))
    }

    /// Opens a stream, as clients do.
    #[cfg(test)]
    pub(crate) fn open(&mut self, stream: u32, headers: &[(&str, &str)]) -> Bytes {
        let mut body = stream.to_be_bytes().to_vec();
        body.extend([0; 6]);
        body.extend(self.headers.pack(headers).unwrap());
        control(SYN_STREAM, &body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    async fn read_all(bytes: &[u8]) -> Result<Vec<Frame>, SpdyError> {
        let mut reader = FrameReader::new(bytes);
        let mut frames = Vec::new();
        while let Some(frame) = reader.next().await? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[tokio::test]
    async fn frames_are_read_in_their_order() {
        let mut encoder = Encoder::new().unwrap();
        let mut bytes = encoder.open(1, &[("streamtype", "error")]).to_vec();
        // Settings are passed over, and so is what a reply holds.
        bytes.extend(control(4, &[0; 4]));
        bytes.extend(encoder.reply(2).unwrap());
        bytes.extend(encoder.open(3, &[("streamtype", "data"), ("port", "80")]));
        bytes.extend(data(3, true, b"hello"));
        bytes.extend(ping(7));
        bytes.extend(reset(3, RST_CANCEL));
        bytes.extend(control(GOAWAY, &[0; 8]));
        let frames = read_all(&bytes).await.unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            frames,
            [
                Frame::Open {
                    stream: 1,
                    fin: false,
                    headers: vec![pair("streamtype", "error")],
                },
                Frame::Open {
                    stream: 3,
                    fin: false,
                    headers: vec![pair("streamtype", "data"), pair("port", "80")],
                },
                Frame::Data {
                    stream: 3,
                    fin: true,
                    payload: Bytes::from_static(b"hello"),
                },
                Frame::Ping(7),
                Frame::Reset { stream: 3 },
                Frame::GoAway,
            ]
        );
    }

    #[tokio::test]
    async fn a_large_frame_comes_in_pieces() {
        let payload = vec![7; 3 * CHUNK + 5];
        let frames = read_all(&data(1, true, &payload)).await.unwrap();
        let ends: Vec<(usize, bool)> = frames
            .iter()
            .map(|frame| match frame {
                Frame::Data { payload, fin, .. } => (payload.len(), *fin),
                other => unreachable!("{other:?}"),
            })
            .collect();
        let chunk = (CHUNK, false);
        assert_eq!(ends, [chunk, chunk, chunk, (5, true)]);
    }

    #[tokio::test]
    async fn what_is_no_spdy_is_refused() {
        let other_version = [0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1];
        assert!(matches!(
            read_all(&other_version).await,
            Err(SpdyError::Protocol("another version"))
        ));
        let cut = &ping(1)[..9];
        assert!(matches!(read_all(cut).await, Err(SpdyError::Broken(_))));
        let endless = [0x80, 3, 0, 4, 0, 0xff, 0xff, 0xff];
        assert!(matches!(
            read_all(&endless).await,
            Err(SpdyError::Protocol("a frame that is too long"))
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(read_all(&bytes));
        }
    }
}
