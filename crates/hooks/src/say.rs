//! What the runner prints: banners on standard output, `ERROR:` lines and the structured log on standard error.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::clock;
use crate::error::Error;

/// A line of progress. Written at once, since the next thing to write may be another program.
pub(crate) fn banner(text: &str) {
    // Nobody listening is no reason to stop.
    let _ = std::io::stdout().write_all(format!(" -----> {text}\n").as_bytes());
}

/// A plain line on standard output.
pub(crate) fn line(text: &str) {
    let _ = std::io::stdout().write_all(format!("{text}\n").as_bytes());
}

/// A line on standard error, in the original's form.
pub(crate) fn error(text: &str) {
    complain("ERROR", "error", text);
}

/// A line on standard error about something that goes on nevertheless.
pub(crate) fn warning(text: &str) {
    complain("WARNING", "warning", text);
}

/// Whether standard error is read by a program: set once, by `--log json`.
static JSON: AtomicBool = AtomicBool::new(false);

/// From now on, all that the runner says on standard error is JSON.
pub(crate) fn as_json() {
    JSON.store(true, Ordering::Relaxed);
}

fn complain(word: &str, key: &str, text: &str) {
    let line = if JSON.load(Ordering::Relaxed) {
        complaint(key, text, clock::now_micros())
    } else {
        format!("{word}: {text}\n")
    };
    let _ = std::io::stderr().write_all(line.as_bytes());
}

fn complaint(key: &str, text: &str, now: u128) -> String {
    let time = clock::as_rfc3339(now);
    format!("{{\"time\":\"{time}\",\"{key}\":{}}}\n", quoted(text))
}

/// An error with its causes, in one line.
pub(crate) fn failure(failure: &Error) {
    let mut text = failure.to_string();
    let mut source = std::error::Error::source(failure);
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    error(&text);
}

/// Writes one JSON object per step on standard error, with `--log json`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log {
    pub(crate) json: bool,
}

/// One step that ended, or the one that the process becomes.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    pub(crate) step: &'static str,
    pub(crate) path: &'a Path,
    /// When it began, in microseconds since the epoch.
    pub(crate) began: u128,
    /// None for a program that this process becomes.
    pub(crate) status: Option<u8>,
}

impl Log {
    pub(crate) fn event(self, event: &Event<'_>) {
        if self.json {
            let now = clock::now_micros();
            let _ = std::io::stderr().write_all(render(event, now).as_bytes());
        }
    }
}

fn render(event: &Event<'_>, now: u128) -> String {
    let mut text = format!(
        "{{\"time\":\"{}\",\"step\":\"{}\",\"path\":{}",
        clock::as_rfc3339(now),
        event.step,
        quoted(&event.path.to_string_lossy())
    );
    if let Some(status) = event.status {
        let micros = now.saturating_sub(event.began);
        let _ = write!(
            text,
            ",\"seconds\":{}.{:06},\"status\":{status}",
            micros / 1_000_000,
            micros % 1_000_000
        );
    }
    text.push_str("}\n");
    text
}

/// A JSON string.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            char if u32::from(char) < 0x20 => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(char));
            }
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_one_object_in_one_line() {
        let event = Event {
            step: "hook",
            path: Path::new("/a \"b\"\n"),
            began: 1_000_000,
            status: Some(3),
        };
        insta::assert_snapshot!(
            render(&event, 2_250_000),
            @r#"{"time":"1970-01-01T00:00:02.250Z","step":"hook","path":"/a \"b\"\n","seconds":1.250000,"status":3}"#
        );
    }
}
