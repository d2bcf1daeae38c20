//! Talks to one cluster, OpenShift or Kubernetes: logs in, discovers what is served, lists, creates, applies,
//! deletes, watches, and runs commands in containers.
//!
//! Objects go in and out as [`Object`](openshifter_objects::Object): the JSON that the server sent, whole.
//! Nothing is deserialised into partial types on the way, so nothing is lost.
//!
//! ```no_run
//! use openshifter_cluster::{Access, Cluster, Credentials, Trust};
//! # async fn example() -> Result<(), openshifter_cluster::ClusterError> {
//! let access = Access {
//!     name: "production".into(),
//!     base: Access::parse_base("api.example.com:6443")?,
//!     trust: Trust::default(),
//!     credentials: Credentials::Password { username: "dev".into(), password: "…".into() },
//! };
//! let cluster = Cluster::connect(&access).await?;
//! for object in cluster.list_namespace("shop", None).await?.objects {
//!     println!("{}", object.key());
//! }
//! cluster.logout().await
//! # }
//! ```
//!
//! A process-wide rustls provider must be installed before the first connection.

mod access;
mod answer;
mod call;
mod cluster;
mod create;
mod discovery;
mod error;
mod exec;
mod exec_pump;
mod forward;
mod hint;
mod kubeconfig;
mod listing;
mod log_stream;
mod login;
mod namespaces;
mod objects;
mod pods;
mod proxy;
mod retry;
mod session;
mod subresource;
mod transport;
mod twins;
mod upload;
mod wait;

pub use access::{Access, Credentials, Trust};
pub use cluster::{Cluster, Tuning, Version};
pub use discovery::Discovery;
pub use error::{ApiError, ClusterError};
pub use exec::{Exec, ExecOptions, ExecOutcome, ExecResize, ExecStdin, ExecStdout};
pub use forward::PortForward;
pub use listing::Listing;
pub use log_stream::{LogOptions, LogStream};
pub use namespaces::NamespaceState;
pub use objects::{DryRun, Preconditions, Propagation};
pub use secrecy::{ExposeSecret, SecretString};
