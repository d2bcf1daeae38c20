//! Where a Python file reads environment variables.

mod known;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tree_sitter::Node;

use self::known::{Known, between};
use super::syntax::{Py, visit};
use super::view::children;

/// What happens when the variable is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// The program fails: `os.environ['X']`, `${X?}`.
    Required,
    /// The program goes on with nothing: `os.environ.get('X')`, `$X`.
    Empty,
    /// The program has a value of its own: `os.environ.get('X', 'y')`, `${X:-y}`.
    Default,
    /// It is only asked whether it is set: `'X' in os.environ`.
    Asked,
    /// It occurs in a way that could not be told.
    Mentioned,
}

/// One place that reads a variable.
#[derive(Debug, Clone)]
pub(crate) struct EnvRead<'t> {
    pub(crate) name: String,
    pub(crate) access: Access,
    pub(crate) node: Node<'t>,
    pub(crate) line: usize,
    /// Whether the name is only the pattern of names that are put together, as in `OPENSHIFT_%s_DB_HOST`.
    pub(crate) partial: bool,
}

/// Whether a text is the pattern of V2's names, and none of them.
fn is_pattern(text: &str) -> bool {
    text.starts_with("OPENSHIFT_")
        && (text.ends_with('_') || text.contains(['%', '{']))
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_%{}().[]!:".contains(c))
}

/// All the variables that a file reads by a name that is written out, and the patterns of those that are put together.
pub(crate) fn env_reads<'t>(py: &'t Py<'_>) -> Vec<EnvRead<'t>> {
    let known = Known::of(py);
    let mut found: Vec<EnvRead<'t>> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut add = |name: String, access: Access, node: Node<'t>, found: &mut Vec<EnvRead<'t>>| {
        let partial = is_pattern(&name);
        if (is_name(&name) || partial) && seen.insert((node.start_byte(), name.clone())) {
            found.push(EnvRead {
                name,
                access,
                line: py.line(node),
                node,
                partial,
            });
        }
    };
    visit(py.root(), &mut |node| {
        match node.kind() {
            "subscript" => {
                let object = node.child_by_field_name("value");
                let key = node.child_by_field_name("subscript");
                if let (Some(object), Some(key)) = (object, key)
                    && known.is_environ(py, object)
                    && !is_written(node)
                {
                    for name in known.names(py, key) {
                        add(name, Access::Required, node, &mut found);
                    }
                }
            }
            "call" => {
                for (name, access) in known.read_by_call(py, node) {
                    add(name, access, node, &mut found);
                }
                for (name, access) in known.read_by_text(py, node) {
                    add(name, access, node, &mut found);
                }
            }
            // `'%(NAME)s' % os.environ`
            "binary_operator" => {
                if let (Some(left), Some(right)) = (
                    node.child_by_field_name("left"),
                    node.child_by_field_name("right"),
                ) && known.is_environ(py, right)
                    && let Some(text) = py.string(left)
                {
                    for name in between(&text, "%(", ")") {
                        add(name, Access::Required, node, &mut found);
                    }
                }
            }
            "comparison_operator" => {
                let parts = children(node);
                if let [left, right] = parts.as_slice()
                    && known.is_environ(py, *right)
                {
                    for name in known.names(py, *left) {
                        add(name, Access::Asked, node, &mut found);
                    }
                }
            }
            // Names that are put together or kept in tables are at least mentioned.
            "string" => {
                let text = py.text(node);
                if text.contains("OPENSHIFT_")
                    && let Some(value) = py.string(node).or_else(|| py.written(node))
                    && value.starts_with("OPENSHIFT_")
                    && !found
                        .iter()
                        .any(|read| read.node.byte_range().contains(&node.start_byte()))
                    && !node.parent().is_some_and(|parent| is_written(parent))
                {
                    add(value, Access::Mentioned, node, &mut found);
                }
            }
            _ => {}
        }
        true
    });
    found
}

/// A name that a variable may have.
pub(crate) fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The left side of an assignment.
fn is_written(node: Node<'_>) -> bool {
    node.parent().is_some_and(|parent| {
        (parent.kind() == "assignment" && parent.child_by_field_name("left") == Some(node))
            || parent.kind() == "delete_statement"
    })
}
