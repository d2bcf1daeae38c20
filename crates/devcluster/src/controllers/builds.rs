//! Builds: started by the triggers of their configurations, one after another, and ended when
//! somebody wants it.

use openshifter_apiserver::{ApiError, DeleteOptions, Event, ResourceId};
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next, Reconciled, image_streams, pods, queue};
use crate::builds::{self, End, Failure};
use crate::object::{self, annotation, list, number, resources, text};

/// Starts builds by the triggers of their configurations.
pub(super) struct BuildConfigs;

/// Runs builds.
pub(super) struct Builds;

impl Controller for BuildConfigs {
    fn name(&self) -> &'static str {
        "buildconfig"
    }

    fn resource(&self) -> ResourceId {
        resources::build_configs()
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
        queue::itself(event, &self.resource())
    }

    fn reconcile(&self, context: &Context, (namespace, name): &Key) -> Reconciled {
        let Some(config) = context.store.get(&self.resource(), Some(namespace), name) else {
            return Ok(Next::Event);
        };
        if object::is_deleting(&config) {
            return Ok(Next::Event);
        }
        let first = number(&config, "/status/lastVersion").unwrap_or(0) == 0;
        let mut cause = None;
        for trigger in list(&config, "/spec/triggers") {
            match text(trigger, "/type") {
                "ConfigChange" if first => {
                    cause = Some(json!({"message": "Build configuration change"}));
                }
                "ImageChange" if cause.is_none() => {
                    let from = match &trigger["imageChange"]["from"] {
                        Value::Null => base_of(&config),
                        from => from,
                    };
                    let image = image_streams::resolve(&context.store, namespace, from);
                    let last = text(trigger, "/imageChange/lastTriggeredImageID");
                    if let Some(image) = image
                        && image != last
                        && trigger["imageChange"]["paused"] != true
                    {
                        let about = json!({"imageID": image, "fromRef": from});
                        cause = Some(json!({"message": "Image change", "imageChangeBuild": about}));
                    }
                }
                _ => {}
            }
        }
        // Without the image that it begins with there is nothing to build; the image's event comes.
        let base = base_of(&config);
        if !base.is_null() && image_streams::resolve(&context.store, namespace, base).is_none() {
            return Ok(Next::Event);
        }
        // What has to be uploaded is not built by itself.
        let is_binary = !config["spec"]["source"]["binary"].is_null();
        let Some(cause) = cause.filter(|_| !is_binary) else {
            return Ok(Next::Event);
        };
        let request = json!({"triggeredBy": [cause]});
        context.store.instantiate_build(namespace, name, &request)?;
        Ok(Next::Event)
    }
}

impl Controller for Builds {
    fn name(&self) -> &'static str {
        "build"
    }

    fn resource(&self) -> ResourceId {
        resources::builds()
    }

    fn concerns(&self, context: &Context, event: &Event) -> Vec<Key> {
        if event.resource != self.resource() {
            return Vec::new();
        }
        if queue::is_gone(event) {
            context.builder.cancel(&event.object);
            context.builder.forget(&event.object);
        }
        // The end of one build is the turn of the next.
        let config = config_of(&event.object);
        let others = context
            .store
            .list(&self.resource(), Some(object::namespace(&event.object)));
        others
            .iter()
            .filter(|other| !config.is_empty() && config_of(other) == config && is_new(other))
            .map(queue::key)
            .chain([queue::key(&event.object)])
            .collect()
    }

    fn reconcile(&self, context: &Context, key: &Key) -> Reconciled {
        let (namespace, name) = key;
        let Some(build) = context.store.get(&self.resource(), Some(namespace), name) else {
            return Ok(Next::Event);
        };
        if builds::is_over(&build) {
            tidy(context, &build)?;
            return Ok(Next::Event);
        }
        if object::is_deleting(&build) {
            context.builder.cancel(&build);
            return Ok(Next::Event);
        }
        let cancelled = build["status"]["cancelled"] == true;
        if context.builder.is_active(&build) {
            if cancelled {
                context.builder.cancel(&build);
            }
            return Ok(Next::Event);
        }
        if cancelled {
            builds::finish(&context.store, &build, &End::Cancelled);
        } else if !is_new(&build) {
            let failure = Failure::new(
                "BuildPodDeleted",
                "The pod for this build was deleted before the build completed.",
                "",
            );
            builds::finish(&context.store, &build, &End::Failed(failure, String::new()));
        } else if is_its_turn(context, &build) {
            context.builder.start(build);
        }
        Ok(Next::Event)
    }
}

fn config_of(build: &Value) -> &str {
    text(build, "/status/config/name")
}

fn is_new(build: &Value) -> bool {
    matches!(text(build, "/status/phase"), "" | "New")
}

fn number_of(build: &Value) -> i64 {
    annotation(build, "openshift.io/build.number")
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// Whether a build may start, by the run policy of its configuration: those before it first.
fn is_its_turn(context: &Context, build: &Value) -> bool {
    let policy = build["metadata"]["labels"]["openshift.io/build.start-policy"]
        .as_str()
        .unwrap_or("Serial");
    let config = config_of(build);
    if config.is_empty() || policy == "Parallel" {
        return true;
    }
    let others: Vec<Value> = context
        .store
        .list(&resources::builds(), Some(object::namespace(build)))
        .into_iter()
        .filter(|other| config_of(other) == config && !builds::is_over(other))
        .collect();
    if policy == "SerialLatestOnly" {
        let newer = |other: &&Value| is_new(other) && number_of(other) > number_of(build);
        if others.iter().any(|other| newer(&other)) {
            builds::finish(&context.store, build, &End::Cancelled);
            return false;
        }
        return others
            .iter()
            .all(|other| is_new(other) || object::uid(other) == object::uid(build));
    }
    others
        .iter()
        .all(|other| number_of(other) >= number_of(build))
}

/// Removes the oldest builds beyond those that their configuration keeps.
fn tidy(context: &Context, build: &Value) -> Result<(), ApiError> {
    let (namespace, config) = (object::namespace(build), config_of(build));
    let Some(config) = context
        .store
        .get(&resources::build_configs(), Some(namespace), config)
    else {
        return Ok(());
    };
    for (limit, phases) in [
        ("/spec/successfulBuildsHistoryLimit", &["Complete"][..]),
        (
            "/spec/failedBuildsHistoryLimit",
            &["Failed", "Cancelled", "Error"],
        ),
    ] {
        let Some(keep) = number(&config, limit).and_then(|n| usize::try_from(n).ok()) else {
            continue;
        };
        let mut ended: Vec<Value> = context
            .store
            .list(&resources::builds(), Some(namespace))
            .into_iter()
            .filter(|other| config_of(other) == object::name(&config))
            .filter(|other| phases.contains(&text(other, "/status/phase")))
            .collect();
        ended.sort_by_key(|other| std::cmp::Reverse(number_of(other)));
        for old in ended.iter().skip(keep) {
            let options = DeleteOptions {
                uid: Some(object::uid(old).to_owned()),
                ..DeleteOptions::default()
            };
            let deleted = context.store.delete(
                &resources::builds(),
                Some(namespace),
                object::name(old),
                options,
            );
            pods::gone_is_fine(deleted)?;
        }
    }
    Ok(())
}

/// The base image of a strategy.
fn base_of(build: &Value) -> &Value {
    let strategy = &build["spec"]["strategy"];
    ["sourceStrategy", "dockerStrategy", "customStrategy"]
        .iter()
        .map(|kind| &strategy[*kind]["from"])
        .find(|from| !from.is_null())
        .unwrap_or(&Value::Null)
}
