//! Where a pod ran.
//!
//! A pod keeps a copied `nodeName` and waits for ever for a node that is not there. Admission resolves the
//! priority from its class and adds tolerations, and on some clusters labels of the node's zone.

use serde_json::{Value, json};

use crate::draft::{Context, Draft};

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "pod-placement",
    reason: "the source's cluster placed the running pod; the target places it anew",
    apply,
};

const ANNOTATIONS: &[&str] = &[
    "k8s.ovn.org/",
    "k8s.v1.cni.cncf.io/network-status",
    "cni.projectcalico.org/",
];

fn apply(draft: &mut Draft<'_>, _: &Context<'_>) {
    if !draft.object().is("", "Pod") {
        return;
    }
    for field in ["nodeName", "priority", "preemptionPolicy"] {
        draft.remove(&format!("/spec/{field}"));
    }
    draft.remove_because(
        "/spec/ephemeralContainers",
        "they were added to the running pod, and cannot be created with it",
    );
    for label in [
        "topology.kubernetes.io~1zone",
        "topology.kubernetes.io~1region",
    ] {
        draft.remove(&format!("/metadata/labels/{label}"));
    }
    for at in draft.places("/spec/tolerations/*").into_iter().rev() {
        if draft.get(&at).is_some_and(is_added) {
            draft.remove(&at);
        }
    }
    draft.drop_if_empty("/spec/tolerations");
    let annotations: Vec<String> = draft
        .get("/metadata/annotations")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .filter(|name| ANNOTATIONS.iter().any(|prefix| name.starts_with(prefix)))
        .collect();
    for name in annotations {
        draft.remove_annotation(&name);
    }
}

/// What the admission plugin DefaultTolerationSeconds adds to every pod.
fn is_added(toleration: &Value) -> bool {
    ["not-ready", "unreachable"].iter().any(|trouble| {
        *toleration
            == json!({"key": format!("node.kubernetes.io/{trouble}"), "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::one;

    #[test]
    fn a_pod_is_placed_anew() {
        let done = one(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"topology.kubernetes.io/zone": "a", "app": "x"},
            "annotations": {"k8s.ovn.org/pod-networks": "{}"}},
            "spec": {"nodeName": "n", "priority": 0, "preemptionPolicy": "PreemptLowerPriority", "nodeSelector": {"disk": "ssd"}, "ephemeralContainers": [{"name": "debug"}], "tolerations": [
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
                {"key": "mine", "operator": "Exists"}]}}),
        );
        assert_eq!(
            done["metadata"],
            json!({"name": "p", "labels": {"app": "x"}})
        );
        assert_eq!(
            done["spec"],
            json!({"nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "mine", "operator": "Exists"}]})
        );
    }

    #[test]
    fn templates_are_left_alone() {
        let value = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d"},
            "spec": {"template": {"spec": {"nodeName": "n", "priority": 0}}}});
        assert_eq!(one(value.clone()), value);
    }
}
