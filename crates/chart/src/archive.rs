//! The archive form: a gzip tar of the folder.

use std::{
    cell::Cell,
    collections::BTreeSet,
    fs::File,
    io::{self, Read as _, Write},
    path::Path,
    rc::Rc,
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use openshifter_volumes::{FileEntry, FileKind, archive::Writer};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
};

use crate::{Chart, ChartError, disk, manifest::PATH, names::component};

const PIECE: usize = 256 << 10;
/// Pieces that may wait for the receiver.
const WAITING: usize = 8;

/// What was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// Files of the chart.
    pub files: u64,
    /// Length of the archive.
    pub bytes: u64,
}

/// Writes the chart in `dir` as a `.tgz`, the ledger near its beginning so that a reader knows what comes.
/// The chart is not verified. The writer is flushed but not shut down.
///
/// # Errors
/// When the chart cannot be read or the receiver fails.
pub async fn pack(dir: &Path, mut out: impl AsyncWrite + Unpin) -> Result<Packed, ChartError> {
    let (sender, mut pieces) = mpsc::channel::<Bytes>(WAITING);
    let dir = dir.to_owned();
    let packer = tokio::task::spawn_blocking(move || {
        write(
            &dir,
            Sending {
                sender,
                buffer: Vec::with_capacity(PIECE),
            },
        )
    });
    let mut at = 0;
    while let Some(piece) = pieces.recv().await {
        out.write_all(&piece)
            .await
            .map_err(|source| ChartError::Send { at, source })?;
        at += piece.len() as u64;
    }
    let files = packer.await.map_err(|_| ChartError::Worker)??;
    out.flush()
        .await
        .map_err(|source| ChartError::Send { at, source })?;
    Ok(Packed { files, bytes: at })
}

/// [`pack`] into a file that appears whole or not at all, down to the disk and readable by its owner alone.
///
/// # Errors
/// As [`pack`], and when something is there already.
pub async fn pack_to_file(dir: &Path, path: &Path) -> Result<Packed, ChartError> {
    if std::fs::symlink_metadata(path).is_ok() {
        return Err(ChartError::Exists(path.to_owned()));
    }
    let parent = disk::parent(path);
    disk::folder(parent)?;
    let temporary = tempfile::Builder::new()
        .prefix(".openshifter-")
        .suffix(".partial")
        .tempfile_in(parent)
        .map_err(ChartError::file("making a file in", parent))?;
    let file = temporary
        .as_file()
        .try_clone()
        .map_err(ChartError::file("writing", path))?;
    let mut file = tokio::fs::File::from_std(file);
    let packed = pack(dir, &mut file).await.map_err(|error| match error {
        ChartError::Send { source, .. } => ChartError::file("writing", path)(source),
        other => other,
    })?;
    file.sync_all()
        .await
        .map_err(ChartError::file("writing", path))?;
    temporary
        .persist_noclobber(path)
        .map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => ChartError::Exists(path.to_owned()),
            _ => ChartError::file("naming", path)(error.error),
        })?;
    disk::sync_parent(path)?;
    Ok(packed)
}

/// Writes the archive; gives the number of files.
fn write(dir: &Path, output: impl Write) -> Result<u64, ChartError> {
    let chart = Chart::open(dir)?;
    let top = component(&chart.manifest().chart.name);
    let mtime = chart.manifest().chart.created.as_second();
    let mut paths = disk::files(dir)?;
    paths.sort_by_key(|path| match path.as_str() {
        "Chart.yaml" => 0,
        PATH => 1,
        _ => 2,
    });

    let effort = Rc::new(Cell::new(Compression::default()));
    let mut archive = Writer::without_dot(Gzip {
        effort: effort.clone(),
        present: None,
        output: Some(output),
    });
    let failed = |source| ChartError::Send { at: 0, source };
    let mut folders = BTreeSet::new();
    for path in &paths {
        for (at, _) in format!("{top}/{path}").match_indices('/') {
            let folder = &format!("{top}/{path}")[..at];
            if folders.insert(folder.to_owned()) {
                archive
                    .member(&entry(folder, FileKind::Directory, 0o700, 0, mtime))
                    .map_err(failed)?;
            }
        }
        let place = dir.join(path);
        let reading = || ChartError::file("reading", &place);
        let mut file = File::open(&place).map_err(reading())?;
        let size = file.metadata().map_err(reading())?.len();
        let compressed = path.ends_with(".zst") || path.ends_with(".tgz");
        effort.set(if compressed {
            Compression::none()
        } else {
            Compression::default()
        });
        archive
            .member(&entry(
                &format!("{top}/{path}"),
                FileKind::File,
                0o600,
                size,
                mtime,
            ))
            .map_err(failed)?;
        let mut buffer = vec![0; PIECE];
        loop {
            let length = file.read(&mut buffer).map_err(reading())?;
            if length == 0 {
                break;
            }
            archive.data(&buffer[..length]).map_err(failed)?;
        }
    }
    let mut gzip = archive.finish().map_err(failed)?;
    gzip.end_member().map_err(failed)?;
    if let Some(mut output) = gzip.output {
        output.flush().map_err(failed)?;
    }
    Ok(paths.len() as u64)
}

fn entry(path: &str, kind: FileKind, mode: u32, size: u64, mtime: i64) -> FileEntry {
    FileEntry {
        path: path.as_bytes().to_vec(),
        kind,
        size,
        mode,
        uid: 0,
        gid: 0,
        mtime,
        mtime_nanos: 0,
        xattrs: std::collections::BTreeMap::new(),
        sha256: None,
    }
}

/// A gzip stream of several members, which together are one for every reader: a new one begins where the
/// effort changes, since what is compressed already is stored as it is.
struct Gzip<W: Write> {
    effort: Rc<Cell<Compression>>,
    present: Option<(GzEncoder<W>, Compression)>,
    output: Option<W>,
}

impl<W: Write> Gzip<W> {
    fn end_member(&mut self) -> io::Result<()> {
        if let Some((encoder, _)) = self.present.take() {
            self.output = Some(encoder.finish()?);
        }
        Ok(())
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let effort = self.effort.get();
        if self
            .present
            .as_ref()
            .is_some_and(|(_, present)| *present != effort)
        {
            self.end_member()?;
        }
        if let Some(output) = self.output.take() {
            self.present = Some((GzEncoder::new(output, effort), effort));
        }
        match &mut self.present {
            Some((encoder, _)) => encoder.write(bytes),
            None => Err(io::Error::other("the archive failed before")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Sending {
    sender: mpsc::Sender<Bytes>,
    buffer: Vec<u8>,
}

impl Write for Sending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..length]);
        if self.buffer.len() == PIECE {
            self.flush()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
            self.sender
                .blocking_send(piece.into())
                .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the receiver is gone"))?;
        }
        Ok(())
    }
}
