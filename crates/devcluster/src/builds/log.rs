//! Logs of builds: written line by line, read while they grow.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use openshifter_apiserver::{LogRequest, NodeError};
use tokio::io::AsyncRead;

use super::Builder;
use super::status::is_over;
use crate::node::read_log;
use crate::object::{self, resources};

/// Lines of a failed build that its status shows.
const SNIPPET: usize = 5;

/// A log that is written to. Clones write to the same.
#[derive(Debug, Clone)]
pub(super) struct Log {
    file: Arc<Mutex<std::fs::File>>,
}

/// Which part of a build's log.
#[derive(Debug, Default)]
pub(crate) struct LogPart {
    pub(crate) follow: bool,
    pub(crate) tail_lines: Option<usize>,
    pub(crate) limit_bytes: Option<u64>,
}

impl Log {
    pub(super) fn create(path: &Path) -> std::io::Result<Self> {
        let file = fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?;
        Ok(Self {
            file: Arc::new(Mutex::new(file.into_parts().0)),
        })
    }

    /// Adds a line. What cannot be written is lost: a build does not fail for its log.
    pub(super) fn line(&self, text: &str) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writeln!(file, "{text}") {
            tracing::warn!(%error, "the log of a build cannot be written");
        }
    }

    /// The file, for a process to write to.
    pub(super) fn file(&self) -> std::io::Result<std::fs::File> {
        self.file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .try_clone()
    }
}

/// The last lines of a log, for the status of a build that failed.
pub(super) fn snippet(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SNIPPET)..].join("\n")
}

impl Builder {
    /// A build's log; followed, it ends with the build.
    pub(crate) async fn log(
        &self,
        namespace: &str,
        name: &str,
        part: LogPart,
    ) -> Result<Box<dyn AsyncRead + Send + Unpin>, NodeError> {
        let store = &self.inner.store;
        let missing = || NodeError::NotStarted(name.to_owned());
        let mut events = store.subscribe();
        let mut build = store
            .get(&resources::builds(), Some(namespace), name)
            .ok_or_else(missing)?;
        while part.follow && !self.log_path(&build).exists() && !is_over(&build) {
            let _ = events.next().await;
            build = store
                .get(&resources::builds(), Some(namespace), name)
                .ok_or_else(missing)?;
        }
        let path = self.log_path(&build);
        if !path.exists() {
            return Err(missing());
        }
        let (builder, uid) = (self.clone(), object::uid(&build).to_owned());
        let request = LogRequest {
            follow: part.follow,
            tail_lines: part.tail_lines,
            limit_bytes: part.limit_bytes,
            ..LogRequest::default()
        };
        read_log(path, request, move || !builder.active().contains_key(&uid)).await
    }
}
