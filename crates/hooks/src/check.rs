//! `check`: looks for what will go wrong with a source tree's hooks before a build finds out. Nothing is run.

mod environment;
mod index;
mod jobs;
mod names;
mod old;
mod script;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::{file, say};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The build, the start or a hook will fail.
    Error,
    /// Probably not what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One thing that is wrong, or probably is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// In the tree
    pub path: PathBuf,
    /// From 1, where a line is meant
    pub line: Option<usize>,
    /// How bad it is
    pub severity: Severity,
    /// What it is and what to do
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:", self.path.display())?;
        if let Some(line) = self.line {
            write!(formatter, "{line}:")?;
        }
        write!(formatter, " {}: {}", self.severity, self.message)
    }
}

/// What is found, in a tree.
#[derive(Debug)]
struct Findings<'a> {
    root: &'a Path,
    /// What git has as executable, or not.
    index: BTreeMap<PathBuf, bool>,
    /// The tree brings the runner under the name that hooks in the field call it by.
    former_name: bool,
    all: Vec<Finding>,
}

impl Findings<'_> {
    /// Whether builds get a file as an executable one: from git where it is there, else from the folder.
    fn is_executable(&self, path: &Path) -> bool {
        let name = path.strip_prefix(self.root).unwrap_or(path);
        let in_git = self.index.get(name).copied();
        in_git.unwrap_or_else(|| crate::script::is_executable(path))
    }

    fn add(
        &mut self,
        path: &Path,
        line: Option<usize>,
        severity: Severity,
        message: impl Into<String>,
    ) {
        self.all.push(Finding {
            path: path.strip_prefix(self.root).unwrap_or(path).to_owned(),
            line,
            severity,
            message: message.into(),
        });
    }

    fn error(&mut self, path: &Path, line: Option<usize>, message: impl Into<String>) {
        self.add(path, line, Severity::Error, message);
    }

    fn warning(&mut self, path: &Path, line: Option<usize>, message: impl Into<String>) {
        self.add(path, line, Severity::Warning, message);
    }
}

/// Checks the hooks, jobs and `.s2i` files of a source tree. Findings come sorted by file and line.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tree = tempfile::tempdir()?;
/// let hooks = tree.path().join(".s2i/action_hooks");
/// std::fs::create_dir_all(&hooks)?;
/// std::fs::write(hooks.join("deploy"), "#!/bin/bash\nset -e\n")?;
/// let findings = openshifter_hooks::check(tree.path());
/// assert!(findings.iter().any(|finding| finding.message.contains("not executable")));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn check(root: &Path) -> Vec<Finding> {
    let mut findings = Findings {
        root,
        index: index::modes(root),
        former_name: brings_former_name(root),
        all: vec![],
    };
    let s2i = root.join(".s2i");
    let hooks = names::check(&s2i.join("action_hooks"), &mut findings);
    jobs::check(&s2i, &mut findings);
    // What a Deployment's `postStart` and `preStop` call, where a conversion has put it.
    for path in sorted(&s2i.join("lifecycle")) {
        if file::is_file(&path) {
            script::check(&path, script::Kind::Hook, &mut findings);
        }
    }
    environment::check(&s2i.join("environment"), &mut findings);
    entry_points(&s2i, hooks, &mut findings);
    let former = s2i.join("runner/powershift");
    if file::is_file(&former) && !findings.is_executable(&former) {
        findings.warning(&former, None, "is not executable, so that no hook finds it: chmod +x .s2i/runner/powershift, and with git: git update-index --chmod=+x .s2i/runner/powershift");
    }
    // A conversion leaves V2's hooks for reference, and says in CONVERSION.md where each of them went.
    if !file::is_file(&s2i.join("openshifter.json")) {
        old::check(&s2i, &mut findings);
    }
    let mut all = findings.all;
    all.sort_by(|one, other| {
        (&one.path, one.line, one.severity).cmp(&(&other.path, other.line, other.severity))
    });
    all
}

