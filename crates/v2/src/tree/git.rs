//! What git knows of a tree: recorded modes, and whether a change could be taken back.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::V2Error;

/// Whether a change of the tree could be taken back with git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cleanliness {
    /// All is committed.
    Clean,
    /// Something is not committed; an example of it.
    Dirty(String),
    /// It is no git tree, or there is no git.
    NoGit,
}

/// Runs git without anything that the tree's own configuration could start.
fn git(root: &Path, args: &[&str]) -> std::io::Result<Output> {
    Command::new("git")
        .arg("-C")
        .arg(root)
        .args([
            "-c",
            "core.fsmonitor=false",
            "-c",
            "core.hooksPath=/dev/null",
        ])
        .args(args)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("LC_ALL", "C")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .stdin(Stdio::null())
        .output()
}

/// The executable bits that git recorded, by path. V2 deployed what was pushed, so these count where a checkout lost them.
///
/// `None` outside of a git tree, or where git is not to be had: what the files say counts then.
pub(super) fn modes(root: &Path) -> Option<Vec<(String, bool)>> {
    if !root.ancestors().any(|folder| folder.join(".git").exists()) {
        return None;
    }
    let output = git(root, &["ls-files", "--stage", "-z"]).ok()?;
    if !output.status.success() {
        tracing::debug!(root = %root.display(), "git lists no files; the modes on disk count");
        return None;
    }
    let text = String::from_utf8(output.stdout).ok()?;
    let modes: Vec<_> = text
        .split('\0')
        .filter_map(|line| {
            let (stage, path) = line.split_once('\t')?;
            Some((path.to_owned(), stage.starts_with("100755")))
        })
        .collect();
    // A folder that git ignores, or knows nothing of.
    (!modes.is_empty()).then_some(modes)
}

/// Where `root` is in its repository: `git apply` takes paths from the top of it, wherever it is called.
pub(super) fn prefix(root: &Path) -> String {
    root.ancestors()
        .find(|folder| folder.join(".git").exists())
        .and_then(|top| root.strip_prefix(top).ok())
        .map(|place| place.to_string_lossy().into_owned())
        .filter(|place| !place.is_empty())
        .map_or_else(String::new, |place| format!("{place}/"))
}

/// Whether everything below `root` is committed.
pub(crate) fn is_clean(root: &Path) -> Result<Cleanliness, V2Error> {
    let failed = |reason: String| V2Error::Git {
        path: root.to_owned(),
        reason,
    };
    if !root.ancestors().any(|folder| folder.join(".git").exists()) {
        return Ok(Cleanliness::NoGit);
    }
    let output = match git(
        root,
        &[
            "status",
            "--porcelain",
            "--untracked-files=all",
            "-z",
            "--",
            ".",
        ],
    ) {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Cleanliness::NoGit);
        }
        Err(error) => return Err(failed(error.to_string())),
    };
    if !output.status.success() {
        return Err(failed(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(match text.split('\0').find(|line| line.len() > 3) {
        Some(line) => Cleanliness::Dirty(line.get(3..).unwrap_or(line).to_owned()),
        None => Cleanliness::Clean,
    })
}
