//! Stops what writes to volumes for the time of a copy, and lets it go on afterwards.

use std::collections::BTreeSet;

use openshifter_cluster::Cluster;
use openshifter_objects::{Object, ObjectKey, claims_of, counted};

use crate::helper::pods;
use crate::journal::{At, Event};
use crate::pods_going::{Stays, mounted, wait_gone};
use crate::{MigrateError, Run};

/// Workloads that were scaled to zero, with their replicas before.
#[derive(Debug, Default, Clone)]
pub(crate) struct Quiesced {
    workloads: Vec<(ObjectKey, i64)>,
}

/// Whether a workload is stopped by its replicas.
fn is_scalable(object: &Object) -> bool {
    matches!(
        (object.group(), object.kind()),
        ("apps", "Deployment" | "StatefulSet" | "ReplicaSet")
            | ("apps.openshift.io", "DeploymentConfig")
            | ("", "ReplicationController")
    )
}

/// What would have to be stopped so that nothing writes to these claims.
///
/// # Errors
/// When something writes that cannot be stopped by its replicas.
fn writers<'a>(
    objects: &'a [Object],
    claims: &[String],
    live_pods: &[Object],
) -> Result<Vec<(&'a Object, i64)>, MigrateError> {
    let mut found = Vec::new();
    for object in objects {
        let Some(claim) = claims_of(object, objects)
            .into_iter()
            .find(|claim| claims.contains(claim))
        else {
            continue;
        };
        if is_scalable(object) {
            let replicas = object.value()["spec"]["replicas"].as_i64().unwrap_or(1);
            if replicas > 0 {
                found.push((object, replicas));
            }
            continue;
        }
        let active = match object.kind() {
            "DaemonSet" => object.value()["status"]["currentNumberScheduled"].as_i64() != Some(0),
            "Job" => object.value()["status"]["active"].as_i64().unwrap_or(0) > 0,
            "Pod" => matches!(
                object.value()["status"]["phase"].as_str(),
                Some("Running" | "Pending")
            ),
            // One between two runs is no writer; its Jobs are looked at by themselves.
            _ => false,
        };
        if active {
            return Err(MigrateError::CannotQuiesce {
                key: object.key(),
                claim,
                reason: "it has no replicas to scale; stop it first, or copy while it runs"
                    .to_owned(),
            });
        }
    }
    // A Job that a CronJob owns is no object of the application, but it writes all the same.
    for pod in live_pods {
        let by_job = pod
            .owners()
            .iter()
            .any(|owner| owner.controller && owner.key.kind.kind == "Job");
        let active = matches!(
            pod.value()["status"]["phase"].as_str(),
            Some("Running" | "Pending")
        );
        if let Some(claim) = pod
            .claim_names()
            .into_iter()
            .find(|claim| claims.iter().any(|c| c == claim))
            && by_job
            && active
        {
            return Err(MigrateError::CannotQuiesce {
                key: pod.key(),
                claim: claim.to_owned(),
                reason: "a job is running; wait until it has ended".to_owned(),
            });
        }
    }
    Ok(found)
}

