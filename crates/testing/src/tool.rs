//! The program under test, with a state of its own.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use crate::{Ran, Running};

/// The program, its state and the folder that it works in; both are gone with it.
#[derive(Debug)]
pub struct Tool {
    program: PathBuf,
    folder: TempDir,
    environment: Vec<(&'static str, Option<OsString>)>,
    serial: AtomicUsize,
}

impl Tool {
    /// One with the caller's surroundings.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            folder: tempfile::tempdir().expect("there is room for temporary files"),
            environment: Vec::new(),
            serial: AtomicUsize::new(0),
        }
    }

    /// Sets a variable for all that it runs, or takes it away.
    pub fn env(&mut self, name: &'static str, value: Option<OsString>) {
        self.environment.push((name, value));
    }

    /// The program's path.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The folder it works in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// A path in its folder, as an argument.
    pub fn arg(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    /// Writes a file into its folder, for its owner alone.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = self.path(name);
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .expect("the file can be made");
        file.write_all(content.as_ref())
            .expect("the file can be written");
        path
    }

    /// Where the program keeps journals, reports and backups.
    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// A command with its surroundings: `program` is the program itself or something that starts it.
    pub fn wrapped<S: AsRef<OsStr>>(&self, program: impl AsRef<OsStr>, args: &[S]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.folder())
            .env("OPENSHIFTER_STATE_DIR", self.state())
            .stdin(Stdio::null());
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// The program.
    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        self.wrapped(&self.program, args)
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Ran {
        self.start(args).end()
    }

    /// Starts it.
    #[track_caller]
    pub fn start<S: AsRef<OsStr>>(&self, args: &[S]) -> Running<'_> {
        self.spawn(self.command(args))
    }

    /// Starts a command.
    #[track_caller]
    pub fn spawn(&self, mut command: Command) -> Running<'_> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let stdout = self.path(&format!(".{serial}.stdout"));
        let stderr = self.path(&format!(".{serial}.stderr"));
        let file = |path: &Path| std::fs::File::create(path).expect("output can be written");
        let child = command
            .stdout(file(&stdout))
            .stderr(file(&stderr))
            .spawn()
            .expect("the program starts");
        Running::new(self, child, stdout, stderr)
    }

    /// The runs that it remembers, the newest last.
    pub fn runs(&self) -> Vec<String> {
        let folder = self.state().join("runs");
        let mut runs = names_in(&folder);
        // Names tell only the second.
        runs.sort_by_key(|name| {
            let known = folder.join(name).metadata();
            known
                .and_then(|of| of.created().or_else(|_| of.modified()))
                .ok()
        });
        runs
    }

    /// The newest run.
    #[track_caller]
    pub fn last_run(&self) -> String {
        self.runs().pop().expect("there was a run")
    }

    /// What it has in its spool, which is empty when nothing works.
    pub fn spool(&self) -> Vec<String> {
        names_in(&self.state().join("spool"))
    }

    /// What its folder holds besides `input.json`, its state and its output.
    pub fn files(&self) -> Vec<String> {
        let mut files = names_in(self.folder());
        files.retain(|name| {
            !matches!(name.as_str(), "input.json" | "state")
                && !name.ends_with(".stdout")
                && !name.ends_with(".stderr")
        });
        files
    }
}

/// What a folder holds, sorted; nothing when it is not there.
fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
