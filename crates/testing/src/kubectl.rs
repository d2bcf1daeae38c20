//! The real `kubectl`, for one user of one cluster.

use std::ffi::{OsStr, OsString};
use std::process::{Command, Output};

use serde_json::Value;

use crate::command::{output, run, tools};

/// `kubectl` with what it needs to reach a cluster.
#[derive(Debug, Clone, Default)]
pub struct Kubectl {
    args: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
}

impl Kubectl {
    /// One that takes the context from the kubeconfig of the environment.
    pub fn new() -> Self {
        Self::default()
    }

    /// With an argument before all others.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// With a variable.
    #[must_use]
    pub fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// The command, not yet started.
    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(tools().join("kubectl"));
        command
            .args(&self.args)
            .args(args)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it and gives its output; fails when it does.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> String {
        run(&mut self.command(args), b"")
    }

    /// The same, with standard input.
    #[track_caller]
    pub fn feed(&self, args: &[&str], stdin: &str) -> String {
        run(&mut self.command(args), stdin.as_bytes())
    }

    /// Runs it, whatever becomes of it.
    #[track_caller]
    pub fn attempt<S: AsRef<OsStr>>(&self, args: &[S]) -> Output {
        output(&mut self.command(args), b"")
    }

    /// Runs it with `-o json`.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let text = self.run(&[args, &["-o", "json"]].concat());
        serde_json::from_str(&text).expect("kubectl prints JSON")
    }

    /// Creates objects; secrets among them stay off the command line.
    #[track_caller]
    pub fn create(&self, namespace: Option<&str>, objects: &[Value]) {
        let documents: Vec<String> = objects.iter().map(Value::to_string).collect();
        let mut args = vec!["create", "-f", "-"];
        if let Some(namespace) = namespace {
            args.extend(["-n", namespace]);
        }
        self.feed(&args, &documents.join("\n---\n"));
    }
}

/// The items of a list.
pub fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}
