//! Reads segments back as one stream: no byte of a segment is given out before its SHA-256 was checked, and
//! the next ones are checked and decompressed meanwhile.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, Read, Seek as _},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{Builder, available_parallelism},
};

use bytes::{Buf as _, Bytes};

use super::FOLDER;
use crate::{SegmentMeta, VolumeError, files::check_digest};

const PIECE: usize = 256 << 10;
/// Decompressed pieces of each segment that may wait.
const WAITING: usize = 8;
/// Bounds what one segment needs to be decompressed: a window of 128 MiB, which is zstd's own limit too.
const WINDOW_LOG_MAX: u32 = 27;

type Pieces = Receiver<Result<Bytes, VolumeError>>;

/// The plain tar of a stored volume, as blocking input.
pub(crate) struct SegmentReader {
    folder: PathBuf,
    todo: VecDeque<SegmentMeta>,
    ahead: VecDeque<Pieces>,
    in_flight: usize,
    present: Bytes,
}

impl SegmentReader {
    pub(crate) fn new(dir: &Path, segments: &[SegmentMeta]) -> Self {
        Self {
            folder: dir.join(FOLDER),
            todo: segments.iter().cloned().collect(),
            ahead: VecDeque::new(),
            in_flight: available_parallelism().map_or(2, usize::from).clamp(2, 4),
            present: Bytes::new(),
        }
    }

    /// The next piece; `None` at the end.
    pub(crate) fn piece(&mut self) -> Result<Option<Bytes>, VolumeError> {
        loop {
            while self.ahead.len() < self.in_flight
                && let Some(segment) = self.todo.pop_front()
            {
                self.ahead.push_back(self.start(segment)?);
            }
            let Some(first) = self.ahead.front() else {
                return Ok(None);
            };
            match first.recv() {
                Ok(piece) => return piece.map(Some),
                // The segment's thread is done: it has sent everything.
                Err(_) => {
                    self.ahead.pop_front();
                }
            }
        }
    }

    fn start(&self, segment: SegmentMeta) -> Result<Pieces, VolumeError> {
        let (sender, pieces) = sync_channel(WAITING);
        let path = self.folder.join(&segment.name);
        Builder::new()
            .name("segment".into())
            .spawn(move || {
                let result = read(&path, &segment, &sender);
                if let Err(error) = result {
                    // Nobody listens any more when the reader was dropped.
                    let _ = sender.send(Err(error));
                }
            })
            .map_err(|_| VolumeError::Worker)?;
        Ok(pieces)
    }
}

fn read(
    path: &Path,
    segment: &SegmentMeta,
    sender: &SyncSender<Result<Bytes, VolumeError>>,
) -> Result<(), VolumeError> {
    let mut file = File::open(path).map_err(VolumeError::file("reading", path))?;
    check_digest(&mut file, path, &segment.file)?;
    file.rewind().map_err(VolumeError::file("reading", path))?;

    let damaged = |what: &str| VolumeError::damaged(path, what);
    let broken = |error: io::Error| damaged(&format!("it cannot be decompressed ({error})"));
    let mut decoder = zstd::Decoder::new(file).map_err(broken)?.single_frame();
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(broken)?;
    let mut left = segment.tar_size;
    loop {
        let mut piece = vec![0; PIECE];
        let mut length = 0;
        while length < PIECE {
            match decoder.read(&mut piece[length..]).map_err(broken)? {
                0 => break,
                more => length += more,
            }
        }
        if length == 0 {
            break;
        }
        left = left
            .checked_sub(length as u64)
            .ok_or_else(|| damaged("it holds more than declared"))?;
        piece.truncate(length);
        if sender.send(Ok(piece.into())).is_err() {
            return Ok(());
        }
    }
    if left > 0 {
        return Err(damaged("it holds less than declared"));
    }
    let mut rest = decoder.finish();
    if !rest
        .fill_buf()
        .map_err(VolumeError::file("reading", path))?
        .is_empty()
    {
        return Err(damaged("something follows its compressed data"));
    }
    Ok(())
}

impl BufRead for SegmentReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.present.is_empty() {
            match self.piece().map_err(io::Error::other)? {
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

impl Read for SegmentReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let length = from.len().min(into.len());
        into[..length].copy_from_slice(&from[..length]);
        self.consume(length);
        Ok(length)
    }
}
