//! Request bodies that are streamed: sources of builds, of any size.
//!
//! The client's own body type holds bytes only. A stream travels with the request as an extension, and takes the
//! body's place below everything that looks at requests.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::Stream;
use http::{Method, Request, header};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use kube::client::Body;
use openshifter_objects::{GroupKind, Object};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, sleep_until, timeout};
use tower::BoxError;

use crate::answer::Answer;
use crate::call::{Call, path};
use crate::objects::{namespace_for, subject};
use crate::{Cluster, ClusterError};

/// What requests are made of below the client.
pub(crate) type RequestBody = UnsyncBoxBody<Bytes, BoxError>;

/// Bytes per piece.
const PIECE: usize = 64 << 10;

/// Servers take the first byte only once something that reads it has been started, and answer only once it has read the
/// last: genuine ones wait five minutes for the pod of a build.
const STALL: Duration = Duration::from_secs(600);

/// A body that replaces the request's own.
#[derive(Clone)]
struct Streamed(Arc<Mutex<Option<RequestBody>>>);

/// The request as it is sent.
pub(crate) fn with_streamed_body(mut request: Request<Body>) -> Request<RequestBody> {
    let streamed = request
        .extensions_mut()
        .remove::<Streamed>()
        .and_then(|streamed| {
            let mut slot = streamed.0.lock().unwrap_or_else(PoisonError::into_inner);
            slot.take()
        });
    match streamed {
        Some(streamed) => request.map(|_| streamed),
        None => request.map(|body| body.map_err(BoxError::from).boxed_unsync()),
    }
}

/// What the sender of a body notes for the one who waits for the answer.
#[derive(Debug)]
struct Notes {
    moved: Instant,
    failure: Option<io::Error>,
}

/// Reads pieces, and notes that it did.
struct Pieces<R> {
    reader: R,
    buffer: BytesMut,
    notes: Arc<Mutex<Notes>>,
}

impl<R: AsyncRead + Unpin> Stream for Pieces<R> {
    type Item = Result<Frame<Bytes>, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        this.buffer.resize(PIECE, 0);
        let mut read = ReadBuf::new(&mut this.buffer);
        let result = std::task::ready!(Pin::new(&mut this.reader).poll_read(cx, &mut read));
        let count = read.filled().len();
        let mut notes = this.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.moved = Instant::now();
        Poll::Ready(match result {
            Ok(()) if count == 0 => None,
            Ok(()) => Some(Ok(Frame::data(this.buffer.split_to(count).freeze()))),
            Err(error) => {
                let text = error.to_string();
                notes.failure = Some(error);
                Some(Err(text.into()))
            }
        })
    }
}

impl Cluster {
    /// Posts the bytes of a stream to a subresource of an object, as a BuildConfig's `instantiatebinary` takes a source,
    /// and returns the object of the answer. Memory is bounded by what is on the way.
    ///
    /// It is sent once: a stream cannot be read again.
    ///
    /// # Errors
    /// [`ClusterError::Upload`] when the stream itself fails: the server then knows that the body is not whole. Else
    /// when the server refuses it, cannot be reached, or takes nothing for ten minutes.
    pub async fn upload_subresource(
        &self,
        kind: &GroupKind,
        namespace: Option<&str>,
        name: &str,
        subresource: &'static str,
        query: &[(&'static str, String)],
        body: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<Object, ClusterError> {
        let resource = self.resource(kind).await?;
        let namespace = namespace_for(&resource, namespace, None);
        let at = format!("{}/{subresource}", path(&resource, namespace, Some(name))?);
        let action = format!("create {subresource} of {}", subject(kind, namespace, name));
        let mut call =
            Call::get(at, action).header(header::CONTENT_TYPE, "application/octet-stream");
        call.method = Method::POST;
        call.query.extend(query.iter().cloned());
        let notes = Arc::new(Mutex::new(Notes {
            moved: Instant::now(),
            failure: None,
        }));
        let pieces = Pieces {
            reader: body,
            buffer: BytesMut::new(),
            notes: Arc::clone(&notes),
        };
        let sent = self
            .upload(&call, StreamBody::new(pieces).boxed_unsync(), &notes)
            .await;
        let failure = notes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .failure
            .take();
        match (sent, failure) {
            (Ok(answer), _) => answer.object(),
            (Err(_), Some(source)) => Err(ClusterError::Upload {
                cluster: self.name().to_owned(),
                action: call.action,
                source,
            }),
            (Err(error), None) => Err(error),
        }
    }

    async fn upload(
        &self,
        call: &Call,
        body: RequestBody,
        notes: &Mutex<Notes>,
    ) -> Result<Answer, ClusterError> {
        let link = self.link();
        let silent = || ClusterError::NoAnswer {
            cluster: link.cluster.clone(),
            action: call.action.clone(),
            reason: format!("nothing was taken for {} s", STALL.as_secs()),
        };
        let mut request = call.request().map_err(|error| ClusterError::BadAnswer {
            cluster: link.cluster.clone(),
            action: call.action.clone(),
            reason: error.to_string(),
        })?;
        request
            .extensions_mut()
            .insert(Streamed(Arc::new(Mutex::new(Some(body)))));
        let stalled = async {
            loop {
                let moved = notes.lock().unwrap_or_else(PoisonError::into_inner).moved;
                let until = moved + STALL;
                if Instant::now() >= until {
                    return;
                }
                sleep_until(until).await;
            }
        };
        let response = tokio::select! {
            response = link.clients.plain.send(request) => {
                response.map_err(|error| link.failed(call, &error).into_error())?
            }
            () = stalled => return Err(silent()),
        };
        let (parts, body) = response.into_parts();
        let body = timeout(link.tuning.idle_timeout, body.collect())
            .await
            .map_err(|_| silent())?
            .map_err(|error| link.failed(call, &error).into_error())?
            .to_bytes();
        if parts.status.is_success() {
            return Ok(Answer {
                cluster: link.cluster.clone(),
                action: call.action.clone(),
                headers: parts.headers,
                body,
            });
        }
        Err(link
            .refusal(call, parts.status, &parts.headers, &body)
            .into_error())
    }
}
