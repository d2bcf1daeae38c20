//! Views of a syntax tree: assignments, calls, imports, names, literals.

use tree_sitter::Node;

use super::syntax::{Py, visit};

/// `NAME = value`, at the level of the module: also within `if`, `try` and the like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Assign<'t> {
    pub(crate) name: &'t str,
    pub(crate) target: Node<'t>,
    pub(crate) statement: Node<'t>,
    pub(crate) value: Option<Node<'t>>,
    /// `+=` and the like.
    pub(crate) augmented: bool,
    /// Whether it stands within another statement.
    pub(crate) nested: bool,
}

/// A call, with the dotted name of what is called.
#[derive(Debug, Clone)]
pub(crate) struct Call<'t> {
    pub(crate) node: Node<'t>,
    pub(crate) name: String,
    pub(crate) function: Node<'t>,
    pub(crate) arguments: Node<'t>,
    pub(crate) positional: Vec<Node<'t>>,
    pub(crate) keywords: Vec<(String, Node<'t>)>,
    /// Whether it passes `*list` or `**dict`.
    pub(crate) splat: bool,
}

impl<'t> Call<'t> {
    pub(crate) fn keyword(&self, name: &str) -> Option<Node<'t>> {
        self.keywords
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| *value)
    }

    /// The last part of the dotted name.
    pub(crate) fn last(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }
}

/// One import statement.
#[derive(Debug, Clone)]
pub(crate) struct Import<'t> {
    pub(crate) statement: Node<'t>,
    /// The module of `from MODULE import …`, with its leading dots; `None` for `import …`.
    pub(crate) from: Option<(String, Node<'t>)>,
    pub(crate) names: Vec<ImportedName<'t>>,
    pub(crate) star: bool,
}

impl Import<'_> {
    /// The bytes of one name of several, with the comma that goes with it.
    pub(crate) fn span_of(&self, at: usize) -> Option<(usize, usize)> {
        let name = self.names.get(at)?;
        if let Some(next) = self.names.get(at + 1) {
            return Some((name.whole.start_byte(), next.whole.start_byte()));
        }
        let previous = self.names.get(at.checked_sub(1)?)?;
        Some((previous.whole.end_byte(), name.whole.end_byte()))
    }
}

/// One name of an import statement.
#[derive(Debug, Clone)]
pub(crate) struct ImportedName<'t> {
    pub(crate) name: String,
    pub(crate) node: Node<'t>,
    /// The whole of `name as alias`.
    pub(crate) whole: Node<'t>,
    pub(crate) alias: Option<String>,
}

impl ImportedName<'_> {
    /// The name that the module knows it by.
    pub(crate) fn known_as(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name)
    }
}

