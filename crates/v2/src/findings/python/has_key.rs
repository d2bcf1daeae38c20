//! `has_key`, which dictionaries of Python 3 do not have.

use crate::findings::{Check, FileContext, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "has-key",
    title: "has_key",
    why: "dictionaries of Python 3 have no has_key()",
    check: Check::Python {
        needle: r"\.has_key\b",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if !file.to_python3() {
        return;
    }
    let py = file.py;
    for call in file.calls() {
        if call.function.kind() != "attribute"
            || call
                .function
                .child_by_field_name("attribute")
                .is_none_or(|name| py.text(name) != "has_key")
        {
            continue;
        }
        let finding = file.at(
            &RULE,
            Severity::Blocker,
            py.line(call.node),
            "has_key() is called",
        );
        let is_environ = call.name.ends_with("environ.has_key");
        match call.positional.as_slice() {
            [key] if is_environ && call.keywords.is_empty() && !call.splat => {
                let object = call.name.trim_end_matches(".has_key");
                // In parentheses, whatever stands around it.
                let text = format!("({} in {object})", py.text(*key));
                file.add(
                    finding
                        .convert("asks with `in`, which means the same in Python 2")
                        .edit(call.node.start_byte(), call.node.end_byte(), text),
                );
            }
            _ => file.add(finding.person("ask with `key in mapping`, if it is a dictionary")),
        }
    }
}
