//! The server: configuration, start, and the way of a connection.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::access::Access;
use crate::auth::tokens::{AccountClaims, Signer};
use crate::backends::Backends;
use crate::catalogue::{Catalogue, ResourceId};
use crate::controllers;
use crate::error::ApiError;
use crate::http::{App, Peer, handle};
use crate::identity::UserInfo;
use crate::node::NodeBackend;
use crate::settings::Settings;
use crate::store::Store;
use crate::tls::{Authority, ClientCertificate, fingerprint};

const SNAPSHOT: &str = "store.json";
const TOKEN_KEY: &str = "service-account.key";
/// How often changes are written to disk, so that a crash loses little.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(10);
/// How long a stop waits for requests to end.
const GRACE: Duration = Duration::from_secs(2);

/// Someone who may log in with a password.
#[derive(Debug, Clone)]
pub struct User {
    /// Name.
    pub name: String,
    /// Password.
    pub password: SecretString,
}

/// What a cluster is made with.
#[derive(Debug, Clone)]
pub struct ApiServerConfig {
    /// Name of the cluster; route hosts end in `apps.<name>.test` unless a suffix is given.
    pub name: String,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Folder for the snapshot, made if it is missing, for its owner alone.
    pub data_dir: PathBuf,
    /// Who may log in.
    pub users: Vec<User>,
    /// Whether it has OpenShift's groups, login and admission, or is a plain Kubernetes.
    pub openshift: bool,
    /// How long a login lasts.
    pub token_lifetime: Duration,
    /// Suffix of generated route hosts, without a leading dot.
    pub route_suffix: Option<String>,
    /// First uid of the first project; derived from the name if none.
    pub first_uid: Option<u32>,
    /// Network of Service addresses: address and prefix length.
    pub service_network: (Ipv4Addr, u8),
    /// How many events are kept for watches; older ones have expired.
    pub history: usize,
}

impl ApiServerConfig {
    /// A cluster of this name on a free port of the loopback interface, without users.
    pub fn new(name: &str, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data_dir: data_dir.into(),
            users: Vec::new(),
            openshift: true,
            token_lifetime: Duration::from_secs(24 * 60 * 60),
            route_suffix: None,
            first_uid: None,
            service_network: (Ipv4Addr::new(172, 30, 0, 0), 16),
            history: 20_000,
        }
    }

    fn settings(&self, ca_pem: &str) -> Settings {
        let mut settings = Settings::new(&self.name);
        if let Some(suffix) = &self.route_suffix {
            settings.route_suffix.clone_from(suffix);
        }
        if let Some(first) = self.first_uid {
            settings.first_uid = first;
        }
        settings.service_network = self.service_network;
        settings.history = self.history.max(1);
        settings.openshift = self.openshift;
        settings.ca_pem = ca_pem.to_owned();
        settings
    }
}

