//! What the API server asks of the node.

use std::sync::OnceLock;

use futures::FutureExt;
use futures::future::BoxFuture;
use openshifter_apiserver::{
    Duplex, ExecRequest, ExecSession, LogRequest, NodeBackend, NodeError, Store,
};
use tokio::io::AsyncRead;

use super::exec::{Exec, exec};
use super::{Node, log, probe};
use crate::object::{self, resources, text};
use crate::registry::{self, Registry};

/// The node as the API server sees it.
pub(crate) struct Backend {
    node: Node,
    store: OnceLock<Store>,
    registry: OnceLock<Registry>,
}

impl Backend {
    pub(crate) fn new(node: Node) -> Self {
        Self {
            node,
            store: OnceLock::new(),
            registry: OnceLock::new(),
        }
    }

    /// Gives it the store, which is there only once the server is, and the registry, if there is one.
    pub(crate) fn connect(&self, store: Store, registry: Option<Registry>) {
        // Called once.
        let _ = self.store.set(store);
        if let Some(registry) = registry {
            let _ = self.registry.set(registry);
        }
    }
}

impl NodeBackend for Backend {
    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Result<ExecSession, NodeError>> {
        async move {
            let run = self.node.running(&request.namespace, &request.pod);
            let container = match (&request.container, &run) {
                (Some(container), _) => container.clone(),
                (None, Some(run)) => text(&run.pod, "/spec/containers/0/name").to_owned(),
                (None, None) => String::new(),
            };
            let target = run
                .and_then(|run| run.target(&container))
                .ok_or_else(|| NodeError::NotRunning(container.clone()))?;
            let what = Exec {
                command: target.rewrites.words(&request.command),
                stdin: request.stdin,
                stdout: request.stdout,
                stderr: request.stderr,
                tty: request.tty,
            };
            exec(&self.node.inner.sockets, &target.socket, &container, what).await
        }
        .boxed()
    }

    fn logs(
        &self,
        request: LogRequest,
    ) -> BoxFuture<'_, Result<Box<dyn AsyncRead + Send + Unpin>, NodeError>> {
        async move {
            if let Some(run) = self.node.running(&request.namespace, &request.pod) {
                return log::read(run, request).await;
            }
            // A finished pod has no run any more, but its files are there until it is deleted.
            let pod = self.store.get().and_then(|store| {
                store.get(&resources::pods(), Some(&request.namespace), &request.pod)
            });
            let container = request.container.clone().unwrap_or_else(|| {
                pod.as_ref().map_or(String::new(), |pod| {
                    text(pod, "/spec/containers/0/name").to_owned()
                })
            });
            let missing = || NodeError::NotStarted(container.clone());
            let pod = pod.ok_or_else(missing)?;
            let folder = self
                .node
                .pod_folder(object::uid(&pod))
                .join("logs")
                .join(&container);
            let mut runs: Vec<i64> = fs_err::read_dir(folder.clone())
                .map_err(|_| missing())?
                .filter_map(|entry| entry.ok()?.path().file_stem()?.to_str()?.parse().ok())
                .collect();
            runs.sort_unstable_by_key(|run| std::cmp::Reverse(*run));
            let wanted = runs
                .get(usize::from(request.previous))
                .ok_or_else(missing)?;
            log::from_file(folder.join(format!("{wanted}.log")), request, || true).await
        }
        .boxed()
    }

    fn port(
        &self,
        namespace: &str,
        pod: &str,
        port: u16,
    ) -> BoxFuture<'_, Result<Box<dyn Duplex>, NodeError>> {
        let run = self.node.running(namespace, pod);
        let registry = match self.registry.get() {
            Some(registry) if port == registry::PORT && registry::is_pod_name(namespace, pod) => {
                Some(registry.connect())
            }
            _ => None,
        };
        async move {
            if let Some(registry) = registry {
                return Ok(registry);
            }
            // Containers have network namespaces of their own, so each of them is tried.
            for target in run.map(|run| run.listeners(port)).unwrap_or_default() {
                if let Ok(stream) = probe::connect(&self.node.inner.sockets, &target, port).await {
                    return Ok(Box::new(stream) as Box<dyn Duplex>);
                }
            }
            Err(NodeError::ConnectionRefused(port))
        }
        .boxed()
    }
}
