//! The files of an image while a Dockerfile is built: those of its base, and over them the folders that change.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::super::s2i::open_to_group;
use crate::images::{self, Image, Images};
use crate::sandbox::Mount;

/// Where nothing can be put: the machine's own programs, and what is made for each container.
const NEVER: [&str; 13] = [
    "usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "proc", "dev", "sys", "tmp", "run",
    "var/tmp",
];

/// Folders that change, by their places without the leading slash.
#[derive(Debug)]
pub(super) struct Files {
    /// Files of the base image that nothing changes.
    read_only: Vec<Mount>,
    /// The base image's files.
    base: PathBuf,
    work: PathBuf,
    folders: BTreeMap<PathBuf, PathBuf>,
}

impl Files {
    /// Those of a base image; what its group may write to is copied. Blocking.
    pub(super) fn of(images: &Images, base: &Image, work: PathBuf) -> Result<Self, String> {
        let says = |error: &dyn std::error::Error| error.to_string();
        let tree = images.tree(base).map_err(|error| says(&error))?;
        let made = images
            .writable(base, &work.join("base"))
            .map_err(|error| says(&error))?;
        let folders = made.copies.into_iter().map(|mount| {
            let at = mount.target.strip_prefix("/").unwrap_or(&mount.target);
            (at.to_owned(), mount.source)
        });
        Ok(Self {
            read_only: made.read_only,
            base: tree.folder,
            folders: folders.collect(),
            work,
        })
    }

    /// Mounts of everything, for a command.
    pub(super) fn mounts(&self) -> Vec<Mount> {
        let changing = self.folders.iter().map(|(at, source)| Mount {
            source: source.clone(),
            target: Path::new("/").join(at),
            read_only: false,
        });
        self.read_only.iter().cloned().chain(changing).collect()
    }

    /// What the image's last layer is made of, outer folders first.
    pub(super) fn folders(&self) -> Vec<(PathBuf, String)> {
        self.folders
            .iter()
            .map(|(at, source)| (source.clone(), at.display().to_string()))
            .collect()
    }

    /// Where on this machine a folder of the image is that may be changed; made if it is missing.
    pub(super) fn make(&mut self, folder: &Path) -> Result<PathBuf, String> {
        let at = folder.strip_prefix("/").unwrap_or(folder);
        let plain = at
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !plain || at.as_os_str().is_empty() {
            return Err(format!("nothing can be put into {}", folder.display()));
        }
        let inner = self
            .folders
            .iter()
            .filter(|(place, _)| at.starts_with(place))
            .max_by_key(|(place, _)| place.components().count());
        if let Some((place, source)) = inner {
            let rest = at.strip_prefix(place).unwrap_or(Path::new(""));
            let target = source.join(rest);
            // A link of the image must lead to nothing of this machine.
            if !target.exists() {
                fs_err::create_dir_all(&target).map_err(|error| error.to_string())?;
            }
            let real = target.canonicalize().map_err(|error| error.to_string())?;
            let real_source = source.canonicalize().map_err(|error| error.to_string())?;
            if !real.is_dir() || !real.starts_with(real_source) {
                return Err(format!("{} is not a folder of the image", folder.display()));
            }
            open_to_group(&target).map_err(|error| error.to_string())?;
            return Ok(target);
        }
        if NEVER.iter().any(|never| at.starts_with(never)) {
            return Err(format!(
                "nothing can be put into {}: this cluster lends images the machine's own",
                folder.display()
            ));
        }
        let made = self.work.join(format!("made-{}", self.folders.len()));
        fs_err::create_dir_all(&made).map_err(|error| error.to_string())?;
        let below = self.base.join(at);
        if below.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            images::copy(&below, &made).map_err(|error| error.to_string())?;
        }
        open_to_group(&made).map_err(|error| error.to_string())?;
        self.folders.insert(at.to_owned(), made.clone());
        Ok(made)
    }

    /// Copies a file, or what is in a folder, to a place. `into` says that the place is a folder.
    pub(super) fn copy(&mut self, from: &Path, to: &Path, into: bool) -> Result<(), String> {
        let says = |error: std::io::Error| error.to_string();
        if from.is_dir() {
            let target = self.make(to)?;
            images::copy(from, &target).map_err(says)?;
            return open_to_group(&target).map_err(says);
        }
        let is_folder = into || self.is_folder(to);
        let (folder, name) = match (is_folder, to.parent(), to.file_name()) {
            (true, ..) => (to, from.file_name()),
            (false, Some(parent), name) => (parent, name),
            (false, None, _) => (to, None),
        };
        let name = name.ok_or_else(|| format!("{} names no file", to.display()))?;
        let target = self.make(folder)?;
        let file = target.join(name);
        // Not through a link that the image has in this place.
        if file.is_symlink() {
            fs_err::remove_file(&file).map_err(says)?;
        }
        fs_err::copy(from, file).map_err(says)?;
        open_to_group(&target).map_err(says)
    }

    fn is_folder(&self, place: &Path) -> bool {
        let at = place.strip_prefix("/").unwrap_or(place);
        let changed = self.folders.iter().any(|(folder, source)| {
            at.strip_prefix(folder)
                .is_ok_and(|rest| source.join(rest).is_dir())
        });
        changed || self.base.join(at).is_dir()
    }
}

