//! Backup charts whose time is over.
//!
//! What an import overwrites is kept in a chart first. It is somebody's data, so nothing here removes one unless its run
//! came through and was not taken back: else the chart may be the only copy.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fs_err as fs;
use serde::Serialize;

use crate::{Event, Journal, MigrateError, RunId, StateDir};

/// What nobody has written to for so long was left by a program that was killed.
const DAY: Duration = Duration::from_secs(86_400);

/// A chart that a run has kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptChart {
    /// Its folder.
    pub chart: PathBuf,
    /// The run that kept it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Why it stays. None when its time is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stays: Option<String>,
}

impl StateDir {
    /// The charts that runs have kept, and which of them are over: those of runs that came through, `keep` ago or earlier.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn kept_charts(&self, keep: Duration) -> Result<Vec<KeptChart>, MigrateError> {
        let failed = |source| MigrateError::State { source };
        let mut charts = Vec::new();
        for entry in fs::read_dir(self.charts().map_err(failed)?).map_err(failed)? {
            let chart = entry.map_err(failed)?.path();
            if is_unfinished(&chart) {
                charts.push(KeptChart {
                    stays: unfinished(&chart),
                    chart,
                    run: None,
                });
                continue;
            }
            let run = chart
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(run_of);
            let stays = match &run {
                Some(run) => self.why(run, keep),
                None => Some("it belongs to no run".to_owned()),
            };
            charts.push(KeptChart { chart, run, stays });
        }
        charts.sort_by(|a, b| a.chart.cmp(&b.chart));
        Ok(charts)
    }

    /// Removes the charts whose time is over. Each vanishes as a whole, so that no half of one is taken for a chart.
    ///
    /// # Errors
    /// When one cannot be removed; those before it are.
    pub fn prune(&self, charts: &[KeptChart]) -> Result<(), MigrateError> {
        let failed = |source| MigrateError::State { source };
        for kept in charts.iter().filter(|kept| kept.stays.is_none()) {
            let spool = self.spool().map_err(failed)?;
            match fs::rename(&kept.chart, spool.path().join("chart")) {
                // Somebody else was faster.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                renamed => renamed.map_err(failed)?,
            }
            tracing::info!(chart = %kept.chart.display(), "a backup chart was removed, since its time is over");
        }
        Ok(())
    }

    fn why(&self, run: &RunId, keep: Duration) -> Option<String> {
        let path = self
            .path()
            .join("runs")
            .join(run.as_str())
            .join("journal.jsonl");
        let stays = |why: &str| Some(why.to_owned());
        let (Ok(journal), Ok(ended)) = (
            Journal::look(&path),
            fs::metadata(&path).and_then(|it| it.modified()),
        ) else {
            return stays("its run's journal cannot be read");
        };
        if journal.at_work() {
            return stays("its run is at work");
        }
        let (Ok(status), Ok(events)) = (journal.status(), journal.events()) else {
            return stays("its run's journal cannot be read");
        };
        if events.contains(&Event::Undone) {
            return stays("its run was undone: what was there before it may be nowhere else");
        }
        if status != Some(0) {
            return stays("its run did not come through: it may be the only copy");
        }
        // A clock that was set back makes nothing older.
        let age = SystemTime::now().duration_since(ended).unwrap_or_default();
        (age < keep).then(|| "it is not old enough".to_owned())
    }
}

/// A chart that is being written, or was when the program was killed.
fn is_unfinished(chart: &Path) -> bool {
    let name = chart.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(".openshifter-") && name.ends_with(".partial"))
}

/// Why an unfinished chart stays: something was written to it of late.
fn unfinished(chart: &Path) -> Option<String> {
    let age = SystemTime::now()
        .duration_since(newest(chart)?)
        .unwrap_or_default();
    (age < DAY).then(|| "it may still be written".to_owned())
}

