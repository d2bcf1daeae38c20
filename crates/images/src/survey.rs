//! What an image is made of, found out and judged before anything is changed anywhere.

use std::collections::HashSet;

use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};

use crate::layout::Layout;
use crate::manifest::{Content, Descriptor, LIMIT, Manifest, Platforms, check_platform, choose};
use crate::registry::{Blob, Repository};
use crate::source::Source;
use crate::{Digest, ImagesError};

/// Indexes within indexes that are followed.
const DEPTH: usize = 3;

/// Manifests of one image; more are an attack on our memory.
const MANIFESTS: usize = 256;

/// Bytes of all manifests of one image.
const BYTES: u64 = 32 << 20;

/// Requests in flight at once for one image.
const PARALLEL: usize = 8;

/// Which image of a repository is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The tag that led to it. With a digest, the tag must still lead there.
    pub tag: Option<String>,
    /// The digest, as the plan knows it.
    pub digest: Option<Digest>,
}

impl Wanted {
    /// Whatever the tag names now.
    pub fn tag(tag: impl Into<String>) -> Self {
        Self {
            tag: Some(tag.into()),
            digest: None,
        }
    }

    /// Exactly these bytes, whatever tag names them.
    pub fn digest(digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
        }
    }
}

/// An image that can be copied: its manifests are read and of types that we know, and all its blobs are there.
#[derive(Debug, Clone)]
pub struct Survey {
    image: String,
    pub(crate) source: Source,
    /// Those that others point to come first; the last is the image itself.
    pub(crate) manifests: Vec<Manifest>,
    /// Each once, the largest first.
    pub(crate) blobs: Vec<Blob>,
    top: Descriptor,
}

impl Survey {
    /// The image, as messages show it.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// Its digest: of the index, or of the manifest where it is made for one platform.
    pub fn digest(&self) -> Digest {
        self.top.digest
    }

    /// What names its manifest or index.
    pub fn descriptor(&self) -> &Descriptor {
        &self.top
    }

    /// Bytes of all its blobs, each counted once.
    pub fn size(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.descriptor.size).sum()
    }

    /// All its blobs: configurations and layers, each once.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        self.blobs.iter().map(|blob| &blob.descriptor)
    }
}

impl Repository {
    /// Finds out what an image is made of: reads its manifests, judges their types, and looks whether every blob is
    /// there.
    ///
    /// # Errors
    /// When the image or a blob of it is missing, its tag has moved, a part of it may not or cannot be copied
    /// (each named), or the registry refuses or cannot be reached.
    pub async fn survey(
        &self,
        wanted: &Wanted,
        platforms: &Platforms,
    ) -> Result<Survey, ImagesError> {
        if let Some(tag) = &wanted.tag {
            self.check_tag(tag)?;
        }
        if let (Some(tag), Some(planned)) = (&wanted.tag, wanted.digest)
            && let Some(now) = self.digest_of(tag).await?
            && now != planned
            && !self.lists(tag, planned).await?
        {
            return Err(ImagesError::TagMoved {
                image: self.reference(Some(tag), None),
                planned,
                now,
            });
        }
        let image = self.reference(wanted.tag.as_deref(), wanted.digest);
        let reference = match (&wanted.digest, &wanted.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        };
        let gone = || ImagesError::ImageGone {
            image: image.clone(),
        };
        let served = self
            .manifest(&reference, &image, LIMIT)
            .await?
            .ok_or_else(gone)?;
        if let Some(expected) = wanted.digest {
            check(self.registry().name(), &image, expected, &served.bytes)?;
        }
        let top = Manifest::read(&image, served.media_type.as_deref(), served.bytes, false)?;
        let source = Source::Repository(self.clone());
        Gathering::new(image, source).survey(top, platforms).await
    }
}

