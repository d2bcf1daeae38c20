//! The program under test, with a state of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use crate::support::cluster::feed;
use crate::support::{World, nothing_leaked, until};

/// The program, its state, and a working folder with an `input.json` that names the clusters.
pub(crate) struct Tool {
    folder: TempDir,
    serial: AtomicUsize,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// While it runs. It is killed when the test fails.
pub(crate) struct Running<'a> {
    tool: &'a Tool,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// Runs a command to its end and gives its output; fails when it does.
#[track_caller]
pub(crate) fn run(command: &mut Command, stdin: &[u8]) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
    feed(&mut child, stdin);
    let output = child.wait_with_output().expect("it ends");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?} ended with {}: {stdout}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}

impl Tool {
    /// One that knows the clusters as `minishift` and `production`, and no project by itself.
    pub(crate) fn new(world: &World) -> Self {
        Self::with_projects(world, "nothing-said", "nothing-said")
    }

    /// One that knows the clusters with their projects.
    pub(crate) fn with_projects(world: &World, source: &str, target: &str) -> Self {
        let tool = Self::alone();
        world.write_input(tool.folder(), source, target);
        tool
    }

    /// One that knows no cluster.
    pub(crate) fn alone() -> Self {
        Self {
            folder: tempfile::tempdir().expect("there is room for temporary files"),
            serial: AtomicUsize::new(0),
        }
    }

    /// The folder it works in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into its folder.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("the file can be written");
        path
    }

    /// Where the program keeps journals, reports and backups.
    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// A command with its surroundings: `program` is the program itself or something that starts it.
    pub(crate) fn wrapped<S: AsRef<OsStr>>(&self, program: &str, args: &[S]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.folder.path())
            .env("OPENSHIFTER_STATE_DIR", self.state())
            .env_remove("KUBECONFIG")
            .env("HOME", self.folder.path())
            .env("CURL_HOME", self.folder.path())
            .env("NO_PROXY", "127.0.0.1,localhost")
            .stdin(Stdio::null());
        command
    }

    /// The program.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.wrapped(env!("CARGO_BIN_EXE_openshifter"), args)
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.start(args).end()
    }

    /// Starts it.
    pub(crate) fn start(&self, args: &[&str]) -> Running<'_> {
        self.spawn(self.command(args))
    }

    /// Starts a command.
    pub(crate) fn spawn(&self, mut command: Command) -> Running<'_> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let stdout = self.path(&format!(".{serial}.stdout"));
        let stderr = self.path(&format!(".{serial}.stderr"));
        let file = |path: &Path| std::fs::File::create(path).expect("output can be written");
        let child = command
            .stdout(file(&stdout))
            .stderr(file(&stderr))
            .spawn()
            .expect("the program starts");
        Running {
            tool: self,
            child,
            stdout,
            stderr,
        }
    }

    /// The runs that it remembers, the newest last.
    pub(crate) fn runs(&self) -> Vec<String> {
        let mut runs: Vec<String> = std::fs::read_dir(self.state().join("runs"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        runs.sort();
        runs
    }

    /// The newest run.
    #[track_caller]
    pub(crate) fn last_run(&self) -> String {
        self.runs().pop().expect("there was a run")
    }

    /// What its folder holds besides `input.json`, its state and its output.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut files: Vec<String> = std::fs::read_dir(self.folder.path())
            .expect("the folder is there")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !matches!(name.as_str(), "input.json" | "state"))
            .filter(|name| !name.ends_with(".stdout") && !name.ends_with(".stderr"))
            .collect();
        files.sort();
        files
    }
}

impl Running<'_> {
    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ran {
        let status = self.child.wait().expect("the program ends");
        self.ran(status.code())
    }

    /// Kills it at once.
    #[track_caller]
    pub(crate) fn kill(mut self) -> Ran {
        self.child.kill().expect("it still runs");
        let status = self.child.wait().expect("the program ends");
        assert_eq!(status.code(), None, "it ended before it was killed");
        self.ran(None)
    }

    /// Sends it an interrupt, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .expect("it has an id");
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it still runs");
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it is as far as `there` says.
    #[track_caller]
    pub(crate) fn until<T>(&mut self, what: &str, mut there: impl FnMut() -> Option<T>) -> T {
        until(what, || {
            if let Some(status) = self.child.try_wait().expect("it can be asked") {
                let ran = self.ran(status.code());
                panic!("it ended before {what}: {ran:?}");
            }
            there()
        })
    }

    /// Waits until it has said this.
    #[track_caller]
    pub(crate) fn until_says(&mut self, text: &str) {
        let (stdout, stderr) = (self.stdout.clone(), self.stderr.clone());
        self.until(&format!("it says `{text}`"), || {
            [&stdout, &stderr]
                .iter()
                .any(|path| read(path).contains(text))
                .then_some(())
        });
    }

    /// Waits until it has written a whole line to stdout.
    #[track_caller]
    pub(crate) fn until_line(&mut self) {
        let stdout = self.stdout.clone();
        self.until("a line", || read(&stdout).ends_with('\n').then_some(()));
    }

    /// What it has written to stderr so far.
    pub(crate) fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// What it has written to stdout so far.
    pub(crate) fn stdout(&self) -> String {
        read(&self.stdout)
    }

    #[track_caller]
    fn ran(&self, status: Option<i32>) -> Ran {
        let ran = Ran {
            status,
            stdout: read(&self.stdout),
            stderr: read(&self.stderr),
        };
        nothing_leaked("stdout", &ran.stdout);
        nothing_leaked("stderr", &ran.stderr);
        for run in self.tool.runs() {
            for name in ["report.json", "journal.jsonl"] {
                let path = self.tool.state().join("runs").join(&run).join(name);
                nothing_leaked("what is kept of a run", &read(&path));
            }
        }
        ran
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

impl Ran {
    /// It must have ended with this status.
    #[track_caller]
    pub(crate) fn ended(self, status: i32) -> Self {
        assert_eq!(
            self.status,
            Some(status),
            "stdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// It must have come through.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.ended(0)
    }

    /// It must have said this.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text) || self.stderr.contains(text),
            "nothing of `{text}`\nstdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        self
    }
}