/// When a file was last added to a folder or one in it. None when it is gone meanwhile.
fn newest(folder: &Path) -> Option<SystemTime> {
    let own = fs::symlink_metadata(folder).ok()?.modified().ok()?;
    let below = fs::read_dir(folder).ok()?.flatten().filter_map(|entry| {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        is_folder.then(|| newest(&entry.path())).flatten()
    });
    below.chain([own]).max()
}

/// Charts are named `<project>-<run>` and `<project>-before-<run>`.
fn run_of(name: &str) -> Option<RunId> {
    let mut dashes = name.rmatch_indices('-').map(|(at, _)| at);
    let start = dashes.nth(2)? + 1;
    name.get(start..)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Run;

    /// A state folder with the chart of one run, whose journal ends like this.
    fn kept(events: &[Event]) -> (tempfile::TempDir, StateDir, Run) {
        let home = tempfile::tempdir().unwrap();
        let state = StateDir::new(home.path());
        let run = Run::begin(state.clone()).unwrap();
        let chart = state
            .charts()
            .unwrap()
            .join(format!("shop-before-{}", run.id));
        fs::create_dir(&chart).unwrap();
        fs::write(chart.join("Chart.yaml"), "name: shop").unwrap();
        for event in events {
            run.journal.write(event.clone()).unwrap();
        }
        (home, state, run)
    }

    fn stays(state: &StateDir, keep: Duration) -> Option<String> {
        let mut charts = state.kept_charts(keep).unwrap();
        assert_eq!(charts.len(), 1);
        charts.remove(0).stays
    }

    #[test]
    fn a_chart_of_a_complete_run_is_removed_when_it_is_old_enough() {
        let (_home, state, run) = kept(&[Event::Finished { status: 0 }]);
        assert_eq!(
            stays(&state, Duration::ZERO).as_deref(),
            Some("its run is at work")
        );
        drop(run);
        assert_eq!(stays(&state, DAY).as_deref(), Some("it is not old enough"));
        let charts = state.kept_charts(DAY).unwrap();
        state.prune(&charts).unwrap();
        assert!(charts[0].chart.exists());
        assert_eq!(stays(&state, Duration::ZERO), None);
        state
            .prune(&state.kept_charts(Duration::ZERO).unwrap())
            .unwrap();
        assert!(!charts[0].chart.exists());
    }

    #[test]
    fn what_may_be_the_only_copy_stays_for_ever() {
        for events in [
            vec![],
            vec![Event::Finished { status: 1 }],
            vec![
                Event::Finished { status: 0 },
                Event::Undone,
                Event::Finished { status: 0 },
            ],
        ] {
            let (_home, state, run) = kept(&events);
            drop(run);
            assert_ne!(stays(&state, Duration::ZERO), None, "{events:?}");
        }
        let (_home, state, run) = kept(&[Event::Finished { status: 0 }]);
        fs::remove_dir_all(state.run(&run.id).unwrap()).unwrap();
        drop(run);
        assert_ne!(stays(&state, Duration::ZERO), None);
    }

    #[test]
    fn what_was_never_finished_goes_after_a_day() {
        let home = tempfile::tempdir().unwrap();
        let state = StateDir::new(home.path());
        let left = state.charts().unwrap().join(".openshifter-x.partial");
        fs::create_dir_all(left.join("data")).unwrap();
        assert_ne!(stays(&state, Duration::ZERO), None);
        let ago = SystemTime::now() - 2 * DAY;
        for folder in [left.join("data"), left.clone()] {
            std::fs::File::open(folder)
                .unwrap()
                .set_modified(ago)
                .unwrap();
        }
        assert_eq!(stays(&state, DAY), None);
        state.prune(&state.kept_charts(DAY).unwrap()).unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn a_chart_is_of_the_run_that_its_name_ends_with() {
        let id = RunId::new();
        assert_eq!(run_of(&format!("a-b-before-{id}")), Some(id.clone()));
        assert_eq!(run_of(&format!("a-{id}")), Some(id));
        assert_eq!(run_of("mine"), None);
        assert_eq!(run_of("mine-of-last-year"), None);
    }
}
