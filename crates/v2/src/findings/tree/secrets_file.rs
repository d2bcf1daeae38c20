//! Secrets that are made once and kept in the data directory.

use crate::findings::{Check, Rule, Severity, TreeContext};

pub(super) const RULE: Rule = Rule {
    id: "secrets-file",
    title: "secrets kept in a file",
    why: "V2's hook left an empty file behind when it failed and never tried again; and an application that cannot read the file goes on with a key that everybody knows",
    check: Check::Tree(check),
};

/// What makes a file of secrets: the script and the file, as a deploy hook of V2 wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Maker {
    /// The hook's line.
    pub(crate) line: usize,
    /// What stands before it on its line.
    pub(crate) before: String,
    /// The command without its redirection.
    pub(crate) command: String,
    /// The file, as the shell reads it.
    pub(crate) file: String,
    /// What follows on its line.
    pub(crate) after: String,
}

/// Finds `python …secrets.py > …secrets.json` in a hook.
pub(crate) fn maker(text: &str) -> Option<Maker> {
    text.lines().enumerate().find_map(|(at, line)| {
        if line.trim_start().starts_with('#') || !line.contains("python") {
            return None;
        }
        let (left, right) = line.split_once('>')?;
        // What stands before the command on its line decides whether it runs.
        let start = ["then ", "else ", "do ", "|| ", "; "]
            .iter()
            .filter_map(|word| left.rfind(word).map(|at| at + word.len()))
            .max()
            .unwrap_or(0);
        let (before, command) = left.split_at_checked(start)?;
        let right = right.trim_start();
        let end = right
            .find(|c: char| c.is_whitespace() || c == ';')
            .unwrap_or(right.len());
        let (file, after) = right.split_at_checked(end)?;
        (command.contains("python")
            && command.contains(".py")
            && file.contains("secret")
            && !file.starts_with('&'))
        .then(|| Maker {
            line: at + 1,
            before: before.trim().to_owned(),
            command: command.trim().to_owned(),
            file: file.to_owned(),
            after: after.trim().to_owned(),
        })
    })
}

fn check(tree: &TreeContext<'_>) {
    for hook in &tree.facts.hooks {
        let Some(text) = tree.tree.text(&hook.path) else {
            continue;
        };
        if let Some(maker) = maker(&text) {
            tree.add(
                RULE.finding(
                    Severity::Blocker,
                    Some(&hook.path),
                    Some(maker.line),
                    "secrets are written straight into their file",
                )
                .convert("makes them in a file beside it that is moved into place when it is whole, readable for the group, and lets the start fail when they cannot be read"),
            );
        }
    }
}
