//! Stops what writes to volumes for the time of a copy, and lets it go on afterwards.

use std::collections::BTreeSet;

use openshifter_cluster::{Cluster, ClusterError};
use openshifter_objects::{Object, ObjectKey, claims_of, counted};
use serde_json::json;

use crate::helper::pods;
use crate::journal::{At, Event};
use crate::pods_going::{Stays, mounted, mounting, wait_gone};
use crate::{Action, MigrateError, Report, Run};

/// What was stopped so that nothing writes to some claims.
#[derive(Debug, Default, Clone)]
pub(crate) struct Quiesced {
    stopped: Vec<Stopped>,
    claims: Vec<String>,
    /// Uids of the pods that mount one of the claims, ended ones, from when nothing wrote any more.
    known: BTreeSet<String>,
}

/// A workload that was stopped.
#[derive(Debug, Clone)]
struct Stopped {
    key: ObjectKey,
    /// The claims that it mounts.
    claims: Vec<String>,
    how: How,
}

#[derive(Debug, Clone, Copy)]
enum How {
    /// It had so many replicas.
    Scaled(i64),
    /// A CronJob that starts nothing.
    Suspended,
}

impl Quiesced {
    /// What an earlier part of a run has stopped at an end and not started again.
    pub(crate) fn of(events: &[Event], end: At) -> Self {
        let mut stopped: Vec<Stopped> = Vec::new();
        for event in events {
            match event {
                Event::Scaling {
                    at,
                    key,
                    from,
                    to: 0,
                    claims,
                } if *at == end => {
                    stopped.retain(|one| one.key != *key);
                    stopped.push(Stopped {
                        key: key.clone(),
                        claims: claims.clone(),
                        how: How::Scaled(*from),
                    });
                }
                Event::Suspending { at, key, claims } if *at == end => {
                    stopped.retain(|one| one.key != *key);
                    stopped.push(Stopped {
                        key: key.clone(),
                        claims: claims.clone(),
                        how: How::Suspended,
                    });
                }
                Event::Rescaled { at, key } if *at == end => {
                    stopped.retain(|one| one.key != *key);
                }
                _ => {}
            }
        }
        Self {
            stopped,
            ..Self::default()
        }
    }

    /// Whether nothing is stopped.
    pub(crate) fn is_empty(&self) -> bool {
        self.stopped.is_empty()
    }

    /// Starts again what a run has stopped, for an undo, and reports it.
    ///
    /// # Errors
    /// At the first that cannot be started; `undo` can be tried again.
    pub(crate) async fn give_back(
        self,
        run: &Run,
        cluster: &Cluster,
        namespace: &str,
        at: At,
        report: &mut Report,
    ) -> Result<(), MigrateError> {
        for Stopped { key, how, .. } in self.stopped {
            match set(cluster, namespace, &key, how, false).await {
                Err(error) if error.is_not_found() => continue,
                Err(source) => {
                    return Err(MigrateError::Object {
                        key,
                        done: "started again",
                        source,
                    });
                }
                Ok(()) => {}
            }
            run.journal.write(Event::Rescaled {
                at,
                key: key.clone(),
            })?;
            let now = match how {
                How::Scaled(replicas) => format!("scaled back to {replicas}"),
                How::Suspended => "not suspended any more".to_owned(),
            };
            report.object(key, Action::Updated, Some(now));
        }
        Ok(())
    }

    /// Takes out what mounts one of these claims: it must not start. Gives each with the claim.
    pub(crate) fn without_users_of(&mut self, claims: &[String]) -> Vec<(ObjectKey, String)> {
        let mut out = Vec::new();
        self.stopped.retain(|one| {
            let claim = one.claims.iter().find(|claim| claims.contains(claim));
            out.extend(claim.map(|claim| (one.key.clone(), claim.clone())));
            claim.is_none()
        });
        out
    }

