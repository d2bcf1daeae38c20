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
//! # Images
//!
//! The cluster has a registry of its own: the OCI distribution protocol, with the cluster's users and
//! their rights on image streams. It listens on no port of the machine but is reached as the pod of the
//! Service `image-registry` in the project `openshift-image-registry`, and through the Route
//! `default-route` if [`Config::expose_registry`] says so; streams then say that address as well. A push makes the Image and the tag. Pods pull
//! by digest or tag with the rights of their service account.
//!
//! Built-in images, by their names and as image streams of the project `openshift`:
//!
//! | image | stream | what it is |
//! | --- | --- | --- |
//! | `openshifter.test/shell:1` | | sh, coreutils, tar, and whatever else the machine has |
//! | `openshifter.test/notar:1` | | nothing but a program that waits |
//! | `openshifter.test/python:1` | | the machine's Python |
//! | `openshifter.test/guestbook:1` | | the sample application |
//! | `openshifter.test/s2i-python:1` | `python` | S2I builder: pip into a virtual environment, then gunicorn.conf.py, app.sh, app.py, gunicorn or manage.py |
//! | `openshifter.test/postgresql:1` | `postgresql` | a PostgreSQL server with the variables of OpenShift's images |
//!
//! Builds take their source from a folder of this machine (`file://`), a Git repository (http, https), or an
//! upload. With the Source strategy an image with S2I scripts runs its `assemble`; on others the source is
//! laid over the image as it is. The Docker strategy builds Dockerfiles, inline ones too. Containers of a
//! build have the machine's network and pip's settings.
//!
//! Images of other registries are imported into streams and pulled by pods when these registries are on this
//! machine's loopback addresses; over plain HTTP by an import only with `importPolicy.insecure`, by nodes
//! always, as container runtimes do there. Credentials come from pull secrets.
//!
//! # What differs from a genuine cluster
//!
//! - Every *container* has a network namespace of its own, so containers of one pod do not share
//!   `localhost`. Services are reached by name and by their variables, at addresses of the loopback
//!   network that stand for the cluster addresses; not by these themselves, not on a port that the
//!   container says it listens on, not below port 1024, and not headless ones. Pods do not reach each
//!   other by their addresses, and nothing outside.
//! - The router answers plain HTTP and TLS on one port, whatever a route's termination and its policy
//!   for insecure requests; a route's own certificate is not shown. Routes with `passthrough`, alternate
//!   backends or a wildcard policy are not admitted.
//! - An image that is not built on one of the built-in ones is kept by the registry and not run: the
//!   node lends containers the machine's programs, and has no root file systems of others.
//! - There are no pods of builds. Inputs from images, secrets and config maps, build arguments and variables
//!   from elsewhere make a build fail; incremental builds are not there.
//! - Of Dockerfiles those with one stage are built, of FROM, COPY, RUN, ENV, WORKDIR, USER, EXPOSE, LABEL, CMD
//!   and ENTRYPOINT without options or patterns; all others make the build fail before anything is run. RUN
//!   runs as the project's user, not as root: it may write to what the Dockerfile has copied or made by WORKDIR
//!   and to what the base image lets its group write to; what it leaves in `/tmp` is gone. All becomes one layer.
//! - Registries elsewhere than on loopback addresses are not reached. Imports of whole repositories of other
//!   registries are refused, imports on a schedule are not there, and an import fetches the layers at once.
//! - A DeploymentConfig is rolled out by its controller, without a deployer pod: its hooks run in pods of their
//!   own (`NAME-N-hook-pre`, `-mid`, `-post`), but hooks that tag images and custom strategies fail the roll-out.
//!   Its `timeoutSeconds` is not observed.
//! - A TemplateInstance makes what its template says with the rights of its requester, and of the kinds of the
//!   legacy API (`v1` DeploymentConfigs and their like) none: they have no group here.
//! - The registry removes no blobs, and knows no schema 1 and no signatures.
//! - Process 1 of a container is the node's own, and the command its child: what a hook writes to `/proc/1/fd/1` is not
//!   in the container's log.
//! - Containers of a pod are started side by side: none waits for the `postStart` hook of the one before it.
//! - Files of ConfigMap and Secret volumes are written when a pod starts and not afterwards.
//! - What the node cannot run (hostPath volumes, host namespaces, privileged and sidecar containers)
//!   stays waiting, with the reason in the container's status.

pub mod agent;

mod backends;
mod builds;
mod catalogue;
mod cluster;
mod config;
mod controllers;
mod elsewhere;
mod error;
mod images;
mod node;
mod object;
mod passwords;
mod registry;
mod rights;
mod router;
mod sandbox;
mod trees;

pub use cluster::DevCluster;
pub use config::Config;
pub use error::DevClusterError;
pub use sandbox::Sandbox;
