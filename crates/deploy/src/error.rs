//! Why a step failed, in words for the person who asked.

use std::io;
use std::path::PathBuf;

use openshifter_cluster::ClusterError;

/// Why something could not be built, deployed or reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The cluster refused, or could not be asked.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A file or folder of this machine.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file or folder of this machine.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Something else was expected there.
    #[error("{} is not {wanted}", .path.display())]
    NotA {
        /// Where.
        path: PathBuf,
        /// What was expected, as in `a folder`.
        wanted: &'static str,
    },
    /// An argument that names nothing of its kind.
    #[error("`{text}` {reason}")]
    BadTarget {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing of that name is there.
    #[error("{cluster}: there is no {what} in {namespace}")]
    NotFound {
        /// Name of the cluster.
        cluster: String,
        /// The project.
        namespace: String,
        /// What was looked for, as in `DeploymentConfig/django`.
        what: String,
    },
    /// There is nothing to talk to.
    #[error("{cluster}: {what} in {namespace} has no running pod{}", reason(.why))]
    NoPod {
        /// Name of the cluster.
        cluster: String,
        /// The project.
        namespace: String,
        /// What its pods were looked for of.
        what: String,
        /// What its pods wait for, if there are any.
        why: String,
    },
    /// The pod has no container of that name.
    #[error("{cluster}: Pod/{pod} in {namespace} has no container `{container}`")]
    NoContainer {
        /// Name of the cluster.
        cluster: String,
        /// The project.
        namespace: String,
        /// The pod.
        pod: String,
        /// What was asked for.
        container: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A build ended, but not well.
    #[error("{cluster}: Build/{build} in {namespace} {}: {why}{}", ended(.phase), last_lines(.log))]
    BuildFailed {
        /// Name of the cluster.
        cluster: String,
        /// The project.
        namespace: String,
        /// The build.
        build: String,
        /// `Failed`, `Error` or `Cancelled`.
        phase: String,
        /// The cluster's reason and message.
        why: String,
        /// The end of its log.
        log: String,
    },
    /// New pods do not come up.
    #[error("{cluster}: {what} in {namespace} does not roll out: {why}{}", last_lines(.log))]
    RolloutFailed {
        /// Name of the cluster.
        cluster: String,
        /// The project.
        namespace: String,
        /// The workload.
        what: String,
        /// What its pods or its conditions say.
        why: String,
        /// The end of a pod's log.
        log: String,
    },
    /// The hook that makes the first administrator failed.
    #[error("{cluster}: the setup hook in Pod/{pod} ended with exit status {status}{}", last_lines(.log))]
    SetupFailed {
        /// Name of the cluster.
        cluster: String,
        /// The pod.
        pod: String,
        /// Its exit status.
        status: i32,
        /// What it wrote.
        log: String,
    },
    /// The application does not answer as it should.
    #[error("{cluster}: {what} in {namespace} does not answer {path}: {why}")]
    Unhealthy {
        /// Name of the cluster.
        cluster: String,
        /// The project.
        namespace: String,
        /// The service.
        what: String,
        /// What was asked for.
        path: String,
        /// What came.
        why: String,
    },
    /// A copy did not arrive whole.
    #[error("cannot copy {from} to {to}: {why}")]
    Copy {
        /// Where from.
        from: String,
        /// Where to.
        to: String,
        /// What happened.
        why: String,
    },
    /// The tree is not one that can be deployed.
    #[error("{} cannot be deployed: {why}", .path.display())]
    NotDeployable {
        /// The tree.
        path: PathBuf,
        /// Why not.
        why: String,
        /// What to do.
        hint: String,
    },
    /// Values that nobody gave.
    #[error("the application needs values that nobody gave: {}", .names.join(", "))]
    MissingValues {
        /// Their names.
        names: Vec<String>,
    },
    /// The manifests cannot be made.
    #[error(transparent)]
    Manifests(#[from] openshifter_v2::V2Error),
    /// A task of ours ended in a way that it never should.
    #[error("a task of this program failed: {0}")]
    Task(String),
}

fn reason(why: &str) -> String {
    if why.is_empty() {
        String::new()
    } else {
        format!(": {why}")
    }
}

fn ended(phase: &str) -> &'static str {
    match phase {
        "Cancelled" => "was cancelled",
        _ => "failed",
    }
}

fn last_lines(log: &str) -> String {
    match log.trim_end() {
        "" => String::new(),
        log => format!("; its log ends with:\n{}", indented(log)),
    }
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("  | {line}")).collect();
    lines.join("\n")
}

impl DeployError {
    /// What to do next, where there is something sensible to say.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Cluster(error) => return error.hint(),
            Self::NotFound { .. } => "check the name and the project (-n)".into(),
            Self::NoPod { .. } => "look at its pods with `openshifter logs`, or scale it up".into(),
            Self::NoContainer { known, .. } => format!("it has: {}", known.join(", ")),
            Self::BuildFailed { phase, .. } if phase == "Cancelled" => {
                "start it again, or deploy again".into()
            }
            Self::BuildFailed { build, .. } => {
                format!(
                    "mend what the log names and run the same again; all of the log: openshifter logs build/{build}"
                )
            }
            Self::RolloutFailed { .. } => {
                "mend what the log names and deploy again; nothing has to be removed first".into()
            }
            Self::SetupFailed { .. } => {
                "deploy again to try it again, or leave it out with --skip-setup".into()
            }
            Self::Unhealthy { what, .. } => {
                format!(
                    "read what it says: openshifter logs {}",
                    what.to_lowercase()
                )
            }
            Self::NotDeployable { hint, .. } => hint.clone(),
            Self::MissingValues { .. } => {
                "give them in a file of lines NAME=VALUE with --values, or answer on a terminal"
                    .into()
            }
            _ => return None,
        })
    }

    /// Whether it is a mistake of the call.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::BadTarget { .. } | Self::NotA { .. } | Self::NotDeployable { .. } => true,
            Self::MissingValues { .. } | Self::NoContainer { .. } => true,
            Self::Manifests(error) => error.is_usage(),
            _ => false,
        }
    }
}
