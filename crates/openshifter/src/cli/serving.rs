//! Whatever runs until it is stopped: the service, the dialogue, embedded clusters.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::parse::{duration, pair};
use crate::cli::{Allow, Helper, Input};

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    pub(crate) listen: SocketAddr,
    /// Plain http instead of TLS
    #[arg(long, conflicts_with_all = ["certificate", "key"])]
    pub(crate) http: bool,
    /// File with the service's certificate; one is made otherwise
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) certificate: Option<PathBuf>,
    /// File with its key
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) key: Option<PathBuf>,
    /// File with the certificate authority of a cluster; may be given more than once
    #[arg(long, value_name = "BASE=FILE", value_parser = pair)]
    pub(crate) cluster_ca: Vec<(String, String)>,
    /// Do not check the certificates of this cluster; may be given more than once
    #[arg(long, value_name = "BASE")]
    pub(crate) insecure_cluster: Vec<String>,
    /// Off loopback, only these clusters are reached; may be given more than once
    #[arg(long, value_name = "BASE")]
    pub(crate) allow_cluster: Vec<String>,
    /// Names under which the service is called besides its address; may be given more than once
    #[arg(long, alias = "host", value_name = "HOST")]
    pub(crate) allowed_host: Vec<String>,
    /// What charts may hold that come by the legacy import route; nothing otherwise; may be given more than once
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) allow: Vec<Allow>,
    /// Kubeconfig whose contexts the service can see
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// How long backup charts of what an import overwrote are kept, as 30d; until they are removed by hand otherwise
    #[arg(long, value_name = "AGE", value_parser = duration)]
    pub(crate) keep_backups: Option<Duration>,
    #[command(flatten)]
    pub(crate) helper: Helper,
}

#[derive(Debug, Args)]
pub(crate) struct Client {
    /// Address of a service that does the work; it is done here otherwise
    pub(crate) service: Option<String>,
    #[command(flatten)]
    pub(crate) input: Input,
    /// File with the certificate authority of the service
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Do not check the service's certificate
    #[arg(long)]
    pub(crate) insecure: bool,
    #[command(flatten)]
    pub(crate) helper: Helper,
}

/// How containers of an embedded cluster are kept apart.
#[derive(Debug, Args)]
pub(crate) struct Isolation {
    /// Run containers without isolation, where bubblewrap is not to be had
    #[arg(long)]
    pub(crate) no_sandbox: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Devcluster {
    /// Where the API listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6443")]
    pub(crate) listen: SocketAddr,
    /// Where the router answers Routes, by plain http
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) router: SocketAddr,
    /// Folder of all its data
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Name of the cluster
    #[arg(long, default_value = "devcluster")]
    pub(crate) name: String,
    /// A user, with a password from a file; random otherwise; may be given more than once
    #[arg(long, value_name = "NAME[=PASSWORD-FILE]", default_value = "developer")]
    pub(crate) user: Vec<String>,
    #[command(flatten)]
    pub(crate) isolation: Isolation,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Leave both clusters and a REST service running, and print the curl lines
    #[arg(long)]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) isolation: Isolation,
}
