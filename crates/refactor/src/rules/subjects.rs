//! Subjects of role bindings that hold a namespace within their name.
//!
//! A user `system:serviceaccount:<namespace>:<name>` is the service account itself, which has a field for
//! its namespace. The group `system:serviceaccounts:<namespace>` has none.

use serde_json::{Value, json};

use crate::draft::{Context, Draft};
use crate::report::Severity;
use crate::retarget::SERVICE_ACCOUNTS;

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "role-binding-subject",
    reason: "the user is a service account of the source's namespace; as a service account it follows the namespace",
    apply,
};

fn apply(draft: &mut Draft<'_>, context: &Context<'_>) {
    let object = draft.object();
    if !(matches!(
        object.group(),
        "rbac.authorization.k8s.io" | "authorization.openshift.io"
    ) && matches!(object.kind(), "RoleBinding" | "ClusterRoleBinding"))
    {
        return;
    }
    let name = object.name().to_owned();
    if object.group() == "authorization.openshift.io"
        && draft.get("/subjects").is_some_and(Value::is_array)
    {
        for names in ["/userNames", "/groupNames"] {
            draft.remove_because(names, "the server derives it from the subjects");
        }
    }
    let namespace = &context.source.namespace;
    for at in draft.places("/subjects/*") {
        let text = |field: &str| draft.text(&format!("{at}/{field}"));
        let (Some(kind), Some(subject)) = (text("kind"), text("name")) else {
            continue;
        };
        let account = subject
            .strip_prefix("system:serviceaccount:")
            .and_then(|rest| rest.split_once(':'))
            .filter(|(of, account)| {
                of == namespace && !account.is_empty() && !account.contains(':')
            });
        if let (true, Some((of, account))) = (kind.ends_with("User"), account) {
            let subject = json!({"kind": "ServiceAccount", "name": account, "namespace": of});
            draft.set(&at, subject);
        } else if kind.ends_with("Group")
            && subject.strip_prefix(SERVICE_ACCOUNTS) == Some(namespace)
        {
            let group = subject.to_owned();
            draft.find(
                Severity::Warning,
                format!("it is for the group {group}; in another namespace the group has to be named after that"),
            );
            draft.knob(&format!("{at}/name"), &["groups", &name, &group]);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::{knobs, refactored};

    #[test]
    fn subjects_follow_the_namespace() {
        let done = refactored([
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "b", "namespace": "app"},
            "subjects": [
                {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "system:serviceaccount:app:runner"},
                {"kind": "User", "name": "system:serviceaccount:application:runner"},
                {"kind": "Group", "name": "system:serviceaccounts:app"},
                {"kind": "ServiceAccount", "name": "app", "namespace": "app"},
                {"kind": "ServiceAccount", "name": "app", "namespace": "application"}],
            "roleRef": {"kind": "ClusterRole", "name": "view"}}),
        ]);
        assert_eq!(
            done.objects[0].object.value()["subjects"][0],
            json!({"kind": "ServiceAccount", "name": "runner", "namespace": "app"})
        );
        assert_eq!(
            done.objects[0].changes.len(),
            1,
            "the others are not of the namespace"
        );
        assert_eq!(
            knobs(&done),
            [
                "/subjects/2/name",
                "/metadata/namespace",
                "/subjects/0/namespace",
                "/subjects/3/namespace"
            ]
        );
    }

    #[test]
    fn the_older_group_s_names_are_derived() {
        let done = refactored([
            json!({"apiVersion": "authorization.openshift.io/v1", "kind": "RoleBinding", "metadata": {"name": "b"},
            "userNames": ["system:serviceaccount:app:runner"], "groupNames": null,
            "subjects": [{"kind": "ServiceAccount", "name": "runner"}], "roleRef": {"name": "view"}}),
        ]);
        let value = done.objects[0].object.value();
        assert_eq!(
            (value.get("userNames"), value.get("groupNames")),
            (None, None)
        );
    }
}
