//! DeploymentConfigs: a ReplicationController for each roll-out, begun by triggers.
//!
//! There is no deployer pod: the controller itself scales the old one down and the new one up, and runs the hooks.

mod hooks;
mod rollout;

use openshifter_apiserver::{ApiError, Event, ResourceId};
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next, Reconciled, image_streams, queue};
use crate::object::{self, annotation, list, number, resources, text};

const CONFIG: &str = "openshift.io/deployment-config.name";
const VERSION: &str = "openshift.io/deployment-config.latest-version";
const PHASE: &str = "openshift.io/deployment.phase";
const REPLICAS: &str = "openshift.io/deployment.replicas";
const REASON: &str = "openshift.io/deployment.status-reason";

/// The controller.
pub(super) struct DeploymentConfigs;

impl Controller for DeploymentConfigs {
    fn name(&self) -> &'static str {
        "deploymentconfig"
    }

    fn resource(&self) -> ResourceId {
        resources::deployment_configs()
    }

    fn concerns(&self, context: &Context, event: &Event) -> Vec<Key> {
        if event.resource == resources::image_streams() {
            return context
                .store
                .list(&self.resource(), None)
                .iter()
                .map(queue::key)
                .collect();
        }
        if event.resource == resources::pods() {
            let name = event.object["metadata"]["annotations"][CONFIG].as_str();
            return name
                .map(|name| (object::namespace(&event.object).to_owned(), name.to_owned()))
                .into_iter()
                .collect();
        }
        queue::itself_or_owner(
            event,
            &self.resource(),
            "DeploymentConfig",
            &[resources::replication_controllers()],
        )
    }

    fn reconcile(&self, context: &Context, (namespace, name): &Key) -> Reconciled {
        let Some(config) = context.store.get(&self.resource(), Some(namespace), name) else {
            return Ok(Next::Event);
        };
        if object::is_deleting(&config) {
            return Ok(Next::Event);
        }
        let config = self.follow_triggers(context, config)?;
        let owned = owned(context, &config);
        let latest = number(&config, "/status/latestVersion").unwrap_or(0);
        let current = owned.iter().find(|rc| version(rc) == latest).cloned();
        let current = match current {
            None if latest > 0 && config["spec"]["paused"] != true => {
                Some(create_controller(context, &config, latest)?)
            }
            current => current,
        };
        let old: Vec<Value> = owned
            .into_iter()
            .filter(|rc| version(rc) < latest)
            .collect();
        if let Some(current) = &current {
            rollout::step(context, &config, current, &old)?;
        }
        self.write_status(context, &config, current.as_ref(), &old)?;
        Ok(Next::Event)
    }
}

