//! What a controller does for somebody who asked for it by an object: with the rights of that user, whom the
//! object names.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use crate::auth::rbac;
use crate::catalogue::{ResourceId, ResourceType};
use crate::error::ApiError;
use crate::http::convert;
use crate::http::handlers::require_grants;
use crate::identity::UserInfo;
use crate::metadata;
use crate::store::Store;
use crate::write::Write;

impl Store {
    /// Whether a user, as `spec.requester` names it (`username`, `uid`, `groups`), may do something.
    ///
    /// # Errors
    /// 403 if it may not.
    pub fn require_right(
        &self,
        requester: &Value,
        verb: &str,
        resource: &ResourceId,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<(), ApiError> {
        rbac::require(
            &self.state(),
            &user(requester),
            &rbac::Attributes {
                verb,
                group: &resource.group,
                resource: &resource.plural,
                subresource: None,
                namespace,
                name: Some(name),
            },
        )
    }

    /// Whether a user may create an object of whatever kind. One without a namespace is meant for `namespace`.
    ///
    /// # Errors
    /// 404 if there is no such kind; 403 if the user may not, or would give away rights that it does not have.
    pub fn require_creation(
        &self,
        requester: &Value,
        namespace: &str,
        object: &Value,
    ) -> Result<(), ApiError> {
        let kind = self.kind_of(object)?;
        let namespace = place(&kind, namespace, object);
        let name = metadata::name(object);
        self.require_right(requester, "create", &kind.id(), namespace, name)?;
        require_grants(self, &user(requester), &kind, namespace, object)
    }

    /// Creates an object of whatever kind and version. One without a namespace is meant for `namespace`.
    ///
    /// # Errors
    /// 404 if there is no such kind; else as [`Store::create`].
    pub fn create_any(&self, namespace: &str, object: Value) -> Result<Value, ApiError> {
        let kind = self.kind_of(&object)?;
        let stored = self
            .catalogue()
            .stored(&kind.storage())
            .unwrap_or_else(|| Arc::clone(&kind));
        let namespace = place(&kind, namespace, &object).map(str::to_owned);
        let object = convert::incoming(&kind, &stored, object);
        self.create_with(&stored, namespace.as_deref(), object, &Write::system())
            .map(|made| Value::clone(&made))
    }

    fn kind_of(&self, object: &Value) -> Result<Arc<ResourceType>, ApiError> {
        let text = |field: &str| object[field].as_str().unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        let found = self.catalogue().find_kind(version, kind).ok_or_else(|| {
            let why = format!("no matches for kind {kind:?} in version {version:?}");
            ApiError::plain(StatusCode::NOT_FOUND, why)
        })?;
        // Reviews and their like are answered, not kept.
        if !found.can("get") || !found.can("create") {
            return Err(ApiError::method_not_allowed());
        }
        Ok(found)
    }
}

fn user(requester: &Value) -> UserInfo {
    let text = |field: &str| requester[field].as_str().unwrap_or_default().to_owned();
    let groups = requester["groups"].as_array();
    UserInfo {
        name: text("username"),
        uid: text("uid"),
        groups: groups
            .into_iter()
            .flatten()
            .filter_map(|group| group.as_str().map(str::to_owned))
            .collect(),
        oauth: false,
    }
}

fn place<'a>(kind: &ResourceType, namespace: &'a str, object: &'a Value) -> Option<&'a str> {
    let own = metadata::namespace(object).filter(|own| !own.is_empty());
    kind.namespaced.then(|| own.unwrap_or(namespace))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shop() -> Store {
        let store = Store::in_memory("test");
        let namespaces = ResourceId::core("namespaces");
        for name in ["shop", "other"] {
            store
                .create(&namespaces, None, json!({"metadata": {"name": name}}))
                .unwrap();
        }
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "writers"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "writer"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "dev"}],
        });
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "writer"},
            "rules": [
                {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]},
                {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["create"]},
            ],
        });
        for object in [role, binding] {
            store.create_any("shop", object).unwrap();
        }
        store
    }

    #[test]
    fn a_requester_has_its_own_rights_and_no_more() {
        let store = shop();
        let dev = json!({"username": "dev", "groups": ["system:authenticated"]});
        let may = |namespace: &str, object: &Value| store.require_creation(&dev, namespace, object);
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        may("shop", &map).unwrap();
        insta::assert_snapshot!(may("other", &map).unwrap_err(), @r#"configmaps "a" is forbidden: User "dev" cannot create resource "configmaps" in API group "" in the namespace "other""#);
        let mut elsewhere = map.clone();
        elsewhere["metadata"]["namespace"] = json!("other");
        assert_eq!(may("shop", &elsewhere).unwrap_err().code(), 403);
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "more"},
            "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}],
        });
        insta::assert_snapshot!(may("shop", &role).unwrap_err(), @r#"
        roles.rbac.authorization.k8s.io "more" is forbidden: user "dev" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:
        {APIGroups:[""], Resources:["secrets"], Verbs:["get"]}
        "#);
        let unknown = json!({"apiVersion": "v1", "kind": "Gadget", "metadata": {"name": "g"}});
        insta::assert_snapshot!(may("shop", &unknown).unwrap_err(), @r#"no matches for kind "Gadget" in version "v1""#);
        let review =
            json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"});
        assert_eq!(may("shop", &review).unwrap_err().code(), 405);
    }

    #[test]
    fn an_object_of_any_version_is_kept_in_the_stored_one() {
        let store = shop();
        let made = store
            .create_any(
                "shop",
                json!({
                    "apiVersion": "authorization.openshift.io/v1",
                    "kind": "RoleBinding",
                    "metadata": {"name": "viewers"},
                    "roleRef": {"name": "view"},
                    "userNames": ["dev"],
                }),
            )
            .unwrap();
        assert_eq!(made["apiVersion"], "rbac.authorization.k8s.io/v1");
        assert_eq!(made["metadata"]["namespace"], "shop");
    }
}
