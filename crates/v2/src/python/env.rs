//! Where a Python file reads environment variables.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tree_sitter::Node;

use super::syntax::{Py, visit};
use super::view::{Call, children};

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
                    && let Some(name) = py.string(key)
                    && !is_written(node)
                {
                    add(name, Access::Required, node, &mut found);
                }
            }
            "call" => {
                if let Some((name, access)) = known.read_by_call(py, node) {
                    add(name, access, node, &mut found);
                }
            }
            "comparison_operator" => {
                let parts = children(node);
                if let [left, right] = parts.as_slice()
                    && known.is_environ(py, *right)
                    && let Some(name) = py.string(*left)
                {
                    add(name, Access::Asked, node, &mut found);
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

/// What the environment is called in a file.
struct Known {
    environs: BTreeSet<String>,
    getenvs: BTreeSet<String>,
    /// Objects of django-environ: functions that fail without the variable.
    envs: BTreeSet<String>,
    /// Functions of the file that read the variable whose name they are given, and what they do without it.
    helpers: Vec<(String, Access)>,
}

impl Known {
    fn of(py: &Py<'_>) -> Self {
        let mut known = Self {
            // A bare `environ` is the request's in WSGI applications, unless it was imported.
            environs: ["os.environ"].map(str::to_owned).into(),
            getenvs: ["os.getenv"].map(str::to_owned).into(),
            envs: BTreeSet::new(),
            helpers: Vec::new(),
        };
        for import in py.imports() {
            match import.from.as_ref().map(|(module, _)| module.as_str()) {
                Some("os") => {
                    for name in &import.names {
                        match name.name.as_str() {
                            "environ" => known.environs.insert(name.known_as().to_owned()),
                            "getenv" => known.getenvs.insert(name.known_as().to_owned()),
                            _ => false,
                        };
                    }
                }
                Some("decouple") => {
                    for name in import.names.iter().filter(|name| name.name == "config") {
                        known.envs.insert(name.known_as().to_owned());
                    }
                }
                Some("environ") => {
                    for name in import.names.iter().filter(|name| name.name == "Env") {
                        known.envs.insert(format!("{}()", name.known_as()));
                    }
                }
                None => {
                    for name in &import.names {
                        match name.name.as_str() {
                            "decouple" => {
                                known.envs.insert(format!("{}.config", name.known_as()));
                            }
                            "environ" => {
                                known.envs.insert(format!("{}.Env()", name.known_as()));
                            }
                            _ => {}
                        }
                    }
                    for name in import.names.iter().filter(|name| name.name == "os") {
                        known
                            .environs
                            .insert(format!("{}.environ", name.known_as()));
                        known.getenvs.insert(format!("{}.getenv", name.known_as()));
                    }
                }
                Some(_) => {}
            }
        }
        for assign in py.assignments() {
            if let Some(value) = assign.value
                && known.is_environ(py, value)
            {
                known.environs.insert(assign.name.to_owned());
            }
            // `env = environ.Env(…)`
            if let Some(value) = assign.value
                && let Some(call) = py.call(value)
                && known.envs.contains(&format!("{}()", call.name))
            {
                known.envs.insert(assign.name.to_owned());
            }
        }
        known.find_helpers(py);
        known
    }

    fn is_environ(&self, py: &Py<'_>, node: Node<'_>) -> bool {
        py.dotted(node)
            .is_some_and(|name| self.environs.contains(&name))
    }

    fn find_helpers(&mut self, py: &Py<'_>) {
        let mut helpers = Vec::new();
        visit(py.root(), &mut |node| {
            if node.kind() != "function_definition" {
                return true;
            }
            let parts = (
                node.child_by_field_name("name"),
                node.child_by_field_name("parameters")
                    .and_then(|parameters| children(parameters).first().copied()),
                node.child_by_field_name("body"),
            );
            let (Some(name), Some(first), Some(body)) = parts else {
                return true;
            };
            let parameter = match first.kind() {
                "identifier" => py.text(first),
                "default_parameter" | "typed_parameter" => first
                    .child_by_field_name("name")
                    .or_else(|| first.named_child(0))
                    .map(|name| py.text(name))
                    .unwrap_or_default(),
                _ => return true,
            };
            let mut access = None;
            visit(body, &mut |inner| {
                let key_is =
                    |key: Option<Node<'_>>| key.is_some_and(|key| py.text(key) == parameter);
                if inner.kind() == "subscript"
                    && inner
                        .child_by_field_name("value")
                        .is_some_and(|object| self.is_environ(py, object))
                    && key_is(inner.child_by_field_name("subscript"))
                {
                    access = Some(Access::Required);
                } else if let Some(call) = py.call(inner)
                    && (self.getenvs.contains(&call.name)
                        || call
                            .name
                            .strip_suffix(".get")
                            .is_some_and(|object| self.environs.contains(object)))
                    && key_is(call.positional.first().copied())
                {
                    access = access.or(Some(Access::Empty));
                }
                true
            });
            if let Some(access) = access {
                helpers.push((py.text(name).to_owned(), access));
            }
            true
        });
        self.helpers = helpers;
    }

    fn read_by_call(&self, py: &Py<'_>, node: Node<'_>) -> Option<(String, Access)> {
        let call = py.call(node)?;
        if let Some(address) = self.of_environ(py, &call) {
            return Some(address);
        }
        let name = py.string(*call.positional.first()?)?;
        let has_default = call.positional.len() > 1
            || call
                .keyword("default")
                .is_some_and(|value| value.kind() != "none");
        let by_default = if has_default {
            Access::Default
        } else {
            Access::Empty
        };
        if self.getenvs.contains(&call.name) {
            return Some((name, by_default));
        }
        if let Some((object, method)) = call.name.rsplit_once('.')
            && self.environs.contains(object)
        {
            return match method {
                "get" => Some((name, by_default)),
                "pop" if has_default => Some((name, Access::Default)),
                "pop" => Some((name, Access::Required)),
                "has_key" | "__contains__" => Some((name, Access::Asked)),
                "setdefault" => Some((name, Access::Default)),
                _ => None,
            };
        }
        let (_, access) = self
            .helpers
            .iter()
            .find(|(helper, _)| *helper == call.name)?;
        Some((
            name,
            if has_default {
                Access::Default
            } else {
                *access
            },
        ))
    }

    /// `config('X')` of decouple, `env('X')`, `env.bool('X')` and `env.db()` of django-environ.
    fn of_environ(&self, py: &Py<'_>, call: &Call<'_>) -> Option<(String, Access)> {
        let function = match py.call(call.function) {
            // `environ.Env()('X')`
            Some(made) => format!("{}()", made.name),
            None => call.name.clone(),
        };
        let method = if self.envs.contains(&function) {
            ""
        } else {
            let (object, method) = function.rsplit_once('.')?;
            self.envs.contains(object).then_some(method)?
        };
        if ["read_env", "Env", "prefixed"].contains(&method) {
            return None;
        }
        let has_default = call.positional.len() > 1 || call.keyword("default").is_some();
        let access = if has_default {
            Access::Default
        } else {
            Access::Required
        };
        let name = match (call.positional.first(), method) {
            (Some(first), _) => py.string(*first)?,
            (None, "db" | "db_url") => "DATABASE_URL".to_owned(),
            (None, "cache" | "cache_url") => "CACHE_URL".to_owned(),
            (None, "email" | "email_url") => "EMAIL_URL".to_owned(),
            _ => return None,
        };
        Some((name, access))
    }
}
