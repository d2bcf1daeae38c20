//! One hook, job or environment file.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Findings, words};
use crate::environ::Environ;
use crate::{program, script};

/// How a file is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Hook,
    Job,
    /// One of V2's, which a conversion makes one of today's of.
    Old,
    /// Sourced by bash.
    Environment,
}

/// Who runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Interpreter {
    Bash,
    Sh,
    Other,
}

pub(super) fn check(path: &Path, kind: Kind, findings: &mut Findings<'_>) {
    let content = match fs::read(path) {
        Ok(content) => content,
        Err(error) => {
            findings.error(path, None, format!("cannot be read: {error}"));
            return;
        }
    };
    if matches!(kind, Kind::Hook | Kind::Job) {
        let name = path.strip_prefix(findings.root).unwrap_or(path).to_owned();
        let shown = name.display();
        match findings.index.get(&name) {
            Some(true) => {}
            Some(false) => findings.error(path, None, format!("is not executable in git's index, where builds get it from, which ends the command with status 1: git update-index --chmod=+x {shown}")),
            None if script::is_executable(path) => {}
            None => findings.error(path, None, format!("is not executable, which ends the command with status 1: chmod +x {shown}, and with git: git update-index --chmod=+x {shown}")),
        }
    }
    if content.starts_with(b"\x7fELF") {
        return;
    }
    let crlf = super::shell_has_carriage_return(&content);
    let text = String::from_utf8_lossy(&content);
    let interpreter = match kind {
        Kind::Environment => {
            if crlf {
                findings.warning(path, None, "Windows line ends (CRLF), which are left out with a warning at each run; convert it to plain line ends");
            }
            Interpreter::Bash
        }
        Kind::Hook | Kind::Job | Kind::Old => first_line(path, &text, crlf, findings),
    };
    if interpreter == Interpreter::Other {
        return;
    }
    // One in the first line has been spoken of.
    let first_line_ends = script::start_of(path)
        == script::Start::Interpreter {
            carriage_return: false,
        };
    if kind != Kind::Environment && first_line_ends && crlf {
        findings.warning(path, first_windows_line(&text), "ends as lines on Windows do (CRLF), which bash takes for part of its last word; convert the file to plain line ends");
    }
    words::check(path, &text, kind, findings);
    if kind != Kind::Environment && !fails_fast(&text) {
        findings.warning(path, None, "goes on after a failing line, and its last line decides; begin it with: set -eo pipefail");
    }
    let clean = text.replace("\r\n", "\n");
    if let Some((line, message)) = syntax(&interpreter, &clean) {
        findings.error(
            path,
            line,
            format!("bash does not understand it: {message}"),
        );
    }
}

/// The first line that ends as on Windows, from 1.
pub(super) fn first_windows_line(text: &str) -> Option<usize> {
    let mut lines = text.split('\n');
    Some(lines.position(|line| line.ends_with('\r'))? + 1)
}

/// The `#!` line.
fn first_line(path: &Path, text: &str, crlf: bool, findings: &mut Findings<'_>) -> Interpreter {
    let first = text.split('\n').next().unwrap_or_default();
    let Some(rest) = first.strip_prefix("#!") else {
        if crlf {
            findings.error(path, None, "Windows line ends (CRLF), which bash takes for part of its words; convert it to plain line ends");
        }
        let later = text.lines().take(5).position(|line| line.starts_with("#!"));
        findings.warning(
            path,
            later.map(|at| at + 1),
            match later {
                Some(_) => "`#!` counts on the first line only; bash runs this file",
                None => "has no `#!` line; bash runs this file",
            },
        );
        return Interpreter::Bash;
    };
    if first.ends_with('\r') {
        findings.error(path, Some(1), "Windows line ends (CRLF), so the interpreter is not found (status 127); convert it to plain line ends");
    }
    let mut parts = rest.split_whitespace();
    let mut name = parts.next().unwrap_or_default();
    if name.ends_with("/env") {
        name = parts
            .find(|part| !part.starts_with('-') && !part.contains('='))
            .unwrap_or_default();
    }
    let path_of = name;
    let name = name.rsplit('/').next().unwrap_or_default();
    if is_v2s(path_of, name) {
        findings.error(path, Some(1), format!("today's images have no `{path_of}`"));
        return match name {
            "bash" => Interpreter::Bash,
            "sh" => Interpreter::Sh,
            _ => Interpreter::Other,
        };
    }
    match name {
        "bash" => Interpreter::Bash,
        "sh" | "dash" | "ksh" => Interpreter::Sh,
        _ => Interpreter::Other,
    }
}

/// Whether an interpreter is one of V2's: by its place, or by a version that was V2's own.
fn is_v2s(path: &str, name: &str) -> bool {
    let places = ["/var/lib/openshift/", "/usr/libexec/openshift/", "/opt/rh/"];
    let versions = [
        "python2",
        "python3.3",
        "ruby1.",
        "ruby-1.",
        "ruby2.0",
        "perl5.",
        "php5",
        "node0.",
        "jruby1.",
    ];
    places.iter().any(|place| path.starts_with(place))
        || versions.iter().any(|version| name.starts_with(version))
        || matches!(name, "oo-ruby" | "rhcsh")
}

