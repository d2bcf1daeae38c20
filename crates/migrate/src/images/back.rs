//! Leads tags to images that are there: back to the one before a push, or beside the tag of a build.

use openshifter_chart::ImageTag;
use openshifter_cluster::Cluster;
use openshifter_images::{CopyOptions, ImagesError, Inventory, Platforms, Wanted, copy};
use openshifter_objects::{GroupKind, Object, ObjectKey};
use serde_json::{Value, json};

use super::give::TAGGED;
use super::{ImageOptions, image_of, streams};
use crate::MigrateError;

/// Tags a former image of a stream again, as a push of it does: its blobs are all there. Needs the registry.
///
/// # Errors
/// When the registry cannot be reached, does not let this user push, or has the image no more.
pub(crate) async fn lead_back(
    cluster: &Cluster,
    namespace: &str,
    (stream, tag): (&Object, &str),
    image: &str,
) -> Result<(), MigrateError> {
    let digest = image.parse().map_err(|_| ImagesError::BadReference {
        text: image.to_owned(),
        reason: "it is no digest".to_owned(),
    })?;
    let exposed = Inventory::of(std::slice::from_ref(stream)).exposed;
    let registry = ImageOptions::default()
        .cluster_registry(cluster, Some(namespace), exposed.into_iter().collect())
        .await?;
    let stream = stream.name();
    let repository = registry
        .registry()
        .repository(&format!("{namespace}/{stream}"))?;
    let survey = repository
        .survey(&Wanted::digest(digest), &Platforms::All)
        .await?;
    copy(&survey, &repository, Some(tag), &CopyOptions::default()).await?;
    cluster
        .wait(&streams(), Some(namespace), stream, TAGGED, |live| {
            live.is_some_and(|live| image_of(live, tag) == Some(image))
        })
        .await?;
    Ok(())
}

/// Makes a tag lead to an image of a stream of its project, as `oc tag` does. Needs no registry.
///
/// # Errors
/// When the ImageStream is not there, or this user may not change it.
pub(crate) async fn lead(
    target: &Cluster,
    namespace: &str,
    tag: &ImageTag,
    (stream, digest): (&str, &str),
) -> Result<(), MigrateError> {
    let name = tag.to_string();
    let from = json!({"kind": "ImageStreamImage", "name": format!("{stream}@{digest}"), "namespace": namespace});
    let kind = GroupKind::new("image.openshift.io", "ImageStreamTag");
    let failed = |source| MigrateError::Object {
        key: ObjectKey {
            kind: kind.clone(),
            name: name.clone(),
        },
        done: "made",
        source,
    };
    let live = target
        .get(&streams(), Some(namespace), &tag.stream)
        .await
        .map_err(failed)?;
    let Some(live) = live else {
        return Err(MigrateError::NotPossible(format!(
            "there is no ImageStream {} for the tag {tag}",
            tag.stream
        )));
    };
    let mut entries: Vec<Value> = live.value()["spec"]["tags"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    entries.retain(|entry| entry["name"] != *tag.tag);
    entries.push(json!({"name": tag.tag, "from": from}));
    let patch = json!({
        "metadata": {"resourceVersion": live.resource_version()},
        "spec": {"tags": entries},
    });
    target
        .merge_patch(&streams(), Some(namespace), &tag.stream, &patch)
        .await
        .map_err(failed)?;
    Ok(())
}
