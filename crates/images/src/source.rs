//! Where the bytes of blobs come from: a registry or an image layout.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::ImagesError;
use crate::layout::Layout;
use crate::registry::{Blob, BlobReader, Repository};

/// Bytes of a file that are read at once.
const BLOCK: usize = 512 << 10;

/// Where blobs are read.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Repository(Repository),
    Layout(Layout),
}

impl Source {
    /// What messages call it.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Repository(repository) => repository.registry().name().to_owned(),
            Self::Layout(layout) => layout.path().display().to_string(),
        }
    }

    /// A blob's bytes from an offset on.
    pub(crate) async fn read(&self, blob: &Blob, at: u64) -> Result<BlobStream, ImagesError> {
        Ok(match self {
            Self::Repository(repository) => BlobStream::Registry(Box::new(BlobReader::new(
                repository.clone(),
                blob.clone(),
                at,
            ))),
            Self::Layout(layout) => {
                let (mut file, path) = layout.open_blob(blob).await?;
                if at > 0 {
                    file.seek(std::io::SeekFrom::Start(at))
                        .await
                        .map_err(|source| ImagesError::Io {
                            action: "read",
                            path: path.clone(),
                            source,
                        })?;
                }
                file.set_max_buf_size(BLOCK);
                BlobStream::File {
                    file,
                    path,
                    left: blob.descriptor.size - at.min(blob.descriptor.size),
                }
            }
        })
    }
}

/// A blob's bytes, in order.
pub(crate) enum BlobStream {
    Registry(Box<BlobReader>),
    File {
        file: tokio::fs::File,
        path: std::path::PathBuf,
        left: u64,
    },
}

impl BlobStream {
    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ImagesError> {
        match self {
            Self::Registry(reader) => reader.next().await,
            Self::File { file, path, left } => {
                if *left == 0 {
                    return Ok(None);
                }
                let mut block = BytesMut::with_capacity((*left).min(BLOCK as u64) as usize);
                let read = file
                    .take(*left)
                    .read_buf(&mut block)
                    .await
                    .and_then(|read| match read {
                        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
                        read => Ok(read),
                    })
                    .map_err(|source| ImagesError::Io {
                        action: "read",
                        path: path.clone(),
                        source,
                    })?;
                *left -= read as u64;
                Ok(Some(block.freeze()))
            }
        }
    }
}

/// A stream of pieces that are cut where a chunk ends.
pub(crate) struct Pushback {
    stream: BlobStream,
    rest: Bytes,
}

impl Pushback {
    pub(crate) fn new(stream: BlobStream) -> Self {
        Self {
            stream,
            rest: Bytes::new(),
        }
    }

    /// The next piece, of at most so many bytes. Only bytes that the blob has may be asked for.
    pub(crate) async fn take(&mut self, most: u64) -> Result<Bytes, ImagesError> {
        while self.rest.is_empty() {
            match self.stream.next().await? {
                Some(piece) => self.rest = piece,
                // The streams check the length that the blob should have.
                None => {
                    return Err(ImagesError::Io {
                        action: "read",
                        path: "a blob".into(),
                        source: std::io::ErrorKind::UnexpectedEof.into(),
                    });
                }
            }
        }
        let most = most.min(self.rest.len() as u64) as usize;
        Ok(self.rest.split_to(most))
    }
}
