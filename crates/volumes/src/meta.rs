//! `volume.json`: what a stored volume consists of.

use serde::{Deserialize, Serialize};

/// The version of the stored form that this program writes.
pub(crate) const FORMAT: u32 = 1;

/// Size and SHA-256 of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileDigest {
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// One segment: a zstd frame of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentMeta {
    /// File name in `segments/`.
    pub name: String,
    /// The compressed file.
    #[serde(flatten)]
    pub file: FileDigest,
    /// Size of its part of the tar.
    pub tar_size: u64,
}

/// What the archive holds beyond what every tar can unpack, and what deserves a look before import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    /// Extended headers: long names, fractions of seconds or attributes that BusyBox tar ignores.
    #[serde(default)]
    pub extended_headers: bool,
    /// Files with holes, which BusyBox tar does not know.
    #[serde(default)]
    pub sparse: bool,
    /// Device nodes.
    #[serde(default)]
    pub devices: bool,
    /// Symbolic links that lead out of the volume.
    #[serde(default)]
    pub escaping_links: bool,
}

/// Where a part of the tar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// Position of its first byte.
    pub offset: u64,
    /// Its length.
    pub size: u64,
}

/// The description of a stored volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeMeta {
    /// Version of this form.
    pub format: u32,
    /// Number of regular files.
    pub files: u64,
    /// Number of entries, folders and links included.
    pub entries: u64,
    /// Bytes of all files, holes included.
    pub bytes: u64,
    /// Length of the plain tar.
    pub tar_size: u64,
    /// [`FileList::digest`](crate::FileList::digest).
    pub tree: String,
    /// `files.jsonl.zst`.
    pub list: FileDigest,
    /// Its size when it is decompressed.
    pub list_size: u64,
    /// The segments in order.
    pub segments: Vec<SegmentMeta>,
    /// The headers of the volume's own root, which are left out when the volume is restored: the mount point's
    /// owner and mode are not the restoring user's to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Span>,
    /// What it takes to unpack it.
    #[serde(default)]
    pub features: Features,
    /// What was left out of the archive, as in `lost+found`, for a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<String>,
}
