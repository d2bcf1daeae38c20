//! Whether what was imported really runs.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use openshifter_cluster::Cluster;
use openshifter_objects::{Object, ObjectKey};
use serde_json::Value;

use crate::helper::pods;
use crate::{MigrateError, Run};

/// How far one object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    Waiting(String),
    /// It will not become ready by waiting.
    Failed(String),
}

/// Kinds whose readiness is waited for.
pub(crate) fn is_waited_for(object: &Object) -> bool {
    matches!(
        (object.group(), object.kind()),
        (
            "apps",
            "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet"
        ) | ("apps.openshift.io", "DeploymentConfig")
            | ("", "ReplicationController" | "Pod")
            | ("route.openshift.io", "Route")
    )
}

/// Reads an object's status as its controller writes it.
pub(crate) fn readiness(object: Option<&Object>) -> Readiness {
    let Some(object) = object else {
        return Readiness::Failed("it is gone".to_owned());
    };
    let value = object.value();
    let (spec, status) = (&value["spec"], &value["status"]);
    let number = |value: &Value| value.as_i64().unwrap_or(0);
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    let seen = status["observedGeneration"].as_i64().unwrap_or(0)
        >= value["metadata"]["generation"].as_i64().unwrap_or(0);
    let of = |have: i64, want: i64| {
        if have >= want {
            Readiness::Ready
        } else {
            Readiness::Waiting(format!("{have} of {want} ready"))
        }
    };
    let not_seen = || Readiness::Waiting("its controller has not seen it yet".to_owned());
    match (object.group(), object.kind()) {
        ("apps", "Deployment") if !seen => not_seen(),
        ("apps", "Deployment") => of(
            number(&status["availableReplicas"]).min(number(&status["updatedReplicas"])),
            wanted,
        ),
        ("apps", "StatefulSet") if !seen => not_seen(),
        ("apps", "StatefulSet") => of(number(&status["readyReplicas"]), wanted),
        ("apps", "DaemonSet") if !seen => not_seen(),
        ("apps", "DaemonSet") => of(
            number(&status["numberReady"]),
            number(&status["desiredNumberScheduled"]),
        ),
        ("apps.openshift.io", "DeploymentConfig") => {
            if wanted > 0 && number(&status["latestVersion"]) == 0 {
                return Readiness::Waiting(
                    "it has not rolled out: its image stream tag has no image yet".to_owned(),
                );
            }
            of(
                number(&status["availableReplicas"]).min(number(&status["updatedReplicas"])),
                wanted,
            )
        }
        ("apps", "ReplicaSet") | ("", "ReplicationController") => {
            of(number(&status["readyReplicas"]), wanted)
        }
        ("", "Pod") => match status["phase"].as_str() {
            Some("Succeeded") => Readiness::Ready,
            Some("Failed") => Readiness::Failed("the pod has failed".to_owned()),
            _ if condition(status, "Ready").is_some_and(|c| c["status"] == "True") => {
                Readiness::Ready
            }
            phase => Readiness::Waiting(phase.unwrap_or("no status yet").to_owned()),
        },
        ("route.openshift.io", "Route") => {
            let admitted = status["ingress"]
                .as_array()
                .into_iter()
                .flatten()
                .find_map(|ingress| condition(ingress, "Admitted"));
            match admitted {
                Some(admitted) if admitted["status"] == "True" => Readiness::Ready,
                Some(admitted) => Readiness::Failed(format!(
                    "the router does not admit it: {}",
                    admitted["message"]
                        .as_str()
                        .or(admitted["reason"].as_str())
                        .unwrap_or("no reason given")
                )),
                None => Readiness::Waiting("no router has admitted it yet".to_owned()),
            }
        }
        _ => Readiness::Ready,
    }
}

fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == kind)
}

