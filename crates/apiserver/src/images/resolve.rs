//! What a reference to an image means now.

use serde_json::Value;

use super::{image_streams, streams};
use crate::error::ApiError;
use crate::metadata;
use crate::state::State;

/// Where the image can be pulled that a `DockerImage`, `ImageStreamTag` or `ImageStreamImage` means, seen
/// from a namespace.
///
/// # Errors
/// 422 in a server's words if there is no such stream, tag or image.
pub(crate) fn resolve(state: &State, namespace: &str, from: &Value) -> Result<String, ApiError> {
    let text = |field: &str| from[field].as_str().unwrap_or_default();
    let (kind, name) = (text("kind"), text("name"));
    let namespace = match text("namespace") {
        "" => namespace,
        other => other,
    };
    let unresolved = |why: &str| {
        ApiError::unresolved(
            kind,
            name,
            format!("Error resolving {kind} {name} in namespace {namespace}: {why}"),
        )
    };
    let stream_of = |stream: &str| {
        state
            .get(&image_streams(), Some(namespace), stream)
            .ok_or_else(|| {
                unresolved(&format!(
                    "imagestreams.image.openshift.io {stream:?} not found"
                ))
            })
    };
    match kind {
        "DockerImage" => Ok(name.to_owned()),
        "ImageStreamTag" => {
            let (stream, tag) = name
                .split_once(':')
                .ok_or_else(|| unresolved("it is not of the form <stream>:<tag>"))?;
            let stream = stream_of(stream)?;
            streams::newest(stream, tag)
                .and_then(|item| {
                    let local = streams::wish(stream, tag)
                        .is_some_and(|wish| wish["referencePolicy"]["type"] == "Local");
                    pull_spec(stream, item, local)
                })
                .ok_or_else(|| unresolved("unable to find latest tagged image"))
        }
        "ImageStreamImage" => {
            let (stream, image) = name
                .split_once('@')
                .ok_or_else(|| unresolved("it is not of the form <stream>@<image>"))?;
            let stream = stream_of(stream)?;
            streams::images(stream, image)
                .first()
                .and_then(|item| pull_spec(stream, item, false))
                .ok_or_else(|| {
                    unresolved(&format!(
                        "no image {image:?} in the stream {}",
                        metadata::name(stream)
                    ))
                })
        }
        _ => Err(unresolved("unknown kind of reference")),
    }
}

/// Where an item of a history can be pulled: at its origin, or through the cluster's registry.
fn pull_spec(stream: &Value, item: &Value, local: bool) -> Option<String> {
    if local {
        let repository = stream["status"]["dockerImageRepository"].as_str()?;
        return Some(format!("{repository}@{}", item["image"].as_str()?));
    }
    item["dockerImageReference"].as_str().map(str::to_owned)
}
