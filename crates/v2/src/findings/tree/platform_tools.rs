//! Instructions for V2's own tools.

use crate::findings::{Check, Rule, Severity, TreeContext};

pub(super) const RULE: Rule = Rule {
    id: "rhc-steps",
    title: "steps with V2's tools",
    why: "rhc and V2's gear commands talk to a platform that is not there any more",
    check: Check::Tree(check),
};

fn check(tree: &TreeContext<'_>) {
    for (path, file) in tree.tree.files() {
        let Some(content) = &file.content else {
            continue;
        };
        if path == "CONVERSION.md" {
            continue;
        }
        let is_doc = crate::facts::is_prose(path);
        let is_hook = path.starts_with(".openshift/") && !is_doc;
        if !is_doc && !is_hook {
            continue;
        }
        let text = String::from_utf8_lossy(content);
        let mut lines = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim().trim_start_matches(['$', '`', ' ']);
            let uses = if is_doc {
                line.starts_with("rhc ") || line.contains("`rhc ")
            } else {
                is_hook
                    && !line.starts_with('#')
                    && line.split_whitespace().any(|word| {
                        matches!(word, "gear" | "ctl_all" | "ctl_app" | "quota" | "rhc")
                    })
                    && !line.starts_with("echo")
            };
            if uses {
                lines.push(at + 1);
            }
        }
        let Some(first) = lines.first() else {
            continue;
        };
        let finding = RULE.finding(
            if is_doc {
                Severity::Info
            } else {
                Severity::Warning
            },
            Some(path),
            Some(*first),
            format!("{} lines are steps with V2's tools", lines.len()),
        );
        tree.add(if is_doc {
            finding.person("CONVERSION.md of the result says how it is deployed now")
        } else {
            finding.person("do it with oc, or leave it out")
        });
    }
}
