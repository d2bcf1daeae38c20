//! A server for one test, and a client that sends what it is told.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use openshifter_apiserver::{
    ApiServer, ApiServerConfig, Backends, Duplex, ExecRequest, ExecSession, LogRequest,
    NodeBackend, NodeError, ResourceId, User,
};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use crate::backends::{FakeBuilds, FakeRegistries};

/// A node whose containers know a few commands.
pub(crate) struct FakeNode;

impl NodeBackend for FakeNode {
    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Result<ExecSession, NodeError>> {
        Box::pin(async move {
            if request.pod == "completed" {
                return Err(NodeError::NotRunning("a".to_owned()));
            }
            let command: Vec<&str> = request.command.iter().map(String::as_str).collect();
            let (stdin, mut input) = tokio::io::duplex(64 * 1024);
            let (mut output, stdout) = tokio::io::duplex(64 * 1024);
            let (mut errors, stderr) = tokio::io::duplex(64 * 1024);
            let exit: BoxFuture<'static, Result<i32, NodeError>> = match command.as_slice() {
                ["no-such-binary"] => {
                    return Err(NodeError::NoSuchCommand("no-such-binary".to_owned()));
                }
                ["cat"] => Box::pin(async move {
                    let copied = tokio::io::copy(&mut input, &mut output).await;
                    drop(output);
                    drop(errors);
                    copied
                        .map(|_| 0)
                        .map_err(|error| NodeError::Other(error.to_string()))
                }),
                ["sh", "-c", script] => {
                    let says_error = script.contains("echo err");
                    let code = script
                        .rsplit_once("exit ")
                        .and_then(|(_, code)| code.parse().ok())
                        .unwrap_or(0);
                    Box::pin(async move {
                        let _ = output.write_all(b"out\n").await;
                        drop(output);
                        if says_error {
                            let _ = errors.write_all(b"err\n").await;
                        }
                        drop(errors);
                        Ok(code)
                    })
                }
                _ => Box::pin(async { Ok(0) }),
            };
            Ok(ExecSession {
                stdin: Some(Box::new(stdin)),
                stdout: Some(Box::new(stdout)),
                stderr: Some(Box::new(stderr)),
                exit,
                resize: None,
            })
        })
    }

    fn logs(
        &self,
        request: LogRequest,
    ) -> BoxFuture<'_, Result<Box<dyn AsyncRead + Send + Unpin>, NodeError>> {
        Box::pin(async move {
            let lines = ["one\n", "two\n", "three\n"];
            let from = lines.len() - request.tail_lines.unwrap_or(lines.len()).min(lines.len());
            let text = lines[from..].concat();
            Ok(Box::new(std::io::Cursor::new(text.into_bytes())) as _)
        })
    }

    fn port(
        &self,
        _namespace: &str,
        _pod: &str,
        port: u16,
    ) -> BoxFuture<'_, Result<Box<dyn Duplex>, NodeError>> {
        Box::pin(async move {
            if port != 8080 {
                return Err(NodeError::ConnectionRefused(port));
            }
            let (client, mut server) = tokio::io::duplex(1024);
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                while let Ok(count @ 1..) = server.read(&mut buffer).await {
                    let _ = server
                        .write_all(&buffer[..count].to_ascii_uppercase())
                        .await;
                }
            });
            Ok(Box::new(client) as _)
        })
    }
}

/// A running server.
pub(crate) struct Cluster {
    pub(crate) server: ApiServer,
    pub(crate) builds: Arc<FakeBuilds>,
    pub(crate) folder: tempfile::TempDir,
    admin: reqwest::Client,
    plain: reqwest::Client,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

pub(crate) fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

pub(crate) fn config(name: &str, folder: &std::path::Path) -> ApiServerConfig {
    let mut config = ApiServerConfig::new(name, folder);
    config.users = ["dev", "other"]
        .map(|name| User {
            name: name.to_owned(),
            password: format!("{name}-password").into(),
        })
        .to_vec();
    config
}

impl Cluster {
    pub(crate) async fn start(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = config(name, folder.path());
        Self::start_with(config, folder).await
    }

