//! Metadata that servers set themselves.
//!
//! A create with `resourceVersion` is answered with status 500; the other fields are replaced silently
//! (Kubernetes 1.36). `generateName` has done its work once there is a name.

use crate::draft::{Context, Draft};

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "server-set-metadata",
    reason: "the server sets it",
    apply,
};

const FIELDS: &[&str] = &[
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generateName",
    "managedFields",
    "selfLink",
    "clusterName",
];

/// Where older servers write `creationTimestamp: null` into templates.
const TEMPLATES: &[&str] = &[
    "/spec/template/metadata/creationTimestamp",
    "/spec/jobTemplate/metadata/creationTimestamp",
    "/spec/jobTemplate/spec/template/metadata/creationTimestamp",
    "/spec/volumeClaimTemplates/*/metadata/creationTimestamp",
    "/template/metadata/creationTimestamp",
];

fn apply(draft: &mut Draft<'_>, _: &Context<'_>) {
    for field in FIELDS {
        draft.remove(&format!("/metadata/{field}"));
    }
    for pattern in TEMPLATES {
        for at in draft.places(pattern) {
            draft.remove(&at);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::{one, refactored};

    #[test]
    fn what_a_server_sets_goes() {
        let done = one(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "name": "c", "uid": "u", "resourceVersion": "1", "generation": 2, "creationTimestamp": "t", "selfLink": "/x",
            "generateName": "c-", "managedFields": [], "labels": {"a": "b"}}, "data": {"uid": "mine"}}),
        );
        assert_eq!(
            done,
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": {"a": "b"}}, "data": {"uid": "mine"}})
        );
    }

    #[test]
    fn bulk_is_not_repeated_in_the_report() {
        let done = refactored([json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "c", "uid": "u", "managedFields": [{"manager": "kubectl"}]}})]);
        let before: Vec<_> = done.objects[0]
            .changes
            .iter()
            .map(|c| c.before.clone())
            .collect();
        assert_eq!(before, [Some(json!("u")), None]);
    }
}
