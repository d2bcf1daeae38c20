//! What the environment and its variables are called in a file.

use std::collections::{BTreeMap, BTreeSet};

use tree_sitter::Node;

use super::Access;
use crate::python::syntax::{Py, visit};
use crate::python::view::{Call, children};

/// What the environment is called in a file.
pub(super) struct Known {
    environs: BTreeSet<String>,
    getenvs: BTreeSet<String>,
    /// Objects of django-environ: functions that fail without the variable.
    envs: BTreeSet<String>,
    /// Functions of the file that read the variable whose name they are given, and what they do without it.
    helpers: Vec<(String, Access)>,
    /// Names of the module that stand for texts, or for lists of them.
    values: BTreeMap<String, Vec<String>>,
}

impl Known {
    pub(super) fn of(py: &Py<'_>) -> Self {
        let mut known = Self {
            // A bare `environ` is the request's in WSGI applications, unless it was imported.
            environs: ["os.environ", "os.environb"].map(str::to_owned).into(),
            getenvs: ["os.getenv", "os.getenvb"].map(str::to_owned).into(),
            envs: BTreeSet::new(),
            helpers: Vec::new(),
            values: BTreeMap::new(),
        };
        for import in py.imports() {
            match import.from.as_ref().map(|(module, _)| module.as_str()) {
                Some("os") => {
                    for name in &import.names {
                        match name.name.as_str() {
                            "environ" | "environb" => {
                                known.environs.insert(name.known_as().to_owned())
                            }
                            "getenv" | "getenvb" => {
                                known.getenvs.insert(name.known_as().to_owned())
                            }
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
            if let Some(value) = assign.value {
                let texts = texts_of(py, value);
                if !texts.is_empty() {
                    known.values.insert(assign.name.to_owned(), texts);
                }
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

    /// The environment itself, or a copy of it: `dict(os.environ)`, `os.environ.copy()`.
    pub(super) fn is_environ(&self, py: &Py<'_>, node: Node<'_>) -> bool {
        if node.kind() == "call" {
            return py.call(node).is_some_and(|call| {
                let copied = call
                    .name
                    .strip_suffix(".copy")
                    .is_some_and(|object| self.environs.contains(object));
                let of = match (call.name.as_str(), call.positional.as_slice()) {
                    ("dict" | "copy.copy" | "copy.deepcopy", [only]) => Some(*only),
                    _ => None,
                };
                copied || of.is_some_and(|of| self.is_environ(py, of))
            });
        }
        py.dotted(node)
            .is_some_and(|name| self.environs.contains(&name))
    }

    /// What a key may be: a text, a name of the module that stands for one, or what a loop goes through.
    pub(super) fn names(&self, py: &Py<'_>, key: Node<'_>) -> Vec<String> {
        if let Some(name) = py.string(key) {
            return vec![name];
        }
        if key.kind() != "identifier" {
            return Vec::new();
        }
        let name = py.text(key);
        let mut at = key;
        while let Some(parent) = at.parent() {
            let clauses = match parent.kind() {
                "for_statement" => vec![parent],
                // The clauses of a comprehension stand beside what they are for.
                kind if kind.ends_with("_comprehension") || kind == "generator_expression" => {
                    children(parent)
                        .into_iter()
                        .filter(|child| child.kind() == "for_in_clause")
                        .collect()
                }
                "function_definition" if is_parameter(py, parent, name) => return Vec::new(),
                _ => Vec::new(),
            };
            for clause in clauses {
                if let (Some(left), Some(right)) = (
                    clause.child_by_field_name("left"),
                    clause.child_by_field_name("right"),
                ) && py.text(left) == name
                {
                    return match self.values.get(py.text(right)) {
                        Some(texts) if right.kind() == "identifier" => texts.clone(),
                        _ => texts_of(py, right),
                    };
                }
            }
            at = parent;
        }
        match self.values.get(name).map(Vec::as_slice) {
            Some([only]) => vec![only.clone()],
            _ => Vec::new(),
        }
    }

    /// Names within a text: `'{NAME}'.format(**os.environ)`, `os.path.expandvars('$NAME')`.
    pub(super) fn read_by_text(&self, py: &Py<'_>, node: Node<'_>) -> Vec<(String, Access)> {
        let Some(function) = node.child_by_field_name("function") else {
            return Vec::new();
        };
        let Some(arguments) = node.child_by_field_name("arguments") else {
            return Vec::new();
        };
        let method = function
            .child_by_field_name("attribute")
            .map_or_else(|| py.text(function), |name| py.text(name));
        let given = children(arguments);
        let mut found = Vec::new();
        match method {
            "format" | "format_map" => {
                let all = given.iter().any(|argument| match argument.kind() {
                    "dictionary_splat" => children(*argument)
                        .first()
                        .is_some_and(|inner| self.is_environ(py, *inner)),
                    _ => method == "format_map" && self.is_environ(py, *argument),
                });
                let text = function
                    .child_by_field_name("object")
                    .filter(|_| all)
                    .and_then(|object| py.string(object));
                for name in between(&text.unwrap_or_default(), "{", "}") {
                    let name = name.split([':', '!', '.', '[']).next().unwrap_or_default();
                    found.push((name.to_owned(), Access::Required));
                }
            }
            "expandvars" => visit(arguments, &mut |inner| {
                if let Some(text) = py.string(inner) {
                    for part in text.split('$').skip(1) {
                        let part = part.strip_prefix('{').unwrap_or(part);
                        let end = part
                            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                            .unwrap_or(part.len());
                        // Without the variable the text stays as it is.
                        found.push((
                            part.get(..end).unwrap_or_default().to_owned(),
                            Access::Empty,
                        ));
                    }
                    return false;
                }
                true
            }),
            _ => {}
        }
        found
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

    pub(super) fn read_by_call(&self, py: &Py<'_>, node: Node<'_>) -> Vec<(String, Access)> {
        let Some(call) = py.call(node) else {
            return Vec::new();
        };
        if let Some(address) = self.of_environ(py, &call) {
            return vec![address];
        }
        let Some(access) = self.access_of(py, &call) else {
            return Vec::new();
        };
        call.positional
            .first()
            .map(|key| self.names(py, *key))
            .unwrap_or_default()
            .into_iter()
            .map(|name| (name, access))
            .collect()
    }

    /// What a call that reads a variable does without it.
    fn access_of(&self, py: &Py<'_>, call: &Call<'_>) -> Option<Access> {
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
            return Some(by_default);
        }
        if call.function.kind() == "attribute"
            && let (Some(object), Some(method)) = (
                call.function.child_by_field_name("object"),
                call.function.child_by_field_name("attribute"),
            )
            && self.is_environ(py, object)
        {
            return match py.text(method) {
                "get" => Some(by_default),
                "pop" if has_default => Some(Access::Default),
                "pop" => Some(Access::Required),
                "has_key" | "__contains__" => Some(Access::Asked),
                "setdefault" => Some(Access::Default),
                _ => None,
            };
        }
        let (_, access) = self
            .helpers
            .iter()
            .find(|(helper, _)| *helper == call.name)?;
        Some(if has_default {
            Access::Default
        } else {
            *access
        })
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

/// The texts of a literal: one, or those of a list, tuple or set of nothing else.
fn texts_of(py: &Py<'_>, node: Node<'_>) -> Vec<String> {
    match node.kind() {
        "tuple" | "list" | "set" => {
            let items = children(node);
            let texts: Vec<String> = items.iter().filter_map(|item| py.string(*item)).collect();
            if texts.len() == items.len() {
                texts
            } else {
                Vec::new()
            }
        }
        "string" | "concatenated_string" => py.string(node).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// What stands between two marks, at each place where they are.
pub(super) fn between(text: &str, open: &str, close: &str) -> Vec<String> {
    text.split(open)
        .skip(1)
        .filter_map(|part| Some(part.split_once(close)?.0.to_owned()))
        .collect()
}

/// Whether a function has a parameter of this name, which is not the module's then.
fn is_parameter(py: &Py<'_>, function: Node<'_>, name: &str) -> bool {
    function
        .child_by_field_name("parameters")
        .is_some_and(|parameters| {
            children(parameters).into_iter().any(|parameter| {
                let inner = parameter
                    .child_by_field_name("name")
                    .or_else(|| parameter.named_child(0))
                    .unwrap_or(parameter);
                py.text(inner) == name
            })
        })
}
