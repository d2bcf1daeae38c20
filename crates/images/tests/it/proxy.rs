//! A proxy in front of a registry that spoils what the test wants spoilt.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    /// How many requests of the same method and path came before.
    pub(crate) before: usize,
}

impl Asked {
    pub(crate) fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.target.contains(part)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// What is done with a request.
pub(crate) enum Fault {
    /// It passes.
    Pass,
    /// So many bytes of its answer pass, then the connection is cut.
    CutAnswer(usize),
    /// It is cut before anything of it gets to the registry.
    CutRequest,
    /// The registry gets so many bytes of its body, then the connection to it is cut, and ours.
    CutBody(usize),
    /// The registry gets it, and its answer is lost.
    LoseAnswer,
    /// So many bytes of its answer pass, as if the server knew no ranges.
    CutAnswerWithoutRanges(usize),
    /// The first byte of its answer is another.
    Spoil,
    /// It is answered here.
    Answer(u16, Vec<(&'static str, String)>, String),
}

type Rule = Box<dyn Fn(&Asked) -> Fault + Send + Sync>;

struct Inner {
    upstream: String,
    client: reqwest::Client,
    rule: Rule,
    seen: Mutex<Vec<Asked>>,
}

/// Ends with its value.
pub(crate) struct Proxy {
    pub(crate) address: String,
    inner: Arc<Inner>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    pub(crate) async fn start(
        upstream: &str,
        rule: impl Fn(&Asked) -> Fault + Send + Sync + 'static,
    ) -> Self {
        let inner = Arc::new(Inner {
            upstream: upstream.to_owned(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            rule: Box::new(rule),
            seen: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let served = inner.clone();
        let task = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let inner = served.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| handle(inner.clone(), request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(tcp), service)
                        .await;
                });
            }
        });
        Self {
            address,
            inner,
            task,
        }
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Asked> {
        self.inner.seen.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, method: &str, part: &str) -> usize {
        self.seen()
            .iter()
            .filter(|asked| asked.is(method, part))
            .count()
    }
}

fn cut() -> io::Error {
    io::Error::other("cut by the test")
}

async fn handle(
    inner: Arc<Inner>,
    request: Request<Incoming>,
) -> Result<Response<Body>, io::Error> {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().unwrap().to_string();
    let asked = {
        let mut seen = inner.seen.lock().unwrap();
        let path = |target: &str| target.split('?').next().unwrap_or_default().to_owned();
        let before = seen
            .iter()
            .filter(|one| one.method == parts.method && path(&one.target) == path(&target))
            .count();
        let asked = Asked {
            method: parts.method.clone(),
            target: target.clone(),
            headers: parts.headers.clone(),
            before,
        };
        seen.push(asked.clone());
        asked
    };
    let fault = (inner.rule)(&asked);
    if let Fault::Answer(status, headers, text) = fault {
        // What was sent is read, as servers do that answer in the end.
        let _ = body.collect().await;
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        return Ok(response.body(full(text)).unwrap());
    }
    if matches!(fault, Fault::CutRequest) {
        return Err(cut());
    }
    let whole: Bytes;
    let stream = body.into_data_stream().map_err(io::Error::other);
    let body = if let Fault::CutBody(most) = fault {
        let mut left = most;
        let pieces = stream.map(move |piece| {
            let piece: Bytes = piece?;
            if left == 0 {
                return Err(cut());
            }
            let piece = piece.slice(..piece.len().min(left));
            left -= piece.len();
            Ok(piece)
        });
        reqwest::Body::wrap_stream(pieces)
    } else {
        whole = stream
            .try_fold(Vec::new(), |mut all, piece| async move {
                all.extend_from_slice(&piece);
                Ok(all)
            })
            .await?
            .into();
        whole.into()
    };
    let mut headers = parts.headers;
    let fault = match fault {
        Fault::CutAnswerWithoutRanges(most) => {
            headers.remove("range");
            Fault::CutAnswer(most)
        }
        other => other,
    };
    let url = format!("http://{}{target}", inner.upstream);
    let sent = inner
        .client
        .request(parts.method, url)
        .headers(headers)
        .body(body)
        .send()
        .await;
    let answer = sent.map_err(io::Error::other)?;
    let mut response = Response::builder().status(answer.status());
    *response.headers_mut().unwrap() = answer.headers().clone();
    let pieces = answer.bytes_stream().map_err(io::Error::other);
    let body = match fault {
        Fault::LoseAnswer | Fault::CutBody(_) => return Err(cut()),
        Fault::CutAnswer(most) => {
            let cut_after = stream::once(async {
                // What passed is to arrive: it is written while the next piece is waited for.
                for _ in 0..200 {
                    tokio::task::yield_now().await;
                }
                Err(cut())
            });
            let mut left = most;
            let pieces = pieces
                .map_ok(move |piece| {
                    let piece = piece.slice(..piece.len().min(left));
                    left -= piece.len();
                    piece
                })
                .try_take_while(|piece| std::future::ready(Ok(!piece.is_empty())))
                .chain(cut_after);
            streamed(pieces)
        }
        Fault::Spoil => {
            let mut first = true;
            streamed(pieces.map_ok(move |piece| {
                if std::mem::take(&mut first) {
                    let mut other = piece.to_vec();
                    other[0] ^= 1;
                    other.into()
                } else {
                    piece
                }
            }))
        }
        _ => streamed(pieces),
    };
    Ok(response.body(body).unwrap())
}

fn streamed(pieces: impl futures::Stream<Item = io::Result<Bytes>> + Send + 'static) -> Body {
    // A piece at a time, so that a cut comes after what should pass.
    let frames = pieces
        .map_ok(|piece| {
            let small: Vec<_> = piece.chunks(16 << 10).map(Bytes::copy_from_slice).collect();
            stream::iter(small.into_iter().map(|piece| Ok(Frame::data(piece))))
        })
        .try_flatten();
    BodyExt::boxed_unsync(StreamBody::new(frames))
}

fn full(text: String) -> Body {
    Full::new(Bytes::from(text))
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// The body of an error as registries write it.
pub(crate) fn error(code: &str, message: &str) -> String {
    serde_json::json!({"errors": [{"code": code, "message": message}]}).to_string()
}

/// An answer that says no more than its status.
pub(crate) fn status(status: StatusCode) -> Fault {
    Fault::Answer(status.as_u16(), Vec::new(), String::new())
}
