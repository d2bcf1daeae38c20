//! Passing one request on, whatever its body; and connections that change their protocol.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use openshifter_apiserver::Duplex;
use tokio_rustls::rustls::pki_types::ServerName;

use super::Service;
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
    service: Service,
    is_tls: bool,
) -> Result<Response<Body>, Infallible> {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| request.uri().host())
        .unwrap_or_default()
        .to_owned();
    let backends = table::find(&service.store, &host, request.uri().path());
    let from = From {
        client,
        host: &host,
        scheme: if is_tls { "https" } else { "http" },
    };
    Ok(pass_on(request, &from, backends, &service)
        .await
        .unwrap_or_else(unavailable))
}

/// What the router knows of a request that its receiver does not see.
struct From<'a> {
    client: SocketAddr,
    host: &'a str,
    scheme: &'static str,
}

/// Connects to a pod, and speaks TLS with it if its Route says so.
async fn connect(backend: &Backend, service: &Service) -> Option<Box<dyn Duplex>> {
    let port = service
        .backend
        .port(&backend.namespace, &backend.pod, backend.port);
    let stream = port.await.ok()?;
    let Some(name) = &backend.tls_name else {
        return Some(stream);
    };
    let name = ServerName::try_from(name.clone()).ok()?;
    let connector = &service.tls.as_ref()?.connector;
    match connector.connect(name, stream).await {
        Ok(stream) => Some(Box::new(stream)),
        Err(error) => {
            tracing::info!(pod = backend.pod, %error, "the router does not trust a pod");
            None
        }
    }
}

async fn pass_on(
    mut request: Request<Incoming>,
    from: &From<'_>,
    backends: Vec<Backend>,
    service: &Service,
) -> Option<Response<Body>> {
    let mut reached = None;
    for backend in &backends {
        reached = connect(backend, service).await;
        if reached.is_some() {
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
    if let Ok(address) = HeaderValue::from_str(&from.client.ip().to_string()) {
        headers.insert("x-forwarded-for", address);
    }
    if let Ok(host) = HeaderValue::from_str(from.host) {
        headers.insert("x-forwarded-host", host);
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static(from.scheme));
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
