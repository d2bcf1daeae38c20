//! Images that nobody copies, since they are elsewhere: in ImageStreams of other projects, and in other registries. What they
//! are at the source, and whether the target has them.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use openshifter_chart::ImageRecord;
use openshifter_cluster::{Cluster, ClusterError};
use openshifter_images::{
    Decision, Digest, Image, ImageReference, ImagesError, InternalRegistries, Origin, PlannedImage,
    RegistryTuning,
};
use openshifter_objects::{GroupKind, Object};

use super::{ImageOptions, PlannedImages};
use crate::{MigrateError, Report};

/// Registries that are asked at once.
const AT_ONCE: usize = 8;

/// A question by the way: nobody should have to wait for a registry that does not answer.
const BRIEFLY: RegistryTuning = RegistryTuning {
    connect_timeout: Duration::from_secs(5),
    answer_timeout: Duration::from_secs(10),
    commit_timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_secs(5),
    attempts: 1,
    first_delay: Duration::ZERO,
    longest_delay: Duration::ZERO,
    chunk: 0,
};

/// Asks for the digests of images that are not copied, where the objects do not tell them: an ImageStreamTag of another
/// project, or the image's registry. A tag of a project that this user may not see, or that is not there, stays without;
/// an image that its registry does not have, or whose registry does not answer, is unreachable. That is no problem yet:
/// the target may have a way to it (a mirror, another network).
///
/// What an image is mapped to has to be there: if its registry says that it is not, that is a problem.
pub(super) async fn tell_digests(
    source: &Cluster,
    objects: &[Object],
    options: &ImageOptions,
    planned: &mut PlannedImages,
) {
    let unknown = planned.0.iter_mut().filter(|one| {
        one.image.digest.is_none()
            && one.decision != Decision::Copy
            && matches!(one.image.origin, Origin::OtherProject { .. })
    });
    for one in unknown {
        let Some(tag) = one.image.tags.first() else {
            continue;
        };
        let name = format!("{}:{}", tag.stream, tag.tag);
        if let Ok(Some(found)) = stream_tag(source, &tag.namespace, &name).await {
            let digest = found.value()["image"]["metadata"]["name"].as_str();
            one.image.digest = digest.and_then(|digest| digest.parse().ok());
        }
    }
    let asked: Vec<(usize, ImageReference)> = planned
        .0
        .iter()
        .enumerate()
        .filter_map(|(index, one)| Some((index, to_be_asked(one)?.clone())))
        .collect();
    let answers = stream::iter(asked)
        .map(async |(index, image)| (index, ask(&image, objects, options).await))
        .buffer_unordered(AT_ONCE);
    for (index, answer) in answers.collect::<Vec<_>>().await {
        if let Some(one) = planned.0.get_mut(index) {
            answered(one, answer);
        }
    }
}

/// The image that a registry is asked for: what another one is mapped to, or what stays outside and has no digest yet.
fn to_be_asked(planned: &PlannedImage) -> Option<&ImageReference> {
    match &planned.decision {
        _ if planned.problem.is_some() => None,
        Decision::Map { to } => Some(to).filter(|to| is_outside(to)),
        Decision::External if is_open(&planned.image) => planned.image.reference.as_ref(),
        _ => None,
    }
}

/// Whether an image of another registry is known by its tag alone.
fn is_open(image: &Image) -> bool {
    image.digest.is_none() && image.origin == Origin::External
}

/// Whether it is a registry's that this machine may ask, and no name that is known within a cluster only.
fn is_outside(image: &ImageReference) -> bool {
    !InternalRegistries::default().is_internal(image.registry())
}

fn answered(planned: &mut PlannedImage, answer: Result<Option<Digest>, ImagesError>) {
    let reason = match &answer {
        Ok(_) => "its registry does not have it".to_owned(),
        Err(error) => error.to_string(),
    };
    match (&planned.decision, answer) {
        (Decision::Map { .. }, Ok(Some(_))) => {}
        (Decision::Map { to }, Ok(None)) => planned.problem = Some(not_at_its_registry(to)),
        (Decision::Map { .. }, Err(_)) => {
            let text = format!("nobody could look whether that image is there: {reason}");
            planned.note = Some(text);
        }
        (_, Ok(Some(digest))) => planned.image.digest = Some(digest),
        (_, _) => {
            let left = "left to the target, which pulls it by itself";
            planned.note.get_or_insert_with(|| left.to_owned());
            planned.image.origin = Origin::Unreachable { reason };
        }
    }
}

fn not_at_its_registry(to: &ImageReference) -> String {
    format!(
        "it is mapped to {to}, which its registry does not have: push that first, or map it to another one"
    )
}

