//! One pod from its start to its end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openshifter_apiserver::Store;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::Node;
use super::env::{self, Addresses, ConfigError};
use super::probe::Target;
use super::services;
use super::status::{ContainerState, Phase, PodState};
use super::volumes::{self, Places, Volume};
use crate::object::{self, list, number, resources, text};
use crate::sandbox::{self, Identity};

/// A pod on this node. Its specification is that of its start: a node restarts nothing for a change
/// of it, and the API server allows hardly any.
#[derive(Debug)]
pub(super) struct PodRun {
    pub(super) node: Node,
    pub(super) store: Store,
    pub(super) pod: Value,
    pub(super) addresses: Addresses,
    state: Mutex<PodState>,
    targets: Mutex<HashMap<String, Target>>,
    /// Cancelled when the pod is to end.
    pub(super) ending: CancellationToken,
    /// Seconds that its processes get from then on.
    grace: AtomicU64,
}

/// A container of the pod: of which list, and the how-manieth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Init(usize),
    Main(usize),
}

impl PodRun {
    pub(super) fn new(node: Node, store: Store, pod: Value, addresses: Addresses) -> Self {
        let start_time = match text(&pod, "/status/startTime") {
            "" => object::now(),
            // The node was started anew; the pod was not.
            time => time.to_owned(),
        };
        let waiting = |pointer, statuses: &str| -> Vec<ContainerState> {
            let old = list(&pod, statuses);
            list(&pod, pointer)
                .iter()
                .map(|container| {
                    let restarts = old
                        .iter()
                        .find(|status| status["name"] == container["name"])
                        .and_then(|status| number(status, "/restartCount").map(|n| n + 1));
                    let reason = if list(&pod, "/spec/initContainers").is_empty() {
                        "ContainerCreating"
                    } else {
                        "PodInitializing"
                    };
                    ContainerState {
                        restarts: restarts.unwrap_or(0),
                        ..ContainerState::waiting(reason)
                    }
                })
                .collect()
        };
        let state = PodState {
            init: waiting("/spec/initContainers", "/status/initContainerStatuses"),
            main: waiting("/spec/containers", "/status/containerStatuses"),
            initialized: list(&pod, "/spec/initContainers").is_empty(),
            volumes_ready: false,
            start_time,
            pod_ip: addresses.pod.clone(),
            host_ip: addresses.host.clone(),
            deadline_exceeded: false,
        };
        Self {
            ending: node.inner.stopping.child_token(),
            node,
            store,
            addresses,
            state: Mutex::new(state),
            targets: Mutex::default(),
            grace: AtomicU64::new(u64::MAX),
            pod,
        }
    }

    pub(super) fn uid(&self) -> &str {
        object::uid(&self.pod)
    }

    /// Makes it end. A shorter time than was given before counts.
    pub(super) fn end(&self, grace: u64) {
        self.grace.fetch_min(grace, Ordering::SeqCst);
        self.ending.cancel();
    }

    /// How long its processes may take to end.
    pub(super) fn grace(&self) -> Duration {
        if self.node.inner.stopping.is_cancelled() {
            return Duration::ZERO;
        }
        Duration::from_secs(self.grace.load(Ordering::SeqCst).min(86_400))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, PodState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes one container's state and tells the API server.
    pub(super) fn change(&self, slot: Slot, change: impl FnOnce(&mut ContainerState)) {
        {
            let mut state = self.state();
            let container = match slot {
                Slot::Init(at) => state.init.get_mut(at),
                Slot::Main(at) => state.main.get_mut(at),
            };
            if let Some(container) = container {
                change(container);
            }
        }
        self.publish();
    }

    fn publish(&self) {
        let (namespace, name) = super::key(&self.pod);
        // What the end of the cluster does to a pod is not the pod's own end: it is started again with
        // the cluster.
        if self.node.inner.stopping.is_cancelled() {
            return;
        }
        // The lock is held so that an older state is never written over a newer one.
        let state = self.state();
        let written =
            self.store
                .update_status(&resources::pods(), Some(&namespace), &name, |pod| {
                    if object::uid(pod) == self.uid() {
                        state.write(pod);
                    }
                });
        if let Err(error) = written {
            tracing::debug!(%namespace, pod = %name, error = error.message(), "status was not written");
        }
    }

    /// Registers where a running container is reached; none when it has ended.
    pub(super) fn reach(&self, container: &str, target: Option<Target>) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        match target {
            Some(target) => targets.insert(container.to_owned(), target),
            None => targets.remove(container),
        };
    }

    /// Where a container is reached, if it runs.
    pub(super) fn target(&self, container: &str) -> Option<Target> {
        self.targets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(container)
            .cloned()
    }

