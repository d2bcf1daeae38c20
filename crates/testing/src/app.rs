//! Objects of small applications.

use serde_json::{Value, json};

/// Longer than any test.
const FOR_EVER: &str = "2147483647";

/// Containers of one image, which holds a shell.
#[derive(Debug, Clone, Copy)]
pub struct Containers<'a> {
    /// The image.
    pub image: &'a str,
    /// Seconds until a pod is killed: the command of these containers does not care for signals.
    pub grace: u32,
}

impl Containers<'_> {
    /// A pod template; `claim` is mounted at `/data`.
    pub fn template(&self, name: &str, claim: Option<&str>) -> Value {
        let mut template = json!({
            "metadata": {"labels": {"app": name}},
            "spec": {
                "terminationGracePeriodSeconds": self.grace,
                "containers": [{
                    "name": "main",
                    "image": self.image,
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
    pub fn deployment(&self, name: &str, claim: Option<&str>) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": {"app": name}},
                "template": self.template(name, claim),
            },
        })
    }

    /// A StatefulSet of two, with a claim `data-NAME-N` each at `/data`.
    pub fn stateful_set(&self, name: &str) -> Value {
        let mut pods = self.template(name, None);
        pods["spec"]["containers"][0]["volumeMounts"] =
            json!([{"name": "data", "mountPath": "/data"}]);
        let mut data = claim("data");
        if let Some(data) = data.as_object_mut() {
            data.remove("apiVersion");
            data.remove("kind");
        }
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {
                "replicas": 2,
                "serviceName": name,
                "selector": {"matchLabels": {"app": name}},
                "template": pods,
                "volumeClaimTemplates": [data],
            },
        })
    }
}

/// A claim of the default storage class.
pub fn claim(name: &str) -> Value {
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
pub fn config(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}
