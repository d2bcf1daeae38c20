//! Passing one request on, whatever its body; and connections that change their protocol.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use openshifter_apiserver::{NodeBackend, Store};

use super::table::{self, Backend};

type Body = BoxBody<Bytes, hyper::Error>;

/// Headers that are about one connection alone.
const HOP_BY_HOP: [&str; 5] = [
    "proxy-connection",
    "keep-alive",
    "te",
    "trailer",
    "proxy-authorization",
];

/// Answers a request by the pod it is for.
pub(super) async fn answer(
    request: Request<Incoming>,
    client: SocketAddr,
    store: Store,
    node: Arc<dyn NodeBackend>,
) -> Result<Response<Body>, Infallible> {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| request.uri().host())
        .unwrap_or_default()
        .to_owned();
    let backends = table::find(&store, &host, request.uri().path());
    Ok(pass_on(request, client, &host, backends, &*node)
        .await
        .unwrap_or_else(unavailable))
}

async fn pass_on(
    mut request: Request<Incoming>,
    client: SocketAddr,
    host: &str,
    backends: Vec<Backend>,
    node: &dyn NodeBackend,
) -> Option<Response<Body>> {
    let mut reached = None;
    for Backend {
        namespace,
        pod,
        port,
    } in &backends
    {
        if let Ok(stream) = node.port(namespace, pod, *port).await {
            reached = Some(stream);
            break;
        }
    }
    let (mut sender, connection) = http1::handshake(TokioIo::new(reached?)).await.ok()?;
    tokio::spawn(connection.with_upgrades());

    let upgrade = request.headers().get(UPGRADE).cloned();
    let waiting = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    let headers = request.headers_mut();
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    // What the client says of itself is not believed.
    if let Ok(address) = HeaderValue::from_str(&client.ip().to_string()) {
        headers.insert("x-forwarded-for", address);
    }
    if let Ok(host) = HeaderValue::from_str(host) {
        headers.insert("x-forwarded-host", host);
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    if upgrade.is_none() {
        headers.remove(CONNECTION);
    }
    let mut response = sender.send_request(request).await.ok()?;
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(waiting)) = (response.status(), waiting) {
        let inner = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            if let (Ok(outer), Ok(inner)) = tokio::join!(waiting, inner) {
                let (mut outer, mut inner) = (TokioIo::new(outer), TokioIo::new(inner));
                // Either side may leave at any time.
                let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
            }
        });
    } else {
        response.headers_mut().remove(CONNECTION);
    }
    Some(response.map(BodyExt::boxed))
}

/// The page that OpenShift's router answers with.
fn unavailable() -> Response<Body> {
    const PAGE: &str = "<html>\n  <head><title>Application is not available</title></head>\n  <body>\n    \
                        <h1>Application is not available</h1>\n    \
                        <p>The application is currently not serving requests at this endpoint. It may not have been \
                        started or is still starting.</p>\n  </body>\n</html>\n";
    let mut response = Response::new(
        Full::new(Bytes::from_static(PAGE.as_bytes()))
            .map_err(|e| match e {})
            .boxed(),
    );
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}
