//! What can be wrong with a volume's stream or its stored form.

use std::{fmt, io, path::PathBuf};

use crate::{Difference, path::shown};

/// Why a volume could not be read, stored, verified or sent.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// The stream ended too early: its sender died, or the connection was cut.
    #[error(
        "the volume's archive is torn: it ends {what}, after {at} bytes; read the volume again"
    )]
    Torn {
        /// Where it ended, as in `in the middle of a file`.
        what: &'static str,
        /// Bytes read until then.
        at: u64,
    },
    /// Reading the stream failed.
    #[error("reading the volume's archive failed after {at} bytes")]
    Read {
        /// Bytes read until then.
        at: u64,
        /// The failure.
        #[source]
        source: io::Error,
    },
    /// The stream is no tar archive, or uses a form that we do not know and so do not guess at.
    #[error("not a tar archive that can be trusted: {what}, at byte {at}")]
    NotTar {
        /// What is wrong.
        what: String,
        /// Position in the stream.
        at: u64,
    },
    /// The archive holds something that must not be unpacked.
    #[error("refused `{}` of the volume's archive: {why}", shown(.path))]
    Refused {
        /// Path as the archive gives it.
        path: Vec<u8>,
        /// The reason.
        why: Refusal,
    },
    /// The archive is larger than the chart's format can hold or the caller allows.
    #[error("the volume is too large: {what}")]
    TooLarge {
        /// Which limit.
        what: String,
    },
    /// A local file could not be read or written.
    #[error("{action} `{}` failed", path.display())]
    File {
        /// `reading`, `writing`, …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The failure.
        #[source]
        source: io::Error,
    },
    /// A stored file is not what the volume's own description says.
    #[error("`{}` is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The segments are sound, but they do not hold what the list of files says.
    #[error("the archive in `{}` does not hold what its list of files says: {first} ({count} differences)", path.display())]
    Mismatch {
        /// The volume's folder.
        path: PathBuf,
        /// The first difference.
        first: Box<Difference>,
        /// How many there are.
        count: usize,
    },
    /// The receiving end failed.
    #[error("sending the volume failed after {at} bytes")]
    Send {
        /// Bytes sent until then.
        at: u64,
        /// The failure.
        #[source]
        source: io::Error,
    },
    /// A worker thread ended without an answer.
    #[error("a worker of the volume's stream ended unexpectedly")]
    Worker,
}

impl VolumeError {
    pub(crate) fn refused(path: &[u8], why: Refusal) -> Self {
        Self::Refused {
            path: path.to_vec(),
            why,
        }
    }

    pub(crate) fn damaged(path: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.into(),
            what: what.into(),
        }
    }

    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}

/// Why a member of an archive is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Its path begins with `/`.
    Absolute,
    /// Its path holds `..`.
    Parent,
    /// Its path is empty or holds a NUL byte.
    BadName,
    /// It is a device node.
    Device,
    /// It is a symbolic link out of the volume.
    EscapingLink {
        /// The link's target.
        target: Vec<u8>,
    },
    /// It is a hard link to something that is not a file earlier in the archive.
    UnknownLink {
        /// The link's target.
        target: Vec<u8>,
    },
    /// It lies below something that is a link.
    ThroughLink,
    /// It lies below something that is not a directory.
    NotADirectory,
    /// Its path was there before.
    Twice,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absolute => f.write_str("its path is absolute"),
            Self::Parent => f.write_str("its path holds `..`"),
            Self::BadName => f.write_str("its path is empty or holds a NUL byte"),
            Self::Device => f.write_str("it is a device node, which needs to be allowed"),
            Self::EscapingLink { target } => write!(
                f,
                "it is a link to `{}`, which is outside of the volume, and this needs to be allowed",
                shown(target)
            ),
            Self::UnknownLink { target } => write!(
                f,
                "it is a hard link to `{}`, which is no file that comes before it",
                shown(target)
            ),
            Self::ThroughLink => f.write_str("it would be written through a link"),
            Self::NotADirectory => {
                f.write_str("it would be written below something that is not a directory")
            }
            Self::Twice => f.write_str("the archive holds this path twice"),
        }
    }
}
