//! The node: runs the containers of pods as real processes and reports what becomes of them.

mod backend;
mod bare;
mod calls;
mod container;
mod env;
mod exec;
mod files;
mod launch;
mod log;
mod pod;
mod probe;
mod pull;
mod services;
mod spawner;
mod start;
mod status;
mod task;
mod volumes;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use openshifter_apiserver::{DeleteOptions, EventKind, NodeBackend, Store, Subscription};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::images::Images;
use crate::object::{self, resources, text};
use crate::registry::{self, Rights};
use crate::sandbox::{Host, Sandbox};
use crate::trees;

pub(crate) use backend::Backend;
pub(crate) use env::contents;
pub(crate) use log::from_file as read_log;
pub(crate) use task::{Task, TaskError};

use calls::Sockets;
use env::Addresses;
use pod::PodRun;
use spawner::Spawner;

/// The one node of a cluster. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    inner: Arc<Inner>,
}

/// What a node is made of.
#[derive(Debug)]
pub(crate) struct NodeConfig {
    pub(crate) name: String,
    pub(crate) data_dir: PathBuf,
    pub(crate) agent: PathBuf,
    pub(crate) sandbox: Sandbox,
    /// Whether this process is root, so that containers can take on their real users.
    pub(crate) root: bool,
    pub(crate) images: Images,
}

#[derive(Debug)]
struct Inner {
    config: NodeConfig,
    host: Host,
    sockets: Sockets,
    spawner: Spawner,
    /// Second byte of the pods' addresses, by the cluster's name.
    network: u8,
    pods: Mutex<Pods>,
    /// Who may pull what; there once the API server is.
    rights: OnceLock<Arc<dyn Rights>>,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

#[derive(Debug, Default)]
struct Pods {
    /// By namespace and name.
    running: HashMap<(String, String), Arc<PodRun>>,
    next_address: u16,
}

impl Node {
    /// Prepares a node; [`Node::run`] makes it work.
    pub(crate) fn new(config: NodeConfig) -> std::io::Result<Self> {
        let sockets = Sockets::open(&config.data_dir.join("run"))?;
        for folder in ["pods", "volumes"] {
            fs_err::create_dir_all(config.data_dir.join(folder))?;
        }
        let digest = object::hash(&json!(config.name));
        let network = digest
            .bytes()
            .fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
        Ok(Self {
            inner: Arc::new(Inner {
                host: Host::look(),
                sockets,
                spawner: Spawner::start()?,
                network: 64 + network % 128,
                pods: Mutex::default(),
                rights: OnceLock::new(),
                tasks: TaskTracker::new(),
                stopping: CancellationToken::new(),
                config,
            }),
        })
    }

    /// Name of the node object.
    pub(crate) fn name(&self) -> &str {
        &self.inner.config.name
    }

    /// Address of the machine, as pods see it in their status.
    pub(crate) fn host_ip(&self) -> String {
        format!("10.{}.0.1", self.inner.network)
    }

    /// Where the folders of persistent volumes are.
    pub(crate) fn volumes_folder(&self) -> PathBuf {
        self.inner.config.data_dir.join("volumes")
    }

    /// Follows the pods of the store until the node is stopped. Images are pulled with the rights of
    /// the pods' accounts, if there are any.
    ///
    /// # Errors
    ///
    /// When the socket for connections to Services cannot be made.
    pub(crate) fn run(
        &self,
        store: Store,
        rights: Option<Arc<dyn Rights>>,
        backend: Arc<dyn NodeBackend>,
    ) -> std::io::Result<()> {
        self.serve_services(store.clone(), backend)?;
        if let Some(rights) = rights {
            // Called once.
            let _ = self.inner.rights.set(rights);
        }
        let node = self.clone();
        self.inner.tasks.spawn(async move {
            let (mut pods, mut events) = store.list_and_subscribe(&resources::pods(), None);
            loop {
                for pod in &pods {
                    node.follow(&store, pod);
                }
                match node.events(&store, &mut events).await {
                    Some(again) => pods = again,
                    None => return,
                }
            }
        });
        Ok(())
    }

