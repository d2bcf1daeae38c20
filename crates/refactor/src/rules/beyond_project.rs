//! What grants rights beyond the project.
//!
//! An importer lists it before anything is created, and needs to be told that it is wanted.

use serde_json::Value;

use crate::draft::{Context, Draft};
use crate::report::Severity;

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "beyond-project",
    reason: "it reaches beyond the project",
    apply,
};

fn apply(draft: &mut Draft<'_>, _: &Context<'_>) {
    let object = draft.object();
    let what = match (object.group(), object.kind()) {
        (
            "rbac.authorization.k8s.io" | "authorization.openshift.io",
            "ClusterRole" | "ClusterRoleBinding",
        ) => Some("it grants rights in the whole cluster".to_owned()),
        ("rbac.authorization.k8s.io" | "authorization.openshift.io", "RoleBinding") => {
            let role = draft.text("/roleRef/name").unwrap_or_default();
            role.starts_with("system:openshift:scc:").then(|| {
                format!(
                    "it lets pods use the security context constraint {}",
                    &role["system:openshift:scc:".len()..]
                )
            })
        }
        ("security.openshift.io", "SecurityContextConstraints") => {
            Some("it sets what pods of the cluster may do".to_owned())
        }
        ("admissionregistration.k8s.io", _) => {
            Some("it sees or changes objects of the whole cluster".to_owned())
        }
        ("apiregistration.k8s.io", "APIService") => {
            Some("it adds to the API of the whole cluster".to_owned())
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            Some("it defines a resource for the whole cluster".to_owned())
        }
        _ => None,
    };
    let pods = object
        .pod_spec_pointer()
        .map(|pod| privileges(draft.value(), pod))
        .unwrap_or_default();
    if let Some(what) = what {
        draft.find(Severity::Warning, what);
    }
    if !pods.is_empty() {
        draft.find(
            Severity::Warning,
            format!("its pods reach into the node: {}", pods.join(", ")),
        );
    }
}

fn privileges(value: &Value, pod: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    let Some(spec) = value.pointer(pod) else {
        return found;
    };
    let is_set = |pattern: &str| {
        openshifter_objects::places(spec, pattern)
            .into_iter()
            .any(|(_, value)| !matches!(value, Value::Null | Value::Bool(false)))
    };
    for (patterns, what) in [
        (
            &[
                "/containers/*/securityContext/privileged",
                "/initContainers/*/securityContext/privileged",
            ][..],
            "privileged containers",
        ),
        (
            &["/volumes/*/hostPath"][..],
            "volumes of the node (hostPath)",
        ),
        (&["/hostNetwork"][..], "its network"),
        (&["/hostPID"][..], "its processes"),
        (&["/hostIPC"][..], "its shared memory"),
    ] {
        if patterns.iter().any(|pattern| is_set(pattern)) {
            found.push(what);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::{findings, refactored};

    #[test]
    fn reach_beyond_the_project_is_told() {
        let rbac = "rbac.authorization.k8s.io/v1";
        let done = refactored([
            json!({"apiVersion": rbac, "kind": "ClusterRoleBinding", "metadata": {"name": "a"}}),
            json!({"apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "system:openshift:scc:anyuid"}}),
            json!({"apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": "c"}, "roleRef": {"kind": "ClusterRole", "name": "view"}}),
            json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d"}, "spec": {"template": {"spec": {"hostNetwork": true, "hostPID": false,
                "containers": [{"name": "x", "securityContext": {"privileged": true}}]}}}}),
        ]);
        insta::assert_snapshot!(findings(&done, "beyond-project").join("\n"), @r"
        Warning: it grants rights in the whole cluster
        Warning: it lets pods use the security context constraint anyuid
        Warning: its pods reach into the node: privileged containers, its network
        ");
    }
}
