//! What the administrator of a cluster decides, not the application.

use super::LeaveOut;

pub(super) const LIMITS: LeaveOut = LeaveOut {
    id: "administrators",
    reason: |object, _| {
        let limits = matches!(
            (object.group(), object.kind()),
            ("", "ResourceQuota" | "LimitRange")
                | ("quota.openshift.io", _)
                | ("authorization.openshift.io", "RoleBindingRestriction")
                | (
                    "network.openshift.io",
                    "EgressNetworkPolicy" | "NetNamespace"
                )
        );
        limits.then(|| {
            "the target's administrator sets it; a project's own administrator may not".to_owned()
        })
    },
};

pub(super) const OPERATORS: LeaveOut = LeaveOut {
    id: "operator-installation",
    reason: |object, _| {
        if object.group() != "operators.coreos.com" {
            return None;
        }
        Some(if object.label("olm.copiedFrom").is_some() {
            "the operator lifecycle manager copies it into every namespace".to_owned()
        } else {
            "it installs an operator; the target's administrator does that, from the target's catalogue".to_owned()
        })
    },
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::select::testing::left_out;

    #[test]
    fn limits_and_operators_are_the_administrators() {
        let found = left_out(vec![
            json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}}),
            json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}}),
            json!({"apiVersion": "operators.coreos.com/v1alpha1", "kind": "ClusterServiceVersion", "metadata": {"name": "c"}}),
        ]);
        let rules: Vec<_> = found.into_iter().map(|(_, rule)| rule).collect();
        assert_eq!(
            rules,
            ["administrators", "administrators", "operator-installation"]
        );
    }
}
