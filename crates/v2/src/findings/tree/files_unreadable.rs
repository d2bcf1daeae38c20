//! Files that could not be looked at.

use crate::findings::{Check, Rule, Severity, TreeContext};

pub(super) const RULE: Rule = Rule {
    id: "unreadable",
    title: "files that could not be looked at",
    why: "what was not read was not analysed, and cannot be copied",
    check: Check::Tree(check),
};

fn check(tree: &TreeContext<'_>) {
    for (path, file) in tree.tree.files() {
        if let Some(reason) = &file.unreadable {
            tree.add(
                RULE.finding(
                    Severity::Blocker,
                    Some(path),
                    None,
                    format!("it cannot be read: {reason}"),
                )
                .person("make it readable"),
            );
        } else if file.content.is_none() && path.ends_with(".py") {
            tree.add(
                RULE.finding(
                    Severity::Warning,
                    Some(path),
                    None,
                    format!("it was not looked at: {} bytes, or no text", file.size),
                )
                .person("look at it yourself"),
            );
        }
    }
    for path in tree.tree.odd_names() {
        tree.add(
            RULE.finding(
                Severity::Blocker,
                None,
                None,
                format!("the name of {path} is not UTF-8"),
            )
            .person("rename it"),
        );
    }
}
