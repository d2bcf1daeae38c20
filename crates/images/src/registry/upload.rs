//! Blobs, written in chunks that are sent again from where the registry says it has them.

use std::pin::pin;

use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::{Body, Response};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use url::Url;

use super::download::Blob;
use super::failure::{Attempts, Failure, transport};
use super::repository::{Repository, digest_header};
use crate::digest::Hasher;
use crate::progress::{BlobWay, Progress};
use crate::source::{Pushback, Source};
use crate::{Digest, ImagesError};

/// Pieces of a blob that may wait for the network.
const QUEUE: usize = 4;

/// An upload that a registry has begun.
struct Session {
    url: Url,
    /// The least that a request but the last has to bring (the registry's `OCI-Chunk-Min-Length`).
    least: u64,
}

enum Begun {
    Mounted,
    Session(Session),
}

/// How far an upload has come.
struct Upload {
    session: Session,
    /// Bytes that the registry has acknowledged.
    acked: u64,
    /// The hash of those.
    hash: Hasher,
    /// Bytes beyond them that the registry says it has although it never acknowledged them.
    ahead: u64,
}

impl Upload {
    fn new(session: Session) -> Self {
        Self {
            session,
            acked: 0,
            hash: Hasher::default(),
            ahead: 0,
        }
    }
}

impl Repository {
    /// Puts a blob into this repository, unless it is there: mounted from another repository of the registry where it
    /// is known to be, else sent.
    pub(crate) async fn put_blob(
        &self,
        blob: &Blob,
        source: &Source,
        progress: &dyn Progress,
    ) -> Result<BlobWay, ImagesError> {
        let digest = blob.descriptor.digest;
        let lock = self
            .registry
            .0
            .locks
            .lock()
            .await
            .entry(digest)
            .or_default()
            .clone();
        let _one_writer = lock.lock().await;
        if let Some(size) = self.blob_size(digest, true).await? {
            if let Some(actual) = size.filter(|size| *size != blob.descriptor.size) {
                return Err(ImagesError::WrongSize {
                    place: self.registry.name().to_owned(),
                    what: format!("the blob {digest}, which is there already,"),
                    expected: blob.descriptor.size,
                    actual,
                });
            }
            self.remember(digest).await;
            return Ok(BlobWay::Present);
        }
        let known = self.registry.0.places.lock().await.get(&digest).cloned();
        let known = known.or_else(|| match source {
            Source::Repository(source) if source.registry.is_same(&self.registry) => {
                Some(source.name.clone())
            }
            _ => None,
        });
        let from = known.filter(|place| *place != self.name);
        let way = match self.begin(digest, from.as_deref()).await? {
            Begun::Mounted => BlobWay::Mounted,
            Begun::Session(session) => {
                self.send_blob(blob, source, session, progress).await?;
                BlobWay::Copied
            }
        };
        self.remember(digest).await;
        Ok(way)
    }

    /// Keeps in mind that this repository has a blob, so that others can mount it.
    pub(crate) async fn remember(&self, digest: Digest) {
        self.registry
            .0
            .places
            .lock()
            .await
            .insert(digest, self.name.clone());
    }

    fn writing(&self, digest: Digest) -> String {
        format!("write the blob {digest} to {}", self.name)
    }

    async fn begin(&self, digest: Digest, mount: Option<&str>) -> Result<Begun, ImagesError> {
        let action = self.writing(digest);
        if let Some(from) = mount {
            let url = self.path(&format!("blobs/uploads/?mount={digest}&from={from}"))?;
            let scope = format!("{} repository:{from}:pull", self.push_scope());
            let ask = self.registry.ask(Method::POST, url, action.clone(), scope);
            match self.registry.send(&ask).await {
                Ok(response) if response.status() == StatusCode::CREATED => {
                    return Ok(Begun::Mounted);
                }
                Ok(response) => {
                    return self
                        .session(&action, &ask.url, &response)
                        .map(Begun::Session);
                }
                // A right that is missing there is none that is missing here.
                Err(
                    ImagesError::Denied { .. }
                    | ImagesError::Unauthorized { .. }
                    | ImagesError::Refused { .. },
                ) => {}
                Err(error) => return Err(error),
            }
        }
        let url = self.path("blobs/uploads/")?;
        let ask = self
            .registry
            .ask(Method::POST, url, action.clone(), self.push_scope());
        let response = self.registry.send(&ask).await?;
        self.session(&action, &ask.url, &response)
            .map(Begun::Session)
    }

    fn session(
        &self,
        action: &str,
        from: &Url,
        response: &Response,
    ) -> Result<Session, ImagesError> {
        let text = |name: &str| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let location = text("location").ok_or_else(|| {
            self.registry
                .bad_answer(action, "it does not say where to send the bytes")
        })?;
        Ok(Session {
            url: self.registry.follow(action, from, location)?,
            least: text("oci-chunk-min-length")
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
        })
    }

