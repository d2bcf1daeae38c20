//! One container: watched, probed, ended, started again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::calls;
use super::launch::{Running, new_id};
use super::pod::{PodRun, Slot};
use super::probe::{Probe, Target, hook};
use super::start::NotStarted;
use super::status::{Ended, Phase};
use super::volumes::Volume;
use crate::agent::wire::{self, Frame, Kind, Outcome};
use crate::object::{self, list, number, text};

/// Longest pause before the next start.
const MAX_BACKOFF: Duration = Duration::from_secs(300);

/// A container that ran this long starts with the shortest pause again.
const RESET_AFTER: Duration = Duration::from_secs(600);

/// What a container has left at least for its end after its preStop hook, however long that took.
const LEAST_GRACE: Duration = Duration::from_secs(2);

/// How often a container that is not ready yet is asked at most.
const FIRST_PROBES: Duration = Duration::from_millis(250);

impl PodRun {
    fn container(&self, slot: Slot) -> &Value {
        let (pointer, at) = match slot {
            Slot::Init(at) => ("/spec/initContainers", at),
            Slot::Main(at) => ("/spec/containers", at),
        };
        list(&self.pod, pointer).get(at).unwrap_or(&Value::Null)
    }

    /// Runs a container as often as its policy says. True when its last run succeeded.
    pub(super) async fn keep(
        self: &Arc<Self>,
        slot: Slot,
        volumes: &HashMap<String, Volume>,
    ) -> bool {
        let policy = text(&self.pod, "/spec/restartPolicy");
        let mut backoff = Duration::from_secs(10);
        let mut failures = 0_u32;
        loop {
            if self.ending.is_cancelled() {
                return false;
            }
            let begun = Instant::now();
            let (ended, post_start) = match self.run_once(slot, volumes).await {
                Ok(run) => run,
                Err(not_started) => match not_started.code {
                    Some(code) => (self.never_ran(slot, code, not_started.message), None),
                    None => {
                        if !self.wait_to_retry(slot, not_started, &mut backoff).await {
                            return false;
                        }
                        continue;
                    }
                },
            };
            let again = match (slot, policy) {
                _ if self.ending.is_cancelled() => false,
                (Slot::Main(_), "Always") | (_, "") => true,
                (_, "Never") => false,
                _ => ended.code != 0,
            };
            if !again {
                let succeeded = ended.code == 0;
                self.change(slot, |container| {
                    container.ready = succeeded && matches!(slot, Slot::Init(_));
                    container.started = false;
                    container.phase = Phase::Terminated(ended);
                });
                return succeeded;
            }
            if begun.elapsed() > RESET_AFTER {
                (backoff, failures) = (Duration::from_secs(10), 0);
            }
            failures += 1;
            // The first restart comes at once, as with a kubelet.
            let pause = if failures == 1 {
                Duration::ZERO
            } else {
                backoff
            };
            if failures > 1 {
                backoff = (backoff * 2).min(MAX_BACKOFF);
            }
            let name = text(self.container(slot), "/name").to_owned();
            self.change(slot, |container| {
                container.ready = false;
                container.started = false;
                container.restarts += 1;
                container.id.clone_from(&ended.id);
                container.last = Some(ended.clone());
                container.phase = match post_start {
                    Some(message) if pause.is_zero() => Phase::Waiting {
                        reason: "PostStartHookError".to_owned(),
                        message,
                    },
                    None if pause.is_zero() => Phase::Terminated(ended),
                    _ => Phase::Waiting {
                        reason: "CrashLoopBackOff".to_owned(),
                        message: format!(
                            "back-off {}s restarting failed container={name}",
                            pause.as_secs()
                        ),
                    },
                };
            });
            if self
                .ending
                .run_until_cancelled(tokio::time::sleep(pause))
                .await
                .is_none()
            {
                return false;
            }
        }
    }

