//! Compares what a volume should hold with what it does hold.

use std::{cmp::Ordering, fmt};

use crate::{FileEntry, FileKind, FileList, path::shown};

/// What counts as a difference. Paths, types, contents and link targets always do.
///
/// Of the volume's root itself only that it is a directory: its owner, mode and time belong to whoever
/// provisioned the volume, and the restoring user can often not change them. An empty `lost+found` at
/// the root that only the found volume has is no difference: file systems are born with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compare {
    /// Owner and group. Not to be asked of a restore by a user who cannot give files away.
    pub owners: bool,
    /// Permission bits. A cluster that applies an `fsGroup` adds some to what it mounts.
    pub modes: bool,
    /// Bits that a node adds when it mounts a volume for a pod with an `fsGroup` are no difference: read and
    /// write for owner and group, and for directories search and the set-group-id bit
    /// (`SetVolumeOwnership` of the kubelet).
    pub fs_group: bool,
    /// Times of files and links.
    pub times: bool,
    /// Times of directories.
    pub directory_times: bool,
    /// Times of symbolic links, which BusyBox tar does not restore.
    pub link_times: bool,
    /// Times down to the nanosecond. Otherwise, seconds.
    pub nanoseconds: bool,
    /// Extended attributes of users.
    pub xattrs: bool,
    /// The exceptions for the root do not apply.
    pub strict_root: bool,
}

impl Default for Compare {
    /// Modes, and times to the second but those of links; no owners and no attributes: what a restore by an
    /// ordinary user with any tar can achieve.
    fn default() -> Self {
        Self {
            owners: false,
            modes: true,
            fs_group: false,
            times: true,
            directory_times: true,
            link_times: false,
            nanoseconds: false,
            xattrs: false,
            strict_root: false,
        }
    }
}

impl Compare {
    /// Everything counts.
    pub fn exact() -> Self {
        Self {
            owners: true,
            modes: true,
            fs_group: false,
            times: true,
            directory_times: true,
            link_times: true,
            nanoseconds: true,
            xattrs: true,
            strict_root: true,
        }
    }

    /// Names, types, contents and link targets alone.
    pub fn content() -> Self {
        Self {
            modes: false,
            times: false,
            directory_times: false,
            ..Self::default()
        }
    }
}

/// One thing that is different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The path.
    pub path: Vec<u8>,
    /// What is different about it.
    pub what: DifferenceKind,
}

/// What is different about a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DifferenceKind {
    /// It is not there.
    Missing,
    /// It should not be there.
    Extra,
    /// It is of another type.
    Type {
        /// As it should be.
        expected: &'static str,
        /// As it is.
        found: &'static str,
    },
    /// The file has another size.
    Size {
        /// As it should be.
        expected: u64,
        /// As it is.
        found: u64,
    },
    /// The file has the right size and another content.
    Content,
    /// The link points elsewhere.
    Target {
        /// As it should be.
        expected: Vec<u8>,
        /// As it is.
        found: Vec<u8>,
    },
    /// The device has other numbers.
    Device,
    /// The permission bits are others.
    Mode {
        /// As it should be.
        expected: u32,
        /// As it is.
        found: u32,
    },
    /// The owner or group is another.
    Owner {
        /// User and group as they should be.
        expected: (u32, u32),
        /// As they are.
        found: (u32, u32),
    },
    /// The time of the last change is another.
    Time {
        /// Seconds and nanoseconds as they should be.
        expected: (i64, u32),
        /// As they are.
        found: (i64, u32),
    },
    /// The extended attributes are others.
    Xattrs,
    /// Something about it that is in none of the other fields.
    Metadata,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ", shown(&self.path))?;
        match &self.what {
            DifferenceKind::Missing => f.write_str("is missing"),
            DifferenceKind::Extra => f.write_str("should not be there"),
            DifferenceKind::Type { expected, found } => {
                write!(f, "is a {found} and not a {expected}")
            }
            DifferenceKind::Size { expected, found } => {
                write!(f, "has {found} bytes and not {expected}")
            }
            DifferenceKind::Content => f.write_str("has another content"),
            DifferenceKind::Target { expected, found } => {
                write!(
                    f,
                    "links to `{}` and not to `{}`",
                    shown(found),
                    shown(expected)
                )
            }
            DifferenceKind::Device => f.write_str("is another device"),
            DifferenceKind::Mode { expected, found } => {
                write!(f, "has the mode {found:04o} and not {expected:04o}")
            }
            DifferenceKind::Owner { expected, found } => write!(
                f,
                "belongs to {}:{} and not to {}:{}",
                found.0, found.1, expected.0, expected.1
            ),
            DifferenceKind::Time { expected, found } => write!(
                f,
                "was changed at {}.{:09} and not at {}.{:09}",
                found.0, found.1, expected.0, expected.1
            ),
            DifferenceKind::Xattrs => f.write_str("has other extended attributes"),
            DifferenceKind::Metadata => f.write_str("is different"),
        }
    }
}

/// Lists how `found` differs from `expected`, by path; empty when it does not.
pub fn compare(expected: &FileList, found: &FileList, how: &Compare) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut merge = Merge::new(found, how, |difference| differences.push(difference));
    for entry in expected.entries() {
        merge.expect(entry);
    }
    merge.finish();
    differences
}

/// How many things are different, and the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// The first by path, at most [`Differences::SHOWN`].
    pub first: Vec<Difference>,
    /// How many there are in all.
    pub count: usize,
}

impl Differences {
    /// How many are kept.
    pub const SHOWN: usize = 16;

    pub(crate) fn add(&mut self, difference: Difference) {
        if self.first.len() < Self::SHOWN {
            self.first.push(difference);
        }
        self.count += 1;
    }
}

