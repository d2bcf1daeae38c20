//! Where an image goes: a tag of an image stream, pushed as any client would push it.

use serde_json::Value;

use super::Builder;
use super::log::Log;
use super::status::Failure;
use crate::images::{INTERNAL_REGISTRY, Image, Written};
use crate::object::{self, text};
use crate::registry::{self, OCI_MANIFEST, Pushed};

/// Where the output of a build goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) namespace: String,
    pub(super) stream: String,
    pub(super) tag: String,
}

impl Output {
    /// Reads it; none for a build without an output.
    pub(super) fn of(build: &Value) -> Result<Option<Self>, Failure> {
        let to = &build["spec"]["output"]["to"];
        if to.is_null() {
            return Ok(None);
        }
        let invalid = |why: String| {
            Failure::new(
                "InvalidOutputReference",
                "Output image could not be resolved.",
                why,
            )
        };
        let own = object::namespace(build);
        let name = text(to, "/name");
        let (namespace, rest) = match text(to, "/kind") {
            "ImageStreamTag" => match text(to, "/namespace") {
                "" => (own, name),
                other => (other, name),
            },
            // The cluster's own registry by its name.
            "DockerImage" => name
                .strip_prefix(INTERNAL_REGISTRY)
                .and_then(|path| path.strip_prefix('/'))
                .and_then(|path| path.split_once('/'))
                .ok_or_else(|| {
                    invalid(format!(
                        "cannot push to {name:?}: this cluster pushes to its own registry alone"
                    ))
                })?,
            other => return Err(invalid(format!("{other:?} is not built to"))),
        };
        let (stream, tag) = rest.split_once(':').unwrap_or((rest, "latest"));
        Ok(Some(Self {
            namespace: namespace.to_owned(),
            stream: stream.to_owned(),
            tag: tag.to_owned(),
        }))
    }

    /// `registry/namespace/stream`.
    pub(super) fn repository(&self) -> String {
        format!("{INTERNAL_REGISTRY}/{}/{}", self.namespace, self.stream)
    }

    /// With the tag.
    pub(super) fn reference(&self) -> String {
        format!("{}:{}", self.repository(), self.tag)
    }
}

/// Pushes an image that was written here: its parts get known in the repository, then the manifest.
/// Blocking.
pub(super) fn push(
    builder: &Builder,
    output: &Output,
    image: &Image,
    written: &Written,
    log: &Log,
) -> Result<(), Failure> {
    let failed = |error: &dyn std::error::Error| {
        let why = error.source().map_or(String::new(), |e| format!(": {e}"));
        Failure::push(format!("{error}{why}"))
    };
    log.line(&format!("\nPushing image {} ...", output.reference()));
    let repository = format!("{}/{}", output.namespace, output.stream);
    let blobs = builder.inner.images.blobs();
    for part in &written.parts {
        blobs
            .link(&repository, part)
            .map_err(|error| failed(&error))?;
    }
    let pushed = Pushed {
        namespace: &output.namespace,
        stream: &output.stream,
        tag: Some(&output.tag),
        bytes: &written.manifest,
        media_type: OCI_MANIFEST,
    };
    let digest =
        registry::keep(&builder.inner.store, blobs, &pushed).map_err(|error| failed(&error))?;
    debug_assert_eq!(digest, image.digest);
    log.line(&format!(
        "Successfully pushed {}@{digest}",
        output.repository()
    ));
    log.line("Push successful");
    Ok(())
}