    pub(crate) async fn start_with(config: ApiServerConfig, folder: tempfile::TempDir) -> Self {
        install_tls();
        let builds = Arc::new(FakeBuilds::default());
        let backends = Backends {
            node: Arc::new(FakeNode),
            builds: Arc::clone(&builds) as _,
            registries: Arc::new(FakeRegistries),
        };
        let server = ApiServer::start_with(config, backends).await.unwrap();
        let ca = reqwest::Certificate::from_pem(server.ca_pem().as_bytes()).unwrap();
        let kubeconfig: Value = serde_saphyr::from_str(&server.admin_kubeconfig()).unwrap();
        let user = &kubeconfig["users"][0]["user"];
        let decode = |field: &str| {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD
                .decode(user[field].as_str().unwrap())
                .unwrap()
        };
        let mut pem = decode("client-key-data");
        pem.extend(decode("client-certificate-data"));
        let builder = || {
            reqwest::Client::builder()
                .tls_certs_only([ca.clone()])
                .redirect(reqwest::redirect::Policy::none())
        };
        Self {
            admin: builder()
                .identity(reqwest::Identity::from_pem(&pem).unwrap())
                .build()
                .unwrap(),
            plain: builder().build().unwrap(),
            server,
            builds,
            folder,
        }
    }

    pub(crate) async fn stop(self) -> tempfile::TempDir {
        self.server.stop().await.unwrap();
        self.folder
    }

    /// Sends a request as the administrator (`token` none), as nobody (empty) or with a token.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Reply {
        let client = if token.is_none() {
            &self.admin
        } else {
            &self.plain
        };
        let mut request = client.request(
            method.parse().unwrap(),
            format!("{}{path}", self.server.url()),
        );
        if let Some(token) = token.filter(|token| !token.is_empty()) {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.unwrap();
        Reply {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or_default(),
            text,
        }
    }

    /// Sends a body piece by piece.
    pub(crate) async fn try_upload(
        &self,
        path: &str,
        body: impl futures::Stream<Item = Result<Vec<u8>, std::io::Error>> + Send + 'static,
    ) -> Result<Reply, reqwest::Error> {
        let response = self
            .admin
            .post(format!("{}{path}", self.server.url()))
            .body(reqwest::Body::wrap_stream(body))
            .send()
            .await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        Ok(Reply {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or_default(),
            text,
        })
    }

    pub(crate) async fn upload(
        &self,
        path: &str,
        body: impl futures::Stream<Item = Result<Vec<u8>, std::io::Error>> + Send + 'static,
    ) -> Reply {
        self.try_upload(path, body).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        let headers = [("content-type", "application/json")];
        self.send("POST", path, None, &headers, Some(body.to_string()))
            .await
    }

    /// Logs in with a user's password and returns the token.
    pub(crate) async fn login(&self, user: &str) -> String {
        use base64::Engine as _;
        let credentials =
            base64::engine::general_purpose::STANDARD.encode(format!("{user}:{user}-password"));
        let basic = format!("Basic {credentials}");
        let reply = self
            .send(
                "GET",
                "/oauth/authorize?client_id=openshift-challenging-client&response_type=token",
                Some(""),
                &[("x-csrf-token", "1"), ("authorization", &basic)],
                None,
            )
            .await;
        assert_eq!(reply.status, 302);
        let location = reply.headers["location"].to_str().unwrap();
        let fragment = url::Url::parse(location)
            .unwrap()
            .fragment()
            .unwrap()
            .to_owned();
        url::form_urlencoded::parse(fragment.as_bytes())
            .find(|(name, _)| name == "access_token")
            .unwrap()
            .1
            .into_owned()
    }

    /// Makes a project for a user and waits until it holds what every project holds.
    pub(crate) async fn project(&self, name: &str, token: Option<&str>) {
        let reply = self
            .send(
                "POST",
                "/apis/project.openshift.io/v1/projectrequests",
                token,
                &[("content-type", "application/json")],
                Some(json!({"metadata": {"name": name}}).to_string()),
            )
            .await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        self.settled(name).await;
    }

    /// Waits until a namespace holds what every namespace holds.
    pub(crate) async fn settled(&self, namespace: &str) {
        let secrets = ResourceId::core("serviceaccounts");
        self.until(|store| {
            let accounts = store.list(&secrets, Some(namespace));
            let bindings = ResourceId::new("rbac.authorization.k8s.io", "rolebindings");
            accounts.len() >= 3
                && accounts
                    .iter()
                    .all(|account| account["imagePullSecrets"].is_array())
                && store.list(&bindings, Some(namespace)).len() >= 3
        })
        .await;
    }

    /// Waits for a state of the store, looking again after each write.
    pub(crate) async fn until(&self, reached: impl Fn(&openshifter_apiserver::Store) -> bool) {
        let store = self.server.store();
        let mut events = store.subscribe();
        let wait = async {
            while !reached(&store) {
                let _ = events.next().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait)
            .await
            .expect("the state is reached");
    }
}