/// Compares a list with what should be in it, which comes entry by entry in the order of paths.
pub(crate) struct Merge<'a, F> {
    found: &'a FileList,
    at: usize,
    how: &'a Compare,
    each: F,
}

impl<'a, F: FnMut(Difference)> Merge<'a, F> {
    pub(crate) fn new(found: &'a FileList, how: &'a Compare, each: F) -> Self {
        Self {
            found,
            at: 0,
            how,
            each,
        }
    }

    /// Takes the next entry that should be there.
    pub(crate) fn expect(&mut self, expected: &FileEntry) {
        let found = self.found;
        while let Some(next) = found.entries().get(self.at) {
            match next.path.cmp(&expected.path) {
                Ordering::Less => {
                    self.extra(next);
                    self.at += 1;
                }
                Ordering::Equal => {
                    self.at += 1;
                    for what in entry(expected, next, self.how) {
                        self.tell(&expected.path, what);
                    }
                    return;
                }
                Ordering::Greater => break,
            }
        }
        // An archive may or may not hold the root itself.
        if self.how.strict_root || !expected.path.is_empty() {
            self.tell(&expected.path, DifferenceKind::Missing);
        }
    }

    /// Nothing more should be there.
    pub(crate) fn finish(mut self) {
        let found = self.found;
        for next in found.entries().iter().skip(self.at) {
            self.extra(next);
        }
    }

    fn extra(&mut self, next: &FileEntry) {
        if self.how.strict_root || !(next.path.is_empty() || born_with(next, self.found)) {
            self.tell(&next.path, DifferenceKind::Extra);
        }
    }

    fn tell(&mut self, path: &[u8], what: DifferenceKind) {
        (self.each)(Difference {
            path: path.to_vec(),
            what,
        });
    }
}

/// An empty `lost+found` at the root.
fn born_with(entry: &FileEntry, list: &FileList) -> bool {
    if entry.path != b"lost+found" || entry.kind != FileKind::Directory {
        return false;
    }
    let after = list
        .entries()
        .partition_point(|other| other.path.as_slice() < &b"lost+found/"[..]);
    !list
        .entries()
        .get(after)
        .is_some_and(|next| next.path.starts_with(b"lost+found/"))
}

fn entry(a: &FileEntry, b: &FileEntry, how: &Compare) -> Vec<DifferenceKind> {
    let mut all = Vec::new();
    if a.kind.name() != b.kind.name() {
        return vec![DifferenceKind::Type {
            expected: a.kind.name(),
            found: b.kind.name(),
        }];
    }
    if a.path.is_empty() && !how.strict_root {
        return all;
    }
    match (&a.kind, &b.kind) {
        (FileKind::File, FileKind::File) => {
            if a.size != b.size {
                all.push(DifferenceKind::Size {
                    expected: a.size,
                    found: b.size,
                });
            } else if a.sha256 != b.sha256 {
                all.push(DifferenceKind::Content);
            }
        }
        (FileKind::Symlink { target: x }, FileKind::Symlink { target: y })
        | (FileKind::HardLink { target: x }, FileKind::HardLink { target: y })
            if x != y =>
        {
            all.push(DifferenceKind::Target {
                expected: x.clone(),
                found: y.clone(),
            });
        }
        (x, y) if x != y => all.push(DifferenceKind::Device),
        _ => {}
    }
    // A link's own mode means nothing, and Linux cannot set it.
    let mounted = match a.kind {
        FileKind::Directory => a.mode | 0o2770,
        _ => a.mode | 0o660,
    };
    let same_mode = a.mode == b.mode || (how.fs_group && mounted == b.mode);
    if how.modes && !same_mode && !matches!(a.kind, FileKind::Symlink { .. }) {
        all.push(DifferenceKind::Mode {
            expected: a.mode,
            found: b.mode,
        });
    }
    if how.owners && (a.uid, a.gid) != (b.uid, b.gid) {
        all.push(DifferenceKind::Owner {
            expected: (a.uid, a.gid),
            found: (b.uid, b.gid),
        });
    }
    let times = match a.kind {
        FileKind::Directory => how.times && how.directory_times,
        FileKind::Symlink { .. } => how.times && how.link_times,
        _ => how.times,
    };
    let time = |entry: &FileEntry| {
        (
            entry.mtime,
            if how.nanoseconds {
                entry.mtime_nanos
            } else {
                0
            },
        )
    };
    if times && time(a) != time(b) {
        all.push(DifferenceKind::Time {
            expected: (a.mtime, a.mtime_nanos),
            found: (b.mtime, b.mtime_nanos),
        });
    }
    if how.xattrs && a.xattrs != b.xattrs {
        all.push(DifferenceKind::Xattrs);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differs(kind: FileKind, expected: u32, found: u32, fs_group: bool) -> bool {
        let of = |mode| FileEntry {
            path: b"a".to_vec(),
            kind: kind.clone(),
            size: 0,
            mode,
            uid: 0,
            gid: 0,
            mtime: 0,
            mtime_nanos: 0,
            xattrs: Default::default(),
            sha256: None,
        };
        let how = Compare {
            fs_group,
            ..Compare::default()
        };
        !entry(&of(expected), &of(found), &how).is_empty()
    }

    #[test]
    fn what_a_node_does_for_an_fs_group_is_known() {
        assert!(!differs(FileKind::File, 0o644, 0o664, true));
        assert!(!differs(FileKind::Directory, 0o755, 0o2775, true));
        assert!(differs(FileKind::File, 0o644, 0o666, true));
        assert!(differs(FileKind::Directory, 0o755, 0o775, true));
        assert!(differs(FileKind::File, 0o664, 0o644, true));
        assert!(differs(FileKind::File, 0o644, 0o664, false));
    }
}
