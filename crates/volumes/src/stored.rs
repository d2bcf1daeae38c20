//! A volume in its stored form.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
};

use crate::{
    Allow, Compare, Differences, FileEntry, FileKind, FileList, Progress, Span, VolumeError,
    VolumeMeta,
    commands::Tar,
    compare::Merge,
    digest::{Hasher, hex, unhex},
    files,
    list::line,
    meta::FORMAT,
    plain, scan,
    segments::{self, MAX_SEGMENTS, MAX_TAR_SIZE, SegmentReader},
};

pub(crate) const META: &str = "volume.json";

/// No `volume.json` is longer: a million segments of some 200 bytes.
const MAX_META: u64 = 256 << 20;
/// No list is longer: some ten million files. Parts of it are held in memory.
const MAX_LIST: u64 = 2 << 30;
/// A list is not packed better than this. Where all files have the same content, or are empty, as markers and locks
/// are, lists shrink to less than a hundredth.
const MAX_LIST_RATIO: u64 = 1000;

/// Pieces that may wait for the receiver.
const WAITING: usize = 8;

/// A volume that [`record`](crate::record) has kept in a folder.
///
/// Opening checks the form alone; [`StoredVolume::verify`] checks the content. The blocking methods read
/// files: call them where blocking is allowed.
#[derive(Debug, Clone)]
pub struct StoredVolume {
    dir: PathBuf,
    meta: VolumeMeta,
}

