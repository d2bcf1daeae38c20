//! Carrying a plan out: as a new folder that appears whole or not at all, or in place with a way back.

use std::collections::{BTreeSet, HashSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::draft::{Action, ActionKind};
use super::plan::Plan;
use crate::V2Error;
use crate::tree::{Cleanliness, Leads, Node, Tree, is_clean};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The folder of the result.
    pub folder: PathBuf,
    /// How many files the plan changed.
    pub changed: usize,
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> V2Error + '_ {
    move |source| V2Error::Write {
        path: path.to_owned(),
        source,
    }
}

/// Writes the whole result to a folder that does not exist yet. It appears under its name only when it is complete.
///
/// `.git` and what tools make again is not copied.
///
/// # Errors
/// When the folder exists, lies within the tree, or cannot be written; nothing of it is left then.
pub fn write_out(tree: &Tree, plan: &Plan, out: &Path) -> Result<Written, V2Error> {
    let name = out.file_name().ok_or_else(|| V2Error::OutExists {
        path: out.to_owned(),
    })?;
    if fs_err::symlink_metadata(out).is_ok() {
        return Err(V2Error::OutExists {
            path: out.to_owned(),
        });
    }
    let parent = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let parent = fs_err::canonicalize(parent).map_err(failed(out))?;
    if parent.starts_with(tree.root()) {
        return Err(V2Error::OutInside {
            path: out.to_owned(),
        });
    }
    // A sibling, so that the last step is one rename; it goes away by itself when something fails.
    let work = tempfile::Builder::new()
        .prefix(".openshifter-")
        .tempdir_in(&parent)
        .map_err(failed(out))?;
    let root = work.path().join("tree");
    fs_err::create_dir(&root).map_err(failed(out))?;
    fill(tree, plan, &root, out)?;
    let target = parent.join(name);
    if fs_err::symlink_metadata(&target).is_ok() {
        return Err(V2Error::OutExists { path: target });
    }
    fs_err::rename(&root, &target).map_err(failed(out))?;
    Ok(Written {
        folder: target,
        changed: plan.actions.len(),
    })
}

/// Something of the result: what it is, its path, and its content where that is known.
enum Piece<'a> {
    Folder(&'a str),
    Link(&'a str, &'a str),
    File(&'a str, &'a [u8], bool),
    /// A file that was not looked into.
    Copy(&'a str, bool),
}

impl Piece<'_> {
    fn path(&self) -> &str {
        match self {
            Self::Folder(path)
            | Self::Link(path, _)
            | Self::File(path, ..)
            | Self::Copy(path, _) => path,
        }
    }

    fn write(&self, tree: &Tree, target: &Path) -> std::io::Result<()> {
        match self {
            Self::Folder(_) => std::fs::create_dir_all(target),
            Self::Link(_, to) => std::os::unix::fs::symlink(to, target),
            // What was looked at is what is written, also when the file changes meanwhile.
            Self::File(_, content, executable) => write_file(target, content, *executable),
            Self::Copy(path, executable) => {
                std::fs::copy(tree.root().join(path), target)?;
                set_mode(target, *executable)
            }
        }
    }
}

/// Writes the whole result below a folder: what the plan leaves as it is, and what it makes.
fn fill(tree: &Tree, plan: &Plan, root: &Path, out: &Path) -> Result<(), V2Error> {
    let replaced: HashSet<&str> = plan
        .actions
        .iter()
        .flat_map(|action| [Some(action.path.as_str()), action.from.as_deref()])
        .flatten()
        .collect();
    let kept = tree
        .nodes()
        .filter(|(path, _)| !replaced.contains(path))
        .filter_map(|(path, node)| match node {
            Node::EmptyFolder => Some(Piece::Folder(path)),
            Node::Link(link) => {
                (link.leads == Leads::Inside).then_some(Piece::Link(path, &link.target))
            }
            Node::File(file) => Some(match &file.content {
                Some(content) => Piece::File(path, content, file.executable),
                None => Piece::Copy(path, file.executable),
            }),
        });
    let made = plan
        .actions
        .iter()
        .filter(|action| action.kind != ActionKind::Delete)
        .filter_map(|action| {
            let content = action.after.as_deref()?;
            Some(Piece::File(&action.path, content, action.executable))
        });
    let pieces: Vec<Piece<'_>> = kept.chain(made).collect();
    let folders: BTreeSet<&Path> = pieces
        .iter()
        .filter_map(|piece| Path::new(piece.path()).parent())
        .collect();
    for folder in folders {
        fs_err::create_dir_all(root.join(folder)).map_err(failed(out))?;
    }
    let written = crate::analysis::in_parallel(&pieces, |piece| {
        let target = root.join(piece.path());
        piece.write(tree, &target).map_err(failed(&target))
    });
    written.into_iter().collect()
}

