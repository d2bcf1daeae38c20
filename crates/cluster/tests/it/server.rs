//! A TLS server on a free port of this machine that answers as the test says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use openshifter_cluster::{Access, Cluster, ClusterError, Credentials, Trust, Tuning};
use serde_json::{Value, json};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    /// How often this method and path was asked before.
    pub(crate) before: usize,
}

impl Asked {
    pub(crate) fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path == path
    }
}

type Handler = Box<dyn Fn(&Asked) -> Option<Response> + Send + Sync>;

struct Inner {
    handler: Handler,
    seen: Mutex<Vec<Asked>>,
}

/// Ends with its value.
pub(crate) struct Server {
    pub(crate) base: url::Url,
    pub(crate) ca: Vec<u8>,
    inner: Arc<Inner>,
    handle: axum_server::Handle<std::net::SocketAddr>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

impl Server {
    /// Serves what the handler answers; discovery where it answers nothing, else 404.
    pub(crate) async fn start(
        handler: impl Fn(&Asked) -> Option<Response> + Send + Sync + 'static,
    ) -> Self {
        Self::with_routes(Router::new(), handler).await
    }

    /// As [`Server::start`], for clients with a certificate of a CA that nobody has.
    pub(crate) async fn start_for_strangers() -> Self {
        let ca = rcgen::generate_simple_self_signed(["nobody".to_owned()]).unwrap();
        Self::serve(Router::new(), |_| None, Some(ca.cert.der().clone())).await
    }

    pub(crate) async fn with_routes(
        routes: Router,
        handler: impl Fn(&Asked) -> Option<Response> + Send + Sync + 'static,
    ) -> Self {
        Self::serve(routes, handler, None).await
    }

    async fn serve(
        routes: Router,
        handler: impl Fn(&Asked) -> Option<Response> + Send + Sync + 'static,
        client_ca: Option<rustls::pki_types::CertificateDer<'static>>,
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let inner = Arc::new(Inner {
            handler: Box::new(handler),
            seen: Mutex::default(),
        });
        let router = routes.merge(Router::new().fallback(answer).with_state(inner.clone()));
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let builder = rustls::ServerConfig::builder();
        let builder = match client_ca {
            Some(ca) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(ca).unwrap();
                let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots));
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let config = axum_server::tls_rustls::RustlsConfig::from_config(Arc::new(config));
        let handle = axum_server::Handle::<std::net::SocketAddr>::new();
        let server = axum_server::bind_rustls("127.0.0.1:0".parse().unwrap(), config)
            .handle(handle.clone())
            .serve(router.into_make_service());
        tokio::spawn(server);
        let address = handle.listening().await.unwrap();
        Self {
            base: Access::parse_base(&address.to_string()).unwrap(),
            ca: made.cert.pem().into_bytes(),
            inner,
            handle,
        }
    }

    pub(crate) fn access(&self, credentials: Credentials) -> Access {
        Access {
            name: "prod".into(),
            base: self.base.clone(),
            trust: Trust {
                ca_pem: Some(self.ca.clone()),
                ..Trust::default()
            },
            credentials,
        }
    }

    /// Connects with a token and short limits.
    pub(crate) async fn connect(&self) -> Cluster {
        self.try_connect(&self.access(Credentials::Token("t".into())))
            .await
            .unwrap()
    }

    pub(crate) async fn try_connect(&self, access: &Access) -> Result<Cluster, ClusterError> {
        Cluster::connect_tuned(access, tuning()).await
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Asked> {
        self.inner.seen.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, method: &str, path: &str) -> usize {
        self.seen()
            .iter()
            .filter(|asked| asked.is(method, path))
            .count()
    }
}

/// Limits that let a test fail soon. Those that no test waits for are longer than a busy machine takes to answer: a
/// request that is sent again counts twice.
pub(crate) fn tuning() -> Tuning {
    Tuning {
        connect_timeout: Duration::from_secs(10),
        answer_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(2),
        attempts: 4,
        retry_for: Duration::from_secs(8),
        exec_stall: Duration::from_secs(2),
        ..Tuning::default()
    }
}

async fn answer(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    let asked = {
        let mut seen = inner.seen.lock().unwrap();
        let path = parts.uri.path().to_owned();
        let before = seen
            .iter()
            .filter(|one| one.method == parts.method && one.path == path)
            .count();
        let asked = Asked {
            method: parts.method,
            path,
            query,
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
            before,
        };
        seen.push(asked.clone());
        asked
    };
    (inner.handler)(&asked)
        .or_else(|| discovery(&asked))
        .unwrap_or_else(|| not_found(&asked.path))
}

/// Discovery as a genuine OpenShift 4 gives it.
fn discovery(asked: &Asked) -> Option<Response> {
    let text = match asked.path.as_str() {
        "/api" => include_str!("../fixtures/discovery-api.json"),
        "/apis" => include_str!("../fixtures/discovery-apis.json"),
        "/version" => r#"{"major":"1","minor":"36","gitVersion":"v1.36.2"}"#,
        _ => return None,
    };
    Some(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

pub(crate) fn ok(value: Value) -> Option<Response> {
    Some((StatusCode::OK, axum::Json(value)).into_response())
}

pub(crate) fn created(value: Value) -> Option<Response> {
    Some((StatusCode::CREATED, axum::Json(value)).into_response())
}

/// A `Status` as servers send it.
pub(crate) fn status(code: u16, reason: &str, message: &str) -> Option<Response> {
    let mut body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "code": code});
    if !reason.is_empty() {
        body["reason"] = reason.into();
    }
    Some((StatusCode::from_u16(code).unwrap(), axum::Json(body)).into_response())
}

fn not_found(path: &str) -> Response {
    status(404, "NotFound", &format!("{path} not found")).unwrap()
}

/// A stream of watch events, then the end of the stream.
pub(crate) fn events(events: &[Value]) -> Option<Response> {
    let text: String = events.iter().map(|event| format!("{event}\n")).collect();
    Some(Body::from(text).into_response())
}

/// Error text and hint, as a user gets them.
pub(crate) fn shown(error: &ClusterError, server: &Server) -> String {
    let text = match error.hint() {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    };
    let host = format!("127.0.0.1:{}", server.base.port().unwrap());
    text.replace(&host, "HOST")
}
