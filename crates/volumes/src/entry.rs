//! One file of a volume, and its line in `files.jsonl`.

use std::{borrow::Cow, collections::BTreeMap};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize, de::Error as _};

use crate::digest::{Hash, hex, unhex};

/// A file, folder, link or other thing in a volume.
///
/// As JSON it is one object, `{"path":"a/b","type":"file","size":3,"mode":"0644",…}`; what is not UTF-8 is
/// kept as `path_base64` and `target_base64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Path from the volume's root, without a leading `./`; empty for the root itself. Any bytes but NUL.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: FileKind,
    /// Size of a file's content in bytes, holes included; 0 for everything else.
    pub size: u64,
    /// Permission bits, set-uid, set-gid and sticky bits included.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last change of the content, in seconds since 1970.
    pub mtime: i64,
    /// Nanoseconds of [`mtime`](Self::mtime); 0 where the archive has none.
    pub mtime_nanos: u32,
    /// Extended attributes of users (`user.*`) that the archive carried.
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// SHA-256 of a file's content, holes as zeros; `None` for everything that is not a file.
    pub sha256: Option<Hash>,
}

/// The type of a [`FileEntry`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink {
        /// Where it points, as it was written.
        target: Vec<u8>,
    },
    /// Another name of a file. In a [`FileList`](crate::FileList) the name that sorts first is the file and
    /// the others are links to it, whichever came first in the archive.
    HardLink {
        /// Path of the file in the volume.
        target: Vec<u8>,
    },
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

impl FileKind {
    /// The name of the type in lists and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink { .. } => "symlink",
            Self::HardLink { .. } => "hardlink",
            Self::Fifo => "fifo",
            Self::CharDevice { .. } => "char-device",
            Self::BlockDevice { .. } => "block-device",
        }
    }
}

impl FileEntry {
    /// The path for a message: escaped where it is not printable, `.` for the root.
    pub fn shown(&self) -> String {
        crate::path::shown(&self.path)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_base64: Option<String>,
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "is_zero")]
    size: u64,
    mode: Cow<'a, str>,
    uid: u32,
    gid: u32,
    mtime: i64,
    #[serde(default, skip_serializing_if = "is_zero32")]
    nanos: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<(u32, u32)>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    xattrs: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<Cow<'a, str>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero32(n: &u32) -> bool {
    *n == 0
}

fn text_or_base64(bytes: &[u8]) -> (Option<Cow<'_, str>>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text.into()), None),
        Err(_) => (None, Some(BASE64_STANDARD.encode(bytes))),
    }
}

fn bytes_of(text: Option<Cow<'_, str>>, base64: Option<String>) -> Option<Vec<u8>> {
    match (text, base64) {
        (Some(text), None) => Some(text.into_owned().into_bytes()),
        (None, Some(base64)) => BASE64_STANDARD.decode(base64).ok(),
        _ => None,
    }
}

impl Serialize for FileEntry {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (path, path_base64) = text_or_base64(&self.path);
        let (target, target_base64) = match &self.kind {
            FileKind::Symlink { target } | FileKind::HardLink { target } => text_or_base64(target),
            _ => (None, None),
        };
        let device = match self.kind {
            FileKind::CharDevice { major, minor } | FileKind::BlockDevice { major, minor } => {
                Some((major, minor))
            }
            _ => None,
        };
        Row {
            path,
            path_base64,
            kind: self.kind.name().into(),
            size: self.size,
            mode: format!("{:04o}", self.mode).into(),
            uid: self.uid,
            gid: self.gid,
            mtime: self.mtime,
            nanos: self.mtime_nanos,
            target,
            target_base64,
            device,
            xattrs: self
                .xattrs
                .iter()
                .map(|(name, value)| (name.clone(), BASE64_STANDARD.encode(value)))
                .collect(),
            sha256: self.sha256.as_ref().map(|hash| hex(hash).into()),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FileEntry {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let row = Row::deserialize(deserializer)?;
        let target = bytes_of(row.target, row.target_base64);
        let kind = match (&*row.kind, target, row.device) {
            ("file", None, None) => FileKind::File,
            ("directory", None, None) => FileKind::Directory,
            ("fifo", None, None) => FileKind::Fifo,
            ("symlink", Some(target), None) => FileKind::Symlink { target },
            ("hardlink", Some(target), None) => FileKind::HardLink { target },
            ("char-device", None, Some((major, minor))) => FileKind::CharDevice { major, minor },
            ("block-device", None, Some((major, minor))) => FileKind::BlockDevice { major, minor },
            _ => {
                return Err(D::Error::custom(format!(
                    "not a type of file, or one with wrong fields: {}",
                    row.kind
                )));
            }
        };
        let sha256 = row
            .sha256
            .map(|text| {
                unhex(&text).ok_or_else(|| D::Error::custom("sha256 is not 64 hexadecimal digits"))
            })
            .transpose()?;
        Ok(Self {
            path: bytes_of(row.path, row.path_base64)
                .ok_or_else(|| D::Error::custom("path is missing"))?,
            kind,
            size: row.size,
            mode: u32::from_str_radix(&row.mode, 8)
                .ok()
                .filter(|mode| *mode <= 0o7777)
                .ok_or_else(|| D::Error::custom("mode is not octal"))?,
            uid: row.uid,
            gid: row.gid,
            mtime: row.mtime,
            mtime_nanos: row.nanos,
            xattrs: row
                .xattrs
                .into_iter()
                .map(|(name, value)| {
                    Ok((
                        name,
                        BASE64_STANDARD.decode(value).map_err(D::Error::custom)?,
                    ))
                })
                .collect::<Result<_, D::Error>>()?,
            sha256,
        })
    }
}