/// Waits until all of `keys` are ready. Gives those that are not in time, each with the reason.
pub(crate) async fn wait_ready(
    run: &Run,
    cluster: &Cluster,
    namespace: &str,
    keys: &[ObjectKey],
    patience: Duration,
) -> Result<Vec<(ObjectKey, String)>, MigrateError> {
    let total = keys.len();
    let mut done = 0;
    run.progress.count(done, total);
    let mut waits = stream::iter(keys.iter().cloned().map(|key| async move {
        let mut last = Readiness::Waiting(String::new());
        let waited = cluster
            .wait(&key.kind, Some(namespace), &key.name, patience, |object| {
                last = readiness(object);
                !matches!(last, Readiness::Waiting(_))
            })
            .await;
        match waited {
            Err(error) if !error.is_timeout() => Err(MigrateError::from(error)),
            _ => Ok((key, last)),
        }
    }))
    .buffer_unordered(32);
    let mut late = Vec::new();
    while let Some(result) = waits.next().await {
        let (key, readiness) = result?;
        done += 1;
        run.progress.count(done, total);
        match readiness {
            Readiness::Ready => {}
            Readiness::Waiting(reason) | Readiness::Failed(reason) => late.push((key, reason)),
        }
    }
    drop(waits);
    if !late.is_empty()
        && let Some(trouble) = pod_trouble(cluster, namespace).await
    {
        for (_, reason) in &mut late {
            reason.push_str("; ");
            reason.push_str(&trouble);
        }
    }
    late.sort();
    Ok(late)
}

/// What keeps a pod of the namespace from running, for a message.
async fn pod_trouble(cluster: &Cluster, namespace: &str) -> Option<String> {
    let pods = cluster.discovery().await.ok()?.find(&pods()).cloned()?;
    let list = cluster.list(&pods, Some(namespace), None).await.ok()?;
    list.iter().find_map(|pod| {
        let status = &pod.value()["status"];
        let statuses = ["initContainerStatuses", "containerStatuses"];
        let waiting = statuses
            .iter()
            .flat_map(|key| status[*key].as_array().into_iter().flatten())
            .find_map(|container| {
                let waiting = &container["state"]["waiting"];
                let reason = waiting["reason"].as_str()?;
                (!matches!(reason, "ContainerCreating" | "PodInitializing")).then(|| {
                    format!(
                        "pod {}: {reason} {}",
                        pod.name(),
                        waiting["message"].as_str().unwrap_or_default()
                    )
                })
            });
        waiting.or_else(|| {
            let unscheduled = condition(status, "PodScheduled")
                .filter(|condition| condition["status"] == "False")?;
            Some(format!(
                "pod {}: {}",
                pod.name(),
                unscheduled["message"].as_str().unwrap_or_default()
            ))
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap()
    }

    #[test]
    fn an_old_status_is_not_believed() {
        let mut deployment = object(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "generation": 2},
            "spec": {"replicas": 1},
            "status": {"observedGeneration": 1, "availableReplicas": 1, "updatedReplicas": 1},
        }));
        assert!(matches!(
            readiness(Some(&deployment)),
            Readiness::Waiting(_)
        ));
        deployment.value_mut()["status"]["observedGeneration"] = 2.into();
        assert_eq!(readiness(Some(&deployment)), Readiness::Ready);
    }

    #[test]
    fn a_route_that_is_not_admitted_fails_with_the_routers_words() {
        let route = object(json!({
            "apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": {"name": "web"}, "spec": {},
            "status": {"ingress": [{"conditions": [{"type": "Admitted", "status": "False",
                "reason": "HostAlreadyClaimed", "message": "route web2 already exposes it"}]}]},
        }));
        assert_eq!(
            readiness(Some(&route)),
            Readiness::Failed("the router does not admit it: route web2 already exposes it".into())
        );
    }

    #[test]
    fn a_config_without_its_image_is_waiting_for_it() {
        let config = object(json!({
            "apiVersion": "apps.openshift.io/v1", "kind": "DeploymentConfig", "metadata": {"name": "web"},
            "spec": {"replicas": 1}, "status": {"latestVersion": 0},
        }));
        assert!(
            matches!(readiness(Some(&config)), Readiness::Waiting(reason) if reason.contains("image stream tag"))
        );
    }
}