/// Whether a shell script ends at its first failing line, or has nothing to fail.
fn fails_fast(text: &str) -> bool {
    let mut commands = 0;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#!") {
            if line
                .split_whitespace()
                .skip(1)
                .any(|word| word.starts_with('-') && word.contains('e'))
            {
                return true;
            }
        } else if let Some(options) = line.strip_prefix("set -") {
            let flags = options.split_whitespace().next().unwrap_or_default();
            if flags.contains('e') || options.contains("errexit") {
                return true;
            }
        } else if !line.is_empty() && !line.starts_with('#') {
            commands += 1;
        }
    }
    commands <= 1
}

/// What `bash -n` says, when it says anything.
fn syntax(interpreter: &Interpreter, text: &str) -> Option<(Option<usize>, String)> {
    let bash = program::bash(&Environ::of_process())?;
    let mut command = Command::new(bash);
    command.arg("--norc");
    if *interpreter == Interpreter::Sh {
        command.arg("--posix");
    }
    let mut child = command
        .args(["-n", "/dev/stdin"])
        .env("LC_ALL", "C")
        .env_remove("BASH_ENV")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    // Bash may be through before it has read everything.
    let _ = child.stdin.take()?.write_all(text.as_bytes());
    let output = child.wait_with_output().ok()?;
    if output.status.success() {
        return None;
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().next().unwrap_or_default();
    let rest = first.split_once("line ").map_or(first, |(_, rest)| rest);
    match rest.split_once(": ") {
        Some((line, message)) => Some((line.parse().ok(), message.to_owned())),
        None => Some((None, rest.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::findings;

    fn hook(body: &str) -> String {
        let files = [
            (".s2i/bin/assemble", "powershift image assemble"),
            (".s2i/bin/run", "#!/bin/sh\npowershift image run"),
            (".s2i/action_hooks/deploy*", body),
        ];
        findings(&files)
    }

    #[test]
    fn beginnings() {
        insta::assert_snapshot!(hook("\n#!/bin/bash\nset -e\n"), @".s2i/action_hooks/deploy:2: warning: `#!` counts on the first line only; bash runs this file");
        insta::assert_snapshot!(hook("set -e\n"), @".s2i/action_hooks/deploy: warning: has no `#!` line; bash runs this file");
        insta::assert_snapshot!(hook("#!/bin/bash\r\nset -e\r\n"), @".s2i/action_hooks/deploy:1: error: Windows line ends (CRLF), so the interpreter is not found (status 127); convert it to plain line ends");
        insta::assert_snapshot!(hook("#!/bin/bash\nset -e\ncat <<END\r\ntext\r\nEND\r\n"), @".s2i/action_hooks/deploy:3: warning: ends as lines on Windows do (CRLF), which bash takes for part of its last word; convert the file to plain line ends");
        insta::assert_snapshot!(hook("#!/usr/bin/python3\nimport x\r\n"), @"");
        insta::assert_snapshot!(hook("#!/usr/bin/env oo-ruby\n"), @".s2i/action_hooks/deploy:1: error: today's images have no `oo-ruby`");
        for gone in [
            "/usr/bin/ruby1.9",
            "/usr/bin/python2.7",
            "/opt/rh/ruby193/root/usr/bin/ruby",
            "/var/lib/openshift/x/bin/tool",
        ] {
            let found = hook(&format!("#!{gone} -w\n"));
            assert_eq!(
                found,
                format!(".s2i/action_hooks/deploy:1: error: today's images have no `{gone}`")
            );
        }
        insta::assert_snapshot!(hook("#!/usr/bin/python3\n"), @"");
        insta::assert_snapshot!(hook("#!/usr/bin/env -S FOO=1 python3 -u\nimport x\nif\n"), @"");
    }

    #[test]
    fn mistakes_of_syntax_have_a_line() {
        insta::assert_snapshot!(hook("#!/bin/bash\nset -e\nif true; then\n  x )\nfi\n"), @".s2i/action_hooks/deploy:4: error: bash does not understand it: syntax error near unexpected token `)'");
    }

    #[test]
    fn scripts_that_hide_failures() {
        assert!(fails_fast("#!/bin/bash -ex\na\nb\n"));
        assert!(fails_fast("#!/bin/sh\nset -euo pipefail\na\nb\n"));
        assert!(fails_fast("#!/bin/sh\nexec a\n"));
        assert!(!fails_fast("#!/bin/sh\nset -x\na\nb\n"));
        insta::assert_snapshot!(hook("#!/bin/bash\na\nb\n"), @".s2i/action_hooks/deploy: warning: goes on after a failing line, and its last line decides; begin it with: set -eo pipefail");
    }

    #[test]
    fn a_hook_that_is_not_executable() {
        let files = [
            (".s2i/bin/assemble", "powershift image assemble"),
            (".s2i/bin/run", "#!/bin/sh\npowershift image run"),
            (".s2i/action_hooks/build", "#!/bin/sh\n"),
        ];
        insta::assert_snapshot!(findings(&files), @".s2i/action_hooks/build: error: is not executable, which ends the command with status 1: chmod +x .s2i/action_hooks/build, and with git: git update-index --chmod=+x .s2i/action_hooks/build");
    }
}
