//! Trees for tests, from fixtures and from text.

use std::path::{Path, PathBuf};

use openshifter_v2::{
    Analysis, Finding, Limits, Options, Plan, RunnerFile, Tree, V2Error, analyze, plan, write_out,
};

/// A folder of the fixtures.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// A whole application of V2's time, the one that tests of the program use.
pub(crate) fn visitors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../openshifter/tests/fixtures/v2-django")
}

/// The folder of the programs that tests need.
pub(crate) fn tools() -> PathBuf {
    std::env::var_os("OPENSHIFTER_TEST_TOOLS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-tools"),
        PathBuf::from,
    )
}

/// A tree on disk that goes away by itself.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) root: PathBuf,
}

impl World {
    /// A copy of a fixture, in a folder of the fixture's name and out of git's reach.
    pub(crate) fn of_fixture(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let root = folder.path().join(name);
        copy(&fixture(name), &root);
        Self { folder, root }
    }

    /// A copy of the book of visitors, which the whole way to a cluster is shown with.
    pub(crate) fn of_visitors() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let root = folder.path().join("visitors");
        copy(&visitors(), &root);
        Self { folder, root }
    }

    /// A tree of these files. A name that ends in `*` is executable.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let root = folder.path().join("shop");
        let world = Self { folder, root };
        std::fs::create_dir_all(&world.root).expect("a folder can be made");
        for (path, text) in files {
            world.write(path, text);
        }
        world
    }

    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let (path, executable) = match path.strip_suffix('*') {
            Some(path) => (path, true),
            None => (path, false),
        };
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().expect("a file has a folder"))
            .expect("a folder can be made");
        std::fs::write(&path, text).expect("the file can be written");
        if executable {
            set_executable(&path);
        }
    }

    pub(crate) fn tree(&self) -> Tree {
        Tree::load(&self.root, &Limits::default()).expect("the tree can be read")
    }

    pub(crate) fn analyze(&self, options: &Options) -> Analysis {
        analyze(&self.tree(), options).expect("it is an application")
    }

    pub(crate) fn plan(&self, options: &Options) -> Result<Plan, V2Error> {
        let tree = self.tree();
        let analysis = analyze(&tree, options)?;
        plan(&tree, &analysis, Some(&runner()))
    }

    /// Converts to a folder beside, and gives that as a world of its own.
    pub(crate) fn convert(&self, options: &Options) -> Converted {
        let plan = self.plan(options).expect("it can be converted");
        let folder = tempfile::tempdir().expect("a folder can be made");
        let out = folder.path().join("result");
        write_out(&self.tree(), &plan, &out).expect("the result can be written");
        Converted {
            _folder: folder,
            root: out,
            plan,
        }
    }
}

/// The result of a conversion.
pub(crate) struct Converted {
    pub(crate) _folder: tempfile::TempDir,
    pub(crate) root: PathBuf,
    pub(crate) plan: Plan,
}

impl Converted {
    pub(crate) fn read(&self, path: &str) -> String {
        let bytes =
            std::fs::read(self.root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        std::fs::symlink_metadata(self.root.join(path)).is_ok()
    }

    pub(crate) fn is_executable(&self, path: &str) -> bool {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(self.root.join(path))
            .is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0)
    }
}

pub(crate) fn set_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
        .expect("the mode can be set");
}

/// A stand-in for the runner: what counts here is that it is put into the tree.
pub(crate) fn runner() -> RunnerFile {
    RunnerFile::new(b"#!/bin/sh\nexec \"$@\"\n\0".to_vec()).expect("a script will do")
}

/// The findings of a rule.
pub(crate) fn of_rule<'a>(analysis: &'a Analysis, rule: &str) -> Vec<&'a Finding> {
    analysis
        .findings
        .iter()
        .filter(|finding| finding.rule == rule)
        .collect()
}

/// Runs git in a folder.
#[track_caller]
pub(crate) fn git(folder: &Path, args: &[&str]) {
    let done = std::process::Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["-c", "user.name=x", "-c", "user.email=x@example.com"])
        .args(args)
        .output()
        .expect("there is git");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("the folder can be listed") {
        let entry = entry.expect("the folder can be listed");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("the entry has a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("the file can be copied");
        }
    }
}
