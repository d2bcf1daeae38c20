//! Removing folders that containers have filled, whatever modes they left behind.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Removes a folder with everything in it. Folders that their owner may not enter are opened first.
/// One that is not there is fine.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    match fs_err::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            unlock(folder)?;
            fs_err::remove_dir_all(folder)
        }
        other => other,
    }
}

fn unlock(folder: &Path) -> io::Result<()> {
    fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            unlock(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_folders_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let locked = folder.path().join("a/b");
        std::fs::create_dir_all(&locked).unwrap();
        std::fs::write(locked.join("file"), "x").unwrap();
        std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).unwrap();
        unlock(&folder.path().join("a")).unwrap();
        assert_eq!(
            locked.metadata().unwrap().permissions().mode() & 0o777,
            0o700
        );
        std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).unwrap();
        remove(&folder.path().join("a")).unwrap();
        assert!(!folder.path().join("a").exists());
        remove(&folder.path().join("a")).unwrap();
    }
}
