//! Builds: sources fetched or uploaded, an image made of them, pushed to the cluster's registry and
//! tagged; with a log that can be followed and an end that can be brought about.

mod dockerfile;
mod git;
mod inputs;
mod log;
mod output;
mod run;
mod s2i;
mod source;
mod status;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openshifter_apiserver::Store;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::images::Images;
use crate::node::Node;
use crate::object;

pub(crate) use inputs::Upload;
pub(crate) use log::LogPart;
pub(crate) use status::{End, Failure, finish, is_over};

/// Runs a cluster's builds. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Builder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    images: Images,
    node: Node,
    /// Logs, by uid of the build, and folders that are worked in.
    folder: PathBuf,
    /// Builds that run, by uid.
    active: Mutex<HashMap<String, CancellationToken>>,
    inputs: inputs::Inputs,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Builder {
    /// A builder that keeps its logs below the data folder.
    pub(crate) fn new(
        store: Store,
        images: Images,
        node: Node,
        folder: PathBuf,
    ) -> std::io::Result<Self> {
        fs_err::create_dir_all(folder.join("logs"))?;
        crate::trees::remove(&folder.join("work"))?;
        fs_err::create_dir_all(folder.join("work"))?;
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                images,
                node,
                folder,
                active: Mutex::default(),
                inputs: inputs::Inputs::default(),
                tasks: TaskTracker::new(),
                stopping: CancellationToken::new(),
            }),
        })
    }

    fn active(&self) -> MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.inner
            .active
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a build runs.
    pub(crate) fn is_active(&self, build: &Value) -> bool {
        self.active().contains_key(object::uid(build))
    }

    /// Runs a build; its status is written as it goes on.
    pub(crate) fn start(&self, build: Value) {
        let cancelled = self.inner.stopping.child_token();
        let uid = object::uid(&build).to_owned();
        if self
            .active()
            .insert(uid.clone(), cancelled.clone())
            .is_some()
        {
            return;
        }
        let builder = self.clone();
        self.inner.tasks.spawn(async move {
            run::run(&builder, &build, &cancelled).await;
            builder.inner.inputs.forget(&inputs::key(&build));
            builder.active().remove(&uid);
        });
    }

    /// Ends a build that runs.
    pub(crate) fn cancel(&self, build: &Value) {
        if let Some(token) = self.active().get(object::uid(build)) {
            token.cancel();
        }
    }

    fn log_path(&self, build: &Value) -> PathBuf {
        let name = format!("{}.log", object::uid(build));
        self.inner.folder.join("logs").join(name)
    }

    /// Removes what is kept of builds that are gone.
    pub(crate) fn forget(&self, build: &Value) {
        // Followers have it open; others have no way to it any more.
        let _ = std::fs::remove_file(self.log_path(build));
    }

    /// Ends all builds. Their status stays as it is: they did not fail, the cluster did.
    pub(crate) async fn stop(&self) {
        self.inner.stopping.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}
