//! The list of everything in a volume.

use crate::{
    FileEntry, FileKind,
    digest::{Hasher, hex},
    path::link_stays_inside,
};

/// Everything in a volume, sorted by path.
///
/// It is held in memory: some 200 bytes for each file and its path, and some 530 at the peak while an archive is read
/// (both with paths of 40 bytes).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileList {
    entries: Vec<FileEntry>,
}

impl FileList {
    pub(crate) fn from_sorted(entries: Vec<FileEntry>) -> Self {
        Self { entries }
    }

    /// The entries, sorted by path.
    pub fn entries(&self) -> &[FileEntry] {
        &self.entries
    }

    /// The entry of a path, as in `a/b`; the empty path is the root.
    pub fn get(&self, path: impl AsRef<[u8]>) -> Option<&FileEntry> {
        let path = path.as_ref();
        let at = self
            .entries
            .binary_search_by(|entry| entry.path.as_slice().cmp(path))
            .ok()?;
        self.entries.get(at)
    }

    /// This list with entries that were found in another way; `None` when one is in both.
    #[must_use]
    pub fn with(mut self, more: Vec<FileEntry>) -> Option<Self> {
        self.entries.extend(more);
        self.entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let twice = self
            .entries
            .windows(2)
            .any(|pair| pair[0].path == pair[1].path);
        (!twice).then_some(self)
    }

    /// Number of regular files, each counted once however many names it has.
    pub fn files(&self) -> u64 {
        self.entries
            .iter()
            .filter(|entry| entry.kind == FileKind::File)
            .count() as u64
    }

    /// Bytes of all files, holes included.
    pub fn bytes(&self) -> u64 {
        self.entries
            .iter()
            .fold(0u64, |sum, entry| sum.saturating_add(entry.size))
    }

    /// Whether the volume holds nothing: there is at most the root, and the empty `lost+found` that a file
    /// system is born with.
    pub fn is_empty(&self) -> bool {
        self.entries.iter().all(|entry| {
            entry.path.is_empty()
                || (entry.path == b"lost+found" && entry.kind == FileKind::Directory)
        })
    }

    /// Symbolic links that lead out of the volume, going by their names.
    pub fn escaping_links(&self) -> impl Iterator<Item = &FileEntry> {
        self.entries.iter().filter(
            |entry| matches!(&entry.kind, FileKind::Symlink { target } if !link_stays_inside(&entry.path, target)),
        )
    }

    /// Device nodes.
    pub fn devices(&self) -> impl Iterator<Item = &FileEntry> {
        self.entries.iter().filter(|entry| {
            matches!(
                entry.kind,
                FileKind::CharDevice { .. } | FileKind::BlockDevice { .. }
            )
        })
    }

    /// SHA-256 over the lines of the list as `files.jsonl` holds them, as hexadecimal text: equal for two
    /// volumes exactly when names, types, contents, modes, owners and times are.
    pub fn digest(&self) -> String {
        let mut hasher = Hasher::default();
        for entry in &self.entries {
            hasher.update(&line(entry));
        }
        hex(&hasher.finish())
    }
}

/// One line of `files.jsonl`, with its end.
pub(crate) fn line(entry: &FileEntry) -> Vec<u8> {
    // Writing to memory does not fail, and a row has no map with keys that are no strings.
    let mut line = serde_json::to_vec(entry).unwrap_or_default();
    line.push(b'\n');
    line
}
