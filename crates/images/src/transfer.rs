//! Copies images: every blob verified on its way, manifests byte by byte, and the name last of all.

use std::fmt;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::layout::Layout;
use crate::manifest::Platforms;
use crate::progress::{BlobWay, Progress, Silent};
use crate::registry::{Blob, Repository};
use crate::survey::Survey;
use crate::{Digest, ImagesError};

/// How images are copied. Clones share their limit.
#[derive(Clone)]
pub struct CopyOptions {
    blobs: Arc<Semaphore>,
    progress: Arc<dyn Progress>,
}

impl Default for CopyOptions {
    /// Six blobs at once, and nobody is told.
    fn default() -> Self {
        Self {
            blobs: Arc::new(Semaphore::new(6)),
            progress: Arc::new(Silent),
        }
    }
}

impl fmt::Debug for CopyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyOptions").finish_non_exhaustive()
    }
}

impl CopyOptions {
    /// So many blobs at once, over all images that are copied with these options. Each takes a few MiB of memory.
    #[must_use]
    pub fn parallel(self, blobs: usize) -> Self {
        Self {
            blobs: Arc::new(Semaphore::new(blobs.max(1))),
            ..self
        }
    }

    /// Tells this one how far the copies are.
    #[must_use]
    pub fn progress(self, progress: Arc<dyn Progress>) -> Self {
        Self { progress, ..self }
    }
}

/// What became of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Copied {
    /// The image at its destination.
    pub image: String,
    /// Its digest, the same as at the source.
    pub digest: Digest,
    /// Blobs whose bytes were copied.
    pub copied: usize,
    /// Blobs that the target took over from another of its repositories.
    pub mounted: usize,
    /// Blobs that were there.
    pub present: usize,
    /// Bytes of the blobs that were copied.
    pub copied_bytes: u64,
    /// Bytes of all blobs.
    pub bytes: u64,
}

/// Where to.
enum Destination<'a> {
    Repository(&'a Repository),
    Layout(&'a Layout),
}

/// Copies an image from a registry into an image layout, under a name.
///
/// # Errors
/// When a blob is missing or damaged, the registry cannot be read, or the folder not be written. The layout does not
/// name the image then; what has arrived stays, and is not fetched again.
pub async fn pull_to_layout(
    survey: &Survey,
    layout: &Layout,
    name: &str,
    options: &CopyOptions,
) -> Result<Copied, ImagesError> {
    check_name(name)?;
    let copied = transfer(
        survey,
        &Destination::Layout(layout),
        name.to_owned(),
        options,
    )
    .await?;
    for manifest in &survey.manifests {
        layout
            .put_manifest(&manifest.descriptor, &manifest.bytes)
            .await?;
    }
    layout.name_image(name, survey.descriptor()).await?;
    Ok(copied)
}

/// Copies an image from an image layout into a repository, under a tag or by its digest alone.
///
/// # Errors
/// When the layout's image is missing or damaged, or the registry refuses or cannot be reached. Nothing is tagged then.
pub async fn push_from_layout(
    layout: &Layout,
    name: &str,
    to: &Repository,
    tag: Option<&str>,
    options: &CopyOptions,
) -> Result<Copied, ImagesError> {
    let survey = layout.survey(name, &Platforms::All).await?;
    copy(&survey, to, tag, options).await
}

/// Copies an image into a repository, under a tag or by its digest alone, from wherever it was surveyed.
///
/// # Errors
/// When a blob is missing or damaged, or a registry refuses or cannot be reached. Nothing is tagged then.
pub async fn copy(
    survey: &Survey,
    to: &Repository,
    tag: Option<&str>,
    options: &CopyOptions,
) -> Result<Copied, ImagesError> {
    if let Some(tag) = tag {
        to.check_tag(tag)?;
    }
    let image = to.reference(tag, Some(survey.digest()));
    let copied = transfer(survey, &Destination::Repository(to), image.clone(), options).await?;
    let last = survey.manifests.len().saturating_sub(1);
    for (index, manifest) in survey.manifests.iter().enumerate() {
        let digest = manifest.descriptor.digest.to_string();
        let reference = tag.filter(|_| index == last).unwrap_or(&digest);
        to.put_manifest(reference, &manifest.descriptor, manifest.bytes.clone())
            .await?;
    }
    // What a registry says it took is not yet what it serves.
    if let Some(tag) = tag {
        match to.digest_of(tag).await? {
            Some(now) if now == survey.digest() => {}
            Some(now) => {
                return Err(ImagesError::WrongDigest {
                    place: to.registry().name().to_owned(),
                    what: format!("the manifest of {image}, as it is served,"),
                    expected: survey.digest(),
                    actual: now,
                });
            }
            None => return Err(ImagesError::ImageGone { image }),
        }
    }
    Ok(copied)
}

async fn transfer(
    survey: &Survey,
    to: &Destination<'_>,
    image: String,
    options: &CopyOptions,
) -> Result<Copied, ImagesError> {
    options
        .progress
        .image(survey.image(), survey.blobs.len(), survey.size());
    let ways: Vec<(BlobWay, u64)> = stream::iter(survey.blobs.iter())
        .map(|blob| one(blob, survey, to, options))
        .buffer_unordered(
            options
                .blobs
                .available_permits()
                .max(1)
                .min(survey.blobs.len().max(1)),
        )
        .try_collect()
        .await?;
    let count = |way: BlobWay| ways.iter().filter(|(one, _)| *one == way).count();
    Ok(Copied {
        image,
        digest: survey.digest(),
        copied: count(BlobWay::Copied),
        mounted: count(BlobWay::Mounted),
        present: count(BlobWay::Present),
        copied_bytes: ways
            .iter()
            .filter(|(way, _)| *way == BlobWay::Copied)
            .map(|(_, size)| size)
            .sum(),
        bytes: survey.size(),
    })
}

async fn one(
    blob: &Blob,
    survey: &Survey,
    to: &Destination<'_>,
    options: &CopyOptions,
) -> Result<(BlobWay, u64), ImagesError> {
    // The semaphore is never closed; without a permit the copy is as right, only less bounded.
    let _permit = options.blobs.acquire().await.ok();
    let progress = options.progress.as_ref();
    let way = match to {
        Destination::Repository(repository) => {
            repository.put_blob(blob, &survey.source, progress).await?
        }
        Destination::Layout(layout) => layout.put_blob(blob, &survey.source, progress).await?,
    };
    progress.blob(blob.descriptor.digest, blob.descriptor.size, way);
    Ok((way, blob.descriptor.size))
}

/// A name in a layout: what the specification of the annotation allows.
fn check_name(name: &str) -> Result<(), ImagesError> {
    let fine = !name.is_empty()
        && name.len() <= 512
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:@/+".contains(&b));
    if fine {
        return Ok(());
    }
    Err(ImagesError::BadReference {
        text: crate::words::shortened(name, 200),
        reason: "a name in an image layout holds letters, digits, and `-._:@/+` between them"
            .to_owned(),
    })
}
