//! `@register.assignment_tag`.

use crate::findings::{Check, FileContext, Rule, Severity};
use crate::python::visit;

pub(super) const RULE: Rule = Rule {
    id: "assignment-tag",
    title: "template tags that assign",
    why: "Django 2.0 has no assignment_tag any more; simple_tag takes `as` in its place since 1.9",
    check: Check::Python {
        needle: r"\bassignment_tag\b",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if !file.to_django(2, 0) {
        return;
    }
    let py = file.py;
    visit(py.root(), &mut |node| {
        // The name of a `template.Library()` is the application's own, and `register` to all that Django can load.
        if node.kind() == "attribute"
            && let Some(name) = node.child_by_field_name("attribute")
            && py.dotted(node).as_deref() == Some("register.assignment_tag")
        {
            file.add(
                file.at(
                    &RULE,
                    Severity::Blocker,
                    py.line(node),
                    "a tag is registered with assignment_tag",
                )
                .convert("registers it with simple_tag")
                .edit(name.start_byte(), name.end_byte(), "simple_tag"),
            );
        }
        true
    });
}
