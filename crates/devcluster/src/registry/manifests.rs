//! Manifests of the registry: a push makes the Image and its tag, as the cluster's own registry does.

use ::http::{HeaderMap, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::json;

use super::answer::{self, Answer, empty, set};
use super::blobs::Linked;
use super::digest::Digest;
use super::error::Refusal;
use super::http::{self, CONTENT_DIGEST};
use super::manifest::{Descriptor, MAX_MANIFEST, Manifest, OCI_MANIFEST};
use super::paths::{Name, is_tag};
use super::{Inner, push};
use crate::images;

/// A manifest by tag or digest.
pub(super) fn get(
    inner: &Inner,
    name: &Name,
    reference: &str,
    headers: &HeaderMap,
) -> Result<Answer, Refusal> {
    let digest = match resolve(inner, name, reference)? {
        Resolved::Here(digest) => digest,
        Resolved::Elsewhere(digest) => {
            take_over(inner, name, &digest, headers)
                .ok_or_else(|| Refusal::manifest_unknown(reference))?;
            digest
        }
    };
    let (bytes, media_type) = inner
        .blobs
        .manifest(&name.path(), &digest)
        .ok_or_else(|| Refusal::manifest_unknown(reference))?;
    let length = bytes.len().to_string();
    let mut answer = answer::typed(&media_type, Bytes::from(bytes));
    set(&mut answer, header::CONTENT_LENGTH, &length);
    set(&mut answer, CONTENT_DIGEST, digest.as_str());
    set(&mut answer, header::ETAG, &format!("\"{digest}\""));
    Ok(answer)
}

/// A manifest's digest.
enum Resolved {
    /// The repository has it.
    Here(Digest),
    /// It does not; its stream may name an image of elsewhere.
    Elsewhere(Digest),
}

/// The digest that a reference means.
fn resolve(inner: &Inner, name: &Name, reference: &str) -> Result<Resolved, Refusal> {
    let unknown = || Refusal::manifest_unknown(reference);
    let digest: Digest = match reference.parse() {
        Ok(digest) => digest,
        Err(_) if is_tag(reference) => inner
            .tagged(name, reference)
            .and_then(|digest| digest.parse().ok())
            .ok_or_else(unknown)?,
        Err(_) => return Err(unknown()),
    };
    let is_here = inner
        .blobs
        .is_linked(&name.path(), Linked::Manifest, &digest);
    Ok(match is_here {
        true => Resolved::Here(digest),
        false => Resolved::Elsewhere(digest),
    })
}

/// Makes an image that a stream names, and that the cluster has elsewhere, known in the stream's own
/// repository. Of another project's only what the client may pull there.
fn take_over(inner: &Inner, name: &Name, digest: &Digest, headers: &HeaderMap) -> Option<()> {
    let reference = inner.named(name, digest)?;
    let repository = reference.split('@').next()?;
    let (bytes, media_type) = match images::internal(repository) {
        Some(path) => {
            let from = Name::parse(path)?;
            if !http::may_pull(inner, headers, &from) {
                return None;
            }
            inner.blobs.manifest(path, digest)?
        }
        // The built-in ones are everybody's; no other is here without a repository.
        None if repository.starts_with(images::REGISTRY) => {
            (inner.blobs.read(digest).ok()?, OCI_MANIFEST.to_owned())
        }
        None => return None,
    };
    let pushed = push::Pushed {
        namespace: &name.namespace,
        stream: &name.stream,
        tag: None,
        bytes: &bytes,
        media_type: &media_type,
    };
    push::import(&inner.store, &inner.blobs, &pushed, &reference).ok()
}

/// Takes a manifest whose parts are all here, and makes the Image and the tag.
pub(super) async fn put(
    inner: &Inner,
    name: &Name,
    reference: &str,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    inner.project_exists(&name.namespace)?;
    let (tag, wanted) = match reference.parse::<Digest>() {
        Ok(digest) => (None, Some(digest)),
        Err(_) if is_tag(reference) => (Some(reference), None),
        Err(_) => {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "TAG_INVALID",
                "manifest tag did not match URI",
            )
            .detail(json!(reference)));
        }
    };
    let sent_as = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| {
            value
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned()
        })
        .unwrap_or_default();
    let body = Limited::new(request.into_body(), MAX_MANIFEST)
        .collect()
        .await
        .map_err(|error| Refusal::manifest_invalid(error.to_string()))?
        .to_bytes();
    let digest = Digest::of(&body);
    if let Some(wanted) = wanted
        && wanted != digest
    {
        return Err(Refusal::digest_invalid(format!(
            "the content's digest is {digest}, not {wanted}"
        )));
    }
    let (manifest, media_type) = Manifest::parse(&body, &sent_as)
        .map_err(|error| Refusal::manifest_invalid(with_source(&error)))?;
    for part in manifest.references() {
        verify(inner, name, &manifest, part)?;
    }
    push::keep(
        &inner.store,
        &inner.blobs,
        &push::Pushed {
            namespace: &name.namespace,
            stream: &name.stream,
            tag,
            bytes: &body,
            media_type: &media_type,
        },
    )?;
    let mut answer = empty(StatusCode::CREATED);
    let location = format!("/v2/{}/manifests/{digest}", name.path());
    set(&mut answer, header::LOCATION, &location);
    set(&mut answer, CONTENT_DIGEST, digest.as_str());
    Ok(answer)
}

fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Whether a part of a manifest is in the repository, as large as the manifest says.
fn verify(
    inner: &Inner,
    name: &Name,
    manifest: &Manifest,
    part: &Descriptor,
) -> Result<(), Refusal> {
    if part.is_foreign() {
        return Ok(());
    }
    let digest: Digest = part
        .digest()
        .map_err(|error| Refusal::manifest_invalid(error.to_string()))?;
    let kind = match manifest {
        Manifest::Image { .. } => Linked::Blob,
        Manifest::Index { .. } => Linked::Manifest,
    };
    if !inner.blobs.is_linked(&name.path(), kind, &digest) {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "MANIFEST_BLOB_UNKNOWN",
            "blob unknown to registry",
        )
        .detail(json!(digest.as_str())));
    }
    match inner.blobs.size(&digest) {
        Some(size) if size == part.size => Ok(()),
        size => Err(Refusal::manifest_invalid(format!(
            "the blob {digest} has the size {}, not {} as the manifest says",
            size.unwrap_or(0),
            part.size
        ))),
    }
}

/// Forgets a manifest: by digest with all its tags, by tag the tag alone.
pub(super) fn delete(inner: &Inner, name: &Name, reference: &str) -> Result<Answer, Refusal> {
    match reference.parse::<Digest>() {
        Ok(digest) => {
            if let Resolved::Elsewhere(_) = resolve(inner, name, reference)? {
                return Err(Refusal::manifest_unknown(reference));
            }
            inner.untag(name, |_, image| image == digest.as_str())?;
            inner
                .blobs
                .unlink(&name.path(), Linked::Manifest, &digest)?;
        }
        Err(_) => {
            inner
                .tagged(name, reference)
                .ok_or_else(|| Refusal::manifest_unknown(reference))?;
            inner.untag(name, |tag, _| tag == reference)?;
        }
    }
    Ok(empty(StatusCode::ACCEPTED))
}
