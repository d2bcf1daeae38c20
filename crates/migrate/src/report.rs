//! The ledger of a run: one verdict for each object and each volume, for programs and for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use openshifter_chart::ImageRecord;
use openshifter_objects::{LeftOut, ObjectKey, Unlisted, counted};
use openshifter_refactor::{Change, Finding};
use serde::{Deserialize, Serialize};

use crate::RunId;

/// How a run ended. Its number is the exit status of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything that was asked for is there and was checked.
    Complete,
    /// Finished, with something missing; the report lists it.
    Incomplete,
    /// Failed before anything was changed.
    FailedUnchanged,
    /// Stopped half-way: `undo` and `resume` are possible.
    Stopped,
}

/// What was done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Written into the chart.
    Exported,
    /// Made at the target.
    Created,
    /// Was there and was changed.
    Updated,
    /// Was there, with the same content.
    Unchanged,
    /// Was there and was left as it is.
    Skipped,
    /// Removed from the cluster.
    Deleted,
    /// Could not be done; the reason says why.
    Failed,
}

/// What was done with a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeAction {
    /// Read into the chart.
    Exported,
    /// Written into an empty claim and read back equal.
    Restored,
    /// The claim held the same data already.
    Equal,
    /// The claim's own data was kept in a backup chart, then replaced.
    Overwritten,
    /// Filled by a run that was undone, and empty again.
    Emptied,
    /// Not moved, as was asked for.
    Skipped,
    /// Never bound to a volume, so there is no data to move.
    Unbound,
    /// Could not be done; the detail says why.
    Failed,
}

/// The verdict on one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectEntry {
    /// The object.
    #[serde(flatten)]
    pub key: ObjectKey,
    /// What was done.
    pub action: Action,
    /// Why, or the cluster's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Fields that refactoring changed, each with its rule and reason. Secret values are masked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

/// What was done with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageAction {
    /// Copied into the chart.
    Exported,
    /// Pushed into the target's registry; its tags lead to it.
    Pushed,
    /// The target's tags led to it already.
    Unchanged,
    /// A tag of the target led to another image and was left as it is.
    Skipped,
    /// Built at the target.
    Built,
    /// Left to be built at the target.
    ToBuild,
    /// Left where it is: the target pulls it from there.
    External,
    /// Another one takes its place.
    Mapped,
    /// Was to be copied and could not be had.
    Missing,
}

/// The verdict on one image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageEntry {
    /// Its name at the source.
    pub name: String,
    /// What was decided: `copy`, `rebuild`, `external` or `map`.
    pub decision: String,
    /// What was done.
    pub action: ImageAction,
    /// Its digest, where it is known; of a copied one the same at both ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Bytes of its blobs, where it was copied.
    pub bytes: u64,
    /// What takes its place, or what else is to be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl ImageEntry {
    /// The verdict on an image of a chart.
    pub(crate) fn of(record: &ImageRecord, action: ImageAction) -> Self {
        Self {
            name: record.name.clone(),
            decision: record.decision.clone(),
            action,
            digest: record.digest.clone(),
            bytes: 0,
            detail: None,
        }
    }
}

/// Where something outside of the cluster starts builds: its address is another one at the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// The BuildConfig.
    pub build_config: String,
    /// `github`, `gitlab`, `bitbucket` or `generic`.
    pub kind: String,
    /// Its address; in place of `<secret>` stands the secret of the trigger, which is the same as at the source.
    pub url: String,
}

/// The verdict on one volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VolumeEntry {
    /// Name of the PersistentVolumeClaim.
    pub claim: String,
    /// What was done.
    pub action: VolumeAction,
    /// Number of entries that are no folders.
    pub files: u64,
    /// Sum of the sizes of all files, in bytes.
    pub bytes: u64,
    /// SHA-256 over the canonical list of files; equal lists have equal digests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whether the data was read back and found equal.
    pub verified: bool,
    /// How long it took.
    pub seconds: f64,
    /// Why, or what differed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Where the data that was there first is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<PathBuf>,
}

impl VolumeEntry {
    /// A verdict on a volume of which no data was moved.
    pub(crate) fn without_data(claim: &str, action: VolumeAction, detail: &str) -> Self {
        Self {
            claim: claim.to_owned(),
            action,
            files: 0,
            bytes: 0,
            digest: None,
            verified: false,
            seconds: 0.0,
            detail: Some(detail.to_owned()),
            backup: None,
        }
    }
}

/// One end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// Name of the cluster as the user gave it.
    pub cluster: String,
    /// Address of its API.
    pub base: String,
    /// Project or namespace.
    pub namespace: String,
}

