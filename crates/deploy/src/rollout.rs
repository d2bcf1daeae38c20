//! New pods, waited for: with what they wait for, and why they do not come up.

use std::time::Duration;

use openshifter_cluster::LogOptions;
use openshifter_objects::{Object, places};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::project::{is_ready, trouble};
use crate::tail::Tail;
use crate::{DeployError, Progress, Project, Target, TargetKind};

/// How long a change is waited for before the pods are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// How long a controller may take to see a change.
const SEEN: Duration = Duration::from_secs(60);

/// How many seconds a controller waits for progress where nothing says so.
const PROGRESS: u64 = 600;

const UNSEEN: &str = "its controller has not seen it yet";

/// How often a container may end before its roll-out is given up.
const RESTARTS: u64 = 3;

/// How many looks a pod may have that cannot start for a reason that does not go away by itself.
const PATIENCE: u32 = 8;

impl Project {
    /// Waits until a workload's pods are all new and available. With `digest` they run that image.
    ///
    /// # Errors
    /// [`DeployError::RolloutFailed`] when its pods end again and again, cannot start, or are not there in time.
    pub async fn roll_out(
        &self,
        target: &Target,
        digest: Option<&str>,
        within: Duration,
        progress: &dyn Progress,
    ) -> Result<(), DeployError> {
        let deadline = Instant::now() + within;
        let (kind, namespace) = (target.group_kind(), Some(self.namespace.as_str()));
        let mut before = Before::default();
        let mut said = String::new();
        let mut stuck = 0;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut now = None;
            let waited = self
                .cluster
                .wait(&kind, namespace, &target.name, LOOK.min(left), |object| {
                    now = object.map(|object| before.state(object, Instant::now()));
                    object.is_none_or(|object| now == Some(State::Done) && runs(object, digest))
                })
                .await;
            match waited {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => return Err(self.not_found(&target.to_string())),
                Err(error) if error.is_timeout() => {}
                Err(error) => return Err(error.into()),
            }
            let mut pods = self.hooks_of(target).await?;
            pods.extend(self.pods_of(target).await?);
            let new: Vec<&Object> = pods.iter().filter(|pod| runs(pod, digest)).collect();
            let text = match &now {
                Some(State::Waiting(text) | State::Failed(text)) => text.clone(),
                _ => "waiting for the new image".to_owned(),
            };
            let why = new
                .iter()
                .filter(|pod| !is_ready(pod))
                .map(|pod| trouble(pod))
                .find(|why| !why.is_empty())
                .unwrap_or_default();
            let text = if why.is_empty() {
                text
            } else {
                format!("{text}; {why}")
            };
            if text != said {
                progress.note(&text);
                said = text;
            }
            let crashing = before.crashing(&new);
            stuck = if new.iter().any(|pod| cannot_start(pod)) {
                stuck + 1
            } else {
                0
            };
            let over = Instant::now() >= deadline;
            let given_up = matches!(now, Some(State::Failed(_)));
            if crashing.is_some() || stuck >= PATIENCE || over || given_up {
                let why = if over && crashing.is_none() && !given_up {
                    format!("not done within {} s: {said}", within.as_secs())
                } else {
                    said
                };
                let pod = crashing.or_else(|| new.into_iter().find(|pod| !is_ready(pod)));
                let log = match pod {
                    Some(pod) => self.last_words(pod).await,
                    None => String::new(),
                };
                return Err(DeployError::RolloutFailed {
                    cluster: self.cluster.name().to_owned(),
                    namespace: self.namespace.clone(),
                    what: target.to_string(),
                    why,
                    log,
                });
            }
        }
    }

    /// Begins a roll-out of a DeploymentConfig whose last one failed: it would stay failed for ever. Says whether it did.
    pub(crate) async fn roll_out_again(&self, target: &Target) -> Result<bool, DeployError> {
        if target.kind != TargetKind::DeploymentConfig {
            return Ok(false);
        }
        let (kind, namespace) = (target.group_kind(), Some(self.namespace.as_str()));
        // What was changed just now may begin one by itself, which its controller decides when it sees it.
        let seen = |object: &Object| state(object) != State::Waiting(UNSEEN.to_owned());
        let waited = self
            .cluster
            .wait(&kind, namespace, &target.name, SEEN, |object| {
                object.is_none_or(seen)
            })
            .await;
        match waited {
            Ok(Some(object)) if matches!(state(&object), State::Failed(_)) => {}
            Ok(Some(_)) => return Ok(false),
            Ok(None) => return Err(self.not_found(&target.to_string())),
            // The roll-out says what it waits for.
            Err(error) if error.is_timeout() => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let request = json!({
            "apiVersion": "apps.openshift.io/v1", "kind": "DeploymentRequest",
            "name": target.name, "latest": true, "force": true,
        });
        self.cluster
            .create_subresource(&kind, namespace, &target.name, "instantiate", &request)
            .await?;
        Ok(true)
    }

    /// The pods of the hooks of a DeploymentConfig's newest roll-out, as far as they did not end well.
    async fn hooks_of(&self, target: &Target) -> Result<Vec<Object>, DeployError> {
        if target.kind != TargetKind::DeploymentConfig {
            return Ok(Vec::new());
        }
        let config = self.get(target).await?;
        let latest = config.value()["status"]["latestVersion"].as_i64();
        let rollout = format!("{}-{}", target.name, latest.unwrap_or(0));
        let labels = format!("openshift.io/deployer-pod-for.name={rollout}");
        let mut pods = self.list("", "Pod", Some(&labels)).await?;
        pods.retain(|pod| {
            pod.name().starts_with(&format!("{rollout}-hook-"))
                && pod.value()["status"]["phase"] != "Succeeded"
        });
        Ok(pods)
    }

    /// The end of the log of a pod that does not come up: of the container that is in trouble, before it was started anew.
    async fn last_words(&self, pod: &Object) -> String {
        let troubled = ["initContainerStatuses", "containerStatuses"]
            .iter()
            .flat_map(|list| pod.value()["status"][list].as_array().into_iter().flatten())
            .find(|container| {
                container["ready"] != true && container["state"]["terminated"]["exitCode"] != 0
            })
            .and_then(|container| container["name"].as_str());
        for previous in [true, false] {
            let options = LogOptions {
                tail: Some(20),
                previous,
                ..LogOptions::default()
            };
            let opened = self
                .cluster
                .pod_log(&self.namespace, pod.name(), troubled, &options)
                .await;
            let Ok(mut log) = opened else { continue };
            let mut tail = Tail::default();
            while let Ok(Some(bytes)) = log.chunk().await {
                tail.push(&bytes);
            }
            let text = tail.text();
            if !text.is_empty() {
                return text;
            }
        }
        String::new()
    }
}

