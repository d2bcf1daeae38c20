//! The wheelhouse: what builds of Python applications install, so that no test needs the network.
//!
//! Builds run in sandboxes that see this machine's `/usr`, so wheels are made by the Python that is there, which need not be the one that a
//! developer's `PATH` has first.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// What is in it. mod_wsgi is compiled against Apache, once.
const PACKAGES: &[&str] = &[
    "Django>=5.2,<5.3",
    "mod_wsgi>=5.0",
    "gunicorn>=22",
    "whitenoise>=6.6",
    "psycopg[binary]>=3.2",
    "Flask>=3",
    "bottle>=0.13",
    "setuptools>=77",
    "wheel",
];

/// Where programs are in a sandbox.
const SANDBOX_PATH: &[&str] = &["/usr/local/bin", "/usr/bin", "/bin"];

/// The Python that sandboxes see.
fn python() -> Result<PathBuf> {
    SANDBOX_PATH
        .iter()
        .map(|folder| Path::new(folder).join("python3"))
        .find(|path| path.is_file())
        .context("there is no python3 in /usr/bin; install it: apt-get install python3")
}

/// Debian packages that making the wheels takes, as far as they are missing.
pub(crate) fn missing() -> Vec<&'static str> {
    let mut missing = Vec::new();
    if !["/usr/sbin/apache2", "/usr/sbin/httpd"]
        .iter()
        .any(|program| Path::new(program).is_file())
    {
        missing.push("apache2-bin");
    }
    if !["/usr/bin/apxs", "/usr/bin/apxs2", "/usr/sbin/apxs"]
        .iter()
        .any(|program| Path::new(program).is_file())
    {
        missing.push("apache2-dev");
    }
    // Apache tells by it that a style sheet is one.
    if !Path::new("/etc/mime.types").is_file() {
        missing.push("media-types");
    }
    if !SANDBOX_PATH
        .iter()
        .any(|folder| Path::new(folder).join("cc").is_file())
    {
        missing.push("gcc");
    }
    let Ok(python) = python() else {
        missing.push("python3");
        return missing;
    };
    let asks = |script: &str| {
        Command::new(&python)
            .args(["-c", script])
            .output()
            .is_ok_and(|ended| ended.status.success())
    };
    // Debian keeps what virtual environments and extensions need apart from Python.
    if !asks("import ensurepip, venv") {
        missing.push("python3-venv");
    }
    if !asks(
        "import os, sys, sysconfig; sys.exit(not os.path.isfile(os.path.join(sysconfig.get_path('include'), 'Python.h')))",
    ) {
        missing.push("python3-dev");
    }
    missing
}

/// Makes the wheelhouse `wheels` in the folder of tools, unless it is there.
pub(crate) fn install(folder: &Path) -> Result<()> {
    let wheels = folder.join("wheels");
    let python = python()?;
    let version = crate::capture(Command::new(&python).arg("--version"))?;
    // Written last: a wheelhouse is only whole with it.
    let mark = wheels.join("complete");
    let wanted = format!("{}{}", version, PACKAGES.join("\n"));
    if std::fs::read_to_string(&mark).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    crate::say("xtask: making wheels (Django, and mod_wsgi for this machine's Apache)");
    let work = folder.join("wheels.new");
    if work.exists() {
        std::fs::remove_dir_all(&work).context("clearing the wheels of an earlier try")?;
    }
    std::fs::create_dir_all(&work).with_context(|| format!("making {}", work.display()))?;
    let venv = work.join("venv");
    crate::run(Command::new(&python).args(["-m", "venv"]).arg(&venv))?;
    let made = work.join("wheels");
    crate::run(
        Command::new(venv.join("bin/pip"))
            .args([
                "wheel",
                "--quiet",
                "--disable-pip-version-check",
                // Not by `setup.py bdist_wheel`, which needs more than a new environment has.
                "--use-pep517",
                "--wheel-dir",
            ])
            .arg(&made)
            .args(PACKAGES),
    )
    .context("making wheels from a Python package index")?;
    let has_mod_wsgi = std::fs::read_dir(&made)
        .context("looking at the wheels")?
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("mod_wsgi-"));
    if !has_mod_wsgi {
        bail!("pip made no wheel of mod_wsgi in {}", made.display());
    }
    std::fs::write(made.join("complete"), wanted)
        .with_context(|| format!("writing {}", mark.display()))?;
    if wheels.exists() {
        std::fs::remove_dir_all(&wheels).context("clearing older wheels")?;
    }
    std::fs::rename(&made, &wheels).context("putting the wheels in place")?;
    std::fs::remove_dir_all(&work).context("clearing up")
}
