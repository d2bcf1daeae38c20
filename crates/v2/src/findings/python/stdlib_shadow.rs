//! Modules of the application that have the name of a standard one which is newer than they are.

use crate::findings::{Check, FileContext, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "stdlib-name",
    title: "modules named like a newer standard module",
    why: "the standard library comes before folders that are appended to sys.path, so the application gets a module that is not its own; and a script started beside such a file hides the standard module from all others",
    check: Check::Python {
        needle: r"(?m)^[ \t]*(?:import|from)[ \t]+(?:secrets|enum|typing|statistics|selectors|pathlib|ipaddress|dataclasses|asyncio|tracemalloc|venv|zipapp|graphlib|contextvars|tomllib|zoneinfo|queue|configparser|html|http|token_|builtins|copyreg|reprlib|socketserver|tkinter|winreg|faulthandler|lzma|concurrent|importlib|unittest)\b",
        check,
    },
};

/// Standard modules that Python 2.7 did not have.
pub(crate) const NEWER: &[&str] = &[
    "secrets",
    "enum",
    "typing",
    "statistics",
    "selectors",
    "pathlib",
    "ipaddress",
    "dataclasses",
    "asyncio",
    "tracemalloc",
    "venv",
    "zipapp",
    "graphlib",
    "contextvars",
    "tomllib",
    "zoneinfo",
    "queue",
    "configparser",
    "faulthandler",
    "lzma",
    "builtins",
    "copyreg",
    "reprlib",
    "socketserver",
];

/// Folders that V2 put on `sys.path`.
pub(crate) const FOLDERS: &[&str] = &["libs", "", "wsgi"];

fn check(file: &FileContext<'_>) {
    if !file.to_python3() {
        return;
    }
    for import in file.imports() {
        let named: Vec<(String, tree_sitter::Node<'_>, bool)> = match &import.from {
            Some((module, node)) => vec![(module.clone(), *node, true)],
            None => import
                .names
                .iter()
                .map(|name| (name.name.clone(), name.node, name.alias.is_some()))
                .collect(),
        };
        for (module, node, is_named) in named {
            if !NEWER.contains(&module.as_str()) {
                continue;
            }
            let Some((old, _)) = shadowing(file.tree, &module) else {
                continue;
            };
            let new = format!("openshift_{module}");
            let text = if is_named {
                new.clone()
            } else {
                format!("{new} as {module}")
            };
            file.add(
                file.at(
                    &RULE,
                    Severity::Blocker,
                    file.py.line(node),
                    format!("`{module}` is {old} here, and a module of the standard library since"),
                )
                .convert(format!(
                    "renames {old} to {new}.py and imports it under the name that the file uses"
                ))
                .edit(node.start_byte(), node.end_byte(), text),
            );
        }
    }
}

/// The application's own module of that name, and what it is renamed to.
pub(crate) fn shadowing(tree: &crate::tree::Tree, module: &str) -> Option<(String, String)> {
    FOLDERS.iter().find_map(|folder| {
        let at = |name: &str| match *folder {
            "" => format!("{name}.py"),
            folder => format!("{folder}/{name}.py"),
        };
        tree.is_file(&at(module))
            .then(|| (at(module), at(&format!("openshift_{module}"))))
    })
}
