//! The program while it runs, and how it ended.

use std::path::{Path, PathBuf};
use std::process::Child;

use serde_json::Value;

use crate::{Tool, nothing_leaked, until};

/// How it ended.
#[derive(Debug)]
pub struct Ran {
    /// Its exit status; none when it was killed.
    pub status: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

/// While it runs. It is killed when the test fails.
#[derive(Debug)]
pub struct Running<'a> {
    tool: &'a Tool,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl<'a> Running<'a> {
    pub(crate) fn new(tool: &'a Tool, child: Child, stdout: PathBuf, stderr: PathBuf) -> Self {
        Self {
            tool,
            child,
            stdout,
            stderr,
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(mut self) -> Ran {
        let status = self.child.wait().expect("the program ends");
        self.ran(status.code())
    }

    /// Kills it at once.
    #[track_caller]
    pub fn kill(mut self) -> Ran {
        self.child.kill().expect("it still runs");
        let status = self.child.wait().expect("the program ends");
        assert_eq!(status.code(), None, "it ended before it was killed");
        self.ran(None)
    }

    /// Sends it an interrupt, as Ctrl-C does.
    pub fn interrupt(&self) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .expect("it has an id");
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it still runs");
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it is as far as `there` says.
    #[track_caller]
    pub fn until<T>(&mut self, what: &str, mut there: impl FnMut() -> Option<T>) -> T {
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
    pub fn until_says(&mut self, text: &str) {
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
    pub fn until_line(&mut self) {
        let stdout = self.stdout.clone();
        self.until("a line", || read(&stdout).ends_with('\n').then_some(()));
    }

    /// What it has written to stderr so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// What it has written to stdout so far.
    pub fn stdout(&self) -> String {
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
    pub fn ended(self, status: i32) -> Self {
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
    pub fn ok(self) -> Self {
        self.ended(0)
    }

    /// It must have said this.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
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
    pub fn says_nothing_of(self, text: &str) -> Self {
        assert!(
            !self.stdout.contains(text) && !self.stderr.contains(text),
            "`{text}` in\nstdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// It must have given a person one message that says what went wrong.
    #[track_caller]
    pub fn one_message(self) -> Self {
        let errors = self
            .stderr
            .lines()
            .filter(|line| line.contains("error:"))
            .count();
        assert_eq!(errors, 1, "{self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        self
    }

    /// The report, of a run with `--output json`.
    #[track_caller]
    pub fn report(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }
}
