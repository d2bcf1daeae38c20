//! The old setting for middleware.

use super::elements;
use crate::findings::{Check, FileContext, Rule, Severity};
use crate::python::children;

pub(super) const RULE: Rule = Rule {
    id: "middleware-setting",
    title: "the setting MIDDLEWARE_CLASSES",
    why: "Django 2.0 reads MIDDLEWARE only, and has no SessionAuthenticationMiddleware",
    check: Check::Python {
        needle: r"MIDDLEWARE_CLASSES|SessionAuthenticationMiddleware",
        check,
    },
};

const GONE: &[&str] = &["django.contrib.auth.middleware.SessionAuthenticationMiddleware"];
/// Middleware that newer releases do not have under that name.
const REMOVED: &[&str] = &[
    "django.middleware.doc.XViewMiddleware",
    "django.contrib.csrf.middleware",
    "django.middleware.csrf.CsrfResponseMiddleware",
    "django.middleware.transaction.TransactionMiddleware",
    "django.middleware.http.SetRemoteAddrFromForwardedFor",
];

fn check(file: &FileContext<'_>) {
    if !file.to_django(2, 0) || !file.is_settings() {
        return;
    }
    let py = file.py;
    let mut renamed = Vec::new();
    for name in ["MIDDLEWARE_CLASSES", "MIDDLEWARE"] {
        for assign in file.assigned(name) {
            let mut finding = file
                .at(
                    &RULE,
                    Severity::Blocker,
                    py.line(assign.statement),
                    format!("{name} is of an older Django"),
                )
                .convert(
                    "names the setting MIDDLEWARE and takes out what Django does not have any more",
                );
            if name == "MIDDLEWARE_CLASSES" && !renamed.contains(&assign.target.start_byte()) {
                renamed.push(assign.target.start_byte());
                finding = finding.edit(
                    assign.target.start_byte(),
                    assign.target.end_byte(),
                    "MIDDLEWARE",
                );
                // `MIDDLEWARE_CLASSES = MIDDLEWARE_CLASSES + (…)`
                if let Some(value) = assign.value {
                    crate::python::visit(value, &mut |node| {
                        if node.kind() == "identifier" && py.text(node) == "MIDDLEWARE_CLASSES" {
                            finding.edits.push(crate::python::Edit {
                                start: node.start_byte(),
                                end: node.end_byte(),
                                text: "MIDDLEWARE".to_owned(),
                                rule: RULE.id,
                                reason: RULE.why.to_owned(),
                            });
                        }
                        true
                    });
                }
            }
            let items = assign.value.map(children).unwrap_or_default();
            let mut gone = Vec::new();
            for (at, item) in items.iter().enumerate() {
                let Some(class) = py.string(*item) else {
                    continue;
                };
                if GONE.contains(&class.as_str()) {
                    gone.push(at);
                } else if REMOVED.iter().any(|gone| class.starts_with(gone)) {
                    file.add(
                        file.at(
                            &RULE,
                            Severity::Blocker,
                            py.line(*item),
                            format!("Django has no {class} any more"),
                        )
                        .person("take it out, or write what it did"),
                    );
                } else if name == "MIDDLEWARE_CLASSES" && !class.starts_with("django.") {
                    file.add(
                        file.at(&RULE, Severity::Warning, py.line(*item), format!("{class} may be of the old kind"))
                            .person("let the class inherit from django.utils.deprecation.MiddlewareMixin, if it is the application's own, or take a newer release of the package"),
                    );
                }
            }
            if let Some(value) = assign.value {
                finding = elements::remove(file, finding, value, &gone);
            }
            if !finding.edits.is_empty() {
                file.add(finding);
            }
        }
    }
}
