//! Claims: bound to volumes by their storage class, and protected while a pod uses them.

use openshifter_apiserver::{ApiError, Event, ResourceId};
use serde_json::{Value, json};

use super::scheduler::SELECTED_NODE;
use super::{Context, Controller, Key, Next, PROVISIONER, Reconciled, queue};
use crate::object::{self, annotation, list, resources, text};

const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
const PROTECTION: &str = "kubernetes.io/pvc-protection";

/// Binds claims.
pub(super) struct Claims;

/// Keeps claims that are to be deleted as long as a pod uses them.
pub(super) struct Protection;

impl Controller for Claims {
    fn name(&self) -> &'static str {
        "persistentvolumeclaim"
    }

    fn resource(&self) -> ResourceId {
        resources::claims()
    }

    fn concerns(&self, context: &Context, event: &Event) -> Vec<Key> {
        if event.resource == resources::volumes() {
            let claim = &event.object["spec"]["claimRef"];
            let of_volume = (
                text(claim, "/namespace").to_owned(),
                text(claim, "/name").to_owned(),
            );
            // A volume that is free may be what any claim waits for.
            return match of_volume.1.is_empty() {
                true => context
                    .store
                    .list(&self.resource(), None)
                    .iter()
                    .map(queue::key)
                    .collect(),
                false => vec![of_volume],
            };
        }
        if event.resource == resources::storage_classes() {
            return context
                .store
                .list(&self.resource(), None)
                .iter()
                .map(queue::key)
                .collect();
        }
        queue::itself(event, &self.resource())
    }

    fn reconcile(&self, context: &Context, (namespace, name): &Key) -> Reconciled {
        let Some(claim) = context.store.get(&self.resource(), Some(namespace), name) else {
            return Ok(Next::Event);
        };
        if object::is_deleting(&claim) {
            return Ok(Next::Event);
        }
        let volume = text(&claim, "/spec/volumeName");
        if !volume.is_empty() {
            return bind_to_named(context, &claim, volume);
        }
        let Some(class) = class_of(context, &claim)? else {
            return set_phase(context, &claim, "Pending");
        };
        if let Some(volume) = find_free(context, &claim, &class) {
            return bind(context, &claim, &volume);
        }
        match provisioner(context, &class) {
            Some(of_class) if text(&of_class, "/provisioner") == PROVISIONER => {
                let waits = text(&of_class, "/volumeBindingMode") == "WaitForFirstConsumer";
                announce(context, &claim)?;
                if waits && annotation(&claim, SELECTED_NODE) != Some(&context.node) {
                    return set_phase(context, &claim, "Pending");
                }
                let volume = provision(context, &claim, &of_class)?;
                bind(context, &claim, &volume)
            }
            _ => set_phase(context, &claim, "Pending"),
        }
    }
}

impl Controller for Protection {
    fn name(&self) -> &'static str {
        "pvc-protection"
    }

    fn resource(&self) -> ResourceId {
        resources::claims()
    }

    fn concerns(&self, _context: &Context, event: &Event) -> Vec<Key> {
        if event.resource == resources::pods() {
            let namespace = object::namespace(&event.object).to_owned();
            let names = object::claim_names(&event.object);
            return names
                .into_iter()
                .map(|name| (namespace.clone(), name))
                .collect();
        }
        queue::itself(event, &self.resource())
    }

    fn reconcile(&self, context: &Context, (namespace, name): &Key) -> Reconciled {
        let Some(claim) = context.store.get(&self.resource(), Some(namespace), name) else {
            return Ok(Next::Event);
        };
        let protected = list(&claim, "/metadata/finalizers")
            .iter()
            .any(|f| f == PROTECTION);
        let deleting = object::is_deleting(&claim);
        let used = || {
            context
                .store
                .list(&resources::pods(), Some(namespace))
                .iter()
                .any(|pod| !object::is_finished(pod) && object::claim_names(pod).contains(name))
        };
        if deleting && protected && !used() {
            context
                .store
                .update(&self.resource(), Some(namespace), name, |claim| {
                    if let Some(finalizers) = claim["metadata"]["finalizers"].as_array_mut() {
                        finalizers.retain(|finalizer| finalizer != PROTECTION);
                    }
                })?;
        } else if !deleting && !protected {
            context
                .store
                .update(&self.resource(), Some(namespace), name, |claim| {
                    let mut finalizers = list(claim, "/metadata/finalizers").to_vec();
                    finalizers.push(json!(PROTECTION));
                    claim["metadata"]["finalizers"] = json!(finalizers);
                })?;
        }
        Ok(Next::Event)
    }
}

