//! Pods of a controller: those it has, and new ones by its template.

use std::cmp::Reverse;

use openshifter_apiserver::{ApiError, DeleteOptions};
use serde_json::{Value, json};

use super::Context;
use crate::object::{self, list, resources, text};

/// Pods that a controller owns, finished ones too. Orphans that its selector means are adopted.
pub(super) fn owned(
    context: &Context,
    owner: &Value,
    selects: impl Fn(&Value) -> bool,
) -> Vec<Value> {
    let namespace = object::namespace(owner);
    let mut owned = Vec::new();
    for pod in context.store.list(&resources::pods(), Some(namespace)) {
        if object::is_controlled_by(&pod, owner) {
            owned.push(pod);
        } else if object::controller(&pod).is_none()
            && !object::is_deleting(&pod)
            && !object::is_finished(&pod)
            && !object::is_deleting(owner)
            && selects(&pod)
        {
            let adopted = context.store.update(
                &resources::pods(),
                Some(namespace),
                object::name(&pod),
                |pod| {
                    let mut owners = list(pod, "/metadata/ownerReferences").to_vec();
                    owners.push(object::owner_reference(owner));
                    pod["metadata"]["ownerReferences"] = json!(owners);
                },
            );
            owned.extend(adopted);
        }
    }
    owned
}

/// A pod that is neither finished nor on its way out.
pub(super) fn is_active(pod: &Value) -> bool {
    !object::is_finished(pod) && !object::is_deleting(pod)
}

/// The pod that a template describes.
pub(super) fn from_template(owner: &Value, template: &Value) -> Value {
    let mut metadata = json!({
        "generateName": format!("{}-", object::name(owner)),
        "ownerReferences": [object::owner_reference(owner)],
    });
    for field in ["labels", "annotations", "finalizers"] {
        if !template["metadata"][field].is_null() {
            metadata[field] = template["metadata"][field].clone();
        }
    }
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"] })
}

/// Creates a pod.
pub(super) fn create(context: &Context, owner: &Value, pod: Value) -> Result<Value, ApiError> {
    context
        .store
        .create(&resources::pods(), Some(object::namespace(owner)), pod)
}

/// Deletes a pod, unless it is another one by now.
pub(super) fn delete(context: &Context, pod: &Value) -> Result<(), ApiError> {
    if object::is_deleting(pod) {
        return Ok(());
    }
    let options = DeleteOptions {
        uid: Some(object::uid(pod).to_owned()),
        ..DeleteOptions::default()
    };
    let deleted = context.store.delete(
        &resources::pods(),
        Some(object::namespace(pod)),
        object::name(pod),
        options,
    );
    gone_is_fine(deleted)
}

/// An object that is gone already was deleted by someone else.
pub(super) fn gone_is_fine(deleted: Result<(), ApiError>) -> Result<(), ApiError> {
    match deleted {
        Err(error) if error.code() == 404 => Ok(()),
        other => other,
    }
}

/// Sorts those first that a controller gives up first: not scheduled, not running, not ready, youngest.
pub(super) fn sort_for_deletion(pods: &mut [Value]) {
    pods.sort_by_key(|pod| {
        (
            !text(pod, "/spec/nodeName").is_empty(),
            match text(pod, "/status/phase") {
                "" | "Pending" => 0,
                "Running" => 2,
                _ => 1,
            },
            object::is_ready(pod),
            Reverse(text(pod, "/metadata/creationTimestamp").to_owned()),
        )
    });
}

/// What the pods of a controller come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    pub(super) active: i64,
    pub(super) ready: i64,
    pub(super) available: i64,
    /// Seconds until the next pod that is ready counts as available.
    pub(super) wait: Option<u64>,
}

impl Census {
    pub(super) fn of(pods: &[Value], min_ready_seconds: i64) -> Self {
        let mut census = Self::default();
        for pod in pods.iter().filter(|pod| is_active(pod)) {
            census.active += 1;
            census.ready += i64::from(object::is_ready(pod));
            match object::is_available(pod, min_ready_seconds) {
                Ok(()) => census.available += 1,
                Err(Some(left)) => {
                    let left = u64::try_from(left).unwrap_or(1).max(1);
                    census.wait = Some(census.wait.map_or(left, |wait| wait.min(left)));
                }
                Err(None) => {}
            }
        }
        census
    }

    pub(super) fn next(&self) -> super::Next {
        self.wait.map_or(super::Next::Event, |wait| {
            super::Next::After(std::time::Duration::from_secs(wait))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_useful_pod_goes_first() {
        let pod = |name: &str, node: &str, phase: &str, ready: &str, born: &str| {
            json!({
                "metadata": {"name": name, "creationTimestamp": born},
                "spec": {"nodeName": node},
                "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]},
            })
        };
        let mut pods = [
            pod("old", "n", "Running", "True", "2026-01-01T00:00:00Z"),
            pod("young", "n", "Running", "True", "2026-01-02T00:00:00Z"),
            pod("unready", "n", "Running", "False", "2026-01-01T00:00:00Z"),
            pod("pending", "n", "Pending", "False", "2026-01-01T00:00:00Z"),
            pod(
                "unscheduled",
                "",
                "Pending",
                "False",
                "2026-01-01T00:00:00Z",
            ),
        ];
        sort_for_deletion(&mut pods);
        assert_eq!(
            pods.iter().map(object::name).collect::<Vec<_>>(),
            ["unscheduled", "pending", "unready", "young", "old"]
        );
    }
}
