//! The application itself: claim, Service, workload and Route.

use serde_json::{Value, json};

use super::database;
use super::draft::{Component, Draft};
use super::environment::Environment;
use super::model::{Input, InputValue, Stage};
use super::options::Workload;
use super::pods::{NO_IMAGE, PULL, Timing, probe, resources, security};
use super::workload::{Follows, Hook, Parts, workload};
use crate::needs::Migration;

/// Name of the port in pods and Service.
const PORT: &str = "http";
/// Name of the volume in pods.
const VOLUME: &str = "data";

/// The name of the application's claim.
pub(super) fn claim_name(draft: &Draft<'_>) -> String {
    format!("{}-data", draft.needs.name)
}

/// Volumes and mounts of all pods of the application.
pub(super) fn volumes(draft: &Draft<'_>) -> (Value, Value) {
    match &draft.needs.claim {
        None => (json!([]), json!([])),
        Some(claim) => (
            json!([{"name": VOLUME, "persistentVolumeClaim": {"claimName": claim_name(draft)}}]),
            json!([{"name": VOLUME, "mountPath": claim.mount_path}]),
        ),
    }
}

/// A container of the application's image: the same environment, memory and data, whatever it runs.
pub(super) fn container(draft: &Draft<'_>, name: &str, env: &Environment) -> Value {
    let mut container = json!({
        "name": name,
        "image": NO_IMAGE,
        "imagePullPolicy": PULL,
        "resources": resources(draft.needs.memory_mb),
        "securityContext": security(draft.options),
    });
    let (_, mounts) = volumes(draft);
    for (key, list) in [("env", &env.0), ("volumeMounts", &mounts)] {
        if list.as_array().is_some_and(|list| !list.is_empty()) {
            container[key] = list.clone();
        }
    }
    container
}

/// The memory of the containers below a pod's specification.
pub(super) fn memory(draft: &mut Draft<'_>, object: usize, containers: &[String]) {
    let mut input = Input::preset(
        "MEMORY_LIMIT",
        &["memory"],
        format!("{}Mi", draft.needs.memory_mb),
        "Memory of a container; the gear had it in V2",
    );
    for container in containers {
        input = input.at(object, format!("{container}/resources/limits/memory"));
    }
    draft.input(input);
}

pub(super) fn add(draft: &mut Draft<'_>, env: &Environment) {
    let (needs, options) = (draft.needs, draft.options);
    let name = needs.name.as_str();
    if let Some(claim) = &needs.claim {
        let claim_name = claim_name(draft);
        database::claim(
            draft,
            Stage::Application,
            &claim_name,
            Component::Application,
            ("VOLUME_CAPACITY", &["storage"]),
        );
        draft.note(format!(
            "the claim {claim_name} is mounted at {} and one pod at a time can have it, so a rollout stops the old pod first",
            claim.mount_path
        ));
    }
    let selector = draft.selector(name, Component::Application);
    let metadata = draft.metadata(name, Component::Application);
    draft.add(
        Stage::Application,
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {
                "ports": [{"name": PORT, "port": needs.port, "protocol": "TCP", "targetPort": PORT}],
                "selector": selector,
            },
        }),
    );
    let replicas = options
        .replicas
        .unwrap_or(if needs.scaled && needs.claim.is_none() {
            2
        } else {
            1
        });
    let (template, hook) = pods(draft, env);
    let init = template["spec"]["initContainers"].is_array();
    let metadata = draft.metadata(name, Component::Application);
    let tag = format!("{name}:latest");
    let object = workload(
        options.workload,
        Parts {
            metadata,
            selector,
            replicas,
            recreate: needs.claim.is_some(),
            follows: Follows {
                tag: &tag,
                namespace: None,
            },
            template,
            hook,
        },
    );
    let at = draft.add(Stage::Application, object);
    if needs.claim.is_none() {
        let mut input = Input::preset(
            "REPLICAS",
            &["replicas"],
            replicas.to_string(),
            "How many pods",
        )
        .number()
        .at(at, "/spec/replicas");
        if needs.scaled
            && let Some(scaler) = scaler(draft, replicas)
        {
            input = input.at(scaler, "/spec/minReplicas");
        }
        draft.input(input);
    } else if needs.scaled {
        draft.note("V2 scaled the application; with a claim it runs in one pod, and `convert --database service` lets it scale");
    }
    let pods = "/spec/template/spec";
    let mut containers = vec![format!("{pods}/containers/0")];
    if init {
        containers.push(format!("{pods}/initContainers/0"));
    }
    memory(draft, at, &containers);
    route(draft);
    if needs.hooks.iter().any(|hook| hook == "setup") {
        draft.note(format!(
            "the first administrator: `oc rsh {}/{name} {} setup`, once",
            options.workload.resource(),
            needs.runner
        ));
    }
}

