//! Images of containers: what a reference means, and whether the pod may have it.

use openshifter_apiserver::Store;
use serde_json::Value;

use super::Node;
use super::start::NotStarted;
use crate::elsewhere::{self, Secrets};
use crate::images::{Image, internal};
use crate::object::{self, text};
use crate::registry::{StreamTag, stream_tag};

impl Node {
    /// The image of a container, or why there is none, in the words of a kubelet.
    pub(super) async fn pull(
        &self,
        store: &Store,
        pod: &Value,
        container: &Value,
    ) -> Result<Image, NotStarted> {
        let reference = text(container, "/image");
        if !is_reference(reference) {
            return Err(not_pulled(
                "InvalidImageName",
                format!(
                    "Failed to apply default image tag {reference:?}: couldn't parse image name {reference:?}: \
                     invalid reference format"
                ),
            ));
        }
        let images = &self.inner.config.images;
        let namespace = object::namespace(pod);
        let failed = |message: String| not_pulled("ErrImagePull", message);
        let resolved = match stream_tag(store, namespace, reference) {
            StreamTag::Image(image) => image,
            StreamTag::Missing { repository, tag } => {
                return Err(failed(format!(
                    "initializing source docker://{reference}: reading manifest {tag} in {repository}: manifest unknown"
                )));
            }
            StreamTag::None => reference.to_owned(),
        };
        let repository = resolved.split('@').next().unwrap_or_default();
        if let (Some(path), Some(rights)) = (internal(repository), self.inner.rights.get())
            && let Some((of, stream)) = path.split_once('/')
        {
            let account = match text(pod, "/spec/serviceAccountName") {
                "" => "default",
                account => account,
            };
            if !rights.account_may_pull(namespace, account, of, stream) {
                return Err(failed(format!(
                    "initializing source docker://{reference}: reading manifest in {repository}: unauthorized: \
                     authentication required"
                )));
            }
        }
        // Container runtimes take loopback addresses for safe, whatever is spoken there.
        let resolved = elsewhere::here(images, store, &resolved, true, &Secrets::Pod(pod))
            .await
            .map_err(|error| {
                failed(format!("initializing source docker://{reference}: {error}"))
            })?;
        let image = images.find(&resolved).map_err(|error| {
            failed(match internal(repository) {
                Some(_) => format!("initializing source docker://{reference}: {error}"),
                None => error.to_string(),
            })
        })?;
        if text(container, "/imagePullPolicy") == "Never" && !images.is_unpacked(&image) {
            return Err(not_pulled(
                "ErrImageNeverPull",
                format!("Container image {reference:?} is not present with pull policy of Never"),
            ));
        }
        Ok(image)
    }
}

fn not_pulled(reason: &'static str, message: String) -> NotStarted {
    NotStarted {
        reason,
        message,
        code: None,
    }
}

/// Whether a text can be the name of an image.
fn is_reference(text: &str) -> bool {
    let name = text.split('@').next().unwrap_or_default();
    let name = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    };
    // A registry's host may have capital letters, a repository may not.
    let path = name.split_once('/').map_or(name, |(_, path)| path);
    !path.is_empty()
        && text.bytes().all(|b| b.is_ascii_graphic())
        && path
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_./".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images_are_checked() {
        for good in [
            "web",
            "web:1",
            "quay.io/a/b:latest",
            "localhost:5000/a",
            "a@sha256:00",
            "Quay.io/a",
        ] {
            assert!(is_reference(good), "{good}");
        }
        for bad in ["", " ", "Web", "quay.io/Web:1", "a b", "web\n"] {
            assert!(!is_reference(bad), "{bad}");
        }
    }
}