    /// Proves that nothing was started on the claims since they were at rest, by an operator or a schedule that nobody
    /// knows of: what it wrote would be missing in the copy.
    ///
    /// # Errors
    /// When a pod was.
    pub(crate) async fn still(
        &self,
        cluster: &Cluster,
        namespace: &str,
    ) -> Result<(), MigrateError> {
        if self.claims.is_empty() {
            return Ok(());
        }
        let pods = mounting(cluster, namespace, &self.claims).await?;
        let new = pods
            .iter()
            .find(|pod| pod.uid().is_some_and(|uid| !self.known.contains(uid)));
        match new {
            None => Ok(()),
            Some(pod) => Err(MigrateError::CannotQuiesce {
                key: pod.key(),
                claim: mounted(pod, &self.claims).cloned().unwrap_or_default(),
                reason: "it was started while the data was to rest; stop what makes it first"
                    .to_owned(),
            }),
        }
    }
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
            // One between two runs is no writer, and is suspended; its Jobs are looked at by themselves.
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
    quiesced.claims = claims.to_vec();
    let live = live_pods(cluster, namespace).await?;
    // Before anything is stopped: what cannot be stopped makes all of it pointless.
    writers(objects, claims, &live)?;
    let mut live = live;
    for object in objects.iter().filter(|object| is_scheduled(object)) {
        let mounts = mounts(object, objects, claims);
        if mounts.is_empty() {
            continue;
        }
        let key = object.key();
        run.progress.note(&format!("suspending {key} for the copy"));
        run.journal.write(Event::Suspending {
            at,
            key: key.clone(),
            claims: mounts.clone(),
        })?;
        let stopped = Stopped {
            key,
            claims: mounts,
            how: How::Suspended,
        };
        stop(run, cluster, namespace, at, stopped, quiesced).await?;
        // It may have started one a moment ago.
        live = live_pods(cluster, namespace).await?;
    }
    for (object, replicas) in writers(objects, claims, &live)? {
        let key = object.key();
        run.progress.note(&format!(
            "stopping {key} for the copy ({})",
            counted(replicas, "replica")
        ));
        let claims = mounts(object, objects, claims);
        run.journal.write(Event::Scaling {
            at,
            key: key.clone(),
            from: replicas,
            to: 0,
            claims: claims.clone(),
        })?;
        let stopped = Stopped {
            key,
            claims,
            how: How::Scaled(replicas),
        };
        stop(run, cluster, namespace, at, stopped, quiesced).await?;
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
    .await?;
    let pods = mounting(cluster, namespace, claims).await?;
    quiesced.known = pods
        .iter()
        .filter_map(|pod| pod.uid().map(str::to_owned))
        .collect();
    Ok(())
}

async fn live_pods(cluster: &Cluster, namespace: &str) -> Result<Vec<Object>, MigrateError> {
    let pod_type = cluster.discovery().await?.find(&pods()).cloned();
    match &pod_type {
        Some(pods) => Ok(cluster.list(pods, Some(namespace), None).await?),
        None => Ok(Vec::new()),
    }
}

/// A CronJob that starts Jobs.
fn is_scheduled(object: &Object) -> bool {
    object.is("batch", "CronJob") && object.value()["spec"]["suspend"] != true
}

/// Which of these claims a workload mounts.
fn mounts(object: &Object, objects: &[Object], claims: &[String]) -> Vec<String> {
    let mut mounted = claims_of(object, objects);
    mounted.retain(|claim| claims.contains(claim));
    mounted
}

/// Stops one workload. It is known as stopped before the cluster is asked: an answer that nobody waits for any more does
/// not mean that it goes on.
async fn stop(
    run: &Run,
    cluster: &Cluster,
    namespace: &str,
    at: At,
    stopped: Stopped,
    quiesced: &mut Quiesced,
) -> Result<(), MigrateError> {
    let key = stopped.key.clone();
    let how = match stopped.how {
        How::Scaled(_) => How::Scaled(0),
        suspended => suspended,
    };
    quiesced.stopped.push(stopped);
    let Err(error) = set(cluster, namespace, &key, how, true).await else {
        return Ok(());
    };
    if error
        .status()
        .is_some_and(|status| (400..500).contains(&status))
    {
        // The server's no is certain: there is nothing to take back.
        quiesced.stopped.pop();
        run.journal.write(Event::Rescaled {
            at,
            key: key.clone(),
        })?;
    }
    Err(MigrateError::Object {
        key,
        done: "stopped",
        source: error,
    })
}

/// Scales a workload, or sets whether a CronJob is suspended.
async fn set(
    cluster: &Cluster,
    namespace: &str,
    key: &ObjectKey,
    how: How,
    suspend: bool,
) -> Result<(), ClusterError> {
    match how {
        How::Scaled(replicas) => {
            cluster
                .scale(&key.kind, Some(namespace), &key.name, replicas)
                .await
        }
        How::Suspended => {
            let patch = json!({"spec": {"suspend": suspend}});
            cluster
                .merge_patch(&key.kind, Some(namespace), &key.name, &patch)
                .await
                .map(|_| ())
        }
    }
}

/// Starts what was stopped. Tries all, and returns the first failure; what is gone needs nothing.
pub(crate) async fn release(
    run: &Run,
    cluster: &Cluster,
    namespace: &str,
    at: At,
    quiesced: &mut Quiesced,
) -> Result<(), MigrateError> {
    let mut first = Ok(());
    for Stopped { key, how, .. } in std::mem::take(&mut quiesced.stopped) {
        match set(cluster, namespace, &key, how, false).await {
            Err(error) if !error.is_not_found() => {
                run.progress
                    .note(&format!("{key} could not be started again: {error}"));
                if first.is_ok() {
                    first = Err(MigrateError::Object {
                        key,
                        done: "started again",
                        source: error,
                    });
                }
            }
            // That an undo would do it once more does no harm.
            _ => {
                if let Err(error) = run.journal.write(Event::Rescaled { at, key }) {
                    tracing::warn!(%error, "a scaling could not be journaled");
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
