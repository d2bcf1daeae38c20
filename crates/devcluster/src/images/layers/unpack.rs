//! Layers to folders.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use flate2::read::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use super::{Layer, LayerError};
use crate::registry::{Blobs, Digest};

/// Unpacks layers over one another into a folder, which is made.
pub(crate) fn unpack(blobs: &Blobs, layers: &[Layer], into: &Path) -> Result<(), LayerError> {
    fs_err::create_dir_all(into).map_err(LayerError::Write)?;
    let mut folders = BTreeMap::new();
    for layer in layers {
        let path = blobs.path(&layer.digest);
        let file = fs_err::File::open(&path).map_err(|source| LayerError::Read {
            path: path.clone(),
            source,
        })?;
        let file = io::BufReader::with_capacity(256 << 10, file);
        let stream: Box<dyn Read> = match layer.media_type.as_str() {
            kind if kind.ends_with("gzip") => Box::new(MultiGzDecoder::new(file)),
            kind if kind.ends_with("zstd") => {
                Box::new(zstd::stream::read::Decoder::new(file).map_err(LayerError::Write)?)
            }
            kind if kind.ends_with("tar") => Box::new(file),
            kind => return Err(LayerError::Compression(kind.to_owned())),
        };
        let mut hashing = Reading {
            inner: stream,
            hash: Sha256::new(),
        };
        entries(&mut hashing, into, &mut folders)?;
        // What follows the end of the archive belongs to the stream, too.
        io::copy(&mut hashing, &mut io::sink()).map_err(LayerError::Write)?;
        let found = Digest::from_hash(hashing.hash);
        if found.as_str() != layer.diff_id {
            return Err(LayerError::Content {
                expected: layer.diff_id.clone(),
                found,
            });
        }
    }
    // Last, so that a folder that may not be written to could be filled; the innermost first.
    for (path, mode) in folders.iter().rev() {
        let path = into.join(path);
        if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            fs_err::set_permissions(&path, std::fs::Permissions::from_mode(*mode))
                .map_err(LayerError::Write)?;
        }
    }
    Ok(())
}

struct Reading<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for Reading<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

/// Unpacks one tar stream over what is in a folder, as an upload is. Folders keep ordinary modes.
pub(crate) fn unpack_stream(stream: impl Read, into: &Path) -> Result<(), LayerError> {
    let mut folders = BTreeMap::new();
    entries(stream, into, &mut folders)
}

fn entries(
    stream: impl Read,
    into: &Path,
    folders: &mut BTreeMap<PathBuf, u32>,
) -> Result<(), LayerError> {
    let mut archive = tar::Archive::new(stream);
    for entry in archive.entries().map_err(LayerError::Write)? {
        let mut entry = entry.map_err(LayerError::Write)?;
        let name = entry.path().map_err(LayerError::Write)?.into_owned();
        let Some(name) = inside(&name) else {
            return Err(LayerError::Escape { path: name });
        };
        if name.as_os_str().is_empty() {
            continue;
        }
        let parent = name.parent().unwrap_or(Path::new(""));
        make_folder(into, parent)?;
        let target = into.join(&name);
        let file_name = name.file_name().and_then(|n| n.to_str()).unwrap_or("");
        if file_name == ".wh..wh..opq" {
            empty(&into.join(parent))?;
            continue;
        }
        if let Some(gone) = file_name.strip_prefix(".wh.") {
            remove(&into.join(parent).join(gone))?;
            continue;
        }
        let mode = entry.header().mode().unwrap_or(0o644) & 0o777;
        let modified =
            UNIX_EPOCH + Duration::from_secs(entry.header().mtime().unwrap_or(0).min(1 << 40));
        match entry.header().entry_type() {
            tar::EntryType::Directory => {
                let is_folder = target.symlink_metadata().is_ok_and(|found| found.is_dir());
                if !is_folder {
                    remove(&target)?;
                    fs_err::create_dir(&target).map_err(LayerError::Write)?;
                }
                folders.insert(name, mode);
            }
            tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse => {
                remove(&target)?;
                let mut file = fs_err::File::create(&target).map_err(LayerError::Write)?;
                io::copy(&mut entry, &mut file).map_err(LayerError::Write)?;
                file.set_permissions(std::fs::Permissions::from_mode(mode))
                    .and_then(|()| file.file().set_modified(modified))
                    .map_err(LayerError::Write)?;
            }
            tar::EntryType::Symlink => {
                let to = entry
                    .link_name()
                    .map_err(LayerError::Write)?
                    .unwrap_or_default();
                remove(&target)?;
                fs_err::os::unix::fs::symlink(to, &target).map_err(LayerError::Write)?;
            }
            tar::EntryType::Link => {
                let to = entry
                    .link_name()
                    .map_err(LayerError::Write)?
                    .unwrap_or_default();
                let Some(to) = inside(&to) else {
                    return Err(LayerError::Escape { path: to.into() });
                };
                make_folder(into, to.parent().unwrap_or(Path::new("")))?;
                remove(&target)?;
                fs_err::hard_link(into.join(to), &target).map_err(LayerError::Write)?;
            }
            tar::EntryType::XGlobalHeader => {}
            _ => return Err(LayerError::Special { path: name }),
        }
    }
    Ok(())
}

/// An entry's name below the root; none if it leads out of it.
fn inside(name: &Path) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir | Component::RootDir => {}
            _ => return None,
        }
    }
    Some(path)
}

/// Makes a folder and those above it. None of them may be a symbolic link: it could lead anywhere.
fn make_folder(root: &Path, name: &Path) -> Result<(), LayerError> {
    let mut path = root.to_owned();
    for part in name.components() {
        path.push(part);
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => {}
            Ok(found) if found.is_symlink() => {
                return Err(LayerError::Escape {
                    path: name.to_owned(),
                });
            }
            Ok(_) => {
                remove(&path)?;
                fs_err::create_dir(&path).map_err(LayerError::Write)?;
            }
            Err(_) => fs_err::create_dir(&path).map_err(LayerError::Write)?,
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), LayerError> {
    let removed = match path.symlink_metadata() {
        Err(_) => return Ok(()),
        Ok(found) if found.is_dir() => crate::trees::remove(path),
        Ok(_) => fs_err::remove_file(path),
    };
    removed.map_err(LayerError::Write)
}

fn empty(folder: &Path) -> Result<(), LayerError> {
    for entry in fs_err::read_dir(folder).map_err(LayerError::Write)? {
        remove(&entry.map_err(LayerError::Write)?.path())?;
    }
    Ok(())
}
