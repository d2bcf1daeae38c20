//! What the program said, for snapshots.

use std::fmt::Write as _;

use crate::support::{Ran, Tool};

/// Adds status and messages of a command, as a person sees them.
#[track_caller]
pub(crate) fn show(text: &mut String, title: &str, ran: &Ran) {
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    assert_eq!(ran.stdout, "", "{title}");
    // Progress is not what this is about.
    let said: Vec<&str> = ran
        .stderr
        .lines()
        .filter(|line| !line.starts_with("- "))
        .collect();
    let status = ran.status.expect("it ended by itself");
    writeln!(text, "{title}: {status}\n{}\n", said.join("\n")).expect("it is a string");
}

/// What differs from run to run.
pub(crate) fn filters(tool: &Tool) -> Vec<(String, &'static str)> {
    vec![
        (tool.folder().to_string_lossy().into_owned(), "[folder]"),
        (r"127\.0\.0\.1:\d+".to_owned(), "[address]"),
        (r"\b[0-9]{8}-[0-9]{6}-[0-9a-f]+\b".to_owned(), "[run]"),
        (r"\b[0-9a-f]{64}\b".to_owned(), "[sha256]"),
        (r"column \d+".to_owned(), "column [n]"),
        (r"after \d+ bytes".to_owned(), "after [n] bytes"),
        (r"\(\d+\.\d s\)".to_owned(), "([seconds])"),
    ]
}

/// Compares with an inline snapshot, what differs from run to run aside.
macro_rules! shows {
    ($tool:expr, $text:expr, @$snapshot:literal) => {
        let filters = crate::support::filters(&$tool);
        let filters: Vec<(&str, &str)> = filters.iter().map(|(what, by)| (what.as_str(), *by)).collect();
        insta::with_settings!({filters => filters}, {
            insta::assert_snapshot!($text, @$snapshot);
        });
    };
}

pub(crate) use shows;
