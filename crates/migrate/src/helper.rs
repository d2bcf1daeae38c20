//! Doors to volumes: a running container that mounts the claim and has `tar`, or a short-lived helper pod.

use std::sync::Mutex;
use std::time::Duration;

use openshifter_chart::VolumeHelper;
use openshifter_cluster::{Cluster, DryRun, Preconditions, Propagation};
use openshifter_objects::{GroupKind, Object};
use openshifter_volumes::commands::Probe;

use crate::MigrateError;
use crate::journal::{At, Event};
use crate::run::{RUN_LABEL, Run};

mod candidates;
mod command;
mod mounts;
mod pod;

pub(crate) use candidates::candidates;
pub(crate) use command::{MOST_SAID, run_command};
pub(crate) use mounts::node_of;
use mounts::{is_running, mounts_whole, sees_the_claim_alone};
use pod::{CONTAINER, MOUNT, Manner, Start, helper_pod, start_of};

/// How long a helper pod may take to start: pulling an image and attaching a volume included.
const START: Duration = Duration::from_secs(180);

/// A container in which a volume can be reached.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    /// The pod.
    pub(crate) pod: String,
    /// The container.
    pub(crate) container: String,
    /// Where the volume is mounted.
    pub(crate) path: String,
    /// What it has to move a volume with.
    pub(crate) probe: Probe,
    /// Whether it is a pod of our own, to be removed.
    pub(crate) helper: bool,
    /// What a pod like it is made of, for the chart to remember.
    pub(crate) made_of: VolumeHelper,
}

/// Starts and removes the helper pods of a run in one namespace.
pub(crate) struct Helpers<'a> {
    run: &'a Run,
    cluster: &'a Cluster,
    namespace: &'a str,
    at: At,
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    count: usize,
    names: Vec<String>,
}

pub(crate) fn pods() -> GroupKind {
    GroupKind::new("", "Pod")
}

impl<'a> Helpers<'a> {
    pub(crate) fn new(run: &'a Run, cluster: &'a Cluster, namespace: &'a str, at: At) -> Self {
        // An earlier part of the run has used up some names.
        let made = Made {
            count: started(run).count(),
            names: Vec::new(),
        };
        Self {
            run,
            cluster,
            namespace,
            at,
            made: Mutex::new(made),
        }
    }

    /// Removes what an earlier part of this run could not, since it was killed: its pods keep claims from being
    /// deleted, and may still write.
    pub(crate) async fn remove_left_behind(&self) -> Result<(), MigrateError> {
        for (_, name) in started(self.run).filter(|(at, _)| *at == self.at) {
            let live = self
                .cluster
                .get(&pods(), Some(self.namespace), &name)
                .await?;
            if live.is_some_and(|pod| pod.label(RUN_LABEL) == Some(self.run.id.as_str())) {
                self.remove(&name)
                    .await
                    .map_err(MigrateError::NotPossible)?;
            }
        }
        Ok(())
    }

    /// A container that runs already, mounts the whole claim writable or not, and has a `tar` that reads nothing but
    /// the claim.
    async fn running(&self, claim: &str, pods: &[Object]) -> Option<Door> {
        for pod in pods.iter().filter(|pod| is_running(pod)) {
            for (container, path) in mounts_whole(pod, claim) {
                if let Ok(Some(probe)) =
                    command::probe(self.cluster, self.namespace, pod.name(), &container, &path)
                        .await
                    && sees_the_claim_alone(&probe)
                {
                    return Some(Door {
                        made_of: candidates::of_container(pod, &container).unwrap_or_default(),
                        pod: pod.name().to_owned(),
                        container,
                        path,
                        probe,
                        helper: false,
                    });
                }
            }
        }
        None
    }

    /// A door to read a claim by: a container that runs already, else a helper pod on the node where the claim is.
    ///
    /// # Errors
    /// When neither is to be had.
    pub(crate) async fn open(
        &self,
        claim: &str,
        pods: &[Object],
        candidates: &[VolumeHelper],
    ) -> Result<Door, MigrateError> {
        match self.running(claim, pods).await {
            Some(door) => Ok(door),
            None => {
                let node = node_of(claim, pods);
                self.start(claim, candidates, node.as_deref(), true).await
            }
        }
    }

    /// A helper pod that mounts the claim, from the first candidate that works.
    ///
    /// # Errors
    /// When none does; what was tried is named.
    pub(crate) async fn start(
        &self,
        claim: &str,
        candidates: &[VolumeHelper],
        node: Option<&str>,
        read_only: bool,
    ) -> Result<Door, MigrateError> {
        self.start_as(claim, candidates, node, read_only, &Manner::ALL)
            .await
    }

    /// [`Helpers::start`] with the application's own ids: where a file server does not let root in.
    ///
    /// # Errors
    /// When no candidate works; what was tried is named.
    pub(crate) async fn start_as_application(
        &self,
        claim: &str,
        candidates: &[VolumeHelper],
        node: Option<&str>,
        read_only: bool,
    ) -> Result<Door, MigrateError> {
        let own = [Manner::Restricted];
        self.start_as(claim, candidates, node, read_only, &own)
            .await
    }

    async fn start_as(
        &self,
        claim: &str,
        candidates: &[VolumeHelper],
        node: Option<&str>,
        read_only: bool,
        manners: &[Manner],
    ) -> Result<Door, MigrateError> {
        let mut tried = Vec::new();
        for candidate in candidates {
            for &manner in manners {
                match self
                    .start_one(claim, candidate, node, read_only, manner)
                    .await
                {
                    Ok(door) => return Ok(door),
                    Err(Refused::Forbidden(_)) if manner != Manner::Restricted => {}
                    Err(Refused::Forbidden(reason) | Refused::Image(reason)) => {
                        tried.push(format!("{}: {reason}", candidate.image));
                        break;
                    }
                    Err(Refused::Error(error)) => return Err(error),
                }
            }
        }
        if tried.is_empty() {
            tried.push("no image is known".to_owned());
        }
        Err(MigrateError::NoHelper {
            claim: claim.to_owned(),
            namespace: self.namespace.to_owned(),
            tried: tried.join("; "),
        })
    }

