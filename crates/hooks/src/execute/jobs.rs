//! Taking the step that runs a category's jobs.

use std::fs::{File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::Runner;
use crate::args::{Jobs, Lock};
use crate::error::Error;
use crate::script::Presence;
use crate::{clock, file, jobs, line_buffer, say, script, supervise};

/// What came of locking.
enum Locked {
    Held(Vec<File>),
    /// Another run has this.
    Elsewhere(PathBuf),
}

impl Runner {
    /// Runs a category's jobs; the first failure ends the run, or is the run's status in the end.
    pub(super) fn jobs(&mut self, wanted: &Jobs) -> Result<(), Error> {
        let folders = self.layout.jobs(&wanted.category);
        // Held until this process ends, by it alone: what a job leaves behind does not keep the next run away.
        let _lock = match self.lock(wanted, &folders)? {
            Locked::Held(files) => files,
            Locked::Elsewhere(path) => {
                say::banner(&format!(
                    "Jobs ({}) are still running, skipped: {} is locked",
                    wanted.category,
                    path.display()
                ));
                return Ok(());
            }
        };
        let mut failed: Vec<(PathBuf, u8)> = Vec::new();
        let listed = folders.iter().flat_map(|folder| {
            let mut jobs = jobs::list(folder);
            jobs::sort_as_shell(folder, &mut jobs, &self.environ);
            jobs
        });
        for path in listed.collect::<Vec<_>>() {
            let status = match self.job(&path, wanted) {
                Ok(0) => continue,
                Ok(status) => status,
                Err(error @ (Error::Stopped(_) | Error::Watch(_))) => return Err(error),
                Err(error) if wanted.keep_going => {
                    say::failure(&error);
                    error.status()
                }
                Err(error) => return Err(error),
            };
            if !wanted.keep_going {
                return Err(Error::Status(status));
            }
            failed.push((path, status));
        }
        for (path, status) in &failed {
            say::error(&format!(
                "Job {} failed with status {status}.",
                path.display()
            ));
        }
        match failed.first() {
            Some((_, status)) => Err(Error::Status(*status)),
            None => Ok(()),
        }
    }

    /// Locks what is to be locked, perhaps nothing.
    fn lock(&self, wanted: &Jobs, folders: &[PathBuf; 2]) -> Result<Locked, Error> {
        if wanted.lock == Lock::Usual
            && let Some(path) = self.lock_on_volume(&wanted.category)
        {
            // Not every volume can lock, and NFS locks only what may be written.
            match open(&path).and_then(|file| hold(file, &path)) {
                Ok(locked) => return Ok(locked),
                Err(error) => say::warning(&format!(
                    "{} cannot be locked ({error}): other containers are not kept from running the same jobs.",
                    path.display()
                )),
            }
        }
        let mut held = Vec::new();
        for path in self.lock_paths(wanted, folders) {
            let file = match &wanted.lock {
                Lock::File(_) => open(&path),
                Lock::Usual | Lock::None => File::open(&path),
            };
            let locked = file.and_then(|file| hold(file, &path));
            match locked.map_err(|source| Error::File {
                what: "lock",
                path,
                source,
            })? {
                Locked::Held(files) => held.extend(files),
                elsewhere => return Ok(elsewhere),
            }
        }
        Ok(Locked::Held(held))
    }

    /// What is locked for a category, as far as can be told before it is.
    pub(super) fn locks(&self, wanted: &Jobs) -> Vec<PathBuf> {
        let on_volume = (wanted.lock == Lock::Usual)
            .then(|| self.lock_on_volume(&wanted.category))
            .flatten();
        match on_volume {
            Some(path) => vec![path],
            None => self.lock_paths(wanted, &self.layout.jobs(&wanted.category)),
        }
    }

    fn lock_paths(&self, wanted: &Jobs, folders: &[PathBuf; 2]) -> Vec<PathBuf> {
        match &wanted.lock {
            Lock::None => vec![],
            Lock::Usual => {
                let there = folders.iter().filter(|folder| file::is_folder(folder));
                there.cloned().collect()
            }
            Lock::File(file) => vec![file.clone()],
        }
    }

    /// The lock of a category on a volume, where there is one to be had.
    fn lock_on_volume(&self, category: &str) -> Option<PathBuf> {
        let folder = self
            .environ
            .get("OPENSHIFTER_LOCK_DIR")
            .or_else(|| self.environ.get("OPENSHIFT_DATA_DIR"))?;
        let path = Path::new(folder).join(format!(".openshifter-jobs-{category}.lock"));
        (file::is_file(&path) || file::is_writable_folder(Path::new(folder))).then_some(path)
    }

    fn job(&mut self, path: &Path, wanted: &Jobs) -> Result<u8, Error> {
        if script::presence(path) != Presence::Executable {
            return Err(Error::NotExecutable(path.to_owned()));
        }
        say::banner(&format!("Running {}", path.display()));
        let (command, relay) = line_buffer::job(path, wanted.line_buffer, &self.environ)?;
        let began = clock::now_micros();
        let name = path.display().to_string();
        let ended = supervise::run(command, &name, self.signals()?, wanted.timeout);
        if let Some(relay) = relay {
            relay.finish();
        }
        let status = match &ended {
            Ok(ended) => ended.status,
            Err(error) => error.status(),
        };
        self.event("job", path, began, Some(status));
        let ended = ended?;
        super::say_signal(path, ended);
        if ended.timed_out {
            say::error(&format!("Job {name} took too long and was ended."));
        }
        Ok(ended.status)
    }
}

/// Opens a file to be locked, and makes it where there is none: for all of the group, since pods of other users may share it.
/// To lock a file it is enough to read it.
fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            // What the umask has taken. Some file systems of volumes keep no modes.
            let _ = file.set_permissions(Permissions::from_mode(0o664));
            Ok(file)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            options.open(path).or_else(|_| File::open(path))
        }
        Err(error) => File::open(path).map_err(|_| error),
    }
}

fn hold(file: File, path: &Path) -> std::io::Result<Locked> {
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Locked::Held(vec![file])),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(Locked::Elsewhere(path.to_owned())),
        Err(errno) => Err(errno.into()),
    }
}
