//! A Deployment's status: the replicas of its ReplicaSets, whether enough are available, and whether
//! its roll-out gets on.

use std::time::Duration;

use serde_json::{Value, json};

use super::rolling::{desired, limits};
use super::{Context, Next, Reconciled, queue};
use crate::object::{self, number, resources, seconds_since, text};

const COMPLETE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";
const COUNTS: [&str; 4] = [
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
];

/// Whether a ReplicaSet is all that its Deployment asks for.
pub(super) fn is_complete(deployment: &Value, set: &Value) -> bool {
    let of = |field: &str| number(set, &format!("/status/{field}")).unwrap_or(0);
    let wanted = desired(deployment);
    of("replicas") == wanted
        && of("availableReplicas") == wanted
        && number(set, "/spec/replicas") == Some(wanted)
}

/// Writes it; says when to look again, for a roll-out that does not get on.
pub(super) fn write(
    context: &Context,
    deployment: &Value,
    current: Option<&Value>,
    old: &[Value],
) -> Reconciled {
    let (namespace, name) = queue::key(deployment);
    let sets = resources::replica_sets();
    let latest = |set: &Value| {
        context
            .store
            .get(&sets, Some(&namespace), object::name(set))
    };
    let old: Vec<Value> = old.iter().filter_map(latest).collect();
    let sum = |field: &str| -> i64 {
        let of = |set: &Value| number(set, &format!("/status/{field}")).unwrap_or(0);
        old.iter().map(of).sum::<i64>() + current.map_or(0, of)
    };
    let (replicas, available) = (sum("replicas"), sum("availableReplicas"));
    let updated = current
        .and_then(|set| number(set, "/status/replicas"))
        .unwrap_or(0);
    let counts = [replicas, updated, sum("readyReplicas"), available];
    let wanted = desired(deployment);
    let complete = current.is_some_and(|set| is_complete(deployment, set))
        && replicas == updated
        && updated == wanted
        && available >= wanted;
    let progress = Progress::judge(deployment, counts, complete, current);
    let (_, max_unavailable) = limits(deployment);
    let enough = available >= wanted - max_unavailable;
    let failure = current.and_then(|set| object::condition(set, "ReplicaFailure"));
    context.store.update_status(
        &resources::deployments(),
        Some(&namespace),
        &name,
        |deployment| {
            let conditions = deployment["status"]["conditions"].take();
            let mut status = json!({ "observedGeneration": deployment["metadata"]["generation"] });
            let unavailable = (wanted.max(replicas) - available).max(0);
            for (field, value) in COUNTS
                .into_iter()
                .zip(counts)
                .chain([("unavailableReplicas", unavailable)])
            {
                if value > 0 {
                    status[field] = json!(value);
                }
            }
            status["conditions"] = if conditions.is_array() {
                conditions
            } else {
                json!([])
            };
            deployment["status"] = status;
            let (reason, message) = match enough {
                true => (
                    "MinimumReplicasAvailable",
                    "Deployment has minimum availability.",
                ),
                false => (
                    "MinimumReplicasUnavailable",
                    "Deployment does not have minimum availability.",
                ),
            };
            object::set_condition(deployment, "Available", enough, reason, message, true);
            if let Some(set) = current {
                progress.write(deployment, object::name(set));
            }
            match failure {
                Some(failure) => {
                    let message = text(failure, "/message");
                    object::set_condition(
                        deployment,
                        "ReplicaFailure",
                        true,
                        "FailedCreate",
                        message,
                        true,
                    );
                }
                None => {
                    if let Some(conditions) = deployment["status"]["conditions"].as_array_mut() {
                        conditions.retain(|condition| condition["type"] != "ReplicaFailure");
                    }
                }
            }
        },
    )?;
    Ok(progress.next())
}

/// How a roll-out gets on.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    /// It was complete before, and pods that come and go later do not change that.
    Settled,
    Complete,
    /// Something has changed since the last look; it has so many seconds for the next change.
    Going(Option<u64>),
    /// Nothing has changed lately; it has so many seconds left.
    Waiting(Option<u64>),
    /// Nothing has changed for too long.
    TimedOut,
}

