//! Images that come from a build at the target: the builds go before the workloads that wait for them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openshifter_chart::{ImageRecord, ImageTag};
use openshifter_cluster::Cluster;
use openshifter_objects::{GroupKind, Object, ObjectKey};
use openshifter_refactor::{Finding, Severity};
use serde_json::Value;

use crate::images::lead;
use crate::journal::Event;
use crate::policy::content;
use crate::report::{ImageAction, ImageEntry, Report};
use crate::{MigrateError, Run};

mod chain;
mod follow;
mod own;
mod standing;
mod triggers;

use chain::{in_order, inputs_of};
use follow::follow;
use own::find_or_start;
pub(crate) use standing::{Standing, look};
use standing::{digest_of, tags};
pub(crate) use triggers::{give_back, hold};

/// How long an image that a build takes may take to be imported into its stream.
pub(super) const BASE: Duration = Duration::from_secs(120);

const GROUP: &str = "build.openshift.io";

/// Whether the target can build it by itself: from Git, a Dockerfile, or images alone. What was built from a
/// developer's folder exists nowhere but as an image of the source.
fn source_of(config: &Object) -> Option<&'static str> {
    let source = &config.value()["spec"]["source"];
    if source["git"].is_object() {
        Some("git")
    } else if source["dockerfile"].is_string() {
        Some("dockerfile")
    } else if source["images"]
        .as_array()
        .is_some_and(|images| !images.is_empty())
    {
        Some("images")
    } else {
        None
    }
}

/// The tag that a build makes, when it is one of this project.
fn output_of(config: &Object) -> Option<&str> {
    let to = &config.value()["spec"]["output"]["to"];
    (to["kind"] == "ImageStreamTag")
        .then(|| to["name"].as_str())
        .flatten()
}

/// The same, taken apart.
fn tag_of_config(config: &Object) -> Option<ImageTag> {
    let (stream, tag) = output_of(config)?.split_once(':')?;
    Some(ImageTag {
        stream: stream.to_owned(),
        tag: tag.to_owned(),
    })
}

/// What a chart says of the image that a build makes.
fn record_of<'a>(images: &'a [ImageRecord], config: &Object) -> Option<&'a ImageRecord> {
    let tag = tag_of_config(config)?;
    images.iter().find(|image| image.tags.contains(&tag))
}

/// An image that a workload takes from a tag.
struct Trigger {
    tag: String,
    containers: Vec<String>,
}

/// What a workload waits for: a DeploymentConfig by its own triggers, all others by an annotation.
fn triggers_of(object: &Object) -> Vec<Trigger> {
    let names = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    };
    let mut triggers: Vec<Trigger> = object.value()["spec"]["triggers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|trigger| &trigger["imageChangeParams"])
        .filter_map(|wanted| {
            Some(Trigger {
                tag: wanted["from"]["name"].as_str()?.to_owned(),
                containers: names(&wanted["containerNames"]),
            })
        })
        .collect();
    if let Some(annotation) = object.annotation("image.openshift.io/triggers")
        && let Ok(Value::Array(wanted)) = serde_json::from_str::<Value>(annotation)
    {
        triggers.extend(wanted.iter().filter_map(|wanted| {
            // As in `spec.template.spec.containers[?(@.name=="web")].image`.
            let container = wanted["fieldPath"]
                .as_str()
                .and_then(|path| path.split(['"', '\'']).nth(1));
            Some(Trigger {
                tag: wanted["from"]["name"].as_str()?.to_owned(),
                containers: container.map(str::to_owned).into_iter().collect(),
            })
        }));
    }
    triggers
}

/// The objects with the images that the target's own tags lead to, which are what a helper pod there can be made of:
/// the chart's are digests of the source's registry.
pub(crate) async fn with_images(
    target: &Cluster,
    namespace: &str,
    objects: &[Object],
) -> Result<Vec<Object>, MigrateError> {
    let mut objects = objects.to_vec();
    let mut known: BTreeMap<String, Option<String>> = BTreeMap::new();
    for object in &mut objects {
        for trigger in triggers_of(object) {
            if !known.contains_key(&trigger.tag) {
                let image = image_of(target, namespace, &trigger.tag).await?;
                known.insert(trigger.tag.clone(), image);
            }
            if let Some(Some(image)) = known.get(&trigger.tag) {
                set_image(object, &trigger.containers, image);
            }
        }
    }
    Ok(objects)
}

