//! File actions, and the draft that they are collected in.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::tree::{Node, Tree};

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionKind {
    /// It is new.
    Create,
    /// Its content changes.
    Edit,
    /// It gets another name.
    Rename,
    /// It goes.
    Delete,
    /// It becomes executable.
    Mode,
}

impl ActionKind {
    /// As people read it.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Edit => "edit",
            Self::Rename => "rename",
            Self::Delete => "delete",
            Self::Mode => "make executable",
        }
    }
}

/// Why a file is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The rule that asks for it, or `convert`.
    pub rule: &'static str,
    /// The line in the original.
    pub line: Option<usize>,
    /// What is done and why.
    pub text: String,
}

/// One change of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Action {
    /// The file in the result.
    pub path: String,
    /// What is done.
    pub kind: ActionKind,
    /// Its name before, when it is renamed.
    pub from: Option<String>,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Whether it is executable in the result.
    pub executable: bool,
    /// Its content before.
    #[serde(skip)]
    pub(crate) before: Option<Vec<u8>>,
    /// Its content in the result.
    #[serde(skip)]
    pub(crate) after: Option<Vec<u8>>,
    /// Whether it was executable.
    #[serde(skip)]
    pub(crate) was_executable: bool,
    /// Where it pointed, when a symbolic link goes.
    #[serde(skip)]
    pub(crate) link: Option<String>,
}

impl Action {
    /// The file, with its former name.
    pub fn title(&self) -> String {
        match &self.from {
            Some(from) => format!("{from} -> {}", self.path),
            None => self.path.clone(),
        }
    }
}

/// Collects actions.
pub(super) struct Draft<'a> {
    pub(super) tree: &'a Tree,
    actions: BTreeMap<String, Action>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        Self {
            tree,
            actions: BTreeMap::new(),
        }
    }

    /// A file of the conversion's own. One that is there already stays as it is, whatever is in it; `false` then.
    pub(super) fn create(
        &mut self,
        path: &str,
        content: impl Into<Vec<u8>>,
        executable: bool,
        why: impl Into<String>,
    ) -> bool {
        if self
            .tree
            .node(path)
            .is_some_and(|node| !matches!(node, Node::EmptyFolder))
            || self.actions.contains_key(path)
        {
            return false;
        }
        self.actions.insert(
            path.to_owned(),
            Action {
                path: path.to_owned(),
                kind: ActionKind::Create,
                from: None,
                reasons: vec![Reason {
                    rule: "convert",
                    line: None,
                    text: why.into(),
                }],
                executable,
                before: None,
                after: Some(content.into()),
                was_executable: false,
                link: None,
            },
        );
        true
    }

    /// Another content for a file, or a new file where there is none. Nothing when it has that content already.
    pub(super) fn put(&mut self, path: &str, content: impl Into<Vec<u8>>, reasons: Vec<Reason>) {
        let content = content.into();
        if let Some(action) = self.actions.get_mut(path) {
            action.after = Some(content);
            action.reasons.extend(reasons);
            return;
        }
        let file = self.tree.file(path);
        if file.and_then(|file| file.content.as_ref()) == Some(&content) {
            return;
        }
        let executable = file.is_some_and(|file| file.executable);
        self.actions.insert(
            path.to_owned(),
            Action {
                path: path.to_owned(),
                kind: if file.is_some() {
                    ActionKind::Edit
                } else {
                    ActionKind::Create
                },
                from: None,
                reasons,
                executable,
                before: file.and_then(|file| file.content.clone()),
                after: Some(content),
                was_executable: executable,
                link: None,
            },
        );
    }

    /// Another name for a file, edited or not.
    pub(super) fn rename(&mut self, from: &str, to: &str, reason: Reason) {
        let Some(file) = self.tree.file(from) else {
            return;
        };
        let edited = self.actions.remove(from);
        let after = edited
            .as_ref()
            .and_then(|action| action.after.clone())
            .or_else(|| file.content.clone());
        let mut reasons = vec![reason];
        reasons.extend(edited.into_iter().flat_map(|action| action.reasons));
        self.actions.insert(
            to.to_owned(),
            Action {
                path: to.to_owned(),
                kind: ActionKind::Rename,
                from: Some(from.to_owned()),
                reasons,
                executable: file.executable,
                before: file.content.clone(),
                after,
                was_executable: file.executable,
                link: None,
            },
        );
    }

    /// A symbolic link that goes.
    pub(super) fn unlink(&mut self, path: &str, target: &str, reason: Reason) {
        self.actions.insert(
            path.to_owned(),
            Action {
                path: path.to_owned(),
                kind: ActionKind::Delete,
                from: None,
                reasons: vec![reason],
                executable: false,
                before: None,
                after: None,
                was_executable: false,
                link: Some(target.to_owned()),
            },
        );
    }

    /// The executable bit for a file that lacks it.
    pub(super) fn make_executable(&mut self, path: &str, reason: Reason) {
        let Some(file) = self.tree.file(path) else {
            return;
        };
        if file.executable {
            return;
        }
        self.actions
            .entry(path.to_owned())
            .or_insert_with(|| Action {
                path: path.to_owned(),
                kind: ActionKind::Mode,
                from: None,
                reasons: vec![reason],
                executable: true,
                before: file.content.clone(),
                after: file.content.clone(),
                was_executable: false,
                link: None,
            });
    }

    /// Whether the result has that file.
    pub(super) fn has(&self, path: &str) -> bool {
        self.actions
            .get(path)
            .map_or_else(|| self.tree.is_file(path), |action| action.after.is_some())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    pub(super) fn actions(&self) -> impl Iterator<Item = &Action> {
        self.actions.values()
    }

    pub(super) fn finish(self) -> Vec<Action> {
        self.actions.into_values().collect()
    }
}
