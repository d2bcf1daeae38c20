//! A Git server on loopback: smart HTTP by git's own `http-backend`.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio_util::task::AbortOnDropHandle;

/// One repository, served until this is dropped.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    port: u16,
    _serving: AbortOnDropHandle<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        let root = folder.path().to_owned();
        let serving = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let root = root.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(root.clone(), request));
                    let connection = TokioIo::new(connection);
                    let _ = http1::Builder::new()
                        .serve_connection(connection, service)
                        .await;
                });
            }
        });
        let server = Self {
            folder,
            port,
            _serving: AbortOnDropHandle::new(serving),
        };
        server
            .git(&["init", "--quiet", "--initial-branch=main", "shop"])
            .await;
        // Whether any commit may be asked for is the server's choice; forges allow it.
        server
            .git(&[
                "-C",
                "shop",
                "config",
                "uploadpack.allowAnySHA1InWant",
                "true",
            ])
            .await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/shop/.git", self.port)
    }

    /// Commits a file; the commit's name.
    pub(crate) async fn commit(&self, path: &str, content: &str) -> String {
        std::fs::write(self.folder.path().join("shop").join(path), content).unwrap();
        self.git(&["-C", "shop", "add", "--all"]).await;
        self.git(&[
            "-C",
            "shop",
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@example.test",
            "commit",
            "--quiet",
            "--message",
            path,
        ])
        .await;
        self.git(&["-C", "shop", "rev-parse", "HEAD"]).await
    }

    async fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(self.folder.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .await
            .expect("git has to be installed: the Debian package git");
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

async fn answer(
    root: PathBuf,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(cgi(&root, request).await)
}

/// Asks `git http-backend`, which speaks CGI (RFC 3875).
async fn cgi(root: &Path, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let header = |name: &str| {
        let value = request.headers().get(name);
        value
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let mut backend = Command::new("git");
    backend
        .arg("http-backend")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", request.method().as_str())
        .env("PATH_INFO", request.uri().path())
        .env("QUERY_STRING", request.uri().query().unwrap_or_default())
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    backend.env("CONTENT_LENGTH", body.len().to_string());
    let mut backend = backend.spawn().unwrap();
    let mut stdin = backend.stdin.take().unwrap();
    tokio::spawn(async move {
        // It may have answered without reading everything.
        let _ = stdin.write_all(&body).await;
    });
    let output = backend.wait_with_output().await.unwrap().stdout;
    let end = output.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(value[..3].parse::<u16>().unwrap()),
            name => response.header(name, value),
        };
    }
    response
        .body(Full::new(Bytes::copy_from_slice(&output[end + 4..])))
        .unwrap()
}
