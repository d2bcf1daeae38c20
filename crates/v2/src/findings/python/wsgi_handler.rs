//! The old way to make Django's WSGI application.

use crate::findings::{Check, FileContext, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "wsgi-handler",
    title: "WSGIHandler in the entry point",
    why: "since Django 1.7 the application has to be set up before it is made, which get_wsgi_application() does",
    check: Check::Python {
        needle: r"WSGIHandler",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if !file.to_django(1, 7) {
        return;
    }
    let py = file.py;
    let mut finding = None;
    for call in file.calls() {
        if call.name == "django.core.handlers.wsgi.WSGIHandler" && call.positional.is_empty() {
            finding = Some(
                finding
                    .unwrap_or_else(|| {
                        file.at(
                            &RULE,
                            Severity::Blocker,
                            py.line(call.node),
                            "the application is made by WSGIHandler()",
                        )
                        .convert("makes it by get_wsgi_application()")
                    })
                    .edit(
                        call.node.start_byte(),
                        call.node.end_byte(),
                        "django.core.wsgi.get_wsgi_application()",
                    ),
            );
        } else if call.last() == "WSGIHandler" {
            file.add(
                file.at(
                    &RULE,
                    Severity::Blocker,
                    py.line(call.node),
                    "the application is made by WSGIHandler()",
                )
                .person("make it by django.core.wsgi.get_wsgi_application()"),
            );
        }
    }
    let Some(mut finding) = finding else {
        return;
    };
    for import in file.imports() {
        if import.from.is_none()
            && let [only] = import.names.as_slice()
            && only.name == "django.core.handlers.wsgi"
        {
            finding = finding.edit(
                only.node.start_byte(),
                only.node.end_byte(),
                "django.core.wsgi",
            );
        }
    }
    file.add(finding);
}
