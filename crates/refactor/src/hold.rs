//! What starts by itself and so waits for its data.

use openshifter_objects::{Object, is_built_in_group};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How an object is kept from starting before the volumes are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Hold {
    /// It is created with no replicas and released by scaling it to this many.
    Replicas(i64),
    /// It is created only after the volumes are in: it starts at once, or makes others start.
    Later,
    /// It starts nothing that writes to volumes.
    No,
}

/// Tells how an object is kept from starting.
///
/// Autoscalers come later because they would scale up what is held at zero; custom resources because
/// the operators that act on them are not known.
pub fn hold(object: &Object) -> Hold {
    match (object.group(), object.kind()) {
        ("apps" | "extensions", "Deployment" | "StatefulSet" | "ReplicaSet")
        | ("", "ReplicationController")
        | ("apps.openshift.io", "DeploymentConfig") => match replicas(object) {
            0 => Hold::No,
            count => Hold::Replicas(count),
        },
        ("apps" | "extensions", "DaemonSet")
        | ("", "Pod")
        | ("batch", "Job" | "CronJob")
        | ("autoscaling" | "extensions", "HorizontalPodAutoscaler")
        | ("template.openshift.io", "TemplateInstance") => Hold::Later,
        (group, _) if !is_built_in_group(group) => Hold::Later,
        _ => Hold::No,
    }
}

fn replicas(object: &Object) -> i64 {
    // Unset means one for all these kinds.
    object
        .value()
        .pointer("/spec/replicas")
        .and_then(Value::as_i64)
        .unwrap_or(1)
        .max(0)
}

/// The object as it is created before the volumes are in: at zero replicas, if it has any.
pub fn held_back(object: &Object) -> Object {
    let mut held = object.clone();
    if let Hold::Replicas(_) = hold(object)
        && let Some(spec) = held
            .value_mut()
            .get_mut("spec")
            .and_then(Value::as_object_mut)
    {
        spec.insert("replicas".to_owned(), 0.into());
    }
    held
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(api_version: &str, kind: &str, spec: Value) -> Object {
        Object::from_value(json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, "spec": spec}))
            .unwrap()
    }

    #[test]
    fn workloads_wait_at_zero() {
        let one = object(
            "apps/v1",
            "Deployment",
            json!({"replicas": 3, "paused": true}),
        );
        assert_eq!(hold(&one), Hold::Replicas(3));
        assert_eq!(
            held_back(&one).value()["spec"],
            json!({"replicas": 0, "paused": true})
        );
        let unset = object("apps.openshift.io/v1", "DeploymentConfig", json!({}));
        assert_eq!(hold(&unset), Hold::Replicas(1));
        assert_eq!(held_back(&unset).value()["spec"]["replicas"], 0);
        assert_eq!(
            hold(&object("apps/v1", "StatefulSet", json!({"replicas": 0}))),
            Hold::No
        );
    }

    #[test]
    fn what_starts_at_once_or_makes_others_start_comes_later() {
        for (api_version, kind) in [
            ("apps/v1", "DaemonSet"),
            ("v1", "Pod"),
            ("batch/v1", "Job"),
            ("batch/v1beta1", "CronJob"),
            ("autoscaling/v2", "HorizontalPodAutoscaler"),
            ("postgresql.cnpg.io/v1", "Cluster"),
        ] {
            let one = object(api_version, kind, json!({}));
            assert_eq!(hold(&one), Hold::Later, "{kind}");
            assert_eq!(held_back(&one), one);
        }
    }

    #[test]
    fn the_rest_is_created_as_it_is() {
        for (api_version, kind) in [
            ("v1", "Service"),
            ("build.openshift.io/v1", "BuildConfig"),
            ("policy/v1", "PodDisruptionBudget"),
        ] {
            assert_eq!(
                hold(&object(api_version, kind, json!({}))),
                Hold::No,
                "{kind}"
            );
        }
    }
}