/// Whether a claim waits for the first pod that uses it.
pub(super) fn waits_for_consumer(context: &Context, claim: &Value) -> bool {
    text(claim, "/spec/volumeName").is_empty()
        && provisioner(context, text(claim, "/spec/storageClassName")).is_some_and(|class| {
            text(&class, "/provisioner") == PROVISIONER
                && text(&class, "/volumeBindingMode") == "WaitForFirstConsumer"
        })
}

fn provisioner(context: &Context, class: &str) -> Option<Value> {
    context
        .store
        .get(&resources::storage_classes(), None, class)
}

/// The class of a claim; one that names none is given the default class, if there is one.
fn class_of(context: &Context, claim: &Value) -> Result<Option<String>, ApiError> {
    if let Some(class) = claim["spec"]["storageClassName"].as_str() {
        return Ok(Some(class.to_owned()));
    }
    let classes = context.store.list(&resources::storage_classes(), None);
    let is_default = |class: &&Value| {
        annotation(class, "storageclass.kubernetes.io/is-default-class") == Some("true")
    };
    let Some(class) = classes.iter().find(is_default) else {
        return Ok(None);
    };
    let (namespace, name) = queue::key(claim);
    let class = object::name(class).to_owned();
    context
        .store
        .update(&resources::claims(), Some(&namespace), &name, |claim| {
            claim["spec"]["storageClassName"] = json!(class);
        })?;
    Ok(Some(class))
}

/// A claim that names its volume, perhaps because it was bound before.
fn bind_to_named(context: &Context, claim: &Value, volume: &str) -> Reconciled {
    let was_bound = annotation(claim, BIND_COMPLETED).is_some();
    let Some(volume) = context.store.get(&resources::volumes(), None, volume) else {
        return set_phase(context, claim, if was_bound { "Lost" } else { "Pending" });
    };
    let taken_by = &volume["spec"]["claimRef"];
    let ours = text(taken_by, "/namespace") == object::namespace(claim)
        && text(taken_by, "/name") == object::name(claim)
        && (taken_by["uid"].is_null() || text(taken_by, "/uid") == object::uid(claim));
    if taken_by.is_null() || ours {
        return bind(context, claim, &volume);
    }
    set_phase(context, claim, if was_bound { "Lost" } else { "Pending" })
}

/// A free volume that satisfies a claim: made for it by hand, or left by an earlier one.
fn find_free(context: &Context, claim: &Value, class: &str) -> Option<Value> {
    let modes = list(claim, "/spec/accessModes");
    let asked = bytes(text(claim, "/spec/resources/requests/storage"));
    let selector = &claim["spec"]["selector"];
    let mut fitting: Vec<Value> = context
        .store
        .list(&resources::volumes(), None)
        .into_iter()
        .filter(|volume| {
            let claim_ref = &volume["spec"]["claimRef"];
            let meant = text(claim_ref, "/namespace") == object::namespace(claim)
                && text(claim_ref, "/name") == object::name(claim)
                && claim_ref["uid"].is_null();
            (claim_ref.is_null() || meant)
                && text(volume, "/status/phase") != "Released"
                && text(volume, "/spec/storageClassName") == class
                && modes
                    .iter()
                    .all(|mode| list(volume, "/spec/accessModes").contains(mode))
                && bytes(text(volume, "/spec/capacity/storage")) >= asked
                && (selector.is_null() || object::selects(selector, volume))
        })
        .collect();
    fitting.sort_by(|a, b| {
        bytes(text(a, "/spec/capacity/storage"))
            .total_cmp(&bytes(text(b, "/spec/capacity/storage")))
    });
    fitting.into_iter().next()
}

/// Says on the claim who will make its volume.
fn announce(context: &Context, claim: &Value) -> Result<(), ApiError> {
    let (namespace, name) = queue::key(claim);
    context
        .store
        .update(&resources::claims(), Some(&namespace), &name, |claim| {
            claim["metadata"]["annotations"] = object::merged(
                &claim["metadata"]["annotations"],
                &[
                    ("volume.beta.kubernetes.io/storage-provisioner", PROVISIONER),
                    ("volume.kubernetes.io/storage-provisioner", PROVISIONER),
                ],
            );
        })?;
    Ok(())
}

