//! Rewrites a recorded archive into the plain form that every tar can unpack.

use std::io::{self, BufRead, Write};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::{
    FileEntry, FileKind, FileList, VolumeError,
    archive::{BLOCK, Chunk, Reader, Writer},
};

const PIECE: usize = 256 << 10;

/// The order of the plain archive: folders, so that everything has a place and can be written; then
/// everything else, as it comes in the recorded archive; then the folders again, from the bottom up.
fn folders(list: &FileList) -> impl DoubleEndedIterator<Item = &FileEntry> {
    list.entries()
        .iter()
        .filter(|entry| entry.kind == FileKind::Directory && !entry.path.is_empty())
}

/// A folder while its files are written: its owner may write to it whatever its mode will be.
fn open_folder(folder: &FileEntry) -> FileEntry {
    FileEntry {
        mode: folder.mode | 0o700,
        ..folder.clone()
    }
}

/// Exact length of [`rewrite`]'s output.
pub(crate) fn length(list: &FileList) -> u64 {
    let once: u64 = list
        .entries()
        .iter()
        .filter(|entry| entry.kind != FileKind::Directory)
        .fold(0, |sum, entry| {
            sum.saturating_add(Writer::<Vec<u8>>::length(entry))
        });
    let twice: u64 = folders(list)
        .map(|entry| 2 * Writer::<Vec<u8>>::length(entry))
        .sum();
    once.saturating_add(twice).saturating_add(2 * BLOCK as u64)
}

/// `mode NUL path NUL` for whatever needs a mode that a simple tar does not set, from the bottom up.
pub(crate) fn modes(list: &FileList) -> Vec<u8> {
    let mut input = Vec::new();
    for entry in list
        .entries()
        .iter()
        .rev()
        .filter(|entry| !entry.path.is_empty())
    {
        let special = entry.mode & 0o7000 != 0;
        let wanted = match entry.kind {
            FileKind::Directory => special || entry.mode & 0o700 != 0o700,
            FileKind::File => special,
            _ => false,
        };
        if wanted {
            input.extend_from_slice(format!("{:04o}\0./", entry.mode).as_bytes());
            input.extend_from_slice(&entry.path);
            input.push(0);
        }
    }
    input
}

/// `user:group NUL path NUL` for every symbolic link that is not root's.
pub(crate) fn owners(list: &FileList) -> Vec<u8> {
    let mut input = Vec::new();
    for entry in list.entries() {
        if matches!(entry.kind, FileKind::Symlink { .. }) && (entry.uid, entry.gid) != (0, 0) {
            input.extend_from_slice(format!("{}:{}\0./", entry.uid, entry.gid).as_bytes());
            input.extend_from_slice(&entry.path);
            input.push(0);
        }
    }
    input
}

/// `-d NUL @seconds NUL path NUL` for every folder and every symbolic link.
pub(crate) fn times(list: &FileList) -> Vec<u8> {
    let mut input = Vec::new();
    for entry in list.entries() {
        let wanted = matches!(entry.kind, FileKind::Directory | FileKind::Symlink { .. });
        if wanted && !entry.path.is_empty() {
            input.extend_from_slice(format!("-d\0@{}\0./", entry.mtime).as_bytes());
            input.extend_from_slice(&entry.path);
            input.push(0);
        }
    }
    input
}

/// Reads the recorded archive and sends the plain one.
///
/// The files are written in the order of the archive and not of the list, since their content comes in it. A
/// file that has several names is written under the one that the list has as the file, its other names after
/// everything else.
pub(crate) fn rewrite(
    archive: impl BufRead,
    list: &FileList,
    sender: &mpsc::Sender<Result<Bytes, VolumeError>>,
) -> Result<(), VolumeError> {
    let mut output = Writer::new(Sending {
        sender,
        buffer: Vec::with_capacity(PIECE),
        sent: 0,
    });
    let failed = |source: io::Error| VolumeError::Send { at: 0, source };
    let changed = || VolumeError::NotTar {
        what: "the archive does not hold what its list says".into(),
        at: 0,
    };

    for folder in folders(list) {
        output.member(&open_folder(folder)).map_err(failed)?;
    }
    // The name that the list has as the file, for each name that it has as a link and the archive as the file.
    let mut reader = Reader::new(archive);
    let mut written = 0u64;
    while let Some(member) = reader.member()? {
        if matches!(member.kind, FileKind::Directory | FileKind::HardLink { .. }) {
            continue;
        }
        let path = member.safe_path()?;
        let entry = list.get(&path).ok_or_else(changed)?;
        let entry = match &entry.kind {
            FileKind::HardLink { target } => list.get(target).ok_or_else(changed)?,
            _ => entry,
        };
        if entry.kind.name() != member.kind.name()
            || (entry.kind == FileKind::File && entry.size != member.size)
        {
            return Err(changed());
        }
        output.member(entry).map_err(failed)?;
        written += 1;
        while let Some(chunk) = reader.chunk()? {
            match chunk {
                Chunk::Data(bytes) => output.data(bytes),
                Chunk::Zeros(count) => output.zeros(count),
            }
            .map_err(failed)?;
        }
    }
    for link in list
        .entries()
        .iter()
        .filter(|entry| matches!(entry.kind, FileKind::HardLink { .. }))
    {
        output.member(link).map_err(failed)?;
        written += 1;
    }
    if written + folders(list).count() as u64 + u64::from(list.get("").is_some())
        != list.entries().len() as u64
    {
        return Err(changed());
    }
    for folder in folders(list).rev() {
        output.member(folder).map_err(failed)?;
    }
    output.finish().map_err(failed)?;
    Ok(())
}

struct Sending<'a> {
    sender: &'a mpsc::Sender<Result<Bytes, VolumeError>>,
    buffer: Vec<u8>,
    sent: u64,
}

impl Write for Sending<'_> {
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
            self.sent += piece.len() as u64;
            self.sender
                .blocking_send(Ok(piece.into()))
                .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the receiver is gone"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn entry(path: &[u8], kind: FileKind, owner: (u32, u32)) -> FileEntry {
        FileEntry {
            path: path.to_vec(),
            kind,
            size: 0,
            mode: 0o755,
            uid: owner.0,
            gid: owner.1,
            mtime: 981_173_106,
            mtime_nanos: 5,
            xattrs: BTreeMap::new(),
            sha256: None,
        }
    }

    fn link() -> FileKind {
        FileKind::Symlink {
            target: b"x".to_vec(),
        }
    }

    #[test]
    fn what_a_small_tar_leaves_is_listed() {
        let list = FileList::from_sorted(vec![
            entry(b"", FileKind::Directory, (7, 7)),
            entry(b"d", FileKind::Directory, (7, 7)),
            entry(b"d/of-root", link(), (0, 0)),
            entry(b"d/\xff", link(), (42, 43)),
        ]);
        assert_eq!(owners(&list), b"42:43\0./d/\xff\0");
        assert_eq!(
            times(&list),
            b"-d\0@981173106\0./d\0-d\0@981173106\0./d/of-root\0-d\0@981173106\0./d/\xff\0"
        );
    }
}
