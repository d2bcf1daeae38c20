//! Works out what an expression made of paths comes to: `os.path.join(os.path.dirname(__file__), '..', 'static')`.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tree_sitter::Node;

use super::syntax::Py;
use super::view::children;

/// What names of other modules and variables of the environment are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    /// Values of names that came with `from X import *`.
    pub(crate) constants: BTreeMap<String, String>,
    /// Values that variables will have.
    pub(crate) environment: BTreeMap<String, String>,
}

/// Folds expressions of one file.
pub(crate) struct Folder<'a, 'p> {
    py: &'a Py<'p>,
    file: String,
    names: &'a Names,
    assigned: BTreeMap<&'a str, Vec<Node<'a>>>,
    /// Names that are being worked out, against endless loops.
    busy: RefCell<Vec<String>>,
}

impl<'a, 'p> Folder<'a, 'p> {
    /// `file` is the absolute path that `__file__` will be.
    pub(crate) fn new(py: &'a Py<'p>, file: String, names: &'a Names) -> Self {
        let mut assigned: BTreeMap<&str, Vec<Node<'_>>> = BTreeMap::new();
        for assign in py.assignments() {
            if !assign.augmented
                && let Some(value) = assign.value
            {
                assigned.entry(assign.name).or_default().push(value);
            }
        }
        Self {
            py,
            file,
            names,
            assigned,
            busy: RefCell::new(Vec::new()),
        }
    }

    /// What a name comes to at the end of the module: the last of its assignments that can be worked out.
    pub(crate) fn name(&self, name: &str) -> Option<String> {
        if self.busy.borrow().iter().any(|busy| busy == name) {
            return None;
        }
        self.busy.borrow_mut().push(name.to_owned());
        let value = self
            .assigned
            .get(name)
            .and_then(|values| values.iter().rev().find_map(|value| self.fold(*value)))
            .or_else(|| self.names.constants.get(name).cloned());
        self.busy.borrow_mut().pop();
        value
    }

    /// All names of the module that can be worked out.
    pub(crate) fn all(&self) -> BTreeMap<String, String> {
        self.assigned
            .keys()
            .filter_map(|name| Some(((*name).to_owned(), self.name(name)?)))
            .collect()
    }

    /// What an expression comes to.
    pub(crate) fn fold(&self, node: Node<'_>) -> Option<String> {
        // Deeper than any path that a person wrote.
        if self.busy.borrow().len() > 64 {
            return None;
        }
        match node.kind() {
            "string" | "concatenated_string" => self.py.string(node),
            "identifier" if self.py.text(node) == "__file__" => Some(self.file.clone()),
            "identifier" => self.name(self.py.text(node)),
            "parenthesized_expression" => match children(node).as_slice() {
                [only] => self.fold(*only),
                _ => None,
            },
            "binary_operator" => self.binary(node),
            "attribute" => match self.py.dotted(node)?.as_str() {
                "os.sep" | "os.path.sep" => Some("/".to_owned()),
                "os.pardir" | "os.path.pardir" => Some("..".to_owned()),
                "os.curdir" | "os.path.curdir" => Some(".".to_owned()),
                _ => None,
            },
            "subscript" => {
                let object = self.py.dotted(node.child_by_field_name("value")?)?;
                let key = self.py.string(node.child_by_field_name("subscript")?)?;
                (object.ends_with("environ"))
                    .then(|| self.names.environment.get(&key).cloned())
                    .flatten()
            }
            // `X if condition else Y`: what V3 will be is not known; the first that can be worked out.
            "conditional_expression" => {
                let parts = children(node);
                let first = parts.first().and_then(|node| self.fold(*node));
                first.or_else(|| parts.last().and_then(|node| self.fold(*node)))
            }
            "call" => self.call(node),
            _ => None,
        }
    }

    fn binary(&self, node: Node<'_>) -> Option<String> {
        let left = self.fold(node.child_by_field_name("left")?)?;
        let right = node.child_by_field_name("right")?;
        let operator = self.py.text(node.child_by_field_name("operator")?);
        match operator {
            "+" => Some(left + &self.fold(right)?),
            "/" => Some(join(&[left, self.fold(right)?])),
            "%" => {
                let value = self.fold(right)?;
                (left.matches("%s").count() == 1 && left.matches('%').count() == 1)
                    .then(|| left.replace("%s", &value))
            }
            _ => None,
        }
    }

    fn call(&self, node: Node<'_>) -> Option<String> {
        let call = self.py.call(node)?;
        let folded = |at: usize| call.positional.get(at).and_then(|node| self.fold(*node));
        match call.last() {
            "join" => {
                let parts: Option<Vec<String>> = call
                    .positional
                    .iter()
                    .map(|node| self.fold(*node))
                    .collect();
                Some(join(&parts?))
            }
            "dirname" => Some(dirname(&folded(0)?)),
            "basename" => folded(0)?.rsplit('/').next().map(str::to_owned),
            "abspath" | "normpath" | "realpath" => Some(normal(&folded(0)?)),
            "expanduser" | "str" | "unicode" | "Path" => folded(0),
            "get" | "getenv" => {
                let name = self.py.string(*call.positional.first()?)?;
                if !(call.name.ends_with("environ.get") || call.last() == "getenv") {
                    return None;
                }
                self.names
                    .environment
                    .get(&name)
                    .cloned()
                    .or_else(|| folded(1))
            }
            _ => None,
        }
    }
}

fn join(parts: &[String]) -> String {
    let mut path = String::new();
    for part in parts {
        if part.starts_with('/') {
            path.clone_from(part);
        } else {
            if !path.is_empty() && !path.ends_with('/') {
                path.push('/');
            }
            path.push_str(part);
        }
    }
    path
}

fn dirname(path: &str) -> String {
    match path.rfind('/') {
        Some(0) => "/".to_owned(),
        Some(at) => path.get(..at).unwrap_or_default().to_owned(),
        None => String::new(),
    }
}

/// A path without `.`, `..` and doubled slashes.
pub(crate) fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    if path.starts_with('/') {
        format!("/{joined}")
    } else {
        joined
    }
}
