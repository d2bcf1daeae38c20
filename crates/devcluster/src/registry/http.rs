//! Answering requests: blobs, uploads, tags, and the way to manifests.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use serde_json::json;

use super::access::{self, Action, Verdict};
use super::answer::{self, Answer, empty, set};
use super::blobs::Linked;
use super::digest::Digest;
use super::error::Refusal;
use super::paths::{self, Name, Nowhere, Place, parameter};
use super::{Inner, manifests, uploads};

/// Digest of the content, a header of the protocol.
pub(super) const CONTENT_DIGEST: header::HeaderName =
    header::HeaderName::from_static("docker-content-digest");
const UPLOAD_ID: header::HeaderName = header::HeaderName::from_static("docker-upload-uuid");
const VERSION: header::HeaderName =
    header::HeaderName::from_static("docker-distribution-api-version");

/// Most entries of a list in one answer.
const PAGE: usize = 1000;

/// Answers one request.
pub(super) async fn answer(
    inner: Arc<Inner>,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let is_head = request.method() == Method::HEAD;
    let mut answer = match route(&inner, request).await {
        Ok(answer) => answer,
        Err(refusal) => refusal.answer(),
    };
    set(&mut answer, VERSION, "registry/2.0");
    if is_head {
        *answer.body_mut() = answer::bytes_body(Bytes::new());
    }
    Ok(answer)
}

async fn route(inner: &Arc<Inner>, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let place = paths::place(request.uri().path()).map_err(|nowhere| match nowhere {
        Nowhere::Name(name) => Refusal::name_invalid(&name),
        Nowhere::Unknown => Refusal::new(
            StatusCode::NOT_FOUND,
            "UNSUPPORTED",
            "there is nothing at this path",
        ),
    })?;
    let method = request.method().clone();
    let read = method == Method::GET || method == Method::HEAD;
    let action = match &place {
        Place::Health => return Ok(empty(StatusCode::OK)),
        Place::Token if read => return Ok(access::token(&*inner.rights, request.headers())),
        Place::Token => return Err(Refusal::unsupported()),
        Place::Base => Action::Login,
        Place::Catalog => Action::Catalog,
        Place::Tags(name) => pull(name),
        Place::Manifest(name, _) | Place::Blob(name, _) if read => pull(name),
        Place::Manifest(..) | Place::Blob(..) if method == Method::DELETE => Action::Prune,
        Place::Manifest(name, _)
        | Place::Blob(name, _)
        | Place::Uploads(name)
        | Place::Upload(name, _) => Action::Push(&name.namespace, &name.stream),
    };
    access::require(
        &*inner.rights,
        request.headers(),
        &realm(request.headers()),
        action,
    )?;
    match (place, method) {
        (Place::Base, Method::GET | Method::HEAD) => {
            Ok(answer::typed("application/json", Bytes::from_static(b"{}")))
        }
        (Place::Catalog, Method::GET) => catalog(inner, request.uri().query()),
        (Place::Tags(name), Method::GET) => tags(inner, &name, request.uri().query()),
        (Place::Manifest(name, reference), Method::GET | Method::HEAD) => {
            manifests::get(inner, &name, &reference, request.headers())
        }
        (Place::Manifest(name, reference), Method::PUT) => {
            manifests::put(inner, &name, &reference, request).await
        }
        (Place::Manifest(name, reference), Method::DELETE) => {
            manifests::delete(inner, &name, &reference)
        }
        (Place::Blob(name, digest), Method::GET | Method::HEAD) => {
            blob(inner, &name, &digest, request.headers()).await
        }
        (Place::Blob(name, digest), Method::DELETE) => {
            let digest = known(inner, &name, &digest)?;
            inner.blobs.unlink(&name.path(), Linked::Blob, &digest)?;
            Ok(empty(StatusCode::ACCEPTED))
        }
        (Place::Uploads(name), Method::POST) => begin(inner, &name, request).await,
        (Place::Upload(name, id), method) => upload(inner, &name, &id, method, request).await,
        _ => Err(Refusal::unsupported()),
    }
}

fn pull(name: &Name) -> Action<'_> {
    Action::Pull(&name.namespace, &name.stream)
}

