//! `include(admin.site.urls)`.

use crate::findings::{Check, FileContext, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "admin-include",
    title: "include(admin.site.urls)",
    why: "Django 2.0 refuses to include the admin site's addresses: they are given as they are",
    check: Check::Python {
        needle: r"site\.urls",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if !file.to_django(2, 0) {
        return;
    }
    let py = file.py;
    for call in file.calls() {
        if call.last() == "include"
            && let [only] = call.positional.as_slice()
            && call.keywords.is_empty()
            && py
                .dotted(*only)
                .is_some_and(|name| name.ends_with("site.urls"))
        {
            file.add(
                file.at(
                    &RULE,
                    Severity::Blocker,
                    py.line(call.node),
                    "the admin site's addresses are included",
                )
                .convert("gives them as they are")
                .edit(call.node.start_byte(), call.node.end_byte(), py.text(*only)),
            );
        }
    }
}
