//! Reading a tree from disk, with bounds.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use super::{File, Leads, Link, Node, Tree, git};
use crate::V2Error;

/// How much of a tree is read.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Files and links at most.
    pub files: usize,
    /// Bytes of one file whose content is looked at.
    pub file_bytes: u64,
    /// Bytes of all contents together.
    pub total_bytes: u64,
    /// Nested folders at most.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            files: 100_000,
            file_bytes: 1 << 20,
            total_bytes: 48 << 20,
            depth: 64,
        }
    }
}

/// Folders that tools make again, or that belong to version control.
const LEFT_OUT: &[&str] = &[
    ".git",
    ".hg",
    ".svn",
    "__pycache__",
    "node_modules",
    ".tox",
    ".venv",
];

/// Names of files that are never code, whatever is in them.
const NO_TEXT: &[&str] = &[
    "png", "jpg", "jpeg", "gif", "ico", "svg", "woff", "woff2", "ttf", "eot", "otf", "pdf", "zip",
    "gz", "tgz", "bz2", "xz", "whl", "egg", "jar", "war", "pyc", "pyo", "so", "mo", "po", "db",
    "sqlite3", "mp3", "mp4", "css", "map", "swf", "psd",
];

struct Walk<'a> {
    root: PathBuf,
    limits: &'a Limits,
    nodes: BTreeMap<String, Node>,
    odd_names: Vec<String>,
    /// Files that are still to be read: their place on disk, their path, their size and whether they may be executed.
    files: Vec<Found>,
}

/// A file that was listed.
struct Found {
    on_disk: PathBuf,
    path: String,
    size: u64,
    executable: bool,
}

/// How many files are read before the bytes of all are counted: enough for all cores, and no more than fits into memory.
const WINDOW: usize = 512;

pub(super) fn load(root: &Path, limits: &Limits) -> Result<Tree, V2Error> {
    let folder_error = |source| V2Error::Folder {
        path: root.to_owned(),
        source,
    };
    let real = fs_err::canonicalize(root).map_err(folder_error)?;
    let mut walk = Walk {
        root: real.clone(),
        limits,
        nodes: BTreeMap::new(),
        odd_names: Vec::new(),
        files: Vec::new(),
    };
    // The first folder must be readable; others below it are noted.
    fs_err::read_dir(&real).map_err(folder_error)?;
    walk.folder(&real, "", 0)?;
    walk.read();
    let mut tree = Tree {
        root: real,
        nodes: walk.nodes,
        odd_names: walk.odd_names,
    };
    if let Some(modes) = git::modes(&tree.root) {
        for (path, executable) in modes {
            if let Some(Node::File(file)) = tree.nodes.get_mut(&path) {
                file.executable = executable;
            }
        }
    }
    Ok(tree)
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), V2Error> {
        let listed =
            fs_err::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
        let mut entries = match listed {
            Ok(entries) => entries,
            Err(error) => {
                self.unreadable(prefix, &error);
                return Ok(());
            }
        };
        if depth > self.limits.depth {
            self.unreadable(
                prefix,
                &std::io::Error::other("its folders are nested too deep"),
            );
            return Ok(());
        }
        entries.sort_by_key(fs_err::DirEntry::file_name);
        if entries.is_empty() && !prefix.is_empty() {
            self.nodes.insert(prefix.to_owned(), Node::EmptyFolder);
        }
        for entry in entries {
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                self.odd_names
                    .push(entry.path().to_string_lossy().into_owned());
                continue;
            };
            let path = if prefix.is_empty() {
                name.to_owned()
            } else {
                format!("{prefix}/{name}")
            };
            let kind = match entry.file_type() {
                Ok(kind) => kind,
                Err(error) => {
                    self.unreadable(&path, &error);
                    continue;
                }
            };
            if kind.is_dir() {
                if LEFT_OUT.contains(&name) || is_virtual_environment(&entry.path()) {
                    continue;
                }
                self.folder(&entry.path(), &path, depth + 1)?;
            } else if kind.is_symlink() {
                self.link(&entry.path(), path);
            } else if kind.is_file() {
                // A worktree's `.git` is a file.
                if path != ".git" {
                    self.file(&entry, path);
                }
            }
            // Sockets and devices are no source.
            if self.nodes.len() + self.files.len() > self.limits.files {
                return Err(V2Error::TooLarge {
                    path: self.root.clone(),
                    limit: self.limits.files,
                });
            }
        }
        Ok(())
    }

    fn unreadable(&mut self, path: &str, error: &std::io::Error) {
        self.nodes.insert(
            path.to_owned(),
            Node::File(File {
                executable: false,
                size: 0,
                content: None,
                unreadable: Some(error.to_string()),
            }),
        );
    }

    fn file(&mut self, entry: &fs_err::DirEntry, path: String) {
        match entry.metadata() {
            Ok(meta) => self.files.push(Found {
                on_disk: entry.path(),
                path,
                size: meta.len(),
                executable: meta.permissions().mode() & 0o111 != 0,
            }),
            Err(error) => self.unreadable(&path, &error),
        }
    }

    /// Reads what was listed, on all cores. Which files fall out by the limit of all bytes depends on their order alone.
    fn read(&mut self) {
        let mut total = 0;
        let files = std::mem::take(&mut self.files);
        for window in files.chunks(WINDOW) {
            let mut planned = total;
            let wanted: Vec<(&Found, bool)> = window
                .iter()
                .map(|file| {
                    let wanted = file.size <= self.limits.file_bytes
                        && planned + file.size <= self.limits.total_bytes
                        && !is_no_text(&file.path);
                    if wanted {
                        planned += file.size;
                    }
                    (file, wanted)
                })
                .collect();
            let read = crate::analysis::in_parallel(&wanted, |(file, wanted)| {
                content(&file.on_disk, *wanted)
            });
            for (file, read) in window.iter().zip(read) {
                match read {
                    Ok(content) => {
                        total += content.as_ref().map_or(0, |content| content.len() as u64);
                        self.nodes.insert(
                            file.path.clone(),
                            Node::File(File {
                                executable: file.executable,
                                size: file.size,
                                content,
                                unreadable: None,
                            }),
                        );
                    }
                    Err(error) => self.unreadable(&file.path, &error),
                }
            }
        }
    }

    fn link(&mut self, on_disk: &Path, path: String) {
        let target = match fs_err::read_link(on_disk) {
            Ok(target) => target,
            Err(error) => return self.unreadable(&path, &error),
        };
        let leads = leads(&self.root, on_disk, &target);
        self.nodes.insert(
            path,
            Node::Link(Link {
                target: target.to_string_lossy().into_owned(),
                leads,
            }),
        );
    }
}

