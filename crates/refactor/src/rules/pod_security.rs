//! What a security context constraint assigned to a pod.
//!
//! OpenShift gives each project a range of user ids, beginning at a multiple of 10000 above one
//! thousand million, and an SELinux level. Admission writes them into pods that do not say their own; in
//! another project they are out of range and refused (403).

use openshifter_objects::{escape, places};
use serde_json::Value;

use crate::draft::{Context, Draft};

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "pod-security",
    reason: "OpenShift assigned it from the range of the source's project; the target's range is another",
    apply,
};

const SCC: &str = "openshift.io/scc";

fn apply(draft: &mut Draft<'_>, context: &Context<'_>) {
    if !(context.source.openshift && draft.object().is("", "Pod")) {
        return;
    }
    // Without the annotation no constraint has looked at the pod.
    if draft.object().annotation(SCC).is_none() {
        return;
    }
    // The constraints named `…-v2` and later, of OpenShift 4.11, assign a seccomp profile, which the older
    // ones refuse.
    let assigns_seccomp = draft.object().annotation(SCC).is_some_and(|scc| {
        scc.rsplit_once("-v")
            .is_some_and(|(_, version)| version.parse::<u8>().is_ok())
    });
    let applied = draft.last_applied().unwrap_or_default();
    for pattern in [
        "/spec/securityContext/fsGroup",
        "/spec/securityContext/runAsUser",
        "/spec/containers/*/securityContext/runAsUser",
        "/spec/initContainers/*/securityContext/runAsUser",
    ] {
        for at in draft.places(pattern) {
            if draft
                .get(&at)
                .and_then(Value::as_u64)
                .is_some_and(begins_a_range)
                && applied.pointer(&at).is_none()
            {
                draft.remove(&at);
            }
        }
    }
    for pattern in [
        "/spec/securityContext/seLinuxOptions",
        "/spec/containers/*/securityContext/seLinuxOptions",
        "/spec/initContainers/*/securityContext/seLinuxOptions",
    ] {
        for at in draft.places(pattern) {
            if draft.get(&at).is_some_and(is_assigned_level) && applied.pointer(&at).is_none() {
                draft.remove(&at);
            }
        }
    }
    if assigns_seccomp {
        let profile = "/spec/securityContext/seccompProfile";
        if applied.pointer(profile).is_none()
            && draft.text(&format!("{profile}/type")) == Some("RuntimeDefault")
        {
            draft.remove(profile);
        }
        let annotation = "seccomp.security.alpha.kubernetes.io/pod";
        if applied
            .pointer(&format!("/metadata/annotations/{}", escape(annotation)))
            .is_none()
        {
            draft.remove_annotation(annotation);
        }
    }
    draft.drop_if_empty("/spec/securityContext");
    for emptied in places(&draft.value().clone(), "/spec/containers/*/securityContext") {
        draft.drop_if_empty(&emptied.0);
    }
    draft.remove_annotation(SCC);
    draft.remove_annotation("security.openshift.io/validated-scc-subject-type");
}

fn begins_a_range(id: u64) -> bool {
    id >= 1_000_000_000 && id.is_multiple_of(10_000)
}

/// `{level: s0:c13,c2}` and nothing else.
fn is_assigned_level(options: &Value) -> bool {
    let level = options
        .get("level")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let is_category = |text: &str| {
        text.strip_prefix('c')
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    };
    options.as_object().is_some_and(|map| map.len() == 1)
        && level
            .strip_prefix("s0:")
            .and_then(|pair| pair.split_once(','))
            .is_some_and(|(one, two)| is_category(one) && is_category(two))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::draft::LAST_APPLIED;
    use crate::rules::testing::one;

    fn pod(annotations: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "annotations": annotations},
            "spec": {"securityContext": {"fsGroup": 1_000_160_000, "seLinuxOptions": {"level": "s0:c13,c2"}, "runAsUser": 1001, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{"name": "a", "securityContext": {"runAsUser": 1_000_160_000, "runAsNonRoot": true}}]}})
    }

    #[test]
    fn assigned_ids_go_and_chosen_ones_stay() {
        let done = one(pod(json!({"openshift.io/scc": "restricted-v2"})));
        assert_eq!(
            done["spec"],
            json!({"securityContext": {"runAsUser": 1001}, "containers": [{"name": "a", "securityContext": {"runAsNonRoot": true}}]})
        );
        assert_eq!(done["metadata"], json!({"name": "p"}));
    }

    #[test]
    fn what_somebody_applied_was_chosen() {
        let applied = json!({"spec": {"securityContext": {"fsGroup": 1_000_160_000}}}).to_string();
        let done = one(pod(
            json!({"openshift.io/scc": "anyuid", LAST_APPLIED: applied}),
        ));
        assert_eq!(
            done["spec"]["securityContext"],
            json!({"fsGroup": 1_000_160_000, "runAsUser": 1001, "seccompProfile": {"type": "RuntimeDefault"}})
        );
    }

    #[test]
    fn without_a_constraint_nothing_was_assigned() {
        assert_eq!(one(pod(json!({"a": "b"}))), pod(json!({"a": "b"})));
    }
}
