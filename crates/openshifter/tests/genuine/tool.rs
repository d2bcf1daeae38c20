//! The program under test, with a state of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::watch::nothing_leaked;
use crate::world::until;

/// The program, its state, and a folder for charts.
pub(crate) struct Tool {
    folder: TempDir,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// While it runs.
pub(crate) struct Running<'a> {
    tool: &'a Tool,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Tool {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("there is room for temporary files"),
        }
    }

    /// A path in the test's own folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A path in the test's own folder, as an argument.
    pub(crate) fn arg(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    /// Writes a file that only its owner may read.
    pub(crate) fn private_file(&self, name: &str, content: &str) -> String {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.path(name))
            .expect("the file can be made");
        file.write_all(content.as_bytes()).expect("it is written");
        self.arg(name)
    }

    /// Where the program keeps journals, reports and backups.
    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_openshifter"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env("OPENSHIFTER_STATE_DIR", self.state())
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.start(args).end()
    }

    /// Starts it.
    pub(crate) fn start(&self, args: &[&str]) -> Running<'_> {
        let serial = std::fs::read_dir(self.folder.path())
            .expect("the folder is there")
            .count();
        let (stdout, stderr) = (
            self.path(&format!("{serial}.stdout")),
            self.path(&format!("{serial}.stderr")),
        );
        let file = |path: &Path| std::fs::File::create(path).expect("output can be written");
        let child = self
            .command(args)
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
    pub(crate) fn last_run(&self) -> String {
        self.runs().pop().expect("there was a run")
    }

    /// Reports that were kept must not show what is secret.
    fn check_reports(&self) {
        for run in self.runs() {
            let path = self.state().join("runs").join(run).join("report.json");
            if let Ok(report) = std::fs::read_to_string(&path) {
                nothing_leaked("a kept report", &report);
            }
        }
    }

    /// Charts and parts of charts in the test's own folder.
    pub(crate) fn charts(&self) -> Vec<String> {
        std::fs::read_dir(self.folder.path())
            .expect("the folder is there")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| {
                name.contains("chart") || name.ends_with(".partial") || name.ends_with(".tgz")
            })
            .collect()
    }
}

impl Running<'_> {
    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ran {
        let status = self.child.wait().expect("the program ends");
        self.ran(status.code())
    }

    /// Kills it at once.
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

    /// Waits until it is as far as `there` says.
    pub(crate) fn until(&mut self, what: &str, mut there: impl FnMut() -> bool) {
        until(what, || {
            if let Some(status) = self.child.try_wait().expect("it can be asked") {
                let ran = self.ran(status.code());
                panic!("it ended before {what}: {ran:?}");
            }
            there().then_some(())
        });
    }

    fn ran(&self, status: Option<i32>) -> Ran {
        let read = |path: &Path| {
            String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
        };
        let ran = Ran {
            status,
            stdout: read(&self.stdout),
            stderr: read(&self.stderr),
        };
        nothing_leaked("stdout", &ran.stdout);
        nothing_leaked("stderr", &ran.stderr);
        self.tool.check_reports();
        ran
    }
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

    /// It must not have said this.
    #[track_caller]
    pub(crate) fn says_nothing_of(self, text: &str) -> Self {
        assert!(
            !self.stdout.contains(text) && !self.stderr.contains(text),
            "`{text}` in\nstdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// The report, of a run with `--output json`.
    #[track_caller]
    pub(crate) fn report(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }
}
