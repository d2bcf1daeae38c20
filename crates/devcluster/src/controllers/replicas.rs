//! ReplicaSets and ReplicationControllers: so many pods of one template.

use openshifter_apiserver::{Event, ResourceId};
use serde_json::{Value, json};

use super::pods::{self, Census};
use super::{Context, Controller, Key, Next, Reconciled, queue};
use crate::object::{self, number, resources};

/// The controller of ReplicaSets.
pub(super) struct ReplicaSets;

/// The controller of ReplicationControllers.
pub(super) struct ReplicationControllers;

impl Controller for ReplicaSets {
    fn name(&self) -> &'static str {
        "replicaset"
    }

    fn resource(&self) -> ResourceId {
        resources::replica_sets()
    }

    fn concerns(&self, _context: &Context, event: &Event) -> Vec<Key> {
        queue::itself_or_owner(event, &self.resource(), "ReplicaSet", &[resources::pods()])
    }

    fn reconcile(&self, context: &Context, key: &Key) -> Reconciled {
        let selects = |set: &Value, pod: &Value| object::selects(&set["spec"]["selector"], pod);
        reconcile(context, &self.resource(), key, selects)
    }
}

impl Controller for ReplicationControllers {
    fn name(&self) -> &'static str {
        "replicationcontroller"
    }

    fn resource(&self) -> ResourceId {
        resources::replication_controllers()
    }

    fn concerns(&self, _context: &Context, event: &Event) -> Vec<Key> {
        queue::itself_or_owner(
            event,
            &self.resource(),
            "ReplicationController",
            &[resources::pods()],
        )
    }

    fn reconcile(&self, context: &Context, key: &Key) -> Reconciled {
        let selects = |controller: &Value, pod: &Value| {
            object::has_labels(pod, &controller["spec"]["selector"])
        };
        reconcile(context, &self.resource(), key, selects)
    }
}

fn reconcile(
    context: &Context,
    resource: &ResourceId,
    (namespace, name): &Key,
    selects: impl Fn(&Value, &Value) -> bool,
) -> Reconciled {
    let Some(set) = context.store.get(resource, Some(namespace), name) else {
        return Ok(Next::Event);
    };
    let mut owned = pods::owned(context, &set, |pod| selects(&set, pod));
    let mut failure = None;
    if !object::is_deleting(&set) {
        let wanted = usize::try_from(number(&set, "/spec/replicas").unwrap_or(1)).unwrap_or(0);
        let mut active: Vec<Value> = owned
            .iter()
            .filter(|pod| pods::is_active(pod))
            .cloned()
            .collect();
        for _ in active.len()..wanted {
            match pods::create(
                context,
                &set,
                pods::from_template(&set, &set["spec"]["template"]),
            ) {
                Ok(pod) => owned.push(pod),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        if active.len() > wanted {
            let surplus = active.len() - wanted;
            pods::sort_for_deletion(&mut active);
            for pod in &active[..surplus] {
                pods::delete(context, pod)?;
            }
            owned = pods::owned(context, &set, |_| false);
        }
    }
    let census = Census::of(&owned, number(&set, "/spec/minReadySeconds").unwrap_or(0));
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    let labelled = owned
        .iter()
        .filter(|pod| pods::is_active(pod) && object::has_labels(pod, labels))
        .count();
    context
        .store
        .update_status(resource, Some(namespace), name, |set| {
            let conditions = set["status"]["conditions"].take();
            let mut status = json!({
                "replicas": census.active,
                "observedGeneration": set["metadata"]["generation"],
            });
            for (field, value) in [
                ("fullyLabeledReplicas", i64::try_from(labelled).unwrap_or(0)),
                ("readyReplicas", census.ready),
                ("availableReplicas", census.available),
            ] {
                if value > 0 {
                    status[field] = json!(value);
                }
            }
            if !conditions.is_null() {
                status["conditions"] = conditions;
            }
            set["status"] = status;
            match &failure {
                Some(error) => object::set_condition(
                    set,
                    "ReplicaFailure",
                    true,
                    "FailedCreate",
                    error.message(),
                    false,
                ),
                None => {
                    if let Some(conditions) = set["status"]["conditions"].as_array_mut() {
                        conditions.retain(|condition| condition["type"] != "ReplicaFailure");
                    }
                }
            }
        })?;
    match failure {
        Some(error) => Err(error),
        None => Ok(census.next()),
    }
}
