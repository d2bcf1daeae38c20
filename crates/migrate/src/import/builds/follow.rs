//! Follows builds, their logs with them.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use openshifter_cluster::{Cluster, ClusterError, LogOptions};
use serde_json::Value;
use tokio::time::timeout;

use super::{build, phase};
use crate::{MigrateError, Run};

/// How long the end of a log may take after the end of its build.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Lines of the log of a failed build that are told, and bytes of it that are kept to find them.
const LINES: u64 = 20;
const LOG: usize = 64 << 10;

/// What a build has made.
pub(super) struct Made {
    pub(super) digest: Option<String>,
    /// The commit that was built.
    pub(super) commit: Option<String>,
}

/// Follows a build to its end, its log with it.
pub(super) async fn follow(
    run: &Run,
    target: &Cluster,
    namespace: &str,
    name: &str,
    patience: Duration,
) -> Result<Made, MigrateError> {
    let kind = build();
    let end = target.wait(&kind, Some(namespace), name, patience, |build| {
        build.is_none_or(|build| {
            matches!(phase(build), "Complete" | "Failed" | "Error" | "Cancelled")
        })
    });
    let (end, log) = (pin!(end), pin!(tell_log(run, target, namespace, name)));
    let too_long = |error: ClusterError| match error.is_timeout() {
        true => MigrateError::Build {
            build: name.to_owned(),
            reason: format!(
                "it has not ended after {} s; `openshifter resume` goes on with it, a longer `--timeout` of an import or a migration waits longer",
                patience.as_secs()
            ),
        },
        false => error.into(),
    };
    let ended = match select(end, log).await {
        Either::Left((ended, log)) => {
            // What it wrote last is still on its way.
            if timeout(LAST_WORDS, log).await.is_err() {
                tracing::debug!(build = name, "its log has no end");
            }
            ended.map_err(too_long)?
        }
        Either::Right(((), end)) => end.await.map_err(too_long)?,
    };
    let Some(ended) = ended else {
        return Err(MigrateError::Build {
            build: name.to_owned(),
            reason: "it was removed".to_owned(),
        });
    };
    let told = |pointer: &str| {
        let text = ended.value().pointer(pointer).and_then(Value::as_str);
        text.map(str::to_owned)
    };
    let commit = told("/spec/revision/git/commit");
    if phase(&ended) == "Complete" {
        return Ok(Made {
            digest: told("/status/output/to/imageDigest"),
            commit,
        });
    }
    let status = &ended.value()["status"];
    let text = |field: &str| status[field].as_str().unwrap_or_default();
    let log = match last_lines(target, namespace, name).await {
        log if log.is_empty() => text("logSnippet").to_owned(),
        log => log,
    };
    let mut reason = format!("{} {}", text("phase"), text("message"))
        .trim()
        .to_owned();
    if let Some(commit) = commit.filter(|_| status["reason"] == "FetchSourceFailed") {
        reason = format!(
            "{reason} It was to be of commit {commit}, as the image at the source is; where the repository does not have that any more, `openshifter resume` takes a build of another one that you start"
        );
    }
    if !log.trim().is_empty() {
        reason = format!("{reason}; its log ends with: {}", log.trim());
    }
    Err(MigrateError::Build {
        build: name.to_owned(),
        reason,
    })
}

/// A line of a log that is longer is told in parts.
const LINE: usize = 8192;

/// Writes the log of a build into ours, for as long as it is followed.
async fn tell_log(run: &Run, target: &Cluster, namespace: &str, name: &str) {
    let options = LogOptions {
        follow: true,
        ..LogOptions::default()
    };
    loop {
        // Servers wait ten seconds for a build to begin, and then say no.
        match target.build_log(namespace, name, &options).await {
            Ok(mut log) => {
                let mut rest = Vec::new();
                while let Ok(Some(bytes)) = log.chunk().await {
                    rest.extend_from_slice(&bytes);
                    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                        let line: Vec<u8> = rest.drain(..=end).collect();
                        let line = String::from_utf8_lossy(&line);
                        run.progress.note(&format!("{name}: {}", line.trim_end()));
                    }
                    // What draws a bar ends no line.
                    if rest.len() >= LINE {
                        let line = String::from_utf8_lossy(&rest);
                        run.progress.note(&format!("{name}: {}", line.trim_end()));
                        rest.clear();
                    }
                }
                if !rest.is_empty() {
                    let line = String::from_utf8_lossy(&rest);
                    run.progress.note(&format!("{name}: {}", line.trim_end()));
                }
                return;
            }
            Err(error) if error.is_forbidden() || error.is_not_found() => return,
            Err(error) => {
                tracing::debug!(build = name, %error, "there is no log yet");
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        }
    }
}

/// The last lines of a build's log; nothing when it cannot be had.
async fn last_lines(target: &Cluster, namespace: &str, name: &str) -> String {
    let options = LogOptions {
        tail: Some(LINES),
        ..LogOptions::default()
    };
    let mut text = Vec::new();
    if let Ok(mut log) = target.build_log(namespace, name, &options).await {
        while let Ok(Some(bytes)) = log.chunk().await {
            text.extend_from_slice(&bytes);
            // Servers that do not know `tailLines` send all of it.
            let more = text.len().saturating_sub(LOG);
            text.drain(..more);
        }
    }
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LINES as usize);
    lines[from..].join("\n")
}
