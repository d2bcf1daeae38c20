//! Tags of Django's templates that are gone.

use crate::findings::{Check, Rule, Severity, TreeContext};
use crate::python::line_at;

pub(super) const RULE: Rule = Rule {
    id: "template-tags",
    title: "old tags in templates",
    why: "newer Djangos do not have the tag library any more, and the page fails",
    check: Check::Tree(check),
};

fn check(tree: &TreeContext<'_>) {
    let target = tree.options.django;
    if !tree.facts.is_django() || target < crate::options::Version::new(2, 0) {
        return;
    }
    let Ok(loads) = regex::bytes::Regex::new(
        r"\{%\s*load\s+([^%]*?)\s*%\}|\{%\s*(?:if(?:not)?equal)\b[^%]*%\}",
    ) else {
        return;
    };
    for (path, file) in tree.tree.files() {
        let is_template = path.contains("template")
            || [".html", ".htm", ".txt", ".xml"]
                .iter()
                .any(|end| path.ends_with(end));
        let Some(content) = file
            .content
            .as_deref()
            .filter(|_| is_template && !path.ends_with(".py"))
        else {
            continue;
        };
        for found in loads.captures_iter(content) {
            let Some(whole) = found.get(0) else {
                continue;
            };
            let line = Some(line_at(content, whole.start()));
            let Some(names) = found.get(1) else {
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
