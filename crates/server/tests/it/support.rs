//! A service on a free port, requests sent to it byte by byte, and a cluster that only knows how to log in.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use openshifter_migrate::StateDir;
use openshifter_server::{Server, ServerConfig, Tls};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// No test waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(240);

/// A service with a state folder of its own; plain HTTP, so that requests can be written by hand.
pub(crate) struct Service {
    pub(crate) server: Server,
    pub(crate) state: tempfile::TempDir,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let state = tempfile::tempdir().unwrap();
        let mut config = ServerConfig::new(StateDir::new(state.path().join("state")));
        config.listen = "127.0.0.1:0".parse().unwrap();
        config.tls = Tls::None;
        config.kubeconfig = Some(state.path().join("kubeconfig"));
        change(&mut config);
        let server = Server::start(config).await.unwrap();
        Self { server, state }
    }

    /// Files below a folder of the state that could hold what a client sent.
    pub(crate) fn left_in(&self, folder: &str) -> Vec<std::path::PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.state.path().join("state").join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(path);
                }
            }
        }
        found
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"").await
    }

    /// Sends a request and does not wait for its answer.
    pub(crate) async fn begin(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.server.addr()).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n",
            self.server.addr()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Sends a request exactly as it is given.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            request.push_str(&format!("Host: {}\r\n", self.server.addr()));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let bytes = [request.as_bytes(), body].concat();
        tokio::time::timeout(PATIENCE, send(self.server.addr(), &bytes))
            .await
            .expect("no answer in time")
    }
}

async fn send(addr: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole answer");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Status and body, as snapshots show them.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.status, self.body.trim_end())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// An OpenShift that lets `dev` with `hunter2` in and holds nothing. It counts logins and logouts.
pub(crate) struct Gate {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Gate {
    pub(crate) async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let router = Router::new()
            .fallback(answer)
            .with_state((addr, seen.clone()));
        // It ends with the runtime of the test.
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { addr, seen }
    }

    /// The address as it stands in a path, with the slashes as they are.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.addr)
    }

    fn count(&self, request: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|one| one.starts_with(request)).count()
    }

    pub(crate) fn logins(&self) -> usize {
        self.count("GET /oauth/authorize 302")
    }

    pub(crate) fn logouts(&self) -> usize {
        self.count("DELETE /apis/oauth.openshift.io/v1/useroauthaccesstokens/")
    }

    /// Requests that would change something.
    pub(crate) fn changes(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|one| !one.starts_with("GET ") && !one.contains("oauthaccesstokens"))
            .cloned()
            .collect()
    }
}

async fn answer(
    State((addr, seen)): State<(SocketAddr, Arc<Mutex<Vec<String>>>)>,
    request: Request,
) -> Response {
    let path = request.uri().path().to_owned();
    let authorization = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let not_found = || {
        let body = json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404, "message": "not found"});
        (StatusCode::NOT_FOUND, axum::Json(body)).into_response()
    };
    let response = match path.as_str() {
        "/.well-known/oauth-authorization-server" => axum::Json(
            json!({"issuer": "x", "authorization_endpoint": format!("http://{addr}/oauth/authorize")}),
        )
        .into_response(),
        // dev:hunter2
        "/oauth/authorize" if authorization == "Basic ZGV2Omh1bnRlcjI=" => (
            StatusCode::FOUND,
            [(header::LOCATION, "https://x/#access_token=sha256~t0ken")],
        )
            .into_response(),
        "/oauth/authorize" => (
            StatusCode::UNAUTHORIZED,
            [(header::WWW_AUTHENTICATE, "Basic realm=\"openshift\"")],
        )
            .into_response(),
        _ if authorization != "Bearer sha256~t0ken" => {
            let body = json!({"kind": "Status", "status": "Failure", "reason": "Unauthorized", "code": 401, "message": "Unauthorized"});
            (StatusCode::UNAUTHORIZED, axum::Json(body)).into_response()
        }
        "/api" => axum::Json(json!({"kind": "APIVersions", "versions": ["v1"]})).into_response(),
        "/api/v1" => axum::Json(json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [
            {"name": "pods", "kind": "Pod", "namespaced": true, "verbs": ["list", "get"]},
            {"name": "namespaces", "kind": "Namespace", "namespaced": false, "verbs": ["list", "get"]},
        ]}))
        .into_response(),
        "/apis" => axum::Json(json!({"kind": "APIGroupList", "groups": []})).into_response(),
        "/version" => axum::Json(json!({"major": "1", "minor": "36", "gitVersion": "v1.36.2"})).into_response(),
        path if path.contains("oauthaccesstokens") => {
            axum::Json(json!({"kind": "Status", "status": "Success"})).into_response()
        }
        _ => not_found(),
    };
    let line = format!("{} {path} {}", request.method(), response.status().as_u16());
    seen.lock().unwrap().push(line);
    response
}
