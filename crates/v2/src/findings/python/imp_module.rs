//! `imp`, which Python 3.12 does not have.

use crate::findings::{Check, FileContext, Rule, Severity};
use crate::python::{Import, enclosing_statement};

pub(super) const RULE: Rule = Rule {
    id: "imp-module",
    title: "the module imp",
    why: "Python 3.12 has no module imp any more",
    check: Check::Python {
        needle: r"\bimp\b",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if !file.to_python3() {
        return;
    }
    let py = file.py;
    // The old manage.py is written anew as a whole.
    if super::execute_manager::replaces(file) {
        return;
    }
    for import in file.imports() {
        let whole = import.from.is_none()
            && matches!(import.names.as_slice(), [only] if only.name == "imp" && only.alias.is_none());
        let any = whole
            || import
                .from
                .as_ref()
                .is_some_and(|(module, _)| module == "imp")
            || (import.from.is_none() && import.names.iter().any(|name| name.name == "imp"));
        if !any {
            continue;
        }
        let line = py.line(import.statement);
        let finding = file.at(&RULE, Severity::Blocker, line, "imp is imported");
        // `imp.find_module('x')` on a line of its own only asked whether the import below it would work.
        let asks: Vec<_> = file
            .calls()
            .iter()
            .filter(|call| call.name == "imp.find_module")
            .map(|call| enclosing_statement(call.node))
            .filter(|statement| {
                statement.kind() == "expression_statement" && py.alone_on_lines(*statement)
            })
            .collect();
        let mut except = asks.clone();
        except.push(import.statement);
        let alone = py.alone_on_lines(import.statement)
            && import
                .statement
                .parent()
                .is_some_and(|parent| parent.kind() == "module");
        if whole && alone && !py.uses_name("imp", &except) {
            let mut finding = finding
                .convert("removes the import, and the calls that only ask whether another import would work")
                .remove(py, import.statement);
            for statement in asks {
                finding = finding.remove(py, statement);
            }
            file.add(finding);
        } else if let Some((start, end)) = unused_of_several(file, import) {
            file.add(
                finding
                    .convert("takes it out of the import, since nothing uses it")
                    .edit(start, end, ""),
            );
        } else {
            file.add(finding.person("use importlib in its place"));
        }
    }
}

/// The bytes of `imp` in `import imp, os`, where nothing uses it.
fn unused_of_several(file: &FileContext<'_>, import: &Import<'_>) -> Option<(usize, usize)> {
    if import.from.is_some()
        || import
            .names
            .iter()
            .filter(|name| name.name == "imp")
            .count()
            != 1
    {
        return None;
    }
    let at = import.names.iter().position(|name| name.name == "imp")?;
    let known_as = import.names.get(at)?.known_as();
    if file.py.uses_name(known_as, &[import.statement]) {
        return None;
    }
    import.span_of(at)
}
