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

impl Runner {
    /// Runs a category's jobs; the first failure ends the run, or is the run's status in the end.
    pub(super) fn jobs(&mut self, wanted: &Jobs) -> Result<(), Error> {
        let folders = self.layout.jobs(&wanted.category);
        // Held until this process ends, by it alone: what a job leaves behind does not keep the next run away.
        let _lock = match self.lock(wanted, &folders)? {
            Some(lock) => lock,
            None => {
                say::banner(&format!(
                    "Jobs ({}) are still running, skipped",
                    wanted.category
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

    /// Some lock, perhaps an empty one; none while another run has it.
    fn lock(&self, wanted: &Jobs, folders: &[PathBuf; 2]) -> Result<Option<Vec<File>>, Error> {
        let opened: Vec<(PathBuf, std::io::Result<File>)> = match &wanted.lock {
            Lock::None => vec![],
            Lock::Folder => folders
                .iter()
                .filter(|folder| file::is_folder(folder))
                .map(|folder| (folder.clone(), File::open(folder)))
                .collect(),
            Lock::File(file) => {
                vec![(file.clone(), open(file))]
            }
        };
        let mut held = Vec::new();
        for (path, file) in opened {
            let failed = |source| Error::File {
                what: "lock",
                path: path.clone(),
                source,
            };
            let file = file.map_err(failed)?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => held.push(file),
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(errno) => return Err(failed(errno.into())),
            }
        }
        Ok(Some(held))
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