/// The ledger of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The run.
    pub run: RunId,
    /// What was asked for, as in `import`.
    pub operation: String,
    /// Whether it only says what would be done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// How it ended.
    pub outcome: Outcome,
    /// Where the application came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Side>,
    /// Where it went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Side>,
    /// The chart that was written or read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<PathBuf>,
    /// Objects, in the order in which they were treated.
    pub objects: Vec<ObjectEntry>,
    /// Volumes.
    pub volumes: Vec<VolumeEntry>,
    /// Images, and what became of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageEntry>,
    /// Addresses of webhooks at the target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<Webhook>,
    /// Objects that are not part of the application.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// Resource types that could not be listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlisted: Vec<Unlisted>,
    /// What a person should look at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What is missing, each in a sentence. A run with losses is never complete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<String>,
    /// What ended the run early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What to do next, each a sentence or a command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
}

impl Report {
    /// Begins a report.
    pub fn new(run: RunId, operation: &str) -> Self {
        Self {
            run,
            operation: operation.to_owned(),
            dry_run: false,
            started: Timestamp::now(),
            finished: None,
            outcome: Outcome::FailedUnchanged,
            source: None,
            target: None,
            chart: None,
            objects: Vec::new(),
            volumes: Vec::new(),
            images: Vec::new(),
            webhooks: Vec::new(),
            left_out: Vec::new(),
            unlisted: Vec::new(),
            findings: Vec::new(),
            losses: Vec::new(),
            error: None,
            next: Vec::new(),
        }
    }

    /// Notes the verdict on an object.
    pub fn object(&mut self, key: ObjectKey, action: Action, reason: Option<String>) {
        self.objects.push(ObjectEntry {
            key,
            action,
            reason,
            changes: Vec::new(),
        });
    }

    /// Ends a run that came through: complete, unless something is missing.
    pub fn finish(&mut self) {
        self.finished = Some(Timestamp::now());
        let failed = self
            .objects
            .iter()
            .any(|entry| entry.action == Action::Failed)
            || self
                .volumes
                .iter()
                .any(|entry| entry.action == VolumeAction::Failed);
        self.outcome = if failed || !self.losses.is_empty() {
            Outcome::Incomplete
        } else {
            Outcome::Complete
        };
    }

    /// Ends a run that failed.
    pub fn fail(&mut self, error: String, changed: bool) {
        self.finished = Some(Timestamp::now());
        self.outcome = if changed {
            Outcome::Stopped
        } else {
            Outcome::FailedUnchanged
        };
        self.error = Some(error);
    }

    /// 0: complete. 1: finished with something missing. 3: failed, nothing was changed. 4: stopped half-way.
    pub fn exit_status(&self) -> u8 {
        match self.outcome {
            Outcome::Complete => 0,
            Outcome::Incomplete => 1,
            Outcome::FailedUnchanged => 3,
            Outcome::Stopped => 4,
        }
    }

