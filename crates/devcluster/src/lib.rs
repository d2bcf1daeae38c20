//! The embedded OpenShift: controllers, a node that runs containers as real local processes, a
//! router, images, and the facade over them and the API server.
//!
//! ```no_run
//! use openshifter_devcluster::{Config, DevCluster};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = Config::new("minishift", "/tmp/minishift", std::env::current_exe()?);
//! config.users.push(("developer".to_owned(), None));
//! let cluster = DevCluster::start(config).await?;
//! println!("{} and routes at http://{}", cluster.api_url(), cluster.router_addr());
//! cluster.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What differs from a genuine cluster
//!
//! - Every *container* has a network namespace of its own, so containers of one pod do not share
//!   `localhost`, and pods do not reach each other or Services. Ports are reached from outside, through
//!   the API server's port-forward and the router.
//! - The router answers plain HTTP; routes with `edge` termination are answered on it, too. Routes
//!   with `passthrough` or `reencrypt`, alternate backends or a wildcard policy are not admitted.
//! - Files of ConfigMap and Secret volumes are written when a pod starts and not afterwards.
//! - What the node cannot run (hostPath volumes, host namespaces, privileged and sidecar containers)
//!   stays waiting, with the reason in the container's status.

pub mod agent;

mod cluster;
mod config;
mod controllers;
mod error;
mod images;
mod node;
mod object;
mod passwords;
mod router;
mod sandbox;
mod trees;

pub use cluster::DevCluster;
pub use config::Config;
pub use error::DevClusterError;
pub use sandbox::Sandbox;
