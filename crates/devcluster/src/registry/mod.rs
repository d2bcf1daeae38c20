//! The cluster's own image registry: the OCI distribution protocol over TLS, with the cluster's users.
//!
//! It listens on no port of the machine: it is reached as its pod, by the API server's port-forward
//! and, once there is a Route to it, through the router. Repositories are ImageStreams; a push makes
//! the Image and the tag.

mod access;
mod answer;
mod blobs;
mod digest;
mod error;
mod http;
mod manifest;
mod manifests;
mod objects;
mod paths;
mod push;
mod tags;
mod uploads;

use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use openshifter_apiserver::{Duplex, ResourceId, Store};
use serde_json::Value;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::object::{self, list, resources, text};

pub(crate) use access::{Action, Rights, Verdict};
pub(crate) use blobs::{BlobWriter, Blobs};
pub(crate) use digest::Digest;
pub(crate) use manifest::{Descriptor, Manifest, OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST};
pub(crate) use objects::{
    HOST_NAMES, PORT, furnish, is_pod_name, is_registry_pod, is_route, route,
};
pub(crate) use push::{PushError, Pushed, import, keep};
pub(crate) use tags::{StreamTag, by_tag, stream_tag};

use error::Refusal;
use paths::Name;
use uploads::Uploads;

/// Bytes in flight on a connection, each way.
const BUFFER: usize = 256 << 10;

/// A running registry. Clones mean the same one.
#[derive(Clone)]
pub(crate) struct Registry {
    inner: Arc<Inner>,
    acceptor: TlsAcceptor,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Inner {
    blobs: Blobs,
    store: Store,
    rights: Arc<dyn Rights>,
    uploads: Uploads,
}

impl Registry {
    /// Starts it; its pod appears as soon as the API server admits it.
    pub(crate) fn start(
        blobs: Blobs,
        store: Store,
        rights: Arc<dyn Rights>,
        acceptor: TlsAcceptor,
        node: String,
        host_ip: String,
    ) -> Self {
        let registry = Self {
            inner: Arc::new(Inner {
                uploads: Uploads::new(blobs.clone()),
                blobs,
                store: store.clone(),
                rights,
            }),
            acceptor,
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let stopping = registry.stopping.clone();
        registry.tasks.spawn(async move {
            stopping
                .run_until_cancelled(objects::keep_pod(store, node, host_ip))
                .await
        });
        registry
    }

    /// A new connection to it, as a client of its port has it.
    pub(crate) fn connect(&self) -> Box<dyn Duplex> {
        let (near, far) = tokio::io::duplex(BUFFER);
        let (inner, acceptor) = (Arc::clone(&self.inner), self.acceptor.clone());
        let stopping = self.stopping.clone();
        let serving = async move {
            let connection = match acceptor.accept(far).await {
                Ok(connection) => connection,
                Err(error) => {
                    tracing::debug!(%error, "a client of the registry does not speak its TLS");
                    return;
                }
            };
            let service = service_fn(move |request| http::answer(Arc::clone(&inner), request));
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(connection), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the registry ended early");
            }
        };
        self.tasks
            .spawn(async move { stopping.run_until_cancelled(serving).await });
        Box::new(near)
    }

    /// Ends all connections.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Inner {
    /// Refuses what is meant for a project that is not there, or no more.
    fn project_exists(&self, namespace: &str) -> Result<(), Refusal> {
        let found = self
            .store
            .get(&ResourceId::core("namespaces"), None, namespace);
        match found {
            Some(found) if !object::is_deleting(&found) => Ok(()),
            _ => Err(Refusal::name_unknown(namespace)),
        }
    }

    fn stream(&self, name: &Name) -> Option<Value> {
        self.store.get(
            &resources::image_streams(),
            Some(&name.namespace),
            &name.stream,
        )
    }

    /// The tags of a repository that have an image; none if there is no such stream.
    fn tags(&self, name: &Name) -> Option<Vec<String>> {
        let stream = self.stream(name)?;
        let tagged = list(&stream, "/status/tags")
            .iter()
            .filter(|tag| !list(tag, "/items").is_empty())
            .map(|tag| text(tag, "/tag").to_owned());
        Some(tagged.collect())
    }

    /// The digest that a tag stands for.
    fn tagged(&self, name: &Name, tag: &str) -> Option<String> {
        let stream = self.stream(name)?;
        let entry = list(&stream, "/status/tags")
            .iter()
            .find(|entry| entry["tag"] == tag)?;
        entry["items"][0]["image"].as_str().map(str::to_owned)
    }

    /// Where an image comes from that a stream has in its history.
    fn named(&self, name: &Name, digest: &Digest) -> Option<String> {
        let stream = self.stream(name)?;
        list(&stream, "/status/tags")
            .iter()
            .flat_map(|tag| list(tag, "/items"))
            .find(|item| item["image"] == digest.as_str())
            .map(|item| text(item, "/dockerImageReference").to_owned())
    }

    /// Names of all repositories.
    fn repositories(&self) -> Vec<String> {
        self.store
            .list(&resources::image_streams(), None)
            .iter()
            .map(|stream| format!("{}/{}", object::namespace(stream), object::name(stream)))
            .collect()
    }

    /// Takes images out of a stream's tags; a tag without images goes.
    fn untag(
        &self,
        name: &Name,
        goes: impl Fn(&str, &str) -> bool,
    ) -> Result<(), openshifter_apiserver::ApiError> {
        self.store.update_status(
            &resources::image_streams(),
            Some(&name.namespace),
            &name.stream,
            |stream| {
                let Some(tags) = stream["status"]["tags"].as_array_mut() else {
                    return;
                };
                for entry in tags.iter_mut() {
                    let tag = text(entry, "/tag").to_owned();
                    if let Some(items) = entry["items"].as_array_mut() {
                        items.retain(|item| !goes(&tag, text(item, "/image")));
                    }
                }
                tags.retain(|entry| !list(entry, "/items").is_empty());
            },
        )?;
        Ok(())
    }
}

impl From<PushError> for Refusal {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Keep(error) => error.into(),
            PushError::Refused(error) => error.into(),
            error @ (PushError::Image(_) | PushError::Manifest(_)) => {
                Self::manifest_invalid(error.to_string())
            }
        }
    }
}
