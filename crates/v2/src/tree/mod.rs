//! A source tree in memory: what is there, with which mode, and the text of what could be code or configuration.

mod git;
mod load;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use load::Limits;

pub(crate) use git::{Cleanliness, is_clean};

/// What a path of the tree is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// A file.
    File(File),
    /// A symbolic link.
    Link(Link),
    /// A folder that holds nothing.
    EmptyFolder,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// Whether it may be executed. What git recorded counts where the file is tracked.
    pub(crate) executable: bool,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Its content, unless it is too large or no text.
    pub(crate) content: Option<Vec<u8>>,
    /// Why it could not be read.
    pub(crate) unreadable: Option<String>,
}

/// A symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// Where it points, as it is written.
    pub(crate) target: String,
    /// Where that is, seen from the tree.
    pub(crate) leads: Leads,
}

/// Where a symbolic link leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leads {
    /// To a place in the tree.
    Inside,
    /// Into the old platform's folders (`/var/lib/openshift/…`), which are nowhere now.
    OldPlatform,
    /// Out of the tree.
    Outside,
}

/// A source tree.
#[derive(Debug, Clone)]
pub struct Tree {
    root: PathBuf,
    nodes: BTreeMap<String, Node>,
    /// Paths whose names are not UTF-8.
    odd_names: Vec<String>,
}

impl Tree {
    /// Reads the tree below `root`.
    ///
    /// `.git` and what tools make again (`__pycache__`, virtual environments, `node_modules`) is left out. Symbolic links are noted, never
    /// followed. A file that cannot be read is noted, too.
    ///
    /// # Errors
    /// When the folder cannot be listed or holds more files than the limits allow.
    pub fn load(root: &Path, limits: &Limits) -> Result<Self, crate::V2Error> {
        load::load(root, limits)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder's place in its git repository, with a `/` at the end; empty at the top, or where there is no repository.
    pub(crate) fn prefix(&self) -> String {
        git::prefix(&self.root)
    }

    /// How many files and links there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(crate) fn odd_names(&self) -> &[String] {
        &self.odd_names
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// The files, sorted by path.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &File)> {
        self.nodes().filter_map(|(path, node)| match node {
            Node::File(file) => Some((path, file)),
            _ => None,
        })
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = (&str, &Link)> {
        self.nodes().filter_map(|(path, node)| match node {
            Node::Link(link) => Some((path, link)),
            _ => None,
        })
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        match self.nodes.get(path) {
            Some(Node::File(file)) => Some(file),
            _ => None,
        }
    }

    pub(crate) fn node(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    pub(crate) fn is_file(&self, path: &str) -> bool {
        self.file(path).is_some()
    }

    /// Whether anything lies below that folder.
    pub(crate) fn is_folder(&self, path: &str) -> bool {
        self.below(path).next().is_some() || matches!(self.nodes.get(path), Some(Node::EmptyFolder))
    }

    /// The content of a file that was read.
    pub(crate) fn content(&self, path: &str) -> Option<&[u8]> {
        self.file(path)?.content.as_deref()
    }

    /// The content as text, with what is not UTF-8 replaced.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        self.content(path)
            .map(|content| String::from_utf8_lossy(content).into_owned())
    }

    /// Everything below a folder; paths are whole.
    pub(crate) fn below(&self, folder: &str) -> impl Iterator<Item = (&str, &Node)> {
        let prefix = format!("{folder}/");
        self.nodes
            .range(prefix.clone()..)
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .map(|(path, node)| (path.as_str(), node))
    }

    /// The files right in a folder, by name.
    pub(crate) fn files_in(&self, folder: &str) -> Vec<(&str, &File)> {
        let skip = if folder.is_empty() {
            0
        } else {
            folder.len() + 1
        };
        let all: Box<dyn Iterator<Item = (&str, &Node)>> = if folder.is_empty() {
            Box::new(self.nodes())
        } else {
            Box::new(self.below(folder))
        };
        all.filter_map(|(path, node)| match node {
            Node::File(file) => path
                .get(skip..)
                .filter(|name| !name.contains('/'))
                .map(|name| (name, file)),
            _ => None,
        })
        .collect()
    }
}
