//! The wheel that `scripts/build-wheel` makes, installed by a real pip.

use std::fs;
use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn ran(command: &mut Command) -> String {
    let output = crate::image::output(command);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?} ended with {}: {stderr}",
        output.status
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn build(out: &Path) -> String {
    ran(Command::new(root().join("scripts/build-wheel"))
        .arg("--binary")
        .arg(crate::program())
        .arg("--out")
        .arg(out))
}

#[test]
fn pip_installs_the_commands_without_a_network() {
    let work = tempfile::tempdir().unwrap();
    let wheel = build(&work.path().join("wheels"));
    let venv = work.path().join("venv");
    ran(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    ran(Command::new(venv.join("bin/pip"))
        .args(["install", "--quiet", "--no-index", "--no-deps"])
        .arg(&wheel));
    // An application's folders, and the command as its hooks call it.
    let source = work.path().join("src");
    fs::create_dir_all(source.join(".s2i/action_hooks")).unwrap();
    fs::write(source.join(".s2i/action_hooks/deploy_env"), "LEVEL=5\n").unwrap();
    for command in ["powershift", "openshifter", "openshifter-image"] {
        let said = ran(Command::new(venv.join("bin").join(command))
            .args(["image", "exec", "sh", "-c", "echo $LEVEL"])
            .env("S2I_APPLICATION_PATH", work.path())
            .env("S2I_SOURCE_PATH", fs::canonicalize(&source).unwrap())
            .current_dir(&source));
        assert_eq!(said, "5");
    }
    let listed = ran(Command::new(venv.join("bin/pip")).args([
        "list",
        "--format=freeze",
        "--disable-pip-version-check",
    ]));
    assert!(
        listed
            .lines()
            .any(|line| line == concat!("openshifter-image==", env!("CARGO_PKG_VERSION"))),
        "{listed}"
    );
    // Whatever pip noted of the installation is true.
    ran(Command::new(venv.join("bin/pip")).args(["check", "--disable-pip-version-check"]));
    ran(Command::new(venv.join("bin/pip")).args([
        "uninstall",
        "--quiet",
        "--yes",
        "openshifter-image",
    ]));
    assert!(!venv.join("bin/powershift").exists());
}

#[test]
fn two_wheels_of_one_binary_are_equal() {
    let work = tempfile::tempdir().unwrap();
    let [one, other] = ["a", "b"].map(|name| fs::read(build(&work.path().join(name))).unwrap());
    assert!(one == other, "they differ");
}
