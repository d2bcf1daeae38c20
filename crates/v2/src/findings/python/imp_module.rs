//! `imp`, which Python 3.12 does not have.

use crate::findings::{Check, FileContext, Rule, Severity};
use crate::python::enclosing_statement;

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
                .edit(
                    py.line_start(import.statement.start_byte()),
                    py.line_end(import.statement.end_byte()),
                    "",
                );
            for statement in asks {
                let only = statement.parent().is_some_and(|parent| {
                    parent.kind() == "block" && parent.named_child_count() == 1
                });
                finding = if only {
                    finding.edit(statement.start_byte(), statement.end_byte(), "pass")
                } else {
                    finding.edit(
                        py.line_start(statement.start_byte()),
                        py.line_end(statement.end_byte()),
                        "",
                    )
                };
            }
            file.add(finding);
        } else {
            file.add(finding.person("use importlib in its place"));
        }
    }
}
