//! The original action-hook runner, which the tests of ours compare it with: a Python package, in a virtual environment.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{capture, install as install_packages, run, say};

/// The package that has `powershift image`, and the one that has `powershift`. The plugin is found by `pkg_resources`,
/// which setuptools dropped in version 81.
const PACKAGES: [&str; 3] = [
    "setuptools<81",
    "powershift-cli==1.3.1",
    "powershift-image==1.4.2",
];

/// Installs it as `powershift` in the folder of tools, unless it is there.
pub(crate) fn install(folder: &Path) -> Result<()> {
    // What builder images name their users by. It is in no list of libraries: the dynamic linker says what it lacks.
    let preloaded = Command::new("true")
        .env("LD_PRELOAD", "libnss_wrapper.so")
        .output();
    if !preloaded.is_ok_and(|output| output.stderr.is_empty()) {
        install_packages(&["libnss-wrapper"])?;
    }
    let venv = folder.join("powershift");
    // Made last, so a half installed one does not count.
    let program = venv.join("bin/powershift");
    if program.is_file() && capture(Command::new(&program).args(["image", "--help"])).is_ok() {
        return Ok(());
    }
    say("xtask: fetching the original action-hook runner (powershift-image)");
    if capture(Command::new("python3").args(["-c", "import ensurepip, venv"])).is_err() {
        install_packages(&["python3-venv"])?;
    }
    if venv.exists() {
        std::fs::remove_dir_all(&venv).context("clearing the original runner of an earlier try")?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    run(Command::new(venv.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(PACKAGES))
    .context("installing the original action-hook runner from a Python package index")
}