    async fn start_one(
        &self,
        claim: &str,
        candidate: &VolumeHelper,
        node: Option<&str>,
        read_only: bool,
        manner: Manner,
    ) -> Result<Door, Refused> {
        let name = self.next_name();
        let pod = helper_pod(&name, self.run, claim, candidate, node, read_only, manner)
            .map_err(|error| Refused::Error(MigrateError::NotPossible(error.to_string())))?;
        let event = Event::HelperStarting {
            at: self.at,
            pod: name.clone(),
        };
        self.run
            .journal
            .write(event)
            .map_err(|error| Refused::Error(error.into()))?;
        match self
            .cluster
            .create(Some(self.namespace), &pod, DryRun::No)
            .await
        {
            Ok(_) => {}
            Err(error) if error.is_forbidden() => {
                return Err(Refused::Forbidden(error.to_string()));
            }
            Err(error) => return Err(Refused::Error(error.into())),
        }
        let result = self.started(&name, claim, candidate).await;
        if result.is_err() {
            let _ = self.remove(&name).await;
        }
        result
    }

    async fn started(
        &self,
        name: &str,
        claim: &str,
        candidate: &VolumeHelper,
    ) -> Result<Door, Refused> {
        let mut state = Start::Waiting("not scheduled yet".to_owned());
        let waited = self
            .cluster
            .wait(&pods(), Some(self.namespace), name, START, |pod| {
                state = start_of(pod);
                !matches!(state, Start::Waiting(_))
            })
            .await;
        match (waited, state) {
            (Ok(_), Start::Running) => {}
            (Ok(_), Start::Failed(reason)) => return Err(Refused::Image(reason)),
            (Ok(_), Start::Waiting(reason)) => return Err(Refused::Image(reason)),
            (Err(error), Start::Waiting(reason)) if error.is_timeout() => {
                return Err(Refused::Error(MigrateError::VolumeAccess {
                    claim: claim.to_owned(),
                    reason: format!(
                        "the helper pod {name} did not start within {} s: {reason}",
                        START.as_secs()
                    ),
                }));
            }
            (Err(error), _) => return Err(Refused::Error(error.into())),
        }
        match command::probe(self.cluster, self.namespace, name, CONTAINER, MOUNT).await {
            Ok(Some(probe)) => Ok(Door {
                pod: name.to_owned(),
                container: CONTAINER.to_owned(),
                path: MOUNT.to_owned(),
                probe,
                helper: true,
                made_of: candidate.clone(),
            }),
            Ok(None) => Err(Refused::Image("it has no tar".to_owned())),
            Err(error) => Err(Refused::Error(error.into())),
        }
    }

    fn next_name(&self) -> String {
        let mut made = self
            .made
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        made.count += 1;
        let name = format!("openshifter-{}-{}", self.run.id.short(), made.count);
        made.names.push(name.clone());
        name
    }

    /// Removes a helper pod and waits until its volume is free. What fails is tried again by
    /// [`Helpers::remove_all`].
    pub(crate) async fn close(&self, door: &Door) {
        if door.helper {
            let _ = self.remove(&door.pod).await;
        }
    }

    async fn remove(&self, name: &str) -> Result<(), String> {
        let gone = async {
            self.cluster
                .delete(
                    &pods(),
                    Some(self.namespace),
                    name,
                    &Preconditions::default(),
                    Propagation::Background,
                )
                .await?;
            self.cluster
                .wait(
                    &pods(),
                    Some(self.namespace),
                    name,
                    Duration::from_secs(60),
                    |pod| pod.is_none(),
                )
                .await
        };
        match gone.await {
            Ok(_) => {
                let mut made = self
                    .made
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                made.names.retain(|known| known != name);
                drop(made);
                // That an undo would look for it once more does no harm.
                let removed = Event::HelperRemoved {
                    at: self.at,
                    pod: name.to_owned(),
                };
                if let Err(error) = self.run.journal.write(removed) {
                    tracing::warn!(%error, "the removal of a helper pod could not be journaled");
                }
            }
            Err(error) => {
                tracing::warn!(pod = name, %error, "a helper pod could not be removed");
                return Err(format!(
                    "helper pod {name} of {} could not be removed, and holds its claim until it is: {error}",
                    self.namespace
                ));
            }
        }
        Ok(())
    }

    /// Removes what is left. Called at the end of every run, however it ended; gives what could not be removed.
    pub(crate) async fn remove_all(&self) -> Vec<String> {
        let names = {
            let made = self
                .made
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            made.names.clone()
        };
        let mut left = Vec::new();
        for name in names {
            left.extend(self.remove(&name).await.err());
        }
        left
    }
}

/// Helper pods that this run has started so far, each with its end.
fn started(run: &Run) -> impl Iterator<Item = (At, String)> + use<> {
    let events = run.journal.events().unwrap_or_default();
    events.into_iter().filter_map(|event| match event {
        Event::HelperStarting { at, pod } => Some((at, pod)),
        _ => None,
    })
}

enum Refused {
    /// The cluster's admission says no.
    Forbidden(String),
    /// The image does not do.
    Image(String),
    /// Anything else ends the search.
    Error(MigrateError),
}
