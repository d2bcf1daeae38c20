//! The `manage.py` of Django before 1.4, which calls `execute_manager()`.

use tree_sitter::Node;

use crate::findings::{Check, FileContext, Rule, Severity};
use crate::python::children;

pub(super) const RULE: Rule = Rule {
    id: "execute-manager",
    title: "manage.py of before Django 1.4",
    why: "Django 1.6 has no execute_manager() any more, and nothing that manage.py does would work",
    check: Check::Python {
        needle: r"execute_manager",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if !calls_it(file) {
        return;
    }
    let py = file.py;
    let line = file
        .imports()
        .iter()
        .find(|import| {
            import
                .names
                .iter()
                .any(|name| name.name == "execute_manager")
        })
        .map_or(1, |import| py.line(import.statement));
    let finding = file.at(
        &RULE,
        Severity::Blocker,
        line,
        "execute_manager() is called",
    );
    let statements = children(py.root());
    let (Some(first), Some(last), true) = (statements.first(), statements.last(), replaces(file))
    else {
        file.add(finding.person("write it as `django-admin startproject` does: set DJANGO_SETTINGS_MODULE, and call execute_from_command_line(sys.argv)"));
        return;
    };
    let (module, path) = settings(file);
    file.add(
        finding
            .convert("writes it as newer Djangos have it, for the same settings")
            .edit(
                first.start_byte(),
                last.end_byte(),
                format!(
                    "import os\nimport sys\n\nif __name__ == \"__main__\":\n{path}    os.environ.setdefault(\"DJANGO_SETTINGS_MODULE\", \"{module}\")\n    from django.core.management import execute_from_command_line\n    execute_from_command_line(sys.argv)"
                ),
            ),
    );
}

fn calls_it(file: &FileContext<'_>) -> bool {
    // The name has been gone for long, whichever Django the sources are brought to.
    file.to_django(1, 6)
        && file.imports().iter().any(|import| {
            import
                .from
                .as_ref()
                .is_some_and(|(module, _)| module == "django.core.management")
                && import
                    .names
                    .iter()
                    .any(|name| name.name == "execute_manager")
        })
}

/// Whether the file is the one that Django wrote, so that it is written anew as a whole.
pub(super) fn replaces(file: &FileContext<'_>) -> bool {
    file.py.path.rsplit('/').next() == Some("manage.py")
        && calls_it(file)
        && children(file.py.root())
            .into_iter()
            .all(|statement| is_stock(file, statement))
}

fn is_stock(file: &FileContext<'_>, statement: Node<'_>) -> bool {
    let py = file.py;
    let text = py.text(statement);
    match statement.kind() {
        "import_statement" | "import_from_statement" => matches!(
            text.split_whitespace().collect::<Vec<_>>().as_slice(),
            ["import", "imp" | "os" | "sys" | "settings"]
                | [
                    "from",
                    "django.core.management",
                    "import",
                    "execute_manager"
                ]
        ),
        // Looks for the settings, and says so where they are not.
        "try_statement" => {
            (text.contains("import settings") || text.contains("imp.find_module"))
                && text.contains("sys.exit(1)")
                && blocks(statement)
                    .into_iter()
                    .flat_map(children)
                    .all(|inner| {
                        let inner = py.text(inner);
                        [
                            "imp.find_module(",
                            "import settings",
                            "import sys",
                            "sys.stderr.write(",
                            "sys.exit(1)",
                        ]
                        .iter()
                        .any(|start| inner.starts_with(start))
                    })
        }
        "if_statement" => {
            let body = blocks(statement);
            text.contains("__main__")
                && body.len() == 1
                && body
                    .into_iter()
                    .flat_map(children)
                    .all(|inner| py.text(inner) == "execute_manager(settings)")
        }
        _ => false,
    }
}

/// The blocks of a statement, those of its clauses included.
fn blocks(statement: Node<'_>) -> Vec<Node<'_>> {
    let mut found = Vec::new();
    for child in children(statement) {
        if child.kind() == "block" {
            found.push(child);
        } else if child.kind().ends_with("_clause") {
            found.extend(blocks(child));
        }
    }
    found
}

/// The settings module, and the line that makes it importable: `execute_manager()` knew it below the name of its folder.
fn settings(file: &FileContext<'_>) -> (String, &'static str) {
    const ABOVE: &str = "    # The folder above: the settings are known by the name of the one that holds this file.\n    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))\n";
    let folder = file
        .py
        .path
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder);
    let project = file.facts.project.as_ref();
    if let Some(module) = project.and_then(|project| project.settings_module.clone())
        && let Some(first) = project.and_then(|project| project.settings.first())
    {
        let tail = module.replace('.', "/");
        let root = [format!("{tail}.py"), format!("{tail}/__init__.py")]
            .iter()
            .find_map(|end| first.path.strip_suffix(end.as_str()))
            .map(|root| root.trim_end_matches('/'));
        if root == Some(folder) {
            return (module, "");
        }
        if root == Some(folder.rsplit_once('/').map_or("", |(above, _)| above)) {
            return (module, ABOVE);
        }
    }
    match folder.rsplit('/').next() {
        Some(name)
            if !name.is_empty()
                && file.tree.is_file(&format!("{folder}/__init__.py"))
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') =>
        {
            (format!("{name}.settings"), ABOVE)
        }
        _ => ("settings".to_owned(), ""),
    }
}
