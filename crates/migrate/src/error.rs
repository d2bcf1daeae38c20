//! What can go wrong in a run, with what to do next.

use std::path::PathBuf;

use openshifter_chart::ChartError;
use openshifter_cluster::ClusterError;
use openshifter_images::ImagesError;
use openshifter_objects::{KnobError, ObjectKey};
use openshifter_volumes::{Refusal, VolumeError};

use crate::{JournalError, Report, ValuesError};

/// Why a run did not come through.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A cluster answered no.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The chart is damaged, hostile or cannot be written.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// A chart cannot be opened, or is damaged or hostile.
    #[error("the chart {} cannot be used", path.display())]
    OpenChart {
        /// What was given.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ChartError,
    },
    /// An image cannot be decided about, read or written.
    #[error(transparent)]
    Images(#[from] ImagesError),
    /// Images that are to be copied cannot be had.
    #[error("{text}")]
    ImagesNotHad {
        /// Each with the reason.
        text: String,
        /// The first reason.
        first: Box<ImagesError>,
    },
    /// A choice for images fits none.
    #[error(
        "`--images {choice}` fits no image of the application{}",
        shown_images(images)
    )]
    UnusedChoice {
        /// The choice, as it was given.
        choice: String,
        /// What there is, with commas.
        images: String,
    },
    /// A volume could not be read or written.
    #[error("volume {claim}: {what}")]
    Volume {
        /// The claim.
        claim: String,
        /// What was being done.
        what: String,
        /// Why it failed.
        #[source]
        source: VolumeError,
    },
    /// A volume cannot be got at.
    #[error("volume {claim}: {reason}")]
    VolumeAccess {
        /// The claim.
        claim: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The `tar` that reads a volume did not come through.
    #[error("volume {claim}: tar in {place} ended with {code}: {said}")]
    TarFailed {
        /// The claim.
        claim: String,
        /// Pod and container.
        place: String,
        /// Its exit code; 1 and 2 are its own words, above 128 something ended it.
        code: i32,
        /// What it said.
        said: String,
    },
    /// What was read back is not what was written.
    #[error("volume {claim} was restored but does not read back equal: {differences}")]
    VolumeDiffers {
        /// The claim.
        claim: String,
        /// The first differences.
        differences: String,
    },
    /// A claim at the target holds other data.
    #[error(
        "claim {claim} exists and holds other data: {differences}; --overwrite-data replaces it, and keeps a backup of it first"
    )]
    ClaimHoldsOtherData {
        /// The claim.
        claim: String,
        /// The first differences.
        differences: String,
    },
    /// Objects exist at the target.
    #[error(
        "{count} of the chart's objects exist in {namespace} and are not what the chart says, {first} for one ({field}); --existing skip leaves them, --existing apply changes them"
    )]
    Exists {
        /// How many.
        count: usize,
        /// One of them.
        first: ObjectKey,
        /// A field of that one which is different, as a JSON pointer.
        field: String,
        /// Where.
        namespace: String,
    },
    /// The target does not serve a kind of the chart.
    #[error(
        "the cluster {cluster} does not know {kinds}; install what serves them, or export without these objects"
    )]
    UnknownKinds {
        /// The cluster.
        cluster: String,
        /// Kinds, with commas.
        kinds: String,
    },
    /// What grants rights beyond the project needs leave.
    #[error(
        "the chart holds {what}, which reach beyond the project; look at them and pass --allow {flag}"
    )]
    NeedsAllow {
        /// The objects, with commas.
        what: String,
        /// What to allow.
        flag: &'static str,
    },
    /// An object was refused by the cluster.
    #[error("{key} could not be {done}")]
    Object {
        /// The object.
        key: ObjectKey,
        /// `created`, `changed`, `deleted`.
        done: &'static str,
        /// The cluster's answer.
        #[source]
        source: ClusterError,
    },
    /// An image with `tar` is needed and there is none.
    #[error(
        "no pod with `tar` could be started in {namespace} to reach claim {claim} ({tried}); name an image that the cluster can pull and that has `sh`, `sleep` and `tar` with --helper-image"
    )]
    NoHelper {
        /// The claim.
        claim: String,
        /// Where.
        namespace: String,
        /// What was tried, and what became of it.
        tried: String,
    },
    /// A workload cannot be stopped for the copy.
    #[error("{key} writes to volume {claim} and cannot be stopped for the copy: {reason}")]
    CannotQuiesce {
        /// The workload.
        key: ObjectKey,
        /// The claim.
        claim: String,
        /// Why.
        reason: String,
    },
    /// The project holds nothing to move.
    #[error("nothing to move: {namespace} holds no objects of an application{selected}")]
    Nothing {
        /// The project.
        namespace: String,
        /// ` with these labels`, or nothing.
        selected: String,
    },
    /// A value is missing or unknown.
    #[error(transparent)]
    Values(#[from] ValuesError),
    /// A knob of the chart cannot be set.
    #[error(transparent)]
    Knob(#[from] KnobError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// This program's own folder cannot be used.
    #[error("the folder for this program's state cannot be used")]
    State {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An object was changed after it was shown.
    #[error("{key} was changed after it was shown; look again")]
    ChangedMeanwhile {
        /// The object.
        key: ObjectKey,
    },
    /// A build at the target failed.
    #[error("build {build} failed at the target: {reason}")]
    Build {
        /// The build.
        build: String,
        /// Why.
        reason: String,
    },
    /// The run was stopped by the user.
    #[error("stopped on request")]
    Cancelled,
    /// Undo or resume is not possible.
    #[error("{0}")]
    NotPossible(String),
}

fn shown_images(images: &str) -> String {
    if images.is_empty() {
        ", which has none".to_owned()
    } else {
        format!("; there are {images}")
    }
}

impl MigrateError {
    /// Whether what was asked for is wrong in itself, and not what was found.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::UnusedChoice { .. }
                | Self::Images(ImagesError::BadChoice { .. } | ImagesError::BadReference { .. })
        )
    }

    /// What to do next, where there is more to say than the message does.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Cluster(error) | Self::Object { source: error, .. } => error.hint(),
            Self::Images(error) => crate::images::hint(error),
            Self::ImagesNotHad { first, .. } => Some(match crate::images::hint(first) {
                Some(hint) if hint.contains("--images") => hint,
                Some(hint) => format!("{hint}; or {}", crate::images::OTHERWISE),
                None => crate::images::OTHERWISE.to_owned(),
            }),
            Self::Build { .. } => Some(
                "mend what it says, or export again with `--images copy`, which takes the image along instead"
                    .to_owned(),
            ),
            Self::Chart(error) | Self::OpenChart { source: error, .. } => match error {
                ChartError::Volume {
                    source: VolumeError::Refused { why, .. },
                    ..
                } => allowed_by(why),
                ChartError::Device { .. } => allowed_by(&Refusal::Device),
                _ => None,
            },
            _ => None,
        }
    }

    /// The whole chain of causes in one line.
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// An error with all its causes in one line. A cause that the text says already is not said again.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// What lets an entry of a volume in after all.
fn allowed_by(why: &Refusal) -> Option<String> {
    match why {
        Refusal::EscapingLink { .. } => Some("`--allow links` lets such links in".to_owned()),
        Refusal::Device => Some("`--allow devices` lets device nodes in".to_owned()),
        _ => None,
    }
}

/// A run that did not come through: why, and how far it came.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Failed {
    /// Why.
    #[source]
    pub error: MigrateError,
    /// How far it came.
    pub report: Report,
}

/// What every operation returns.
pub(crate) type Ended<T = Report> = Result<T, Box<Failed>>;
