//! Lifecycle hooks of a roll-out: pods of their own, before, in the middle of and after it.
//!
//! A hook is what the configuration said when the roll-out began, so it is read from what its ReplicationController was made of.

use openshifter_apiserver::ApiError;
use serde_json::{Map, Value, json};

use super::{CONFIG, made_of, rollout};
use crate::controllers::{Context, pods, queue};
use crate::object::{self, annotation, list, number, resources, text};

/// Annotation of a ReplicationController: the hooks that are behind it.
const DONE: &str = "openshifter.test/hooks-done";

/// Label of the pods of a roll-out, as deployer pods have it.
const POD_FOR: &str = "openshift.io/deployer-pod-for.name";

/// How long a roll-out may take when its strategy does not say it, in seconds.
const DEADLINE: i64 = 21_600;

/// When a hook is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Before anything.
    Pre,
    /// When the old pods are gone, and before there are new ones.
    Mid,
    /// When the new pods are available.
    Post,
}

/// How far a hook is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is none, it is over, or its failure does not matter.
    Done,
    /// It runs.
    Waiting,
    /// It failed, and the roll-out with it.
    Failed(String),
}

impl Moment {
    fn name(self) -> &'static str {
        match self {
            Self::Pre => "pre",
            Self::Mid => "mid",
            Self::Post => "post",
        }
    }
}

/// The hooks of a configuration.
pub(super) fn all(config: &Value) -> impl Iterator<Item = (Moment, &Value)> {
    let strategy = &config["spec"]["strategy"];
    let params = match text(strategy, "/type") {
        "Recreate" => &strategy["recreateParams"],
        _ => &strategy["rollingParams"],
    };
    [Moment::Pre, Moment::Mid, Moment::Post]
        .into_iter()
        .map(|moment| (moment, &params[moment.name()]))
        .filter(|(_, hook)| hook.is_object())
}

/// Runs the hook of a moment, or looks how far it is.
pub(super) fn run(context: &Context, rc: &Value, moment: Moment) -> Result<Progress, ApiError> {
    let config = made_of(rc).unwrap_or_default();
    let Some((_, hook)) = all(&config).find(|(at, _)| *at == moment) else {
        return Ok(Progress::Done);
    };
    let done = annotation(rc, DONE).unwrap_or_default();
    if done.split(',').any(|one| one == moment.name()) {
        return Ok(Progress::Done);
    }
    let namespace = object::namespace(rc);
    let name = pod_name(rc, moment);
    let found = context
        .store
        .get(&resources::pods(), Some(namespace), &name);
    let Some(found) = found else {
        return Ok(match pod(rc, &config, hook, moment) {
            Ok(pod) => {
                pods::create(context, rc, pod)?;
                Progress::Waiting
            }
            Err(why) => Progress::Failed(why),
        });
    };
    match text(&found, "/status/phase") {
        "Succeeded" => {}
        "Failed" if text(hook, "/failurePolicy") == "Ignore" => {}
        "Failed" => {
            let name = moment.name();
            let why = format!("the {name} hook failed: see pod {}", object::name(&found));
            return Ok(Progress::Failed(why));
        }
        _ => return Ok(Progress::Waiting),
    }
    let done = if done.is_empty() {
        moment.name().to_owned()
    } else {
        format!("{done},{}", moment.name())
    };
    rollout::annotate(context, rc, &[(DONE, &done)])?;
    Ok(Progress::Done)
}

/// Ends the hooks of a roll-out that is given up. Those that have ended stay, with their logs.
pub(super) fn stop(context: &Context, rc: &Value) -> Result<(), ApiError> {
    for pod in context
        .store
        .list(&resources::pods(), Some(object::namespace(rc)))
    {
        if pod["metadata"]["labels"][POD_FOR] == *object::name(rc) && !object::is_finished(&pod) {
            pods::delete(context, &pod)?;
        }
    }
    Ok(())
}

fn pod_name(rc: &Value, moment: Moment) -> String {
    format!("{}-hook-{}", object::name(rc), moment.name())
}

