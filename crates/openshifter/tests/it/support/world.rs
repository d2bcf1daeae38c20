//! The two clusters of a test and the folder that it works in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use openshifter_devcluster::Config;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::support::{Dev, Space};

/// Clusters that a test has for itself; they end with it.
pub(crate) struct World {
    pub(crate) minishift: Dev,
    /// The other cluster, where the test asked for one.
    production: Option<Dev>,
    folder: TempDir,
    _runtime: Arc<Runtime>,
}

impl World {
    /// Starts two clusters.
    pub(crate) fn start() -> Self {
        Self::of(true)
    }

    /// Starts one cluster.
    pub(crate) fn small() -> Self {
        Self::of(false)
    }

    fn of(both: bool) -> Self {
        // A second test of this process finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("there are threads");
        let runtime = Arc::new(runtime);
        let start = |name: &str| {
            let agent = env!("CARGO_BIN_EXE_openshifter");
            let mut config = Config::new(name, folder.path().join(name), agent);
            config.users = vec![
                ("developer".to_owned(), None),
                ("stranger".to_owned(), None),
            ];
            Dev::start(config, &runtime, folder.path())
        };
        Self {
            minishift: start("minishift"),
            production: both.then(|| start("production")),
            folder,
            _runtime: Arc::clone(&runtime),
        }
    }

    /// The second cluster.
    #[track_caller]
    pub(crate) fn production(&self) -> &Dev {
        self.production
            .as_ref()
            .expect("the test started two clusters")
    }

    /// A project of one name at the source, made, and at the target, not made.
    pub(crate) fn pair(&self, name: &str) -> (Space<'_>, Space<'_>) {
        (self.minishift.project(name), self.production().absent(name))
    }

    /// A path in the test's own folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes `input.json` into a folder: both clusters by their names, with the project that each stands for.
    pub(crate) fn write_input(&self, folder: &Path, project: &str, target_project: &str) {
        let mut credentials = Map::new();
        credentials.insert("minishift".to_owned(), entry(&self.minishift, project));
        if let Some(production) = &self.production {
            credentials.insert("production".to_owned(), entry(production, target_project));
        }
        let text = json!({"credentials": credentials}).to_string();
        std::fs::write(folder.join("input.json"), text).expect("the file can be written");
    }
}

fn entry(cluster: &Dev, project: &str) -> Value {
    json!({
        "base": cluster.base(), "project": project,
        "username": "developer", "password": cluster.password("developer"),
        "ca": cluster.ca(),
    })
}
