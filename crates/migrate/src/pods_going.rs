//! Pods that end: of workloads that were scaled down or deleted. A claim is free only when the last pod that mounts it
//! is gone, however its workload looks.

use std::collections::BTreeSet;
use std::time::Duration;

use openshifter_cluster::Cluster;
use openshifter_objects::{Object, ObjectKey};

use crate::MigrateError;
use crate::helper::pods;
use crate::run::HELPER_LABEL;

/// How long pods may take to end.
const STOP: Duration = Duration::from_secs(300);

/// How many times pods are listed again. A controller that makes new ones all the time is not waited for.
const ROUNDS: usize = 20;

/// Whether a pod runs, or may yet: its containers may write. Helper pods of this program do not count.
fn is_active(pod: &Object) -> bool {
    pod.label(HELPER_LABEL).is_none()
        && !matches!(
            pod.value()["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed")
        )
}

/// The first of these claims that a pod mounts.
pub(crate) fn mounted<'a>(pod: &Object, claims: &'a [String]) -> Option<&'a String> {
    let names = pod.claim_names();
    claims.iter().find(|claim| names.contains(&claim.as_str()))
}

/// What a pod belongs to in the end.
pub(crate) struct Root {
    /// The topmost controller that is still there, or the pod itself.
    pub(crate) key: ObjectKey,
    /// Whether it goes: it is being deleted, or a controller above it is or is no more.
    pub(crate) going: bool,
}

/// Follows a pod's controllers upwards.
async fn root(cluster: &Cluster, namespace: &str, pod: &Object) -> Result<Root, MigrateError> {
    let mut key = pod.key();
    let mut going = is_deleted(pod);
    let mut owner = controller_of(pod);
    while let Some((above, uid)) = owner.take() {
        // A controller of a kind that this user may not read says nothing.
        let live = match cluster.get(&above.kind, Some(namespace), &above.name).await {
            Ok(live) => live,
            Err(error) if error.is_forbidden() || error.is_not_found() => {
                return Ok(Root { key: above, going });
            }
            Err(error) => return Err(error.into()),
        };
        match live.filter(|live| live.uid() == Some(uid.as_str())) {
            Some(live) => {
                going |= is_deleted(&live);
                owner = controller_of(&live);
                key = above;
            }
            None => {
                return Ok(Root {
                    key: above,
                    going: true,
                });
            }
        }
    }
    Ok(Root { key, going })
}

fn is_deleted(object: &Object) -> bool {
    object.value()["metadata"]
        .get("deletionTimestamp")
        .is_some()
}

fn controller_of(object: &Object) -> Option<(ObjectKey, String)> {
    object
        .owners()
        .into_iter()
        .find(|owner| owner.controller)
        .map(|owner| (owner.key, owner.uid))
}

/// Uids of the active pods that belong to one of these objects.
pub(crate) async fn pods_of(
    cluster: &Cluster,
    namespace: &str,
    owners: &BTreeSet<&ObjectKey>,
) -> Result<BTreeSet<String>, MigrateError> {
    let mut found = BTreeSet::new();
    for pod in active(cluster, namespace).await? {
        let root = root(cluster, namespace, &pod).await?;
        if owners.contains(&root.key) {
            found.extend(pod.uid().map(str::to_owned));
        }
    }
    Ok(found)
}

/// Pods, ended ones too, that mount one of these claims; helper pods of this program do not count.
pub(crate) async fn mounting(
    cluster: &Cluster,
    namespace: &str,
    claims: &[String],
) -> Result<Vec<Object>, MigrateError> {
    let mut found = all(cluster, namespace).await?;
    found.retain(|pod| pod.label(HELPER_LABEL).is_none() && mounted(pod, claims).is_some());
    Ok(found)
}

/// The active pods of a project.
async fn active(cluster: &Cluster, namespace: &str) -> Result<Vec<Object>, MigrateError> {
    let mut found = all(cluster, namespace).await?;
    found.retain(is_active);
    Ok(found)
}

/// The pods of a project. Who may not list pods has none to wait for.
async fn all(cluster: &Cluster, namespace: &str) -> Result<Vec<Object>, MigrateError> {
    let Some(kind) = cluster.discovery().await?.find(&pods()).cloned() else {
        return Ok(Vec::new());
    };
    match cluster.list(&kind, Some(namespace), None).await {
        Ok(live) => Ok(live),
        Err(error) if error.is_forbidden() => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Waits until no pod is left that `concerns` says yes to and that goes. `stays` makes an error of one that does not,
/// or leaves it alone.
///
/// # Errors
/// When one does not end in time, or `stays` says so.
pub(crate) async fn wait_gone(
    cluster: &Cluster,
    namespace: &str,
    concerns: impl Fn(&Object) -> bool,
    stays: impl Fn(&Object, &Root) -> Result<Stays, MigrateError>,
) -> Result<(), MigrateError> {
    for _ in 0..ROUNDS {
        let mut waited = false;
        for pod in active(cluster, namespace).await? {
            if !concerns(&pod) {
                continue;
            }
            let root = root(cluster, namespace, &pod).await?;
            if !root.going && stays(&pod, &root)? == Stays::LeaveAlone {
                continue;
            }
            waited = true;
            let uid = pod.uid().map(str::to_owned);
            cluster
                .wait(&pods(), Some(namespace), pod.name(), STOP, |now| {
                    // A StatefulSet's next pod has the same name and another uid.
                    now.is_none_or(|now| now.uid() != uid.as_deref() || !is_active(now))
                })
                .await?;
        }
        if !waited {
            return Ok(());
        }
    }
    Err(MigrateError::NotPossible(format!(
        "new pods appear in {namespace} while old ones are waited for; stop what makes them first"
    )))
}

/// What is done about a pod that nobody has told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stays {
    /// Its workload has no replicas any more: it will go.
    Await,
    /// It is no business of this run.
    LeaveAlone,
}
