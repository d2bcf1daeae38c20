//! Reads a volume's tar stream once, into its stored form.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::available_parallelism,
};

use tokio::{io::AsyncRead, sync::mpsc};

use crate::{
    Progress, SegmentMeta, VolumeError, VolumeMeta, files,
    meta::FORMAT,
    scan::{self, Parsed, READ_ALLOW, WAITING, next_piece},
    segments::SegmentWriter,
    stored::META,
    write,
};

/// How a volume is recorded.
#[derive(Debug, Clone)]
pub struct RecordOptions {
    /// Bytes of the plain tar in each segment; at most 256 MiB.
    pub segment_size: u64,
    /// Level of zstd.
    pub level: i32,
    /// Threads that compress: beyond two, hashing is what takes the time. Each takes some ten MiB; one, which
    /// is done without any more, 16 MiB for the whole recording.
    pub threads: u32,
    /// Is told of every byte read.
    pub progress: Progress,
    /// What the sender left out of the archive (as in `lost+found`), to be kept in the description.
    pub excluded: Vec<String>,
}

impl Default for RecordOptions {
    fn default() -> Self {
        Self {
            segment_size: 32 << 20,
            level: 1,
            threads: available_parallelism().map_or(1, |cores| cores.get().min(4) as u32),
            progress: Progress::none(),
            excluded: Vec::new(),
        }
    }
}

/// What was recorded.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The description, as it is in `volume.json`.
    pub meta: VolumeMeta,
}

impl Recorded {
    /// Number of regular files.
    pub fn files(&self) -> u64 {
        self.meta.files
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.meta.bytes
    }

    /// The segments in order.
    pub fn segments(&self) -> &[SegmentMeta] {
        &self.meta.segments
    }

    /// [`FileList::digest`](crate::FileList::digest) of the list.
    pub fn digest(&self) -> &str {
        &self.meta.tree
    }
}

/// Reads a tar stream to its end and keeps it in the folder `dir`, which is made: `volume.json`,
/// `files.jsonl.zst` and `segments/`, all down to the disk. Hashes are taken on the way. Device nodes and links
/// out of the volume are recorded; whoever imports them has to allow them.
///
/// Memory does not depend on the size of the volume or its files, but on their number: see [`FileList`](crate::FileList).
///
/// # Errors
/// When the stream fails or is torn, is not tar or holds hostile paths, or the disk is full. Nothing is left
/// in `dir` then.
pub async fn record(
    stream: impl AsyncRead + Unpin + Send + 'static,
    dir: &Path,
    options: &RecordOptions,
) -> Result<Recorded, VolumeError> {
    write::folder(dir)?;
    let unfinished = Arc::new(Unfinished {
        dir: dir.to_owned(),
        done: AtomicBool::new(false),
    });
    let mut segments = SegmentWriter::new(dir, options, unfinished.clone())?;
    let recorded = match read(stream, &mut segments, options).await {
        Ok(read) => finish(read, segments, dir, options).await,
        Err(error) => {
            segments.abort().await;
            Err(error)
        }
    }?;
    unfinished.done.store(true, Ordering::Release);
    Ok(recorded)
}

/// Removes what was written when a recording fails or is dropped: when the last thread that writes is done.
pub(crate) struct Unfinished {
    dir: PathBuf,
    done: AtomicBool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.done.load(Ordering::Acquire)
            && let Err(error) = std::fs::remove_dir_all(&self.dir)
        {
            tracing::warn!(dir = %self.dir.display(), %error, "an unfinished recording could not be removed");
        }
    }
}

/// What is known when the stream has ended.
struct Read {
    parsed: Parsed,
    tar_size: u64,
}

async fn read(
    mut stream: impl AsyncRead + Unpin + Send + 'static,
    segments: &mut SegmentWriter,
    options: &RecordOptions,
) -> Result<Read, VolumeError> {
    let (sender, pieces) = mpsc::channel(WAITING);
    let parser = tokio::task::spawn_blocking(move || {
        scan::list(scan::Pieces::new(pieces), READ_ALLOW, u64::MAX)
    });
    let mut tar_size = 0;
    while let Some(piece) = next_piece(&mut stream, tar_size).await? {
        tar_size += piece.len() as u64;
        options.progress.add(piece.len() as u64);
        segments.push(piece.clone()).await?;
        // The parser ends early when it finds something wrong, and says what below.
        if sender.send(piece).await.is_err() {
            break;
        }
    }
    drop(sender);
    let parsed = parser.await.map_err(|_| VolumeError::Worker)??;
    Ok(Read { parsed, tar_size })
}

async fn finish(
    read: Read,
    segments: SegmentWriter,
    dir: &Path,
    options: &RecordOptions,
) -> Result<Recorded, VolumeError> {
    let segments = segments.finish().await?;
    let Read {
        parsed: Parsed {
            list,
            features,
            root,
        },
        tar_size,
    } = read;
    let dir = dir.to_owned();
    let excluded = options.excluded.clone();
    let written = tokio::task::spawn_blocking(move || {
        let (list_file, list_size) = files::store(&dir, &list)?;
        let meta = VolumeMeta {
            format: FORMAT,
            files: list.files(),
            entries: list.entries().len() as u64,
            bytes: list.bytes(),
            tar_size,
            tree: list.digest(),
            list: list_file,
            list_size,
            segments,
            root,
            features,
            excluded,
        };
        let json = serde_json::to_vec_pretty(&meta).map_err(std::io::Error::from);
        let json = json.map_err(VolumeError::file("writing", dir.join(META)))?;
        write::whole(&dir.join(META), &json)?;
        write::sync_folder(&dir)?;
        Ok(Recorded { meta })
    });
    written.await.map_err(|_| VolumeError::Worker)?
}
