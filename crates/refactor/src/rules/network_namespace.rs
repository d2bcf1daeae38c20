//! Namespaces that NetworkPolicies and affinities select by name.
//!
//! `kubernetes.io/metadata.name` is the label that every namespace has with its own name.

use openshifter_objects::{escape, places};
use serde_json::Value;

use crate::draft::{Context, Draft};
use crate::report::Severity;

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "namespace-selector",
    reason: "it selects a namespace by its name",
    apply,
};

const NAME: &str = "kubernetes.io/metadata.name";

fn apply(draft: &mut Draft<'_>, context: &Context<'_>) {
    let selectors: Vec<String> = if draft.object().is("networking.k8s.io", "NetworkPolicy") {
        [
            "/spec/ingress/*/from/*/namespaceSelector",
            "/spec/egress/*/to/*/namespaceSelector",
        ]
        .iter()
        .flat_map(|pattern| draft.places(pattern))
        .collect()
    } else if let Some(pod) = draft.object().pod_spec_pointer() {
        affinity(draft, context, pod);
        ["podAffinity", "podAntiAffinity"]
            .iter()
            .flat_map(|kind| {
                [
                    format!("{pod}/affinity/{kind}/requiredDuringSchedulingIgnoredDuringExecution/*/namespaceSelector"),
                    format!("{pod}/affinity/{kind}/preferredDuringSchedulingIgnoredDuringExecution/*/podAffinityTerm/namespaceSelector"),
                ]
            })
            .flat_map(|pattern| draft.places(&pattern))
            .collect()
    } else {
        return;
    };
    for selector in selectors {
        let mut names = draft.places(&format!("{selector}/matchLabels/{}", escape(NAME)));
        for at in draft.places(&format!("{selector}/matchExpressions/*")) {
            if draft.text(&format!("{at}/key")) == Some(NAME) {
                names.extend(draft.places(&format!("{at}/values/*")));
            }
        }
        for at in names {
            name_at(draft, context, &at);
        }
    }
}

/// Lists of namespaces in affinity terms.
fn affinity(draft: &mut Draft<'_>, context: &Context<'_>, pod: &str) {
    for kind in ["podAffinity", "podAntiAffinity"] {
        for term in ["required", "preferred"] {
            let list = if term == "required" {
                "*"
            } else {
                "*/podAffinityTerm"
            };
            let pattern = format!(
                "{pod}/affinity/{kind}/{term}DuringSchedulingIgnoredDuringExecution/{list}/namespaces/*"
            );
            for (at, _) in places(&draft.value().clone(), &pattern) {
                name_at(draft, context, &at);
            }
        }
    }
}

fn name_at(draft: &mut Draft<'_>, context: &Context<'_>, at: &str) {
    let Some(name) = draft.get(at).cloned() else {
        return;
    };
    if context.is_namespace(&name) {
        draft.namespace_knob(at);
        draft.find(
            Severity::Info,
            "it selects its own namespace by name, and at the target that namespace",
        );
    } else if let Value::String(name) = name {
        draft.find(
            Severity::Warning,
            format!("it selects the namespace {name} by name, which has to be at the target"),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::{findings, knobs, refactored};

    #[test]
    fn the_own_namespace_follows_and_others_are_told() {
        let by = |name: &str| json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}});
        let done = refactored([
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "n"},
            "spec": {"ingress": [{"from": [by("app"), by("openshift-ingress"), {"namespaceSelector": {"matchLabels": {"team": "app"}}}]}],
                "egress": [{"to": [{"namespaceSelector": {"matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["app", "application"]}]}}]}]}}),
        ]);
        assert_eq!(
            knobs(&done),
            [
                "/spec/ingress/0/from/0/namespaceSelector/matchLabels/kubernetes.io~1metadata.name",
                "/spec/egress/0/to/0/namespaceSelector/matchExpressions/0/values/0"
            ]
        );
        assert_eq!(findings(&done, "namespace-selector").len(), 4);
    }
}
