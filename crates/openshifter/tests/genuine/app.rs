//! Objects of small applications.

use serde_json::{Value, json};

use crate::world::world;

/// Longer than any test.
const FOR_EVER: &str = "2147483647";

/// A pod template with a shell; `claim` is mounted at `/data`.
pub(crate) fn template(name: &str, claim: Option<&str>) -> Value {
    let mut template = json!({
        "metadata": {"labels": {"app": name}},
        "spec": {
            // The shell image's command does not care for signals.
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "main",
                "image": world().image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["sleep", FOR_EVER],
            }],
        },
    });
    if let Some(claim) = claim {
        template["spec"]["volumes"] =
            json!([{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]);
        template["spec"]["containers"][0]["volumeMounts"] =
            json!([{"name": "data", "mountPath": "/data"}]);
    }
    template
}

/// A Deployment of one pod.
pub(crate) fn deployment(name: &str, claim: Option<&str>) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, claim),
        },
    })
}

/// The same, of an image without a shell and without `tar`.
pub(crate) fn bare_deployment(name: &str, claim: &str) -> Value {
    let mut deployment = deployment(name, Some(claim));
    let container = &mut deployment["spec"]["template"]["spec"]["containers"][0];
    container["image"] = world().bare_image.as_str().into();
    if let Some(container) = container.as_object_mut() {
        container.remove("command");
    }
    deployment
}

/// A claim of the default storage class.
pub(crate) fn claim(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    })
}

/// A ConfigMap.
pub(crate) fn config(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}
