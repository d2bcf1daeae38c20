//! Builds: a source folder of this machine becomes an image, its tag is set, and what follows the tag
//! is rolled out.

use std::path::{Component, Path, PathBuf};

use openshifter_apiserver::{ApiError, Event, ResourceId};
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next, Reconciled, image_streams, queue};
use crate::images::{BuildRequest, INTERNAL_REGISTRY};
use crate::object::{self, annotation, list, number, resources, text};

/// Annotation of a BuildConfig or Build that names its source folder.
const SOURCE: &str = "devcluster.openshifter.test/source";

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
        let mut images = Vec::new();
        for (at, trigger) in list(&config, "/spec/triggers").iter().enumerate() {
            match text(trigger, "/type") {
                "ConfigChange" if first => cause = Some("Build configuration change"),
                "ImageChange" => {
                    let from = match &trigger["imageChange"]["from"] {
                        Value::Null => base_of(&config),
                        from => from,
                    };
                    let Some(image) = image_streams::resolve(context, namespace, from) else {
                        continue;
                    };
                    if image != text(trigger, "/imageChange/lastTriggeredImageID")
                        && trigger["imageChange"]["paused"] != true
                    {
                        cause = cause.or(Some("Image change"));
                        images.push((at, image));
                    }
                }
                _ => {}
            }
        }
        let Some(cause) = cause else {
            return Ok(Next::Event);
        };
        let config = context
            .store
            .update(&self.resource(), Some(namespace), name, |config| {
                for (at, image) in &images {
                    let trigger = &mut config["spec"]["triggers"][*at]["imageChange"];
                    if !trigger.is_object() {
                        *trigger = json!({});
                    }
                    trigger["lastTriggeredImageID"] = json!(image);
                }
            })?;
        instantiate(context, &config, cause)?;
        Ok(Next::Event)
    }
}

/// Makes the next build of a configuration.
fn instantiate(context: &Context, config: &Value, cause: &str) -> Result<(), ApiError> {
    let (namespace, name) = queue::key(config);
    let version = number(config, "/status/lastVersion").unwrap_or(0) + 1;
    let mut spec = config["spec"].clone();
    if let Some(spec) = spec.as_object_mut() {
        for field in [
            "triggers",
            "runPolicy",
            "successfulBuildsHistoryLimit",
            "failedBuildsHistoryLimit",
        ] {
            spec.remove(field);
        }
        spec.entry("serviceAccount")
            .or_insert_with(|| json!("builder"));
        spec.insert("triggeredBy".to_owned(), json!([{"message": cause}]));
    }
    let mut annotations = vec![
        ("openshift.io/build-config.name", name.clone()),
        ("openshift.io/build.number", version.to_string()),
    ];
    if let Some(source) = annotation(config, SOURCE) {
        annotations.push((SOURCE, source.to_owned()));
    }
    let annotations: Vec<(&str, &str)> =
        annotations.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let build = json!({
        "metadata": {
            "name": format!("{name}-{version}"),
            "labels": object::merged(
                &config["metadata"]["labels"],
                &[
                    ("buildconfig", &name),
                    ("openshift.io/build-config.name", &name),
                    ("openshift.io/build.start-policy", "Serial"),
                ],
            ),
            "annotations": object::merged(&Value::Null, &annotations),
            "ownerReferences": [object::owner_reference(config)],
        },
        "spec": spec,
        "status": {"phase": "New", "config": {"kind": "BuildConfig", "namespace": namespace, "name": name}},
    });
    let resource = resources::builds();
    context.store.create(&resource, Some(&namespace), build)?;
    context.store.update_status(
        &resources::build_configs(),
        Some(&namespace),
        &name,
        |config| {
            config["status"]["lastVersion"] = json!(version);
        },
    )?;
    Ok(())
}

impl Controller for Builds {
    fn name(&self) -> &'static str {
        "build"
    }

    fn resource(&self) -> ResourceId {
        resources::builds()
    }

    fn concerns(&self, _context: &Context, event: &Event) -> Vec<Key> {
        queue::itself(event, &self.resource())
    }

    fn reconcile(&self, context: &Context, key: &Key) -> Reconciled {
        let (namespace, name) = key;
        let Some(build) = context.store.get(&self.resource(), Some(namespace), name) else {
            return Ok(Next::Event);
        };
        let phase = text(&build, "/status/phase");
        if object::is_deleting(&build) || !matches!(phase, "" | "New") {
            return Ok(Next::Event);
        }
        if build["status"]["cancelled"] == true || build["spec"]["cancelled"] == true {
            finish(
                context,
                key,
                "Cancelled",
                "CancelledBuild",
                "The build was cancelled by the user.",
                None,
            )?;
            return Ok(Next::Event);
        }
        context
            .store
            .update_status(&self.resource(), Some(namespace), name, |build| {
                let now = object::now();
                build["status"]["phase"] = json!("Running");
                build["status"]["startTimestamp"] = json!(now);
                for (kind, is) in [("New", false), ("Pending", false), ("Running", true)] {
                    object::set_condition(build, kind, is, "", "", true);
                }
            })?;
        let (context, key) = (context.clone(), key.clone());
        // Copying a source tree takes its time.
        tokio::task::spawn_blocking(move || {
            let written = match run(&context, &build) {
                Ok((reference, output)) => finish(
                    &context,
                    &key,
                    "Complete",
                    "",
                    "",
                    Some((&reference, &output)),
                ),
                Err((reason, message)) => finish(&context, &key, "Failed", reason, &message, None),
            };
            if let Err(error) = written {
                tracing::debug!(
                    build = key.1,
                    error = error.message(),
                    "the end of a build was not written"
                );
            }
        });
        Ok(Next::Event)
    }
}

