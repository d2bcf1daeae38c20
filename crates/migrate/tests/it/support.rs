//! Runs with a state folder of their own, and what is asked of them often.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use openshifter_chart::Chart;
use openshifter_cluster::{Access, Cluster};
use openshifter_migrate::{
    Allow, ChartForm, ExportOptions, Failed, ImportOptions, Progress, Report, Run, StateDir,
    export, import, open_chart,
};

use crate::devcluster::Dev;

/// A folder for state and charts.
pub(crate) struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn run(&self) -> Run {
        Run::begin(StateDir::new(self.path("state"))).unwrap()
    }

    /// The run of that report, as another process would find it.
    pub(crate) fn again(&self, report: &Report) -> Run {
        Run::with_id(StateDir::new(self.path("state")), report.run.clone()).unwrap()
    }

    /// Exports a project into a folder of this name.
    pub(crate) async fn export(&self, cluster: &Cluster, project: &str, name: &str) -> Chart {
        let form = ChartForm::Folder(self.path(name));
        export(
            &self.run(),
            cluster,
            project,
            &ExportOptions::default(),
            &form,
        )
        .await
        .unwrap();
        self.open(&self.path(name)).await
    }

    pub(crate) async fn open(&self, path: &Path) -> Chart {
        open_chart(path, &self.path("spool"), Allow::default())
            .await
            .unwrap()
    }
}

/// Logs in.
pub(crate) async fn connect(cluster: &Dev) -> Cluster {
    Cluster::connect(&cluster.access()).await.unwrap()
}

/// Logs in by another address of the same cluster.
pub(crate) async fn connect_by(cluster: &Dev, address: std::net::SocketAddr) -> Cluster {
    let access = Access {
        base: Access::parse_base(&address.to_string()).unwrap(),
        ..cluster.access()
    };
    Cluster::connect(&access).await.unwrap()
}

/// Imports, which must come through.
pub(crate) async fn imported(
    run: &Run,
    chart: &Chart,
    cluster: &Cluster,
    project: &str,
    options: &ImportOptions,
) -> Report {
    let ended = import(run, chart, cluster, project, options).await;
    let report = ended.unwrap_or_else(|failed| panic!("{}", failed.report.text()));
    assert_eq!(report.exit_status(), 0, "{}", report.text());
    report
}

/// How far a run came that must not come through.
#[track_caller]
pub(crate) fn failure(ended: Result<Report, Box<Failed>>) -> Box<Failed> {
    match ended {
        Ok(report) => panic!("it came through: {}", report.text()),
        Err(failed) => failed,
    }
}

/// Does something when this many bytes of a volume have passed.
pub(crate) struct When<F: Fn() + Send + Sync> {
    pub(crate) bytes: u64,
    pub(crate) once: std::sync::Once,
    pub(crate) act: F,
}

impl<F: Fn() + Send + Sync + 'static> When<F> {
    pub(crate) fn bytes(bytes: u64, act: F) -> Arc<dyn Progress> {
        Arc::new(Self {
            bytes,
            once: std::sync::Once::new(),
            act,
        })
    }
}

impl<F: Fn() + Send + Sync> Progress for When<F> {
    fn volume(&self, _claim: &str, done: u64, _total: Option<u64>) {
        if done >= self.bytes {
            self.once.call_once(|| (self.act)());
        }
    }
}