/// Scales to zero what writes to these claims, and waits until no pod mounts them any more.
///
/// A pod that mounts one and that nobody has stopped, as one of an operator, is an error that names it: what it writes
/// would be torn.
///
/// Each step is journaled before it is made: `undo` gives the replicas back after a crash.
pub(crate) async fn quiesce(
    run: &Run,
    cluster: &Cluster,
    namespace: &str,
    at: At,
    objects: &[Object],
    claims: &[String],
    quiesced: &mut Quiesced,
) -> Result<(), MigrateError> {
    let pod_type = cluster.discovery().await?.find(&pods()).cloned();
    let live = match &pod_type {
        Some(pods) => cluster.list(pods, Some(namespace), None).await?,
        None => Vec::new(),
    };
    for (object, replicas) in writers(objects, claims, &live)? {
        let key = object.key();
        run.progress.note(&format!(
            "stopping {key} for the copy ({})",
            counted(replicas, "replica")
        ));
        run.journal.write(Event::Scaling {
            at,
            key: key.clone(),
            from: replicas,
            to: 0,
        })?;
        if let Err(error) = cluster
            .scale(&key.kind, Some(namespace), &key.name, 0)
            .await
        {
            if error
                .status()
                .is_some_and(|status| (400..500).contains(&status))
            {
                // The server's no is certain: there is nothing to take back.
                run.journal.write(Event::Rescaled { at, key })?;
            } else {
                quiesced.workloads.push((key, replicas));
            }
            return Err(error.into());
        }
        quiesced.workloads.push((key, replicas));
    }
    // Also where nothing was scaled: pods of what was deleted or scaled before may still write, and pods of an operator
    // or of another application, too.
    let stopped: BTreeSet<ObjectKey> = objects
        .iter()
        .filter(|object| is_scalable(object))
        .map(Object::key)
        .collect();
    wait_gone(
        cluster,
        namespace,
        |pod| mounted(pod, claims).is_some(),
        |pod, root| {
            if stopped.contains(&root.key) {
                return Ok(Stays::Await);
            }
            Err(MigrateError::CannotQuiesce {
                key: pod.key(),
                claim: mounted(pod, claims).cloned().unwrap_or_default(),
                reason: match root.key == pod.key() {
                    true => "nothing controls it; stop it first, or copy while it runs".to_owned(),
                    false => format!(
                        "it belongs to {}, which is not scaled by this run; stop that first, or copy while it runs",
                        root.key
                    ),
                },
            })
        },
    )
    .await
}

/// Gives the workloads their replicas back. Tries all, and returns the first failure.
pub(crate) async fn release(
    run: &Run,
    cluster: &Cluster,
    namespace: &str,
    at: At,
    quiesced: &mut Quiesced,
) -> Result<(), MigrateError> {
    let mut first = Ok(());
    for (key, replicas) in std::mem::take(&mut quiesced.workloads) {
        match cluster
            .scale(&key.kind, Some(namespace), &key.name, replicas)
            .await
        {
            // It is done; that an undo would do it once more does no harm.
            Ok(()) => {
                if let Err(error) = run.journal.write(Event::Rescaled { at, key }) {
                    tracing::warn!(%error, "a scaling could not be journaled");
                }
            }
            Err(error) => {
                run.progress.note(&format!(
                    "{key} could not be scaled back to {replicas}: {error}"
                ));
                if first.is_ok() {
                    first = Err(MigrateError::Object {
                        key,
                        done: "scaled back",
                        source: error,
                    });
                }
            }
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn workload(api_version: &str, kind: &str, extra: Value) -> Object {
        let mut value = json!({
            "apiVersion": api_version, "kind": kind, "metadata": {"name": "w"},
            "spec": {"replicas": 2, "template": {"spec": {
                "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]}}},
        });
        if let Some(extra) = extra.as_object() {
            for (key, more) in extra {
                value[key] = more.clone();
            }
        }
        Object::from_value(value).unwrap()
    }

    #[test]
    fn writers_are_found_with_their_replicas() {
        let objects = [workload("apps/v1", "Deployment", json!({}))];
        let found = writers(&objects, &["data".to_owned()], &[]).unwrap();
        assert_eq!(
            found
                .iter()
                .map(|(_, replicas)| *replicas)
                .collect::<Vec<_>>(),
            [2]
        );
        assert!(
            writers(&objects, &["other".to_owned()], &[])
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_running_job_cannot_be_stopped() {
        let objects = [workload(
            "batch/v1",
            "Job",
            json!({"status": {"active": 1}}),
        )];
        let error = writers(&objects, &["data".to_owned()], &[]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("Job.batch/w writes to volume data"),
            "{error}"
        );
    }
}