/// Whether a name says that a file is never code, whatever is in it.
fn is_no_text(path: &str) -> bool {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    NO_TEXT
        .iter()
        .any(|known| known.eq_ignore_ascii_case(extension))
}

/// The text of a file, if it is one; a file that is not wanted only has to be readable.
fn content(on_disk: &Path, wanted: bool) -> std::io::Result<Option<Vec<u8>>> {
    if wanted {
        Ok(Some(std::fs::read(on_disk)?).filter(|content| is_text(content)))
    } else {
        std::fs::File::open(on_disk).map(|_| None)
    }
}

/// Where a link leads, by its words and, where it exists, by what the system says.
fn leads(root: &Path, link: &Path, target: &Path) -> Leads {
    let words = target.to_string_lossy();
    if words.starts_with("/var/lib/openshift") || words.starts_with("/opt/rh/") {
        return Leads::OldPlatform;
    }
    if target.is_absolute() {
        return Leads::Outside;
    }
    let mut place = link.parent().unwrap_or(root).to_owned();
    for part in target.components() {
        match part {
            Component::ParentDir => {
                place.pop();
            }
            Component::Normal(name) => place.push(name),
            _ => {}
        }
        if !place.starts_with(root) {
            return Leads::Outside;
        }
    }
    // A chain of links may lead out although each word stays within.
    match std::fs::canonicalize(link) {
        Ok(real) if !real.starts_with(root) => Leads::Outside,
        _ => Leads::Inside,
    }
}

fn is_virtual_environment(folder: &Path) -> bool {
    folder.join("pyvenv.cfg").is_file() || folder.join("bin").join("activate_this.py").is_file()
}

fn is_text(content: &[u8]) -> bool {
    !content.iter().take(8 << 10).any(|byte| *byte == 0)
}