/// Makes a volume: its folder, then its object.
fn provision(context: &Context, claim: &Value, class: &Value) -> Result<Value, ApiError> {
    use std::os::unix::fs::DirBuilderExt;
    let name = format!("pvc-{}", object::uid(claim));
    let folder = context.volumes.join(&name);
    let failed =
        |e: std::io::Error| ApiError::internal(format!("cannot make {}: {e}", folder.display()));
    if !folder.exists() {
        std::fs::DirBuilder::new()
            .mode(0o770)
            .create(&folder)
            .map_err(failed)?;
    }
    if let Some(volume) = context.store.get(&resources::volumes(), None, &name) {
        return Ok(volume);
    }
    let policy = match text(class, "/reclaimPolicy") {
        "" => "Delete",
        policy => policy,
    };
    let volume = json!({
        "metadata": {
            "name": name,
            "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER},
            "finalizers": ["kubernetes.io/pv-protection"],
        },
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "local": {"path": folder},
            "accessModes": claim["spec"]["accessModes"],
            "claimRef": claim_reference(claim),
            "persistentVolumeReclaimPolicy": policy,
            "storageClassName": object::name(class),
            "volumeMode": "Filesystem",
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "kubernetes.io/hostname", "operator": "In", "values": [context.node]},
            ]}]}},
        },
    });
    context.store.create(&resources::volumes(), None, volume)
}

fn claim_reference(claim: &Value) -> Value {
    json!({
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "namespace": object::namespace(claim),
        "name": object::name(claim),
        "uid": object::uid(claim),
        "resourceVersion": claim["metadata"]["resourceVersion"],
    })
}

/// Binds both sides.
fn bind(context: &Context, claim: &Value, volume: &Value) -> Reconciled {
    let (namespace, name) = queue::key(claim);
    let volume_name = object::name(volume).to_owned();
    let bound = context
        .store
        .update(&resources::volumes(), None, &volume_name, |volume| {
            if text(volume, "/spec/claimRef/uid") != object::uid(claim) {
                volume["spec"]["claimRef"] = claim_reference(claim);
            }
        })?;
    context
        .store
        .update_status(&resources::volumes(), None, &volume_name, |volume| {
            if volume["status"]["phase"] != "Bound" {
                volume["status"] =
                    json!({"phase": "Bound", "lastPhaseTransitionTime": object::now()});
            }
        })?;
    context
        .store
        .update(&resources::claims(), Some(&namespace), &name, |claim| {
            let mut added = vec![(BIND_COMPLETED, "yes")];
            // A claim that named its volume itself was not bound by us.
            if claim["spec"]["volumeName"].is_null() {
                added.push((BOUND_BY_CONTROLLER, "yes"));
            }
            claim["metadata"]["annotations"] =
                object::merged(&claim["metadata"]["annotations"], &added);
            claim["spec"]["volumeName"] = json!(volume_name);
        })?;
    context
        .store
        .update_status(&resources::claims(), Some(&namespace), &name, |claim| {
            claim["status"] = json!({
                "phase": "Bound",
                "accessModes": bound["spec"]["accessModes"],
                "capacity": bound["spec"]["capacity"],
            });
        })?;
    Ok(Next::Event)
}

fn set_phase(context: &Context, claim: &Value, phase: &str) -> Reconciled {
    let (namespace, name) = queue::key(claim);
    context
        .store
        .update_status(&resources::claims(), Some(&namespace), &name, |claim| {
            if claim["status"]["phase"] != phase {
                claim["status"] = json!({ "phase": phase });
            }
        })?;
    Ok(Next::Event)
}

/// A quantity in bytes; 0 if it is none.
fn bytes(quantity: &str) -> f64 {
    let at = quantity
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(quantity.len());
    let (number, unit) = quantity.split_at(at);
    let factor = match unit {
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        _ => return 0.0,
    };
    number.parse::<f64>().map_or(0.0, |number| number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_compared_in_bytes() {
        assert!(bytes("1Gi") > bytes("1G"));
        assert!(bytes("1024Mi") >= bytes("1Gi"));
        assert_eq!(bytes("nonsense"), 0.0);
    }
}
