//! Doors to volumes: a running container that mounts the claim and has `tar`, or a short-lived helper pod.

use std::sync::Mutex;
use std::time::Duration;

use openshifter_cluster::{Cluster, ClusterError, Preconditions, Propagation};
use openshifter_objects::{GroupKind, Object, ObjectError};
use openshifter_volumes::commands::{self, Probe, Tar};
use serde_json::{Value, json};

use crate::MigrateError;
use crate::journal::{At, Event};
use crate::run::{HELPER_LABEL, RUN_LABEL, Run};

/// How long a helper pod may take to start: pulling an image and attaching a volume included.
const START: Duration = Duration::from_secs(180);

/// A helper pod ends by itself after this time, whatever becomes of us.
const LIFETIME_SECONDS: u32 = 24 * 3600;

/// Where a claim is mounted in helper pods.
const MOUNT: &str = "/openshifter-volume";

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
}

/// What a helper pod may be made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Candidate {
    /// The image.
    pub(crate) image: String,
    /// `imagePullSecrets` of the workload that it is the image of.
    pub(crate) pull_secrets: Option<Value>,
    /// `securityContext` of its pods, tried when a pod without one is refused.
    pub(crate) pod_security: Option<Value>,
    /// `securityContext` of its container.
    pub(crate) container_security: Option<Value>,
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
                self.remove(&name).await;
            }
        }
        Ok(())
    }

    /// A container that runs already, mounts the whole claim writable or not, and has a `tar` that reads nothing but
    /// the claim.
    pub(crate) async fn running(&self, claim: &str, pods: &[Object]) -> Option<Door> {
        for pod in pods.iter().filter(|pod| is_running(pod)) {
            for (container, path) in mounts_whole(pod, claim) {
                if let Ok(Some(probe)) = self.probe(pod.name(), &container, &path).await
                    && sees_the_claim_alone(&probe)
                {
                    return Some(Door {
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

    /// A helper pod that mounts the claim, from the first candidate that works.
    ///
    /// # Errors
    /// When none does; what was tried is named.
    pub(crate) async fn start(
        &self,
        claim: &str,
        candidates: &[Candidate],
        node: Option<&str>,
        read_only: bool,
    ) -> Result<Door, MigrateError> {
        let mut tried = Vec::new();
        for candidate in candidates {
            for restricted in [false, true] {
                match self
                    .start_one(claim, candidate, node, read_only, restricted)
                    .await
                {
                    Ok(door) => return Ok(door),
                    Err(Refused::Forbidden(_)) if !restricted => {}
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
            namespace: self.namespace.to_owned(),
            tried: tried.join("; "),
        })
    }

    async fn start_one(
        &self,
        claim: &str,
        candidate: &Candidate,
        node: Option<&str>,
        read_only: bool,
        restricted: bool,
    ) -> Result<Door, Refused> {
        let name = self.next_name();
        let pod = helper_pod(
            &name, self.run, claim, candidate, node, read_only, restricted,
        )
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
            .create(Some(self.namespace), &pod, openshifter_cluster::DryRun::No)
            .await
        {
            Ok(_) => {}
            Err(error) if error.is_forbidden() => {
                return Err(Refused::Forbidden(error.to_string()));
            }
            Err(error) => return Err(Refused::Error(error.into())),
        }
        let result = self.started(&name, claim).await;
        if result.is_err() {
            self.remove(&name).await;
        }
        result
    }

    async fn started(&self, name: &str, claim: &str) -> Result<Door, Refused> {
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
        match self.probe(name, "helper", MOUNT).await {
            Ok(Some(probe)) => Ok(Door {
                pod: name.to_owned(),
                container: "helper".to_owned(),
                path: MOUNT.to_owned(),
                probe,
                helper: true,
            }),
            Ok(None) => Err(Refused::Image("it has no tar".to_owned())),
            Err(error) => Err(Refused::Error(error.into())),
        }
    }

    /// What a container has to move the volume at `path` with; `None` when it has no shell or no `tar`.
    async fn probe(
        &self,
        pod: &str,
        container: &str,
        path: &str,
    ) -> Result<Option<Probe>, ClusterError> {
        let command = commands::probe(path);
        let (code, output) =
            run_command(self.cluster, self.namespace, pod, container, &command).await?;
        let probe = if code == 0 {
            commands::parse_probe(&output)
        } else {
            Probe::default()
        };
        Ok((probe.tar != Tar::Missing).then_some(probe))
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
            self.remove(&door.pod).await;
        }
    }

    async fn remove(&self, name: &str) {
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
            }
            Err(error) => {
                tracing::warn!(pod = name, %error, "a helper pod could not be removed");
                self.run
                    .progress
                    .note(&format!("helper pod {name} could not be removed: {error}"));
            }
        }
    }

    /// Removes what is left. Called at the end of every run, however it ended.
    pub(crate) async fn remove_all(&self) {
        let names = {
            let made = self
                .made
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            made.names.clone()
        };
        for name in names {
            self.remove(&name).await;
        }
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

enum Start {
    Waiting(String),
    Running,
    Failed(String),
}

/// How far a helper pod is, from its status.
fn start_of(pod: Option<&Object>) -> Start {
    let Some(pod) = pod else {
        return Start::Failed("it was removed by somebody".to_owned());
    };
    let status = &pod.value()["status"];
    let container = &status["containerStatuses"][0]["state"];
    if container["running"].is_object() {
        return Start::Running;
    }
    if let Some(terminated) = container
        .get("terminated")
        .filter(|state| state.is_object())
    {
        let text = |field: &str| {
            terminated[field]
                .as_str()
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        return Start::Failed(format!(
            "it does not start: {} {}",
            text("reason"),
            text("message")
        ));
    }
    let waiting = &container["waiting"];
    let reason = waiting["reason"].as_str().unwrap_or_default();
    let message = waiting["message"].as_str().unwrap_or_default();
    match reason {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => {
            Start::Failed(format!("the image cannot be pulled: {message}"))
        }
        "CreateContainerError"
        | "RunContainerError"
        | "CreateContainerConfigError"
        | "CrashLoopBackOff" => Start::Failed(format!("it does not start: {message}")),
        _ if matches!(status["phase"].as_str(), Some("Failed" | "Succeeded")) => {
            Start::Failed(format!(
                "it ended: {}",
                status["message"].as_str().unwrap_or("no reason given")
            ))
        }
        _ => {
            let unscheduled =
                status["conditions"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .find(|condition| {
                        condition["type"] == "PodScheduled" && condition["status"] == "False"
                    });
            let why = unscheduled
                .and_then(|condition| condition["message"].as_str())
                .unwrap_or(if reason.is_empty() {
                    "not scheduled yet"
                } else {
                    reason
                });
            Start::Waiting(why.to_owned())
        }
    }
}

fn helper_pod(
    name: &str,
    run: &Run,
    claim: &str,
    candidate: &Candidate,
    node: Option<&str>,
    read_only: bool,
    restricted: bool,
) -> Result<Object, ObjectError> {
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {RUN_LABEL: run.id.as_str(), HELPER_LABEL: "true"},
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LIFETIME_SECONDS,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "containers": [{
                "name": "helper",
                "image": candidate.image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["sleep", LIFETIME_SECONDS.to_string()],
                // Projects with a quota refuse pods that name no resources.
                "resources": {
                    "requests": {"cpu": "50m", "memory": "64Mi"},
                    "limits": {"cpu": "2", "memory": "512Mi"},
                },
                "volumeMounts": [{"name": "volume", "mountPath": MOUNT, "readOnly": read_only}],
            }],
            "volumes": [{"name": "volume", "persistentVolumeClaim": {"claimName": claim}}],
        },
    });
    let spec = &mut pod["spec"];
    if let Some(secrets) = &candidate.pull_secrets {
        spec["imagePullSecrets"] = secrets.clone();
    }
    if let Some(node) = node {
        // A ReadWriteOnce volume is attached to one node: where its other pod runs.
        spec["nodeName"] = node.into();
    }
    if restricted {
        // What the "restricted" pod security standard asks for, with the application's own ids.
        let mut pod_security = candidate.pod_security.clone().unwrap_or_else(|| json!({}));
        pod_security["runAsNonRoot"] = true.into();
        pod_security["seccompProfile"] = json!({"type": "RuntimeDefault"});
        if pod_security.get("runAsUser").is_none() {
            let user = candidate
                .container_security
                .as_ref()
                .and_then(|context| context.get("runAsUser"));
            pod_security["runAsUser"] = user.cloned().unwrap_or_else(|| 65532.into());
        }
        spec["securityContext"] = pod_security;
        spec["containers"][0]["securityContext"] = json!({
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
        });
    }
    Object::from_value(pod)
}

/// Whether an archive made here holds the volume and nothing that is mounted inside of it: only GNU tar is told to
/// stay on one file system.
fn sees_the_claim_alone(probe: &Probe) -> bool {
    probe.tar == Tar::Gnu || probe.nested_mounts.is_empty()
}

fn is_running(pod: &Object) -> bool {
    pod.value()["status"]["phase"] == "Running"
        && pod.value()["metadata"].get("deletionTimestamp").is_none()
        && pod.label(HELPER_LABEL).is_none()
}

/// Containers of a running pod that see the whole of a claim, with the path: no sub-path, and no other
/// volume mounted within.
fn mounts_whole(pod: &Object, claim: &str) -> Vec<(String, String)> {
    let spec = &pod.value()["spec"];
    let volumes: Vec<&str> = spec["volumes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|volume| volume["persistentVolumeClaim"]["claimName"] == claim)
        .filter_map(|volume| volume["name"].as_str())
        .collect();
    let running = |name: &str| {
        pod.value()["status"]["containerStatuses"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|status| status["name"] == name && status["state"]["running"].is_object())
    };
    let mut found = Vec::new();
    for container in spec["containers"].as_array().into_iter().flatten() {
        let Some(name) = container["name"].as_str().filter(|name| running(name)) else {
            continue;
        };
        let mounts: Vec<&Value> = container["volumeMounts"]
            .as_array()
            .into_iter()
            .flatten()
            .collect();
        for mount in &mounts {
            let of_claim = mount["name"]
                .as_str()
                .is_some_and(|name| volumes.contains(&name));
            let part = ["subPath", "subPathExpr"]
                .iter()
                .any(|key| mount[*key].as_str().is_some_and(|path| !path.is_empty()));
            let Some(path) = mount["mountPath"].as_str().filter(|_| of_claim && !part) else {
                continue;
            };
            let inside = format!("{}/", path.trim_end_matches('/'));
            let covered = mounts.iter().any(|other| {
                other["mountPath"]
                    .as_str()
                    .is_some_and(|p| p.starts_with(&inside))
            });
            if !covered {
                found.push((name.to_owned(), path.to_owned()));
            }
        }
    }
    found
}

/// The node on which a pod that mounts the claim runs.
pub(crate) fn node_of(claim: &str, pods: &[Object]) -> Option<String> {
    pods.iter()
        .filter(|pod| is_running(pod) && pod.claim_names().contains(&claim))
        .find_map(|pod| pod.value()["spec"]["nodeName"].as_str())
        .map(str::to_owned)
}

/// Images that a helper pod for this claim may be made of: the one asked for, then those of the workloads
/// that mount the claim, then those of all others.
pub(crate) fn candidates(claim: &str, objects: &[Object], asked: Option<&str>) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    let mut add = |candidate: Candidate| {
        if !candidate.image.trim().is_empty()
            && !found.iter().any(|known| known.image == candidate.image)
        {
            found.push(candidate);
        }
    };
    if let Some(image) = asked {
        add(Candidate {
            image: image.to_owned(),
            ..Candidate::default()
        });
    }
    let (near, far): (Vec<&Object>, Vec<&Object>) = objects
        .iter()
        .filter(|object| object.pod_spec().is_some())
        .partition(|object| {
            openshifter_objects::claims_of(object, objects)
                .iter()
                .any(|name| name == claim)
        });
    for object in near.into_iter().chain(far) {
        let Some(spec) = object.pod_spec() else {
            continue;
        };
        for container in spec["containers"].as_array().into_iter().flatten() {
            add(Candidate {
                image: container["image"].as_str().unwrap_or_default().to_owned(),
                pull_secrets: spec.get("imagePullSecrets").cloned(),
                pod_security: spec
                    .get("securityContext")
                    .filter(|context| context.is_object())
                    .cloned(),
                container_security: container.get("securityContext").cloned(),
            });
        }
    }
    found
}

/// Runs a short command and gives its exit code and output.
pub(crate) async fn run_command(
    cluster: &Cluster,
    namespace: &str,
    pod: &str,
    container: &str,
    command: &[String],
) -> Result<(i32, Vec<u8>), ClusterError> {
    use tokio::io::AsyncReadExt as _;
    // Output of our own short commands; a container that says more is not to fill the memory.
    const MOST: u64 = 64 << 20;
    let mut exec = cluster
        .exec(namespace, pod, Some(container), command, false)
        .await?;
    let mut output = Vec::new();
    if let Some(stdout) = exec.stdout() {
        // A torn stream shows in `finish`.
        let _ = stdout.take(MOST).read_to_end(&mut output).await;
    }
    let outcome = exec.finish().await?;
    Ok((outcome.exit_code, output))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(mounts: Value) -> Object {
        Object::from_value(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "db-0"},
            "spec": {
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
                "containers": [{"name": "db", "image": "db:1", "volumeMounts": mounts}],
            },
            "status": {"phase": "Running", "containerStatuses": [{"name": "db", "state": {"running": {}}}]},
        }))
        .unwrap()
    }

    #[test]
    fn a_sub_path_is_not_the_whole_volume() {
        let whole = pod(json!([{"name": "data", "mountPath": "/data"}]));
        assert_eq!(
            mounts_whole(&whole, "data"),
            [("db".to_owned(), "/data".to_owned())]
        );
        let part = pod(json!([{"name": "data", "mountPath": "/data", "subPath": "x"}]));
        assert!(mounts_whole(&part, "data").is_empty());
    }

    #[test]
    fn a_volume_with_another_mounted_in_it_is_not_read_there() {
        let nested = pod(json!([
            {"name": "data", "mountPath": "/data"},
            {"name": "config", "mountPath": "/data/conf"},
        ]));
        assert!(mounts_whole(&nested, "data").is_empty());
    }

    #[test]
    fn a_small_tar_is_not_used_where_something_is_mounted_inside() {
        let probe = |tar, nested: &[&str]| Probe {
            tar,
            nested_mounts: nested.iter().map(|&path| path.to_owned()).collect(),
            ..Probe::default()
        };
        assert!(sees_the_claim_alone(&probe(Tar::BusyBox, &[])));
        assert!(!sees_the_claim_alone(&probe(Tar::BusyBox, &["/data/conf"])));
        assert!(sees_the_claim_alone(&probe(Tar::Gnu, &["/data/conf"])));
    }

    #[test]
    fn a_pod_that_cannot_pull_says_so() {
        let mut waiting = pod(json!([]));
        waiting.value_mut()["status"] = json!({"phase": "Pending", "containerStatuses": [{"name": "db",
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}]});
        assert!(
            matches!(start_of(Some(&waiting)), Start::Failed(reason) if reason.contains("not found"))
        );
    }

    #[test]
    fn the_image_that_was_asked_for_comes_first() {
        let deployment = Object::from_value(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "db"},
            "spec": {"template": {"spec": {
                "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}],
                "containers": [{"name": "db", "image": "db:1"}],
            }}},
        }))
        .unwrap();
        let other = Object::from_value(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "aaa"},
            "spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:1"}]}}},
        }))
        .unwrap();
        let images: Vec<String> = candidates("data", &[other, deployment], Some("tools:1"))
            .into_iter()
            .map(|candidate| candidate.image)
            .collect();
        assert_eq!(images, ["tools:1", "db:1", "web:1"]);
    }
}