/// Hooks are run by the runner, and that by the two scripts that replace the builder's.
fn entry_points(s2i: &Path, hooks: bool, findings: &mut Findings<'_>) {
    for name in ["assemble", "run"] {
        let path = s2i.join("bin").join(name);
        match fs::read(&path) {
            Ok(content) => {
                // A program of the builder's own says nothing that could be read.
                if content.starts_with(b"\x7fELF") {
                    continue;
                }
                // S2I calls the other one from a shell, which runs such a file itself.
                if name == "run" && !content.starts_with(b"#!") {
                    findings.error(&path, Some(1), "has no `#!` line: as the image's command it is started by the kernel, which refuses it");
                }
                let text = String::from_utf8_lossy(&content);
                match script::first_windows_line(&text) {
                    Some(1) => findings.error(&path, Some(1), "Windows line ends (CRLF): it cannot be run; convert it to plain line ends"),
                    Some(line) => findings.warning(&path, Some(line), "ends as lines on Windows do (CRLF), which a shell takes for part of its last word; convert the file to plain line ends"),
                    None => {}
                }
                vendored(&path, &text, findings);
                if hooks && !hands_over(&text, name) {
                    findings.warning(&path, None, format!("does not call `openshifter-image {name}`, so its hooks are not run"));
                }
            }
            Err(_) if hooks => findings.warning(&path, None, format!("is missing, so that the builder's own {name} runs and no hooks; see docs/image-runner.md for what it has to be")),
            Err(_) => {}
        }
    }
}

/// A runner that a script calls in the tree has to be there.
fn vendored(path: &Path, text: &str, findings: &mut Findings<'_>) {
    const FOLDER: &str = ".s2i/runner/";
    let mut missing = std::collections::BTreeSet::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with('#') {
            continue;
        }
        for (start, _) in line.match_indices(FOLDER) {
            let rest = &line[start + FOLDER.len()..];
            let is_part = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
            let end = rest.find(|char| !is_part(char)).unwrap_or(rest.len());
            let name = &rest[..end];
            if !name.is_empty()
                && !file::is_file(&findings.root.join(FOLDER).join(name))
                && missing.insert(name)
            {
                findings.warning(
                    path,
                    Some(at + 1),
                    format!("`{FOLDER}{name}` is not in the tree; unless something puts it there, this line fails"),
                );
            }
        }
    }
}

