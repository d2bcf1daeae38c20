//! Folders to layers.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use super::{LayerError, Packed};
use crate::registry::{BlobWriter, Blobs, Digest};

/// The user that S2I images belong to; containers reach the files by their group, 0.
const OWNER: u64 = 1001;

/// Packs folders into one layer: what lies in each goes to its place, `opt/app-root/src`. Folders
/// above a place are for their owner alone to change; what is inside may be changed by the group,
/// too, since a container's user is an arbitrary one of group 0.
pub(crate) fn pack(blobs: &Blobs, folders: &[(&Path, &str)]) -> Result<Packed, LayerError> {
    let mut packer = Packer::new(blobs)?;
    for (from, at) in folders {
        packer.parents(at)?;
        packer.folder(from, at, true)?;
    }
    packer.finish()
}

/// Packs folders as [`pack`] does; what layers below have in their places is gone.
pub(crate) fn pack_over(blobs: &Blobs, folders: &[(&Path, &str)]) -> Result<Packed, LayerError> {
    let mut packer = Packer::new(blobs)?;
    for (from, at) in folders {
        packer.parents(at)?;
        let mut header = header(tar::EntryType::Regular, 0o644, UNIX_EPOCH);
        packer
            .tar
            .append_data(&mut header, format!("{at}/.wh..wh..opq"), io::empty())
            .map_err(LayerError::Write)?;
        packer.folder(from, at, true)?;
    }
    packer.finish()
}

/// Packs these small files, by path, with their modes; a path that ends in `/` is a folder.
pub(crate) fn pack_files(
    blobs: &Blobs,
    files: &BTreeMap<&str, (u32, &[u8])>,
) -> Result<Packed, LayerError> {
    let mut packer = Packer::new(blobs)?;
    for (path, (mode, bytes)) in files {
        let name = path.trim_end_matches('/');
        if let Some((folder, _)) = name.rsplit_once('/') {
            packer.parents(&format!("{folder}/."))?;
        }
        let kind = if name.len() < path.len() {
            packer.made.insert((*path).to_owned());
            tar::EntryType::Directory
        } else {
            tar::EntryType::Regular
        };
        let mut header = header(kind, *mode, UNIX_EPOCH);
        header.set_size(bytes.len() as u64);
        packer
            .tar
            .append_data(&mut header, path, *bytes)
            .map_err(LayerError::Write)?;
    }
    packer.finish()
}

struct Packer {
    tar: tar::Builder<Hashed<GzEncoder<BlobWriter>>>,
    made: std::collections::BTreeSet<String>,
}

/// Hashes what passes.
struct Hashed<W> {
    inner: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

pub(super) fn header(kind: tar::EntryType, mode: u32, modified: SystemTime) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(OWNER);
    header.set_gid(0);
    header.set_size(0);
    let seconds = modified
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    header.set_mtime(seconds);
    header
}

impl Packer {
    fn new(blobs: &Blobs) -> Result<Self, LayerError> {
        let writer = blobs.writer().map_err(LayerError::Write)?;
        Ok(Self {
            tar: tar::Builder::new(Hashed {
                inner: GzEncoder::new(writer, Compression::fast()),
                hash: Sha256::new(),
            }),
            made: std::collections::BTreeSet::new(),
        })
    }

    /// Makes the folders above a place.
    fn parents(&mut self, at: &str) -> Result<(), LayerError> {
        let mut path = String::new();
        for part in at.split('/').filter(|part| !part.is_empty()) {
            path.push_str(part);
            path.push('/');
            if path.trim_end_matches('/') != at && self.made.insert(path.clone()) {
                let mut header = header(tar::EntryType::Directory, 0o755, UNIX_EPOCH);
                self.tar
                    .append_data(&mut header, &path, io::empty())
                    .map_err(LayerError::Write)?;
            }
        }
        Ok(())
    }

    fn folder(&mut self, from: &Path, at: &str, is_root: bool) -> Result<(), LayerError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| LayerError::Read { path, source }
        };
        let found = fs_err::metadata(from).map_err(failed(from))?;
        if self.made.insert(format!("{at}/")) {
            let mut header = header(
                tar::EntryType::Directory,
                for_everybody(found.permissions().mode()),
                found.modified().unwrap_or(UNIX_EPOCH),
            );
            self.tar
                .append_data(&mut header, format!("{at}/"), io::empty())
                .map_err(LayerError::Write)?;
        }
        let mut entries = fs_err::read_dir(from)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(failed(from))?;
        entries.sort_by_key(fs_err::DirEntry::file_name);
        for entry in entries {
            // The history of a source is no part of it.
            if is_root && entry.file_name() == ".git" {
                continue;
            }
            let path = entry.path();
            let name = Path::new(at).join(entry.file_name());
            let found = entry.metadata().map_err(failed(&path))?;
            let modified = found.modified().unwrap_or(UNIX_EPOCH);
            if found.is_dir() {
                match name.to_str() {
                    Some(name) => self.folder(&path, name, false)?,
                    // Names are bytes, but folders are walked by text here.
                    None => return Err(LayerError::Special { path }),
                }
            } else if found.is_symlink() {
                let target = fs_err::read_link(&path).map_err(failed(&path))?;
                let mut header = header(tar::EntryType::Symlink, 0o777, modified);
                self.tar
                    .append_link(&mut header, &name, target)
                    .map_err(LayerError::Write)?;
            } else if found.is_file() {
                let mode = for_everybody(found.permissions().mode());
                let mut header = header(tar::EntryType::Regular, mode, modified);
                header.set_size(found.len());
                let file = fs_err::File::open(&path).map_err(failed(&path))?;
                self.tar
                    .append_data(&mut header, &name, file.take(found.len()))
                    .map_err(LayerError::Write)?;
            } else {
                return Err(LayerError::Special { path });
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Packed, LayerError> {
        let hashed = self.tar.into_inner().map_err(LayerError::Write)?;
        let writer = hashed.inner.finish().map_err(LayerError::Write)?;
        let size = writer.size();
        Ok(Packed {
            digest: writer.keep().map_err(LayerError::Write)?,
            size,
            diff_id: Digest::from_hash(hashed.hash),
        })
    }
}

/// A mode as it has to be for an arbitrary user of group 0: the group may do what the owner may, and
/// everybody may read.
fn for_everybody(mode: u32) -> u32 {
    let mode = mode & 0o777 | 0o444;
    let mode = mode | (mode & 0o700) >> 3;
    mode | (mode & 0o100) >> 6
}
