//! The runner in the tree, and the scripts that call it.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use openshifter_v2::Options;

use crate::support::World;

const RUNNER: &str = ".s2i/runner/openshifter-image";
const FORMER: &str = ".s2i/runner/powershift";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn it_is_found_made_executable_and_has_its_former_name() {
    let result = World::of_fixture("wsgi").convert(&Options::default());
    assert!(result.is_executable(RUNNER) && result.is_executable(FORMER));
    std::fs::write(result.root.join(RUNNER), "#!/bin/sh\necho called \"$@\"\n")
        .expect("it can be written");
    let former = Command::new(result.root.join(FORMER))
        .args(["image", "migrate", "a b"])
        .output()
        .expect("it starts");
    assert_eq!(said(&former), "called image migrate a b\n");
    // A checkout that keeps no modes.
    for name in [RUNNER, FORMER] {
        let plain = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(result.root.join(name), plain).expect("it is ours");
    }
    let assemble = || {
        Command::new("bash")
            .arg(result.root.join(".s2i/bin/assemble"))
            .arg("--word")
            .env("S2I_SOURCE_PATH", &result.root)
            .output()
            .expect("there is bash")
    };
    assert_eq!(said(&assemble()), "called assemble --word\n");
    assert!(result.is_executable(RUNNER) && result.is_executable(FORMER));
    std::fs::remove_file(result.root.join(RUNNER)).expect("it is ours");
    let output = assemble();
    assert_eq!(output.status.code(), Some(127));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        stderr.contains(RUNNER) && stderr.contains("No such file"),
        "{stderr}"
    );
}
