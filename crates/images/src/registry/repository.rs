//! One repository of a registry: its manifests, and what blobs it has.

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use url::Url;

use super::client::Registry;
use super::failure::{Attempts, Failure};
use crate::manifest::{Descriptor, LIMIT};
use crate::reference::is_tag;
use crate::{Digest, ImageReference, ImagesError, media};

/// One repository of a registry, cheap to clone.
#[derive(Debug, Clone)]
pub struct Repository {
    pub(super) registry: Registry,
    pub(super) name: String,
}

/// A manifest as a registry serves it.
pub(crate) struct Served {
    pub(crate) media_type: Option<String>,
    pub(crate) bytes: Bytes,
}

impl Repository {
    /// Its name: `shop/web`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The reference of an image in here, as messages show it.
    pub(crate) fn reference(&self, tag: Option<&str>, digest: Option<Digest>) -> String {
        match ImageReference::new(self.registry.name(), &self.name, tag, digest) {
            Ok(reference) => reference.to_string(),
            Err(_) => format!("{}/{}", self.registry.name(), self.name),
        }
    }

    pub(super) fn pull_scope(&self) -> String {
        format!("repository:{}:pull", self.name)
    }

    pub(super) fn push_scope(&self) -> String {
        format!("repository:{}:pull,push", self.name)
    }

    pub(super) fn path(&self, rest: &str) -> Result<Url, ImagesError> {
        self.registry.at(&format!("v2/{}/{rest}", self.name))
    }

    /// The digest that a tag has now; `None` when there is no such tag.
    ///
    /// # Errors
    /// When the registry refuses or cannot be reached.
    pub async fn digest_of(&self, tag: &str) -> Result<Option<Digest>, ImagesError> {
        self.check_tag(tag)?;
        let image = self.reference(Some(tag), None);
        self.look_up(tag, &image).await
    }

    /// The digest of an image by its reference, whose registry and repository are taken for this one: of its digest where
    /// it has one, else of its tag, `latest` without any. `None` when it is not there.
    ///
    /// # Errors
    /// When the registry refuses or cannot be reached.
    pub async fn resolve(&self, image: &ImageReference) -> Result<Option<Digest>, ImagesError> {
        match image.digest() {
            Some(digest) => self.look_up(&digest.to_string(), &image.to_string()).await,
            None => self.digest_of(image.tag().unwrap_or("latest")).await,
        }
    }

    /// The digest of a manifest by tag or digest.
    async fn look_up(&self, reference: &str, image: &str) -> Result<Option<Digest>, ImagesError> {
        let action = format!("read the manifest of {image}");
        let url = self.path(&format!("manifests/{reference}"))?;
        let ask = self
            .registry
            .ask(Method::HEAD, url, action, self.pull_scope())
            .header(header::ACCEPT, media::ACCEPT);
        match self.registry.send(&ask).await {
            Ok(response) => match digest_header(response.headers()) {
                Some(digest) => Ok(Some(digest)),
                // The header is optional; the bytes tell.
                None => self.read_digest(reference, image).await,
            },
            Err(ImagesError::Refused { status: 404, .. }) => Ok(None),
            // Servers of the protocol need not know HEAD here.
            Err(ImagesError::Refused { status: 405, .. }) => {
                self.read_digest(reference, image).await
            }
            Err(error) => Err(error),
        }
    }

    async fn read_digest(
        &self,
        reference: &str,
        image: &str,
    ) -> Result<Option<Digest>, ImagesError> {
        let served = self.manifest(reference, image, LIMIT).await?;
        Ok(served.map(|served| Digest::of(&served.bytes)))
    }

    /// A manifest by tag or digest, of at most so many bytes; `None` when it is not there.
    pub(crate) async fn manifest(
        &self,
        reference: &str,
        image: &str,
        limit: usize,
    ) -> Result<Option<Served>, ImagesError> {
        let action = format!("read the manifest of {image}");
        let url = self.path(&format!("manifests/{reference}"))?;
        let ask = self
            .registry
            .ask(Method::GET, url, action, self.pull_scope())
            .header(header::ACCEPT, media::ACCEPT);
        let mut attempts = Attempts::new(self.registry.0.tuning);
        loop {
            let failure = match self.registry.try_send(&ask).await {
                Ok(response) => {
                    let media_type = response
                        .headers()
                        .get(header::CONTENT_TYPE)
                        .and_then(|value| value.to_str().ok())
                        .map(str::to_owned);
                    match self.registry.collect(&ask.action, response, limit).await {
                        Ok(bytes) => return Ok(Some(Served { media_type, bytes })),
                        Err(failure) => failure,
                    }
                }
                Err(Failure {
                    error: ImagesError::Refused { status: 404, .. },
                    ..
                }) => return Ok(None),
                Err(failure) => failure,
            };
            attempts.pause(failure).await?;
        }
    }

    /// Puts a manifest under a tag or its digest.
    pub(crate) async fn put_manifest(
        &self,
        reference: &str,
        manifest: &Descriptor,
        bytes: Bytes,
    ) -> Result<(), ImagesError> {
        let image = match reference.parse::<Digest>() {
            Ok(digest) => self.reference(None, Some(digest)),
            Err(_) => self.reference(Some(reference), None),
        };
        let action = format!("write the manifest of {image}");
        let url = self.path(&format!("manifests/{reference}"))?;
        let mut ask = self
            .registry
            .ask(Method::PUT, url, action.clone(), self.push_scope())
            .header(header::CONTENT_TYPE, manifest.media_type.clone());
        ask.body = bytes;
        let response = self.registry.send(&ask).await?;
        match digest_header(response.headers()) {
            Some(digest) if digest != manifest.digest => Err(ImagesError::WrongDigest {
                place: self.registry.name().to_owned(),
                what: format!("the manifest of {image}, as it was taken,"),
                expected: manifest.digest,
                actual: digest,
            }),
            _ => Ok(()),
        }
    }

    /// The size of a blob that is there; `None` when it is not.
    pub(crate) async fn blob_size(
        &self,
        digest: Digest,
        push: bool,
    ) -> Result<Option<Option<u64>>, ImagesError> {
        let action = format!("look for the blob {digest} in {}", self.name);
        let url = self.path(&format!("blobs/{digest}"))?;
        let scope = if push {
            self.push_scope()
        } else {
            self.pull_scope()
        };
        let ask = self.registry.ask(Method::HEAD, url, action, scope);
        match self.registry.send(&ask).await {
            Ok(response) => Ok(Some(
                response
                    .headers()
                    .get(header::CONTENT_LENGTH)
                    .and_then(|value| value.to_str().ok()?.parse().ok())
                    // Some write the length of the body, which has none here.
                    .filter(|size| *size > 0),
            )),
            Err(ImagesError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn check_tag(&self, tag: &str) -> Result<(), ImagesError> {
        if is_tag(tag) {
            return Ok(());
        }
        Err(ImagesError::BadReference {
            text: crate::words::shortened(&format!("{}:{tag}", self.name), 200),
            reason: "its tag may hold 128 letters, digits, `_`, `.` and `-`".to_owned(),
        })
    }
}

pub(super) fn digest_header(headers: &HeaderMap) -> Option<Digest> {
    headers
        .get("docker-content-digest")?
        .to_str()
        .ok()?
        .parse()
        .ok()
}