fn set_image(object: &mut Object, names: &[String], image: &str) {
    let containers = object
        .pod_spec_mut()
        .and_then(|spec| spec.get_mut("containers"))
        .and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        if names.iter().any(|name| container["name"] == name.as_str()) {
            container["image"] = image.into();
        }
    }
}

/// The BuildConfigs whose images workloads wait for or are to have, in the order in which they are built.
fn wanted<'a>(objects: &'a [Object], images: &[ImageRecord], namespace: &str) -> Vec<&'a Object> {
    let rebuilt = images.iter().filter(|image| image.decision == "rebuild");
    let wanted: BTreeSet<String> = objects
        .iter()
        .flat_map(triggers_of)
        .map(|trigger| trigger.tag)
        .chain(rebuilt.flat_map(|image| image.tags.iter().map(ToString::to_string)))
        .collect();
    let configs: Vec<&Object> = objects
        .iter()
        .filter(|object| object.is(GROUP, "BuildConfig"))
        // What is copied, left where it is, or has another in its place, is not built beside that.
        .filter(|config| !is_settled(images, output_of(config).unwrap_or_default()))
        .collect();
    in_order(&configs, namespace, &wanted)
}

/// The BuildConfigs that [`run`] builds by: they start nothing by themselves until it has.
pub(crate) fn held(
    objects: &[Object],
    images: &[ImageRecord],
    namespace: &str,
) -> BTreeSet<ObjectKey> {
    wanted(objects, images, namespace)
        .into_iter()
        .filter(|config| source_of(config).is_some())
        .map(Object::key)
        .collect()
}

/// Starts the builds whose images workloads wait for or are to have, and follows them to their end, each for as long as
/// it may take.
///
/// # Errors
/// When a build fails.
pub(crate) async fn run(
    run: &Run,
    target: &Cluster,
    namespace: &str,
    objects: &[Object],
    images: &[ImageRecord],
    (standing, patience): (&Standing, Duration),
    report: &mut Report,
) -> Result<(), MigrateError> {
    let configs = wanted(objects, images, namespace);
    if configs.is_empty() {
        return Ok(());
    }
    run.progress.stage("building the application's images");
    let events = run.journal.events()?;
    for config in configs {
        let tag = output_of(config).unwrap_or_default();
        let record = record_of(images, config);
        let own = tag_of_config(config);
        let stays = own.as_ref().is_some_and(|own| standing.is_kept(own));
        let over = own
            .as_ref()
            .is_some_and(|own| standing.before(own).is_some());
        // What an earlier import made another image of, or by another recipe, is built again.
        let renewed = source_of(config).is_some() && is_renewed(&events, &config.key());
        if let Some(reference) = image_of(target, namespace, tag).await?
            && (stays || !(renewed || over))
        {
            let digest = reference.split_once('@').map(|(_, digest)| digest);
            if let (Some(digest), false) = (digest, stays) {
                let place = (target, namespace);
                lead_others(run, place, config, record, (standing, digest)).await?;
            }
            if let Some(record) = record.filter(|record| record.decision == "rebuild") {
                let built = Event::Built { key: config.key() };
                let action = match (stays, events.contains(&built)) {
                    (true, _) => ImageAction::Skipped,
                    (_, true) => ImageAction::Built,
                    (_, false) => ImageAction::Unchanged,
                };
                report.images.push(ImageEntry {
                    digest: digest.map(str::to_owned),
                    ..ImageEntry::of(record, action)
                });
            }
            continue;
        }
        // That it is missing is known where the chart says what became of it.
        let said = images.iter().any(|image| {
            !image.comes_along() && image.tags.iter().any(|known| known.to_string() == tag)
        }) && !report.losses.is_empty();
        if source_of(config).is_none() {
            if !said {
                report.losses.push(format!(
                    "{} was built from a folder that only its developer has: build it again with `oc start-build {} --from-dir=.`, or push its image to {tag}",
                    config.key(),
                    config.name(),
                ));
            }
            continue;
        }
        inputs_ready(target, namespace, config).await?;
        let record = record.filter(|record| record.decision == "rebuild");
        let wanted = record.and_then(|record| record.commit.as_deref());
        let name = find_or_start(run, target, namespace, config, wanted).await?;
        run.progress.note(&format!("build {name} is running"));
        let made = follow(run, target, namespace, &name, patience).await?;
        run.journal.write(Event::Built { key: config.key() })?;
        if let Some(own) = &own {
            // Older servers do not tell it of a build; its tag leads there by now.
            let digest = match &made.digest {
                Some(digest) => Some(digest.clone()),
                None => digest_of(target, namespace, own).await?,
            };
            if let Some(digest) = digest {
                tagged(run, own, &digest, standing)?;
                let place = (target, namespace);
                lead_others(run, place, config, record, (standing, &digest)).await?;
            }
        }
        let told = record
            .filter(|_| source_of(config) == Some("git"))
            .and_then(|record| other_commit(record, made.commit.as_deref()));
        report.findings.extend(told.map(|message| Finding {
            severity: Severity::Warning,
            object: config.key(),
            rule: "build-commit".to_owned(),
            message,
        }));
        report.images.push(ImageEntry {
            name: record.map_or_else(|| tag.to_owned(), |record| record.name.clone()),
            decision: "rebuild".to_owned(),
            action: ImageAction::Built,
            digest: made.digest,
            bytes: 0,
            detail: Some(match made.commit {
                Some(commit) => format!("by {name}, of commit {commit}"),
                None => format!("by {name}"),
            }),
        });
    }
    Ok(())
}

