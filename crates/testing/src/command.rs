//! Other programs.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The folder of `kubectl` and `helm`: the one in `OPENSHIFTER_TEST_TOOLS`, else `target/test-tools`.
///
/// # Panics
/// When they are not there.
pub fn tools() -> PathBuf {
    let folder = std::env::var_os("OPENSHIFTER_TEST_TOOLS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-tools"),
        PathBuf::from,
    );
    for tool in ["kubectl", "helm"] {
        assert!(
            folder.join(tool).is_file(),
            "there is no {}: run `cargo xtask tools`, which installs it",
            folder.join(tool).display()
        );
    }
    folder
}

/// Runs a command to its end and gives its output.
///
/// # Panics
/// When it cannot be started or fails; with all that it said.
#[track_caller]
pub fn run(command: &mut Command, stdin: &[u8]) -> String {
    let output = output(command, stdin);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?} ended with {}: {stdout}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}

/// Runs a command to its end, whatever becomes of it.
#[track_caller]
pub(crate) fn output(command: &mut Command, stdin: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
    if let Some(mut pipe) = child.stdin.take() {
        // What the child did not read shows in how it ends.
        let _ = pipe.write_all(stdin);
    }
    child.wait_with_output().expect("it ends")
}

/// The address of a port that nobody listens on. It is none of those that the system hands out: one that was free a
/// moment ago may be somebody's by now.
pub fn closed_port() -> String {
    "127.0.0.1:1".to_owned()
}
