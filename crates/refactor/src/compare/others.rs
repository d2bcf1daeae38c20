//! What controllers and tools write into objects of others: it comes and goes without a person's doing.

use openshifter_objects::Object;
use serde_json::Value;

use crate::rules::{BOOKKEEPING, JOB_LABELS, is_generated_name};
use crate::select::RUN_MARK;

/// Annotations of controllers and clients, besides those that refactoring takes out.
const ANNOTATIONS: &[&str] = &[
    "endpoints.kubernetes.io/over-capacity",
    "kubernetes.io/psp",
    "kubernetes.io/service-account.uid",
    "metallb.io/ip-allocated-from-pool",
    "metallb.universe.tf/ip-allocated-from-pool",
    "cloud.google.com/neg-status",
    "openshift.io/generated-by-controller",
    "openshift.io/host.generated",
    "openshift.io/internal-registry-pull-secret-ref",
    "openshift.io/scc",
    "security.openshift.io/validated-scc-subject-type",
];

/// The same, by their beginning.
const ANNOTATIONS_BELOW: &[&str] = &[
    "field.cattle.io/",
    "k8s.ovn.org/",
    "k8s.v1.cni.cncf.io/network-status",
    "kubectl.kubernetes.io/",
    "meta.helm.sh/",
    "pv.kubernetes.io/",
    "volume.beta.kubernetes.io/",
    "volume.kubernetes.io/",
];

/// Labels of controllers.
const LABELS: &[&str] = &[
    "controller-revision-hash",
    "endpoints.kubernetes.io/managed-by",
    "endpointslice.kubernetes.io/managed-by",
    "kubernetes.io/service-name",
    "pod-template-hash",
    "service.kubernetes.io/headless",
    RUN_MARK,
];

/// Whether a key that is only at the target was written there by a controller or a tool. `map` is where the map is,
/// with `*` for entries of lists.
pub(super) fn wrote_key(live: &Object, map: &str, key: &str, value: &Value) -> bool {
    let Some((_, last)) = map.rsplit_once('/') else {
        return false;
    };
    match last {
        "annotations" => {
            BOOKKEEPING.contains(&key)
                || ANNOTATIONS.contains(&key)
                || ANNOTATIONS_BELOW.iter().any(|start| key.starts_with(start))
        }
        "labels" => {
            LABELS.contains(&key)
                || (key == "app.kubernetes.io/managed-by" && value == "Helm")
                || (live.is("batch", "Job") && is_job_label(key))
                || (live.is("", "Pod") && key.starts_with("topology.kubernetes.io/"))
                || (map == "/metadata/labels" && is_label_of_its_pods(live, key, value))
        }
        // Names of bundles that the cluster puts into config maps which ask for it.
        "data" if live.is("", "ConfigMap") => match key {
            "service-ca.crt" => {
                live.annotation("service.beta.openshift.io/inject-cabundle") == Some("true")
            }
            "ca-bundle.crt" => {
                live.label("config.openshift.io/inject-trusted-cabundle") == Some("true")
            }
            _ => false,
        },
        "data" if live.is("", "Secret") => {
            live.value()["type"] == "kubernetes.io/service-account-token"
        }
        _ => false,
    }
}

fn is_job_label(key: &str) -> bool {
    JOB_LABELS
        .iter()
        .any(|label| label.replace("~1", "/") == key)
}

/// A replication controller without labels of its own gets those of its pods.
fn is_label_of_its_pods(live: &Object, key: &str, value: &Value) -> bool {
    live.is("", "ReplicationController")
        && live
            .value()
            .pointer("/spec/template/metadata/labels")
            .and_then(|labels| labels.get(key))
            == Some(value)
}

/// Whether an entry of a list that is only at the target was put there by a controller or by admission.
pub(super) fn wrote_entry(live: &Object, list: &str, entry: &Value) -> bool {
    if live.is("", "Pod") {
        // Admission adds the account's token and pull secrets, and how long the pod bears a lost node.
        return [
            "/volumes",
            "/volumeMounts",
            "/tolerations",
            "/imagePullSecrets",
        ]
        .iter()
        .any(|end| list.ends_with(end));
    }
    live.is("", "ServiceAccount")
        && matches!(list, "/secrets" | "/imagePullSecrets")
        && entry["name"]
            .as_str()
            .is_some_and(|name| is_generated_name(live.name(), name))
}
