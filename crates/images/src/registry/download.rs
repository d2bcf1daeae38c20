//! Blobs, read as streams that go on where they were cut.

use bytes::Bytes;
use http::{Method, StatusCode, header};
use reqwest::Response;
use tokio::time::timeout;

use super::failure::{Attempts, Failure, transport};
use super::repository::Repository;
use crate::ImagesError;
use crate::manifest::Descriptor;

/// A blob of an image, and how messages name both.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    pub(crate) descriptor: Descriptor,
    /// The image that it belongs to.
    pub(crate) image: String,
}

/// A blob that is being read from a registry.
pub(crate) struct BlobReader {
    repository: Repository,
    blob: Blob,
    /// Bytes that were handed out, or skipped at the start.
    at: u64,
    body: Option<Response>,
    /// Bytes of the present answer that come before `at`: the registry does not know ranges.
    skip: u64,
    attempts: Attempts,
}

impl BlobReader {
    /// Reads a blob from an offset on.
    pub(crate) fn new(repository: Repository, blob: Blob, at: u64) -> Self {
        let attempts = Attempts::new(repository.registry.0.tuning);
        Self {
            repository,
            blob,
            at,
            body: None,
            skip: 0,
            attempts,
        }
    }

    fn action(&self) -> String {
        format!(
            "read the blob {} of {}",
            self.blob.descriptor.digest, self.blob.image
        )
    }

    /// The next piece; `None` when there were exactly as many bytes as the manifest says.
    ///
    /// # Errors
    /// When the blob is missing or longer, or the connection was cut too often without progress.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ImagesError> {
        loop {
            let whole = self.blob.descriptor.size;
            let failure = match self.piece().await {
                Ok(Some(mut bytes)) => {
                    if self.skip > 0 {
                        let less = self.skip.min(bytes.len() as u64);
                        self.skip -= less;
                        let _ = bytes.split_to(less as usize);
                    }
                    if bytes.is_empty() {
                        continue;
                    }
                    self.at += bytes.len() as u64;
                    if self.at > whole {
                        return Err(self.wrong_size());
                    }
                    self.attempts.progressed();
                    return Ok(Some(bytes));
                }
                Ok(None) if self.at == whole => return Ok(None),
                // An end that comes early is a cut, whatever the server called it.
                Ok(None) => Failure::passing(ImagesError::Lost {
                    registry: self.repository.registry.name().to_owned(),
                    action: self.action(),
                    reason: format!("it ended after {} of {whole} bytes", self.at),
                }),
                Err(failure) => failure,
            };
            self.body = None;
            self.attempts.pause(failure).await?;
        }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.at == self.blob.descriptor.size && self.body.is_none() {
            return Ok(None);
        }
        if self.body.is_none() {
            self.body = Some(self.open().await?);
        }
        let Some(body) = self.body.as_mut() else {
            return Ok(None);
        };
        let limit = self.repository.registry.0.tuning.idle_timeout;
        match timeout(limit, body.chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => Err(transport(
                self.repository.registry.name(),
                &self.action(),
                &error,
            )),
            Err(_) => Err(Failure::passing(
                self.repository.registry.silent(&self.action(), limit),
            )),
        }
    }

    async fn open(&mut self) -> Result<Response, Failure> {
        let Blob { descriptor, image } = &self.blob;
        let registry = &self.repository.registry;
        let url = self
            .repository
            .path(&format!("blobs/{}", descriptor.digest))
            .map_err(Failure::last)?;
        let mut ask = registry.ask(
            Method::GET,
            url,
            self.action(),
            self.repository.pull_scope(),
        );
        if self.at > 0 {
            ask = ask.header(header::RANGE, format!("bytes={}-", self.at));
        }
        let response = match registry.try_send(&ask).await {
            Err(Failure {
                error: ImagesError::Refused { status: 404, .. },
                ..
            }) => {
                return Err(Failure::last(ImagesError::BlobGone {
                    place: registry.name().to_owned(),
                    image: image.clone(),
                    digest: descriptor.digest,
                }));
            }
            other => other?,
        };
        self.skip = if self.at == 0 {
            0
        } else if response.status() == StatusCode::PARTIAL_CONTENT {
            let start = response
                .headers()
                .get(header::CONTENT_RANGE)
                .and_then(|value| value.to_str().ok())
                .and_then(|text| {
                    text.strip_prefix("bytes ")?
                        .split('-')
                        .next()?
                        .parse::<u64>()
                        .ok()
                });
            if start.is_some_and(|start| start != self.at) {
                return Err(Failure::last(
                    registry.bad_answer(&ask.action, "it begins elsewhere than was asked for"),
                ));
            }
            0
        } else {
            self.at
        };
        let length = response
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let expected = descriptor.size - self.at + self.skip;
        if let Some(length) = length.filter(|length| *length != expected) {
            return Err(Failure::last(ImagesError::WrongSize {
                place: registry.name().to_owned(),
                what: format!("the blob {} of {image}", descriptor.digest),
                expected: descriptor.size,
                actual: length + self.at - self.skip,
            }));
        }
        Ok(response)
    }

    fn wrong_size(&self) -> ImagesError {
        ImagesError::WrongSize {
            place: self.repository.registry.name().to_owned(),
            what: format!(
                "the blob {} of {}",
                self.blob.descriptor.digest, self.blob.image
            ),
            expected: self.blob.descriptor.size,
            actual: self.at,
        }
    }
}