    /// Says why a container does not start and waits. False when the pod ended meanwhile.
    async fn wait_to_retry(&self, slot: Slot, why: NotStarted, backoff: &mut Duration) -> bool {
        let waiting = |reason: &str, message: String| Phase::Waiting {
            reason: reason.to_owned(),
            message,
        };
        self.change(slot, |container| {
            container.phase = waiting(why.reason, why.message.clone());
        });
        let image = why.reason == "ErrImagePull";
        // A missing ConfigMap is looked for more often than a missing image.
        let pause = if image {
            *backoff
        } else {
            Duration::from_secs(1)
        };
        if image {
            let first = Duration::from_secs(1);
            if self
                .ending
                .run_until_cancelled(tokio::time::sleep(first))
                .await
                .is_none()
            {
                return false;
            }
            let reference = text(self.container(slot), "/image");
            let message = format!(
                "Back-off pulling image {reference:?}: ErrImagePull: {}",
                why.message
            );
            self.change(slot, |container| {
                container.phase = waiting("ImagePullBackOff", message);
            });
            *backoff = (*backoff * 2).min(MAX_BACKOFF);
        }
        self.ending
            .run_until_cancelled(tokio::time::sleep(pause))
            .await
            .is_some()
    }

    fn never_ran(&self, slot: Slot, code: i32, message: String) -> Ended {
        let id = new_id();
        self.change(slot, |container| container.id.clone_from(&id));
        Ended {
            code,
            signal: None,
            reason: "StartError".to_owned(),
            message,
            started: None,
            finished: object::now(),
            id,
        }
    }

    /// Runs a container once, to its end. With it comes what its postStart hook failed with.
    async fn run_once(
        self: &Arc<Self>,
        slot: Slot,
        volumes: &HashMap<String, Volume>,
    ) -> Result<(Ended, Option<String>), NotStarted> {
        let container = self.container(slot);
        let name = text(container, "/name");
        let mut running = self.start(slot, container, volumes).await?;
        self.reach(name, Some(running.target.clone()));
        let over = CancellationToken::new();
        let unhealthy = CancellationToken::new();
        // Until the hook is through, a container does not count as running, and nobody probes it.
        let post_start = self.post_start(container, &running.target).await.err();
        match &post_start {
            Some(why) => {
                tracing::info!(container = name, why, "postStart hook failed");
                unhealthy.cancel();
            }
            None => self.runs(slot, &running, &unhealthy, &over),
        }
        let outcome = self.watch(container, &mut running, &unhealthy).await;
        over.cancel();
        self.reach(name, None);
        self.node.inner.sockets.remove(&running.target.socket);
        running.end().await;
        let (code, signal) = match &outcome {
            Outcome::Killed { signal } => (outcome.code(), Some(*signal)),
            _ => (outcome.code(), None),
        };
        let ended = Ended {
            code,
            signal,
            reason: if code == 0 { "Completed" } else { "Error" }.to_owned(),
            message: String::new(),
            started: Some(running.since),
            finished: object::now(),
            id: running.id,
        };
        Ok((ended, post_start))
    }

    /// Runs a container's postStart hook, if it has one; the end of the pod cuts it short.
    async fn post_start(&self, container: &Value, target: &Target) -> Result<(), String> {
        let sockets = &self.node.inner.sockets;
        self.ending
            .run_until_cancelled(hook(container, "postStart", sockets, target))
            .await
            .unwrap_or(Ok(()))
    }

    /// Says that a container runs, and asks its probes from then on.
    fn runs(
        self: &Arc<Self>,
        slot: Slot,
        running: &Running,
        unhealthy: &CancellationToken,
        over: &CancellationToken,
    ) {
        let container = self.container(slot);
        let startup = Probe::of(container, "startupProbe");
        let readiness = Probe::of(container, "readinessProbe");
        let (started, ready) = (startup.is_none(), startup.is_none() && readiness.is_none());
        self.change(slot, |state| {
            state.id.clone_from(&running.id);
            state.started = started;
            state.ready = ready && matches!(slot, Slot::Main(_));
            state.phase = Phase::Running {
                since: running.since.clone(),
            };
        });
        if matches!(slot, Slot::Main(_)) {
            let (run, target) = (Arc::clone(self), running.target.clone());
            let probes = run.probe(slot, target, unhealthy.clone(), startup, readiness);
            let over = over.clone();
            tokio::spawn(async move { over.run_until_cancelled(probes).await });
        }
    }

