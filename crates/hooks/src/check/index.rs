//! Which files git has as executable: a checkout on Windows, or out of a ZIP file, has lost it, and a build gets what the
//! index has.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The files below `.s2i` in the index of the tree's repository, and whether they are executable; none where it is no
/// checkout, or where there is no git.
pub(super) fn modes(root: &Path) -> BTreeMap<PathBuf, bool> {
    let output = Command::new("git")
        // Nothing that the tree names is run.
        .args(["-c", "core.fsmonitor=false", "-C"])
        .arg(root)
        .args(["ls-files", "--stage", "-z", "--", ".s2i"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => parse(&output.stdout),
        _ => BTreeMap::new(),
    }
}

/// `MODE OBJECT STAGE<tab>PATH`, each ended by a zero.
fn parse(listing: &[u8]) -> BTreeMap<PathBuf, bool> {
    let entry = |line: &[u8]| {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        let path = PathBuf::from(OsStr::from_bytes(&line[tab + 1..]));
        match line.get(..6)? {
            b"100755" => Some((path, true)),
            b"100644" => Some((path, false)),
            // A link; what it leads to counts.
            _ => None,
        }
    };
    listing.split(|byte| *byte == 0).filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn git(tree: &Path, words: &[&str]) {
        let status = Command::new("git").arg("-C").arg(tree).args(words).status();
        assert!(status.unwrap().success(), "{words:?}");
    }

    #[test]
    fn the_index_decides_in_a_checkout() {
        let tree = tempfile::tempdir().unwrap();
        let hooks = tree.path().join(".s2i/action_hooks");
        fs::create_dir_all(&hooks).unwrap();
        for (name, mode) in [("deploy", 0o644), ("build", 0o755), ("setup", 0o755)] {
            fs::write(hooks.join(name), "#!/bin/sh\nset -e\n").unwrap();
            fs::set_permissions(hooks.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        git(tree.path(), &["init", "--quiet"]);
        git(tree.path(), &["config", "core.filemode", "false"]);
        for (name, how) in [("deploy", "--chmod=+x"), ("build", "--chmod=-x")] {
            let path = format!(".s2i/action_hooks/{name}");
            git(tree.path(), &["add", how, &path]);
        }
        let found: Vec<_> = crate::check(tree.path())
            .into_iter()
            .filter(|finding| finding.message.contains("executable"))
            .map(|finding| finding.to_string())
            .collect();
        // `deploy` is executable where it counts, and `setup`, which git does not know yet, where it is.
        insta::assert_snapshot!(found.join("\n"), @".s2i/action_hooks/build: error: is not executable in git's index, where builds get it from, which ends the command with status 1: git update-index --chmod=+x .s2i/action_hooks/build");
    }

    #[test]
    fn no_checkout_has_no_index() {
        assert!(modes(tempfile::tempdir().unwrap().path()).is_empty());
        assert!(parse(b"120000 abc 0\tlink\0").is_empty());
    }
}