/// Scheme and host under which the client has found the registry.
fn realm(headers: &HeaderMap) -> String {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .filter(|value| !value.is_empty())
    };
    // The connection is always TLS; a router before it says how it was spoken to.
    let scheme = text("x-forwarded-proto").unwrap_or("https");
    let host = text("x-forwarded-host")
        .or_else(|| text("host"))
        .unwrap_or(crate::images::INTERNAL_REGISTRY);
    format!("{scheme}://{host}")
}

fn known(inner: &Inner, name: &Name, digest: &str) -> Result<Digest, Refusal> {
    let parsed: Digest = digest
        .parse()
        .map_err(|_| Refusal::digest_invalid(format!("{digest:?} is not a sha256 digest")))?;
    inner
        .blobs
        .is_linked(&name.path(), Linked::Blob, &parsed)
        .then_some(parsed)
        .ok_or_else(|| Refusal::blob_unknown(digest))
}

async fn blob(
    inner: &Inner,
    name: &Name,
    digest: &str,
    headers: &HeaderMap,
) -> Result<Answer, Refusal> {
    let digest = known(inner, name, digest)?;
    let path = inner.blobs.path(&digest);
    let size = inner
        .blobs
        .size(&digest)
        .ok_or_else(|| Refusal::blob_unknown(digest.as_str()))?;
    let range = headers
        .get(header::RANGE)
        .and_then(|range| range.to_str().ok());
    let (start, end) = match range {
        Some(range) => answer::part_of(range, size)?,
        None => (0, size),
    };
    let mut answer = http::Response::new(answer::file_body(path, start, end).await?);
    if range.is_some() {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        set(
            &mut answer,
            header::CONTENT_RANGE,
            &format!("bytes {start}-{}/{size}", end - 1),
        );
    }
    set(
        &mut answer,
        header::CONTENT_LENGTH,
        &(end - start).to_string(),
    );
    set(
        &mut answer,
        header::CONTENT_TYPE,
        "application/octet-stream",
    );
    set(&mut answer, header::ACCEPT_RANGES, "bytes");
    set(&mut answer, header::ETAG, &format!("\"{digest}\""));
    set(&mut answer, CONTENT_DIGEST, digest.as_str());
    Ok(answer)
}

/// Begins an upload, takes a blob over from another repository, or takes a whole blob.
async fn begin(inner: &Inner, name: &Name, request: Request<Incoming>) -> Result<Answer, Refusal> {
    inner.project_exists(&name.namespace)?;
    let query = request.uri().query();
    if let (Some(digest), Some(from)) = (parameter(query, "mount"), parameter(query, "from"))
        && let (Ok(digest), Some(from)) = (digest.parse::<Digest>(), Name::parse(&from))
        && inner.blobs.is_linked(&from.path(), Linked::Blob, &digest)
        && may_pull(inner, request.headers(), &from)
    {
        inner.blobs.link(&name.path(), &digest)?;
        return Ok(created(name, &digest));
    }
    let upload = inner.uploads.begin(&name.path())?;
    if let Some(digest) = parameter(query, "digest") {
        let finished = finish(inner, name, &upload, &digest, request, None).await;
        inner.uploads.forget(&upload.id);
        return finished;
    }
    Ok(progress(name, &upload.id, 0, StatusCode::ACCEPTED))
}

/// Whether the sender of a request may pull from another repository.
pub(super) fn may_pull(inner: &Inner, headers: &HeaderMap, from: &Name) -> bool {
    let token = match access::Credentials::of(headers) {
        access::Credentials::Token(token) => Some(token),
        _ => None,
    };
    inner.rights.may(token.as_deref(), pull(from)) == Verdict::Allowed
}

async fn upload(
    inner: &Inner,
    name: &Name,
    id: &str,
    method: Method,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let upload = inner.uploads.find(&name.path(), id)?;
    let begins = content_range(request.headers())?;
    match method {
        Method::GET | Method::HEAD => {
            let size = upload.size().await?;
            Ok(progress(name, id, size, StatusCode::NO_CONTENT))
        }
        Method::PATCH => {
            let size = add(&upload, request.into_body(), begins).await?;
            Ok(progress(name, id, size, StatusCode::ACCEPTED))
        }
        Method::PUT => {
            let digest = parameter(request.uri().query(), "digest")
                .ok_or_else(|| Refusal::digest_invalid("the parameter digest is missing"))?;
            let finished = finish(inner, name, &upload, &digest, request, begins).await?;
            inner.uploads.forget(id);
            Ok(finished)
        }
        Method::DELETE => {
            inner.uploads.forget(id);
            Ok(empty(StatusCode::NO_CONTENT))
        }
        _ => Err(Refusal::unsupported()),
    }
}

