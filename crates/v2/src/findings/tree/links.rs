//! Symbolic links that lead nowhere in an image.

use crate::findings::{Check, Rule, Severity, TreeContext};
use crate::tree::Leads;

pub(super) const RULE: Rule = Rule {
    id: "links",
    title: "symbolic links out of the application",
    why: "an image holds the application's tree and nothing of the folders beside it",
    check: Check::Tree(check),
};

/// Where below V2's data directory a link into the old platform pointed; `None` for other places.
pub(crate) fn in_old_data(target: &str) -> Option<&str> {
    ["/app-root/data/", "/app-root/runtime/data/"]
        .iter()
        .find_map(|mark| target.split_once(mark))
        .map(|(_, rest)| rest.trim_matches('/'))
}

fn check(tree: &TreeContext<'_>) {
    for (path, link) in tree.tree.links() {
        match link.leads {
            Leads::Inside => {}
            Leads::OldPlatform => {
                let finding = RULE.finding(
                    Severity::Warning,
                    Some(path),
                    None,
                    format!("the link points into the old platform ({})", link.target),
                );
                tree.add(match in_old_data(&link.target) {
                    Some(_) => finding.convert(
                        "removes it; the deploy hook links to the data directory in its place",
                    ),
                    None => finding.convert("removes it: what it pointed to is gone"),
                });
            }
            Leads::Outside => tree.add(
                RULE.finding(
                    Severity::Blocker,
                    Some(path),
                    None,
                    format!("the link leads out of the application ({})", link.target),
                )
                .person("replace it by what it points to, or remove it"),
            ),
        }
    }
}
