//! Moves file trees: reads the tar stream of a volume once into verified segments, and gives it back.
//!
//! Nothing here knows of clusters: a volume arrives as an [`AsyncRead`](tokio::io::AsyncRead) and leaves
//! as an [`AsyncWrite`](tokio::io::AsyncWrite). The commands that make and take such streams on the remote
//! side are in [`commands`].
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use openshifter_volumes::{Progress, RecordOptions, StoredVolume, record};
//!
//! let empty_tar = vec![0; 1024];
//! let dir = tempfile::tempdir()?;
//! let recorded = record(std::io::Cursor::new(empty_tar), &dir.path().join("data"), &RecordOptions::default()).await?;
//! assert_eq!(recorded.files(), 0);
//!
//! let stored = StoredVolume::open(&dir.path().join("data"))?;
//! stored.verify()?;
//! let mut tar = Vec::new();
//! stored.copy_to(&mut tar, &Progress::none()).await?;
//! assert_eq!(tar.len() as u64, stored.tar_len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

pub mod archive;
mod builder;
pub mod commands;
mod compare;
mod digest;
mod entry;
mod error;
mod files;
mod list;
mod meta;
mod path;
mod plain;
mod progress;
mod record;
mod scan;
mod segments;
mod stored;
mod write;

pub use builder::Allow;
pub use compare::{Compare, Difference, DifferenceKind, Differences, compare};
pub use entry::{FileEntry, FileKind};
pub use error::{Refusal, VolumeError};
pub use list::FileList;
pub use meta::{Features, FileDigest, SegmentMeta, Span, VolumeMeta};
pub use progress::Progress;
pub use record::{RecordOptions, Recorded, record};
pub use scan::{scan, scan_with};
pub use stored::StoredVolume;
