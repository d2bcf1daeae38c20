//! Objects that another object makes, and would make again.

use openshifter_objects::{Object, OwnerReference, is_built_in_group};

use super::{LeaveOut, Listing};

pub(super) const RULE: LeaveOut = LeaveOut {
    id: "owned",
    reason: |object, listing| {
        let owner = object
            .owners()
            .into_iter()
            .find(|owner| makes(owner, object, listing))?;
        let how = if owner.controller {
            "controls it"
        } else {
            "owns it"
        };
        let made_anew = if object.is("", "Secret") && !is_built_in_group(&owner.key.kind.group) {
            ", with values of its own: check whether the data depends on these"
        } else {
            ""
        };
        Some(format!(
            "{} {how} and makes it again at the target{made_anew}",
            owner.key
        ))
    },
};

/// A pod that a node runs from a file; the API only shows it.
pub(super) const MIRROR_POD: LeaveOut = LeaveOut {
    id: "mirror-pod",
    reason: |object, _| {
        (object.is("", "Pod") && object.annotation("kubernetes.io/config.mirror").is_some())
            .then(|| "a node runs it from a file of its own".to_owned())
    },
};

/// Whether this owner makes such an object at the target too.
fn makes(owner: &OwnerReference, object: &Object, listing: &Listing<'_>) -> bool {
    // A claim holds data that no owner can make again. A StatefulSet owns its claims when its retention
    // policy says that they go with it. Only a pod's ephemeral volumes are nobody's data.
    if object.is("", "PersistentVolumeClaim") && owner.key.kind.kind != "Pod" {
        return false;
    }
    // Lists are taken one after the other: a pod may be listed whose ReplicaSet was made after the list of
    // those. Kinds that always make what they own need not be seen.
    let always = matches!(
        (owner.key.kind.group.as_str(), owner.key.kind.kind.as_str()),
        (
            "apps" | "extensions",
            "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet"
        ) | ("", "ReplicationController" | "Pod" | "Node")
            | ("batch", "Job" | "CronJob")
            | ("apps.openshift.io", "DeploymentConfig")
            | ("build.openshift.io", "BuildConfig" | "Build")
            | ("networking.k8s.io" | "extensions", "Ingress")
            | ("template.openshift.io", "TemplateInstance")
    );
    if owner.key.kind.kind == "TemplateInstance" {
        // It made the object once and does not look after it.
        return false;
    }
    (always && owner.controller)
        || if owner.uid.is_empty() {
            listing.by_key.contains_key(&owner.key)
        } else {
            listing.uids.contains(owner.uid.as_str())
        }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::select::testing::left_out;

    fn owned(kind: &str, api_version: &str, name: &str, owner: Value) -> Value {
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "ownerReferences": [owner]}})
    }

    #[test]
    fn what_a_live_owner_makes_is_left_out() {
        let found = left_out(vec![
            json!({"apiVersion": "example.org/v1", "kind": "Database", "metadata": {"name": "db", "uid": "u1"}}),
            owned(
                "Secret",
                "v1",
                "made",
                json!({"apiVersion": "example.org/v1", "kind": "Database", "name": "db", "uid": "u1"}),
            ),
            owned(
                "Secret",
                "v1",
                "orphan",
                json!({"apiVersion": "example.org/v1", "kind": "Database", "name": "db", "uid": "gone"}),
            ),
            owned(
                "Pod",
                "v1",
                "late",
                json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "unseen", "controller": true}),
            ),
        ]);
        assert_eq!(
            found,
            [
                ("Secret/made".to_owned(), "owned".to_owned()),
                ("Pod/late".to_owned(), "owned".to_owned())
            ]
        );
    }

    #[test]
    fn claims_are_kept_whoever_owns_them() {
        let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "u1", "controller": true});
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "name": "db-0", "uid": "u2", "controller": true});
        let found = left_out(vec![
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "uid": "u1"}}),
            owned("PersistentVolumeClaim", "v1", "data-db-0", set),
            owned("PersistentVolumeClaim", "v1", "scratch", pod),
        ]);
        assert_eq!(
            found,
            [(
                "PersistentVolumeClaim/scratch".to_owned(),
                "owned".to_owned()
            )]
        );
    }
}