    async fn send_blob(
        &self,
        blob: &Blob,
        source: &Source,
        session: Session,
        progress: &dyn Progress,
    ) -> Result<(), ImagesError> {
        let whole = blob.descriptor.size;
        let mut attempts = Attempts::new(self.registry.0.tuning);
        let mut upload = Upload::new(session);
        let mut furthest = 0;
        let mut in_one = false;
        loop {
            let result = self.run(blob, source, &mut upload, in_one, progress).await;
            let failure = match result {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            if upload.acked > furthest {
                furthest = upload.acked;
                attempts.progressed();
            }
            let mut failure = failure;
            match failure.error {
                // The upload was forgotten: another one may fare better.
                ImagesError::Refused { status: 404, .. } => failure.again = true,
                // A registry that takes no chunks may take the whole at once.
                ImagesError::Refused {
                    status: 400 | 405 | 416,
                    ..
                } if !in_one => {
                    in_one = true;
                    failure.again = true;
                }
                _ => {}
            }
            if let Err(error) = attempts.pause(failure).await {
                self.abandon(&upload.session).await;
                return Err(error);
            }
            // Where an upload stands only the registry knows.
            match self.reached(blob, &upload).await {
                Some(at) if !in_one && at >= upload.acked && at <= whole => {
                    upload.ahead = at - upload.acked
                }
                _ => {
                    self.abandon(&upload.session).await;
                    match self.begin(blob.descriptor.digest, None).await? {
                        Begun::Session(session) => upload = Upload::new(session),
                        Begun::Mounted => return Ok(()),
                    }
                }
            }
        }
    }

    /// Sends what is missing, chunk by chunk, and completes the upload.
    async fn run(
        &self,
        blob: &Blob,
        source: &Source,
        upload: &mut Upload,
        in_one: bool,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        let whole = blob.descriptor.size;
        let chunk = if in_one {
            u64::MAX
        } else {
            self.registry
                .0
                .tuning
                .chunk
                .max(upload.session.least)
                .max(1)
        };
        if upload.acked < whole {
            let stream = source
                .read(blob, upload.acked)
                .await
                .map_err(Failure::last)?;
            let mut stream = Pushback::new(stream);
            while upload.acked < whole {
                let length = chunk.max(upload.ahead).min(whole - upload.acked);
                self.chunk(blob, upload, &mut stream, length, in_one, progress)
                    .await?;
            }
        }
        // Nothing is completed that is not what its name says.
        let actual = upload.hash.clone().finish();
        if actual != blob.descriptor.digest {
            return Err(Failure::last(ImagesError::WrongDigest {
                place: source.place(),
                what: format!("the blob of {}", blob.image),
                expected: blob.descriptor.digest,
                actual,
            }));
        }
        self.complete(blob, upload).await
    }

    /// Sends one chunk, and takes note that the registry has it.
    async fn chunk(
        &self,
        blob: &Blob,
        upload: &mut Upload,
        stream: &mut Pushback,
        length: u64,
        in_one: bool,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        let registry = &self.registry;
        let action = self.writing(blob.descriptor.digest);
        let scope = self.push_scope();
        let (from, to) = (upload.acked + upload.ahead, upload.acked + length);
        let mut hash = upload.hash.clone();
        // What the registry has already is only hashed.
        let mut left = upload.ahead;
        while left > 0 {
            let piece = stream.take(left).await.map_err(Failure::last)?;
            left -= piece.len() as u64;
            hash.update(&piece);
        }
        if from < to {
            let authorization = registry.authorization(&scope, &action).await?;
            let (sender, receiver) = mpsc::channel::<Bytes>(QUEUE);
            let body = stream::unfold(receiver, |mut receiver| async move {
                let piece = receiver.recv().await?;
                Some((Ok::<_, std::io::Error>(piece), receiver))
            });
            let mut request = registry.request(
                Method::PATCH,
                upload.session.url.clone(),
                authorization.as_ref(),
                false,
            );
            *request.headers_mut() =
                chunk_headers(std::mem::take(request.headers_mut()), from, to, in_one);
            *request.body_mut() = Some(Body::wrap_stream(body));
            let idle = registry.0.tuning.idle_timeout;
            let mut fed = false;
            let feed = async {
                let sender = sender;
                let mut left = to - from;
                while left > 0 {
                    let piece = stream.take(left).await.map_err(Failure::last)?;
                    left -= piece.len() as u64;
                    hash.update(&piece);
                    let size = piece.len() as u64;
                    match timeout(idle, sender.send(piece)).await {
                        Ok(Ok(())) => progress.bytes(size),
                        // The request has ended early; its answer says why.
                        Ok(Err(_)) => std::future::pending::<()>().await,
                        Err(_) => return Err(Failure::passing(registry.silent(&action, idle))),
                    }
                }
                Ok(())
            };
            let response = {
                let mut feed = pin!(feed);
                let mut answer = pin!(registry.http().execute(request));
                loop {
                    tokio::select! {
                        biased;
                        answer = &mut answer => {
                            break answer.map_err(|error| transport(registry.name(), &action, &error))?;
                        }
                        done = &mut feed, if !fed => {
                            done?;
                            fed = true;
                        }
                        () = sleep(registry.0.tuning.answer_timeout), if fed => {
                            return Err(Failure::passing(registry.silent(&action, registry.0.tuning.answer_timeout)));
                        }
                    }
                }
            };
            if response.status() == StatusCode::UNAUTHORIZED {
                let again = registry
                    .refused(&scope, response.headers(), authorization.as_ref())
                    .await;
                let mut failure = registry.refusal(&action, response).await;
                failure.again = again;
                return Err(failure);
            }
            if !response.status().is_success() {
                return Err(registry.refusal(&action, response).await);
            }
            let has = range_end(response.headers());
            // One byte and none are written alike.
            if !fed || has.is_some_and(|has| has != to && to > 1) {
                return Err(Failure::passing(registry.bad_answer(
                    &action,
                    &format!("it has {} of {to} bytes", has.unwrap_or(from)),
                )));
            }
            let least = upload.session.least;
            if response.headers().contains_key(header::LOCATION) {
                let from = upload.session.url.clone();
                upload.session = self
                    .session(&action, &from, &response)
                    .map_err(Failure::last)?;
                upload.session.least = upload.session.least.max(least);
            }
        }
        upload.acked = to;
        upload.ahead = 0;
        upload.hash = hash;
        Ok(())
    }

    /// Closes an upload; the registry verifies the digest as well.
    async fn complete(&self, blob: &Blob, upload: &Upload) -> Result<(), Failure> {
        let digest = blob.descriptor.digest;
        let action = self.writing(digest);
        let mut url = upload.session.url.clone();
        url.query_pairs_mut()
            .append_pair("digest", &digest.to_string());
        let mut ask = self
            .registry
            .ask(Method::PUT, url, action, self.push_scope())
            .header(header::CONTENT_TYPE, "application/octet-stream");
        ask.limit = self.registry.0.tuning.commit_timeout;
        match self.registry.try_send(&ask).await {
            Ok(response) => match digest_header(response.headers()) {
                Some(actual) if actual != digest => Err(Failure::last(ImagesError::WrongDigest {
                    place: self.registry.name().to_owned(),
                    what: format!("the blob of {}, as it was taken,", blob.image),
                    expected: digest,
                    actual,
                })),
                _ => Ok(()),
            },
            Err(failure) => {
                // The answer may have been lost on its way.
                if failure.again && matches!(self.blob_size(digest, true).await, Ok(Some(_))) {
                    return Ok(());
                }
                Err(failure)
            }
        }
    }

    /// How many bytes the registry has of an upload; `None` when it does not know it any more.
    async fn reached(&self, blob: &Blob, upload: &Upload) -> Option<u64> {
        let action = format!("ask how far the upload of {} is", blob.descriptor.digest);
        let ask = self.registry.ask(
            Method::GET,
            upload.session.url.clone(),
            action,
            self.push_scope(),
        );
        let response = self.registry.try_send(&ask).await.ok()?;
        range_end(response.headers())
    }

    /// Tells the registry that an upload is given up. It would find out by itself, after a week or so.
    async fn abandon(&self, session: &Session) {
        let action = "give up an upload".to_owned();
        let ask = self.registry.ask(
            Method::DELETE,
            session.url.clone(),
            action,
            self.push_scope(),
        );
        if let Err(failure) = self.registry.try_send(&ask).await {
            tracing::debug!(error = %failure.error, "an upload could not be given up");
        }
    }
}

fn chunk_headers(mut headers: HeaderMap, from: u64, to: u64, in_one: bool) -> HeaderMap {
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(to - from));
    if !in_one && let Ok(range) = HeaderValue::from_str(&format!("{from}-{}", to - 1)) {
        headers.insert(header::CONTENT_RANGE, range);
    }
    headers
}

/// The number of bytes that `Range: 0-<last>` means. A registry that has none writes `0-0`, which would be one.
fn range_end(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(header::RANGE)?.to_str().ok()?;
    let (_, last) = text.trim_start_matches("bytes=").split_once('-')?;
    Some(match last.trim().parse::<u64>().ok()? {
        0 => 0,
        last => last.checked_add(1)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_names_its_last_byte() {
        let end = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, text.parse().unwrap());
            range_end(&headers)
        };
        assert_eq!(end("0-99"), Some(100));
        assert_eq!(end("bytes=0-99"), Some(100));
        assert_eq!(end("0-0"), Some(0));
        assert_eq!(end("0-18446744073709551615"), None);
        assert_eq!(end("x"), None);
    }
}
