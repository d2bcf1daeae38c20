//! Writes segments while the stream comes in: while one is brought down to the disk the next is filled.

use std::{
    collections::VecDeque,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{FOLDER, MAX_SEGMENTS, MAX_TAR_SIZE, name};
use crate::{RecordOptions, SegmentMeta, VolumeError, files::Hashing, record::Unfinished, write};

/// Pieces that may wait for one segment's compressor.
const WAITING: usize = 8;
/// Segments that are compressed or written at the same time.
const IN_FLIGHT: usize = 2;
/// Input of one compression job. Small, since a compressor holds some of them for each core.
const JOB_SIZE: u32 = 512 << 10;

type Task = JoinHandle<Result<SegmentMeta, VolumeError>>;

/// Cuts a stream into segments. Its memory is the pieces that wait and the compressors' jobs, however large a
/// segment or the stream is.
pub(crate) struct SegmentWriter {
    folder: PathBuf,
    segment_size: u64,
    level: i32,
    threads: u32,
    present: Option<Open>,
    started: usize,
    tasks: VecDeque<Task>,
    done: Vec<SegmentMeta>,
    /// Held by everything that writes.
    unfinished: Arc<Unfinished>,
}

struct Open {
    pieces: mpsc::Sender<Part>,
    left: u64,
}

enum Part {
    Piece(Bytes),
    /// The segment is complete. A channel that closes without it belongs to a stream that failed.
    End,
}

impl SegmentWriter {
    /// Makes the folder of the segments in `dir`.
    pub(crate) fn new(
        dir: &Path,
        options: &RecordOptions,
        unfinished: Arc<Unfinished>,
    ) -> Result<Self, VolumeError> {
        let folder = dir.join(FOLDER);
        write::folder(&folder)?;
        Ok(Self {
            folder,
            segment_size: options.segment_size.clamp(1, MAX_TAR_SIZE),
            level: options.level,
            threads: options.threads,
            present: None,
            started: 0,
            tasks: VecDeque::new(),
            done: Vec::new(),
            unfinished,
        })
    }

    /// Adds the next piece of the stream.
    pub(crate) async fn push(&mut self, mut piece: Bytes) -> Result<(), VolumeError> {
        while !piece.is_empty() {
            if self.present.is_none() {
                self.open().await?;
            }
            let Some(open) = &mut self.present else {
                return Err(VolumeError::Worker);
            };
            let length = usize::try_from(open.left)
                .unwrap_or(usize::MAX)
                .min(piece.len());
            let part = piece.split_to(length);
            open.left -= length as u64;
            let full = open.left == 0;
            if open.pieces.send(Part::Piece(part)).await.is_err() {
                return Err(self.failure().await);
            }
            if full {
                self.close().await?;
            }
        }
        Ok(())
    }

    /// Completes the last segment and waits until all are on disk.
    pub(crate) async fn finish(mut self) -> Result<Vec<SegmentMeta>, VolumeError> {
        self.close().await?;
        while let Some(task) = self.tasks.pop_front() {
            self.done.push(joined(task).await?);
        }
        write::sync_folder(&self.folder)?;
        Ok(self.done)
    }

    /// Ends what is still being written, which then leaves nothing.
    pub(crate) async fn abort(mut self) {
        self.present = None;
        for task in self.tasks.drain(..) {
            // Why it failed does not matter any more.
            let _ = task.await;
        }
    }

    async fn open(&mut self) -> Result<(), VolumeError> {
        if self.started >= MAX_SEGMENTS {
            return Err(VolumeError::TooLarge {
                what: format!("it has more than {MAX_SEGMENTS} segments"),
            });
        }
        if self.tasks.len() >= IN_FLIGHT
            && let Some(task) = self.tasks.pop_front()
        {
            self.done.push(joined(task).await?);
        }
        let (pieces, parts) = mpsc::channel(WAITING);
        let (folder, index) = (self.folder.clone(), self.started);
        let (level, threads) = (self.level, self.threads);
        let unfinished = self.unfinished.clone();
        self.tasks.push_back(tokio::task::spawn_blocking(move || {
            let written = write_segment(&folder, index, level, threads, parts);
            drop(unfinished);
            written
        }));
        self.started += 1;
        self.present = Some(Open {
            pieces,
            left: self.segment_size,
        });
        Ok(())
    }

    async fn close(&mut self) -> Result<(), VolumeError> {
        if let Some(open) = self.present.take()
            && open.pieces.send(Part::End).await.is_err()
        {
            return Err(self.failure().await);
        }
        Ok(())
    }

    /// Why a segment's task ended before its time.
    async fn failure(&mut self) -> VolumeError {
        self.present = None;
        while let Some(task) = self.tasks.pop_front() {
            if let Err(error) = joined(task).await {
                return error;
            }
        }
        VolumeError::Worker
    }
}

async fn joined(task: Task) -> Result<SegmentMeta, VolumeError> {
    task.await.map_err(|_| VolumeError::Worker)?
}

fn write_segment(
    folder: &Path,
    index: usize,
    level: i32,
    threads: u32,
    mut parts: mpsc::Receiver<Part>,
) -> Result<SegmentMeta, VolumeError> {
    let temporary = folder.join(format!(".{index:06}.part"));
    let file = write::create(&temporary)?;
    let mut tar_size = 0u64;
    let written = || -> io::Result<Option<crate::FileDigest>> {
        let mut encoder = zstd::Encoder::new(Hashing::new(file), level)?;
        encoder.include_checksum(true)?;
        if threads > 1 {
            encoder.multithread(threads)?;
            encoder.set_parameter(zstd::zstd_safe::CParameter::JobSize(JOB_SIZE))?;
        }
        loop {
            match parts.blocking_recv() {
                Some(Part::Piece(piece)) => {
                    encoder.write_all(&piece)?;
                    tar_size += piece.len() as u64;
                }
                Some(Part::End) => break,
                None => return Ok(None),
            }
        }
        let (file, digest) = encoder.finish()?.digest();
        file.sync_all()?;
        Ok(Some(digest))
    };
    match written() {
        Ok(Some(file)) => {
            let name = name(index, &file.sha256);
            let path = folder.join(&name);
            std::fs::rename(&temporary, &path).map_err(VolumeError::file("writing", &path))?;
            Ok(SegmentMeta {
                name,
                file,
                tar_size,
            })
        }
        outcome => {
            let _ = std::fs::remove_file(&temporary);
            outcome.map_err(VolumeError::file("writing", &temporary))?;
            Err(VolumeError::Worker)
        }
    }
}
