//! `url()` and `patterns()` of old URL configurations.

use crate::findings::{Check, FileContext, Rule, Severity};
use crate::python::children;

pub(super) const RULE: Rule = Rule {
    id: "url-functions",
    title: "url() and patterns()",
    why: "Django 1.10 removed patterns() and 4.0 removed url(); re_path() is the same as url()",
    check: Check::Python {
        needle: r"django\.conf\.urls",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if !file.to_django(2, 0) {
        return;
    }
    let py = file.py;
    let mut known_as_url = None;
    for import in file.imports() {
        let Some((module, _)) = &import.from else {
            continue;
        };
        if !matches!(
            module.as_str(),
            "django.conf.urls" | "django.conf.urls.defaults"
        ) {
            continue;
        }
        if import.star {
            known_as_url = Some("url".to_owned());
            file.add(
                file.at(&RULE, Severity::Blocker, py.line(import.statement), "all of django.conf.urls is imported")
                    .convert("imports include and re_path (as url) from django.urls, and the handlers from where they are")
                    .edit(
                        import.statement.start_byte(),
                        import.statement.end_byte(),
                        [
                            "from django.urls import include, re_path as url",
                            "from django.conf.urls import handler400, handler403, handler404, handler500",
                        ]
                        .join(&between(file, import.statement)),
                    ),
            );
            continue;
        }
        let mut moved = Vec::new();
        let mut stay = Vec::new();
        for name in &import.names {
            match name.name.as_str() {
                "include" => moved.push(py.text(name.whole).to_owned()),
                "url" => {
                    known_as_url = Some(name.known_as().to_owned());
                    moved.push(format!("re_path as {}", name.known_as()));
                }
                "patterns" => {}
                _ => stay.push(py.text(name.whole).to_owned()),
            }
        }
        let old = import
            .names
            .iter()
            .any(|name| matches!(name.name.as_str(), "url" | "patterns"))
            || module.ends_with("defaults");
        if !old {
            continue;
        }
        let mut lines = Vec::new();
        // A file that used patterns() with plain tuples needs url() now.
        if known_as_url.is_none() && import.names.iter().any(|name| name.name == "patterns") {
            known_as_url = Some("url".to_owned());
            moved.push("re_path as url".to_owned());
        }
        if !moved.is_empty() {
            lines.push(format!("from django.urls import {}", moved.join(", ")));
        }
        if !stay.is_empty() {
            lines.push(format!("from django.conf.urls import {}", stay.join(", ")));
        }
        file.add(
            file.at(
                &RULE,
                Severity::Blocker,
                py.line(import.statement),
                "url() or patterns() is imported",
            )
            .convert("imports re_path under the name url from django.urls")
            .edit(
                import.statement.start_byte(),
                import.statement.end_byte(),
                lines.join(&between(file, import.statement)),
            ),
        );
    }
    patterns(file, known_as_url.as_deref());
    views_by_name(file);
}

/// What stands between two statements that take the place of one: a new line with the same indent, if it has its line for itself.
fn between(file: &FileContext<'_>, statement: tree_sitter::Node<'_>) -> String {
    let py = file.py;
    let indent = py
        .source()
        .get(py.line_start(statement.start_byte())..statement.start_byte())
        .unwrap_or_default()
        .trim_start_matches('\u{feff}');
    if indent.trim().is_empty() {
        format!("\n{indent}")
    } else {
        "; ".to_owned()
    }
}

/// `patterns('', …)` becomes a list.
fn patterns(file: &FileContext<'_>, url: Option<&str>) {
    let py = file.py;
    for call in file.calls() {
        if call.name != "patterns" {
            continue;
        }
        let line = py.line(call.node);
        let finding = file.at(
            &RULE,
            Severity::Blocker,
            line,
            "addresses are listed by patterns()",
        );
        let Some(prefix) = call.positional.first() else {
            continue;
        };
        if py.string(*prefix).is_none_or(|prefix| !prefix.is_empty())
            || call.splat
            || !call.keywords.is_empty()
        {
            file.add(
                finding.person(
                    "write a list, with each view imported instead of named below the prefix",
                ),
            );
            continue;
        }
        // `patterns(` up to and with the comma after the prefix.
        let after = py
            .source()
            .get(prefix.end_byte()..call.node.end_byte())
            .unwrap_or_default();
        let comma = after.len() - after.trim_start().len();
        let has_comma = after.trim_start().starts_with(',');
        let head_end = prefix.end_byte() + if has_comma { comma + 1 } else { 0 };
        let mut finding = finding
            .convert("makes it the list that it is")
            .edit(call.node.start_byte(), head_end, "[")
            .edit(call.node.end_byte() - 1, call.node.end_byte(), "]");
        for item in call.positional.iter().skip(1) {
            if item.kind() == "tuple" {
                finding = finding.edit(item.start_byte(), item.start_byte(), url.unwrap_or("url"));
            }
        }
        file.add(finding);
    }
}

/// Views that are named by a string.
fn views_by_name(file: &FileContext<'_>) {
    let py = file.py;
    if !py.source().contains("urlpatterns") {
        return;
    }
    for call in file.calls() {
        let view = match call.name.as_str() {
            "url" => call.positional.get(1).copied(),
            _ => None,
        };
        if let Some(view) = view
            && let Some(name) = py.string(view)
        {
            file.add(
                file.at(
                    &RULE,
                    Severity::Blocker,
                    py.line(view),
                    format!("the view {name} is named by a string"),
                )
                .person("import the view and name the function itself"),
            );
        }
    }
    for call in file.calls() {
        if call.name != "patterns" {
            continue;
        }
        for item in call
            .positional
            .iter()
            .skip(1)
            .filter(|item| item.kind() == "tuple")
        {
            if let Some(view) = children(*item).get(1)
                && let Some(name) = py.string(*view)
            {
                file.add(
                    file.at(
                        &RULE,
                        Severity::Blocker,
                        py.line(*view),
                        format!("the view {name} is named by a string"),
                    )
                    .person("import the view and name the function itself"),
                );
            }
        }
    }
}