/// Adds a body to an upload, in a task of its own: a client that goes away in the midst of it must find
/// what it has sent when it comes back.
async fn add(
    upload: &Arc<uploads::Upload>,
    body: Incoming,
    begins: Option<u64>,
) -> Result<u64, Refusal> {
    let upload = Arc::clone(upload);
    tokio::spawn(async move { upload.add(body, begins).await })
        .await
        .map_err(|error| Refusal::internal(&error))?
}

/// Where a piece begins, if it says so: `0-99` or `bytes 0-99/*`.
fn content_range(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(header::CONTENT_RANGE) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let text = text.strip_prefix("bytes ").unwrap_or(text);
    text.split_once('-')
        .and_then(|(first, _)| first.trim().parse().ok())
        .map(Some)
        .ok_or_else(|| Refusal::upload_invalid(format!("{text:?} is no range")))
}

async fn finish(
    inner: &Inner,
    name: &Name,
    upload: &Arc<uploads::Upload>,
    digest: &str,
    request: Request<Incoming>,
    begins: Option<u64>,
) -> Result<Answer, Refusal> {
    let digest: Digest = digest
        .parse()
        .map_err(|_| Refusal::digest_invalid(format!("{digest:?} is not a sha256 digest")))?;
    add(upload, request.into_body(), begins).await?;
    upload.finish(&digest).await?;
    inner.blobs.link(&name.path(), &digest)?;
    Ok(created(name, &digest))
}

fn created(name: &Name, digest: &Digest) -> Answer {
    let mut answer = empty(StatusCode::CREATED);
    let location = format!("/v2/{}/blobs/{digest}", name.path());
    set(&mut answer, header::LOCATION, &location);
    set(&mut answer, CONTENT_DIGEST, digest.as_str());
    answer
}

fn progress(name: &Name, id: &str, size: u64, status: StatusCode) -> Answer {
    let mut answer = empty(status);
    let location = format!("/v2/{}/blobs/uploads/{id}", name.path());
    set(&mut answer, header::LOCATION, &location);
    set(&mut answer, header::RANGE, &uploads::range(size));
    set(&mut answer, UPLOAD_ID, id);
    answer
}

fn tags(inner: &Inner, name: &Name, query: Option<&str>) -> Result<Answer, Refusal> {
    let tags = inner
        .tags(name)
        .ok_or_else(|| Refusal::name_unknown(&name.path()))?;
    let (page, next) = page(tags, query);
    let body = json!({"name": name.path(), "tags": page});
    let path = format!("/v2/{}/tags/list", name.path());
    Ok(listed(&body, &path, next))
}

fn catalog(inner: &Inner, query: Option<&str>) -> Result<Answer, Refusal> {
    let (page, next) = page(inner.repositories(), query);
    Ok(listed(
        &json!({ "repositories": page }),
        "/v2/_catalog",
        next,
    ))
}

/// One page of sorted names, and the link to the next.
fn page(mut all: Vec<String>, query: Option<&str>) -> (Vec<String>, Option<String>) {
    all.sort();
    all.dedup();
    if let Some(last) = parameter(query, "last") {
        all.retain(|name| *name > last);
    }
    let size = parameter(query, "n")
        .and_then(|n| n.parse().ok())
        .unwrap_or(PAGE)
        .min(PAGE);
    let more = all.len() > size;
    all.truncate(size);
    let next = all
        .last()
        .filter(|_| more)
        .map(|last| format!("n={size}&last={last}"));
    (all, next)
}

fn listed(body: &serde_json::Value, path: &str, next: Option<String>) -> Answer {
    let mut answer = answer::typed("application/json", body.to_string().into());
    if let Some(next) = next {
        set(
            &mut answer,
            header::LINK,
            &format!("<{path}?{next}>; rel=\"next\""),
        );
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_in_pages() {
        let all = || ["c", "a", "b"].map(str::to_owned).to_vec();
        let of = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(page(all(), None), (of(&["a", "b", "c"]), None));
        assert_eq!(
            page(all(), Some("n=2")),
            (of(&["a", "b"]), Some("n=2&last=b".to_owned()))
        );
        assert_eq!(page(all(), Some("n=2&last=b")), (of(&["c"]), None));
    }
}
