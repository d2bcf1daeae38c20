//! Deployments: ReplicaSets of older and newer templates, moved from the former to the latter.

use openshifter_apiserver::{ApiError, DeleteOptions, Event, ResourceId};
use serde_json::{Value, json};

use super::deployment_status::{self, is_complete};
use super::rolling::{Step, desired, limits, step};
use super::{Context, Controller, Key, Next, Reconciled, pods, queue};
use crate::object::{self, annotation, number, resources, text};

const REVISION: &str = "deployment.kubernetes.io/revision";
const HASH: &str = "pod-template-hash";

/// The controller.
pub(super) struct Deployments;

impl Controller for Deployments {
    fn name(&self) -> &'static str {
        "deployment"
    }

    fn resource(&self) -> ResourceId {
        resources::deployments()
    }

    fn concerns(&self, context: &Context, event: &Event) -> Vec<Key> {
        // A pod that is gone lets a Recreate go on.
        if event.resource == resources::pods() && queue::is_gone(event) {
            return object::controller(&event.object)
                .filter(|owner| owner["kind"] == "ReplicaSet")
                .and_then(|owner| {
                    let namespace = object::namespace(&event.object);
                    context.store.get(
                        &resources::replica_sets(),
                        Some(namespace),
                        text(owner, "/name"),
                    )
                })
                .and_then(|set| {
                    let owner = object::controller(&set)?;
                    Some((
                        object::namespace(&set).to_owned(),
                        text(owner, "/name").to_owned(),
                    ))
                })
                .into_iter()
                .collect();
        }
        queue::itself_or_owner(
            event,
            &self.resource(),
            "Deployment",
            &[resources::replica_sets()],
        )
    }

    fn reconcile(&self, context: &Context, (namespace, name): &Key) -> Reconciled {
        let Some(deployment) = context.store.get(&self.resource(), Some(namespace), name) else {
            return Ok(Next::Event);
        };
        if object::is_deleting(&deployment) {
            return Ok(Next::Event);
        }
        let mut sets: Vec<Value> = context
            .store
            .list(&resources::replica_sets(), Some(namespace))
            .into_iter()
            .filter(|set| object::is_controlled_by(set, &deployment))
            .collect();
        sets.sort_by_key(revision);
        let paused = deployment["spec"]["paused"] == true;
        let current = sets
            .iter()
            .position(|set| same_template(set, &deployment))
            .map(|at| sets.remove(at));
        let old = sets;
        let current = match current {
            Some(set) => Some(set),
            None if paused => None,
            None => {
                let recreate = text(&deployment, "/spec/strategy/type") == "Recreate";
                if recreate && !retire(context, &old)? {
                    return deployment_status::write(context, &deployment, None, &old);
                }
                Some(create_set(context, &deployment, &old)?)
            }
        };
        if let Some(current) = &current {
            let current = refresh(context, &deployment, current, &old)?;
            if paused {
                scale_alone(context, &deployment, &current, &old)?;
            } else if text(&deployment, "/spec/strategy/type") == "Recreate" {
                if retire(context, &old)? {
                    scale(context, &current, desired(&deployment))?;
                }
            } else {
                roll(context, &deployment, &current, &old)?;
            }
        }
        let current = current.and_then(|set| {
            context.store.get(
                &resources::replica_sets(),
                Some(namespace),
                object::name(&set),
            )
        });
        let next = deployment_status::write(context, &deployment, current.as_ref(), &old)?;
        if current
            .as_ref()
            .is_some_and(|set| is_complete(&deployment, set))
        {
            clean_up(context, &deployment, &old)?;
        }
        Ok(next)
    }
}

fn revision(set: &Value) -> i64 {
    annotation(set, REVISION)
        .and_then(|revision| revision.parse().ok())
        .unwrap_or(0)
}

fn template_of(set: &Value) -> Value {
    let mut template = set["spec"]["template"].clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove(HASH);
    }
    template
}

fn same_template(set: &Value, deployment: &Value) -> bool {
    let strip = |mut template: Value| {
        if let Some(metadata) = template["metadata"].as_object_mut() {
            metadata.remove("creationTimestamp");
        }
        template
    };
    strip(template_of(set)) == strip(deployment["spec"]["template"].clone())
}

fn create_set(context: &Context, deployment: &Value, old: &[Value]) -> Result<Value, ApiError> {
    let namespace = object::namespace(deployment);
    let hash = object::hash(&deployment["spec"]["template"]);
    let mut template = deployment["spec"]["template"].clone();
    template["metadata"]["labels"] =
        object::merged(&template["metadata"]["labels"], &[(HASH, &hash)]);
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"] = object::merged(&selector["matchLabels"], &[(HASH, &hash)]);
    let next = old.iter().map(revision).max().unwrap_or(0) + 1;
    let mut set = json!({
        "metadata": {
            "name": format!("{}-{hash}", object::name(deployment)),
            "labels": template["metadata"]["labels"],
            "annotations": annotations(deployment, next),
            "ownerReferences": [object::owner_reference(deployment)],
        },
        "spec": { "replicas": 0, "selector": selector, "template": template },
    });
    if let Some(seconds) = deployment["spec"].get("minReadySeconds") {
        set["spec"]["minReadySeconds"] = seconds.clone();
    }
    context
        .store
        .create(&resources::replica_sets(), Some(namespace), set)
}