    /// Handles events until some were lost (then: all pods) or the node is stopped.
    async fn events(&self, store: &Store, events: &mut Subscription) -> Option<Vec<Value>> {
        loop {
            let event = self
                .inner
                .stopping
                .run_until_cancelled(events.next())
                .await?;
            let Ok(event) = event else {
                let pods = store.list(&resources::pods(), None);
                self.forget_gone(&pods);
                return Some(pods);
            };
            if event.resource == resources::services() {
                self.services_changed();
            }
            if event.resource != resources::pods() {
                continue;
            }
            match event.kind {
                EventKind::Added | EventKind::Modified => self.follow(store, &event.object),
                EventKind::Deleted => {
                    let key = key(&event.object);
                    if let Some(run) = self.pods().running.get(&key)
                        && run.uid() == object::uid(&event.object)
                    {
                        // Removed without a grace period: there is nobody left to be polite to.
                        run.end(0);
                    }
                }
            }
        }
    }

    fn forget_gone(&self, pods: &[Value]) {
        for run in self.pods().running.values() {
            if !pods.iter().any(|pod| object::uid(pod) == run.uid()) {
                run.end(0);
            }
        }
    }

    fn follow(&self, store: &Store, pod: &Value) {
        let mine = text(pod, "/spec/nodeName") == self.name();
        let deleting = object::is_deleting(pod);
        if !mine || registry::is_registry_pod(pod) {
            return;
        }
        let key = key(pod);
        let mut pods = self.pods();
        match pods.running.get(&key) {
            Some(run) if run.uid() == object::uid(pod) => {
                if deleting {
                    let grace =
                        object::number(pod, "/metadata/deletionGracePeriodSeconds").unwrap_or(30);
                    run.end(u64::try_from(grace).unwrap_or(0));
                }
                return;
            }
            // The old one of this name is on its way out; when it is gone this one is looked at again.
            Some(_) => return,
            None => {}
        }
        if deleting || self.inner.stopping.is_cancelled() {
            drop(pods);
            if deleting {
                self.remove(store, pod);
            }
            return;
        }
        if object::is_finished(pod) {
            return;
        }
        pods.next_address = pods.next_address.wrapping_add(1);
        let [high, low] = pods.next_address.to_be_bytes();
        let addresses = Addresses {
            pod: format!(
                "10.{}.{}.{}",
                self.inner.network,
                1 + u16::from(high) % 250,
                low
            ),
            host: self.host_ip(),
        };
        let run = Arc::new(PodRun::new(
            self.clone(),
            store.clone(),
            pod.clone(),
            addresses,
        ));
        pods.running.insert(key.clone(), Arc::clone(&run));
        drop(pods);
        let node = self.clone();
        let store = store.clone();
        self.inner.tasks.spawn(async move {
            run.run().await;
            node.pods().running.remove(&key);
            if node.inner.stopping.is_cancelled() {
                return;
            }
            // One that was deleted is really gone only now; one of the same name may be waiting.
            if let Some(pod) = store.get(&resources::pods(), Some(&key.0), &key.1) {
                if object::uid(&pod) == run.uid() && object::is_deleting(&pod) {
                    node.remove(&store, &pod);
                } else if object::uid(&pod) != run.uid() {
                    node.follow(&store, &pod);
                }
            }
        });
    }

    /// Removes the object of a pod that has no process any more.
    fn remove(&self, store: &Store, pod: &Value) {
        let options = DeleteOptions {
            uid: Some(object::uid(pod).to_owned()),
            ..DeleteOptions::now()
        };
        let (namespace, name) = key(pod);
        if let Err(error) = store.delete(&resources::pods(), Some(&namespace), &name, options) {
            tracing::debug!(%namespace, pod = %name, error = error.message(), "pod was not removed");
        }
        let folder = self.pod_folder(object::uid(pod));
        self.inner.tasks.spawn_blocking(move || {
            if let Err(error) = trees::remove(&folder) {
                tracing::warn!(%error, "the folder of a pod was not removed");
            }
        });
    }

    fn pod_folder(&self, uid: &str) -> PathBuf {
        self.inner.config.data_dir.join("pods").join(uid)
    }

    fn pods(&self) -> MutexGuard<'_, Pods> {
        self.inner
            .pods
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self, namespace: &str, pod: &str) -> Option<Arc<PodRun>> {
        self.pods()
            .running
            .get(&(namespace.to_owned(), pod.to_owned()))
            .cloned()
    }

    /// Ends every process when it is dropped.
    pub(crate) fn guard(&self) -> DropGuard {
        self.inner.stopping.clone().drop_guard()
    }

    /// Ends every process and waits until none is left.
    pub(crate) async fn stop(&self) {
        self.inner.stopping.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}

fn key(pod: &Value) -> (String, String) {
    (
        object::namespace(pod).to_owned(),
        object::name(pod).to_owned(),
    )
}
