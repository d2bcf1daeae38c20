//! DeploymentConfigs: a ReplicationController for each roll-out, begun by triggers.
//!
//! There is no deployer pod: the controller itself scales the old one down and the new one up.

use openshifter_apiserver::{ApiError, DeleteOptions, Event, ResourceId};
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next, Reconciled, image_streams, pods, queue};
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
            roll_out(context, &config, current, &old)?;
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

/// Whether a ReplicationController was made of the template as it is now.
fn same_template(rc: &Value, config: &Value) -> bool {
    annotation(rc, "openshift.io/encoded-deployment-config")
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
        .is_some_and(|made_of| made_of["spec"]["template"] == config["spec"]["template"])
}

/// What a strategy asks for that cannot be done without a deployer pod.
fn unsupported(config: &Value) -> Option<&'static str> {
    let strategy = &config["spec"]["strategy"];
    let hooked = ["recreateParams", "rollingParams"].iter().any(|params| {
        ["pre", "mid", "post"]
            .iter()
            .any(|hook| !strategy[*params][*hook].is_null())
    });
    if hooked {
        Some("this cluster does not implement lifecycle hooks")
    } else if text(strategy, "/type") == "Custom" {
        Some("this cluster does not implement custom strategies")
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

/// One step from the old controllers to the new one; later, scaling.
fn roll_out(
    context: &Context,
    config: &Value,
    current: &Value,
    old: &[Value],
) -> Result<(), ApiError> {
    let wanted = number(config, "/spec/replicas").unwrap_or(1);
    match annotation(current, PHASE).unwrap_or_default() {
        "Complete" => {
            for rc in old {
                scale(context, rc, 0)?;
            }
            clean_up(context, config, old)?;
            return scale(
                context,
                current,
                if config["spec"]["test"] == true {
                    0
                } else {
                    wanted
                },
            );
        }
        "Failed" => return Ok(()),
        "New" | "Pending" => set_phase(context, current, "Running")?,
        _ => {}
    }
    let mut gone = true;
    if text(config, "/spec/strategy/type") == "Recreate" {
        for rc in old {
            scale(context, rc, 0)?;
            gone &= pods::owned(context, rc, |_| false)
                .iter()
                .all(object::is_finished);
        }
    }
    if !gone {
        return Ok(());
    }
    scale(context, current, wanted)?;
    let status = context.store.get(
        &resources::replication_controllers(),
        Some(object::namespace(current)),
        object::name(current),
    );
    let available = status
        .and_then(|rc| number(&rc, "/status/availableReplicas"))
        .unwrap_or(0);
    if available >= wanted {
        for rc in old {
            scale(context, rc, 0)?;
        }
        set_phase(context, current, "Complete")?;
    }
    Ok(())
}

fn set_phase(context: &Context, rc: &Value, phase: &str) -> Result<(), ApiError> {
    let (namespace, name) = queue::key(rc);
    context.store.update(
        &resources::replication_controllers(),
        Some(&namespace),
        &name,
        |rc| {
            rc["metadata"]["annotations"][PHASE] = json!(phase);
        },
    )?;
    Ok(())
}

fn scale(context: &Context, rc: &Value, replicas: i64) -> Result<(), ApiError> {
    let (namespace, name) = queue::key(rc);
    context.store.update(
        &resources::replication_controllers(),
        Some(&namespace),
        &name,
        |rc| {
            rc["spec"]["replicas"] = json!(replicas);
        },
    )?;
    Ok(())
}

/// Removes idle controllers beyond the history that is kept.
fn clean_up(context: &Context, config: &Value, old: &[Value]) -> Result<(), ApiError> {
    let Some(keep) =
        number(config, "/spec/revisionHistoryLimit").and_then(|n| usize::try_from(n).ok())
    else {
        return Ok(());
    };
    let idle: Vec<&Value> = old
        .iter()
        .filter(|rc| number(rc, "/status/replicas").unwrap_or(0) == 0)
        .collect();
    for rc in idle.iter().take(idle.len().saturating_sub(keep)) {
        let (namespace, name) = queue::key(rc);
        let options = DeleteOptions {
            uid: Some(object::uid(rc).to_owned()),
            ..DeleteOptions::default()
        };
        let deleted = context.store.delete(
            &resources::replication_controllers(),
            Some(&namespace),
            &name,
            options,
        );
        pods::gone_is_fine(deleted)?;
    }
    Ok(())
}
