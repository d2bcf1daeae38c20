//! The helper pod: what it is made of, and how far it is.

use openshifter_chart::VolumeHelper;
use openshifter_objects::{Object, ObjectError};
use serde_json::json;

use crate::run::{HELPER_LABEL, RUN_LABEL, Run};

/// A helper pod ends by itself after this time, whatever becomes of us.
const LIFETIME_SECONDS: u32 = 24 * 3600;

/// Where a claim is mounted in helper pods.
pub(super) const MOUNT: &str = "/openshifter-volume";

/// The container of a helper pod.
pub(super) const CONTAINER: &str = "helper";

/// How far a helper pod is.
pub(super) enum Start {
    Waiting(String),
    Running,
    Failed(String),
}

/// How far a helper pod is, from its status.
pub(super) fn start_of(pod: Option<&Object>) -> Start {
    let Some(pod) = pod else {
        return Start::Failed("it was removed by somebody".to_owned());
    };
    let status = &pod.value()["status"];
    let container = &status["containerStatuses"][0]["state"];
    if container["running"].is_object() {
        return Start::Running;
    }
    if let Some(terminated) = container
        .get("terminated")
        .filter(|state| state.is_object())
    {
        let text = |field: &str| {
            terminated[field]
                .as_str()
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        return Start::Failed(format!(
            "it does not start: {} {}",
            text("reason"),
            text("message")
        ));
    }
    let waiting = &container["waiting"];
    let reason = waiting["reason"].as_str().unwrap_or_default();
    let message = waiting["message"].as_str().unwrap_or_default();
    match reason {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => {
            Start::Failed(format!("the image cannot be pulled: {message}"))
        }
        "CreateContainerError"
        | "RunContainerError"
        | "CreateContainerConfigError"
        | "CrashLoopBackOff" => Start::Failed(format!("it does not start: {message}")),
        _ if matches!(status["phase"].as_str(), Some("Failed" | "Succeeded")) => {
            Start::Failed(format!(
                "it ended: {}",
                status["message"].as_str().unwrap_or("no reason given")
            ))
        }
        _ => {
            let unscheduled =
                status["conditions"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .find(|condition| {
                        condition["type"] == "PodScheduled" && condition["status"] == "False"
                    });
            let why = unscheduled
                .and_then(|condition| condition["message"].as_str())
                .unwrap_or(if reason.is_empty() {
                    "not scheduled yet"
                } else {
                    reason
                });
            Start::Waiting(why.to_owned())
        }
    }
}

/// As whom a helper pod asks to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// As root, who can read files of every owner and give them back to theirs. On OpenShift it has to be asked
    /// for: a cluster administrator's pod is admitted by `anyuid`, as the image's own user and without the
    /// project's group, to whom the volume is closed.
    Root,
    /// As the cluster will have it: `restricted-v2` of OpenShift gives the ids of the project.
    Plain,
    /// As the "restricted" pod security standard asks.
    Restricted,
}

impl Manner {
    /// The most able first.
    pub(super) const ALL: [Self; 3] = [Self::Root, Self::Plain, Self::Restricted];
}

pub(super) fn helper_pod(
    name: &str,
    run: &Run,
    claim: &str,
    candidate: &VolumeHelper,
    node: Option<&str>,
    read_only: bool,
    manner: Manner,
) -> Result<Object, ObjectError> {
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {RUN_LABEL: run.id.as_str(), HELPER_LABEL: "true"},
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LIFETIME_SECONDS,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "containers": [{
                "name": CONTAINER,
                "image": candidate.image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["sleep", LIFETIME_SECONDS.to_string()],
                // Projects with a quota refuse pods that name no resources.
                "resources": {
                    "requests": {"cpu": "50m", "memory": "64Mi"},
                    "limits": {"cpu": "2", "memory": "512Mi"},
                },
                "volumeMounts": [{"name": "volume", "mountPath": MOUNT, "readOnly": read_only}],
            }],
            "volumes": [{"name": "volume", "persistentVolumeClaim": {"claimName": claim}}],
        },
    });
    let spec = &mut pod["spec"];
    if let Some(secrets) = &candidate.pull_secrets {
        spec["imagePullSecrets"] = secrets.clone();
    }
    if let Some(node) = node {
        // A ReadWriteOnce volume is attached to one node: where its other pod runs.
        spec["nodeName"] = node.into();
    }
    if manner == Manner::Root {
        spec["securityContext"] = json!({"runAsUser": 0});
    }
    if manner == Manner::Restricted {
        // What the "restricted" pod security standard asks for, with the application's own ids.
        let mut pod_security = candidate.pod_security.clone().unwrap_or_else(|| json!({}));
        pod_security["runAsNonRoot"] = true.into();
        pod_security["seccompProfile"] = json!({"type": "RuntimeDefault"});
        if pod_security.get("runAsUser").is_none() {
            let user = candidate
                .container_security
                .as_ref()
                .and_then(|context| context.get("runAsUser"));
            pod_security["runAsUser"] = user.cloned().unwrap_or_else(|| 65532.into());
        }
        spec["securityContext"] = pod_security;
        spec["containers"][0]["securityContext"] = json!({
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
        });
    }
    Object::from_value(pod)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_cannot_pull_says_so() {
        let waiting = Object::from_value(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "status": {"phase": "Pending", "containerStatuses": [{"name": "db",
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}]}}))
        .unwrap();
        assert!(
            matches!(start_of(Some(&waiting)), Start::Failed(reason) if reason.contains("not found"))
        );
    }
}