    /// Where all running containers are reached.
    pub(super) fn all_targets(&self) -> Vec<Target> {
        self.targets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Containers that may listen on a port: those that declare it first.
    pub(super) fn listeners(&self, port: u16) -> Vec<Target> {
        let declares = |container: &Value| {
            list(container, "/ports")
                .iter()
                .any(|p| number(p, "/containerPort") == Some(i64::from(port)))
        };
        let mut containers: Vec<&Value> = list(&self.pod, "/spec/containers").iter().collect();
        containers.sort_by_key(|container| !declares(container));
        containers
            .iter()
            .filter_map(|container| self.target(text(container, "/name")))
            .collect()
    }

    /// Runs it until all its containers have ended for good, or it is ended.
    pub(super) async fn run(self: &Arc<Self>) {
        let watching = {
            let run = Arc::clone(self);
            tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
                run.watch_deadline().await
            }))
        };
        self.run_containers().await;
        drop(watching);
        self.publish();
    }

    async fn run_containers(self: &Arc<Self>) {
        self.publish();
        let ending = self.ending.clone();
        let Some(volumes) = ending.run_until_cancelled(self.set_up()).await else {
            return;
        };
        {
            let mut state = self.state();
            state.volumes_ready = true;
        }
        self.publish();
        if !self.initialize(&volumes).await {
            return;
        }
        let volumes = Arc::new(volumes);
        let mut containers = tokio::task::JoinSet::new();
        for at in 0..list(&self.pod, "/spec/containers").len() {
            let (run, volumes) = (Arc::clone(self), Arc::clone(&volumes));
            containers.spawn(async move { run.keep(Slot::Main(at), &volumes).await });
        }
        containers.join_all().await;
    }

    /// Ends the pod when it has been active for longer than it may be.
    async fn watch_deadline(&self) {
        let Some(seconds) = number(&self.pod, "/spec/activeDeadlineSeconds") else {
            return std::future::pending().await;
        };
        let active = object::seconds_since(&self.state().start_time).unwrap_or(0);
        let left = u64::try_from(seconds - active).unwrap_or(0);
        tokio::time::sleep(Duration::from_secs(left)).await;
        self.state().deadline_exceeded = true;
        let grace = number(&self.pod, "/spec/terminationGracePeriodSeconds").unwrap_or(30);
        self.end(u64::try_from(grace).unwrap_or(0));
    }

    /// Runs the init containers, one after another. False when the pod is over with that.
    async fn initialize(self: &Arc<Self>, volumes: &HashMap<String, Volume>) -> bool {
        for at in 0..list(&self.pod, "/spec/initContainers").len() {
            if !self.keep(Slot::Init(at), volumes).await {
                self.publish();
                return false;
            }
        }
        self.state().initialized = true;
        {
            let mut state = self.state();
            for container in &mut state.main {
                if matches!(&container.phase, Phase::Waiting { reason, .. } if reason == "PodInitializing")
                {
                    container.phase = ContainerState::waiting("ContainerCreating").phase;
                }
            }
        }
        self.publish();
        true
    }

    /// Writes `/etc/hosts`, where containers find the names of Services. It is written in place, since
    /// running containers have this very file.
    pub(super) fn write_hosts(&self) -> std::io::Result<()> {
        let names = services::hosts(&self.store, object::namespace(&self.pod));
        let own = sandbox::hosts(env::hostname(&self.pod), &self.addresses.pod);
        let path = self.places().pod.join("etc/hosts");
        fs_err::write(path, format!("{own}{names}"))
    }

    /// Makes the volumes, again and again until everything they need is there.
    async fn set_up(self: &Arc<Self>) -> HashMap<String, Volume> {
        let mut pause = Duration::from_millis(250);
        loop {
            let (store, pod) = (self.store.clone(), self.pod.clone());
            let (places, addresses) = (self.places(), self.addresses.clone());
            let hostname = env::hostname(&self.pod).to_owned();
            let users: Vec<Identity> = ["/spec/containers", "/spec/initContainers"]
                .iter()
                .flat_map(|containers| list(&self.pod, containers))
                .map(|container| self.identity(container))
                .collect();
            let run = Arc::clone(self);
            let made = tokio::task::spawn_blocking(move || {
                let etc = places.pod.join("etc");
                sandbox::write_etc(&etc, &hostname, &addresses.pod, &users)
                    .and_then(|()| run.write_hosts())
                    .map_err(|e| ConfigError(e.to_string()))?;
                volumes::prepare(&store, &pod, &places, &addresses)
            });
            let why = match made.await {
                Ok(Ok(volumes)) => return volumes,
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            tracing::debug!(pod = object::name(&self.pod), why, "volumes are not ready");
            self.change(Slot::Main(0), |container| {
                if let Phase::Waiting { message, .. } = &mut container.phase {
                    message.clone_from(&why);
                }
            });
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(10));
        }
    }

    fn places(&self) -> Places {
        let config = &self.node.inner.config;
        let id = |pointer: &str| number(&self.pod, pointer).and_then(|id| u32::try_from(id).ok());
        let fs_group = id("/spec/securityContext/fsGroup");
        Places {
            pod: self.node.pod_folder(self.uid()),
            persistent: self.node.volumes_folder(),
            fs_group: fs_group.filter(|_| config.root),
            uid: config
                .root
                .then(|| self.identity(&list(&self.pod, "/spec/containers")[0]).uid),
        }
    }

    /// User and groups of a container.
    pub(super) fn identity(&self, container: &Value) -> Identity {
        /// What an image's own user would be; none of ours sets one.
        const DEFAULT_UID: i64 = 1001;
        let of_pod = &self.pod["spec"]["securityContext"];
        let id = |field: &str| {
            let pointer = format!("/securityContext/{field}");
            number(container, &pointer).or_else(|| number(of_pod, &format!("/{field}")))
        };
        let to_id = |id: i64| u32::try_from(id).ok();
        let mut groups: Vec<u32> = list(of_pod, "/supplementalGroups")
            .iter()
            .filter_map(Value::as_i64)
            .chain(number(of_pod, "/fsGroup"))
            .filter_map(to_id)
            .collect();
        groups.dedup();
        Identity {
            uid: id("runAsUser")
                .or(Some(DEFAULT_UID))
                .and_then(to_id)
                .unwrap_or(1001),
            gid: id("runAsGroup").and_then(to_id).unwrap_or(0),
            groups,
        }
    }
}
