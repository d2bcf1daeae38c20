//! `request.is_ajax()`.

use crate::findings::{Check, FileContext, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "is-ajax",
    title: "requests that are asked whether they are AJAX",
    why: "requests have no is_ajax() since Django 4.0, and the page fails",
    check: Check::Python {
        needle: r"\bis_ajax\b",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if !file.to_django(4, 0) {
        return;
    }
    let py = file.py;
    for call in file.calls() {
        let Some(request) = call.name.strip_suffix(".is_ajax") else {
            continue;
        };
        let finding = file.at(
            &RULE,
            Severity::Blocker,
            py.line(call.node),
            format!("{}() is called", call.name),
        );
        let is_request = request == "request" || request.ends_with(".request");
        let plain = call.positional.is_empty() && call.keywords.is_empty() && !call.splat;
        file.add(if is_request && plain {
            finding
                .convert("looks at the header that is_ajax() looked at")
                .edit(
                    call.node.start_byte(),
                    call.node.end_byte(),
                    format!("({request}.headers.get('x-requested-with') == 'XMLHttpRequest')"),
                )
        } else {
            finding.person("compare the request's header X-Requested-With with XMLHttpRequest")
        });
    }
}