/// Why the server cannot start or stop.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: choose another address or stop what listens there")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file of the data folder.
    #[error("cannot use {} in the data folder: is it readable and writable, and the disk not full?", path.display())]
    Data {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The certificates cannot be made.
    #[error("cannot make the server's certificates")]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What every cluster has cannot be made.
    #[error("cannot make the cluster's first objects")]
    Bootstrap(#[from] ApiError),
}

/// A running API server.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use openshifter_apiserver::{ApiServer, ApiServerConfig, NoNode};
/// let server = ApiServer::start(ApiServerConfig::new("demo", "/tmp/demo"), std::sync::Arc::new(NoNode)).await?;
/// std::fs::write("kubeconfig", server.admin_kubeconfig())?;
/// server.stop().await?;
/// # Ok(()) }
/// ```
pub struct ApiServer {
    store: Store,
    address: SocketAddr,
    authority: Authority,
    name: String,
    admin: ClientCertificate,
    signer: Arc<Signer>,
    snapshot: PathBuf,
    stopping: CancellationToken,
    tasks: TaskTracker,
    accepting: JoinHandle<()>,
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiServer")
            .field("name", &self.name)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl ApiServer {
    /// Starts it: takes the snapshot of an earlier run up, or makes what every cluster has.
    ///
    /// # Errors
    /// When the address or the data folder cannot be used.
    pub async fn start(
        config: ApiServerConfig,
        node: Arc<dyn NodeBackend>,
    ) -> Result<Self, StartError> {
        Self::start_with(config, Backends::node(node)).await
    }

    /// The same with what runs builds and reads images from registries.
    ///
    /// # Errors
    /// As [`ApiServer::start`].
    pub async fn start_with(
        config: ApiServerConfig,
        backends: Backends,
    ) -> Result<Self, StartError> {
        private_folder(&config.data_dir)?;
        let listener =
            TcpListener::bind(config.listen)
                .await
                .map_err(|source| StartError::Listen {
                    address: config.listen,
                    source,
                })?;
        let address = listener.local_addr().map_err(|source| StartError::Listen {
            address: config.listen,
            source,
        })?;
        let authority = Authority::new(&config.name).map_err(StartError::Certificate)?;
        let tls = authority.server(address).map_err(StartError::Certificate)?;
        let admin = authority
            .client("system:admin", "system:masters")
            .map_err(StartError::Certificate)?;
        let catalogue = Arc::new(Catalogue::new(config.openshift));
        let store = Store::new(catalogue, config.settings(&authority.pem));
        let snapshot = config.data_dir.join(SNAPSHOT);
        store.load(&snapshot).map_err(|source| StartError::Data {
            path: snapshot.clone(),
            source,
        })?;
        let signer = Arc::new(Signer::new(token_key(&config.data_dir)?));
        controllers::bootstrap(&store)?;
        let stopping = CancellationToken::new();
        let tasks = TaskTracker::new();
        controllers::start(&store, &signer, &stopping, &tasks);
        tasks.spawn(
            stopping
                .clone()
                .run_until_cancelled_owned(save_often(store.clone(), snapshot.clone())),
        );
        let mut certificates = HashMap::new();
        certificates.insert(admin.fingerprint, UserInfo::admin());
        let app = Arc::new(App {
            store: store.clone(),
            backend: backends.node,
            builds: backends.builds,
            registries: backends.registries,
            users: config.users,
            signer: Arc::clone(&signer),
            token_lifetime: config.token_lifetime,
            url: format!("https://{}", reachable(address)),
            certificates,
            stopping: stopping.clone(),
            tasks: tasks.clone(),
            openshift: config.openshift,
        });
        let accepting = tokio::spawn(accept(
            listener,
            TlsAcceptor::from(Arc::new(tls)),
            app,
            stopping.clone(),
            tasks.clone(),
        ));
        tracing::info!(%address, cluster = config.name, "the API server listens");
        Ok(Self {
            store,
            address,
            authority,
            name: config.name,
            admin,
            signer,
            snapshot,
            stopping,
            tasks,
            accepting,
        })
    }

    /// All objects.
    pub fn store(&self) -> Store {
        self.store.clone()
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// `https://host:port`.
    pub fn url(&self) -> String {
        format!("https://{}", reachable(self.address))
    }

    /// Certificate of the authority that signed the server's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.authority.pem
    }

    /// A kubeconfig of the administrator (`system:admin`, who may do everything), with a client
    /// certificate. It is a secret: keep it in a file of mode 0600.
    pub fn admin_kubeconfig(&self) -> String {
        let encode = |text: &str| STANDARD.encode(text);
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: {name}\n  cluster:\n    server: {url}\n    \
             certificate-authority-data: {ca}\nusers:\n- name: admin/{name}\n  user:\n    client-certificate-data: {cert}\n    \
             client-key-data: {key}\ncontexts:\n- name: {name}\n  context:\n    cluster: {name}\n    user: admin/{name}\n    \
             namespace: default\ncurrent-context: {name}\n",
            name = self.name,
            url = self.url(),
            ca = encode(&self.authority.pem),
            cert = encode(&self.admin.pem),
            key = encode(self.admin.key_pem.expose_secret()),
        )
    }

    /// A bearer token of a service account, as pods of the account get it mounted.
    ///
    /// # Errors
    /// 404 if there is no such account.
    pub fn service_account_token(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<SecretString, ApiError> {
        let id = ResourceId::core("serviceaccounts");
        let account = self
            .store
            .get(&id, Some(namespace), name)
            .ok_or_else(|| ApiError::not_found_named("", "serviceaccounts", name))?;
        let claims = AccountClaims {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: account["metadata"]["uid"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        };
        Ok(self.signer.sign(&claims, None))
    }

    /// Who bearer tokens are and what they may do.
    pub fn access(&self) -> Access {
        Access::new(self.store.clone(), Arc::clone(&self.signer))
    }

    /// What another server of the cluster shows: a new certificate for these DNS names (a wildcard as
    /// `*.apps.demo.test`) and 127.0.0.1, of the authority of [`ApiServer::ca_pem`]. HTTP/1.1 alone.
    ///
    /// # Errors
    /// When a name is none.
    pub fn serving_config(&self, names: &[&str]) -> Result<rustls::ServerConfig, StartError> {
        self.authority
            .serving(names)
            .map_err(StartError::Certificate)
    }

    /// Ends all connections and writes the snapshot.
    ///
    /// # Errors
    /// When the snapshot cannot be written.
    pub async fn stop(self) -> Result<(), StartError> {
        self.stopping.cancel();
        let _ = self.accepting.await;
        self.tasks.close();
        if tokio::time::timeout(GRACE, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("connections were still open when the API server stopped");
        }
        let store = self.store.clone();
        let path = self.snapshot.clone();
        // It may be large: not on a thread that serves others.
        let saved = tokio::task::spawn_blocking(move || store.save(&path)).await;
        saved
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))
            .map_err(|source| StartError::Data {
                path: self.snapshot,
                source,
            })
    }
}

async fn save_often(store: Store, path: PathBuf) {
    let mut saved = store.revision();
    let start = tokio::time::Instant::now() + SNAPSHOT_EVERY;
    let mut ticks = tokio::time::interval_at(start, SNAPSHOT_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let revision = store.revision();
        if revision == saved {
            continue;
        }
        let (store, path) = (store.clone(), path.clone());
        match tokio::task::spawn_blocking(move || store.save(&path)).await {
            Ok(Ok(())) => saved = revision,
            Ok(Err(error)) => tracing::warn!(%error, "the snapshot could not be written"),
            Err(error) => tracing::warn!(%error, "the snapshot could not be written"),
        }
    }
}

/// An address as a client on this machine reaches it.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()))
    } else {
        address
    }
}