/// Makes the other tags that lead to an image at the source lead to the one that was built: `oc tag` does not follow a
/// build.
async fn lead_others(
    run: &Run,
    (target, namespace): (&Cluster, &str),
    config: &Object,
    record: Option<&ImageRecord>,
    (standing, digest): (&Standing, &str),
) -> Result<(), MigrateError> {
    let Some(own) = tag_of_config(config) else {
        return Ok(());
    };
    let rebuilt = record.filter(|record| record.decision == "rebuild");
    for tag in tags(config, rebuilt).iter().filter(|tag| **tag != own) {
        let there = digest_of(target, namespace, tag).await?;
        if standing.is_kept(tag) || there.as_deref() == Some(digest) {
            continue;
        }
        tagged(run, tag, digest, standing)?;
        lead(target, namespace, tag, (&own.stream, digest)).await?;
    }
    Ok(())
}

/// Notes where a tag leads to, and led to before, for `undo`.
fn tagged(
    run: &Run,
    tag: &ImageTag,
    digest: &str,
    standing: &Standing,
) -> Result<(), MigrateError> {
    run.journal.write(Event::ImagePushing {
        stream: tag.stream.clone(),
        tag: tag.tag.clone(),
        image: digest.to_owned(),
        before: standing.before(tag).map(str::to_owned),
        named: None,
    })?;
    Ok(())
}

/// What is to be said where the target may have built something else than the source runs.
fn other_commit(record: &ImageRecord, built: Option<&str>) -> Option<String> {
    let of_built = built.map_or_else(
        || "what its branch had".to_owned(),
        |built| format!("commit {built}"),
    );
    match record.commit.as_deref() {
        None => Some(format!(
            "no build at the source tells which commit its image was built from; the target has built {of_built}"
        )),
        Some(commit) if built.is_some_and(|built| built != commit) => Some(format!(
            "the target has built {of_built}; its image at the source is of commit {commit}"
        )),
        Some(_) => None,
    }
}

/// Whether this run has made or changed a BuildConfig and not built by it since.
fn is_renewed(events: &[Event], config: &ObjectKey) -> bool {
    let mut renewed = false;
    let mut was = None;
    for event in events {
        match event {
            Event::Creating { key, .. } if key == config => renewed = true,
            Event::Changing { key, before, .. } if key == config => {
                was = Some(recipe(&content(before)));
            }
            Event::Changed { key, content, .. } if key == config => {
                renewed |= was.take().is_some_and(|was| was != recipe(content));
            }
            Event::Built { key } if key == config => renewed = false,
            _ => {}
        }
    }
    renewed
}

