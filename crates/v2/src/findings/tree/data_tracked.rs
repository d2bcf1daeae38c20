//! Where the data directory is.

use crate::findings::{Check, Rule, Severity, TreeContext};

pub(super) const RULE: Rule = Rule {
    id: "data-directory",
    title: "the data directory",
    why: "V2 had a folder that outlived deployments; on V3 a claim has to be mounted, and it hides what the image has in that place",
    check: Check::Tree(check),
};

fn check(tree: &TreeContext<'_>) {
    let data = &tree.facts.data_dir;
    if !data.needed || crate::convert::environment_sets(tree.tree, "OPENSHIFT_DATA_DIR") {
        return;
    }
    let moved = !data.path.starts_with(crate::facts::SOURCE_DIR);
    let finding = RULE.finding(
        Severity::Blocker,
        tree.tree.is_folder("data").then_some("data"),
        None,
        "what is written to the data directory would be gone with each pod",
    );
    tree.add(finding.convert(format!(
        "puts it at {}, where a claim is to be mounted: {}",
        data.path, data.why
    )));
    if moved && tree.options.data_dir.is_none() {
        tree.add(
            RULE.finding(
                Severity::Warning,
                Some("data"),
                None,
                "the application has files in data/ that V2 did not have in its data directory either",
            )
            .person("copy those to the claim that the application reads from OPENSHIFT_DATA_DIR"),
        );
    }
}