/// The digest that a registry outside of the clusters has for an image; `None` when it does not have the image.
async fn ask(
    image: &ImageReference,
    objects: &[Object],
    options: &ImageOptions,
) -> Result<Option<Digest>, ImagesError> {
    let registry = options
        .other_registry_tuned(image.registry(), image.repository(), objects, BRIEFLY)
        .await?;
    registry
        .repository(image.repository())?
        .resolve(image)
        .await
}

/// Whether two digests are of one image, of which one is made for several platforms and the other for one of those: what
/// a node tells of a pod may be either. Where nobody can ask the registry they are not.
pub(crate) async fn are_one(
    record: &ImageRecord,
    objects: &[Object],
    options: &ImageOptions,
    (one, other): (Digest, Digest),
) -> bool {
    let mut references = record.names.iter().filter_map(|name| name.parse().ok());
    let Some::<ImageReference>(image) = references.next() else {
        return false;
    };
    let asking = async {
        let registry = options
            .other_registry_tuned(image.registry(), image.repository(), objects, BRIEFLY)
            .await?;
        let repository = registry.repository(image.repository())?;
        Ok::<_, ImagesError>(
            repository.lists(&one.to_string(), other).await?
                || repository.lists(&other.to_string(), one).await?,
        )
    };
    asking.await.unwrap_or(false)
}

/// Looks whether images that others are mapped to are there, as far as their registries tell it. `objects` have the
/// pull secrets.
///
/// # Errors
/// When a registry says that it does not have one; all of those are named.
pub(crate) async fn check_mapped(
    records: &[ImageRecord],
    objects: &[Object],
    options: &ImageOptions,
    report: &mut Report,
) -> Result<(), MigrateError> {
    let mapped = records.iter().filter(|record| record.decision == "map");
    let asked: Vec<(&ImageRecord, ImageReference)> = mapped
        .filter_map(|record| Some((record, record.to.as_deref()?.parse().ok()?)))
        .filter(|(_, to)| is_outside(to))
        .collect();
    let mut answers: Vec<_> = stream::iter(asked)
        .map(async |(record, to)| (record, ask(&to, objects, options).await, to))
        .buffered(AT_ONCE)
        .collect()
        .await;
    answers.sort_by_key(|(record, ..)| &record.name);
    let mut gone = Vec::new();
    for (record, answer, to) in answers {
        match answer {
            Ok(Some(_)) => {}
            Ok(None) => gone.push(format!(
                "image {}: {}",
                record.name,
                not_at_its_registry(&to)
            )),
            Err(error) => report.next.push(format!(
                "nobody could look whether {to} is there, which {} is mapped to: {error}",
                record.name
            )),
        }
    }
    match gone.is_empty() {
        true => Ok(()),
        false => Err(MigrateError::NotPossible(gone.join("; "))),
    }
}

/// Losses for such images that the target has not. Where this user may not look (a project that is not there looks the
/// same), that is said: a workload's start will tell, a CronJob's not.
///
/// # Errors
/// When the target cannot be asked.
pub(super) async fn missing(
    target: &Cluster,
    namespace: &str,
    records: &[ImageRecord],
    report: &mut Report,
) -> Result<(), MigrateError> {
    let left = records
        .iter()
        .filter(|record| record.decision == "external" && record.to.is_none());
    for record in left {
        let mut tags: BTreeSet<(&str, &str)> = record
            .follows
            .iter()
            .filter_map(|follower| Some((follower.namespace.as_deref()?, follower.name.as_str())))
            .collect();
        // What names it without following it.
        if let (true, true, Some(tag)) = (
            record.internal,
            record.tags.is_empty() && record.follows.is_empty(),
            record.name.split_once('/'),
        ) {
            tags.insert(tag);
        }
        for (project, name) in tags {
            // A digest alone is nothing that an ImageStreamTag would tell.
            if project == namespace || name.contains('@') || !name.contains(':') {
                continue;
            }
            match stream_tag(target, project, name).await {
                Ok(Some(_)) => {}
                Err(error) if error.is_forbidden() => report.next.push(format!(
                    "this user may not see whether the target has the image {project}/{name}, which stays there: have somebody look who may"
                )),
                Err(error) if !error.is_unknown_kind() => return Err(error.into()),
                _ => report.losses.push(format!(
                    "image {project}/{name} is not at the target, and was to be there already: import it there, or decide otherwise with `--images 'copy {}'` or `--images 'map {}=NEW'`",
                    record.name, record.name
                )),
            }
        }
    }
    Ok(())
}

async fn stream_tag(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<Option<Object>, ClusterError> {
    let kind = GroupKind::new("image.openshift.io", "ImageStreamTag");
    cluster.get(&kind, Some(namespace), name).await
}
