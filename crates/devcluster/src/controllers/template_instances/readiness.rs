//! When an object that a template waits for is ready, and when it never will be.

use openshifter_apiserver::{ResourceId, Store};
use serde_json::Value;

use crate::object::{self, annotation, condition, number, resources, text};

/// How far an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    Waiting,
    Failed,
}

/// Whether there is a notion of readiness for a resource.
pub(super) fn is_known(resource: &ResourceId) -> bool {
    [
        resources::builds(),
        resources::build_configs(),
        resources::deployments(),
        resources::deployment_configs(),
        resources::jobs(),
        resources::stateful_sets(),
        resources::routes(),
    ]
    .contains(resource)
}

/// How far an object of a known resource is.
pub(super) fn of(store: &Store, resource: &ResourceId, object: &Value) -> Readiness {
    let is = |kind: &str, status: &str| {
        condition(object, kind).is_some_and(|one| one["status"] == status)
    };
    let observed = number(object, "/status/observedGeneration");
    let is_synced = observed.is_some() && observed == number(object, "/metadata/generation");
    let rolled_out = |reason: &str| {
        let progress = condition(object, "Progressing").map_or("", |one| text(one, "/reason"));
        let ready = progress == reason && is("Progressing", "True") && is("Available", "True");
        judge(is_synced && ready, is_synced && is("Progressing", "False"))
    };
    match resource.plural.as_str() {
        "builds" => of_build(object),
        "buildconfigs" => {
            latest_build(store, object).map_or(Readiness::Waiting, |build| of_build(&build))
        }
        "deployments" => rolled_out("NewReplicaSetAvailable"),
        "deploymentconfigs" => rolled_out("NewReplicationControllerAvailable"),
        "jobs" => judge(
            !text(object, "/status/completionTime").is_empty(),
            is("Failed", "True"),
        ),
        "statefulsets" => {
            let wanted = number(object, "/spec/replicas").unwrap_or(1);
            let ready = number(object, "/status/readyReplicas").unwrap_or(0);
            judge(is_synced && ready == wanted, false)
        }
        "routes" => judge(!text(object, "/spec/host").is_empty(), false),
        _ => Readiness::Waiting,
    }
}

fn judge(ready: bool, failed: bool) -> Readiness {
    match (ready, failed) {
        (_, true) => Readiness::Failed,
        (true, false) => Readiness::Ready,
        (false, false) => Readiness::Waiting,
    }
}

fn of_build(build: &Value) -> Readiness {
    let phase = text(build, "/status/phase");
    judge(
        phase == "Complete",
        matches!(phase, "Failed" | "Error" | "Cancelled"),
    )
}

/// The build that a configuration counts as its last.
fn latest_build(store: &Store, config: &Value) -> Option<Value> {
    let version = number(config, "/status/lastVersion")?.to_string();
    let all = store.list(&resources::builds(), Some(object::namespace(config)));
    all.into_iter().find(|build| {
        annotation(build, "openshift.io/build-config.name") == Some(object::name(config))
            && annotation(build, "openshift.io/build.number") == Some(&version)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn readiness_is_what_the_documentation_says() {
        let store = Store::in_memory("test");
        let of = |resource: ResourceId, object: Value| super::of(&store, &resource, &object);
        let rollout = |reason: &str, progressing: &str, available: &str, observed: i64| {
            json!({
                "metadata": {"generation": 2},
                "status": {"observedGeneration": observed, "conditions": [
                    {"type": "Progressing", "status": progressing, "reason": reason},
                    {"type": "Available", "status": available},
                ]},
            })
        };
        let config = |reason: &str, progressing: &str, available: &str, observed: i64| {
            of(
                resources::deployment_configs(),
                rollout(reason, progressing, available, observed),
            )
        };
        let done = "NewReplicationControllerAvailable";
        assert_eq!(config(done, "True", "True", 2), Readiness::Ready);
        assert_eq!(config(done, "True", "True", 1), Readiness::Waiting);
        assert_eq!(config(done, "True", "False", 2), Readiness::Waiting);
        assert_eq!(
            config("ReplicationControllerUpdated", "True", "True", 2),
            Readiness::Waiting
        );
        assert_eq!(
            config("ProgressDeadlineExceeded", "False", "True", 2),
            Readiness::Failed
        );
        let deployment = rollout("NewReplicaSetAvailable", "True", "True", 2);
        assert_eq!(of(resources::deployments(), deployment), Readiness::Ready);
        for (phase, readiness) in [
            ("Complete", Readiness::Ready),
            ("Running", Readiness::Waiting),
            ("Cancelled", Readiness::Failed),
            ("Error", Readiness::Failed),
        ] {
            let build = json!({"status": {"phase": phase}});
            assert_eq!(of(resources::builds(), build), readiness, "{phase}");
        }
        let set = json!({
            "metadata": {"generation": 1},
            "spec": {"replicas": 2},
            "status": {"observedGeneration": 1, "readyReplicas": 1},
        });
        assert_eq!(of(resources::stateful_sets(), set), Readiness::Waiting);
        let failed = json!({"status": {"conditions": [{"type": "Failed", "status": "True"}]}});
        assert_eq!(of(resources::jobs(), failed), Readiness::Failed);
        assert_eq!(
            of(resources::routes(), json!({"spec": {"host": "a.b"}})),
            Readiness::Ready
        );
    }

    #[test]
    fn a_configuration_is_as_ready_as_its_latest_build() {
        let store = Store::in_memory("test");
        let namespaces = ResourceId::core("namespaces");
        let shop = json!({"metadata": {"name": "shop"}});
        store.create(&namespaces, None, shop).unwrap();
        let config = json!({
            "metadata": {"name": "web", "namespace": "shop"}, "status": {"lastVersion": 2},
        });
        let of = || super::of(&store, &resources::build_configs(), &config);
        for (number, phase) in [("1", "Failed"), ("2", "Complete")] {
            assert_eq!(of(), Readiness::Waiting);
            let build = json!({
                "metadata": {"name": format!("web-{number}"), "annotations": {
                    "openshift.io/build-config.name": "web", "openshift.io/build.number": number,
                }},
                "spec": {"strategy": {"type": "Source", "sourceStrategy": {"from": {"kind": "DockerImage", "name": "x"}}}},
                "status": {"phase": phase},
            });
            store
                .create(&resources::builds(), Some("shop"), build)
                .unwrap();
        }
        assert_eq!(of(), Readiness::Ready);
    }
}
