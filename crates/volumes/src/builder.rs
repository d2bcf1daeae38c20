//! Makes a list of files from the members of an archive, and refuses what must not be unpacked.

use std::collections::BTreeMap;

use crate::{
    FileEntry, FileKind, FileList, Refusal, VolumeError,
    archive::Member,
    digest::Hash,
    path::{link_stays_inside, normalise, parent},
};

/// What a volume may hold beyond plain files, folders, pipes and links within it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allow {
    /// Character and block devices.
    pub devices: bool,
    /// Symbolic links whose target is absolute or leaves the volume by `..`. Nothing is ever written through a
    /// link, allowed or not.
    pub escaping_links: bool,
}

/// Collects members in the order of the archive.
#[derive(Debug)]
pub(crate) struct ListBuilder {
    allow: Allow,
    /// By path. The entries' own paths are empty until the end: a million files have them once.
    entries: BTreeMap<Vec<u8>, FileEntry>,
    /// The folder that the last member was in, which has been checked: once it has a member, `check` lets
    /// neither it nor a folder above become a link.
    checked_parent: Option<Vec<u8>>,
}

impl ListBuilder {
    pub(crate) fn new(allow: Allow) -> Self {
        Self {
            allow,
            entries: BTreeMap::new(),
            checked_parent: None,
        }
    }

    /// Checks a member before its content is read, and gives its path in the volume.
    pub(crate) fn check(&mut self, member: &mut Member) -> Result<Vec<u8>, VolumeError> {
        let refused = |why| VolumeError::refused(&member.path, why);
        let path = normalise(&member.path).map_err(refused)?;
        if path.is_empty() && member.kind != FileKind::Directory {
            return Err(refused(Refusal::BadName));
        }
        match &member.kind {
            FileKind::CharDevice { .. } | FileKind::BlockDevice { .. } if !self.allow.devices => {
                return Err(refused(Refusal::Device));
            }
            FileKind::Symlink { target } => {
                if target.is_empty() || target.contains(&0) {
                    return Err(refused(Refusal::BadName));
                }
                if !self.allow.escaping_links && !link_stays_inside(&path, target) {
                    return Err(refused(Refusal::EscapingLink {
                        target: target.clone(),
                    }));
                }
            }
            FileKind::HardLink { target } => {
                let unknown = || {
                    refused(Refusal::UnknownLink {
                        target: target.clone(),
                    })
                };
                let target = normalise(target).map_err(|_| unknown())?;
                // A link to a link is a link to the file.
                let file = match self.entries.get(&target) {
                    None
                    | Some(FileEntry {
                        kind: FileKind::Directory,
                        ..
                    }) => return Err(unknown()),
                    Some(FileEntry {
                        kind: FileKind::HardLink { target },
                        ..
                    }) => target.clone(),
                    Some(_) => target,
                };
                member.kind = FileKind::HardLink { target: file };
            }
            _ => {}
        }
        let refused = |why| VolumeError::refused(&member.path, why);
        self.check_parents(&path).map_err(refused)?;
        if let Some(before) = self.entries.get(&path) {
            // A directory may be named again to set its time after its files were written.
            if before.kind != FileKind::Directory || member.kind != FileKind::Directory {
                return Err(refused(Refusal::Twice));
            }
        } else if member.kind != FileKind::Directory {
            let mut below = path.clone();
            below.push(b'/');
            let next = self.entries.range(below.clone()..).next();
            if next.is_some_and(|(next, _)| next.starts_with(&below)) {
                return Err(refused(Refusal::Twice));
            }
        }
        Ok(path)
    }

    fn check_parents(&mut self, path: &[u8]) -> Result<(), Refusal> {
        let direct = parent(path);
        if direct == self.checked_parent.as_deref() {
            return Ok(());
        }
        let mut above = direct;
        while let Some(folder) = above {
            match self.entries.get(folder).map(|entry| &entry.kind) {
                None | Some(FileKind::Directory) => {}
                Some(FileKind::Symlink { .. } | FileKind::HardLink { .. }) => {
                    return Err(Refusal::ThroughLink);
                }
                Some(_) => return Err(Refusal::NotADirectory),
            }
            above = parent(folder);
        }
        self.checked_parent = direct.map(<[u8]>::to_vec);
        Ok(())
    }

    /// Adds a checked member.
    pub(crate) fn add(&mut self, path: Vec<u8>, member: Member, sha256: Option<Hash>) {
        let entry = FileEntry {
            path: Vec::new(),
            size: if member.kind == FileKind::File {
                member.size
            } else {
                0
            },
            kind: member.kind,
            mode: member.mode,
            uid: member.uid,
            gid: member.gid,
            mtime: member.mtime,
            mtime_nanos: member.mtime_nanos,
            xattrs: member.xattrs,
            sha256,
        };
        self.entries.insert(path, entry);
    }

    /// The list, in which the first name of each file is the file.
    pub(crate) fn finish(mut self) -> FileList {
        let mut groups: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for (path, entry) in &self.entries {
            if let FileKind::HardLink { target } = &entry.kind {
                groups.entry(target.clone()).or_default().push(path.clone());
            }
        }
        for (file, mut names) in groups {
            let Some(entry) = self.entries.get(&file).cloned() else {
                continue;
            };
            names.push(file);
            names.sort_unstable();
            let first = names[0].clone();
            for name in names.drain(1..) {
                let link = FileEntry {
                    kind: FileKind::HardLink {
                        target: first.clone(),
                    },
                    size: 0,
                    sha256: None,
                    xattrs: BTreeMap::new(),
                    ..entry.clone()
                };
                self.entries.insert(name, link);
            }
            self.entries.insert(first, entry);
        }
        FileList::from_sorted(
            self.entries
                .into_iter()
                .map(|(path, entry)| FileEntry { path, ..entry })
                .collect(),
        )
    }
}
