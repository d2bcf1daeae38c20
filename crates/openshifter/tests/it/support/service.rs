//! `openshifter serve` as a process, asked by the real `curl`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::{Running, Tool, World, nothing_leaked};

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_openshifter");

/// A running service.
pub(crate) struct Service<'a> {
    tool: &'a Tool,
    running: Option<Running<'a>>,
    /// `https://localhost:41234`.
    url: String,
}

/// What curl got.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
}

impl<'a> Service<'a> {
    /// Starts it; it knows the certificates of the world's clusters.
    pub(crate) fn start(world: &World, tool: &'a Tool, both: bool, more: &[&str]) -> Self {
        let args = Self::args(world, both, more);
        Self::of(tool, tool.spawn(tool.wrapped(PROGRAM, &args)))
    }

    /// Starts it with a spool that holds so many bytes. It cannot be stopped in order.
    pub(crate) fn with_spool_of(world: &World, tool: &'a Tool, bytes: &str) -> Self {
        let spool = tool.state().join("spool");
        std::fs::create_dir_all(&spool).expect("there is room");
        let spool = spool.to_string_lossy().into_owned();
        let mut args: Vec<String> = [
            "--die-with-parent",
            "--dev-bind",
            "/",
            "/",
            "--perms",
            "0700",
            "--size",
            bytes,
            "--tmpfs",
            &spool,
            PROGRAM,
        ]
        .map(str::to_owned)
        .to_vec();
        args.extend(Self::args(world, true, &[]));
        Self::of(tool, tool.spawn(tool.wrapped("bwrap", &args)))
    }

    fn args(world: &World, both: bool, more: &[&str]) -> Vec<String> {
        let mut clusters = vec![&world.minishift];
        if both {
            clusters.push(world.production());
        }
        let trusts = clusters.iter().flat_map(|cluster| {
            let pair = format!("{}={}", cluster.base(), cluster.ca().display());
            ["--cluster-ca".to_owned(), pair]
        });
        [
            "-vv",
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--helper-image",
            "openshifter.test/shell:1",
        ]
        .into_iter()
        .map(str::to_owned)
        .chain(trusts)
        .chain(more.iter().map(|&arg| arg.to_owned()))
        .collect()
    }

    fn of(tool: &'a Tool, mut running: Running<'a>) -> Self {
        running.until_line();
        let url = running.stdout().trim().replace("127.0.0.1", "localhost");
        // What a person would say to every curl: which certificate to believe, and to be quiet.
        let curlrc = format!(
            "cacert = \"{}\"\nsilent\nshow-error\nnoproxy = \"*\"\n",
            tool.state().join("service/ca.pem").display()
        );
        tool.write(".curlrc", curlrc);
        Self {
            tool,
            running: Some(running),
            url,
        }
    }

    /// Its address, as in `https://localhost:8443`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.running.as_ref().map_or(0, Running::id)
    }

    /// Runs lines of the shell, as a person would type them. They end with the first that fails.
    #[track_caller]
    pub(crate) fn shell(&self, lines: &str) -> String {
        // Line by line, so that the command line of the shell begins as the line does.
        lines
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| {
                let mut command = self.tool.wrapped("sh", &["-c", line]);
                let output = command.output().expect("sh starts");
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                assert!(
                    output.status.success(),
                    "{line}: {}{}",
                    text(&output.stdout),
                    text(&output.stderr)
                );
                text(&output.stdout)
            })
            .collect()
    }

    /// Asks by curl; `path` begins with a slash.
    #[track_caller]
    pub(crate) fn curl(&self, path: &str, args: &[&str]) -> Answer {
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        let (body, head): (PathBuf, PathBuf) =
            (folder.path().join("body"), folder.path().join("head"));
        let mut command: Command = self.tool.wrapped("curl", args);
        let output = command
            .arg("--output")
            .arg(&body)
            .arg("--dump-header")
            .arg(&head)
            .args(["--write-out", "%{http_code}", "--path-as-is"])
            .arg(format!("{}{path}", self.url))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .expect("curl is installed: run `cargo xtask test`, which installs it");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let status = text(&output.stdout)
            .parse()
            .unwrap_or_else(|_| panic!("curl: {}", text(&output.stderr)));
        assert_ne!(status, 0, "curl: {}", text(&output.stderr));
        Answer {
            status,
            headers: text(&std::fs::read(&head).unwrap_or_default()),
            body: text(&std::fs::read(&body).unwrap_or_default()),
        }
    }

    /// Stops it in order; its log must not hold a secret.
    #[track_caller]
    pub(crate) fn stop(mut self) -> String {
        let running = self.running.take().expect("it runs");
        running.interrupt();
        let ran = running.end().ok();
        ran.stderr
    }
}

impl Answer {
    /// It must have this status and be one line.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        if status >= 400 {
            assert_eq!(self.body.trim_end().lines().count(), 1, "{}", self.body);
            assert!(!self.body.trim().is_empty());
            nothing_leaked("the answer", &self.body);
        }
        self
    }

    /// It must say this.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.body.contains(text), "no `{text}` in {}", self.body);
        self
    }
}
