//! Images of other registries: those on this machine's loopback addresses, fetched whole into the cluster's own
//! store and known there under their own names.
//!
//! Nothing else is reached: a test or a demo must not depend on the world outside, nor tell it anything.

mod credentials;

use std::net::IpAddr;
use std::path::Path;

use openshifter_apiserver::{RegistryError, RemoteImage, Store};
use openshifter_images::{
    CopyOptions, Descriptor, ImageReference, ImagesError, Layout, Platforms, Registry,
    RegistryCredentials, RegistryEndpoint, RegistryTrust, RegistryTuning, Wanted, pull_to_layout,
};

use crate::images::Images;
use crate::registry::{Digest, Manifest};

pub(crate) use credentials::Secrets;

/// Name of an image in the layout that it passes through.
const NAME: &str = "image";

/// Where a repository of another registry is kept, when it is one that is reached; none for all others.
pub(crate) fn repository(reference: &str) -> Option<String> {
    let reference: ImageReference = reference.parse().ok()?;
    let host = reference.registry();
    is_here(host).then(|| format!("_elsewhere/{host}/{}", reference.repository()))
}

/// Whether a registry's address is one of this machine's own.
fn is_here(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A reference that can be found here: of a registry that is reached, what it means now, fetched; any other as it is.
///
/// # Errors
/// As [`fetch`].
pub(crate) async fn here(
    images: &Images,
    store: &Store,
    reference: &str,
    insecure: bool,
    secrets: &Secrets<'_>,
) -> Result<String, RegistryError> {
    match repository(reference) {
        Some(_) => fetch(images, store, reference, insecure, secrets).await,
        None => Ok(reference.to_owned()),
    }
}

/// Fetches what a reference means now, unless it names a digest that is here already. The answer names the digest.
///
/// # Errors
/// Why there is no such image, or none that may be had.
pub(crate) async fn fetch(
    images: &Images,
    store: &Store,
    reference: &str,
    insecure: bool,
    secrets: &Secrets<'_>,
) -> Result<String, RegistryError> {
    let wanted: ImageReference = reference
        .parse()
        .map_err(|error: ImagesError| RegistryError::Other(error.to_string()))?;
    let place = repository(reference).ok_or_else(|| {
        RegistryError::Unreachable(format!(
            "{} is no registry of this machine, and this cluster reaches no other",
            wanted.registry()
        ))
    })?;
    let named = |digest: &str| format!("{}/{}@{digest}", wanted.registry(), wanted.repository());
    if let Some(digest) = wanted.digest() {
        let known: Option<Digest> = digest.to_string().parse().ok();
        if known.is_some_and(|known| images.blobs().manifest(&place, &known).is_some()) {
            return Ok(named(&digest.to_string()));
        }
    }
    let credentials = secrets.of(store, wanted.registry());
    let (images, image) = (images.clone(), wanted.clone());
    let runtime = tokio::runtime::Handle::current();
    // A thread of its own: what copies images borrows in ways that tasks of the runtime may not.
    let copied = tokio::task::spawn_blocking(move || {
        let work = tempfile::Builder::new()
            .prefix("fetching-")
            .tempdir_in(images.folder())
            .map_err(|error| RegistryError::Other(error.to_string()))?;
        let layout = work.path().join("layout");
        let top = runtime
            .block_on(copy(&image, insecure, credentials, &layout))
            .map_err(|error| refused(&error))?;
        let digest = top.digest.to_string();
        keep(
            &images,
            &place,
            &layout.join("blobs/sha256"),
            &digest,
            &top.media_type,
        )
        .map_err(|error| RegistryError::Other(error.to_string()))?;
        Ok(digest)
    });
    let digest = copied
        .await
        .map_err(|error| RegistryError::Other(error.to_string()))??;
    Ok(named(&digest))
}

/// Copies an image into a layout.
async fn copy(
    image: &ImageReference,
    insecure: bool,
    credentials: RegistryCredentials,
    layout: &Path,
) -> Result<Descriptor, ImagesError> {
    let trust = RegistryTrust {
        ca_pem: None,
        insecure,
        plain_http: insecure,
    };
    let endpoint = RegistryEndpoint::of(image, trust)?;
    let tuning = RegistryTuning {
        attempts: 2,
        ..RegistryTuning::default()
    };
    let registry = Registry::connect_tuned(&endpoint, credentials, tuning).await?;
    let which = Wanted {
        tag: image.tag().map(str::to_owned),
        digest: image.digest(),
    };
    let repository = registry.repository(image.repository())?;
    let survey = repository.survey(&which, &Platforms::All).await?;
    let layout = Layout::create(layout).await?;
    pull_to_layout(&survey, &layout, NAME, &CopyOptions::default()).await?;
    Ok(survey.descriptor().clone())
}

/// Takes the blobs of a layout over and makes them known as those of the repository.
fn keep(
    images: &Images,
    place: &str,
    blobs: &Path,
    top: &str,
    media_type: &str,
) -> std::io::Result<()> {
    let own = images.blobs();
    for entry in fs_err::read_dir(blobs)? {
        let entry = entry?;
        let name = format!("sha256:{}", entry.file_name().to_string_lossy());
        // Whatever is no digest is nothing of the image.
        if let Ok(digest) = name.parse::<Digest>() {
            own.adopt(&entry.path(), &digest)?;
            own.link(place, &digest)?;
        }
    }
    let invalid = |error: &dyn std::fmt::Display| std::io::Error::other(error.to_string());
    let digest: Digest = top.parse().map_err(|error| invalid(&error))?;
    let (manifest, media_type) =
        Manifest::parse(&own.read(&digest)?, media_type).map_err(|error| invalid(&error))?;
    if let Manifest::Index { manifests } = &manifest {
        for one in manifests {
            let digest = one.digest().map_err(|error| invalid(&error))?;
            own.link_manifest(place, &digest, &one.media_type)?;
        }
    }
    // Last: with it the image is there.
    own.link_manifest(place, &digest, &media_type)
}

/// An image that was fetched, with those of its platforms.
pub(crate) fn remote_image(images: &Images, reference: &str) -> Option<RemoteImage> {
    let place = repository(reference)?;
    let (_, digest) = reference.split_once('@')?;
    let one = |digest: &Digest| {
        let (manifest, media_type) = images.blobs().manifest(&place, digest)?;
        let config = images.config_of(&manifest)?;
        Some(RemoteImage {
            digest: digest.to_string(),
            media_type,
            manifest,
            config,
            platforms: Vec::new(),
        })
    };
    let mut image = one(&digest.parse().ok()?)?;
    if let Ok((Manifest::Index { manifests }, _)) =
        Manifest::parse(&image.manifest, &image.media_type)
    {
        image.platforms = manifests
            .iter()
            .filter_map(|part| one(&part.digest().ok()?))
            .collect();
    }
    Some(image)
}

fn refused(error: &ImagesError) -> RegistryError {
    let why = error.to_string();
    match error {
        ImagesError::ImageGone { .. } | ImagesError::BlobGone { .. } => {
            RegistryError::NotFound(why)
        }
        ImagesError::Unauthorized { .. } | ImagesError::Denied { .. } => {
            RegistryError::Unauthorized(why)
        }
        ImagesError::Unreachable { .. } | ImagesError::Lost { .. } => {
            RegistryError::Unreachable(why)
        }
        _ => RegistryError::Other(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_reached() {
        for (reference, place) in [
            (
                "127.0.0.1:5000/shop/web:1",
                "_elsewhere/127.0.0.1:5000/shop/web",
            ),
            ("localhost:5000/web", "_elsewhere/localhost:5000/web"),
            ("[::1]:5000/web", "_elsewhere/[::1]:5000/web"),
        ] {
            assert_eq!(repository(reference).as_deref(), Some(place));
        }
        for other in [
            "web",
            "quay.io/some/thing:2",
            "10.0.0.1:5000/web",
            "localhost.example.test/web",
            "127.0.0.1:5000/../web",
            "openshifter.test/shell:1",
        ] {
            assert_eq!(repository(other), None, "{other}");
        }
    }
}
