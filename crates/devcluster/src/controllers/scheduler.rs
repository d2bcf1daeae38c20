//! The scheduler: gives pods to the one node, once their claims are there.

use openshifter_apiserver::{ApiError, Event, ResourceId};
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next, Reconciled, claims, queue};
use crate::object::{self, resources, text};

/// Annotation by which the provisioner learns that a claim's first consumer is there.
pub(super) const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// The scheduler.
pub(super) struct Scheduler;

impl Controller for Scheduler {
    fn name(&self) -> &'static str {
        "scheduler"
    }

    fn resource(&self) -> ResourceId {
        resources::pods()
    }

    fn concerns(&self, context: &Context, event: &Event) -> Vec<Key> {
        if event.resource == resources::claims() || event.resource == resources::nodes() {
            let namespace = match object::namespace(&event.object) {
                "" => None,
                namespace => Some(namespace),
            };
            let pods = context.store.list(&resources::pods(), namespace);
            return pods
                .iter()
                .filter(|pod| is_waiting(pod))
                .map(queue::key)
                .collect();
        }
        queue::itself(event, &self.resource())
            .into_iter()
            .filter(|_| is_waiting(&event.object))
            .collect()
    }

    fn reconcile(&self, context: &Context, (namespace, name): &Key) -> Reconciled {
        let Some(pod) = context
            .store
            .get(&self.resource(), Some(namespace), name)
            .filter(is_waiting)
        else {
            return Ok(Next::Event);
        };
        match place(context, &pod)? {
            Ok(()) => {
                context
                    .store
                    .update(&self.resource(), Some(namespace), name, |pod| {
                        pod["spec"]["nodeName"] = json!(context.node);
                    })?;
                context
                    .store
                    .update_status(&self.resource(), Some(namespace), name, |pod| {
                        object::set_condition(pod, "PodScheduled", true, "", "", false);
                    })?;
            }
            Err(why) => {
                context
                    .store
                    .update_status(&self.resource(), Some(namespace), name, |pod| {
                        if pod["status"]["phase"].is_null() {
                            pod["status"]["phase"] = json!("Pending");
                        }
                        object::set_condition(
                            pod,
                            "PodScheduled",
                            false,
                            "Unschedulable",
                            &why,
                            false,
                        );
                    })?;
            }
        }
        Ok(Next::Event)
    }
}

fn is_waiting(pod: &Value) -> bool {
    let scheduler = text(pod, "/spec/schedulerName");
    text(pod, "/spec/nodeName").is_empty()
        && !object::is_deleting(pod)
        && !object::is_finished(pod)
        && pod["spec"]["schedulingGates"]
            .as_array()
            .is_none_or(Vec::is_empty)
        && (scheduler.is_empty() || scheduler == "default-scheduler")
}

/// Whether the pod can go to the node now; else why not.
fn place(context: &Context, pod: &Value) -> Result<Result<(), String>, ApiError> {
    let none = |why: &str| Ok(Err(format!("0/1 nodes are available: {why}")));
    let Some(node) = context.store.get(&resources::nodes(), None, &context.node) else {
        return none("the node is not registered.");
    };
    if node["spec"]["unschedulable"] == true {
        return none("1 node(s) were unschedulable.");
    }
    let selector = pod["spec"]["nodeSelector"].as_object();
    if selector.is_some_and(|s| {
        s.iter()
            .any(|(name, value)| node["metadata"]["labels"][name] != *value)
    }) {
        return none("1 node(s) didn't match Pod's node affinity/selector.");
    }
    let namespace = object::namespace(pod);
    let mut waiting = false;
    for name in object::claim_names(pod) {
        let Some(claim) = context
            .store
            .get(&resources::claims(), Some(namespace), &name)
        else {
            return none(&format!("persistentvolumeclaim {name:?} not found."));
        };
        if object::is_deleting(&claim) {
            return none(&format!("persistentvolumeclaim {name:?} is being deleted."));
        }
        match text(&claim, "/status/phase") {
            "Bound" => {}
            "Lost" => {
                return none(&format!(
                    "persistentvolumeclaim {name:?} bound to non-existent persistentvolume."
                ));
            }
            _ if claims::waits_for_consumer(context, &claim) => {
                context
                    .store
                    .update(&resources::claims(), Some(namespace), &name, |claim| {
                        let chosen = &[(SELECTED_NODE, context.node.as_str())];
                        claim["metadata"]["annotations"] =
                            object::merged(&claim["metadata"]["annotations"], chosen);
                    })?;
                waiting = true;
            }
            _ => return none("pod has unbound immediate PersistentVolumeClaims."),
        }
    }
    if waiting {
        return none("waiting for the volumes of the pod's claims to be provisioned.");
    }
    Ok(Ok(()))
}