impl DeploymentConfigs {
    /// Looks at the triggers: takes new images over, and begins a roll-out if one fires.
    fn follow_triggers(&self, context: &Context, config: Value) -> Result<Value, ApiError> {
        let (namespace, name) = queue::key(&config);
        let latest = number(&config, "/status/latestVersion").unwrap_or(0);
        let mut images: Vec<(usize, String)> = Vec::new();
        let mut unresolved = false;
        let mut by_config = false;
        for (at, trigger) in list(&config, "/spec/triggers").iter().enumerate() {
            match text(trigger, "/type") {
                "ConfigChange" => by_config = true,
                "ImageChange" => {
                    let params = &trigger["imageChangeParams"];
                    let last = text(params, "/lastTriggeredImage");
                    match image_streams::resolve(&context.store, &namespace, &params["from"]) {
                        Some(image)
                            if image != last && (params["automatic"] == true || latest == 0) =>
                        {
                            images.push((at, image));
                        }
                        None if last.is_empty() => unresolved = true,
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        // Without every image there is nothing that could be rolled out.
        if unresolved || config["spec"]["paused"] == true {
            return Ok(config);
        }
        let mut config = config;
        if !images.is_empty() {
            config = context
                .store
                .update(&self.resource(), Some(&namespace), &name, |config| {
                    for (at, image) in &images {
                        let trigger = &mut config["spec"]["triggers"][*at]["imageChangeParams"];
                        trigger["lastTriggeredImage"] = json!(image);
                        let names = object::texts(trigger, "/containerNames");
                        for pointer in [
                            "/spec/template/spec/containers",
                            "/spec/template/spec/initContainers",
                        ] {
                            let containers =
                                config.pointer_mut(pointer).and_then(Value::as_array_mut);
                            for container in containers.into_iter().flatten() {
                                if names.iter().any(|name| container["name"] == **name) {
                                    container["image"] = json!(image);
                                }
                            }
                        }
                    }
                })?;
        }
        let running = owned(context, &config)
            .into_iter()
            .find(|rc| version(rc) == latest);
        let changed = match (&running, latest) {
            (_, 0) => true,
            (Some(rc), _) => !same_template(rc, &config),
            // Its controller is about to be made.
            (None, _) => false,
        };
        let cause = match (images.first(), by_config) {
            (Some((at, _)), _) if changed => Some(("ImageChange", "image change", Some(*at))),
            (None, true) if changed => Some(("ConfigChange", "config change", None)),
            _ => None,
        };
        let Some((kind, message, trigger)) = cause else {
            return Ok(config);
        };
        let mut entry = json!({ "type": kind });
        if let Some(at) = trigger {
            entry["imageTrigger"] =
                json!({"from": config["spec"]["triggers"][at]["imageChangeParams"]["from"]});
        }
        context
            .store
            .update_status(&self.resource(), Some(&namespace), &name, |config| {
                config["status"]["latestVersion"] = json!(latest + 1);
                config["status"]["details"] = json!({"message": message, "causes": [entry]});
            })
    }

    fn write_status(
        &self,
        context: &Context,
        config: &Value,
        current: Option<&Value>,
        old: &[Value],
    ) -> Result<(), ApiError> {
        let (namespace, name) = queue::key(config);
        let get = |rc: &Value| {
            context.store.get(
                &resources::replication_controllers(),
                Some(&namespace),
                object::name(rc),
            )
        };
        let current = current.and_then(get);
        let all: Vec<Value> = old.iter().filter_map(get).chain(current.clone()).collect();
        let sum = |field: &str| {
            all.iter()
                .filter_map(|rc| number(rc, &format!("/status/{field}")))
                .sum::<i64>()
        };
        let wanted = number(config, "/spec/replicas").unwrap_or(1);
        let (replicas, ready, available) = (
            sum("replicas"),
            sum("readyReplicas"),
            sum("availableReplicas"),
        );
        let updated = current
            .as_ref()
            .and_then(|rc| number(rc, "/status/replicas"))
            .unwrap_or(0);
        let phase = current
            .as_ref()
            .and_then(|rc| annotation(rc, PHASE))
            .unwrap_or_default()
            .to_owned();
        context
            .store
            .update_status(&self.resource(), Some(&namespace), &name, |config| {
                if config["status"]["latestVersion"].is_null() {
                    config["status"]["latestVersion"] = json!(0);
                }
                config["status"]["observedGeneration"] = config["metadata"]["generation"].clone();
                let status = &mut config["status"];
                for (field, value) in [
                    ("replicas", replicas),
                    ("updatedReplicas", updated),
                    ("availableReplicas", available),
                    ("unavailableReplicas", (replicas - available).max(0)),
                ] {
                    status[field] = json!(value);
                }
                if ready > 0 {
                    status["readyReplicas"] = json!(ready);
                } else if let Some(map) = status.as_object_mut() {
                    map.remove("readyReplicas");
                }
                let enough = available >= wanted && (available > 0 || phase == "Complete");
                let message = if enough {
                    "Deployment config has minimum availability."
                } else {
                    "Deployment config does not have minimum availability."
                };
                object::set_condition(config, "Available", enough, "", message, true);
                if let Some(rc) = &current {
                    let rc = object::name(rc);
                    let (is, reason, message) = match phase.as_str() {
                        "Complete" => (
                            true,
                            "NewReplicationControllerAvailable",
                            format!("replication controller {rc:?} successfully rolled out"),
                        ),
                        "Failed" => (
                            false,
                            "ProgressDeadlineExceeded",
                            format!("replication controller {rc:?} has failed progressing"),
                        ),
                        _ => (
                            true,
                            "ReplicationControllerUpdated",
                            format!("replication controller {rc:?} is progressing"),
                        ),
                    };
                    object::set_condition(config, "Progressing", is, reason, &message, true);
                }
            })?;
        Ok(())
    }
}

fn owned(context: &Context, config: &Value) -> Vec<Value> {
    let mut owned: Vec<Value> = context
        .store
        .list(
            &resources::replication_controllers(),
            Some(object::namespace(config)),
        )
        .into_iter()
        .filter(|rc| object::is_controlled_by(rc, config))
        .collect();
    owned.sort_by_key(version);
    owned
}

fn version(rc: &Value) -> i64 {
    annotation(rc, VERSION)
        .and_then(|version| version.parse().ok())
        .unwrap_or(0)
}

/// The configuration that a ReplicationController was made of.
fn made_of(rc: &Value) -> Option<Value> {
    annotation(rc, "openshift.io/encoded-deployment-config")
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
}

/// Whether a ReplicationController was made of the template as it is now.
fn same_template(rc: &Value, config: &Value) -> bool {
    made_of(rc).is_some_and(|made_of| made_of["spec"]["template"] == config["spec"]["template"])
}

/// What a strategy asks for that cannot be done without a deployer pod.
fn unsupported(config: &Value) -> Option<&'static str> {
    if text(config, "/spec/strategy/type") == "Custom" {
        Some("this cluster does not implement custom strategies")
    } else if hooks::all(config).any(|(_, hook)| !hook["tagImages"].is_null()) {
        Some("this cluster does not implement hooks that tag images")
    } else {
        None
    }
}

fn create_controller(context: &Context, config: &Value, version: i64) -> Result<Value, ApiError> {
    let (namespace, name) = queue::key(config);
    let rc_name = format!("{name}-{version}");
    let version = version.to_string();
    let mut encoded = config.clone();
    if let Some(metadata) = encoded["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    let mut template = config["spec"]["template"].clone();
    let own = [
        ("deployment", rc_name.as_str()),
        ("deploymentconfig", &name),
    ];
    template["metadata"]["labels"] = object::merged(&template["metadata"]["labels"], &own);
    template["metadata"]["annotations"] = object::merged(
        &template["metadata"]["annotations"],
        &[
            (VERSION, &version),
            (CONFIG, &name),
            ("openshift.io/deployment.name", &rc_name),
        ],
    );
    let mut selector = config["spec"]["selector"].clone();
    if !selector.is_object() {
        selector = config["spec"]["template"]["metadata"]["labels"].clone();
    }
    let rc = json!({
        "metadata": {
            "name": rc_name,
            "labels": object::merged(&config["metadata"]["labels"], &[(CONFIG, &name)]),
            "annotations": {
                VERSION: version,
                CONFIG: name,
                PHASE: if unsupported(config).is_some() { "Failed" } else { "New" },
                REPLICAS: number(config, "/spec/replicas").unwrap_or(1).to_string(),
                REASON: unsupported(config).unwrap_or_else(|| text(config, "/status/details/message")),
                "openshift.io/encoded-deployment-config": format!("{encoded}\n"),
            },
            "ownerReferences": [object::owner_reference(config)],
        },
        "spec": {
            "replicas": 0,
            "selector": object::merged(&selector, &own),
            "template": template,
        },
    });
    context
        .store
        .create(&resources::replication_controllers(), Some(&namespace), rc)
}