fn private_folder(path: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::PermissionsExt as _;
    let problem = |source| StartError::Data {
        path: path.to_owned(),
        source,
    };
    fs_err::create_dir_all(path).map_err(problem)?;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o700)).map_err(problem)
}

/// The key that signs service accounts' tokens: kept, so that they outlive a restart.
fn token_key(folder: &Path) -> Result<[u8; 32], StartError> {
    let path = folder.join(TOKEN_KEY);
    let problem = |source| StartError::Data {
        path: path.clone(),
        source,
    };
    match fs_err::read(&path) {
        Ok(bytes) => bytes.try_into().map_err(|_| {
            problem(std::io::Error::other(
                "it does not hold 32 bytes: remove it to get a new one",
            ))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key: [u8; 32] = rand::random();
            let mut file = tempfile::NamedTempFile::new_in(folder).map_err(problem)?;
            std::io::Write::write_all(&mut file, &key).map_err(problem)?;
            file.persist(&path).map_err(|error| problem(error.error))?;
            Ok(key)
        }
        Err(error) => Err(problem(error)),
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    app: Arc<App>,
    stopping: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                tasks.spawn(connection(
                    stream,
                    acceptor.clone(),
                    Arc::clone(&app),
                    stopping.clone(),
                ));
            }
            Err(error) => {
                // Usually too many open files: others may close theirs meanwhile.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    app: Arc<App>,
    stopping: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let stream = tokio::select! {
        stream = acceptor.accept(stream) => stream,
        () = stopping.cancelled() => return,
    };
    let stream = match stream {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, "no TLS");
            return;
        }
    };
    let certificate = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(fingerprint);
    let peer = Peer { certificate };
    let service =
        hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let app = Arc::clone(&app);
            let peer = peer.clone();
            async move {
                Ok::<_, std::convert::Infallible>(handle(app, peer, request.map(Body::new)).await)
            }
        });
    let builder = Builder::new(TokioExecutor::new());
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection broke");
    }
}