/// How far a workload is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Done,
    Waiting(String),
    /// Its controller has given up.
    Failed(String),
}

/// What a workload's controller had said before its pods were waited for.
///
/// A controller that has given up says so until something gets on, also while the fault is mended. So what it said before is
/// believed only when it has said it for as long again as it would have waited. A pod whose containers had ended again and again is
/// started once more before it is given up, too.
#[derive(Debug, Default)]
struct Before {
    /// The condition by which it had given up, at the first look, and when that was.
    first: Option<(Option<Value>, Instant)>,
    /// How often the containers of its pods had ended then.
    ends: Option<Vec<(String, u64)>>,
}

impl Before {
    /// How far a workload is, since the first look at it.
    fn state(&mut self, object: &Object, now: Instant) -> State {
        let condition = given_up(object);
        let (old, since) = self.first.get_or_insert_with(|| (condition.cloned(), now));
        let seconds = object.value()["spec"]["progressDeadlineSeconds"].as_u64();
        let patience = Duration::from_secs(seconds.unwrap_or(PROGRESS));
        match condition {
            Some(condition) if old.as_ref() == Some(condition) && now < *since + patience => {
                counted(object)
            }
            _ => state(object),
        }
    }

    /// A pod whose containers end again and again, and did so since the first look.
    fn crashing<'a>(&mut self, pods: &[&'a Object]) -> Option<&'a Object> {
        let known = self
            .ends
            .get_or_insert_with(|| pods.iter().map(|pod| ends(pod)).collect());
        let mut pods = pods.iter().copied();
        pods.find(|pod| ends_again_and_again(pod) && !known.contains(&ends(pod)))
    }
}