/// What an image is made by: what starts a build is no part of it, and held back for a time.
fn recipe(content: &Value) -> Value {
    let mut recipe = content.clone();
    if let Some(spec) = recipe.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("triggers");
    }
    recipe
}

/// Whether it was decided that a tag has an image which no build of ours makes.
fn is_settled(images: &[ImageRecord], tag: &str) -> bool {
    images.iter().any(|image| {
        matches!(image.decision.as_str(), "copy" | "map" | "external")
            && image.tags.iter().any(|known| known.to_string() == tag)
    })
}

/// The image that a tag of this project leads to.
async fn image_of(
    target: &Cluster,
    namespace: &str,
    tag: &str,
) -> Result<Option<String>, MigrateError> {
    let kind = GroupKind::new("image.openshift.io", "ImageStream");
    let Some((stream, tag)) = tag.split_once(':') else {
        return Ok(None);
    };
    let stream = match target.get(&kind, Some(namespace), stream).await {
        // Plain Kubernetes has no streams, and the annotation means nothing there.
        Err(error) if error.is_unknown_kind() => None,
        answer => answer?,
    };
    Ok(stream.and_then(|stream| match tag_of(&stream, tag) {
        Tag::Image(reference) => Some(reference),
        Tag::Waiting | Tag::Failed(_) => None,
    }))
}

/// What a stream knows of one of its tags.
pub(super) enum Tag {
    Image(String),
    Waiting,
    Failed(String),
}

pub(super) fn tag_of(stream: &Object, tag: &str) -> Tag {
    let Some(status) = stream.value()["status"]["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|status| status["tag"] == tag)
    else {
        return Tag::Waiting;
    };
    if let Some(newest) = status["items"].as_array().and_then(|items| items.first()) {
        let reference = newest["dockerImageReference"].as_str().unwrap_or_default();
        return Tag::Image(reference.to_owned());
    }
    status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == "ImportSuccess" && condition["status"] == "False")
        .map_or(Tag::Waiting, |condition| {
            Tag::Failed(condition["message"].as_str().unwrap_or_default().to_owned())
        })
}

/// Waits until the images that a build takes are in their streams, which are imported some time after the streams
/// were made: a build that is started before is refused (422).
async fn inputs_ready(
    target: &Cluster,
    namespace: &str,
    config: &Object,
) -> Result<(), MigrateError> {
    let kind = GroupKind::new("image.openshift.io", "ImageStream");
    for input in inputs_of(config, namespace) {
        let (project, stream, tag) = (input.project, input.stream, input.tag);
        let mut last = Tag::Waiting;
        let waited = target
            .wait(&kind, Some(&project), &stream, BASE, |live| {
                last = live.map_or(Tag::Waiting, |live| tag_of(live, &tag));
                !matches!(last, Tag::Waiting)
            })
            .await;
        let missing = |reason: String| MigrateError::Build {
            build: config.name().to_owned(),
            reason,
        };
        let what = input.what;
        match (waited, last) {
            (Ok(_), Tag::Failed(reason)) => {
                return Err(missing(format!(
                    "the image that it {what}, {project}/{stream}:{tag}, cannot be imported: {reason}"
                )));
            }
            (Ok(_), _) => {}
            // Other projects' streams often may not be watched; the server will say what it thinks of the build.
            (Err(error), _) if error.is_forbidden() => {}
            (Err(error), _) if error.is_timeout() => {
                return Err(missing(format!(
                    "the image that it {what}, {project}/{stream}:{tag}, is still missing after {} s",
                    BASE.as_secs()
                )));
            }
            (Err(error), _) => return Err(error.into()),
        }
    }
    Ok(())
}

fn build() -> GroupKind {
    GroupKind::new(GROUP, "Build")
}