/// Annotations of the current ReplicaSet: the Deployment's own, and the controller's.
fn annotations(deployment: &Value, revision: i64) -> Value {
    let (surge, _) = limits(deployment);
    let wanted = desired(deployment);
    let mut base = deployment["metadata"]["annotations"].clone();
    if let Some(map) = base.as_object_mut() {
        map.remove("kubectl.kubernetes.io/last-applied-configuration");
        map.remove(REVISION);
    }
    object::merged(
        &base,
        &[
            (
                "deployment.kubernetes.io/desired-replicas",
                &wanted.to_string(),
            ),
            (
                "deployment.kubernetes.io/max-replicas",
                &(wanted + surge).to_string(),
            ),
            (REVISION, &revision.to_string()),
        ],
    )
}

/// Keeps revision and annotations of the current ReplicaSet and the Deployment as they are to be.
fn refresh(
    context: &Context,
    deployment: &Value,
    current: &Value,
    old: &[Value],
) -> Result<Value, ApiError> {
    let (namespace, name) = queue::key(deployment);
    let highest = old.iter().map(revision).max().unwrap_or(0);
    let own = revision(current);
    let revision = if own > highest { own } else { highest + 1 };
    let annotations = annotations(deployment, revision);
    let current = context.store.update(
        &resources::replica_sets(),
        Some(&namespace),
        object::name(current),
        |set| {
            set["metadata"]["annotations"] = annotations.clone();
        },
    )?;
    context.store.update(
        &resources::deployments(),
        Some(&namespace),
        &name,
        |deployment| {
            let revision = revision.to_string();
            deployment["metadata"]["annotations"] = object::merged(
                &deployment["metadata"]["annotations"],
                &[(REVISION, &revision)],
            );
        },
    )?;
    Ok(current)
}

fn scale(context: &Context, set: &Value, replicas: i64) -> Result<(), ApiError> {
    if number(set, "/spec/replicas") == Some(replicas) {
        return Ok(());
    }
    let (namespace, name) = queue::key(set);
    context
        .store
        .update(&resources::replica_sets(), Some(&namespace), &name, |set| {
            set["spec"]["replicas"] = json!(replicas);
        })?;
    Ok(())
}

/// Scales old ReplicaSets to nothing; true once their last pod is gone.
fn retire(context: &Context, old: &[Value]) -> Result<bool, ApiError> {
    let mut gone = true;
    for set in old {
        scale(context, set, 0)?;
        gone &= pods::owned(context, set, |_| false)
            .iter()
            .all(object::is_finished);
    }
    Ok(gone)
}

/// A paused Deployment is still scaled, when only one ReplicaSet has pods.
fn scale_alone(
    context: &Context,
    deployment: &Value,
    current: &Value,
    old: &[Value],
) -> Result<(), ApiError> {
    let has_pods = |set: &Value| number(set, "/spec/replicas").unwrap_or(0) > 0;
    if old.iter().any(has_pods) {
        Ok(())
    } else {
        scale(context, current, desired(deployment))
    }
}

/// One step of a rolling update.
fn roll(
    context: &Context,
    deployment: &Value,
    current: &Value,
    old: &[Value],
) -> Result<(), ApiError> {
    let of = |set: &Value, field: &str| number(set, field).unwrap_or(0);
    let plan = step(&Step {
        wanted: desired(deployment),
        limits: limits(deployment),
        current: (
            of(current, "/spec/replicas"),
            of(current, "/status/availableReplicas"),
        ),
        old: old
            .iter()
            .map(|set| {
                (
                    of(set, "/spec/replicas"),
                    of(set, "/status/availableReplicas"),
                )
            })
            .collect(),
    });
    scale(context, current, plan.current)?;
    for (set, replicas) in old.iter().zip(plan.old) {
        scale(context, set, replicas)?;
    }
    Ok(())
}

/// Removes old ReplicaSets beyond the history that is kept.
fn clean_up(context: &Context, deployment: &Value, old: &[Value]) -> Result<(), ApiError> {
    let keep = usize::try_from(number(deployment, "/spec/revisionHistoryLimit").unwrap_or(10))
        .unwrap_or(0);
    let idle: Vec<&Value> = old
        .iter()
        .filter(|set| {
            number(set, "/spec/replicas") == Some(0)
                && number(set, "/status/replicas").unwrap_or(0) == 0
        })
        .collect();
    for set in idle.iter().take(idle.len().saturating_sub(keep)) {
        let (namespace, name) = queue::key(set);
        let options = DeleteOptions {
            uid: Some(object::uid(set).to_owned()),
            ..DeleteOptions::default()
        };
        pods::gone_is_fine(context.store.delete(
            &resources::replica_sets(),
            Some(&namespace),
            &name,
            options,
        ))?;
    }
    Ok(())
}
