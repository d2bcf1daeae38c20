//! What a cluster is started with.

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;

use crate::sandbox::Sandbox;

/// Configuration of one embedded cluster. Clusters run side by side when names, data folders and
/// ports differ.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of the cluster and of its node: lower-case letters, digits and `-`.
    pub name: String,
    /// Where the API server listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the router listens, plain HTTP; port 0 takes a free one.
    pub router: SocketAddr,
    /// Folder for everything the cluster keeps; made with mode 0700 if it is missing.
    pub data_dir: PathBuf,
    /// Users and their passwords; `None` makes a random one at each start.
    pub users: Vec<(String, Option<SecretString>)>,
    /// How containers are kept apart.
    pub sandbox: Sandbox,
    /// An executable that answers `devcluster-agent …` by [`crate::agent::main`].
    pub agent: PathBuf,
    /// First uid of the first project; by the cluster's name if none.
    pub uid_base: Option<u64>,
    /// Whether it is an OpenShift, or a plain Kubernetes.
    pub openshift: bool,
    /// Whether the image registry has a Route, `default-route` of the project
    /// `openshift-image-registry`. Without one it is reached by port-forward alone.
    pub expose_registry: bool,
}

impl Config {
    /// A cluster on free ports of the loopback interface, without users.
    pub fn new(name: &str, data_dir: impl Into<PathBuf>, agent: impl Into<PathBuf>) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            name: name.to_owned(),
            listen: any,
            router: any,
            data_dir: data_dir.into(),
            users: Vec::new(),
            sandbox: Sandbox::default(),
            agent: agent.into(),
            uid_base: None,
            openshift: true,
            expose_registry: false,
        }
    }
}
