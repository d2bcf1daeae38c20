//! Images and image streams: what becomes of them by mappings, imports and pushes.

mod import;
mod object;
mod resolve;
pub(crate) mod streams;

pub use import::import_images;
pub use object::{ImageObjectError, image_object};
pub(crate) use resolve::resolve;

use serde_json::{Value, json};

use crate::catalogue::ResourceId;
use crate::error::ApiError;
use crate::metadata;
use crate::store::Store;
use streams::TagEvent;

/// The API group.
pub(crate) const GROUP: &str = "image.openshift.io";

/// Image streams.
pub(crate) fn image_streams() -> ResourceId {
    ResourceId::new(GROUP, "imagestreams")
}

/// Images, which belong to no namespace.
pub(crate) fn images() -> ResourceId {
    ResourceId::new(GROUP, "images")
}

impl Store {
    /// Puts an image first into the history of a stream's tag, as a push to the cluster's registry does.
    /// `image` is the name of an Image object, `sha256:…`; `reference` is where it can be pulled.
    ///
    /// # Errors
    /// 404 if there is no such stream.
    pub fn tag_image(
        &self,
        namespace: Option<&str>,
        stream: &str,
        tag: &str,
        image: &str,
        reference: &str,
    ) -> Result<(), ApiError> {
        self.update_status(&image_streams(), namespace, stream, |stream| {
            let event = TagEvent {
                image: image.to_owned(),
                reference: reference.to_owned(),
                generation: stream["metadata"]["generation"].clone(),
            };
            streams::add(stream, tag, &event);
            streams::track(stream, tag, &event);
        })
        .map(|_| ())
    }

    /// Takes an Image in, if it is not there, and puts it first into the history of a stream's tag, as an
    /// ImageStreamMapping does. With an empty tag the Image alone is taken in. The stream has to exist.
    ///
    /// # Errors
    /// 404 if there is no such stream; 422 if the Image has no name or no reference.
    pub fn map_image(
        &self,
        namespace: &str,
        stream: &str,
        tag: &str,
        image: Value,
    ) -> Result<(), ApiError> {
        let name = metadata::name(&image).to_owned();
        let reference = image["dockerImageReference"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if name.is_empty() || reference.is_empty() {
            return Err(ApiError::invalid(
                GROUP,
                "ImageStreamMapping",
                stream,
                &[crate::error::Cause::required("image.metadata.name", "")],
            ));
        }
        if self
            .get(&image_streams(), Some(namespace), stream)
            .is_none()
        {
            return Err(ApiError::not_found_named(GROUP, "imagestreams", stream));
        }
        self.keep_image(image)?;
        if tag.is_empty() {
            return Ok(());
        }
        self.tag_image(Some(namespace), stream, tag, &name, &reference)
    }

    /// Creates an Image unless it is there.
    pub(crate) fn keep_image(&self, mut image: Value) -> Result<(), ApiError> {
        let name = metadata::name(&image).to_owned();
        if self.get(&images(), None, &name).is_some() {
            return Ok(());
        }
        if let Some(meta) = image["metadata"].as_object_mut() {
            meta.retain(|field, _| matches!(field.as_str(), "name" | "labels" | "annotations"));
        }
        match self.create(&images(), None, image) {
            // Somebody else was faster, with the same image.
            Err(error) if error.code() == 409 => Ok(()),
            made => made.map(|_| ()),
        }
    }
}

/// Fills in what the manifest and the config say that an Image brings along. They are not kept when the
/// registry says that it has the manifest.
pub(crate) fn fill(image: &mut Value) {
    let text = |field: &str| image[field].as_str().unwrap_or_default().to_owned();
    let manifest = text("dockerImageManifest");
    if manifest.is_empty() {
        return;
    }
    let stored =
        image["metadata"]["annotations"]["image.openshift.io/manifestBlobStored"] == "true";
    if image["dockerImageLayers"].is_null() {
        let described = image_object(
            &text("dockerImageReference"),
            metadata::name(image),
            &text("dockerImageManifestMediaType"),
            manifest.as_bytes(),
            text("dockerImageConfig").as_bytes(),
        );
        // What cannot be read is kept as it came, as genuine servers do.
        if let Ok(described) = described {
            for field in [
                "dockerImageLayers",
                "dockerImageManifests",
                "dockerImageMetadata",
                "dockerImageMetadataVersion",
            ] {
                if !described[field].is_null() {
                    image[field] = described[field].clone();
                }
            }
            let annotations = &mut image["metadata"]["annotations"];
            if !annotations.is_object() {
                *annotations = json!({});
            }
            annotations["image.openshift.io/dockerLayersOrder"] = json!("ascending");
        }
    }
    if stored {
        crate::write::set(image, "dockerImageManifest", None);
        crate::write::set(image, "dockerImageConfig", None);
    }
}