impl<'a> Py<'a> {
    /// Assignments at the level of the module.
    pub(crate) fn assignments(&self) -> Vec<Assign<'_>> {
        let mut found = Vec::new();
        let root = self.root();
        visit(root, &mut |node| match node.kind() {
            "function_definition" | "class_definition" | "lambda" => false,
            "assignment" | "augmented_assignment" => {
                let statement = enclosing_statement(node);
                let mut at = Some(node);
                // `A = B = value` nests to the right.
                let mut targets = Vec::new();
                let mut value = None;
                while let Some(assign) = at {
                    if let Some(left) = assign.child_by_field_name("left") {
                        targets.push(left);
                    }
                    value = assign.child_by_field_name("right");
                    at = value.filter(|right| right.kind() == "assignment");
                }
                for target in targets {
                    if target.kind() == "identifier" {
                        found.push(Assign {
                            name: self.text(target),
                            target,
                            statement,
                            value,
                            augmented: node.kind() == "augmented_assignment",
                            nested: statement.parent() != Some(root),
                        });
                    }
                }
                false
            }
            _ => true,
        });
        found
    }

    /// The assignments of one name.
    pub(crate) fn assigned(&self, name: &str) -> Vec<Assign<'_>> {
        let mut all = self.assignments();
        all.retain(|assign| assign.name == name);
        all
    }

    /// All calls, the outer ones first.
    pub(crate) fn calls(&self) -> Vec<Call<'_>> {
        let mut found = Vec::new();
        visit(self.root(), &mut |node| {
            if let Some(call) = self.call(node) {
                found.push(call);
            }
            true
        });
        found
    }

    /// A call node as a call.
    pub(crate) fn call<'t>(&self, node: Node<'t>) -> Option<Call<'t>> {
        if node.kind() != "call" {
            return None;
        }
        let function = node.child_by_field_name("function")?;
        let arguments = node
            .child_by_field_name("arguments")
            .filter(|arguments| arguments.kind() == "argument_list")?;
        let mut call = Call {
            node,
            name: self.dotted(function).unwrap_or_default(),
            function,
            arguments,
            positional: Vec::new(),
            keywords: Vec::new(),
            splat: false,
        };
        for argument in children(arguments) {
            match argument.kind() {
                "keyword_argument" => {
                    if let (Some(name), Some(value)) = (
                        argument.child_by_field_name("name"),
                        argument.child_by_field_name("value"),
                    ) {
                        call.keywords.push((self.text(name).to_owned(), value));
                    }
                }
                "list_splat" | "dictionary_splat" => call.splat = true,
                _ => call.positional.push(argument),
            }
        }
        Some(call)
    }

    /// `a.b.c` as text; `None` for anything that is not made of names alone.
    pub(crate) fn dotted(&self, node: Node<'_>) -> Option<String> {
        match node.kind() {
            "identifier" | "dotted_name" => {
                Some(self.text(node).split_whitespace().collect::<String>())
            }
            "attribute" => {
                let object = self.dotted(node.child_by_field_name("object")?)?;
                let name = self.text(node.child_by_field_name("attribute")?);
                Some(format!("{object}.{name}"))
            }
            _ => None,
        }
    }

    /// All import statements.
    pub(crate) fn imports(&self) -> Vec<Import<'_>> {
        let mut found = Vec::new();
        visit(self.root(), &mut |node| {
            let from = match node.kind() {
                "import_statement" => None,
                "import_from_statement" => node.child_by_field_name("module_name").map(|module| {
                    (
                        self.text(module).split_whitespace().collect::<String>(),
                        module,
                    )
                }),
                // No statement is within these.
                "expression_statement"
                | "return_statement"
                | "raise_statement"
                | "assert_statement"
                | "delete_statement"
                | "print_statement"
                | "parameters"
                | "argument_list"
                | "decorator" => return false,
                _ => return true,
            };
            let mut import = Import {
                statement: node,
                from,
                names: Vec::new(),
                star: false,
            };
            for child in children(node) {
                if import
                    .from
                    .as_ref()
                    .is_some_and(|(_, module)| *module == child)
                {
                    continue;
                }
                match child.kind() {
                    "wildcard_import" => import.star = true,
                    "dotted_name" => import.names.push(ImportedName {
                        name: self.text(child).split_whitespace().collect(),
                        node: child,
                        whole: child,
                        alias: None,
                    }),
                    "aliased_import" => {
                        if let (Some(name), Some(alias)) = (
                            child.child_by_field_name("name"),
                            child.child_by_field_name("alias"),
                        ) {
                            import.names.push(ImportedName {
                                name: self.text(name).split_whitespace().collect(),
                                node: name,
                                whole: child,
                                alias: Some(self.text(alias).to_owned()),
                            });
                        }
                    }
                    _ => {}
                }
            }
            found.push(import);
            false
        });
        found
    }

    /// The value of a plain string literal, or of several side by side.
    pub(crate) fn string(&self, node: Node<'_>) -> Option<String> {
        match node.kind() {
            "string" => self.one_string(node),
            "concatenated_string" => children(node)
                .into_iter()
                .filter(|part| part.kind() != "comment")
                .map(|part| self.one_string(part))
                .collect(),
            "parenthesized_expression" => {
                let inner = children(node);
                match inner.as_slice() {
                    [only] => self.string(*only),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// What stands between the quotes of a string, whatever it becomes.
    pub(crate) fn written(&self, node: Node<'_>) -> Option<String> {
        let text = self.text(node);
        let start = text.find(['\'', '"'])?;
        Some(text.get(start..)?.trim_matches(['\'', '"']).to_owned())
    }

    fn one_string(&self, node: Node<'_>) -> Option<String> {
        let text = self.text(node);
        let quote = text.find(['\'', '"'])?;
        let prefix = text.get(..quote)?.to_ascii_lowercase();
        if prefix.contains('f') && children(node).iter().any(|c| c.kind() == "interpolation") {
            return None;
        }
        let body = text.get(quote..)?;
        let marks = if body.starts_with("'''") || body.starts_with("\"\"\"") {
            3
        } else {
            1
        };
        let inner = body.get(marks..body.len().checked_sub(marks)?)?;
        if prefix.contains('r') || !inner.contains('\\') {
            return Some(inner.to_owned());
        }
        let mut value = String::with_capacity(inner.len());
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            if c != '\\' {
                value.push(c);
                continue;
            }
            match chars.next()? {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                '\n' => {}
                c @ ('\\' | '\'' | '"') => value.push(c),
                // Rare ones are not needed: such a string is simply not understood.
                'x' | 'u' | 'U' | 'N' | '0'..='7' | 'a' | 'b' | 'f' | 'r' | 'v' => return None,
                c => {
                    value.push('\\');
                    value.push(c);
                }
            }
        }
        Some(value)
    }

    /// The value of a key in a dictionary that is written out.
    pub(crate) fn entry<'t>(&self, dictionary: Node<'t>, name: &str) -> Option<Node<'t>> {
        children(dictionary).into_iter().find_map(|pair| {
            let key = pair.child_by_field_name("key")?;
            (self.string(key)? == name).then(|| pair.child_by_field_name("value"))?
        })
    }

    /// Whether a name occurs anywhere as a name, apart from within `except_in`.
    pub(crate) fn uses_name(&self, name: &str, except_in: &[Node<'_>]) -> bool {
        let mut used = false;
        visit(self.root(), &mut |node| {
            if used || except_in.contains(&node) {
                return false;
            }
            if node.kind() == "identifier" && self.text(node) == name {
                let is_attribute = node.parent().is_some_and(|parent| {
                    parent.kind() == "attribute"
                        && parent.child_by_field_name("attribute") == Some(node)
                });
                let is_keyword = node.parent().is_some_and(|parent| {
                    parent.kind() == "keyword_argument"
                        && parent.child_by_field_name("name") == Some(node)
                });
                used = !is_attribute && !is_keyword;
            }
            !used
        });
        used
    }
}

/// The named children, comments left out.
pub(crate) fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor)
        .filter(|child| child.kind() != "comment")
        .collect()
}

/// The simple statement around a node.
pub(crate) fn enclosing_statement(node: Node<'_>) -> Node<'_> {
    let mut at = node;
    while let Some(parent) = at.parent() {
        if matches!(parent.kind(), "module" | "block") {
            return at;
        }
        at = parent;
    }
    at
}