fn phase(build: &Object) -> &str {
    build.value()["status"]["phase"]
        .as_str()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_the_target_can_build_is_built() {
        let config = |source: Value| {
            Object::from_value(
                json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig",
                "metadata": {"name": "web"}, "spec": {"source": source}}),
            )
            .unwrap()
        };
        assert_eq!(
            source_of(&config(
                json!({"type": "Git", "git": {"uri": "https://x.test/y"}})
            )),
            Some("git")
        );
        assert_eq!(
            source_of(&config(json!({"type": "Binary", "binary": {}}))),
            None
        );
    }

    #[test]
    fn another_recipe_makes_another_image() {
        let config = |branch: &str| {
            Object::from_value(
                json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig",
                "metadata": {"name": "web"}, "spec": {"source": {"git": {"ref": branch}}, "triggers": [{"type": "ConfigChange"}]}}),
            )
            .unwrap()
        };
        let key = config("v1").key();
        let at = crate::journal::At::Target;
        let changed = |to: &str| {
            [
                Event::Changing {
                    at,
                    key: key.clone(),
                    before: config("v1"),
                },
                Event::Changed {
                    at,
                    key: key.clone(),
                    resource_version: String::new(),
                    content: content(&config(to)),
                },
            ]
        };
        assert!(!is_renewed(&changed("v1"), &key));
        assert!(is_renewed(&changed("v2"), &key));
        // Triggers that are held back are no other recipe.
        let [changing, _] = changed("v1");
        let mut held = config("v1");
        hold(&mut held);
        let held = Event::Changed {
            at,
            key: key.clone(),
            resource_version: String::new(),
            content: content(&held),
        };
        assert!(!is_renewed(&[changing, held], &key));
        let built = Event::Built { key: key.clone() };
        let events: Vec<Event> = changed("v2").into_iter().chain([built]).collect();
        assert!(!is_renewed(&events, &key));
    }

    #[test]
    fn a_tag_has_an_image_waits_or_failed() {
        let stream = Object::from_value(json!({
            "apiVersion": "image.openshift.io/v1", "kind": "ImageStream", "metadata": {"name": "python"},
            "status": {"tags": [
                {"tag": "3.11", "items": [{"image": "sha256:1", "dockerImageReference": "registry/python@sha256:1"}]},
                {"tag": "3.9", "items": null, "conditions": [
                    {"type": "ImportSuccess", "status": "False", "message": "no such host"}]},
                {"tag": "3.8", "items": null},
            ]},
        }))
        .unwrap();
        assert!(
            matches!(tag_of(&stream, "3.11"), Tag::Image(image) if image == "registry/python@sha256:1")
        );
        assert!(matches!(tag_of(&stream, "3.9"), Tag::Failed(reason) if reason == "no such host"));
        assert!(matches!(tag_of(&stream, "3.8"), Tag::Waiting));
        assert!(matches!(tag_of(&stream, "2.7"), Tag::Waiting));
    }

    #[test]
    fn a_workload_says_which_containers_take_an_image_from_a_tag() {
        let triggers = |object: Value| -> Vec<(String, Vec<String>)> {
            triggers_of(&Object::from_value(object).unwrap())
                .into_iter()
                .map(|trigger| (trigger.tag, trigger.containers))
                .collect()
        };
        let expected = vec![("web:latest".to_owned(), vec!["main".to_owned()])];
        let config = json!({
            "apiVersion": "apps.openshift.io/v1", "kind": "DeploymentConfig", "metadata": {"name": "web"},
            "spec": {"triggers": [{"type": "ConfigChange"}, {"type": "ImageChange", "imageChangeParams": {
                "containerNames": ["main"], "from": {"kind": "ImageStreamTag", "name": "web:latest"}}}]},
        });
        assert_eq!(triggers(config), expected);
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "annotations": {"image.openshift.io/triggers":
                r#"[{"from":{"kind":"ImageStreamTag","name":"web:latest"},"fieldPath":"spec.template.spec.containers[?(@.name==\"main\")].image"}]"#}},
            "spec": {"template": {"spec": {"containers": [{"name": "main", "image": "old"}, {"name": "side", "image": "kept"}]}}},
        });
        assert_eq!(triggers(deployment.clone()), expected);
        let mut deployment = Object::from_value(deployment).unwrap();
        set_image(&mut deployment, &["main".to_owned()], "new");
        let containers = &deployment.pod_spec().unwrap()["containers"];
        assert_eq!(
            (&containers[0]["image"], &containers[1]["image"]),
            (&json!("new"), &json!("kept"))
        );
    }
}