/// A file or folder of a context, which must not lead out of it.
pub(super) fn inside(context: &Path, path: &str) -> Result<PathBuf, String> {
    let missing = || format!("{path:?} is not in the source");
    let relative = Path::new(path.trim_start_matches('/'));
    let real = context
        .join(relative)
        .canonicalize()
        .map_err(|_| missing())?;
    let context = context.canonicalize().map_err(|_| missing())?;
    if !real.starts_with(&context) {
        return Err(missing());
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::open(folder.path()).unwrap();
        let base = images.find("openshifter.test/s2i-python:1").unwrap();
        let work = folder.path().join("work");
        std::fs::create_dir(&work).unwrap();
        let files = Files::of(&images, &base, work).unwrap();
        (folder, files)
    }

    #[test]
    fn files_go_to_folders_of_the_base_and_to_new_ones() {
        let (folder, mut files) = files();
        let context = folder.path().join("context");
        std::fs::create_dir_all(context.join("static")).unwrap();
        std::fs::write(context.join("app.py"), "print()").unwrap();
        std::fs::write(context.join("static/style.css"), "").unwrap();
        let place = |text: &str| PathBuf::from(text);
        files
            .copy(&context.join("app.py"), &place("/opt/app-root/src"), false)
            .unwrap();
        files
            .copy(&context.join("app.py"), &place("/srv/web/main.py"), false)
            .unwrap();
        files
            .copy(&context.join("static"), &place("/srv/web/static"), false)
            .unwrap();
        let at = |path: &str| {
            let target = Path::new("/").join(path);
            let mounts = files.mounts();
            let mount = mounts
                .iter()
                .filter(|mount| target.starts_with(&mount.target))
                .max_by_key(|mount| mount.target.components().count())
                .unwrap();
            mount
                .source
                .join(target.strip_prefix(&mount.target).unwrap())
        };
        assert!(at("opt/app-root/src/app.py").is_file());
        assert!(at("srv/web/main.py").is_file());
        assert!(at("srv/web/static/style.css").is_file());
        let places: Vec<String> = files.folders().into_iter().map(|(_, at)| at).collect();
        assert!(places.contains(&"srv/web".to_owned()), "{places:?}");
    }

    #[test]
    fn nothing_goes_where_the_machine_is() {
        let (_folder, mut files) = files();
        for bad in ["/", "/usr/bin", "/tmp/x", "/srv/../etc", "/proc"] {
            assert!(files.make(Path::new(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_source_does_not_lead_out_of_its_context() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", folder.path().join("door")).unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert!(inside(folder.path(), "file").is_ok());
        assert!(inside(folder.path(), "/file").is_ok());
        assert!(inside(folder.path(), ".").is_ok());
        for bad in ["door", "door/passwd", "../x", "missing"] {
            assert!(inside(folder.path(), bad).is_err(), "{bad}");
        }
    }
}
