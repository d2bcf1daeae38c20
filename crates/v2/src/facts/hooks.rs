//! Action hooks: scripts that V2 called at its moments.

use serde::Serialize;

use crate::shell;
use crate::tree::Tree;

/// What became of a hook in V2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookState {
    /// It ran and did something.
    Live,
    /// It holds comments only.
    Empty,
    /// It was not executable, so V2 passed over it.
    NotExecutable,
}

/// An action hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hook {
    /// Its name, as in `deploy` or `pre_start_python`.
    pub name: String,
    /// Its path.
    pub path: String,
    /// What became of it.
    pub state: HookState,
    /// The program of its `#!`, if that is no shell.
    pub interpreter: Option<String>,
}

/// Where hooks of V2 are.
pub(crate) const FOLDER: &str = ".openshift/action_hooks";

/// Hooks that belong to one cartridge were sourced, so they ran without being executable.
pub(crate) fn is_sourced(name: &str) -> bool {
    ["pre_", "post_"].iter().any(|when| name.starts_with(when))
        && ["start_", "stop_", "restart_", "reload_", "tidy_"]
            .iter()
            .any(|what| name.contains(what))
}

pub(super) fn hooks(tree: &Tree) -> Vec<Hook> {
    tree.files_in(FOLDER)
        .into_iter()
        .filter(|(name, _)| {
            !name.starts_with('.')
                && !name.starts_with("README")
                && !name.ends_with(".md")
                && !name.ends_with('~')
        })
        .map(|(name, file)| {
            let text = file
                .content
                .as_deref()
                .map(|content| String::from_utf8_lossy(content).into_owned());
            let interpreter = text.as_deref().and_then(interpreter);
            let does = interpreter.is_some() || text.as_deref().is_none_or(shell::does_something);
            let state = if !does {
                HookState::Empty
            } else if !file.executable && !is_sourced(name) {
                HookState::NotExecutable
            } else {
                HookState::Live
            };
            Hook {
                name: name.to_owned(),
                path: format!("{FOLDER}/{name}"),
                state,
                interpreter,
            }
        })
        .collect()
}

/// The program after `#!`, unless it is a shell.
pub(crate) fn interpreter(text: &str) -> Option<String> {
    let line = text.lines().next()?.strip_prefix("#!")?;
    let mut words = line.split_whitespace();
    let mut program = words.next()?.rsplit('/').next().unwrap_or_default();
    if program == "env" {
        program = words.next().unwrap_or_default();
    }
    (!matches!(program, "sh" | "bash" | "dash" | "ksh" | "zsh" | "")).then(|| program.to_owned())
}
