//! One run: its id, where it keeps its things, how it is stopped.

use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{Journal, MigrateError, Progress, Silent, StateDir};

/// The label that every object carries which a run created; its value is the run's id.
pub const RUN_LABEL: &str = "openshifter.dev/run";

/// The label of the short-lived pods that read and write volumes.
pub const HELPER_LABEL: &str = "openshifter.dev/helper";

/// Names a run: time and a random part, sorted by time, valid as a label value and a folder name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

impl RunId {
    /// A new one.
    #[expect(clippy::new_without_default, reason = "each one is another")]
    pub fn new() -> Self {
        let now = Timestamp::now();
        let random = uuid::Uuid::new_v4().simple().to_string();
        // Milliseconds, so that runs of one second have an order.
        Self(format!(
            "{}{:03}-{}",
            now.strftime("%Y%m%d-%H%M%S"),
            now.subsec_millisecond(),
            &random[..8]
        ))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The random part, for names of helper pods.
    pub(crate) fn short(&self) -> &str {
        self.0.rsplit('-').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

impl TryFrom<String> for RunId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('-').collect();
        let hex =
            |part: &str, len| part.len() == len && part.bytes().all(|b| b.is_ascii_hexdigit());
        let digits =
            |part: &str, len| part.len() == len && part.bytes().all(|b| b.is_ascii_digit());
        match parts.as_slice() {
            // Six digits are of runs before there were milliseconds.
            [date, time, random]
                if digits(date, 8) && (digits(time, 9) || digits(time, 6)) && hex(random, 8) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(format!(
                "`{text}` is not the id of a run; `openshifter runs` lists them"
            )),
        }
    }
}

/// What all parts of a run share.
#[derive(Clone)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Where it keeps its things.
    pub state: StateDir,
    /// Who hears of it.
    pub progress: Arc<dyn Progress>,
    /// Stops it: what was begun is ended in order, helper pods are removed.
    pub cancel: CancellationToken,
    /// What it changed so far.
    pub journal: Arc<Journal>,
}

impl Run {
    /// Begins a run.
    ///
    /// # Errors
    /// When its folder or journal cannot be made.
    pub fn begin(state: StateDir) -> Result<Self, MigrateError> {
        Self::with_id(state, RunId::new())
    }

    /// Goes on with a run of that id, or begins it.
    ///
    /// # Errors
    /// When its folder or journal cannot be made or read, or somebody else is at work on it.
    pub fn with_id(state: StateDir, id: RunId) -> Result<Self, MigrateError> {
        let folder = state
            .run(&id)
            .map_err(|source| MigrateError::State { source })?;
        let journal = Journal::open(&folder.join("journal.jsonl"))?;
        Ok(Self {
            id,
            state,
            progress: Arc::new(Silent),
            cancel: CancellationToken::new(),
            journal: Arc::new(journal),
        })
    }

    /// A run to look at, which others may be carrying out. Nothing can be done in its name.
    ///
    /// # Errors
    /// When its journal cannot be read.
    pub fn look(state: StateDir, id: RunId) -> Result<Self, MigrateError> {
        let path = state.path().join("runs").join(id.as_str());
        let journal = Journal::look(&path.join("journal.jsonl"))?;
        Ok(Self {
            id,
            state,
            progress: Arc::new(Silent),
            cancel: CancellationToken::new(),
            journal: Arc::new(journal),
        })
    }

    /// Says who hears of it.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// Says what stops it.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Waits for `work`, or until the run is stopped.
    pub(crate) async fn or_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, MigrateError>>,
    ) -> Result<T, MigrateError> {
        tokio::select! {
            result = work => result,
            () = self.cancel.cancelled() => Err(MigrateError::Cancelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_and_nothing_else() {
        let id = RunId::new();
        assert_eq!(id.as_str().parse::<RunId>().unwrap(), id);
        let former: RunId = "20260101-000000-01234567".parse().unwrap();
        let later: RunId = "20260101-000000001-01234567".parse().unwrap();
        assert!(former < later && later < id);
        for bad in [
            "",
            "..",
            "../x",
            "20260101-000000-zzzzzzzz",
            "20260101-000000",
        ] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
    }
}
