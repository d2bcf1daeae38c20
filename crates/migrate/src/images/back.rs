//! Leads a tag back to the image that it led to before a push.

use openshifter_cluster::Cluster;
use openshifter_images::{CopyOptions, ImagesError, Inventory, Platforms, Wanted, copy};
use openshifter_objects::Object;

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
