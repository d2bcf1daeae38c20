//! Jobs of the cron cartridge.

use crate::findings::{Check, Rule, Severity, TreeContext};

pub(super) const RULE: Rule = Rule {
    id: "cron-jobs",
    title: "cron jobs",
    why: "V3 has no cron in the application's pod: a CronJob starts a pod of its own for each category",
    check: Check::Tree(check),
};

fn check(tree: &TreeContext<'_>) {
    for category in &tree.facts.cron {
        let folder = format!(".openshift/cron/{}", category.category);
        let target = format!(".s2i/jobs/{}", category.category);
        if !category
            .jobs
            .iter()
            .all(|job| tree.tree.is_file(&format!("{target}/{job}")))
        {
            tree.add(
                RULE.finding(
                    Severity::Warning,
                    Some(&folder),
                    None,
                    format!(
                        "the {} jobs would never run: {}",
                        category.category,
                        category.jobs.join(", ")
                    ),
                )
                .convert(format!(
                    "copies them to {target}, and asks for a CronJob at {}",
                    category.schedule
                )),
            );
        }
    }
    if !tree.facts.cron.is_empty() && tree.facts.data_dir.needed {
        tree.add(
            RULE.finding(
                Severity::Info,
                Some(".openshift/cron"),
                None,
                "jobs that use the data directory have to run on the node that has its claim",
            )
            .person(
                "keep the CronJobs' pod affinity to the application, or run the jobs in its pod",
            ),
        );
    }
}
