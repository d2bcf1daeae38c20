//! What all pods of an application have in common: resources, and what the strictest rules of clusters ask for.

use serde_json::{Value, json};

use super::options::ManifestOptions;

/// An image that nothing has been built for yet, as `oc new-app` writes it: the trigger puts the real one there. No registry is ever asked
/// for an image of that name.
pub(super) const NO_IMAGE: &str = " ";

/// Triggers put images there by their digest, which never change. A cluster would choose by what stands there first, and again when a
/// manifest is applied again: a roll-out for nothing.
pub(super) const PULL: &str = "IfNotPresent";

/// What the `restricted` constraints of OpenShift and the restricted standard of Kubernetes ask of a container. User and group are the
/// cluster's choice.
pub(super) fn security(options: &ManifestOptions) -> Value {
    let mut context = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": true,
    });
    if !options.old_cluster {
        context["seccompProfile"] = json!({"type": "RuntimeDefault"});
    }
    context
}

/// The gear's memory. What is limited is also requested, as clusters take it.
pub(super) fn resources(memory_mb: u32) -> Value {
    json!({"limits": {"memory": format!("{memory_mb}Mi")}})
}

/// A probe that calls a program.
pub(super) fn probe(command: &[&str], timing: Timing) -> Value {
    let mut probe = json!({
        "exec": {"command": command},
        "timeoutSeconds": timing.timeout,
        "periodSeconds": timing.period,
        "failureThreshold": timing.failures,
    });
    if timing.delay > 0 {
        probe["initialDelaySeconds"] = json!(timing.delay);
    }
    probe
}

/// All in seconds but the failures.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    pub(super) delay: u32,
    pub(super) timeout: u32,
    pub(super) period: u32,
    pub(super) failures: u32,
}