    /// Waits for the end of a container, or brings it about.
    async fn watch(
        &self,
        container: &Value,
        running: &mut Running,
        unhealthy: &CancellationToken,
    ) -> Outcome {
        let killed = Outcome::Killed { signal: 9 };
        let grace = tokio::select! {
            outcome = calls::outcome(&mut running.control) => return outcome.unwrap_or(killed),
            () = self.ending.cancelled() => self.grace(),
            () = unhealthy.cancelled() => {
                let seconds = number(&self.pod, "/spec/terminationGracePeriodSeconds").unwrap_or(30);
                Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
            }
        };
        if grace.is_zero() {
            return killed;
        }
        let begun = Instant::now();
        let stopping = hook(
            container,
            "preStop",
            &self.node.inner.sockets,
            &running.target,
        );
        let stopped = tokio::select! {
            stopped = stopping => stopped,
            () = self.out_of_time(begun, grace, Duration::ZERO) => Err("it was not through in time".to_owned()),
        };
        if let Err(why) = stopped {
            tracing::info!(
                container = running.target.container,
                why,
                "preStop hook failed"
            );
        }
        let term = Frame::new(Kind::Signal, vec![15]);
        let _ = wire::send(&mut running.control, &term).await;
        let least = begun.elapsed() + LEAST_GRACE;
        tokio::select! {
            outcome = calls::outcome(&mut running.control) => outcome.unwrap_or(killed),
            () = self.out_of_time(begun, grace, least) => killed,
        }
    }

    /// Waits until a container that is being ended has had its time, which a second deletion may shorten. It has `least` unless it
    /// is to go at once.
    async fn out_of_time(&self, begun: Instant, grace: Duration, least: Duration) {
        let mut hurry = tokio::time::interval(Duration::from_millis(500));
        loop {
            let now = if self.ending.is_cancelled() {
                self.grace().min(grace)
            } else {
                grace
            };
            let left = match now {
                Duration::ZERO => Duration::ZERO,
                now => now.max(least).saturating_sub(begun.elapsed()),
            };
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                _ = hurry.tick() => {}
            }
        }
    }

    /// Asks a container's probes until it ends.
    async fn probe(
        self: Arc<Self>,
        slot: Slot,
        target: Target,
        unhealthy: CancellationToken,
        startup: Option<Probe>,
        readiness: Option<Probe>,
    ) {
        let sockets = self.node.inner.sockets.clone();
        if let Some(probe) = startup {
            tokio::time::sleep(probe.initial_delay).await;
            let mut failures = 0;
            while let Err(why) = probe.ask(&sockets, &target).await {
                failures += 1;
                if failures >= probe.failure_threshold {
                    tracing::info!(container = target.container, why, "startup probe failed");
                    return unhealthy.cancel();
                }
                tokio::time::sleep(probe.period).await;
            }
            let ready = readiness.is_none();
            self.change(slot, |state| (state.started, state.ready) = (true, ready));
        }
        let alive = async {
            let Some(probe) = Probe::of(self.container(slot), "livenessProbe") else {
                return;
            };
            tokio::time::sleep(probe.initial_delay).await;
            let mut failures = 0;
            loop {
                match probe.ask(&sockets, &target).await {
                    Ok(()) => failures = 0,
                    Err(why) => {
                        failures += 1;
                        if failures >= probe.failure_threshold {
                            tracing::info!(
                                container = target.container,
                                why,
                                "liveness probe failed"
                            );
                            return unhealthy.cancel();
                        }
                    }
                }
                tokio::time::sleep(probe.period).await;
            }
        };
        let ready = async {
            let Some(probe) = readiness else { return };
            tokio::time::sleep(probe.initial_delay).await;
            let (mut ready, mut same) = (false, 0);
            loop {
                let answer = probe.ask(&sockets, &target).await;
                same = if answer.is_ok() == ready { 0 } else { same + 1 };
                let needed = if ready {
                    probe.failure_threshold
                } else {
                    probe.success_threshold
                };
                if same >= needed {
                    (ready, same) = (!ready, 0);
                    self.change(slot, |state| state.ready = ready);
                }
                // Until it is ready it is asked more often than it says, so that nobody waits for nothing.
                let pause = if ready {
                    probe.period
                } else {
                    probe.period.min(FIRST_PROBES)
                };
                tokio::time::sleep(pause).await;
            }
        };
        tokio::join!(alive, ready);
    }
}
