//! Jobs that work, in memory; jobs that ended, in the folders of their runs, also after a restart.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use fs_err as fs;
use openshifter_migrate::{Report, RunId, StateDir};

use super::watch::{Live, state_of};
use crate::private;
use crate::wire::{JobBody, JobState};

/// What a run's folder holds when the run is a job of the service.
const JOB: &str = "job.json";

/// All jobs.
pub(crate) struct Jobs {
    state: StateDir,
    live: Mutex<HashMap<RunId, Arc<Live>>>,
}

impl Jobs {
    pub(crate) fn new(state: StateDir) -> Self {
        Self {
            state,
            live: Mutex::default(),
        }
    }

    /// Remembers a job that begins.
    pub(crate) fn begin(&self, live: &Arc<Live>) -> io::Result<()> {
        let body = live.body();
        self.keep(&body)?;
        self.lock().insert(body.id, live.clone());
        Ok(())
    }

    /// Remembers how a job ended.
    pub(crate) fn end(&self, body: &JobBody) {
        if let Err(error) = self.keep(body) {
            tracing::warn!(job = %body.id, %error, "the end of a job could not be kept");
        }
        self.lock().remove(&body.id);
    }

    /// A job that works.
    pub(crate) fn live(&self, id: &RunId) -> Option<Arc<Live>> {
        self.lock().get(id).cloned()
    }

    /// A job, also one of an earlier start of the service.
    pub(crate) fn get(&self, id: &RunId) -> Option<JobBody> {
        match self.live(id) {
            Some(live) => Some(live.body()),
            None => self.read(id),
        }
    }

    /// All jobs, the newest first, without their reports.
    pub(crate) fn list(&self) -> io::Result<Vec<JobBody>> {
        let mut jobs: Vec<JobBody> = self
            .state
            .runs()?
            .iter()
            .filter_map(|id| self.get(id))
            .map(|body| JobBody {
                report: None,
                notes: Vec::new(),
                ..body
            })
            .collect();
        jobs.sort_by(|a, b| b.id.cmp(&a.id));
        Ok(jobs)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self, id: &RunId) -> PathBuf {
        self.state.path().join("runs").join(id.as_str())
    }

    fn keep(&self, body: &JobBody) -> io::Result<()> {
        // The ledger has a file of its own.
        let body = JobBody {
            report: None,
            ..body.clone()
        };
        let json = serde_json::to_vec_pretty(&body)?;
        private::write(&self.folder(&body.id).join(JOB), &json)
    }

    fn read(&self, id: &RunId) -> Option<JobBody> {
        let folder = self.folder(id);
        let text = fs::read(folder.join(JOB)).ok()?;
        let mut body: JobBody = serde_json::from_slice(&text)
            .map_err(|error| tracing::warn!(job = %id, %error, "the file of a job is damaged"))
            .ok()?;
        // Parts of a migration leave ledgers too, until its own replaces them.
        let report: Option<Report> = fs::read(folder.join("report.json"))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .filter(|report: &Report| report.operation == body.operation);
        if body.state.is_running() {
            body.state = report.as_ref().map_or(JobState::Interrupted, state_of);
            body.stage = None;
        }
        body.report = report;
        Some(body)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::Timestamp;
    use openshifter_migrate::Side;
    use tokio_util::sync::CancellationToken;

    use super::*;

    pub(in crate::jobs) fn body() -> JobBody {
        let side = Side {
            cluster: "h:1".to_owned(),
            base: "https://h:1/".to_owned(),
            namespace: "shop".to_owned(),
        };
        JobBody {
            id: RunId::new(),
            state: JobState::Running,
            operation: "migrate (copy)".to_owned(),
            source: side.clone(),
            target: side,
            started: Timestamp::now(),
            revision: 0,
            stage: None,
            count: None,
            volumes: Default::default(),
            notes: Vec::new(),
            report: None,
        }
    }

    #[test]
    fn a_job_is_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::new(folder.path());
        let jobs = Jobs::new(state.clone());
        let (done, torn) = (body(), body());
        for body in [&done, &torn] {
            state.run(&body.id).unwrap();
            let live = Arc::new(Live::new(body.clone(), CancellationToken::new()));
            jobs.begin(&live).unwrap();
        }
        let mut report = Report::new(done.id.clone(), "migrate (copy)");
        report.finish();
        let path = folder.path().join("runs").join(done.id.as_str());
        fs::write(
            path.join("report.json"),
            serde_json::to_vec(&report).unwrap(),
        )
        .unwrap();
        let ended = jobs.live(&done.id).unwrap().end(report);
        jobs.end(&ended);
        // A part of the other one came through before the service was killed.
        let part = Report::new(torn.id.clone(), "export");
        let path = folder.path().join("runs").join(torn.id.as_str());
        fs::write(path.join("report.json"), serde_json::to_vec(&part).unwrap()).unwrap();

        let again = Jobs::new(state);
        let found = again.get(&done.id).unwrap();
        assert_eq!(found.state, JobState::Complete);
        assert_eq!(found.report.unwrap().exit_status(), 0);
        let found = again.get(&torn.id).unwrap();
        assert_eq!(found.state, JobState::Interrupted);
        assert!(found.report.is_none());
        assert!(again.get(&RunId::new()).is_none());
        assert_eq!(again.list().unwrap().len(), 2);
    }
}
