//! Reads a tar stream for its list alone.

use std::io::{self, BufRead, Read};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::mpsc,
};

use crate::{
    Allow, Features, FileKind, FileList, Progress, Span, VolumeError,
    archive::{Chunk, Reader},
    builder::ListBuilder,
    digest::Hasher,
};

/// Size of the pieces in which a stream is read.
pub(crate) const PIECE: usize = 256 << 10;
/// Pieces that may wait for the parser.
pub(crate) const WAITING: usize = 8;

/// Reads a tar stream to its end and lists what is in it, with hashes: for the verification of a restored
/// volume and for a look into an existing one. Links out of the volume and device nodes are listed like
/// everything else.
///
/// # Errors
/// When the stream fails, is torn, or is not tar.
pub async fn scan(
    stream: impl AsyncRead + Unpin + Send + 'static,
) -> Result<FileList, VolumeError> {
    scan_with(stream, &Progress::none()).await
}

/// [`scan`], which tells how far it is.
///
/// # Errors
/// As [`scan`].
pub async fn scan_with(
    mut stream: impl AsyncRead + Unpin + Send + 'static,
    progress: &Progress,
) -> Result<FileList, VolumeError> {
    let (sender, pieces) = mpsc::channel(WAITING);
    let parser =
        tokio::task::spawn_blocking(move || list(Pieces::new(pieces), READ_ALLOW, u64::MAX));
    let mut at = 0;
    while let Some(piece) = next_piece(&mut stream, at).await? {
        at += piece.len() as u64;
        progress.add(piece.len() as u64);
        if sender.send(piece).await.is_err() {
            break;
        }
    }
    drop(sender);
    Ok(parser.await.map_err(|_| VolumeError::Worker)??.list)
}

/// What is taken from a source: what is there is there. An import decides anew.
pub(crate) const READ_ALLOW: Allow = Allow {
    devices: true,
    escaping_links: true,
};

/// The next piece of a stream; `None` at its end.
pub(crate) async fn next_piece(
    stream: &mut (impl AsyncRead + Unpin),
    at: u64,
) -> Result<Option<Bytes>, VolumeError> {
    let mut buffer = BytesMut::with_capacity(PIECE);
    // A stream gives small pieces; larger ones cost fewer wake-ups of the parser.
    while buffer.len() < PIECE / 2 {
        let length = stream
            .read_buf(&mut buffer)
            .await
            .map_err(|source| VolumeError::Read { at, source })?;
        if length == 0 {
            break;
        }
    }
    Ok((!buffer.is_empty()).then(|| buffer.freeze()))
}

/// What is known of an archive that was read to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) list: FileList,
    pub(crate) features: Features,
    /// The headers of the root, if it is there once.
    pub(crate) root: Option<Span>,
}

/// Bytes of all holes of a volume that are hashed: they cost nothing in an archive, and an hour of hashing for
/// each TiB. This is a limit for what is hostile, and for what nobody would wait for.
const MAX_HOLES: u64 = 1 << 40;

/// Parses an archive to its end, which has at most `most` entries.
pub(crate) fn list(input: impl BufRead, allow: Allow, most: u64) -> Result<Parsed, VolumeError> {
    let mut reader = Reader::new(input);
    let mut builder = ListBuilder::new(allow);
    let mut roots = Vec::new();
    let (mut members, mut holes) = (0u64, 0u64);
    while let Some(mut member) = reader.member()? {
        let path = builder.check(&mut member)?;
        members += 1;
        // A directory may be there twice.
        if members > most.saturating_mul(2).saturating_add(1) {
            return Err(VolumeError::TooLarge {
                what: format!("it has more than the {most} entries of its list"),
            });
        }
        if path.is_empty() {
            roots.push(reader.headers().map(|(offset, size)| Span { offset, size }));
        }
        let sha256 = if member.kind == FileKind::File {
            Some(hash(&mut reader, &mut holes)?)
        } else {
            None
        };
        builder.add(path, member, sha256);
    }
    let forms = reader.forms();
    let list = builder.finish();
    let features = Features {
        extended_headers: forms.pax,
        sparse: forms.sparse,
        devices: list.devices().next().is_some(),
        escaping_links: list.escaping_links().next().is_some(),
    };
    let root = if let [root] = roots[..] { root } else { None };
    Ok(Parsed {
        list,
        features,
        root,
    })
}

fn hash(reader: &mut Reader<impl BufRead>, holes: &mut u64) -> Result<[u8; 32], VolumeError> {
    let mut hasher = Hasher::default();
    while let Some(chunk) = reader.chunk()? {
        match chunk {
            Chunk::Data(bytes) => hasher.update(bytes),
            Chunk::Zeros(count) => {
                *holes = holes.saturating_add(count);
                if *holes > MAX_HOLES {
                    return Err(VolumeError::TooLarge {
                        what: "its sparse files have holes of more than 1 TiB".into(),
                    });
                }
                hasher.zeros(count);
            }
        }
    }
    Ok(hasher.finish())
}

/// The pieces of a stream as blocking input.
pub(crate) struct Pieces {
    pieces: mpsc::Receiver<Bytes>,
    present: Bytes,
}

impl Pieces {
    pub(crate) fn new(pieces: mpsc::Receiver<Bytes>) -> Self {
        Self {
            pieces,
            present: Bytes::new(),
        }
    }
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.present.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.present = piece,
                None => break,
            }
        }
        Ok(&self.present)
    }

    fn consume(&mut self, length: usize) {
        self.present.advance(length);
    }
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let length = from.len().min(into.len());
        into[..length].copy_from_slice(&from[..length]);
        self.consume(length);
        Ok(length)
    }
}
