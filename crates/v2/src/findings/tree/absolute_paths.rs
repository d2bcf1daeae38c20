//! Paths of the old platform that are written out.

use crate::findings::{Check, Rule, Severity, TreeContext};

pub(super) const RULE: Rule = Rule {
    id: "platform-paths",
    title: "paths of the old platform",
    why: "these folders are nowhere on V3",
    check: Check::Tree(check),
};

const OLD: &[&str] = &[
    "/var/lib/openshift/",
    "/var/lib/stickshift/",
    "app-root/runtime/",
    "app-root/repo",
];

fn check(tree: &TreeContext<'_>) {
    let old = regex::bytes::Regex::new(&OLD.join("|")).ok();
    for (path, file) in tree.tree.files() {
        if crate::facts::is_prose(path) || path == "app.sh" || path.starts_with(".s2i/") {
            continue;
        }
        let Some(content) = &file.content else {
            continue;
        };
        // Few files hold any, and most are passed over by one search.
        if !old.as_ref().is_none_or(|old| old.is_match(content)) {
            continue;
        }
        for (at, line) in content.split(|byte| *byte == b'\n').enumerate() {
            if line.len() > 2000 {
                continue;
            }
            let line = String::from_utf8_lossy(line);
            if line.trim_start().starts_with('#') {
                continue;
            }
            if let Some(old) = OLD.iter().find(|old| line.contains(**old)) {
                tree.add(
                    RULE.finding(
                        Severity::Warning,
                        Some(path),
                        Some(at + 1),
                        format!("a path of the old platform is written out ({old}…)"),
                    )
                    .person(
                        "take it from OPENSHIFT_REPO_DIR, OPENSHIFT_DATA_DIR or OPENSHIFT_HOMEDIR",
                    ),
                );
            }
        }
    }
}
