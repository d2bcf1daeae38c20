//! What the cluster makes of a pushed manifest: an Image, and a tag in an ImageStream.

use openshifter_apiserver::{ApiError, ImageObjectError, Store, image_object};
use serde_json::{Value, json};

use super::blobs::Blobs;
use super::digest::Digest;
use super::manifest::{Manifest, ManifestError};
use crate::images::INTERNAL_REGISTRY;
use crate::object::{resources, text};

/// Annotations of an Image whose blobs are in the cluster's registry.
const MANAGED: [&str; 2] = [
    "image.openshift.io/manifestBlobStored",
    "openshift.io/image.managed",
];

/// A manifest whose parts are all in the repository.
#[derive(Debug)]
pub(crate) struct Pushed<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) stream: &'a str,
    /// None: by digest, which tags nothing.
    pub(crate) tag: Option<&'a str>,
    pub(crate) bytes: &'a [u8],
    pub(crate) media_type: &'a str,
}

/// Why a push came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushError {
    /// The disk.
    #[error("cannot keep the manifest")]
    Keep(#[from] std::io::Error),
    /// The API server.
    #[error("{}", .0.message())]
    Refused(ApiError),
    /// The image's manifest or configuration.
    #[error("the image cannot be read")]
    Image(#[from] ImageObjectError),
    /// The manifest alone.
    #[error("the manifest cannot be read")]
    Manifest(#[from] ManifestError),
}

impl Pushed<'_> {
    fn repository(&self) -> String {
        format!("{}/{}", self.namespace, self.stream)
    }
}

/// Keeps a manifest, makes its Image, and tags it. The stream is made if it is missing.
pub(crate) fn keep(store: &Store, blobs: &Blobs, pushed: &Pushed<'_>) -> Result<Digest, PushError> {
    let repository = pushed.repository();
    let digest = blobs.put(pushed.bytes)?;
    blobs.link_manifest(&repository, &digest, pushed.media_type)?;
    let reference = format!("{INTERNAL_REGISTRY}/{repository}@{digest}");
    let mut image = image(blobs, pushed, &digest, &reference)?;
    for name in MANAGED {
        image["metadata"]["annotations"][name] = json!("true");
    }
    let tag = pushed.tag.unwrap_or_default();
    if !tag.is_empty() {
        make_stream(store, pushed).map_err(PushError::Refused)?;
    }
    let kept = store.map_image(pushed.namespace, pushed.stream, tag, image.clone());
    match kept {
        // What is pushed by digest need have no stream yet: a tag follows, or an index does.
        Err(error) if error.code() == 404 && tag.is_empty() => make_image(store, image),
        other => other,
    }
    .map_err(PushError::Refused)?;
    Ok(digest)
}

fn make_stream(store: &Store, pushed: &Pushed<'_>) -> Result<(), ApiError> {
    let streams = resources::image_streams();
    if store
        .get(&streams, Some(pushed.namespace), pushed.stream)
        .is_some()
    {
        return Ok(());
    }
    let stream = json!({"metadata": {"name": pushed.stream}});
    match store.create(&streams, Some(pushed.namespace), stream) {
        // Somebody else may have been quicker.
        Err(error) if error.reason() != "AlreadyExists" => Err(error),
        _ => Ok(()),
    }
}

/// Makes an image of elsewhere known in a stream's repository, so that it can be pulled from there, and
/// makes its Image. Nothing is tagged.
pub(crate) fn import(
    store: &Store,
    blobs: &Blobs,
    pushed: &Pushed<'_>,
    reference: &str,
) -> Result<(), PushError> {
    let repository = pushed.repository();
    let digest = blobs.put(pushed.bytes)?;
    let (manifest, _) = Manifest::parse(pushed.bytes, pushed.media_type)?;
    for part in manifest.references() {
        blobs.link(&repository, &part.digest().map_err(ManifestError::from)?)?;
    }
    blobs.link_manifest(&repository, &digest, pushed.media_type)?;
    let image = image(blobs, pushed, &digest, reference)?;
    make_image(store, image).map_err(PushError::Refused)
}

/// Makes an Image unless it is there.
fn make_image(store: &Store, image: Value) -> Result<(), ApiError> {
    let images = resources::images();
    if store
        .get(&images, None, text(&image, "/metadata/name"))
        .is_some()
    {
        return Ok(());
    }
    match store.create(&images, None, image) {
        Err(error) if error.reason() != "AlreadyExists" => Err(error),
        _ => Ok(()),
    }
}

fn image(
    blobs: &Blobs,
    pushed: &Pushed<'_>,
    digest: &Digest,
    reference: &str,
) -> Result<Value, PushError> {
    let (manifest, _) = Manifest::parse(pushed.bytes, pushed.media_type)?;
    let config = match &manifest {
        Manifest::Image { config, .. } => {
            blobs.read(&config.digest().map_err(ManifestError::from)?)?
        }
        Manifest::Index { .. } => Vec::new(),
    };
    Ok(image_object(
        reference,
        digest.as_str(),
        pushed.media_type,
        pushed.bytes,
        &config,
    )?)
}
