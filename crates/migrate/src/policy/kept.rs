//! Whether what is about to be deleted is in the chart that was kept of it.

use openshifter_objects::{Object, ObjectKey};
use serde_json::Value;

use crate::DeletePlan;

/// The first object of a plan that the chart does not hold as it is at the cluster: it would be lost.
pub(super) fn not_as_kept(
    plan: &DeletePlan,
    live: &[Object],
    kept: &[Object],
) -> Option<ObjectKey> {
    plan.steps.iter().flatten().find_map(|step| {
        let by_uid = |object: &&Object| object.uid() == Some(step.uid.as_str());
        let (live, kept) = (live.iter().find(by_uid), kept.iter().find(by_uid));
        let same = match (live, kept) {
            (Some(live), Some(kept)) => content(live) == content(kept),
            _ => false,
        };
        (!same).then(|| step.key.clone())
    })
}

/// What a person wrote into an object: no status, no bookkeeping, and not what stopping it changes.
pub(crate) fn content(object: &Object) -> Value {
    let mut value = object.value().clone();
    // Controllers add tokens to accounts, and bind claims, whenever they get to it.
    let by_controllers: &[&str] = match object.kind() {
        "ServiceAccount" if object.group().is_empty() => &["secrets", "imagePullSecrets"],
        _ => &[],
    };
    if let Some(fields) = value.as_object_mut() {
        for field in ["metadata", "status"].iter().chain(by_controllers) {
            fields.remove(*field);
        }
        if let Some(spec) = fields.get_mut("spec").and_then(Value::as_object_mut) {
            spec.remove("replicas");
            // A copy suspends it for its time.
            if object.is("batch", "CronJob") {
                spec.remove("suspend");
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{DeleteStep, Side};

    fn object(kind: &str, uid: &str, extra: Value) -> Object {
        let mut value = json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web", "uid": uid,
            "resourceVersion": "1"}});
        if let Some(extra) = extra.as_object() {
            for (key, more) in extra {
                value[key] = more.clone();
            }
        }
        Object::from_value(value).unwrap()
    }

    fn plan(objects: &[Object]) -> DeletePlan {
        let steps = objects
            .iter()
            .map(|object| DeleteStep {
                key: object.key(),
                uid: object.uid().unwrap_or_default().to_owned(),
                resource_version: "1".to_owned(),
                generation: None,
                content: crate::delete::fingerprint(object),
            })
            .collect();
        DeletePlan {
            at: Side {
                cluster: "c".to_owned(),
                base: "b".to_owned(),
                namespace: "n".to_owned(),
            },
            steps: vec![steps],
            kept_claims: Vec::new(),
            left_out: Vec::new(),
            unlisted: Vec::new(),
        }
    }

    #[test]
    fn stopping_a_workload_is_no_change() {
        let kept = [object(
            "Deployment",
            "u",
            json!({"spec": {"replicas": 2, "x": 1}, "status": {"a": 1}}),
        )];
        let live = [object(
            "Deployment",
            "u",
            json!({"spec": {"replicas": 0, "x": 1}, "status": {"a": 2}}),
        )];
        assert_eq!(not_as_kept(&plan(&live), &live, &kept), None);
    }

    #[test]
    fn what_was_changed_after_the_export_is_not_deleted() {
        let kept = [object(
            "Deployment",
            "u",
            json!({"spec": {"replicas": 2, "x": 1}}),
        )];
        let live = [object(
            "Deployment",
            "u",
            json!({"spec": {"replicas": 2, "x": 2}}),
        )];
        assert_eq!(not_as_kept(&plan(&live), &live, &kept), Some(live[0].key()));
    }

    #[test]
    fn what_is_not_in_the_chart_is_not_deleted() {
        let live = [object("Deployment", "another", json!({"spec": {}}))];
        let kept = [object("Deployment", "u", json!({"spec": {}}))];
        assert_eq!(not_as_kept(&plan(&live), &live, &kept), Some(live[0].key()));
    }

    #[test]
    fn only_what_was_shown_is_deleted() {
        let (old, new) = (
            object("Deployment", "u", json!({})),
            object("Deployment", "v", json!({})),
        );
        let now = plan(&[old.clone(), new]).only_what_was_shown(&plan(&[old]));
        let uids: Vec<&str> = now
            .steps
            .iter()
            .flatten()
            .map(|step| step.uid.as_str())
            .collect();
        assert_eq!(uids, ["u"]);
    }
}
