//! What can be wrong with a chart.

use std::{io, path::PathBuf};

use openshifter_objects::{ObjectError, ObjectKey};
use openshifter_volumes::VolumeError;

/// Why a chart could not be made, read, verified, packed or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// A chart, or something else, is there already.
    #[error("`{}` is there already; name another place or remove it", .0.display())]
    Exists(PathBuf),
    /// A file or folder could not be read or written.
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
    /// What was given is no chart.
    #[error("`{}` is not a chart: {what}", path.display())]
    NotAChart {
        /// What was given.
        path: PathBuf,
        /// What is missing or wrong.
        what: String,
    },
    /// The chart was made by a newer program.
    #[error("`{}` is a chart of format {found}, and this program knows format {known}; use a newer one", path.display())]
    Format {
        /// The chart.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// What this program knows.
        known: u32,
    },
    /// A file is not what the ledger says.
    #[error("the chart is damaged: `{path}` {what}")]
    Damaged {
        /// Path in the chart.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// A volume of the chart is not what it should be.
    #[error("the volume of the claim `{claim}` cannot be used")]
    Volume {
        /// The claim.
        claim: String,
        /// What is wrong.
        #[source]
        source: VolumeError,
    },
    /// A file of the chart is no object.
    #[error("`{path}` of the chart is no object")]
    Object {
        /// Path in the chart.
        path: String,
        /// What is wrong.
        #[source]
        source: ObjectError,
    },
    /// An archive holds something that must not be unpacked.
    #[error("refused the archive: `{path}` {why}")]
    Refused {
        /// Path in the archive.
        path: String,
        /// The reason.
        why: String,
    },
    /// A volume of the prototype's holds a device node.
    #[error("refused the archive: `{path}` is a device node, which needs to be allowed")]
    Device {
        /// Path in the archive.
        path: String,
    },
    /// An archive is larger than anybody should unpack.
    #[error("refused the archive: {what}")]
    TooLarge {
        /// Which limit.
        what: String,
    },
    /// An archive is larger than the disk that it is unpacked to has room for.
    #[error("there is no room for the archive: it has {bytes} bytes or more, and {free} are free")]
    NoRoom {
        /// Bytes of the unpacked chart, as far as they are known.
        bytes: u64,
        /// Free bytes of the disk.
        free: u64,
    },
    /// An archive ended early or is broken.
    #[error("the archive is torn or broken: {what}")]
    Torn {
        /// Where, or how.
        what: String,
    },
    /// Two objects have the same group, kind and name.
    #[error("{0} is there twice")]
    Twice(ObjectKey),
    /// A knob does not fit the objects it was made for.
    #[error("{object} cannot have a knob at `{pointer}`: {why}")]
    Knob {
        /// The object.
        object: ObjectKey,
        /// The place.
        pointer: String,
        /// The reason.
        why: &'static str,
    },
    /// The receiver of an archive failed.
    #[error("sending the chart failed after {at} bytes")]
    Send {
        /// Bytes sent until then.
        at: u64,
        /// The failure.
        #[source]
        source: io::Error,
    },
    /// A worker thread ended without an answer.
    #[error("a worker of the chart ended unexpectedly")]
    Worker,
}

impl ChartError {
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

    pub(crate) fn damaged(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.into(),
            what: what.into(),
        }
    }

    pub(crate) fn not_a_chart(path: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self::NotAChart {
            path: path.into(),
            what: what.into(),
        }
    }

    pub(crate) fn volume(claim: &str) -> impl FnOnce(VolumeError) -> Self {
        let claim = claim.to_owned();
        move |source| Self::Volume { claim, source }
    }
}
