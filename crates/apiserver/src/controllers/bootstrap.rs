//! What every cluster has from its first moment.

use serde_json::{Value, json};

use crate::auth::rbac;
use crate::catalogue::ResourceId;
use crate::error::ApiError;
use crate::store::Store;

const RBAC: &str = "rbac.authorization.k8s.io";
const CONSTRAINTS: &str = include_str!("../catalogue/constraints.json");

/// Makes it, as far as it is missing.
pub(crate) fn bootstrap(store: &Store) -> Result<(), ApiError> {
    let openshift = store.settings().openshift;
    for (name, rules) in rbac::default_roles() {
        let bootstrapping = json!({"kubernetes.io/bootstrapping": "rbac-defaults"});
        make(
            store,
            RBAC,
            "clusterroles",
            json!({"metadata": {"name": name, "labels": bootstrapping}, "rules": rules}),
        )?;
    }
    for (name, role, group) in rbac::DEFAULT_BINDINGS {
        make(
            store,
            RBAC,
            "clusterrolebindings",
            json!({
                "metadata": {"name": name},
                "subjects": [{"kind": "Group", "apiGroup": RBAC, "name": group}],
                "roleRef": {"kind": "ClusterRole", "apiGroup": RBAC, "name": role},
            }),
        )?;
    }
    if openshift {
        let constraints: Vec<Value> = serde_json::from_str(CONSTRAINTS)
            .map_err(|error| ApiError::internal(error.to_string()))?;
        for constraint in constraints {
            make(
                store,
                "security.openshift.io",
                "securitycontextconstraints",
                constraint,
            )?;
        }
        make(
            store,
            "oauth.openshift.io",
            "oauthclients",
            json!({
                "metadata": {"name": "openshift-challenging-client"},
                "redirectURIs": ["/oauth/token/implicit"],
                "respondWithChallenges": true,
                "grantMethod": "auto",
            }),
        )?;
    }
    for name in ["default", "kube-public", "kube-system"] {
        make(store, "", "namespaces", json!({"metadata": {"name": name}}))?;
    }
    if openshift {
        make(
            store,
            "",
            "namespaces",
            json!({"metadata": {"name": "openshift"}}),
        )?;
    }
    Ok(())
}

fn make(store: &Store, group: &str, plural: &str, object: Value) -> Result<(), ApiError> {
    match store.create(&ResourceId::new(group, plural), None, object) {
        Err(error) if error.reason() == "AlreadyExists" => Ok(()),
        other => other.map(|_| ()),
    }
}
