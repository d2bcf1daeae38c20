//! Files and folders of a chart: 0600 and 0700, and no links.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use ring::digest::{Context, SHA256};

use crate::{ChartError, names::hex};

/// Makes a folder 0700, and those above it.
pub(crate) fn folder(path: &Path) -> Result<(), ChartError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(ChartError::file("making", path))
}

/// Makes temporary folders 0700.
pub(crate) fn temporary() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.permissions(std::fs::Permissions::from_mode(0o700));
    builder
}

/// Makes a file 0600 that was not there.
pub(crate) fn create(path: &Path) -> Result<File, ChartError> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(ChartError::file("making", path))
}

/// Writes a whole file.
pub(crate) fn whole(path: &Path, bytes: &[u8]) -> Result<(), ChartError> {
    create(path)?
        .write_all(bytes)
        .map_err(ChartError::file("writing", path))
}

/// Reads a whole file of at most `most` bytes.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, ChartError> {
    let failed = || ChartError::file("reading", path);
    let file = File::open(path).map_err(failed())?;
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed())?;
    if bytes.len() as u64 > most {
        return Err(ChartError::damaged(
            path.display().to_string(),
            format!("has more than {most} bytes"),
        ));
    }
    Ok(bytes)
}

/// Size and SHA-256 of a file.
pub(crate) fn digest(path: &Path) -> Result<(u64, String), ChartError> {
    let mut file = File::open(path).map_err(ChartError::file("reading", path))?;
    // Twice as fast as `sha2` where the processor has no instructions for it, and these files are the large ones.
    let mut hasher = Context::new(&SHA256);
    let mut buffer = vec![0; 256 << 10];
    let mut size = 0;
    loop {
        let length = file
            .read(&mut buffer)
            .map_err(ChartError::file("reading", path))?;
        if length == 0 {
            return Ok((size, hex(hasher.finish().as_ref())));
        }
        hasher.update(&buffer[..length]);
        size += length as u64;
    }
}

/// Every file below a folder, by its path from there with `/`, sorted. Anything that is neither a file nor a
/// folder is refused: a chart has no links.
pub(crate) fn files(root: &Path) -> Result<Vec<String>, ChartError> {
    let mut found = Vec::new();
    let mut todo = vec![String::new()];
    while let Some(folder) = todo.pop() {
        let path = root.join(&folder);
        for entry in std::fs::read_dir(&path).map_err(ChartError::file("reading", &path))? {
            let entry = entry.map_err(ChartError::file("reading", &path))?;
            let name = entry.file_name();
            let inside = |name: &str| {
                if folder.is_empty() {
                    name.to_owned()
                } else {
                    format!("{folder}/{name}")
                }
            };
            let Some(name) = name.to_str() else {
                return Err(ChartError::damaged(
                    inside(&name.to_string_lossy()),
                    "is not a name of this format",
                ));
            };
            let kind = entry
                .file_type()
                .map_err(ChartError::file("reading", entry.path()))?;
            if kind.is_dir() {
                todo.push(inside(name));
            } else if kind.is_file() {
                found.push(inside(name));
            } else {
                return Err(ChartError::damaged(
                    inside(name),
                    "is neither a file nor a folder",
                ));
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Brings everything of a file system down to the disk: one call, however many files a chart has.
pub(crate) fn sync(root: &Path) -> Result<(), ChartError> {
    let failed = || ChartError::file("writing", root);
    let folder = File::open(root).map_err(failed())?;
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(&folder).map_err(|error| failed()(error.into()))?;
    folder.sync_all().map_err(failed())
}

/// Brings the name of `path` in its folder down to the disk.
pub(crate) fn sync_parent(path: &Path) -> Result<(), ChartError> {
    let parent = parent(path);
    File::open(parent)
        .and_then(|folder| folder.sync_all())
        .map_err(ChartError::file("writing", parent))
}

/// The folder that `path` is in.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