    /// The report for a person, in plain text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing into a string cannot fail.
        let _ = self.write_text(&mut out);
        out
    }

    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        let ended = match self.outcome {
            Outcome::Complete if self.dry_run => "nothing was done; this is what would be",
            Outcome::Complete if self.operation == "delete" => {
                "complete: everything that was shown is gone"
            }
            Outcome::Complete if self.operation == "undo" => {
                "complete: what the run changed is taken back"
            }
            Outcome::Complete => "complete: everything is there and was checked",
            Outcome::Incomplete if self.dry_run => {
                "nothing was done; this is what would be, with something missing"
            }
            Outcome::Incomplete => "finished, but something is missing",
            Outcome::FailedUnchanged => "failed, nothing was changed",
            Outcome::Stopped => "stopped half-way",
        };
        write!(out, "{}", self.operation)?;
        if let Some(side) = &self.source {
            write!(out, " from {}/{}", side.cluster, side.namespace)?;
        }
        if let Some(side) = &self.target {
            write!(out, " to {}/{}", side.cluster, side.namespace)?;
        }
        write!(out, ": {ended}")?;
        if let Some(finished) = self.finished {
            write!(
                out,
                " ({:.1} s)",
                finished.duration_since(self.started).as_secs_f64()
            )?;
        }
        writeln!(out)?;

        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in &self.objects {
            *counts.entry(entry.action.word()).or_default() += 1;
        }
        if !counts.is_empty() {
            let counts: Vec<String> = counts
                .iter()
                .map(|(word, n)| {
                    format!("{n} {}{word}", if self.dry_run { "would be " } else { "" })
                })
                .collect();
            writeln!(out, "  objects: {}", counts.join(", "))?;
        }
        for entry in self
            .objects
            .iter()
            .filter(|entry| entry.action == Action::Failed)
        {
            writeln!(
                out,
                "    {}: {}",
                entry.key,
                entry.reason.as_deref().unwrap_or("failed")
            )?;
        }
        for image in &self.images {
            // What everybody can pull is no news.
            if image.action == ImageAction::External && image.detail.is_none() {
                continue;
            }
            let would = if self.dry_run { "would be " } else { "" };
            write!(
                out,
                "  image {}: {would}{}",
                image.name,
                image.action.word()
            )?;
            if let Some(detail) = &image.detail {
                write!(out, " {detail}")?;
            }
            if image.bytes > 0 {
                write!(out, ", {}", human_bytes(image.bytes))?;
            }
            match (&image.digest, image.action) {
                (_, ImageAction::Mapped | ImageAction::ToBuild) | (None, _) => writeln!(out)?,
                (Some(digest), _) => writeln!(out, ", {digest}")?,
            }
        }
        for volume in &self.volumes {
            if self.dry_run {
                let would = volume.detail.as_deref().unwrap_or_default();
                writeln!(out, "  volume {}: {would}", volume.claim)?;
                continue;
            }
            write!(out, "  volume {}: {}", volume.claim, volume.action.word())?;
            if !matches!(
                volume.action,
                VolumeAction::Skipped | VolumeAction::Unbound | VolumeAction::Emptied
            ) {
                write!(
                    out,
                    ", {}, {}",
                    counted(volume.files, "file"),
                    human_bytes(volume.bytes)
                )?;
                write!(out, ", {:.1} s", volume.seconds)?;
            }
            if volume.verified {
                write!(out, ", verified")?;
            }
            if let Some(detail) = &volume.detail {
                write!(out, " ({detail})")?;
            }
            if let Some(backup) = &volume.backup {
                write!(out, "; what was there first: {}", backup.display())?;
            }
            writeln!(out)?;
        }
        if !self.left_out.is_empty() {
            let (count, are) = match self.left_out.len() {
                1 => (1, "is"),
                count => (count, "are"),
            };
            let objects = counted(count, "object");
            writeln!(
                out,
                "  left out: {objects} that {are} not the application's"
            )?;
        }
        for unlisted in &self.unlisted {
            writeln!(
                out,
                "  not listed: {}: {}",
                unlisted.resource, unlisted.reason
            )?;
        }
        for finding in &self.findings {
            writeln!(out, "  note: {}: {}", finding.object, finding.message)?;
        }
        for webhook in &self.webhooks {
            writeln!(
                out,
                "  webhook of BuildConfig {} ({}): {}",
                webhook.build_config, webhook.kind, webhook.url
            )?;
        }
        for loss in &self.losses {
            writeln!(out, "  missing: {loss}")?;
        }
        if let Some(chart) = &self.chart {
            writeln!(out, "  chart: {}", chart.display())?;
        }
        if let Some(error) = &self.error {
            writeln!(out, "  error: {error}")?;
        }
        for next in &self.next {
            writeln!(out, "  next: {next}")?;
        }
        Ok(())
    }
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Deleted => "deleted",
            Self::Failed => "failed",
        }
    }
}

impl ImageAction {
    fn word(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::Pushed => "pushed",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped: its tag leads to another one",
            Self::Built => "built",
            Self::ToBuild => "left to be built at the target",
            Self::External => "pulled from where it is:",
            Self::Mapped => "replaced by",
            Self::Missing => "missing",
        }
    }
}

impl VolumeAction {
    fn word(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::Restored => "restored",
            Self::Equal => "holds the same data already",
            Self::Overwritten => "overwritten",
            Self::Emptied => "empty again",
            Self::Skipped => "skipped",
            Self::Unbound => "never bound, no data to move",
            Self::Failed => "failed",
        }
    }
}

/// A size as people write it: `12.3 MiB`.
pub(crate) fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{size:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_with_a_loss_is_not_complete() {
        let mut report = Report::new(RunId::new(), "import");
        report
            .losses
            .push("volume data: 1 file changed during the copy".into());
        report.finish();
        assert_eq!(report.exit_status(), 1);
    }

    #[test]
    fn a_dry_run_does_not_read_as_if_it_had_been_done() {
        let mut report = Report::new(RunId::new(), "import (dry run)");
        report.dry_run = true;
        let key = ObjectKey::new("", "Service", "web");
        report.object(key, Action::Created, Some("would be created".into()));
        let volume = VolumeEntry::without_data("data", VolumeAction::Restored, "would be restored");
        report.volumes.push(volume);
        report.finish();
        report.finished = None;
        insta::assert_snapshot!(report.text(), @r"
        import (dry run): nothing was done; this is what would be
          objects: 1 would be created
          volume data: would be restored
        ");
    }

    #[test]
    fn a_failed_volume_is_not_complete() {
        let mut report = Report::new(RunId::new(), "import");
        report.volumes.push(VolumeEntry {
            claim: "data".into(),
            action: VolumeAction::Failed,
            files: 0,
            bytes: 0,
            digest: None,
            verified: false,
            seconds: 0.0,
            detail: None,
            backup: None,
        });
        report.finish();
        assert_eq!(report.exit_status(), 1);
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(human_bytes(17), "17 B");
        assert_eq!(human_bytes(1_572_864), "1.5 MiB");
    }
}
