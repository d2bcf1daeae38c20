//! All that can be seen of a command from outside, in a form that two runners can be compared by.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use crate::image::Image;

/// What was seen of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Who was called with what.
    pub(crate) events: String,
    /// The files in the application's root and the upload.
    pub(crate) tree: String,
}

impl Seen {
    pub(crate) fn of(image: &Image, output: &Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: help(String::from_utf8_lossy(&output.stdout).into_owned()),
            stderr: complaints(&String::from_utf8_lossy(&output.stderr)),
            events: events(&image.events()),
            tree: tree(image),
        }
    }

    /// Expects a file at another place.
    pub(crate) fn move_file(&mut self, from: &str, to: &str) {
        let moved = |line: &str| match line.strip_prefix(from) {
            Some(rest) if rest.starts_with(' ') => format!("{to}{rest}"),
            _ => line.to_owned(),
        };
        let mut lines: Vec<String> = self.tree.lines().map(moved).collect();
        lines.sort();
        self.tree = lines.join("\n");
    }

    /// Expects that a file is not there.
    pub(crate) fn without_file(&mut self, name: &str) {
        let start = format!("{name} ");
        let kept: Vec<&str> = self
            .tree
            .lines()
            .filter(|line| !line.starts_with(&start))
            .collect();
        self.tree = kept.join("\n");
    }

    /// Both, side by side, for a test that fails.
    pub(crate) fn differences(&self, other: &Self) -> String {
        let mut text = String::new();
        let mut part = |name: &str, one: &str, other: &str| {
            if one != other {
                text.push_str(&format!(
                    "--- {name}, expected:\n{one}\n--- {name}, ours:\n{other}\n"
                ));
            }
        };
        part(
            "status",
            &format!("{:?}", self.status),
            &format!("{:?}", other.status),
        );
        part("stdout", &self.stdout, &other.stdout);
        part("stderr", &self.stderr, &other.stderr);
        part("events", &self.events, &other.events);
        part("tree", &self.tree, &other.tree);
        text
    }
}

/// Each runner has a help text of its own.
fn help(stdout: String) -> String {
    let starts = ["Usage: powershift image ", "The action-hook runner "];
    if starts.iter().any(|start| stdout.starts_with(start)) {
        "(help)\n".into()
    } else {
        stdout
    }
}

/// Standard error without what each runner says in its own words: bash in the name of one of the original's scripts or of
/// ours, about programs that do not start; click about the usage. The statuses tell those apart. What both say of a child that
/// a signal has ended is brought into one form.
fn complaints(stderr: &str) -> String {
    if stderr.starts_with("Usage: ") || stderr.contains("ERROR: `--help` lists") {
        return String::new();
    }
    let ours = |line: &str| {
        let error = [": not found", " is empty"]
            .iter()
            .any(|end| line.ends_with(end))
            || line.contains(": cannot be run: ");
        (line.starts_with("ERROR: ") && error) || line.starts_with("powershift: line ")
    };
    let original =
        |line: &str| line.contains("/powershift/image/scripts/") && killed(line).is_none();
    // The image has no nss_wrapper; the dynamic linker says so for every program.
    let linker = |line: &str| line.contains("LD_PRELOAD cannot be preloaded");
    let kept = stderr
        .lines()
        .filter(|line| !(ours(line) || original(line) || linker(line)));
    let form = |line: &str| killed(line).unwrap_or_else(|| line.to_owned());
    kept.map(|line| form(line) + "\n").collect()
}

/// The signal that a line says has ended a child.
fn killed(line: &str) -> Option<String> {
    let ours = line
        .strip_prefix("ERROR: Script ")
        .and_then(|line| line.split_once(" was ended by signal "))
        .and_then(|(_, signal)| signal.split_once(' '))
        .map(|(number, _)| number);
    // `.../scripts/run: line 75:     4 Killed                  "$1"`, and for one signal the last word alone.
    let original = || {
        if line == "Terminated" {
            return Some("15");
        }
        let (script, said) = line.split_once(": line ")?;
        let (_, said) = said.split_once(": ")?;
        let (pid, said) = said.trim_start().split_once(' ')?;
        pid.parse::<u32>().ok()?;
        let names = [
            ("Killed", "9"),
            ("Terminated", "15"),
            ("Segmentation fault", "11"),
            ("Aborted", "6"),
            ("Hangup", "1"),
            ("User defined signal 1", "10"),
        ];
        let (_, number) = names.iter().find(|(name, _)| said.starts_with(name))?;
        script.contains("/scripts/").then_some(*number)
    };
    Some(format!(
        "(a child was ended by signal {})",
        ours.or_else(original)?
    ))
}

/// The notes without what is a time.
fn events(events: &str) -> String {
    let line = |line: &str| match line.strip_prefix("S2I_MARKERS_ENVIRON=") {
        Some(value) if !value.is_empty() => "S2I_MARKERS_ENVIRON=(set)\n".to_owned(),
        _ => format!("{line}\n"),
    };
    events.lines().map(line).collect()
}

fn tree(image: &Image) -> String {
    let mut lines = Vec::new();
    for folder in ["app/src", "app/etc", "tmp"] {
        walk(&image.at(folder), folder, &mut lines);
    }
    lines.sort();
    lines.join("\n")
}

fn walk(path: &Path, name: &str, lines: &mut Vec<String>) {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return;
    };
    let content = if metadata.is_symlink() {
        format!(" -> {}", fs::read_link(path).unwrap().display())
    } else if metadata.is_file() {
        format!(
            " {}",
            fs::read_to_string(path).unwrap_or_default().escape_debug()
        )
    } else {
        String::new()
    };
    lines.push(format!(
        "{name} {:o}{content}",
        metadata.permissions().mode()
    ));
    if metadata.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            let child = format!("{name}/{}", entry.file_name().to_string_lossy());
            walk(&entry.path(), &child, lines);
        }
    }
}
