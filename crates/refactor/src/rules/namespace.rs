//! Fields that name a namespace.
//!
//! Where a field whose meaning is known holds the source's namespace, all of it, it follows the target's.
//! Nothing is ever replaced within text: a project `app` must not turn `application` into something else.

use openshifter_objects::is_built_in_group;
use serde_json::Value;

use crate::draft::{Context, Draft};
use crate::report::Severity;

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "namespace-reference",
    reason: "it names the source's namespace",
    apply,
};

const RBAC: &str = "rbac.authorization.k8s.io";

/// Fields by group and kind.
const FIELDS: &[(&str, &str, &[&str])] = &[
    (RBAC, "RoleBinding", &["/subjects/*/namespace"]),
    (RBAC, "ClusterRoleBinding", &["/subjects/*/namespace"]),
    (
        "authorization.openshift.io",
        "RoleBinding",
        &["/subjects/*/namespace", "/roleRef/namespace"],
    ),
    ("", "ServiceAccount", &["/secrets/*/namespace"]),
    (
        "apps.openshift.io",
        "DeploymentConfig",
        &["/spec/triggers/*/imageChangeParams/from/namespace"],
    ),
    (
        "build.openshift.io",
        "BuildConfig",
        &[
            "/spec/strategy/*/from/namespace",
            "/spec/source/images/*/from/namespace",
            "/spec/triggers/*/imageChange/from/namespace",
            "/spec/output/to/namespace",
        ],
    ),
    (
        "image.openshift.io",
        "ImageStream",
        &["/spec/tags/*/from/namespace"],
    ),
    (
        "admissionregistration.k8s.io",
        "MutatingWebhookConfiguration",
        WEBHOOKS,
    ),
    (
        "admissionregistration.k8s.io",
        "ValidatingWebhookConfiguration",
        WEBHOOKS,
    ),
    (
        "apiregistration.k8s.io",
        "APIService",
        &["/spec/service/namespace"],
    ),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        &["/spec/conversion/webhook/clientConfig/service/namespace"],
    ),
];

const WEBHOOKS: &[&str] = &["/webhooks/*/clientConfig/service/namespace"];

fn apply(draft: &mut Draft<'_>, context: &Context<'_>) {
    match draft.get("/metadata/namespace") {
        Some(namespace) if context.is_namespace(namespace) => {
            draft.namespace_knob("/metadata/namespace")
        }
        Some(Value::String(namespace)) => {
            let message = format!(
                "it is in the namespace {namespace}, not in {}, and is created there",
                context.source.namespace
            );
            draft.find(Severity::Error, message);
        }
        _ => {}
    }
    let helm = "/metadata/annotations/meta.helm.sh~1release-namespace";
    if draft
        .get(helm)
        .is_some_and(|namespace| context.is_namespace(namespace))
    {
        draft.namespace_knob(helm);
    }
    for (group, kind, patterns) in FIELDS {
        if draft.object().is(group, kind) {
            let fields: Vec<String> = patterns
                .iter()
                .flat_map(|pattern| draft.places(pattern))
                .collect();
            for at in fields {
                if draft
                    .get(&at)
                    .is_some_and(|namespace| context.is_namespace(namespace))
                {
                    draft.namespace_knob(&at);
                }
            }
        }
    }
    if !is_built_in_group(draft.object().group()) {
        let mut found = Vec::new();
        search(
            draft.get("/spec"),
            "/spec".to_owned(),
            context,
            &mut found,
            0,
        );
        for at in found {
            draft.find(
                Severity::Warning,
                format!("`{at}` is the source's namespace; whether it means it, only the resource's operator knows"),
            );
        }
    }
}

/// Fields of custom resources that look as if they named the namespace.
fn search(
    value: Option<&Value>,
    at: String,
    context: &Context<'_>,
    found: &mut Vec<String>,
    depth: usize,
) {
    const DEEPEST: usize = 64;
    match value.filter(|_| depth < DEEPEST) {
        Some(Value::Object(map)) => {
            for (key, inner) in map {
                let at = format!("{at}/{}", openshifter_objects::escape(key));
                let named = matches!(key.as_str(), "namespace" | "targetNamespace");
                let listed = matches!(
                    key.as_str(),
                    "namespaces" | "matchNames" | "targetNamespaces"
                ) && inner
                    .as_array()
                    .is_some_and(|list| list.iter().any(|one| context.is_namespace(one)));
                if (named && context.is_namespace(inner)) || listed {
                    found.push(at);
                } else {
                    search(Some(inner), at, context, found, depth + 1);
                }
            }
        }
        Some(Value::Array(list)) => {
            for (index, inner) in list.iter().enumerate() {
                search(
                    Some(inner),
                    format!("{at}/{index}"),
                    context,
                    found,
                    depth + 1,
                );
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::{findings, knobs, refactored};

    #[test]
    fn whole_fields_follow_and_nothing_else() {
        let done = refactored([
            json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig",
            "metadata": {"name": "app", "namespace": "app", "labels": {"app": "app"}},
            "spec": {"source": {"contextDir": "app"}, "output": {"to": {"kind": "ImageStreamTag", "namespace": "app", "name": "app:app"}},
                "strategy": {"sourceStrategy": {"from": {"kind": "ImageStreamTag", "namespace": "application", "name": "app:1"}}}}}),
        ]);
        assert_eq!(
            knobs(&done),
            ["/metadata/namespace", "/spec/output/to/namespace"]
        );
    }

    #[test]
    fn an_object_of_a_helm_release_stays_one() {
        let done = refactored([
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c",
            "annotations": {"meta.helm.sh/release-name": "app", "meta.helm.sh/release-namespace": "app"}}}),
        ]);
        assert_eq!(
            knobs(&done),
            ["/metadata/annotations/meta.helm.sh~1release-namespace"]
        );
    }

    #[test]
    fn custom_resources_are_told_of() {
        let done = refactored([
            json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {"name": "m"},
            "spec": {"namespaceSelector": {"matchNames": ["app"]}, "endpoints": [{"port": "app"}]}}),
        ]);
        assert_eq!(knobs(&done), Vec::<&str>::new());
        insta::assert_snapshot!(findings(&done, "namespace-reference").join("\n"), @"Warning: `/spec/namespaceSelector/matchNames` is the source's namespace; whether it means it, only the resource's operator knows");
    }

    #[test]
    fn an_object_of_another_namespace_is_an_error() {
        let done = refactored([
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "application"}}),
        ]);
        assert_eq!(
            findings(&done, "namespace-reference"),
            ["Error: it is in the namespace application, not in app, and is created there"]
        );
    }
}
