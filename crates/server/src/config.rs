//! How the service is to run.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use openshifter_cluster::Trust;
use openshifter_migrate::{Allow, StateDir};

/// How the service is to run.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How connections are secured.
    pub tls: Tls,
    /// Where journals, reports, backups, spooled charts and the service's own files are kept.
    pub state: StateDir,
    /// The kubeconfig for `/contexts`, `/spaces` and contexts of migrations; the environment's otherwise.
    pub kubeconfig: Option<PathBuf>,
    /// How certificates of clusters are verified, by their address. Others by the system's roots.
    pub trusts: Vec<(String, Trust)>,
    /// Off loopback the legacy routes reach only these clusters.
    pub allowed_clusters: Vec<String>,
    /// Names under which the service is reached, besides `localhost` and the addresses of this machine.
    pub allowed_hosts: Vec<String>,
    /// An image with `sh`, `sleep` and `tar` for helper pods.
    pub helper_image: Option<String>,
    /// How long backup charts are kept of what imports overwrote, after their run has come through; for ever otherwise.
    pub keep_backups: Option<Duration>,
    /// What charts may hold that come by the legacy routes, which have no place to say so.
    pub leave: Leave,
}

/// What an import lets in that needs somebody's leave: it reaches beyond the project, or could harm who unpacks it.
/// Nothing of it by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leave {
    /// CustomResourceDefinitions, which are of the whole cluster.
    pub crds: bool,
    /// Privileged pods, grants of security context constraints and the like.
    pub beyond_project: bool,
    /// Device nodes and links out of the volumes.
    pub volumes: Allow,
}

/// How connections are secured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// By a certificate that the service makes, keeps in this folder, and makes anew before it expires.
    SelfSigned {
        /// The folder; made when it is missing.
        dir: PathBuf,
    },
    /// By a certificate of the user's.
    Files {
        /// Certificate chain (PEM).
        cert: PathBuf,
        /// Private key (PEM).
        key: PathBuf,
    },
    /// Not at all: plain HTTP. Credentials travel in the clear.
    None,
}

impl ServerConfig {
    /// The default configuration: TLS with an own certificate on 127.0.0.1:8443.
    pub fn new(state: StateDir) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8443)),
            tls: Tls::SelfSigned {
                dir: state.path().join("service"),
            },
            state,
            kubeconfig: None,
            trusts: Vec::new(),
            allowed_clusters: Vec::new(),
            allowed_hosts: Vec::new(),
            helper_image: None,
            keep_backups: None,
            leave: Leave::default(),
        }
    }
}