/// Whether hooks find the runner as `powershift` by what is in the tree, as far as that can be told.
fn brings_former_name(root: &Path) -> bool {
    let code = |name: &str| {
        let content = fs::read(root.join(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&content).into_owned();
        let lines = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let installs = |text: String| {
        text.contains("powershift") || (text.contains("pip") && text.contains("install"))
    };
    let requires = |text: String| {
        ["powershift", "openshifter-image", "openshifter_image"]
            .iter()
            .any(|name| text.contains(name))
    };
    file::is_file(&root.join(".s2i/runner/powershift"))
        || [".s2i/bin/assemble", ".s2i/bin/run"]
            .into_iter()
            .any(|name| installs(code(name)))
        || requires(code("requirements.txt"))
}

/// Whether a script calls the runner for this command, under whatever name.
fn hands_over(text: &str, command: &str) -> bool {
    let runner = ["powershift", "openshifter-image", "openshifter image"]
        .iter()
        .any(|name| text.contains(name));
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    runner
        && code
            .flat_map(str::split_whitespace)
            .any(|word| word == command)
}

/// Whether the start leaves the runner in place, so that it can call a hook once the application answers.
fn stays(root: &Path) -> bool {
    fs::read(root.join(".s2i/bin/run")).is_ok_and(|content| {
        String::from_utf8_lossy(&content)
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .flat_map(str::split_whitespace)
            .any(|word| word == "--init")
    })
}

fn shell_has_carriage_return(content: &[u8]) -> bool {
    content.windows(2).any(|pair| pair == b"\r\n")
}

/// The entries of a folder, none where there is none.
fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    entries.sort();
    entries
}

/// The command: prints the findings; 1 when one is an error, 2 when there is nothing to check.
pub(crate) fn command(folder: &Path, json: bool) -> ExitCode {
    if !file::is_folder(folder) {
        say::error(&format!("{} is no folder", folder.display()));
        return ExitCode::from(2);
    }
    let findings = check(folder);
    for finding in &findings {
        say::line(&if json {
            as_json(finding)
        } else {
            finding.to_string()
        });
    }
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .count();
    if !json {
        let warnings = findings.len() - errors;
        say::line(&format!("{errors} errors, {warnings} warnings"));
    }
    ExitCode::from(u8::from(errors > 0))
}

fn as_json(finding: &Finding) -> String {
    let line = finding
        .line
        .map_or_else(|| "null".to_owned(), |line| line.to_string());
    format!(
        "{{\"path\":{},\"line\":{line},\"severity\":\"{}\",\"message\":{}}}",
        say::quoted(&finding.path.to_string_lossy()),
        finding.severity,
        say::quoted(&finding.message)
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A tree of files; a name that ends in `*` is executable.
    pub(super) fn findings(files: &[(&str, &str)]) -> String {
        let tree = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = tree.path().join(name.trim_end_matches('*'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            let mode = if name.ends_with('*') { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let all: Vec<String> = check(tree.path()).iter().map(ToString::to_string).collect();
        all.join("\n")
    }

    #[test]
    fn a_good_tree_has_no_findings() {
        let files = [
            (
                ".s2i/bin/assemble",
                "#!/bin/bash\nexec powershift image assemble\n",
            ),
            (".s2i/bin/run", "#!/bin/bash\nexec openshifter-image run\n"),
            (
                ".s2i/action_hooks/deploy*",
                "#!/bin/bash\nset -eo pipefail\npowershift image migrate\n",
            ),
            (
                ".s2i/action_hooks/ready*",
                "#!/usr/bin/env python3\nexit(0)\n",
            ),
            (".s2i/action_hooks/deploy_env", "LOGLEVEL=${LOGLEVEL:-1}\n"),
            (
                ".s2i/jobs/hourly/clean*",
                "#!/bin/sh\nset -e\nrm -rf /tmp/x\n",
            ),
            (".s2i/environment", "# comment\nAPP_CONFIG=x\n"),
        ];
        insta::assert_snapshot!(findings(&files), @"");
    }

    #[test]
    fn scripts_that_others_call() {
        let files = [
            (".s2i/bin/assemble", "exec openshifter-image assemble\n"),
            (".s2i/bin/run", "\n#!/bin/sh\nexec openshifter-image run\n"),
            (".s2i/lifecycle/pre_stop*", "#!/bin/bash\r\ntrue\r\n"),
            (".s2i/lifecycle/post_start*", "#!/bin/bash\ntrue\n"),
        ];
        insta::assert_snapshot!(findings(&files), @"
        .s2i/bin/run:1: error: has no `#!` line: as the image's command it is started by the kernel, which refuses it
        .s2i/lifecycle/pre_stop:1: error: Windows line ends (CRLF), so the interpreter is not found (status 127); convert it to plain line ends
        ");
    }

    #[test]
    fn nothing_runs_hooks_by_itself() {
        let hook = (".s2i/action_hooks/deploy*", "#!/bin/bash\nset -e\n");
        insta::assert_snapshot!(findings(&[hook, (".s2i/bin/run", "#!/bin/bash\nexec /usr/libexec/s2i/run\n")]), @"
        .s2i/bin/assemble: warning: is missing, so that the builder's own assemble runs and no hooks; see docs/image-runner.md for what it has to be
        .s2i/bin/run: warning: does not call `openshifter-image run`, so its hooks are not run
        ");
    }

    #[test]
    fn old_trees_are_recognised() {
        let files = [
            (".openshift/action_hooks/README.md", "text"),
            (
                ".openshift/action_hooks/deploy",
                "#!/bin/bash\r\nset -e\r\nrhc app show\r\n",
            ),
            (".openshift/action_hooks/pre_start_python-2.7*", ""),
            (".openshift/cron/README.cron", "text"),
            (".openshift/cron/hourly/.gitignore", ""),
            (".openshift/cron/hourly/job*", "#!/bin/bash\ntrue\n"),
            (".openshift/cron/weekly/jobs.allow", "#\n"),
        ];
        insta::assert_snapshot!(findings(&files), @"
        .openshift/action_hooks/deploy: warning: hooks of OpenShift V2 are not run where they are; `openshifter v2 convert` moves them
        .openshift/action_hooks/deploy:1: warning: Windows line ends (CRLF), so the interpreter is not found (status 127); convert it to plain line ends
        .openshift/action_hooks/deploy:3: warning: `rhc` is V2's client; use oc from outside
        .openshift/action_hooks/pre_start_python-2.7: warning: hooks of OpenShift V2 are not run where they are; `openshifter v2 convert` moves them. It has no place in V3; put exports into deploy_env, and commands into deploy
        .openshift/action_hooks/pre_start_python-2.7: warning: has no `#!` line; bash runs this file
        .openshift/cron/hourly/job: warning: jobs of OpenShift V2 are not run where they are; `openshifter v2 convert` moves them
        ");
    }

    #[test]
    fn a_runner_in_the_tree_is_there() {
        let run = (
            ".s2i/bin/run",
            "#!/bin/bash\n# .s2i/runner/other\nexec \"$S2I_SOURCE_PATH/.s2i/runner/openshifter-image\" run\n",
        );
        insta::assert_snapshot!(findings(&[run]), @".s2i/bin/run:3: warning: `.s2i/runner/openshifter-image` is not in the tree; unless something puts it there, this line fails");
        let runner = (".s2i/runner/openshifter-image*", "\x7fELF");
        insta::assert_snapshot!(findings(&[run, runner]), @"");
        let program = (".s2i/bin/run*", "\x7fELF .s2i/runner/\r\n");
        insta::assert_snapshot!(findings(&[program]), @"");
        let former = (".s2i/runner/powershift", "#!/bin/sh\n");
        insta::assert_snapshot!(findings(&[former]), @".s2i/runner/powershift: warning: is not executable, so that no hook finds it: chmod +x .s2i/runner/powershift, and with git: git update-index --chmod=+x .s2i/runner/powershift");
    }

    #[test]
    fn line_ends_of_windows_in_what_the_runner_is_called_by() {
        let run = |text| findings(&[(".s2i/bin/run", text)]);
        insta::assert_snapshot!(run("#!/bin/bash\r\nexec openshifter-image run\r\n"), @".s2i/bin/run:1: error: Windows line ends (CRLF): it cannot be run; convert it to plain line ends");
        insta::assert_snapshot!(run("#!/bin/bash\nexec openshifter-image run\r\n"), @".s2i/bin/run:2: warning: ends as lines on Windows do (CRLF), which a shell takes for part of its last word; convert the file to plain line ends");
    }

    #[test]
    fn converted_trees_keep_old_hooks_for_reference() {
        let files = [
            (".openshift/action_hooks/deploy*", ""),
            (".s2i/openshifter.json", "{}"),
        ];
        insta::assert_snapshot!(findings(&files), @"");
    }

    #[test]
    fn a_runner_that_stays_calls_post_deploy() {
        let hook = (".s2i/action_hooks/post_deploy*", "#!/bin/bash\nset -e\n");
        let assemble = (".s2i/bin/assemble", "exec openshifter-image assemble\n");
        let run = |text| findings(&[hook, assemble, (".s2i/bin/run", text)]);
        insta::assert_snapshot!(run("#!/bin/bash\nexec openshifter-image --init run\n"), @"");
        insta::assert_snapshot!(run("#!/bin/bash\n# not --init\nexec openshifter-image run\n"), @".s2i/action_hooks/post_deploy: warning: is run under `--init` only, once the application answers: `exec powershift image --init run`");
    }

    #[test]
    fn json_is_one_object_a_line() {
        let finding = Finding {
            path: "a".into(),
            line: Some(3),
            severity: Severity::Warning,
            message: "\"b\"".into(),
        };
        insta::assert_snapshot!(as_json(&finding), @r#"{"path":"a","line":3,"severity":"warning","message":"\"b\""}"#);
    }
}
