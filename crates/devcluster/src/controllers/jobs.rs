//! Jobs: pods that run to completion, so many and as often as it takes.

use std::time::Duration;

use openshifter_apiserver::{DeleteOptions, Event, Propagation, ResourceId};
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next, Reconciled, pods, queue};
use crate::object::{self, number, resources, seconds_since, text};

/// The controller.
pub(super) struct Jobs;

impl Controller for Jobs {
    fn name(&self) -> &'static str {
        "job"
    }

    fn resource(&self) -> ResourceId {
        resources::jobs()
    }

    fn concerns(&self, _context: &Context, event: &Event) -> Vec<Key> {
        queue::itself_or_owner(event, &self.resource(), "Job", &[resources::pods()])
    }

    fn reconcile(&self, context: &Context, (namespace, name): &Key) -> Reconciled {
        let Some(job) = context.store.get(&self.resource(), Some(namespace), name) else {
            return Ok(Next::Event);
        };
        if object::is_deleting(&job) {
            return Ok(Next::Event);
        }
        if let Some(finished) = finished_at(&job) {
            return expire(context, &job, &finished);
        }
        let owned = pods::owned(context, &job, |pod| {
            object::selects(&job["spec"]["selector"], pod)
        });
        let count = |phase: &str| {
            let of = |pod: &&Value| text(pod, "/status/phase") == phase;
            i64::try_from(owned.iter().filter(of).count()).unwrap_or(0)
        };
        let (succeeded, failed) = (count("Succeeded"), count("Failed"));
        let active: Vec<&Value> = owned.iter().filter(|pod| pods::is_active(pod)).collect();
        let mut running = i64::try_from(active.len()).unwrap_or(0);
        let parallelism = number(&job, "/spec/parallelism").unwrap_or(1);
        // Without a number of completions one success is enough, once no pod runs any more.
        let completions = number(&job, "/spec/completions").unwrap_or(1);
        let suspended = job["spec"]["suspend"] == true;
        let deadline = number(&job, "/spec/activeDeadlineSeconds");
        let age = seconds_since(text(&job, "/status/startTime")).unwrap_or(0);
        let mut next = Next::Event;

        let verdict = if succeeded >= completions {
            Some((
                "Complete",
                "CompletionsReached",
                "Reached expected number of succeeded pods",
            ))
        } else if failed > number(&job, "/spec/backoffLimit").unwrap_or(6) {
            Some((
                "Failed",
                "BackoffLimitExceeded",
                "Job has reached the specified backoff limit",
            ))
        } else if deadline.is_some_and(|deadline| age >= deadline) {
            Some((
                "Failed",
                "DeadlineExceeded",
                "Job was active longer than specified deadline",
            ))
        } else {
            None
        };
        if verdict.is_some() || suspended {
            for pod in active {
                pods::delete(context, pod)?;
            }
            running = 0;
        } else {
            let wanted = parallelism.min(completions - succeeded).max(0);
            // After a failure the next pod waits, longer each time.
            let pause = backoff(&owned, failed);
            if running < wanted && !pause.is_zero() {
                next = Next::After(pause);
            } else {
                while running < wanted {
                    pods::create(
                        context,
                        &job,
                        pods::from_template(&job, &job["spec"]["template"]),
                    )?;
                    running += 1;
                }
            }
            if let (Next::Event, Some(deadline)) = (next, deadline) {
                next = Next::After(Duration::from_secs((deadline - age).max(1).unsigned_abs()));
            }
        }
        let ready =
            i64::try_from(owned.iter().filter(|pod| object::is_ready(pod)).count()).unwrap_or(0);
        let uid = object::uid(&job).to_owned();
        context
            .store
            .update_status(&self.resource(), Some(namespace), name, |job| {
                if object::uid(job) != uid {
                    return;
                }
                let now = object::now();
                let status = &mut job["status"];
                if !status.is_object() {
                    *status = json!({});
                }
                if status["startTime"].is_null() && !suspended {
                    status["startTime"] = json!(now);
                }
                for (field, value) in [
                    ("active", running),
                    ("succeeded", succeeded),
                    ("failed", failed),
                ] {
                    if value > 0 {
                        status[field] = json!(value);
                    } else if let Some(map) = status.as_object_mut() {
                        map.remove(field);
                    }
                }
                status["ready"] = json!(ready);
                status["terminating"] = json!(0);
                status["uncountedTerminatedPods"] = json!({});
                if let Some((kind, reason, message)) = verdict {
                    let first = if kind == "Complete" {
                        "SuccessCriteriaMet"
                    } else {
                        "FailureTarget"
                    };
                    if kind == "Complete" {
                        status["completionTime"] = json!(now);
                    }
                    for kind in [first, kind] {
                        object::set_condition(job, kind, true, reason, message, false);
                        let conditions = job["status"]["conditions"].as_array_mut();
                        if let Some(condition) =
                            conditions.and_then(|conditions| conditions.last_mut())
                        {
                            condition["lastProbeTime"] = json!(now);
                        }
                    }
                } else if suspended {
                    object::set_condition(
                        job,
                        "Suspended",
                        true,
                        "JobSuspended",
                        "Job suspended",
                        false,
                    );
                } else if object::condition(job, "Suspended").is_some() {
                    object::set_condition(
                        job,
                        "Suspended",
                        false,
                        "JobResumed",
                        "Job resumed",
                        false,
                    );
                }
            })?;
        Ok(next)
    }
}

/// When it completed or failed.
fn finished_at(job: &Value) -> Option<String> {
    ["Complete", "Failed"].iter().find_map(|kind| {
        let condition = object::condition(job, kind)?;
        (condition["status"] == "True").then(|| text(condition, "/lastTransitionTime").to_owned())
    })
}

/// Removes a finished job when its time is over.
fn expire(context: &Context, job: &Value, finished: &str) -> Reconciled {
    let Some(seconds) = number(job, "/spec/ttlSecondsAfterFinished") else {
        return Ok(Next::Event);
    };
    let left = seconds - seconds_since(finished).unwrap_or(0);
    if left > 0 {
        return Ok(Next::After(Duration::from_secs(left.unsigned_abs())));
    }
    let (namespace, name) = queue::key(job);
    let options = DeleteOptions {
        uid: Some(object::uid(job).to_owned()),
        propagation: Some(Propagation::Background),
        ..DeleteOptions::default()
    };
    pods::gone_is_fine(
        context
            .store
            .delete(&resources::jobs(), Some(&namespace), &name, options),
    )?;
    Ok(Next::Event)
}

/// How long the next pod still waits: 10 s after the first failure, twice as long after each other.
fn backoff(owned: &[Value], failed: i64) -> Duration {
    if failed == 0 {
        return Duration::ZERO;
    }
    let newest = owned
        .iter()
        .filter(|pod| text(pod, "/status/phase") == "Failed")
        .filter_map(|pod| {
            seconds_since(text(
                pod,
                "/status/containerStatuses/0/state/terminated/finishedAt",
            ))
        })
        .min()
        .unwrap_or(0);
    let pause = 10_i64 << (failed - 1).clamp(0, 5);
    Duration::from_secs((pause - newest).max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_after_failures_doubles() {
        let pod = json!({"status": {"phase": "Failed", "containerStatuses": [
            {"state": {"terminated": {"finishedAt": object::now()}}}
        ]}});
        let pods = [pod];
        assert_eq!(backoff(&[], 0), Duration::ZERO);
        assert!(backoff(&pods, 1) > Duration::from_secs(8));
        assert!(backoff(&pods, 2) > Duration::from_secs(18));
        assert!(backoff(&pods, 50) <= Duration::from_secs(320));
    }
}
