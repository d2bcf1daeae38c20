//! Replica counts, which may differ at the target.

use serde_json::Value;

use crate::draft::{Context, Draft};

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "replicas",
    reason: "the target may run more or fewer",
    apply,
};

fn apply(draft: &mut Draft<'_>, _: &Context<'_>) {
    let object = draft.object();
    let scales = matches!(
        (object.group(), object.kind()),
        (
            "apps" | "extensions",
            "Deployment" | "StatefulSet" | "ReplicaSet"
        ) | ("", "ReplicationController")
            | ("apps.openshift.io", "DeploymentConfig")
    );
    if scales && draft.get("/spec/replicas").is_some_and(Value::is_u64) {
        let (kind, name) = (object.kind().to_owned(), object.name().to_owned());
        draft.knob("/spec/replicas", &["replicas", &kind, &name]);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::refactored;

    #[test]
    fn replicas_are_values_by_kind_and_name() {
        let of = |kind: &str, count: i64| json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"}, "spec": {"replicas": count}});
        let done = refactored([of("Deployment", 0), of("StatefulSet", 3)]);
        assert_eq!(
            done.values["replicas"],
            json!({"Deployment": {"web": 0}, "StatefulSet": {"web": 3}})
        );
    }
}
