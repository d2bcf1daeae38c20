//! How a job stands at this moment, for whoever asks or waits.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use openshifter_migrate::{Outcome, Progress, Report};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::wire::{CountBody, JobBody, JobState};

/// Notes that are kept of a job.
const NOTES: usize = 100;

/// A job that works.
pub(crate) struct Live {
    body: Mutex<JobBody>,
    changed: watch::Sender<u64>,
    pub(crate) cancel: CancellationToken,
}

impl Live {
    pub(crate) fn new(body: JobBody, cancel: CancellationToken) -> Self {
        Self {
            changed: watch::Sender::new(body.revision),
            body: Mutex::new(body),
            cancel,
        }
    }

    pub(crate) fn body(&self) -> JobBody {
        self.body
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until the job is newer than `revision`, but not longer than `patience`.
    pub(crate) async fn newer_than(&self, revision: u64, patience: Duration) -> JobBody {
        let mut changed = self.changed.subscribe();
        // Whether it came or the time is over: what stands now is the answer.
        let _ = tokio::time::timeout(patience, changed.wait_for(|now| *now > revision)).await;
        self.body()
    }

    pub(crate) fn end(&self, report: Report) -> JobBody {
        self.change(|body| {
            body.state = state_of(&report);
            body.stage = None;
            body.count = None;
            body.report = Some(report);
        });
        self.body()
    }

    fn change(&self, change: impl FnOnce(&mut JobBody)) {
        let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut body);
        body.revision += 1;
        self.changed.send_replace(body.revision);
    }
}

pub(crate) fn state_of(report: &Report) -> JobState {
    match report.outcome {
        Outcome::Complete => JobState::Complete,
        Outcome::Incomplete => JobState::Incomplete,
        Outcome::FailedUnchanged => JobState::Failed,
        Outcome::Stopped => JobState::Stopped,
    }
}

impl Progress for Live {
    fn stage(&self, text: &str) {
        self.change(|body| {
            body.stage = Some(text.to_owned());
            body.count = None;
        });
    }

    fn note(&self, text: &str) {
        self.change(|body| {
            if body.notes.len() == NOTES {
                body.notes.remove(0);
            }
            body.notes.push(text.to_owned());
        });
    }

    fn volume(&self, claim: &str, done: u64, total: Option<u64>) {
        self.change(|body| {
            let volume = body.volumes.entry(claim.to_owned()).or_default();
            volume.done = done;
            volume.total = total;
            volume.finished = false;
        });
    }

    fn volume_done(&self, claim: &str) {
        self.change(|body| {
            body.volumes.entry(claim.to_owned()).or_default().finished = true;
        });
    }

    fn count(&self, done: usize, total: usize) {
        self.change(|body| body.count = Some(CountBody { done, total }));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::jobs::store::tests::body;

    #[tokio::test]
    async fn who_waits_hears_of_the_next_change() {
        let live = Arc::new(Live::new(body(), CancellationToken::new()));
        let waiting = tokio::spawn({
            let live = live.clone();
            async move { live.newer_than(0, Duration::from_secs(60)).await }
        });
        live.volume("data", 5, Some(10));
        let heard = waiting.await.unwrap();
        assert_eq!(heard.revision, 1);
        assert_eq!(heard.volumes["data"].done, 5);
        live.volume_done("data");
        live.stage("importing");
        live.count(1, 2);
        // What is newer already is answered at once.
        let now = live.newer_than(1, Duration::from_secs(60)).await;
        assert!(now.volumes["data"].finished);
        assert_eq!(now.stage.as_deref(), Some("importing"));
        let mut report = Report::new(now.id.clone(), "migrate (copy)");
        report.finish();
        assert_eq!(live.end(report).state, JobState::Complete);
    }
}
