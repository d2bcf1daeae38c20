//! Activation of V2's virtual environment from within Python.

use crate::findings::{Check, FileContext, Rule, Severity};
use crate::python::{children, enclosing_statement, visit};

pub(super) const RULE: Rule = Rule {
    id: "activate-this",
    title: "activation of V2's virtual environment",
    why: "the builder image's virtual environment is active already, V2's is nowhere, and Python 3 has no execfile",
    check: Check::Python {
        needle: r"\bexecfile\b",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if !file.to_python3() {
        return;
    }
    let py = file.py;
    let mut calls = Vec::new();
    visit(py.root(), &mut |node| {
        if py.call(node).is_some_and(|call| call.name == "execfile") {
            calls.push(node);
        }
        true
    });
    let mut done: Vec<usize> = Vec::new();
    for call in calls {
        let line = py.line(call);
        let statement = enclosing_statement(call);
        // The whole `try: execfile(…) except IOError: pass`.
        let around = statement
            .parent()
            .and_then(|block| block.parent())
            .filter(|parent| {
                parent.kind() == "try_statement"
                    && statement
                        .parent()
                        .is_some_and(|block| children(block).len() == 1)
            });
        let whole = around.unwrap_or(statement);
        let is_activation = py.text(call).contains("activ")
            || py.text(call).contains("virtual")
            || py.text(call).contains("virtenv")
            || py.source().contains("activate_this");
        let finding = file.at(&RULE, Severity::Blocker, line, "execfile() is called");
        if !is_activation || !py.alone_on_lines(whole) {
            file.add(finding.person("port it: exec(open(path).read())"));
            continue;
        }
        if done.contains(&whole.start_byte()) {
            continue;
        }
        done.push(whole.start_byte());
        let mut finding = finding.convert("turns the activation into a comment");
        let mut at = py.line_start(whole.start_byte());
        let end = py.line_end(whole.end_byte().saturating_sub(1));
        while at < end {
            let next = py.line_end(at);
            let blank = py
                .source()
                .get(at..next)
                .unwrap_or_default()
                .trim()
                .is_empty();
            if !blank {
                finding = finding.edit(at, at, "# ");
            }
            at = next;
        }
        file.add(finding);
    }
}
