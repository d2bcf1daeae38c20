//! The Django that converted trees run on: a virtual environment with the release that sources are brought to.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

/// What is in it: Django, and what serves it where there is no Apache.
const PACKAGES: &[&str] = &["Django>=5.2,<5.3", "gunicorn>=22", "whitenoise>=6.6"];

/// Makes the environment `django-5.2` in `folder`, unless it is there.
pub(crate) fn install(folder: &Path) -> Result<()> {
    let venv = folder.join("django-5.2");
    // Written last: an environment is only whole with it.
    let mark = venv.join("installed");
    let wanted = PACKAGES.join("\n");
    if std::fs::read_to_string(&mark).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    crate::say("xtask: installing Django, gunicorn and WhiteNoise");
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    crate::run(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&venv),
    )
    .context(
        "making a virtual environment; it needs Python with venv: apt-get install python3-venv",
    )?;
    crate::run(
        Command::new(venv.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args(PACKAGES),
    )?;
    std::fs::write(&mark, wanted).with_context(|| format!("writing {}", mark.display()))
}
