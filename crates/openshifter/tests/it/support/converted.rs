//! Trees of V2, what is put into them, and the commands that deploy them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::tools;

/// Writes a program.
pub(crate) fn script(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the file can be written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
        .expect("its mode can be set");
}

/// Copies a folder with all that it holds.
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

/// The static runner, as it is handed to users.
pub(crate) fn runner() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(root.join("scripts/build-image-runner"))
        .output()
        .expect("the script can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the runner cannot be built: {said}"
    );
    let program = String::from_utf8_lossy(&output.stdout);
    root.join(program.trim()).display().to_string()
}

/// Puts the wheels into the converted tree, as one does for builds without a network.
pub(crate) fn with_wheels(tree: &Path) {
    let wheels = tools().join("wheels");
    assert!(
        wheels.join("complete").is_file(),
        "there are no wheels in {}: make them with `cargo xtask tools`",
        wheels.display()
    );
    let to = tree.join("wheels");
    std::fs::create_dir(&to).expect("a folder can be made");
    for entry in std::fs::read_dir(&wheels).expect("the folder can be listed") {
        let entry = entry.expect("the folder can be listed");
        if entry.path().extension().is_some_and(|end| end == "whl") {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("it can be copied");
        }
    }
    let environment = tree.join(".s2i/environment");
    let text = std::fs::read_to_string(&environment).expect("a conversion wrote it");
    let text = format!("{text}PIP_NO_INDEX=1\nPIP_FIND_LINKS=/opt/app-root/src/wheels\n");
    std::fs::write(&environment, text).expect("it can be written");
}

/// Arguments of a deployment of a tree.
pub(crate) fn deploy<'a>(tree: &'a str, project: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![
        "v2",
        "deploy",
        tree,
        "--to",
        "minishift",
        "-n",
        project,
        "--builder",
        "python:latest",
    ];
    args.extend(more);
    args
}

/// Arguments of a step in a project.
pub(crate) fn step<'a>(project: &'a str, command: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let mut args = command.to_vec();
    args.extend(["--at", "minishift", "-n", project]);
    args.extend(more);
    args
}
