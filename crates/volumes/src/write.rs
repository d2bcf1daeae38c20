//! Files that appear whole or not at all, readable by their owner alone.

use std::{
    fs::File,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use crate::VolumeError;

/// Makes a folder 0700, and those above it.
pub(crate) fn folder(path: &Path) -> Result<(), VolumeError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(VolumeError::file("making the folder", path))
}

/// Makes a file 0600 that was not there.
pub(crate) fn create(path: &Path) -> Result<File, VolumeError> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(VolumeError::file("making", path))
}

/// Writes a whole file, down to the disk.
pub(crate) fn whole(path: &Path, bytes: &[u8]) -> Result<(), VolumeError> {
    let mut file = create(path)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(VolumeError::file("writing", path))
}

/// Brings a folder's names down to the disk.
pub(crate) fn sync_folder(path: &Path) -> Result<(), VolumeError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(VolumeError::file("writing the folder", path))
}