impl Repository {
    /// Whether a tag or digest names an index that lists this manifest: pods tell the digest of what they run, and that
    /// may be the manifest for their platform.
    ///
    /// # Errors
    /// When the registry refuses or cannot be reached.
    pub async fn lists(&self, tag: &str, digest: Digest) -> Result<bool, ImagesError> {
        let image = self.reference(Some(tag), None);
        let Some(served) = self.manifest(tag, &image, LIMIT).await? else {
            return Ok(false);
        };
        let read = Manifest::read(&image, served.media_type.as_deref(), served.bytes, false);
        Ok(match read.map(|manifest| manifest.content) {
            Ok(Content::Index(entries)) => entries
                .iter()
                .any(|entry| entry.descriptor.digest == digest),
            // It is another one, whatever it is.
            _ => false,
        })
    }
}

impl Layout {
    /// Finds out what an image of this layout is made of, and looks whether every blob is there and as long as it
    /// should be. Its bytes are verified when they are copied.
    ///
    /// # Errors
    /// When the image, a manifest or a blob is missing or damaged.
    pub async fn survey(&self, name: &str, platforms: &Platforms) -> Result<Survey, ImagesError> {
        let found = self.image(name).await?;
        let source = Source::Layout(self.clone());
        let gathering = Gathering::new(name.to_owned(), source);
        let top = gathering.manifest(&found.descriptor, false).await?;
        gathering.survey(top, platforms).await
    }
}

fn check(place: &str, image: &str, expected: Digest, bytes: &[u8]) -> Result<(), ImagesError> {
    let actual = Digest::of(bytes);
    if actual == expected {
        return Ok(());
    }
    Err(ImagesError::WrongDigest {
        place: place.to_owned(),
        what: format!("the manifest of {image}"),
        expected,
        actual,
    })
}

struct Gathering {
    image: String,
    source: Source,
    manifests: Vec<Manifest>,
    seen: HashSet<Digest>,
    /// Of the manifests that were pointed to so far.
    bytes: u64,
}

impl Gathering {
    fn new(image: String, source: Source) -> Self {
        Self {
            image,
            source,
            manifests: Vec::new(),
            seen: HashSet::new(),
            bytes: 0,
        }
    }

    /// A manifest that another one points to.
    async fn manifest(
        &self,
        descriptor: &Descriptor,
        attestation: bool,
    ) -> Result<Manifest, ImagesError> {
        let gone = || ImagesError::ImageGone {
            image: format!("{} (its manifest {})", self.image, descriptor.digest),
        };
        let limit = LIMIT.min(usize::try_from(descriptor.size).unwrap_or(LIMIT));
        let bytes = match &self.source {
            Source::Repository(repository) => {
                repository
                    .manifest(&descriptor.digest.to_string(), &self.image, limit)
                    .await?
                    .ok_or_else(gone)?
                    .bytes
            }
            Source::Layout(layout) => layout.manifest(descriptor.digest).await?.ok_or_else(gone)?,
        };
        check(&self.source.place(), &self.image, descriptor.digest, &bytes)?;
        if bytes.len() as u64 != descriptor.size {
            return Err(ImagesError::WrongSize {
                place: self.source.place(),
                what: format!("the manifest {} of {}", descriptor.digest, self.image),
                expected: descriptor.size,
                actual: bytes.len() as u64,
            });
        }
        Manifest::read(
            &self.image,
            Some(&descriptor.media_type),
            bytes,
            attestation,
        )
    }

    /// The configuration of an image, verified.
    async fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, ImagesError> {
        if descriptor.size > LIMIT as u64 {
            return Err(ImagesError::BadManifest {
                image: self.image.clone(),
                reason: "its configuration is too large".to_owned(),
            });
        }
        let blob = Blob {
            descriptor: descriptor.clone(),
            image: self.image.clone(),
        };
        let mut stream = self.source.read(&blob, 0).await?;
        let mut bytes = Vec::new();
        while let Some(piece) = stream.next().await? {
            bytes.extend_from_slice(&piece);
        }
        let actual = Digest::of(&bytes);
        if actual == descriptor.digest {
            return Ok(bytes);
        }
        Err(ImagesError::WrongDigest {
            place: self.source.place(),
            what: format!("the configuration of {}", self.image),
            expected: descriptor.digest,
            actual,
        })
    }

