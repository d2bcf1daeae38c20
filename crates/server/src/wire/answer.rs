//! Answers: plans, jobs, problems.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use openshifter_migrate::{PolicyPlan, Report, RunId, Side};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a migration would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanBody {
    /// Stands for this plan in [`MigrationRequest::plan_digest`](crate::MigrationRequest::plan_digest).
    pub digest: String,
    /// Whether source and target are one project.
    pub in_place: bool,
    /// The steps, in order, each a sentence.
    pub steps: Vec<String>,
    /// How many objects are deleted.
    pub deleted_objects: usize,
    /// What is deleted, in order, for a person; `None` when nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletes: Option<String>,
    /// The images, each with what becomes of it, a line or more for each.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub images: String,
}

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// It works.
    Running,
    /// Everything that was asked for is at the target and was checked.
    Complete,
    /// It finished, with something missing.
    Incomplete,
    /// It failed, and nothing was changed.
    Failed,
    /// It stopped half-way.
    Stopped,
    /// The service ended while it worked; nothing is known of its end.
    Interrupted,
}

impl JobState {
    /// Whether it still works.
    pub fn is_running(self) -> bool {
        self == Self::Running
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobBody {
    /// Its id, which is the id of its run.
    pub id: RunId,
    /// How it stands.
    pub state: JobState,
    /// What was asked for, as in `migrate (copy)`.
    pub operation: String,
    /// Where the application comes from.
    pub source: Side,
    /// Where it goes.
    pub target: Side,
    /// When it began.
    pub started: Timestamp,
    /// Grows with each change; `GET /v1/jobs/<id>?after=<revision>` waits for the next one.
    pub revision: u64,
    /// What it does now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// `done` of `total` things of this stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<CountBody>,
    /// Volumes that are or were moved.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, VolumeBody>,
    /// Warnings and decisions, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The ledger, when the job has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
}

/// How many things of a stage are through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountBody {
    /// So many are.
    pub done: usize,
    /// Of so many.
    pub total: usize,
}

/// How far a volume is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VolumeBody {
    /// Bytes that have passed.
    pub done: u64,
    /// Bytes that there are, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Whether it is through.
    pub finished: bool,
}

/// A failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProblemBody {
    /// The HTTP status.
    pub status: u16,
    /// One word of a closed list, as in `not-logged-in`.
    pub code: String,
    /// One line.
    pub error: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The run that failed, when it changed something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

impl PlanBody {
    /// A plan as it travels.
    pub fn of(plan: &PolicyPlan) -> Self {
        Self {
            digest: digest(plan),
            in_place: plan.in_place,
            steps: plan.steps.clone(),
            deleted_objects: plan.deletes.as_ref().map_or(0, |plan| plan.count()),
            deletes: plan.deletes.as_ref().map(|plan| plan.text()),
            images: plan.images.text(),
        }
    }
}

/// Stands for what a person agreed to: the steps, each object that goes, and what becomes of each image. A status that its controller wrote
/// meanwhile makes no difference, so resourceVersions do not count.
fn digest(plan: &PolicyPlan) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    };
    for step in &plan.steps {
        add(step);
    }
    if let Some(deletes) = &plan.deletes {
        for claim in &deletes.kept_claims {
            add(claim);
        }
        for step in deletes.steps.iter().flatten() {
            add(&step.key.to_string());
            add(&step.uid);
            add(&format!("{:?}", step.generation));
        }
    }
    for image in &plan.images.0 {
        add(&image.image.name);
        add(&format!("{:?}", image.decision));
        let digest = image.image.digest.map(|digest| digest.to_string());
        add(&digest.unwrap_or_default());
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl fmt::Display for ProblemBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}
