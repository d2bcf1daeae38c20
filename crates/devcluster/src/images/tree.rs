//! Unpacked images: which folders of one a container sees, and which of them it may write to.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::layers::{self, LayerError};
use super::{Image, Images};
use crate::sandbox::Mount;

/// Folders below which images and containers both have something: taken apart, not taken whole.
const SHARED: [&str; 3] = ["etc", "var", "run"];

/// What is never taken from an image: links into the machine's `/usr`, and what is made for each container.
const TAKEN: [&str; 18] = [
    "bin",
    "sbin",
    "lib",
    "lib32",
    "lib64",
    "libx32",
    "proc",
    "dev",
    "sys",
    "tmp",
    "var/tmp",
    "run/devcluster",
    "etc/passwd",
    "etc/group",
    "etc/hosts",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/nsswitch.conf",
];

/// Only one is unpacked at a time, so that two containers of one image do not do it twice.
static UNPACKING: Mutex<()> = Mutex::new(());

/// An unpacked image. Paths are below its folder, as they are below a container's `/`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) folder: PathBuf,
    /// What a container gets to see, read-only.
    pub(crate) tops: Vec<PathBuf>,
    /// Folders that its group may write to: each container gets a copy of its own.
    pub(crate) writable: Vec<PathBuf>,
}

/// Mounts of an image's files for one container.
#[derive(Debug, Clone, Default)]
pub(crate) struct Writable {
    pub(crate) read_only: Vec<Mount>,
    /// Its own copies of what it may write to.
    pub(crate) copies: Vec<Mount>,
}

impl Images {
    /// Mounts of an image's files; what may be written to is copied below `copies`, which is emptied
    /// first. Blocking.
    pub(crate) fn writable(&self, image: &Image, copies: &Path) -> Result<Writable, LayerError> {
        let tree = self.tree(image)?;
        crate::trees::remove(copies).map_err(LayerError::Write)?;
        let mut made = Writable::default();
        let mount = |source: PathBuf, path: &Path, read_only| Mount {
            source,
            target: Path::new("/").join(path),
            read_only,
        };
        for top in &tree.tops {
            made.read_only.push(mount(tree.folder.join(top), top, true));
        }
        for (at, folder) in tree.writable.iter().enumerate() {
            let copied = copies.join(at.to_string());
            copy(&tree.folder.join(folder), &copied).map_err(LayerError::Write)?;
            made.copies.push(mount(copied, folder, false));
        }
        Ok(made)
    }

    /// Whether an image's files are here.
    pub(crate) fn is_unpacked(&self, image: &Image) -> bool {
        super::place(&image.repository).is_none() || self.folder.join(image.digest.hex()).exists()
    }

    /// An image's files, unpacked if they are not yet. Blocking.
    pub(crate) fn tree(&self, image: &Image) -> Result<Tree, LayerError> {
        let folder = self.folder.join(image.digest.hex());
        if !folder.exists() {
            let _one = UNPACKING.lock().unwrap_or_else(PoisonError::into_inner);
            if !folder.exists() {
                let work = tempfile::Builder::new()
                    .prefix("unpacking-")
                    .tempdir_in(&self.folder)
                    .map_err(LayerError::Write)?;
                let root = work.path().join("root");
                layers::unpack(&self.blobs, &image.layers, &root)?;
                // The sandbox's user is another one.
                fs_err::set_permissions(&root, std::fs::Permissions::from_mode(0o755))
                    .and_then(|()| fs_err::rename(&root, &folder))
                    .map_err(LayerError::Write)?;
            }
        }
        look(folder).map_err(LayerError::Write)
    }
}

fn look(folder: PathBuf) -> std::io::Result<Tree> {
    let mut tree = Tree::default();
    for name in names(&folder)? {
        if name == Path::new("usr") {
            beside_machine(&folder, &name, &mut tree.tops)?;
        } else if SHARED.iter().any(|shared| name == Path::new(shared)) {
            for inner in names(&folder.join(&name))? {
                tree.tops.push(name.join(inner));
            }
        } else {
            tree.tops.push(name);
        }
    }
    tree.tops
        .retain(|top| !TAKEN.iter().any(|taken| top == Path::new(taken)));
    for top in &tree.tops {
        find_writable(&folder, top, &mut tree.writable)?;
    }
    tree.folder = folder;
    Ok(tree)
}

/// What an image has in `/usr` where the machine has nothing: the machine's own stays beside it.
fn beside_machine(root: &Path, at: &Path, tops: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for name in names(&root.join(at))? {
        let path = at.join(name);
        let here = Path::new("/").join(&path);
        if !here.exists() {
            tops.push(path);
        } else if here.is_dir() && root.join(&path).is_dir() {
            beside_machine(root, &path, tops)?;
        }
    }
    Ok(())
}

fn names(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut names = fs_err::read_dir(folder)?
        .map(|entry| Ok(PathBuf::from(entry?.file_name())))
        .collect::<std::io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn find_writable(root: &Path, at: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let path = root.join(at);
    let metadata = path.symlink_metadata()?;
    if !metadata.is_dir() {
        return Ok(());
    }
    if metadata.permissions().mode() & 0o022 != 0 {
        found.push(at.to_owned());
        return Ok(());
    }
    for name in names(&path)? {
        find_writable(root, &at.join(name), found)?;
    }
    Ok(())
}

/// Copies a folder with modes and times; links stay links.
pub(crate) fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs_err::create_dir_all(to)?;
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            copy(&path, &target)?;
        } else if metadata.is_symlink() {
            fs_err::os::unix::fs::symlink(fs_err::read_link(&path)?, &target)?;
        } else if metadata.is_file() {
            fs_err::copy(&path, &target)?;
            // Python, for one, believes compiled files by the time of their sources.
            if let Ok(modified) = metadata.modified()
                && metadata.permissions().mode() & 0o200 != 0
            {
                fs_err::OpenOptions::new()
                    .append(true)
                    .open(&target)?
                    .file()
                    .set_modified(modified)?;
            }
        }
    }
    let mode = fs_err::metadata(from)?.permissions();
    fs_err::set_permissions(to, mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_container_sees_of_an_image_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        for path in [
            "opt/app-root/src",
            "usr/bin",
            "usr/lib/only-in-the-image/x",
            "etc/app",
            "var/lib/data",
            "var/tmp",
        ] {
            std::fs::create_dir_all(root.join(path)).unwrap();
        }
        std::fs::write(root.join("etc/passwd"), "").unwrap();
        let open = |path: &str| {
            std::fs::set_permissions(root.join(path), std::fs::Permissions::from_mode(0o775))
                .unwrap();
        };
        for closed in [
            "opt",
            "opt/app-root",
            "etc/app",
            "var/lib",
            "usr/lib/only-in-the-image",
            "usr/lib/only-in-the-image/x",
        ] {
            std::fs::set_permissions(root.join(closed), std::fs::Permissions::from_mode(0o755))
                .unwrap();
        }
        open("opt/app-root/src");
        open("var/lib/data");
        let tree = look(root).unwrap();
        let paths = |paths: &[PathBuf]| {
            paths
                .iter()
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            paths(&tree.tops),
            "etc/app opt usr/lib/only-in-the-image var/lib"
        );
        assert_eq!(paths(&tree.writable), "opt/app-root/src var/lib/data");
    }
}
