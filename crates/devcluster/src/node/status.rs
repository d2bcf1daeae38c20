//! A pod's status as a kubelet writes it.

use serde_json::{Value, json};

use crate::object::{self, list, text};

/// What a container does at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It does not run yet, or not again yet.
    Waiting { reason: String, message: String },
    /// It runs since then.
    Running { since: String },
    /// It has ended and is not started again.
    Terminated(Ended),
}

/// The end of a run of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) signal: Option<i32>,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) started: Option<String>,
    pub(crate) finished: String,
    pub(crate) id: String,
}

/// One container.
#[derive(Debug, Clone)]
pub(crate) struct ContainerState {
    pub(crate) phase: Phase,
    pub(crate) last: Option<Ended>,
    pub(crate) restarts: i64,
    pub(crate) ready: bool,
    pub(crate) started: bool,
    /// `containerd://…`, once there is one.
    pub(crate) id: String,
    /// `repository@sha256:…`, once it is known.
    pub(crate) image_id: String,
}

/// One pod.
#[derive(Debug, Clone)]
pub(crate) struct PodState {
    pub(crate) init: Vec<ContainerState>,
    pub(crate) main: Vec<ContainerState>,
    pub(crate) initialized: bool,
    pub(crate) volumes_ready: bool,
    pub(crate) start_time: String,
    pub(crate) pod_ip: String,
    pub(crate) host_ip: String,
    /// The pod was ended because it was active for too long.
    pub(crate) deadline_exceeded: bool,
}

impl ContainerState {
    pub(crate) fn waiting(reason: &str) -> Self {
        Self {
            phase: Phase::Waiting {
                reason: reason.to_owned(),
                message: String::new(),
            },
            last: None,
            restarts: 0,
            ready: false,
            started: false,
            id: String::new(),
            image_id: String::new(),
        }
    }
}

impl Ended {
    fn json(&self) -> Value {
        let mut ended = json!({
            "exitCode": self.code,
            "reason": self.reason,
            "startedAt": self.started,
            "finishedAt": self.finished,
            "containerID": self.id,
        });
        if let Some(signal) = self.signal {
            ended["signal"] = json!(signal);
        }
        if !self.message.is_empty() {
            ended["message"] = json!(self.message);
        }
        ended
    }
}

