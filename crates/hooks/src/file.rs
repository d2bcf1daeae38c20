//! What a file is, asked in the way that every kernel and every sandbox answers. The standard library asks by `statx`,
//! which the kernels of OpenShift 3 do not have and old container engines refuse. It would ask in another way then, but
//! not over Eyra, whose `statx` does not tell that there is none: all hooks would be absent.

use std::io;
use std::path::Path;

use rustix::fs::{Access, FileType, Stat};

/// Asks, following links.
pub(crate) fn stat(path: &Path) -> io::Result<Stat> {
    Ok(rustix::fs::stat(path)?)
}

/// Asks about the link itself.
pub(crate) fn lstat(path: &Path) -> io::Result<Stat> {
    Ok(rustix::fs::lstat(path)?)
}

pub(crate) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// The permission bits.
pub(crate) fn mode(stat: &Stat) -> u32 {
    stat.st_mode & 0o7777
}

pub(crate) fn exists(path: &Path) -> bool {
    stat(path).is_ok()
}

pub(crate) fn is_file(path: &Path) -> bool {
    stat(path).is_ok_and(|stat| kind(&stat) == FileType::RegularFile)
}

pub(crate) fn is_folder(path: &Path) -> bool {
    stat(path).is_ok_and(|stat| kind(&stat) == FileType::Directory)
}

/// Whether files can be made in a folder.
pub(crate) fn is_writable_folder(path: &Path) -> bool {
    // By the rights of the real user, who is the effective one: this is no setuid program.
    let writable = rustix::fs::access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    writable && is_folder(path)
}

/// Whether two paths lead to the same file.
pub(crate) fn same(one: &Path, other: &Path) -> bool {
    match (stat(one), stat(other)) {
        (Ok(one), Ok(other)) => one.st_dev == other.st_dev && one.st_ino == other.st_ino,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "").unwrap();
        symlink("file", at("link")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        assert!(is_file(&at("link")) && !is_folder(&at("link")));
        assert!(is_folder(folder.path()) && !is_file(folder.path()));
        assert!(!exists(&at("dangling")) && exists(&at("file")));
        assert!(same(&at("link"), &at("file")) && !same(&at("link"), folder.path()));
        assert_eq!(kind(&lstat(&at("dangling")).unwrap()), FileType::Symlink);
    }
}
