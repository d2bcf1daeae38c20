//! What a cluster puts into every project by itself.

use openshifter_objects::{Object, places};
use serde_json::Value;

use super::LeaveOut;
use crate::rules::is_generated_secret_name;

const MADE_BY_CLUSTER: &str = "the cluster makes one in every project";

pub(super) const CONFIG_MAP: LeaveOut = LeaveOut {
    id: "project-config-map",
    reason: |object, _| {
        let made = match object.name() {
            "kube-root-ca.crt" | "openshift-service-ca.crt" => true,
            // Of OpenShift Pipelines, and of Istio and OpenShift Service Mesh.
            "config-service-cabundle" => object
                .annotation("service.beta.openshift.io/inject-cabundle")
                .is_some(),
            "config-trusted-cabundle" => object
                .label("config.openshift.io/inject-trusted-cabundle")
                .is_some(),
            "istio-ca-root-cert" => true,
            _ => false,
        };
        (made && object.is("", "ConfigMap")).then(|| MADE_BY_CLUSTER.to_owned())
    },
};

pub(super) const SERVICE_ACCOUNT: LeaveOut = LeaveOut {
    id: "project-service-account",
    reason: |object, _| {
        (object.is("", "ServiceAccount")
            && matches!(
                object.name(),
                "default" | "builder" | "deployer" | "pipeline"
            )
            && !is_changed_account(object))
        .then(|| MADE_BY_CLUSTER.to_owned())
    },
};

/// Whether a person added anything to a service account that the cluster made.
fn is_changed_account(account: &Object) -> bool {
    const BY_CLUSTER: &[&str] = &[
        "openshift.io/internal-registry-pull-secret-ref",
        "kubectl.kubernetes.io/last-applied-configuration",
    ];
    let annotations = account
        .value()
        .pointer("/metadata/annotations")
        .and_then(Value::as_object);
    let annotated =
        annotations.is_some_and(|map| map.keys().any(|key| !BY_CLUSTER.contains(&key.as_str())));
    let secrets = ["/secrets/*/name", "/imagePullSecrets/*/name"]
        .iter()
        .flat_map(|pattern| places(account.value(), pattern))
        .any(|(_, name)| {
            name.as_str()
                .is_some_and(|name| !is_generated_secret_name(account, name))
        });
    annotated
        || secrets
        || !account.labels().is_empty()
        || account
            .value()
            .get("automountServiceAccountToken")
            .is_some()
}

pub(super) const ROLE_BINDING: LeaveOut = LeaveOut {
    id: "project-role-binding",
    reason: |object, _| {
        if object.kind() != "RoleBinding" {
            return None;
        }
        let role = |name: &str| {
            object
                .value()
                .pointer("/roleRef/name")
                .and_then(Value::as_str)
                == Some(name)
        };
        match object.name() {
            // With more subjects than the cluster put in, somebody added one.
            "system:deployers" | "system:image-builders" | "system:image-pullers"
                if object.name().strip_suffix('s').is_some_and(role) && subjects(object) <= 1 =>
            {
                Some(MADE_BY_CLUSTER.to_owned())
            }
            "openshift-pipelines-edit" if role("edit") => Some(MADE_BY_CLUSTER.to_owned()),
            "pipelines-scc-rolebinding" if role("pipelines-scc-clusterrole") => {
                Some(MADE_BY_CLUSTER.to_owned())
            }
            // The one of a ProjectRequest: a single user, unlabelled. One for more was changed by hand.
            "admin" if role("admin") && object.labels().is_empty() && is_for_one_user(object) => {
                Some("it makes the person who asked for the project its administrator; the target's project has its own".to_owned())
            }
            _ => None,
        }
    },
};

fn subjects(binding: &Object) -> usize {
    let subjects = binding.value().get("subjects").and_then(Value::as_array);
    subjects.map_or(0, Vec::len)
}

fn is_for_one_user(binding: &Object) -> bool {
    let subjects = binding.value().get("subjects").and_then(Value::as_array);
    subjects.is_some_and(|subjects| {
        subjects.len() == 1
            && subjects[0]
                .get("kind")
                .and_then(Value::as_str)
                .is_some_and(|kind| kind.ends_with("User"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::select::testing::left_out;

    fn account(name: &str, extra: Value) -> Value {
        let mut value = json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": name, "annotations": {"openshift.io/internal-registry-pull-secret-ref": format!("{name}-dockercfg-745kr")}},
            "secrets": [{"name": format!("{name}-dockercfg-745kr")}, {"name": format!("{name}-token-bcd9f")}],
            "imagePullSecrets": [{"name": format!("{name}-dockercfg-745kr")}]});
        for (key, field) in extra.as_object().unwrap() {
            value[key] = field.clone();
        }
        value
    }

    #[test]
    fn service_accounts_are_kept_when_somebody_changed_them() {
        let found = left_out(vec![
            account("default", json!({})),
            account("builder", json!({"secrets": [{"name": "git-credentials"}]})),
            account(
                "deployer",
                json!({"imagePullSecrets": [{"name": "deployer-dockercfg-745kr"}, {"name": "quay"}]}),
            ),
            account("runner", json!({})),
        ]);
        assert_eq!(
            found,
            [(
                "ServiceAccount/default".to_owned(),
                "project-service-account".to_owned()
            )]
        );
    }

    #[test]
    fn bindings_of_every_project_are_left_out() {
        let binding = |name: &str, role: &str, users: &[&str]| {
            let subjects: Vec<_> = users
                .iter()
                .map(|user| json!({"kind": "User", "name": user}))
                .collect();
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
                "subjects": subjects, "roleRef": {"kind": "ClusterRole", "name": role}})
        };
        let found = left_out(vec![
            binding("system:deployers", "system:deployer", &[]),
            binding("system:image-builders", "system:image-builder", &["a", "b"]),
            binding("admin", "admin", &["dev"]),
            binding("admin-0", "admin", &["ops"]),
            binding("system:image-pullers", "edit", &["dev"]),
        ]);
        let keys: Vec<_> = found.into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            [
                "RoleBinding.rbac.authorization.k8s.io/system:deployers",
                "RoleBinding.rbac.authorization.k8s.io/admin"
            ]
        );
    }
}