impl PodState {
    /// The pod's phase.
    pub(crate) fn phase(&self, restart_policy: &str) -> &'static str {
        if self.deadline_exceeded {
            return "Failed";
        }
        if !self.initialized {
            let failed =
                |c: &ContainerState| matches!(&c.phase, Phase::Terminated(e) if e.code != 0);
            return if restart_policy == "Never" && self.init.iter().any(failed) {
                "Failed"
            } else {
                "Pending"
            };
        }
        let ends: Vec<i32> = self
            .main
            .iter()
            .filter_map(|c| match &c.phase {
                // One that is about to be started again at once has this end as its last one already.
                Phase::Terminated(ended) if c.last.as_ref() != Some(ended) => Some(ended.code),
                _ => None,
            })
            .collect();
        if ends.len() == self.main.len() && !self.main.is_empty() {
            let succeeded = ends.iter().all(|code| *code == 0);
            // A container that is started again later is waiting, so all of these have ended for good.
            return if succeeded { "Succeeded" } else { "Failed" };
        }
        let never_ran =
            |c: &ContainerState| matches!(c.phase, Phase::Waiting { .. }) && c.last.is_none();
        if self.main.iter().any(never_ran) {
            "Pending"
        } else {
            "Running"
        }
    }

    /// Writes the status into the pod.
    pub(crate) fn write(&self, pod: &mut Value) {
        let phase = self.phase(text(pod, "/spec/restartPolicy"));
        let old_conditions = list(pod, "/status/conditions").to_vec();
        let finished = phase == "Succeeded" || phase == "Failed";
        let containers_ready = !finished && self.initialized && self.main.iter().all(|c| c.ready);
        let completed = if phase == "Succeeded" {
            "PodCompleted"
        } else {
            ""
        };
        let not_ready_reason = match phase {
            "Succeeded" => "PodCompleted",
            "Failed" => "PodFailed",
            _ => "ContainersNotReady",
        };
        let unready = self.unready(pod);
        let message = if finished {
            String::new()
        } else {
            format!("containers with unready status: [{unready}]")
        };
        let init_message = format!("containers with incomplete status: [{unready}]");
        let conditions: [(&str, bool, &str, &str); 5] = [
            (
                "PodReadyToStartContainers",
                self.volumes_ready && !finished,
                "",
                "",
            ),
            match self.initialized {
                true => ("Initialized", true, completed, ""),
                false => (
                    "Initialized",
                    false,
                    "ContainersNotInitialized",
                    &init_message,
                ),
            },
            match containers_ready {
                true => ("Ready", true, "", ""),
                false => ("Ready", false, not_ready_reason, &message),
            },
            match containers_ready {
                true => ("ContainersReady", true, "", ""),
                false => ("ContainersReady", false, not_ready_reason, &message),
            },
            ("PodScheduled", true, "", ""),
        ];
        let generation = pod["metadata"]["generation"].clone();
        let now = object::now();
        let written: Vec<Value> = conditions
            .into_iter()
            .map(|(kind, is, reason, message)| {
                let status = if is { "True" } else { "False" };
                let since = old_conditions
                    .iter()
                    .find(|old| old["type"] == kind && old["status"] == status)
                    .map_or(json!(now), |old| old["lastTransitionTime"].clone());
                let mut condition = json!({
                    "type": kind,
                    "status": status,
                    "lastProbeTime": null,
                    "lastTransitionTime": since,
                });
                if !generation.is_null() {
                    condition["observedGeneration"] = generation.clone();
                }
                if !reason.is_empty() {
                    condition["reason"] = json!(reason);
                }
                if !message.is_empty() {
                    condition["message"] = json!(message);
                }
                condition
            })
            .collect();
        let mut status = json!({
            "phase": phase,
            "conditions": written,
            "hostIP": self.host_ip,
            "hostIPs": [{"ip": self.host_ip}],
            "podIP": self.pod_ip,
            "podIPs": [{"ip": self.pod_ip}],
            "startTime": self.start_time,
            "containerStatuses": statuses(pod, "/spec/containers", &self.main),
            "qosClass": qos(pod),
        });
        if !self.init.is_empty() {
            status["initContainerStatuses"] = statuses(pod, "/spec/initContainers", &self.init);
        }
        if !generation.is_null() {
            status["observedGeneration"] = generation;
        }
        if self.deadline_exceeded {
            status["reason"] = json!("DeadlineExceeded");
            status["message"] =
                json!("Pod was active on the node longer than the specified deadline");
        }
        pod["status"] = status;
    }

    fn unready(&self, pod: &Value) -> String {
        let (pointer, states) = match self.initialized {
            true => ("/spec/containers", &self.main),
            false => ("/spec/initContainers", &self.init),
        };
        let names = list(pod, pointer)
            .iter()
            .zip(states)
            .filter(|(_, state)| !state.ready);
        names
            .map(|(container, _)| text(container, "/name"))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

fn statuses(pod: &Value, pointer: &str, states: &[ContainerState]) -> Value {
    list(pod, pointer)
        .iter()
        .zip(states)
        .map(|(container, state)| {
            let current = match &state.phase {
                Phase::Waiting { reason, message } if message.is_empty() => json!({"waiting": {"reason": reason}}),
                Phase::Waiting { reason, message } => json!({"waiting": {"reason": reason, "message": message}}),
                Phase::Running { since } => json!({"running": {"startedAt": since}}),
                Phase::Terminated(ended) => json!({"terminated": ended.json()}),
            };
            let mut status = json!({
                "name": container["name"],
                "state": current,
                "lastState": state.last.as_ref().map_or(json!({}), |last| json!({"terminated": last.json()})),
                "ready": state.ready,
                "restartCount": state.restarts,
                "image": container["image"],
                "imageID": state.image_id,
                "started": state.started,
            });
            if !state.id.is_empty() {
                status["containerID"] = json!(state.id);
            }
            status
        })
        .collect()
}

fn qos(pod: &Value) -> Value {
    match text(pod, "/status/qosClass") {
        "" => {
            let asks = |c: &Value| {
                ["requests", "limits"].iter().any(|of| {
                    c["resources"][*of]
                        .as_object()
                        .is_some_and(|map| !map.is_empty())
                })
            };
            let all = list(pod, "/spec/containers");
            json!(if all.iter().any(asks) {
                "Burstable"
            } else {
                "BestEffort"
            })
        }
        class => json!(class),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(main: Vec<Phase>) -> PodState {
        let container = |phase| ContainerState {
            phase,
            ..ContainerState::waiting("")
        };
        PodState {
            init: Vec::new(),
            main: main.into_iter().map(container).collect(),
            initialized: true,
            volumes_ready: true,
            start_time: "2026-01-01T00:00:00Z".into(),
            pod_ip: "10.0.0.2".into(),
            host_ip: "10.0.0.1".into(),
            deadline_exceeded: false,
        }
    }

    fn ended(code: i32) -> Phase {
        Phase::Terminated(Ended {
            code,
            signal: None,
            reason: "Completed".into(),
            message: String::new(),
            started: None,
            finished: "2026-01-01T00:00:01Z".into(),
            id: "containerd://1".into(),
        })
    }

    #[test]
    fn phases_are_those_of_a_kubelet() {
        let running = || Phase::Running {
            since: String::new(),
        };
        let waiting = || Phase::Waiting {
            reason: "ContainerCreating".into(),
            message: String::new(),
        };
        assert_eq!(state(vec![running()]).phase("Always"), "Running");
        assert_eq!(state(vec![running(), waiting()]).phase("Always"), "Pending");
        assert_eq!(state(vec![ended(0), ended(0)]).phase("Never"), "Succeeded");
        assert_eq!(state(vec![ended(0), ended(1)]).phase("Never"), "Failed");
        assert_eq!(state(vec![ended(0), running()]).phase("Never"), "Running");
        let mut again = state(vec![ended(1)]);
        if let Phase::Terminated(ended) = &again.main[0].phase {
            again.main[0].last = Some(ended.clone());
        }
        assert_eq!(again.phase("OnFailure"), "Running");
    }

    #[test]
    fn a_condition_keeps_the_time_of_its_last_change() {
        let mut pod = json!({"spec": {"restartPolicy": "Always", "containers": [{"name": "a", "image": "i"}]}});
        let mut state = state(vec![Phase::Running {
            since: "2026-01-01T00:00:00Z".into(),
        }]);
        state.main[0].ready = true;
        state.write(&mut pod);
        assert!(object::is_ready(&pod));
        pod["status"]["conditions"][2]["lastTransitionTime"] = json!("2020-01-01T00:00:00Z");
        state.write(&mut pod);
        assert_eq!(
            pod["status"]["conditions"][2]["lastTransitionTime"],
            "2020-01-01T00:00:00Z"
        );
        state.main[0].ready = false;
        state.write(&mut pod);
        assert_ne!(
            pod["status"]["conditions"][2]["lastTransitionTime"],
            "2020-01-01T00:00:00Z"
        );
        assert_eq!(
            pod["status"]["conditions"][2]["message"],
            "containers with unready status: [a]"
        );
    }
}
