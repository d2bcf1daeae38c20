//! CronJobs in place of V2's cron cartridge.

use serde_json::json;

use super::application::{container, memory, volumes};
use super::draft::{Component, Draft};
use super::environment::Environment;
use super::model::Stage;
use super::workload::{Follows, triggers};

/// The longest name that a CronJob may have: its jobs add a time to it.
const LONGEST_NAME: usize = 52;
/// How late a run may begin, in seconds; after that it is skipped, as V2 skipped runs.
const STARTING_DEADLINE: u32 = 200;

pub(super) fn add(draft: &mut Draft<'_>, env: &Environment) {
    let needs = draft.needs;
    for cron in &needs.cron {
        let name = name(&needs.name, &cron.category);
        let mut job = container(draft, "jobs", env);
        // In V2 a job that failed did not stop the next.
        job["command"] = json!([needs.runner, "jobs", cron.category, "--keep-going"]);
        let (volumes, _) = volumes(draft);
        let mut spec = json!({
            "automountServiceAccountToken": false,
            "containers": [job],
            "restartPolicy": "Never",
        });
        if needs.claim.is_some() {
            spec["volumes"] = volumes;
            // A volume that one node at a time can have is where the application is.
            spec["affinity"] = json!({"podAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [{
                    "labelSelector": {"matchLabels": draft.selector(&needs.name, Component::Application)},
                    "topologyKey": "kubernetes.io/hostname",
                }],
            }});
        }
        let labels = draft.labels(&needs.name, Component::Jobs);
        let template = json!({"metadata": {"labels": labels}, "spec": spec});
        let tag = format!("{}:latest", needs.name);
        let follows = Follows {
            tag: &tag,
            namespace: None,
        };
        let mut metadata = draft.metadata(&name, Component::Jobs);
        metadata["annotations"] = json!({
            "image.openshift.io/triggers":
                triggers(&follows, "spec.jobTemplate.spec.template.spec", &template),
        });
        let version = if draft.options.old_cluster {
            "batch/v1beta1"
        } else {
            "batch/v1"
        };
        let at = draft.add(
            Stage::Jobs,
            json!({
                "apiVersion": version,
                "kind": "CronJob",
                "metadata": metadata,
                "spec": {
                    "schedule": cron.schedule,
                    // V2 held a lock, and skipped what came meanwhile.
                    "concurrencyPolicy": "Forbid",
                    "startingDeadlineSeconds": STARTING_DEADLINE,
                    "successfulJobsHistoryLimit": 1,
                    "failedJobsHistoryLimit": 3,
                    "jobTemplate": {
                        "metadata": {"labels": labels},
                        "spec": {
                            "activeDeadlineSeconds": cron.deadline_seconds,
                            "backoffLimit": 0,
                            "template": template,
                        },
                    },
                },
            }),
        );
        let pods = "/spec/jobTemplate/spec/template/spec";
        memory(draft, at, &[format!("{pods}/containers/0")]);
    }
    if !needs.cron.is_empty() && needs.claim.is_some() {
        draft.note("jobs run beside the application, on its node, because of the claim; while it is scaled down they wait");
    }
}

fn name(application: &str, category: &str) -> String {
    let room = LONGEST_NAME.saturating_sub(category.len() + 1);
    let short: String = application.chars().take(room).collect();
    format!("{}-{category}", short.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_leave_room_for_those_of_jobs() {
        assert_eq!(name("notes", "daily"), "notes-daily");
        let long = name(&"a".repeat(63), "minutely");
        assert_eq!(long.len(), LONGEST_NAME);
        assert!(long.ends_with("a-minutely"));
        assert_eq!(
            name(&format!("{}-b", "a".repeat(42)), "minutely"),
            format!("{}-minutely", "a".repeat(42))
        );
    }
}