/// V2 scaled by itself, between what `rhc` was told; here a cluster does so by the time that pods work.
fn scaler(draft: &mut Draft<'_>, replicas: u32) -> Option<usize> {
    let options = draft.options;
    if options.old_cluster {
        draft.note("V2 scaled the application by itself; on this cluster `oc autoscale` does, once pods request CPU");
        return None;
    }
    let name = draft.needs.name.as_str();
    let most = replicas.saturating_mul(2).max(4);
    let (version, kind) = match options.workload {
        Workload::Deployment => ("apps/v1", "Deployment"),
        Workload::DeploymentConfig => ("apps.openshift.io/v1", "DeploymentConfig"),
    };
    let metadata = draft.metadata(name, Component::Application);
    let at = draft.add(
        Stage::Application,
        json!({
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": metadata,
            "spec": {
                "minReplicas": replicas,
                "maxReplicas": most,
                "scaleTargetRef": {"apiVersion": version, "kind": kind, "name": name},
                // A value, and no share of a request: pods request no CPU.
                "metrics": [{"type": "Resource", "resource": {
                    "name": "cpu",
                    "target": {"type": "AverageValue", "averageValue": "400m"},
                }}],
            },
        }),
    );
    draft.input(
        Input::preset(
            "MAX_REPLICAS",
            &["maxReplicas"],
            most.to_string(),
            "How many pods at most, when they have much to do",
        )
        .number()
        .at(at, "/spec/maxReplicas"),
    );
    Some(at)
}

/// The pod template, and what a DeploymentConfig runs before the pods.
fn pods(draft: &Draft<'_>, env: &Environment) -> (Value, Option<Hook>) {
    let (needs, options) = (draft.needs, draft.options);
    let has = |hook: &str| needs.hooks.iter().any(|one| one == hook);
    let mut app = container(draft, &needs.name, env);
    app["ports"] = json!([{"name": PORT, "containerPort": needs.port, "protocol": "TCP"}]);
    // The hooks wait 10 seconds for an answer.
    let timeout = 15;
    if has("ready") {
        let timing = Timing {
            delay: 5,
            timeout,
            period: 10,
            failures: 3,
        };
        app["readinessProbe"] = probe(&[&needs.runner, "ready"], timing);
    }
    if has("alive") {
        let command = [needs.runner.as_str(), "alive"];
        let timing = Timing {
            // Where nothing tells that it has started, migrations of the deploy hook need their time.
            delay: if options.old_cluster { 120 } else { 0 },
            timeout,
            period: 20,
            failures: 3,
        };
        app["livenessProbe"] = probe(&command, timing);
        if !options.old_cluster {
            // Ten minutes, in which the deploy hook may migrate.
            let timing = Timing {
                delay: 0,
                timeout,
                period: 5,
                failures: 120,
            };
            app["startupProbe"] = probe(&command, timing);
        }
    }
    for (key, script) in [
        ("postStart", &needs.lifecycle.post_start),
        ("preStop", &needs.lifecycle.pre_stop),
    ] {
        if let Some(script) = script {
            app["lifecycle"][key] = json!({"exec": {"command": [needs.runner, "exec", script]}});
        }
    }
    let labels = draft.labels(&needs.name, Component::Application);
    let (volumes, _) = volumes(draft);
    let mut spec = json!({"automountServiceAccountToken": false, "containers": [app]});
    let mounted = volumes.as_array().is_some_and(|list| !list.is_empty());
    if mounted {
        spec["volumes"] = volumes;
    }
    let mut hook = None;
    if needs.migration == Migration::InitContainer {
        let command = json!([needs.runner, "migrate"]);
        match options.workload {
            Workload::Deployment => {
                let mut migrate = container(draft, "migrate", env);
                migrate["command"] = command;
                spec["initContainers"] = json!([migrate]);
            }
            Workload::DeploymentConfig => {
                hook = Some(Hook {
                    container: needs.name.clone(),
                    command,
                    volumes: if mounted { json!([VOLUME]) } else { json!([]) },
                });
            }
        }
    }
    (json!({"metadata": {"labels": labels}, "spec": spec}), hook)
}

fn route(draft: &mut Draft<'_>) {
    let (needs, options) = (draft.needs, draft.options);
    let name = needs.name.as_str();
    let policy = if needs.redirect_to_https {
        "Redirect"
    } else {
        // V2 answered on both.
        "Allow"
    };
    let mut spec = json!({
        "to": {"kind": "Service", "name": name, "weight": 100},
        "port": {"targetPort": PORT},
        "tls": {"termination": "edge", "insecureEdgeTerminationPolicy": policy},
        "wildcardPolicy": "None",
    });
    if let Some(host) = &options.host {
        spec["host"] = json!(host);
    }
    let metadata = draft.metadata(name, Component::Application);
    let at = draft.add(
        Stage::Application,
        json!({
            "apiVersion": "route.openshift.io/v1",
            "kind": "Route",
            "metadata": metadata,
            "spec": spec,
        }),
    );
    let description = "Host of the Route; the cluster's choice otherwise";
    let path = &["route", "host"];
    let input = match &options.host {
        Some(host) => Input::preset("HOST", path, host, description),
        None => Input::new("HOST", path, InputValue::Optional, description),
    };
    // Where a variable wants the host, the input is there already, and wants a value.
    draft.input(input.may_be_empty().at(at, "/spec/host"));
}
