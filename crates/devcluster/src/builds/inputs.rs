//! Sources that clients upload: each waits for the build that it is for, or the build for it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::io::AsyncRead;
use tokio::sync::{Notify, oneshot};

use super::Builder;
use super::status::is_over;
use crate::object::{self, resources};

/// Namespace and name of a build.
pub(super) type Key = (String, String);

/// An upload.
pub(crate) struct Upload {
    /// Its bytes.
    pub(crate) body: Box<dyn AsyncRead + Send + Unpin>,
    /// They are one file of this name; none: an archive.
    pub(crate) as_file: Option<String>,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload")
            .field("as_file", &self.as_file)
            .finish_non_exhaustive()
    }
}

/// An upload, and who waits for its end.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) input: Upload,
    pub(super) taken: oneshot::Sender<Result<(), String>>,
}

/// Uploads that no build has taken yet.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    arrived: Mutex<HashMap<Key, Arrived>>,
    changed: Notify,
}

pub(super) fn key(build: &Value) -> Key {
    (
        object::namespace(build).to_owned(),
        object::name(build).to_owned(),
    )
}

impl Inputs {
    fn arrived(&self) -> MutexGuard<'_, HashMap<Key, Arrived>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the upload of a build.
    pub(super) async fn wait(&self, key: &Key) -> Arrived {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no arrival is missed.
            changed.as_mut().enable();
            if let Some(arrived) = self.arrived().remove(key) {
                return arrived;
            }
            changed.await;
        }
    }

    /// Forgets an upload that no build will take; whoever sends it is told.
    pub(super) fn forget(&self, key: &Key) {
        self.arrived().remove(key);
    }
}

impl Builder {
    /// Hands an upload to its build. Returns when the build has read all of it.
    ///
    /// # Errors
    /// Why it is not taken: no such build, one that is over, or a source that cannot be unpacked.
    pub(crate) async fn take_source(
        &self,
        namespace: &str,
        build: &str,
        input: Upload,
    ) -> Result<(), String> {
        let key = (namespace.to_owned(), build.to_owned());
        let gone =
            || format!("build {namespace}/{build} takes no source: it is over, or not there");
        let (taken, answer) = oneshot::channel();
        self.inner
            .inputs
            .arrived()
            .insert(key.clone(), Arrived { input, taken });
        self.inner.inputs.changed.notify_waiters();
        let found = self
            .inner
            .store
            .get(&resources::builds(), Some(namespace), build);
        // Looked at after it was left: a build that ends from here on forgets it.
        if found.is_none_or(|build| is_over(&build)) {
            self.inner.inputs.forget(&key);
        }
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}