type BuildFailure = (&'static str, String);

/// Builds; the reference of the output and the digest of the image.
fn run(context: &Context, build: &Value) -> Result<(String, String), BuildFailure> {
    let namespace = object::namespace(build);
    let folder = source_folder(build)?;
    let from = base_of(build);
    let base = image_streams::resolve(context, namespace, from).ok_or_else(|| {
        (
            "InvalidImageReference",
            format!("the base image {} does not exist", text(from, "/name")),
        )
    })?;
    let base = context
        .images
        .find(&base)
        .map_err(|e| ("PullBuilderImageFailed", e.to_string()))?;
    let to = &build["spec"]["output"]["to"];
    if text(to, "/kind") != "ImageStreamTag" {
        return Err((
            "InvalidOutputReference",
            "only image stream tags can be built to".to_owned(),
        ));
    }
    let (stream, tag) = text(to, "/name").split_once(':').ok_or_else(|| {
        (
            "InvalidOutputReference",
            "the output names no tag".to_owned(),
        )
    })?;
    let env = list(build, "/spec/strategy/sourceStrategy/env")
        .iter()
        .map(|one| {
            (
                text(one, "/name").to_owned(),
                text(one, "/value").to_owned(),
            )
        })
        .collect();
    let into = match text(to, "/namespace") {
        "" => namespace,
        other => other,
    };
    let repository = format!("{INTERNAL_REGISTRY}/{into}/{stream}");
    let request = BuildRequest {
        source: &folder,
        base: &base,
        env,
        repository: repository.clone(),
    };
    let image = context.images.build(&request).map_err(|error| {
        let why =
            std::error::Error::source(&error).map_or(String::new(), |source| format!(": {source}"));
        ("FetchSourceFailed", format!("{error}{why}"))
    })?;
    image_streams::tag(context, into, stream, tag, &image)
        .map_err(|error| ("PushImageToRegistryFailed", error.message().to_owned()))?;
    Ok((format!("{repository}:{tag}"), image.digest))
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

/// The folder to build from: an annotation, or a `file://` address; below it the context directory.
fn source_folder(build: &Value) -> Result<PathBuf, BuildFailure> {
    let refuse = |message: String| Err(("FetchSourceFailed", message));
    let strategy = &build["spec"]["strategy"];
    if strategy["sourceStrategy"].is_null() {
        return refuse("this cluster builds with the Source strategy alone".to_owned());
    }
    let uri = text(build, "/spec/source/git/uri");
    let folder = match (annotation(build, SOURCE), uri.strip_prefix("file://")) {
        (Some(folder), _) => folder,
        (None, Some(folder)) => folder,
        (None, None) => {
            return refuse(format!(
                "cannot fetch {uri:?}: this cluster builds folders of this machine alone (file://…)"
            ));
        }
    };
    let inside = Path::new(text(build, "/spec/source/contextDir"));
    if !inside
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    {
        return refuse(format!(
            "contextDir {} leads out of the source",
            inside.display()
        ));
    }
    let folder = Path::new(folder).join(inside);
    if !folder.is_absolute() || !folder.is_dir() {
        return refuse(format!(
            "{} is not a folder of this machine",
            folder.display()
        ));
    }
    Ok(folder)
}

fn finish(
    context: &Context,
    (namespace, name): &Key,
    phase: &str,
    reason: &str,
    message: &str,
    output: Option<(&str, &str)>,
) -> Result<(), ApiError> {
    context
        .store
        .update_status(&resources::builds(), Some(namespace), name, |build| {
            let now = object::now();
            let status = &mut build["status"];
            status["phase"] = json!(phase);
            status["completionTimestamp"] = json!(now);
            if !reason.is_empty() {
                status["reason"] = json!(reason);
                status["message"] = json!(message);
            }
            if let Some((reference, digest)) = output {
                status["outputDockerImageReference"] = json!(reference);
                status["output"] = json!({"to": {"imageDigest": digest}});
            }
            if object::condition(build, "Running").is_some() {
                object::set_condition(build, "Running", false, "", "", true);
            }
            object::set_condition(build, phase, true, reason, message, true);
        })?;
    Ok(())
}