/// The condition by which a controller says that it has given up a workload's newest roll-out.
fn given_up(object: &Object) -> Option<&Value> {
    places(object.value(), "/status/conditions/*")
        .into_iter()
        .map(|(_, condition)| condition)
        .find(|condition| condition["type"] == "Progressing" && condition["status"] == "False")
        .filter(|condition| is_of_now(object, condition))
}

/// Whether a workload's controller has seen the last change of it.
fn is_seen(object: &Object) -> bool {
    let number = |value: &Value| value.as_i64().unwrap_or(0);
    let value = object.value();
    number(&value["status"]["observedGeneration"]) >= number(&value["metadata"]["generation"])
}

/// How far a workload is, by what its controller says.
fn state(object: &Object) -> State {
    match given_up(object) {
        Some(condition) if is_seen(object) => {
            let text = |field: &str| condition[field].as_str().unwrap_or_default();
            State::Failed(format!("{} ({})", text("message"), text("reason")))
        }
        _ => counted(object),
    }
}

/// How far a workload is, by its pods alone.
fn counted(object: &Object) -> State {
    let value = object.value();
    let status = &value["status"];
    let number = |field: &str| status[field].as_i64().unwrap_or(0);
    let wanted = value["spec"]["replicas"].as_i64().unwrap_or(1);
    if !is_seen(object) {
        return State::Waiting(UNSEEN.to_owned());
    }
    let rolls =
        object.is("apps", "Deployment") || object.is("apps.openshift.io", "DeploymentConfig");
    if object.is("apps.openshift.io", "DeploymentConfig")
        && wanted > 0
        && number("latestVersion") == 0
    {
        return State::Waiting("its image stream tag has no image yet".to_owned());
    }
    let (new, up) = if rolls {
        (number("updatedReplicas"), number("availableReplicas"))
    } else {
        (number("readyReplicas"), number("readyReplicas"))
    };
    if number("replicas") > new.max(wanted) {
        return State::Waiting(format!(
            "{} old pods are still there",
            number("replicas") - new
        ));
    }
    if new < wanted {
        return State::Waiting(format!("{new} of {wanted} new pods made"));
    }
    if up < wanted {
        return State::Waiting(format!("{up} of {wanted} pods available"));
    }
    State::Done
}

/// Whether a condition of a DeploymentConfig is about its newest roll-out. It names the ReplicationController that it is about, and
/// stays a moment longer than this is the newest.
fn is_of_now(object: &Object, condition: &Value) -> bool {
    let name = object.name();
    let message = condition["message"].as_str().unwrap_or_default();
    let latest = object.value()["status"]["latestVersion"]
        .as_i64()
        .unwrap_or(0);
    !object.is("apps.openshift.io", "DeploymentConfig")
        || !message.contains(&format!("\"{name}-"))
        || message.contains(&format!("\"{name}-{latest}\""))
}

/// Whether the pods of a workload, or a pod, run an image of this digest; anything does without one.
fn runs(object: &Object, digest: Option<&str>) -> bool {
    let Some(digest) = digest else { return true };
    object
        .pod_spec()
        .and_then(|spec| spec["containers"].as_array())
        .into_iter()
        .flatten()
        .filter_map(|container| container["image"].as_str())
        .any(|image| image.ends_with(digest))
}

fn statuses(pod: &Object) -> impl Iterator<Item = &Value> {
    ["initContainerStatuses", "containerStatuses"]
        .into_iter()
        .flat_map(|list| pod.value()["status"][list].as_array().into_iter().flatten())
}

/// A pod, and how often its containers have ended.
fn ends(pod: &Object) -> (String, u64) {
    let restarts = |container: &Value| container["restartCount"].as_u64().unwrap_or(0);
    let uid = pod.uid().unwrap_or_default();
    (uid.to_owned(), statuses(pod).map(restarts).sum())
}

fn ends_again_and_again(pod: &Object) -> bool {
    statuses(pod).any(|container| {
        container["ready"] != true
            && container["restartCount"].as_u64().unwrap_or(0) >= RESTARTS
            && (container["state"]["waiting"]["reason"] == "CrashLoopBackOff"
                || container["state"]["terminated"].is_object())
    })
}