/// The pod of a hook: a container as it is in the pods of the roll-out, with another command. What it shares with them beyond
/// that is said in the hook.
fn pod(rc: &Value, config: &Value, hook: &Value, moment: Moment) -> Result<Value, String> {
    let (namespace, name) = queue::key(rc);
    let strategy = &config["spec"]["strategy"];
    let template = &rc["spec"]["template"]["spec"];
    let exec = &hook["execNewPod"];
    let wanted = text(exec, "/containerName");
    let base = list(template, "/containers")
        .iter()
        .find(|container| container["name"] == wanted)
        .ok_or_else(|| format!("the {} hook names no container: {wanted:?}", moment.name()))?;

    let mut env = list(exec, "/env").to_vec();
    let own = |one: &&Value| {
        !list(exec, "/env")
            .iter()
            .any(|hook| hook["name"] == one["name"])
    };
    env.extend(list(base, "/env").iter().filter(own).cloned());
    for (variable, value) in [
        ("OPENSHIFT_DEPLOYMENT_NAME", &name),
        ("OPENSHIFT_DEPLOYMENT_NAMESPACE", &namespace),
    ] {
        env.push(json!({"name": variable, "value": value}));
    }
    let volumes = object::texts(exec, "/volumes");
    let shared = |one: &&Value| volumes.iter().any(|volume| one["name"] == **volume);
    let of = |list: &[Value]| -> Vec<Value> { list.iter().filter(shared).cloned().collect() };

    let mut container = json!({
        "name": "lifecycle",
        "command": exec["command"],
        "env": env,
        "volumeMounts": of(list(base, "/volumeMounts")),
    });
    put(
        &mut container,
        base,
        &[
            "image",
            "imagePullPolicy",
            "workingDir",
            "resources",
            "securityContext",
            "envFrom",
        ],
    );
    let restart = match text(hook, "/failurePolicy") {
        "Retry" => "OnFailure",
        _ => "Never",
    };
    let mut spec = json!({
        "containers": [container],
        "volumes": of(list(template, "/volumes")),
        "restartPolicy": restart,
        "activeDeadlineSeconds": number(strategy, "/activeDeadlineSeconds").unwrap_or(DEADLINE),
    });
    put(
        &mut spec,
        template,
        &["imagePullSecrets", "nodeSelector", "securityContext"],
    );
    let kind = format!("hook-{}", moment.name());
    // Not its controller: the ReplicationController's pods are others.
    let mut owner = object::owner_reference(rc);
    if let Some(owner) = owner.as_object_mut() {
        owner.remove("controller");
        owner.remove("blockOwnerDeletion");
    }
    Ok(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": pod_name(rc, moment),
            "labels": object::merged(
                &strategy["labels"],
                &[(POD_FOR, &name), ("openshift.io/deployer-pod.type", &kind)],
            ),
            "annotations": object::merged(
                &strategy["annotations"],
                &[
                    ("openshift.io/deployment.name", &name),
                    (CONFIG, object::name(config)),
                ],
            ),
            "ownerReferences": [owner],
        },
        "spec": spec,
    }))
}

/// Takes fields over that are there.
fn put(into: &mut Value, from: &Value, fields: &[&str]) {
    let empty = Map::new();
    let from = from.as_object().unwrap_or(&empty);
    for field in fields {
        if let Some(value) = from.get(*field) {
            into[*field] = value.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hooks_pod_has_what_the_hook_names_of_the_container() {
        let config = json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"strategy": {"type": "Recreate", "activeDeadlineSeconds": 60, "recreateParams": {"mid": {
                "failurePolicy": "Retry",
                "execNewPod": {"containerName": "web", "command": ["migrate"], "volumes": ["data"],
                    "env": [{"name": "A", "value": "hook"}]}}}}},
        });
        let rc = json!({
            "apiVersion": "v1", "kind": "ReplicationController",
            "metadata": {"name": "web-3", "namespace": "shop", "uid": "u"},
            "spec": {"template": {"spec": {
                "nodeSelector": {"disk": "fast"},
                "terminationGracePeriodSeconds": 5,
                "volumes": [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
                "containers": [{"name": "web", "image": "i", "args": ["serve"], "workingDir": "/w",
                    "readinessProbe": {}, "ports": [{"containerPort": 8080}],
                    "env": [{"name": "A", "value": "pod"},
                        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
                    "volumeMounts": [{"name": "data", "mountPath": "/d"}, {"name": "tmp", "mountPath": "/t"}]}],
            }}},
        });
        let (moment, hook) = all(&config).next().unwrap();
        assert_eq!(moment, Moment::Mid);
        assert_eq!(
            pod(&rc, &config, hook, moment).unwrap(),
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "name": "web-3-hook-mid",
                    "labels": {POD_FOR: "web-3", "openshift.io/deployer-pod.type": "hook-mid"},
                    "annotations": {"openshift.io/deployment.name": "web-3", CONFIG: "web"},
                    "ownerReferences": [
                        {"apiVersion": "v1", "kind": "ReplicationController", "name": "web-3", "uid": "u"}],
                },
                "spec": {
                    "containers": [{"name": "lifecycle", "image": "i", "command": ["migrate"], "workingDir": "/w",
                        "env": [{"name": "A", "value": "hook"},
                            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                            {"name": "OPENSHIFT_DEPLOYMENT_NAME", "value": "web-3"},
                            {"name": "OPENSHIFT_DEPLOYMENT_NAMESPACE", "value": "shop"}],
                        "volumeMounts": [{"name": "data", "mountPath": "/d"}]}],
                    "volumes": [{"name": "data", "emptyDir": {}}],
                    "restartPolicy": "OnFailure",
                    "activeDeadlineSeconds": 60,
                    "nodeSelector": {"disk": "fast"},
                },
            })
        );
        let other = json!({"execNewPod": {"containerName": "side"}});
        assert!(pod(&rc, &config, &other, moment).is_err());
    }
}
