//! What the machine lends to the built-in images.

use std::path::{Path, PathBuf};

use crate::images::Rootfs;

/// Files of `/etc` that programs need and that say nothing about the machine's users.
const ETC: [&str; 6] = [
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ssl",
    "/etc/localtime",
    "/etc/ca-certificates",
    // Web servers tell by it what a file is.
    "/etc/mime.types",
];

/// The folders found at start.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    folders: Vec<(PathBuf, Place)>,
    etc: Vec<PathBuf>,
}

/// How a folder is on the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A folder of its own.
    Folder,
    /// A symbolic link, as `/bin` is where everything lives in `/usr`.
    Link(PathBuf),
}

impl Host {
    /// Looks at the machine.
    pub(crate) fn look() -> Self {
        let mut tops: Vec<&str> = [Rootfs::Host, Rootfs::Libraries]
            .iter()
            .flat_map(|rootfs| rootfs.tops())
            .copied()
            .collect();
        tops.sort_unstable();
        tops.dedup();
        let folders = tops
            .into_iter()
            .filter_map(|top| {
                let path = PathBuf::from(top);
                let kind = path.symlink_metadata().ok()?.file_type();
                if kind.is_symlink() {
                    let target = fs_err::read_link(&path).ok()?;
                    Some((path, Place::Link(target)))
                } else {
                    kind.is_dir().then_some((path, Place::Folder))
                }
            })
            .collect();
        let etc = ETC
            .into_iter()
            .map(PathBuf::from)
            .filter(|path| path.exists())
            .collect();
        Self { folders, etc }
    }

    /// What one kind of image takes of it.
    pub(crate) fn folders(&self, rootfs: Rootfs) -> impl Iterator<Item = (&Path, &Place)> {
        self.folders
            .iter()
            .filter(move |(path, _)| rootfs.tops().iter().any(|top| Path::new(top) == path))
            .map(|(path, place)| (path.as_path(), place))
    }

    /// What of `/etc` there is.
    pub(crate) fn etc(&self) -> impl Iterator<Item = &Path> {
        self.etc.iter().map(PathBuf::as_path)
    }

    #[cfg(test)]
    pub(crate) fn of(folders: &[(&str, Option<&str>)], etc: &[&str]) -> Self {
        let place = |link: &Option<&str>| link.map_or(Place::Folder, |to| Place::Link(to.into()));
        Self {
            folders: folders
                .iter()
                .map(|(path, link)| (path.into(), place(link)))
                .collect(),
            etc: etc.iter().map(PathBuf::from).collect(),
        }
    }
}
