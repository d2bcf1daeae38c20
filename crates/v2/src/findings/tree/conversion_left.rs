//! Files for V3 that are there already and stay as they are.

use crate::findings::{Check, Rule, Severity, TreeContext};

pub(super) const RULE: Rule = Rule {
    id: "kept-files",
    title: "files for V3 that are there already",
    why: "what a person wrote for V3 is not overwritten",
    check: Check::Tree(check),
};

fn check(tree: &TreeContext<'_>) {
    // After a conversion they are its own.
    if tree.tree.is_file(crate::convert::RECORD) {
        return;
    }
    for path in ["app.sh", ".s2i/bin/assemble", ".s2i/bin/run"] {
        if let Some(file) = tree.tree.file(path) {
            let text = tree.tree.text(path).unwrap_or_default();
            if let Some(only) = crate::convert::old_runner(&text) {
                let finding = RULE.finding(
                    Severity::Blocker,
                    Some(path),
                    None,
                    "it calls the original action-hook runner, which does not work on Python 3.12 and later",
                );
                tree.add(if only {
                    finding.convert("writes it anew, with a runner that needs no Python")
                } else {
                    finding.person("call openshifter-image in its place")
                });
                continue;
            }
            let finding = RULE.finding(
                Severity::Warning,
                Some(path),
                None,
                "it is there already, and stays as it is",
            );
            tree.add(finding.person("take it away and convert again to have it written"));
            if path == "app.sh" && !file.executable {
                tree.add(
                    RULE.finding(
                        Severity::Blocker,
                        Some(path),
                        None,
                        "it is not executable, so the start fails with 126",
                    )
                    .convert("makes it executable"),
                );
            }
        }
    }
}
