//! Moving `.s2i` out of the uploaded source, so that `pre_build` finds the hooks where all others will.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::FileType;

use crate::error::Error;
use crate::file;

/// Put into an uploaded source that held nothing but `.s2i`: builders move its content with `mv /tmp/src/*`, which fails
/// on nothing. No dot at its beginning, since some of them pass over such names.
const PLACEHOLDER: &str = "s2i-empty-source";

/// Where the hooks are before `take`: in the upload where that has any, else in the source folder.
pub(crate) fn folder(upload: &Path, source: &Path) -> PathBuf {
    let uploaded = upload.join(".s2i");
    if file::is_folder(&uploaded) {
        uploaded
    } else {
        source.join(".s2i")
    }
}

/// Moves `.s2i` from the upload to the source folder. What an earlier build left there is replaced as a whole: a hook that
/// was deleted from the source must not run again.
pub(crate) fn take(upload: &Path, source: &Path) -> Result<(), Error> {
    let (from, to) = (upload.join(".s2i"), source.join(".s2i"));
    if !file::is_folder(&from) {
        return Ok(());
    }
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { what, path, source }
    };
    let old = source.join(format!(".s2i.old-{}", std::process::id()));
    let replaced = match fs::rename(&to, &old) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        // A folder of a lower image layer cannot always be renamed; its content can be removed.
        Err(_) => {
            remove(&to).map_err(failed("replace", &to))?;
            false
        }
    };
    move_tree(&from, &to).map_err(failed("move", &from))?;
    if replaced {
        remove(&old).map_err(failed("remove", &old))?;
    }
    let empty = fs::read_dir(upload).is_ok_and(|mut entries| entries.next().is_none());
    if empty {
        let placeholder = upload.join(PLACEHOLDER);
        fs::write(&placeholder, "").map_err(failed("make", &placeholder))?;
    }
    Ok(())
}

/// Removes the placeholder, wherever the builder has moved it.
pub(crate) fn clear(upload: &Path, source: &Path) {
    for folder in [upload, source] {
        let _ = fs::remove_file(folder.join(PLACEHOLDER));
    }
}

fn remove(path: &Path) -> io::Result<()> {
    if !file::kind(&file::lstat(path)?).is_dir() {
        return fs::remove_file(path);
    }
    for entry in fs::read_dir(path)? {
        remove(&entry?.path())?;
    }
    fs::remove_dir(path)
}

/// Renames, or copies and removes where the two are on different file systems.
fn move_tree(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            copy_tree(from, to)?;
            remove(from)
        }
        other => other,
    }
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let stat = file::lstat(from)?;
    let mode = fs::Permissions::from_mode(file::mode(&stat));
    match file::kind(&stat) {
        FileType::Symlink => return symlink(fs::read_link(from)?, to),
        FileType::Directory => {}
        _ => {
            let mut copy = fs::File::create_new(to)?;
            io::copy(&mut fs::File::open(from)?, &mut copy)?;
            copy.set_permissions(mode)?;
            // As `mv` leaves them; a time before 1970 is nobody's.
            let since = Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or_default());
            return copy.set_modified(SystemTime::UNIX_EPOCH + since);
        }
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy_tree(&entry.path(), &to.join(entry.file_name()))?;
    }
    fs::set_permissions(to, mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(root: &Path, files: &[&str]) {
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
    }

    #[test]
    fn what_an_earlier_build_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (upload, source) = (folder.path().join("up"), folder.path().join("src"));
        tree(&upload, &["app.py", ".s2i/action_hooks/build"]);
        tree(&source, &[".s2i/action_hooks/deploy", "old.py"]);
        take(&upload, &source).unwrap();
        assert!(source.join(".s2i/action_hooks/build").exists());
        assert!(!source.join(".s2i/action_hooks/deploy").exists());
        assert!(!upload.join(".s2i").exists());
        assert!(!upload.join(PLACEHOLDER).exists());
        let mut left: Vec<_> = fs::read_dir(&source)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, [".s2i", "old.py"]);
    }

    #[test]
    fn a_source_of_hooks_only_leaves_something_to_move() {
        let folder = tempfile::tempdir().unwrap();
        let (upload, source) = (folder.path().join("up"), folder.path().join("src"));
        tree(&upload, &[".s2i/environment"]);
        fs::create_dir(&source).unwrap();
        take(&upload, &source).unwrap();
        assert!(upload.join(PLACEHOLDER).exists());
        fs::rename(upload.join(PLACEHOLDER), source.join(PLACEHOLDER)).unwrap();
        clear(&upload, &source);
        assert!(!source.join(PLACEHOLDER).exists());
        take(&upload, &source).unwrap();
        assert!(source.join(".s2i/environment").exists());
    }

    #[test]
    fn copies_keep_links_and_modes() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        tree(&from, &["hooks/deploy"]);
        fs::set_permissions(from.join("hooks/deploy"), fs::Permissions::from_mode(0o750)).unwrap();
        symlink("nowhere", from.join("link")).unwrap();
        copy_tree(&from, &to).unwrap();
        let mode = fs::metadata(to.join("hooks/deploy"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o750);
        assert_eq!(
            fs::read_link(to.join("link")).unwrap(),
            Path::new("nowhere")
        );
    }
}
