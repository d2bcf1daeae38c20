//! The status of a build, as far as it has got.

use openshifter_apiserver::Store;
use serde_json::{Value, json};

use crate::object::{self, resources, text};

/// Why a build failed: the reason and message that a genuine cluster gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// What the log is told about it.
    pub(crate) detail: String,
}

impl Failure {
    pub(crate) fn new(reason: &'static str, message: &str, detail: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.to_owned(),
            detail: detail.into(),
        }
    }

    pub(super) fn source(detail: impl Into<String>) -> Self {
        Self::new(
            "FetchSourceFailed",
            "Failed to fetch the input source.",
            detail,
        )
    }

    pub(super) fn push(detail: impl Into<String>) -> Self {
        Self::new(
            "PushImageToRegistryFailed",
            "Failed to push the image to the registry.",
            detail,
        )
    }

    pub(super) fn generic(detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::new(
            "GenericBuildFailed",
            "Generic Build failure - check logs for details.",
            detail,
        )
    }
}

/// Whether a build has ended.
pub(crate) fn is_over(build: &Value) -> bool {
    matches!(
        text(build, "/status/phase"),
        "Complete" | "Failed" | "Cancelled" | "Error"
    )
}

/// Enters a phase that is not the last.
pub(super) fn enter(store: &Store, build: &Value, phase: &str) {
    write(store, build, |build| {
        build["status"]["phase"] = json!(phase);
        if phase == "Running" {
            build["status"]["startTimestamp"] = json!(object::now());
        }
        for known in ["New", "Pending", "Running"] {
            if known == phase || object::condition(build, known).is_some() {
                object::set_condition(build, known, known == phase, "", "", true);
            }
        }
    });
}

/// Notes what was fetched.
pub(super) fn set_revision(store: &Store, build: &Value, revision: &Value) {
    let (namespace, name) = (object::namespace(build), object::name(build));
    let written = store.update(&resources::builds(), Some(namespace), name, |build| {
        build["spec"]["revision"] = revision.clone();
    });
    if let Err(error) = written {
        tracing::debug!(%name, error = error.message(), "the revision of a build was not written");
    }
}

/// What a build comes to.
#[derive(Debug)]
pub(crate) enum End {
    /// The reference of its output, if it has one, and the image's digest.
    Complete(Option<(String, String)>),
    /// Why not, and the last lines of its log.
    Failed(Failure, String),
    /// Somebody wanted it to end.
    Cancelled,
}

/// Writes its end.
pub(crate) fn finish(store: &Store, build: &Value, end: &End) {
    write(store, build, |build| {
        let now = object::now();
        let started = text(build, "/status/startTimestamp").to_owned();
        let status = &mut build["status"];
        status["completionTimestamp"] = json!(now);
        if let Some(seconds) = object::seconds_since(&started) {
            // In nanoseconds, as a duration is in Go.
            status["duration"] = json!(seconds.saturating_mul(1_000_000_000));
        }
        let (phase, reason, message) = match end {
            End::Complete(output) => {
                if let Some((reference, digest)) = output {
                    status["outputDockerImageReference"] = json!(reference);
                    status["output"] = json!({"to": {"imageDigest": digest}});
                }
                ("Complete", "", "")
            }
            End::Failed(why, snippet) => {
                if !snippet.is_empty() {
                    status["logSnippet"] = json!(snippet);
                }
                ("Failed", why.reason, why.message.as_str())
            }
            End::Cancelled => (
                "Cancelled",
                "CancelledBuild",
                "The build was cancelled by the user.",
            ),
        };
        status["phase"] = json!(phase);
        if !reason.is_empty() {
            status["reason"] = json!(reason);
            status["message"] = json!(message);
        }
        for known in ["New", "Pending", "Running"] {
            if object::condition(build, known).is_some() {
                object::set_condition(build, known, false, "", "", true);
            }
        }
        object::set_condition(build, phase, true, reason, message, true);
    });
}

fn write(store: &Store, build: &Value, change: impl Fn(&mut Value)) {
    let (namespace, name) = (object::namespace(build), object::name(build));
    let uid = object::uid(build);
    let written = store.update_status(&resources::builds(), Some(namespace), name, |build| {
        if object::uid(build) == uid {
            change(build);
        }
    });
    if let Err(error) = written {
        tracing::debug!(%name, error = error.message(), "the status of a build was not written");
    }
}
