//! Starts and stops the service.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use hyper_util::rt::TokioTimer;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{App, Shared};
use crate::clusters::Clusters;
use crate::hosts::Hosts;
use crate::jobs::Jobs;
use crate::locks::Locks;
use crate::token::Token;
use crate::{ServerConfig, ServerError, Tls, private, tls};

/// How long stopping waits for work to end in order. Pods are killed 30 seconds after they were asked to end.
const GRACE: Duration = Duration::from_secs(25);

/// A client that has sent no complete request head by then is given up.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests that work at the same time. Each has a thread, a spool and a segment or two in memory.
const WORKERS: usize = 64;

/// A service that runs.
pub struct Server {
    addr: SocketAddr,
    secure: bool,
    ca_pem: Option<String>,
    app: App,
    handle: Handle<SocketAddr>,
    serving: JoinHandle<()>,
}

impl Server {
    /// Starts the service; it listens when this returns.
    ///
    /// # Errors
    /// When the address is in use, the certificate cannot be used or made, or the state folder cannot be written.
    pub async fn start(config: ServerConfig) -> Result<Self, ServerError> {
        let folder = config.state.path().join("service");
        private::folder(&folder)?;
        let refused = |source| ServerError::Listen {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let addr = listener.local_addr().map_err(refused)?;

        let hosts = Hosts::new(addr, &config.allowed_hosts);
        let (tls, ca_pem) = match &config.tls {
            Tls::None => (None, None),
            Tls::Files { cert, key } => (Some(tls::from_files(cert, key)?), None),
            Tls::SelfSigned { dir } => {
                let mut names = hosts.names().to_vec();
                names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
                names.sort();
                names.dedup();
                let (config, ca) = tls::self_signed(dir, &names)?;
                (Some(config), Some(ca))
            }
        };
        let secure = tls.is_some();
        let outside = !addr.ip().is_loopback();
        let token = Token::open(&folder)?;
        if outside {
            tracing::info!(path = %token.path().display(), "the /v1 routes need the token in this file");
        }
        let app = App::new(Shared {
            clusters: Clusters::new(
                config.trusts,
                outside.then_some(config.allowed_clusters.as_slice()),
                config.kubeconfig,
            )?,
            hosts,
            token,
            needs_token: outside,
            helper_image: config.helper_image,
            leave: config.leave,
            locks: Locks::default(),
            jobs: Jobs::new(config.state.clone()),
            state: config.state,
            workers: Arc::new(Semaphore::new(WORKERS)),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });

        let handle = Handle::new();
        let service = app.clone().router().into_make_service();
        let failed = |result: std::io::Result<()>| {
            if let Err(error) = result {
                tracing::error!(%error, "the service ended");
            }
        };
        let serving = match tls {
            Some(config) => {
                let config = RustlsConfig::from_config(Arc::clone(&config));
                let mut server = axum_server::from_tcp_rustls(listener, config)
                    .map_err(refused)?
                    .handle(handle.clone());
                limits(server.http_builder());
                tokio::spawn(async move { failed(server.serve(service).await) })
            }
            None => {
                let mut server = axum_server::from_tcp(listener)
                    .map_err(refused)?
                    .handle(handle.clone());
                limits(server.http_builder());
                tokio::spawn(async move { failed(server.serve(service).await) })
            }
        };
        handle.listening().await;
        if let Some(keep) = config.keep_backups {
            app.tasks.spawn(prune(app.clone(), keep));
        }
        Ok(Self {
            addr,
            secure,
            ca_pem,
            app,
            handle,
            serving,
        })
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What to call it by, as in `https://127.0.0.1:8443`.
    pub fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.addr)
    }

    /// The certificate (PEM) that clients verify the service with, when it made its own.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Stops: refuses new work at once, ends runs in order (helper pods are removed, sessions logged out, jobs keep
    /// their journals), and waits for that at most 25 seconds.
    pub async fn stop(self) {
        self.app.stop.cancel();
        self.app.tasks.close();
        if tokio::time::timeout(GRACE, self.app.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                "some requests did not end in time; `openshifter undo` finds what they left"
            );
        }
        self.handle.graceful_shutdown(Some(Duration::from_secs(2)));
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the service ended unexpectedly");
        }
    }
}

/// Removes backup charts whose time is over, until the service stops.
async fn prune(app: App, keep: Duration) {
    let mut hours = tokio::time::interval(Duration::from_secs(3600));
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            _ = hours.tick() => {}
        }
        let state = app.state.clone();
        let pruned = tokio::task::spawn_blocking(move || state.prune(&state.kept_charts(keep)?));
        match pruned.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = %openshifter_migrate::chain(&error), "backup charts cannot be removed")
            }
            Err(error) => tracing::warn!(%error, "backup charts cannot be removed"),
        }
    }
}

fn limits(builder: &mut hyper_util::server::conn::auto::Builder<hyper_util::rt::TokioExecutor>) {
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new());
}
