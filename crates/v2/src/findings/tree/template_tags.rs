//! Tags of Django's templates that are gone.

use crate::findings::{Check, Rule, Severity, TreeContext};
use crate::python::line_at;

pub(super) const RULE: Rule = Rule {
    id: "template-tags",
    title: "old tags in templates",
    why: "newer Djangos do not have the tag library any more, and the page fails",
    check: Check::Tree(check),
};

/// Libraries that went with their applications, and what to do. All are gone since 1.10.
const GONE: &[(&str, &str)] = &[
    (
        "comments",
        "install django-contrib-comments, or take out what it shows",
    ),
    (
        "markup",
        "render the text in the view, or install a package that does",
    ),
    ("webdesign", "take the tag out: lorem is built in"),
    (
        "adminmedia",
        "write {% static 'admin/' %}, with {% load static %}",
    ),
];

/// Whether a file is a template of Django's, by its name.
pub(super) fn is_template(path: &str) -> bool {
    let end = [".html", ".htm", ".txt", ".xml"];
    !path.ends_with(".py")
        && (path.contains("template") || end.iter().any(|end| path.ends_with(end)))
}

fn check(tree: &TreeContext<'_>) {
    let target = tree.options.django;
    if !tree.facts.is_django() || target < crate::options::Version::new(2, 0) {
        return;
    }
    let Ok(loads) = regex::bytes::Regex::new(
        r"\{%\s*load\s+([^%]*?)\s*%\}|\{%\s*(?:if(?:not)?equal|ssi)\b[^%]*%\}",
    ) else {
        return;
    };
    for (path, file) in tree.tree.files() {
        let Some(content) = file.content.as_deref().filter(|_| is_template(path)) else {
            continue;
        };
        for found in loads.captures_iter(content) {
            let Some(whole) = found.get(0) else {
                continue;
            };
            let line = Some(line_at(content, whole.start()));
            let Some(names) = found.get(1) else {
                if whole.as_bytes().windows(4).any(|window| window == b"ssi ") {
                    tree.add(
                        RULE.finding(Severity::Blocker, Some(path), line, "ssi is gone")
                            .person("write {% include %}, with the file in a folder of templates"),
                    );
                    continue;
                }
                if target >= crate::options::Version::new(4, 0) {
                    tree.add(
                        RULE.finding(Severity::Blocker, Some(path), line, "ifequal is gone")
                            .person("write {% if a == b %} and {% endif %}"),
                    );
                }
                continue;
            };
            let words = String::from_utf8_lossy(names.as_bytes()).into_owned();
            if words.split_whitespace().collect::<Vec<_>>() == ["url", "from", "future"]
                || words.split_whitespace().collect::<Vec<_>>() == ["cycle", "from", "future"]
            {
                tree.add(
                    RULE.finding(
                        Severity::Blocker,
                        Some(path),
                        line,
                        "the library `future` is loaded",
                    )
                    .convert("takes the tag out")
                    .edit(whole.start(), whole.end(), ""),
                );
                continue;
            }
            for (library, instead) in GONE {
                let own = || {
                    let end = format!("templatetags/{library}.py");
                    tree.tree.files().any(|(path, _)| path.ends_with(&end))
                };
                if words.split_whitespace().any(|word| word == *library)
                    && !words.contains(" from ")
                    && !own()
                {
                    tree.add(
                        RULE.finding(
                            Severity::Blocker,
                            Some(path),
                            line,
                            format!("the library {library} is loaded, and Django does not have it any more"),
                        )
                        .person(*instead),
                    );
                }
            }
            if target < crate::options::Version::new(3, 0) {
                continue;
            }
            let mut at = names.start();
            let mut finding = RULE
                .finding(
                    Severity::Blocker,
                    Some(path),
                    line,
                    format!("the library in {{% load {words} %}} is gone"),
                )
                .convert("loads static in its place");
            for word in words.split_inclusive(char::is_whitespace) {
                let name = word.trim();
                if matches!(name, "staticfiles" | "admin_static") {
                    finding = finding.edit(at, at + name.len(), "static");
                }
                at += word.len();
            }
            if !finding.edits.is_empty() {
                tree.add(finding);
            }
        }
    }
}
