//! Context processors that moved.

use crate::findings::{Check, FileContext, Rule, Severity};
use crate::python::visit;

pub(super) const RULE: Rule = Rule {
    id: "context-processors",
    title: "context processors under their old name",
    why: "Django 1.10 has them in django.template.context_processors only",
    check: Check::Python {
        needle: r"django\.core\.context_processors",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if !file.to_django(1, 10) {
        return;
    }
    let py = file.py;
    let old = "django.core.context_processors";
    visit(py.root(), &mut |node| {
        let is_name = matches!(node.kind(), "string" | "dotted_name" | "attribute");
        if is_name && let Some(at) = py.text(node).find(old) {
            // The `auth` one was moved before.
            if py.text(node).contains("context_processors.auth") {
                return false;
            }
            let start = node.start_byte() + at;
            file.add(
                file.at(
                    &RULE,
                    Severity::Blocker,
                    py.line(node),
                    "a context processor is named as it was before Django 1.8",
                )
                .convert("names it as it is now")
                .edit(
                    start,
                    start + old.len(),
                    "django.template.context_processors",
                ),
            );
            return false;
        }
        true
    });
}