fn write_file(path: &Path, content: &[u8], executable: bool) -> std::io::Result<()> {
    std::fs::write(path, content)?;
    if executable {
        set_mode(path, true)
    } else {
        Ok(())
    }
}

fn set_mode(path: &Path, executable: bool) -> std::io::Result<()> {
    let mode = if executable { 0o755 } else { 0o644 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// Refuses a tree whose changes could not be taken back with git, unless forced.
///
/// # Errors
/// When the tree is no git tree, or something in it is not committed.
pub fn check_in_place(tree: &Tree, force: bool) -> Result<(), V2Error> {
    if force {
        return Ok(());
    }
    let (state, advice) = match is_clean(tree.root())? {
        Cleanliness::Clean => return Ok(()),
        Cleanliness::Dirty(example) => (
            format!("not clean ({example} is not committed)"),
            "commit or stash it first".to_owned(),
        ),
        Cleanliness::NoGit => (
            "no git tree".to_owned(),
            "make it one and commit".to_owned(),
        ),
    };
    Err(V2Error::Unclean {
        path: tree.root().to_owned(),
        state,
        advice,
    })
}

/// Changes the tree itself. When a change fails, those before it are taken back.
///
/// # Errors
/// When a file cannot be written, or is not what was planned for any more.
pub fn apply_in_place(tree: &Tree, plan: &Plan) -> Result<Written, V2Error> {
    let root = tree.root();
    // New contents are written beside the tree's files first: most failures happen before anything has changed.
    let stage = tempfile::Builder::new()
        .prefix(".openshifter-")
        .tempdir_in(root)
        .map_err(failed(root))?;
    let backup = stage.path().join("before");
    fs_err::create_dir(&backup).map_err(failed(root))?;
    for (at, action) in plan.actions.iter().enumerate() {
        check_unchanged(root, action)?;
        if let Some(content) = action
            .after
            .as_deref()
            .filter(|_| action.kind != ActionKind::Delete)
        {
            let staged = stage.path().join(at.to_string());
            write_file(&staged, content, action.executable).map_err(failed(&staged))?;
        }
    }
    for (at, action) in plan.actions.iter().enumerate() {
        if let Err(source) = apply_one(root, stage.path(), &backup, at, action) {
            let left = take_back(root, &backup, plan.actions.get(..=at).unwrap_or_default());
            let path = root.join(&action.path);
            if left.is_empty() {
                return Err(V2Error::Write { path, source });
            }
            let backup = stage.keep().join("before");
            return Err(V2Error::HalfWritten {
                path,
                left,
                backup,
                source,
            });
        }
    }
    Ok(Written {
        folder: root.to_owned(),
        changed: plan.actions.len(),
    })
}

/// A file that was changed since it was analysed is not written over.
fn check_unchanged(root: &Path, action: &Action) -> Result<(), V2Error> {
    let path = root.join(action.from.as_deref().unwrap_or(&action.path));
    let same = match (&action.before, action.kind) {
        (Some(before), _) => std::fs::read(&path).is_ok_and(|now| now == *before),
        (None, ActionKind::Create) => fs_err::symlink_metadata(&path).is_err(),
        (None, _) => true,
    };
    if same {
        return Ok(());
    }
    Err(V2Error::Write {
        path,
        source: std::io::Error::other("it was changed while it was being analysed; run it again"),
    })
}

fn apply_one(
    root: &Path,
    stage: &Path,
    backup: &Path,
    at: usize,
    action: &Action,
) -> std::io::Result<()> {
    let target = root.join(&action.path);
    let old = root.join(action.from.as_deref().unwrap_or(&action.path));
    if action.kind != ActionKind::Create {
        std::fs::rename(&old, backup.join(at.to_string()))?;
    }
    if action.kind != ActionKind::Delete {
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::rename(stage.join(at.to_string()), &target)?;
    }
    Ok(())
}

/// Puts former files back, the last first; gives those that could not be.
fn take_back(root: &Path, backup: &Path, actions: &[Action]) -> Vec<String> {
    let mut left = Vec::new();
    for (at, action) in actions.iter().enumerate().rev() {
        let target = root.join(&action.path);
        let old = root.join(action.from.as_deref().unwrap_or(&action.path));
        let saved = backup.join(at.to_string());
        let has_saved = std::fs::symlink_metadata(&saved).is_ok();
        if action.kind == ActionKind::Create || (action.from.is_some() && has_saved) {
            // It may not have been written yet.
            let _ = std::fs::remove_file(&target);
        }
        if has_saved && std::fs::rename(&saved, &old).is_err() {
            left.push(action.from.clone().unwrap_or_else(|| action.path.clone()));
        }
    }
    left
}