fn cannot_start(pod: &Object) -> bool {
    statuses(pod).any(|container| {
        matches!(
            container["state"]["waiting"]["reason"].as_str(),
            Some(
                "CreateContainerConfigError"
                    | "CreateContainerError"
                    | "InvalidImageName"
                    | "ErrImageNeverPull"
            )
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(status: Value) -> Object {
        Object::from_value(json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "generation": 2},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "web", "image": "r/web@sha256:1"}]}}},
            "status": status}))
        .unwrap()
    }

    #[test]
    fn a_roll_out_is_done_when_only_new_pods_are_there() {
        let waiting = |status: Value| match state(&deployment(status)) {
            State::Waiting(text) => text,
            other => format!("{other:?}"),
        };
        insta::assert_snapshot!([
            waiting(json!({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1})),
            waiting(json!({"observedGeneration": 2, "replicas": 1})),
            waiting(json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 2})),
            waiting(json!({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1})),
            waiting(json!({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1})),
            waiting(json!({"observedGeneration": 2, "conditions": [{"type": "Progressing", "status": "False",
                "reason": "ProgressDeadlineExceeded", "message": "it has timed out progressing"}]})),
        ].join("\n"), @r#"
        its controller has not seen it yet
        0 of 1 new pods made
        1 old pods are still there
        0 of 1 pods available
        Done
        Failed("it has timed out progressing (ProgressDeadlineExceeded)")
        "#);
        let object = deployment(Value::Null);
        assert!(runs(&object, None) && runs(&object, Some("sha256:1")));
        assert!(!runs(&object, Some("sha256:2")));
    }

    #[test]
    fn a_roll_out_that_failed_is_forgotten_when_another_one_begins() {
        let config = |latest: i64| {
            Object::from_value(json!({"apiVersion": "apps.openshift.io/v1", "kind": "DeploymentConfig",
                "metadata": {"name": "web"}, "spec": {"replicas": 1},
                "status": {"latestVersion": latest, "conditions": [{"type": "Progressing", "status": "False",
                    "reason": "ProgressDeadlineExceeded",
                    "message": "replication controller \"web-1\" has failed progressing"}]}}))
            .unwrap()
        };
        assert!(matches!(state(&config(1)), State::Failed(_)));
        assert!(matches!(state(&config(2)), State::Waiting(_)));
        assert!(matches!(state(&config(11)), State::Waiting(_)));
    }

    #[tokio::test]
    async fn what_a_controller_said_before_is_believed_when_it_has_had_its_time_again() {
        let failed = |at: &str| {
            let mut object = deployment(json!({"observedGeneration": 2, "conditions": [{
                "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
                "message": "it has timed out progressing", "lastUpdateTime": at}]}));
            object.value_mut()["spec"]["progressDeadlineSeconds"] = json!(60);
            object
        };
        let (old, new) = (
            failed("2026-01-01T00:00:00Z"),
            failed("2026-01-01T00:10:00Z"),
        );
        let (start, minute) = (Instant::now(), Duration::from_secs(60));
        let waiting = State::Waiting("0 of 1 new pods made".to_owned());
        let mut before = Before::default();
        assert_eq!(before.state(&old, start), waiting);
        assert_eq!(before.state(&old, start + minute / 2), waiting);
        assert!(matches!(
            before.state(&old, start + minute),
            State::Failed(_)
        ));
        // It was tried anew meanwhile, and given up again.
        assert!(matches!(before.state(&new, start), State::Failed(_)));
        // What was not there at the first look is of this roll-out.
        let mut before = Before::default();
        let begun = deployment(json!({"observedGeneration": 2}));
        assert_eq!(before.state(&begun, start), waiting);
        assert!(matches!(before.state(&old, start), State::Failed(_)));
    }

    #[test]
    fn a_pod_that_ends_again_and_again_is_known() {
        let pod = |count: u64| {
            Object::from_value(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-1"},
                "status": {"containerStatuses": [{"name": "web", "ready": false, "restartCount": count,
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}}))
            .unwrap()
        };
        assert!(ends_again_and_again(&pod(3)) && !ends_again_and_again(&pod(2)));
        let mut before = Before::default();
        assert!(before.crashing(&[&pod(1)]).is_none());
        assert!(before.crashing(&[&pod(3)]).is_some());
        // It had ended so often before, and what was wrong with it may be mended.
        let mut before = Before::default();
        assert!(before.crashing(&[&pod(3)]).is_none());
        assert!(before.crashing(&[&pod(3)]).is_none());
        assert!(before.crashing(&[&pod(4)]).is_some());
    }
}
