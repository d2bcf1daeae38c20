//! Where this program keeps what it must remember: journals, reports, backup charts.

use std::fs::File;
use std::path::{Path, PathBuf};

use fs_err as fs;
use rustix::fs::{FlockOperation, flock};

use crate::{RunId, journal::private_dir};

/// The folder of this program's own state, 0700.
///
/// `$OPENSHIFTER_STATE_DIR`, else `$XDG_STATE_HOME/openshifter`, else `~/.local/state/openshifter`.
#[derive(Debug, Clone)]
pub struct StateDir(PathBuf);

/// A folder that is removed when this is dropped, and by the next run when the process is killed first.
#[derive(Debug)]
pub struct Spool {
    folder: tempfile::TempDir,
    /// The kernel gives it up however the process ends.
    _lock: File,
}

impl Spool {
    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves it to the caller to remove it.
    pub fn keep(self) -> PathBuf {
        self.folder.keep()
    }
}

impl StateDir {
    /// A folder of the caller's choice.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder that the environment names; `get` reads one variable.
    pub fn from_env(get: impl Fn(&str) -> Option<std::ffi::OsString>) -> Option<Self> {
        let of = |name: &str| {
            get(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        of("OPENSHIFTER_STATE_DIR")
            .or_else(|| of("XDG_STATE_HOME").map(|path| path.join("openshifter")))
            .or_else(|| of("HOME").map(|path| path.join(".local/state/openshifter")))
            .map(Self)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The folder of one run, which exists afterwards.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn run(&self, run: &RunId) -> std::io::Result<PathBuf> {
        let path = self.0.join("runs").join(run.as_str());
        private_dir(&path)?;
        Ok(path)
    }

    /// A folder for charts that are kept: backups of what was overwritten, and charts of in-place moves.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn charts(&self) -> std::io::Result<PathBuf> {
        let path = self.0.join("charts");
        private_dir(&path)?;
        Ok(path)
    }

    /// A folder for what is gone at the end of a run. Folders that killed processes left behind are removed: nobody
    /// holds their lock any more.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn spool(&self) -> std::io::Result<Spool> {
        let path = self.0.join("spool");
        private_dir(&path)?;
        // Held until the new folder has its own lock, so that nobody takes it for one that was left behind.
        let whole = File::open(&path)?;
        flock(&whole, FlockOperation::LockExclusive)?;
        for entry in std::fs::read_dir(&path)? {
            let left = entry?.path();
            let free = File::open(&left)
                .is_ok_and(|it| flock(&it, FlockOperation::NonBlockingLockExclusive).is_ok());
            if free && let Err(error) = std::fs::remove_dir_all(&left) {
                tracing::warn!(folder = %left.display(), %error, "a spool folder that was left behind cannot be removed");
            }
        }
        let folder = tempfile::Builder::new().prefix("run-").tempdir_in(&path)?;
        let lock = File::open(folder.path())?;
        flock(&lock, FlockOperation::LockExclusive)?;
        Ok(Spool {
            folder,
            _lock: lock,
        })
    }

    /// All runs that are remembered, the newest last.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn runs(&self) -> std::io::Result<Vec<RunId>> {
        let folder = self.0.join("runs");
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let mut runs = Vec::new();
        for entry in fs::read_dir(folder)? {
            if let Some(run) = entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            {
                runs.push(run);
            }
        }
        runs.sort();
        Ok(runs)
    }
}

/// Writes a file that only its owner may read, whole or not at all.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let folder = path.parent().unwrap_or(Path::new("."));
    // Temporary files are 0600 from the start.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_folder_is_removed_once_nobody_holds_it() {
        let home = tempfile::tempdir().unwrap();
        let state = StateDir::new(home.path());
        let held = state.spool().unwrap();
        let left = home.path().join("spool/run-left");
        std::fs::create_dir(&left).unwrap();
        std::fs::write(left.join("secret"), "x").unwrap();
        let other = state.spool().unwrap();
        assert!(!left.exists());
        assert!(held.path().exists() && other.path().exists());
        let path = held.path().to_owned();
        drop(held);
        assert!(!path.exists() && other.path().exists());
    }

    #[test]
    fn the_first_variable_that_is_set_decides() {
        let env = |pairs: &'static [(&str, &str)]| {
            move |name: &str| {
                pairs
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| value.into())
            }
        };
        let path = |pairs| StateDir::from_env(env(pairs)).map(|dir| dir.0);
        assert_eq!(
            path(&[("HOME", "/h")]),
            Some("/h/.local/state/openshifter".into())
        );
        assert_eq!(
            path(&[("HOME", "/h"), ("XDG_STATE_HOME", "/x")]),
            Some("/x/openshifter".into())
        );
        assert_eq!(
            path(&[("XDG_STATE_HOME", "/x"), ("OPENSHIFTER_STATE_DIR", "/s")]),
            Some("/s".into())
        );
        assert_eq!(path(&[]), None);
    }
}
