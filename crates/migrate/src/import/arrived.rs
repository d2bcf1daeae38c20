//! Images that nobody copied or built: whether the target has got them, and whether they are those of the source.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use openshifter_chart::{ImageRecord, ImageTag};
use openshifter_cluster::Cluster;
use openshifter_images::{Digest, images_of_pod};
use openshifter_objects::{GroupKind, Object, ObjectKey, places};
use openshifter_refactor::{Finding, Severity};

use super::builds::{BASE, Tag, tag_of};
use crate::images::{are_one, image_of, streams};
use crate::{ImageOptions, MigrateError, Report};

/// How long a tag is looked at, at least, after the time of all of them.
const LEAST: Duration = Duration::from_secs(1);

/// The tags that had an image where the objects come from: those that are to have one again.
pub(crate) fn tags_with_images(objects: &[Object]) -> BTreeSet<ImageTag> {
    objects
        .iter()
        .filter(|object| object.group_kind() == streams())
        .flat_map(|stream| {
            places(stream.value(), "/status/tags/*/tag")
                .into_iter()
                .filter_map(|(_, tag)| tag.as_str())
                .filter(|tag| image_of(stream, tag).is_some())
                .map(|tag| ImageTag {
                    stream: stream.name().to_owned(),
                    tag: tag.to_owned(),
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Waits until the target has imported the tags that are imported from other registries. One that it cannot import is a
/// loss: whatever takes the image by that tag, a CronJob perhaps, does not run.
///
/// # Errors
/// When the target cannot be asked.
pub(crate) async fn imported(
    target: &Cluster,
    namespace: &str,
    objects: &[&Object],
    had: &BTreeSet<ImageTag>,
    report: &mut Report,
) -> Result<(), MigrateError> {
    // One time for all of them: the target imports them side by side.
    let end = Instant::now() + BASE;
    for stream in objects
        .iter()
        .filter(|object| object.group_kind() == streams())
    {
        for (_, entry) in places(stream.value(), "/spec/tags/*") {
            let (Some(tag), from) = (entry["name"].as_str(), &entry["from"]) else {
                continue;
            };
            let known = ImageTag {
                stream: stream.name().to_owned(),
                tag: tag.to_owned(),
            };
            // A reference is not imported, only passed on.
            if from["kind"] != "DockerImage" || entry["reference"] == true || !had.contains(&known)
            {
                continue;
            }
            let mut last = Tag::Waiting;
            let left = end.saturating_duration_since(Instant::now()).max(LEAST);
            let waited = target
                .wait(&streams(), Some(namespace), stream.name(), left, |live| {
                    last = live.map_or(Tag::Waiting, |live| tag_of(live, tag));
                    live.is_none() || !matches!(last, Tag::Waiting)
                })
                .await;
            let reason = match (waited, last) {
                (Ok(_), Tag::Failed(reason)) => reason,
                (Ok(_), _) => continue,
                (Err(error), _) if error.is_timeout() => {
                    format!("it is still missing after {} s", BASE.as_secs())
                }
                (Err(error), _) => return Err(error.into()),
            };
            report.losses.push(format!(
                "the tag {known} of {namespace} has no image: the target could not import {} ({reason}); `oc import-image {known}` tries again",
                from["name"].as_str().unwrap_or_default()
            ));
        }
    }
    Ok(())
}

/// Says which images of other registries are others at the target than at the source: their tags have moved.
///
/// # Errors
/// When the target cannot be asked.
pub(crate) async fn moved(
    target: &Cluster,
    namespace: &str,
    records: &[ImageRecord],
    objects: &[Object],
    options: &ImageOptions,
    report: &mut Report,
) -> Result<(), MigrateError> {
    let outside = records
        .iter()
        .filter(|record| record.decision == "external" && !record.internal);
    let known: Vec<(&ImageRecord, Digest)> = outside
        .filter_map(|record| Some((record, record.digest.as_deref()?.parse().ok()?)))
        .collect();
    if known.is_empty() {
        return Ok(());
    }
    let running = running(target, namespace).await?;
    for (record, digest) in known {
        let mut there: BTreeMap<Digest, ObjectKey> = BTreeMap::new();
        for tag in &record.tags {
            let live = match target.get(&streams(), Some(namespace), &tag.stream).await {
                Err(error) if error.is_unknown_kind() => None,
                live => live?,
            };
            let image = live.as_ref().and_then(|live| image_of(live, &tag.tag));
            if let Some(image) = image.and_then(|image| image.parse().ok()) {
                there.insert(
                    image,
                    ObjectKey::new("image.openshift.io", "ImageStreamTag", tag.to_string()),
                );
            }
        }
        for (name, image, pod) in &running {
            if record.names.contains(name) {
                there.entry(*image).or_insert_with(|| pod.clone());
            }
        }
        there.remove(&digest);
        for (now, object) in there {
            if are_one(record, objects, options, (digest, now)).await {
                continue;
            }
            report.findings.push(Finding {
                severity: Severity::Warning,
                object,
                rule: "image-moved".to_owned(),
                message: format!(
                    "it has {now}, and {} is {digest} at the source: its tag has moved since; `--images 'copy {}'` takes along what runs there",
                    record.name, record.name
                ),
            });
        }
    }
    Ok(())
}

/// What pods run: images by their full names, each with the digest that the node tells, and a pod that has it.
async fn running(
    target: &Cluster,
    namespace: &str,
) -> Result<Vec<(String, Digest, ObjectKey)>, MigrateError> {
    let discovery = target.discovery().await?;
    let Some(pods) = discovery.find(&GroupKind::new("", "Pod")) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let listed = match target.list(pods, Some(namespace), None).await {
        // Who may not look at pods may import all the same.
        Err(error) if error.is_forbidden() => Vec::new(),
        listed => listed?,
    };
    for pod in listed {
        let images = images_of_pod(&pod).into_iter();
        found.extend(images.map(|(image, digest)| (image.to_string(), digest, pod.key())));
    }
    Ok(found)
}
