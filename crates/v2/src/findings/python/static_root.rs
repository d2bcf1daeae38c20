//! Whether static files can be collected and found.

use crate::findings::{Check, FileContext, Role, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "static-root",
    title: "the place of static files",
    why: "static files are collected at build and served from there",
    check: Check::Python {
        needle: r"STATIC_URL",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if file.role != Role::Settings {
        return;
    }
    let Some(project) = &file.facts.project else {
        return;
    };
    let py = file.py;
    let assigned = file.assigned("STATIC_ROOT");
    if !py.source().contains("django.contrib.staticfiles") && assigned.is_empty() {
        return;
    }
    if project.static_files.root.is_none() {
        let line = assigned
            .first()
            .map_or(1, |assign| py.line(assign.statement));
        if assigned.is_empty() {
            file.add(
                file.at(
                    &RULE,
                    Severity::Warning,
                    line,
                    "there is no STATIC_ROOT, so nothing can be collected",
                )
                .person("set STATIC_ROOT, as in os.path.join(REPO_DIR, 'wsgi', 'static')"),
            );
        } else {
            file.add(
                file.at(&RULE, Severity::Warning, line, "STATIC_ROOT could not be worked out")
                    .person("write it as a path below the repository; until then app.sh asks Django for it at every start"),
            );
        }
    }
    if project
        .static_files
        .url
        .as_deref()
        .is_some_and(|url| url.contains("://"))
    {
        file.add(
            file.at(
                &RULE,
                Severity::Info,
                1,
                "static files are served by another host",
            )
            .person("make sure that the host still has them"),
        );
    }
}
