//! `HttpResponse(…, mimetype=…)`.

use crate::findings::{Check, FileContext, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "mimetype",
    title: "the argument mimetype of responses",
    why: "Django 1.7 knows it as content_type only, and the page fails",
    check: Check::Python {
        needle: r"\bmimetype\s*=",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if !file.to_django(1, 7) {
        return;
    }
    let py = file.py;
    for call in file.calls() {
        let name = call.last();
        let is_response = name.starts_with("HttpResponse")
            || matches!(
                name,
                "StreamingHttpResponse"
                    | "TemplateResponse"
                    | "SimpleTemplateResponse"
                    | "render_to_response"
            );
        let Some(key) = call
            .keyword("mimetype")
            .and_then(|value| value.parent())
            .and_then(|argument| argument.child_by_field_name("name"))
        else {
            continue;
        };
        if !is_response || call.keyword("content_type").is_some() {
            continue;
        }
        file.add(
            file.at(
                &RULE,
                Severity::Blocker,
                py.line(key),
                format!("{name} is given a mimetype"),
            )
            .convert("names it content_type")
            .edit(key.start_byte(), key.end_byte(), "content_type"),
        );
    }
}