    async fn survey(mut self, top: Manifest, platforms: &Platforms) -> Result<Survey, ImagesError> {
        let wanted = platforms.wanted();
        let top = match &top.content {
            _ if wanted.is_empty() => top,
            Content::Index(entries) => {
                let entry = choose(&self.image, entries, wanted)?.clone();
                self.manifest(&entry.descriptor, false).await?
            }
            Content::Image(parts) => {
                if let Some(config) = parts.first() {
                    let bytes = self.config(config).await?;
                    check_platform(&self.image, &bytes, wanted)?;
                }
                top
            }
        };
        let descriptor = top.descriptor.clone();
        self.gather(top, DEPTH).await?;
        let blobs = self.blobs();
        stream::iter(blobs.iter().map(Ok))
            .try_for_each_concurrent(PARALLEL, |blob| self.look_for(blob))
            .await?;
        Ok(Survey {
            image: self.image,
            source: self.source,
            manifests: self.manifests,
            blobs,
            top: descriptor,
        })
    }

    /// Collects a manifest after those that it points to.
    fn gather(
        &mut self,
        manifest: Manifest,
        depth: usize,
    ) -> BoxFuture<'_, Result<(), ImagesError>> {
        Box::pin(async move {
            let bad = |reason: &str| ImagesError::BadManifest {
                image: self.image.clone(),
                reason: reason.to_owned(),
            };
            if let Content::Index(entries) = &manifest.content {
                if depth == 0 {
                    return Err(bad("its indexes hold each other"));
                }
                let bytes = entries.iter().fold(self.bytes, |sum: u64, entry| {
                    sum.saturating_add(entry.descriptor.size)
                });
                if entries.len() > MANIFESTS || bytes > BYTES {
                    return Err(bad("it points to too many manifests"));
                }
                self.bytes = bytes;
                let mut wanted = Vec::new();
                for entry in entries {
                    if self.seen.insert(entry.descriptor.digest) {
                        wanted.push(entry.clone());
                    }
                }
                let children: Vec<Manifest> = stream::iter(wanted)
                    .map(|entry| {
                        let this = &*self;
                        async move { this.manifest(&entry.descriptor, entry.attestation).await }
                    })
                    .buffered(PARALLEL)
                    .try_collect()
                    .await?;
                for child in children {
                    self.gather(child, depth - 1).await?;
                }
            }
            if self.manifests.len() >= MANIFESTS {
                return Err(ImagesError::BadManifest {
                    image: self.image.clone(),
                    reason: "it points to too many manifests".to_owned(),
                });
            }
            self.manifests.push(manifest);
            Ok(())
        })
    }

    fn blobs(&self) -> Vec<Blob> {
        let mut seen = HashSet::new();
        let mut blobs: Vec<Blob> = self
            .manifests
            .iter()
            .filter_map(|manifest| match &manifest.content {
                Content::Image(parts) => Some(parts),
                Content::Index(_) => None,
            })
            .flatten()
            .filter(|part| seen.insert(part.digest))
            .map(|part| Blob {
                descriptor: part.clone(),
                image: self.image.clone(),
            })
            .collect();
        // The largest takes longest: it should not be the last to begin.
        blobs.sort_by_key(|blob| std::cmp::Reverse(blob.descriptor.size));
        blobs
    }

    async fn look_for(&self, blob: &Blob) -> Result<(), ImagesError> {
        let repository = match &self.source {
            Source::Layout(layout) => return layout.check_blob(blob).await,
            Source::Repository(repository) => repository,
        };
        let digest = blob.descriptor.digest;
        match repository.blob_size(digest, false).await {
            Ok(None) => Err(ImagesError::BlobGone {
                place: repository.registry().name().to_owned(),
                image: self.image.clone(),
                digest,
            }),
            Ok(Some(Some(actual))) if actual != blob.descriptor.size => {
                Err(ImagesError::WrongSize {
                    place: repository.registry().name().to_owned(),
                    what: format!("the blob {digest} of {}", self.image),
                    expected: blob.descriptor.size,
                    actual,
                })
            }
            Ok(Some(_)) => {
                repository.remember(digest).await;
                Ok(())
            }
            // An object store may let us read what it does not let us ask about.
            Err(
                ImagesError::Denied { .. }
                | ImagesError::Refused {
                    status: 400..=499, ..
                },
            ) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