impl Progress {
    fn judge(
        deployment: &Value,
        counts: [i64; 4],
        complete: bool,
        current: Option<&Value>,
    ) -> Self {
        let condition = object::condition(deployment, "Progressing");
        let reason = condition.map_or("", |condition| text(condition, "/reason"));
        let about = condition.map_or("", |condition| text(condition, "/message"));
        let same_set =
            current.is_some_and(|set| about.contains(&format!("{:?}", object::name(set))));
        if complete {
            return Self::Complete;
        }
        if reason == COMPLETE && same_set && counts[0] == counts[1] {
            return Self::Settled;
        }
        let before =
            COUNTS.map(|field| number(deployment, &format!("/status/{field}")).unwrap_or(0));
        let limit = number(deployment, "/spec/progressDeadlineSeconds")
            .filter(|_| deployment["spec"]["paused"] != true);
        let whole = limit.map(i64::unsigned_abs);
        if before != counts || !same_set || reason == COMPLETE {
            return Self::Going(whole);
        }
        // More time comes too late.
        if reason == TIMED_OUT {
            return Self::TimedOut;
        }
        let idle = condition
            .and_then(|condition| seconds_since(text(condition, "/lastUpdateTime")))
            .unwrap_or(0);
        match limit {
            Some(limit) if idle >= limit => Self::TimedOut,
            Some(limit) => Self::Waiting(Some((limit - idle).unsigned_abs())),
            None => Self::Waiting(None),
        }
    }

    fn write(&self, deployment: &mut Value, set: &str) {
        let (is, reason, message) = match self {
            Self::Settled => return,
            Self::Complete => (
                true,
                COMPLETE,
                format!("ReplicaSet {set:?} has successfully progressed."),
            ),
            Self::Going(_) | Self::Waiting(_) => (
                true,
                "ReplicaSetUpdated",
                format!("ReplicaSet {set:?} is progressing."),
            ),
            Self::TimedOut => (
                false,
                TIMED_OUT,
                format!("ReplicaSet {set:?} has timed out progressing."),
            ),
        };
        object::set_condition(deployment, "Progressing", is, reason, &message, true);
        if matches!(self, Self::Going(_)) {
            let conditions = deployment["status"]["conditions"].as_array_mut();
            let condition = conditions.and_then(|all| {
                all.iter_mut()
                    .find(|condition| condition["type"] == "Progressing")
            });
            if let Some(condition) = condition {
                condition["lastUpdateTime"] = json!(object::now());
            }
        }
    }

    fn next(&self) -> Next {
        match self {
            Self::Going(Some(seconds)) | Self::Waiting(Some(seconds)) => {
                Next::After(Duration::from_secs(*seconds + 1))
            }
            _ => Next::Event,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(reason: &str, updated: &str) -> Value {
        json!({
            "spec": {"replicas": 1, "progressDeadlineSeconds": 600},
            "status": {"replicas": 1, "updatedReplicas": 1, "conditions": [{
                "type": "Progressing",
                "status": "True",
                "reason": reason,
                "message": "ReplicaSet \"web-1\" is progressing.",
                "lastUpdateTime": updated,
            }]},
        })
    }

    #[test]
    fn a_roll_out_that_does_not_get_on_times_out() {
        let set = json!({"metadata": {"name": "web-1"}});
        let judge =
            |deployment: &Value, counts| Progress::judge(deployment, counts, false, Some(&set));
        let long_ago = deployment("ReplicaSetUpdated", "2020-01-01T00:00:00Z");
        assert_eq!(judge(&long_ago, [1, 1, 0, 0]), Progress::TimedOut);
        // One more is ready: it gets on.
        assert_eq!(judge(&long_ago, [1, 1, 1, 0]), Progress::Going(Some(600)));
        let just_now = deployment("ReplicaSetUpdated", &object::now());
        assert!(matches!(
            judge(&just_now, [1, 1, 0, 0]),
            Progress::Waiting(Some(590..))
        ));
        // It has, and is given more time: nothing gets on by that.
        let over = deployment(TIMED_OUT, &object::now());
        assert_eq!(judge(&over, [1, 1, 0, 0]), Progress::TimedOut);
        // What was complete stays complete when a pod is restarted later.
        let complete = deployment(COMPLETE, "2020-01-01T00:00:00Z");
        assert_eq!(judge(&complete, [1, 1, 0, 0]), Progress::Settled);
    }
}