impl StoredVolume {
    /// Opens the volume in a folder.
    ///
    /// # Errors
    /// When `volume.json` cannot be read, is of another version, or contradicts itself.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, VolumeError> {
        let dir = dir.into();
        let path = dir.join(META);
        let damaged = |what: String| VolumeError::damaged(&path, what);
        let size = std::fs::metadata(&path)
            .map_err(VolumeError::file("reading", &path))?
            .len();
        if size > MAX_META {
            return Err(damaged(format!(
                "it has {size} bytes, more than any volume needs"
            )));
        }
        let bytes = std::fs::read(&path).map_err(VolumeError::file("reading", &path))?;
        let format: Format = serde_json::from_slice(&bytes)
            .map_err(|error| damaged(format!("it is no description of a volume ({error})")))?;
        if format.format != FORMAT {
            return Err(damaged(format!(
                "it is of format {}, and this program knows format {FORMAT}; use a newer one",
                format.format
            )));
        }
        let meta: VolumeMeta = serde_json::from_slice(&bytes)
            .map_err(|error| damaged(format!("it is no description of a volume ({error})")))?;
        check(&meta).map_err(damaged)?;
        Ok(Self { dir, meta })
    }

    /// The volume's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The description.
    pub fn meta(&self) -> &VolumeMeta {
        &self.meta
    }

    /// Exact length of what `copy_to` writes, and of what a remote `head -c` has to read.
    pub fn tar_len(&self) -> u64 {
        self.meta.tar_size - self.meta.root.map_or(0, |root| root.size)
    }

    /// Reads the list of files, whose digest is checked. Blocks.
    ///
    /// # Errors
    /// When the file is missing, damaged or not what the description says.
    pub fn list(&self) -> Result<FileList, VolumeError> {
        let mut entries = Vec::new();
        self.walk(|entry| entries.push(entry))?;
        Ok(FileList::from_sorted(entries))
    }

    /// Compares what should be in the volume with what was found, holding one list in memory and not two. Blocks.
    ///
    /// # Errors
    /// As [`StoredVolume::list`].
    pub fn compare(&self, found: &FileList, how: &Compare) -> Result<Differences, VolumeError> {
        let mut differences = Differences::default();
        let mut merge = Merge::new(found, how, |difference| differences.add(difference));
        self.walk(|entry| merge.expect(&entry))?;
        merge.finish();
        Ok(differences)
    }

    /// Files that are better proven where they are than sent back: large ones with one plain name, unless there are holes,
    /// which an archive skips and a hash does not. Empty when they are not worth a command of their own. Blocks.
    ///
    /// # Errors
    /// As [`StoredVolume::list`].
    pub fn large_files(&self) -> Result<Vec<FileEntry>, VolumeError> {
        /// From this size on.
        const LARGE: u64 = 1 << 20;
        /// In all.
        const WORTH: u64 = 8 << 20;
        /// No more than these, the largest first.
        const MOST: usize = 20_000;
        if self.meta.features.sparse {
            return Ok(Vec::new());
        }
        let mut large = Vec::new();
        let mut linked = std::collections::BTreeSet::new();
        self.walk(|entry| match &entry.kind {
            FileKind::HardLink { target } => {
                linked.insert(target.clone());
            }
            // A tar that leaves files out takes their names for patterns, one a line.
            FileKind::File
                if entry.size >= LARGE
                    && !entry
                        .path
                        .iter()
                        .any(|byte| byte.is_ascii_control() || b"*?[]\\".contains(byte)) =>
            {
                large.push(entry);
            }
            _ => {}
        })?;
        large.retain(|entry| !linked.contains(&entry.path));
        large.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.path.cmp(&b.path)));
        large.truncate(MOST);
        let bytes: u64 = large.iter().map(|entry| entry.size).sum();
        Ok(if bytes < WORTH { Vec::new() } else { large })
    }

    /// Goes through the list of files, which at the end has to be what the description says.
    fn walk(&self, mut each: impl FnMut(FileEntry)) -> Result<(), VolumeError> {
        let (mut entries, mut files, mut bytes) = (0u64, 0u64, 0u64);
        let mut tree = Hasher::default();
        for entry in files::read(&self.dir, &self.meta.list, self.meta.list_size)? {
            let entry = entry?;
            entries += 1;
            files += u64::from(entry.kind == FileKind::File);
            bytes = bytes.saturating_add(entry.size);
            tree.update(&line(&entry));
            each(entry);
        }
        if (entries, files, bytes) != (self.meta.entries, self.meta.files, self.meta.bytes)
            || hex(&tree.finish()) != self.meta.tree
        {
            return Err(VolumeError::damaged(
                self.dir.join(META),
                "its totals are not those of the list of files",
            ));
        }
        Ok(())
    }

    /// [`StoredVolume::verify_with`], allowing neither devices nor links out of the volume.
    ///
    /// # Errors
    /// As there.
    pub fn verify(&self) -> Result<(), VolumeError> {
        self.verify_with(Allow::default(), &Progress::none())
    }

    /// Reads everything: the digest and size of each segment, the tar inside, which has to hold exactly what
    /// the list says, and nothing that must not be unpacked. Blocks.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify_with(&self, allow: Allow, progress: &Progress) -> Result<(), VolumeError> {
        self.check_names()?;
        // Before the segments, whose entries are not to be more than those of the list.
        self.walk(|_| {})?;
        let reader = io::BufReader::with_capacity(
            256 << 10,
            Counting {
                inner: SegmentReader::new(&self.dir, &self.meta.segments),
                progress,
            },
        );
        let scan::Parsed {
            list: found,
            features,
            root,
        } = scan::list(reader, allow, self.meta.entries)?;
        if features != self.meta.features || root != self.meta.root {
            return Err(VolumeError::damaged(
                self.dir.join(META),
                "its features are not those of the archive",
            ));
        }
        let (mut same, mut at) = (true, found.entries().iter());
        self.walk(|expected| same &= at.next() == Some(&expected))?;
        if same && at.next().is_none() {
            return Ok(());
        }
        let differences = self.compare(&found, &Compare::exact())?;
        Err(VolumeError::Mismatch {
            path: self.dir.clone(),
            count: differences.count.max(1),
            first: Box::new(
                differences
                    .first
                    .into_iter()
                    .next()
                    .unwrap_or(crate::Difference {
                        path: Vec::new(),
                        what: crate::DifferenceKind::Metadata,
                    }),
            ),
        })
    }

    /// Writes the tar as it was recorded, for GNU tar to unpack, without the headers of the volume's root: a user
    /// who may write to a mount point often does not own it, and tar would fail to set its mode. Every segment
    /// is checked before its first byte is written. The writer is flushed but not shut down.
    ///
    /// # Errors
    /// When a segment is damaged or the receiver fails.
    pub async fn copy_to(
        &self,
        writer: impl AsyncWrite + Unpin,
        progress: &Progress,
    ) -> Result<u64, VolumeError> {
        let mut reader = SegmentReader::new(&self.dir, &self.meta.segments);
        let root = self.meta.root.unwrap_or(Span { offset: 0, size: 0 });
        send(writer, progress, move |sender| {
            let mut at = 0;
            while let Some(mut piece) = reader.piece()? {
                let length = piece.len() as u64;
                let inside = |position: u64| {
                    usize::try_from(position.clamp(at, at + length) - at).unwrap_or_default()
                };
                let (start, end) = (inside(root.offset), inside(root.offset + root.size));
                at += length;
                let before = piece.split_to(start);
                let after = piece.split_off(end - start);
                for part in [before, after] {
                    if !part.is_empty() && sender.blocking_send(Ok(part)).is_err() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
        .await
    }

    /// Whether only a tar that knows extended headers or sparse files can unpack what
    /// [`StoredVolume::copy_to`] writes. Tars other than GNU's are better served by
    /// [`StoredVolume::copy_plain_to`] in any case.
    pub fn needs_full_tar(&self) -> bool {
        self.meta.features.extended_headers || self.meta.features.sparse
    }

    /// Exact length of what [`StoredVolume::send`] writes for this tar, as [`commands::restore`] needs it. Blocks
    /// for tars other than GNU's.
    ///
    /// # Errors
    /// As [`StoredVolume::list`].
    ///
    /// [`commands::restore`]: crate::commands::restore
    pub fn len_for(&self, tar: Tar) -> Result<u64, VolumeError> {
        if tar == Tar::Gnu {
            Ok(self.tar_len())
        } else {
            self.plain_tar_len()
        }
    }

    /// Writes what this tar can unpack: [`StoredVolume::copy_to`] for GNU's, [`StoredVolume::copy_plain_to`] for
    /// any other.
    ///
    /// # Errors
    /// As [`StoredVolume::copy_to`].
    pub async fn send(
        &self,
        tar: Tar,
        writer: impl AsyncWrite + Unpin,
        progress: &Progress,
    ) -> Result<u64, VolumeError> {
        if tar == Tar::Gnu {
            self.copy_to(writer, progress).await
        } else {
            self.copy_plain_to(writer, progress).await
        }
    }

    /// Exact length of what [`StoredVolume::copy_plain_to`] writes. Blocks.
    ///
    /// # Errors
    /// As [`StoredVolume::list`].
    pub fn plain_tar_len(&self) -> Result<u64, VolumeError> {
        Ok(plain::length(&self.list()?))
    }

    /// Writes a tar of the same tree that every tar can unpack, BusyBox's included: long names in GNU's form,
    /// holes as zeros, directories once more at the end so that their times and modes last, the volume's own
    /// root left out. Fractions of seconds and attributes are lost.
    ///
    /// BusyBox tar sets a folder's mode when it makes it and then fails to put files into a read-only one, so
    /// folders come with write permission first.
    ///
    /// # Errors
    /// As [`StoredVolume::copy_to`].
    pub async fn copy_plain_to(
        &self,
        writer: impl AsyncWrite + Unpin,
        progress: &Progress,
    ) -> Result<u64, VolumeError> {
        let volume = self.clone();
        send(writer, progress, move |sender| {
            let list = volume.list()?;
            let reader = SegmentReader::new(&volume.dir, &volume.meta.segments);
            plain::rewrite(reader, &list, sender)
        })
        .await
    }

    /// The input of [`commands::set_modes`](crate::commands::set_modes): modes that an ordinary user's BusyBox
    /// tar leaves out, those of folders that may not be written to and those with set-uid, set-gid or sticky
    /// bits. Empty when there are none, and the command is not needed. Blocks.
    ///
    /// # Errors
    /// As [`StoredVolume::list`].
    pub fn modes_to_set(&self) -> Result<Vec<u8>, VolumeError> {
        Ok(plain::modes(&self.list()?))
    }

    /// The input of [`commands::set_owners`](crate::commands::set_owners): symbolic links that are not root's. Empty
    /// when there are none, and the command is not needed. Blocks.
    ///
    /// # Errors
    /// As [`StoredVolume::list`].
    pub fn owners_to_set(&self) -> Result<Vec<u8>, VolumeError> {
        Ok(plain::owners(&self.list()?))
    }

    /// The input of [`commands::set_times`](crate::commands::set_times): folders and symbolic links. Empty when there
    /// are none, and the command is not needed. Blocks.
    ///
    /// # Errors
    /// As [`StoredVolume::list`].
    pub fn times_to_set(&self) -> Result<Vec<u8>, VolumeError> {
        Ok(plain::times(&self.list()?))
    }

    /// The segments on disk are those of the description: a file more would be part of `cat segments/*`.
    fn check_names(&self) -> Result<(), VolumeError> {
        let folder = self.dir.join(segments::FOLDER);
        let expected: BTreeSet<&str> = self
            .meta
            .segments
            .iter()
            .map(|segment| segment.name.as_str())
            .collect();
        for entry in std::fs::read_dir(&folder).map_err(VolumeError::file("reading", &folder))? {
            let name = entry
                .map_err(VolumeError::file("reading", &folder))?
                .file_name();
            if !name.to_str().is_some_and(|name| expected.contains(name)) {
                return Err(VolumeError::damaged(
                    folder.join(name),
                    "it is no segment of this volume",
                ));
            }
        }
        Ok(())
    }
}

#[derive(serde::Deserialize)]
struct Format {
    format: u32,
}

/// What can be said of a description without looking further.
fn check(meta: &VolumeMeta) -> Result<(), String> {
    if meta.segments.len() > MAX_SEGMENTS {
        return Err("it names too many segments".into());
    }
    let most = meta
        .list
        .size
        .saturating_mul(MAX_LIST_RATIO)
        .saturating_add(16 << 20);
    if meta.list_size > MAX_LIST.min(most) {
        return Err(format!(
            "its list of files has {} bytes, which is more than this program reads",
            meta.list_size
        ));
    }
    let mut sum = 0u64;
    for (index, segment) in meta.segments.iter().enumerate() {
        if unhex(&segment.file.sha256).is_none()
            || segment.name != segments::name(index, &segment.file.sha256)
        {
            return Err(format!("segment {index} has a wrong name"));
        }
        if segment.tar_size == 0 || segment.tar_size > MAX_TAR_SIZE {
            return Err(format!(
                "segment {index} has the impossible size {}",
                segment.tar_size
            ));
        }
        sum = sum.saturating_add(segment.tar_size);
    }
    if meta.root.is_some_and(|root| {
        root.offset
            .checked_add(root.size)
            .is_none_or(|end| end > sum)
    }) {
        return Err("the place of its root is impossible".into());
    }
    if sum != meta.tar_size {
        return Err(format!(
            "its segments hold {sum} bytes and not {}",
            meta.tar_size
        ));
    }
    Ok(())
}

/// Runs `produce` on a blocking thread and writes what it sends.
async fn send(
    mut writer: impl AsyncWrite + Unpin,
    progress: &Progress,
    produce: impl FnOnce(&mpsc::Sender<Result<Bytes, VolumeError>>) -> Result<(), VolumeError>
    + Send
    + 'static,
) -> Result<u64, VolumeError> {
    let (sender, mut pieces) = mpsc::channel(WAITING);
    let producer = tokio::task::spawn_blocking(move || {
        if let Err(error) = produce(&sender) {
            let _ = sender.blocking_send(Err(error));
        }
    });
    let mut at = 0;
    while let Some(piece) = pieces.recv().await {
        let piece = piece?;
        writer
            .write_all(&piece)
            .await
            .map_err(|source| VolumeError::Send { at, source })?;
        at += piece.len() as u64;
        progress.add(piece.len() as u64);
    }
    producer.await.map_err(|_| VolumeError::Worker)?;
    writer
        .flush()
        .await
        .map_err(|source| VolumeError::Send { at, source })?;
    Ok(at)
}

struct Counting<'a, R> {
    inner: R,
    progress: &'a Progress,
}

impl<R: io::Read> io::Read for Counting<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into)?;
        self.progress.add(length as u64);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Features, FileDigest};

    fn with_list(packed: u64, plain: u64) -> Result<(), String> {
        check(&VolumeMeta {
            format: FORMAT,
            files: 0,
            entries: 0,
            bytes: 0,
            tar_size: 0,
            tree: String::new(),
            list: FileDigest {
                size: packed,
                sha256: String::new(),
            },
            list_size: plain,
            segments: Vec::new(),
            root: None,
            features: Features::default(),
            excluded: Vec::new(),
        })
    }

    #[test]
    fn a_list_of_a_million_equal_files_is_read_and_a_bomb_is_not() {
        // As zstd packs the list of a thousand folders of a thousand files of five equal bytes.
        assert!(with_list(1_277_174, 200_103_000).is_ok());
        assert!(with_list(1_277_174, 2 << 30).is_err());
    }
}
