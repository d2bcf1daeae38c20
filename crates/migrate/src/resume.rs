//! Resume goes on where an import stopped, also one that is a part of a migration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use openshifter_chart::Chart;
use openshifter_cluster::Cluster;
use openshifter_volumes::Allow;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Ended;
use crate::helper::Helpers;
use crate::images::{Goal, Straight, chosen};
use crate::import::{Before, Existing, ImportOptions, import_after, open_chart};
use crate::journal::{At, Event};
use crate::quiesce::Quiesced;
use crate::undo::{Ends, refused};
use crate::{ImageChoices, ImageOptions, MigrateError, Report, Run};

/// What a resume is told again, since no journal keeps it.
#[derive(Debug, Clone, Copy, Default)]
pub struct ResumeOptions<'a> {
    /// The cluster that the application comes from, where [`resume_reads_source`] says that it is needed.
    pub source: Option<&'a Cluster>,
    /// Address of the registry of the source's cluster, where it is another one by now.
    pub source_registry: Option<&'a str>,
    /// The token for that registry, else the cluster's own.
    pub source_token: Option<&'a SecretString>,
    /// The token for the registry of the target's cluster, else the cluster's own.
    pub target_token: Option<&'a SecretString>,
    /// Credentials for other registries, as Docker's `config.json` holds them.
    pub auth_file: Option<&'a SecretString>,
    /// As [`ImportOptions::patience`]; what was said at first, if nothing is.
    pub patience: Option<Duration>,
}

/// What is remembered of an import whose images come straight from the source's registries.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ComesStraight {
    /// Address of the registry of the source's cluster, where one was given.
    #[serde(default)]
    registry: Option<String>,
}

/// What `resume` must know of an import. It lies in the run's own folder, which only its owner may read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Remembered {
    chart: PathBuf,
    values: Value,
    existing: String,
    overwrite_data: bool,
    #[serde(default)]
    skip_volumes: BTreeSet<String>,
    helper_image: Option<String>,
    allow_crds: bool,
    #[serde(default)]
    allow_beyond_project: bool,
    allow_links: bool,
    allow_devices: bool,
    #[serde(default)]
    images: Vec<String>,
    #[serde(default)]
    registry: Option<String>,
    #[serde(default)]
    insecure_registries: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    straight: Option<ComesStraight>,
    /// As [`ImportOptions::patience`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    patience: Option<Duration>,
}

impl Remembered {
    pub(crate) fn new(
        chart: PathBuf,
        options: &ImportOptions,
        straight: Option<&Straight>,
    ) -> Self {
        Self {
            chart,
            values: options.values.clone(),
            existing: match options.existing {
                Existing::Fail => "fail",
                Existing::Skip => "skip",
                Existing::Apply => "apply",
            }
            .to_owned(),
            overwrite_data: options.overwrite_data,
            skip_volumes: options.skip_volumes.clone(),
            helper_image: options.helper_image.clone(),
            allow_crds: options.allow_crds,
            allow_beyond_project: options.allow_beyond_project,
            allow_links: options.allow.escaping_links,
            allow_devices: options.allow.devices,
            images: options.images.choices.texts(),
            registry: options.images.registry.clone(),
            insecure_registries: options.images.insecure.clone(),
            straight: straight.map(|straight| ComesStraight {
                registry: straight.registry.clone(),
            }),
            patience: Some(options.patience),
        }
    }

    fn read(options: &Value) -> Result<Self, MigrateError> {
        Self::deserialize(options).map_err(|error| {
            MigrateError::NotPossible(format!("the journal does not say what to import: {error}"))
        })
    }

    /// How the registries are reached that images come from.
    fn source_images(&self, again: &ResumeOptions<'_>) -> ImageOptions {
        let given = self.straight.as_ref();
        ImageOptions {
            registry: again
                .source_registry
                .map(str::to_owned)
                .or_else(|| given?.registry.clone()),
            token: again.source_token.cloned(),
            auth_file: again.auth_file.cloned(),
            insecure: self.insecure_registries.clone(),
            ..ImageOptions::default()
        }
    }

    fn options(&self, again: &ResumeOptions<'_>) -> Result<ImportOptions, MigrateError> {
        let mut usual = ImportOptions::default();
        if let Some(patience) = again.patience.or(self.patience) {
            usual.set_patience(patience);
        }
        Ok(ImportOptions {
            values: self.values.clone(),
            existing: match self.existing.as_str() {
                "skip" => Existing::Skip,
                "apply" => Existing::Apply,
                _ => Existing::Fail,
            },
            overwrite_data: self.overwrite_data,
            skip_volumes: self.skip_volumes.clone(),
            helper_image: self.helper_image.clone(),
            allow_crds: self.allow_crds,
            allow_beyond_project: self.allow_beyond_project,
            allow: Allow {
                escaping_links: self.allow_links,
                devices: self.allow_devices,
            },
            images: ImageOptions {
                choices: ImageChoices::parse(&self.images)?,
                registry: self.registry.clone(),
                insecure: self.insecure_registries.clone(),
                token: again.target_token.cloned(),
                auth_file: again.auth_file.cloned(),
                // For which platforms images are copied was the export's.
                ..ImageOptions::default()
            },
            ..usual
        })
    }
}

/// Whether going on with a run reads images from its source: they were to go straight from there to the target.
///
/// # Errors
/// When the journal cannot be read.
pub fn resume_reads_source(run: &Run) -> Result<bool, MigrateError> {
    let events = run.journal.events()?;
    let begun = begun(&events).and_then(|(_, options)| Remembered::read(options).ok());
    Ok(begun.is_some_and(|remembered| remembered.straight.is_some()))
}

/// The namespace and what was chosen for the import of a run.
fn begun(events: &[Event]) -> Option<(&str, &Value)> {
    events.iter().find_map(|event| match event {
        Event::Begin {
            operation,
            target: Some(side),
            options,
            ..
        } if operation == "import" => Some((side.namespace.as_str(), options)),
        _ => None,
    })
}

/// Goes on with an import that stopped half-way, also that of a migration.
///
/// # Errors
/// When the run was no import, or the import fails again.
pub async fn resume(run: &Run, target: &Cluster, again: &ResumeOptions<'_>) -> Ended {
    let fail = |error| refused(Report::new(run.id.clone(), "resume"), error);
    let events = run.journal.events().map_err(|error| fail(error.into()))?;
    let Some((namespace, remembered)) = begun(&events) else {
        return Err(fail(MigrateError::NotPossible(format!(
            "run {} is no import that could go on; its report says what to do",
            run.id
        ))));
    };
    if events.iter().any(|event| matches!(event, Event::Undone)) {
        return Err(fail(MigrateError::NotPossible(format!(
            "run {} was undone",
            run.id
        ))));
    }
    let remembered = Remembered::read(remembered).map_err(fail)?;
    let spool = run
        .state
        .spool()
        .map_err(|source| fail(MigrateError::State { source }))?;
    let mut options = remembered.options(again).map_err(fail)?;
    let chart = open_chart(&remembered.chart, spool.path(), options.allow)
        .await
        .map_err(fail)?;
    options.origin = Some(remembered.chart.clone());
    let straight = match (again.source, Ends::of(run).map_err(fail)?.source) {
        (Some(source), Some(side)) => {
            let objects = chart.objects().map_err(|error| fail(error.into()))?;
            let goal = Goal {
                target,
                namespace,
                there: (target.namespace_exists(namespace).await)
                    .map_err(|error| fail(error.into()))?,
                options: &options.images,
                existing: options.existing,
                objects: &objects,
            };
            let from = (source, side.namespace.as_str());
            find_again(run, &chart, from, goal, remembered.source_images(again))
                .await
                .map_err(fail)?
        }
        // What the target does not have yet is missing then, and the import says so.
        _ => None,
    };
    let before = Before {
        kept: kept(&events),
        quiesced: Quiesced::of(&events, At::Target),
        straight,
    };
    let helpers = Helpers::new(run, target, namespace, At::Target);
    helpers.remove_left_behind().await.map_err(fail)?;
    import_after(run, &chart, target, namespace, &options, &before).await
}

/// Claims whose own data is in a chart: those that were emptied after it was made. Any other may have been written to since.
fn kept(events: &[Event]) -> BTreeMap<String, PathBuf> {
    let mut charts: BTreeMap<&str, &PathBuf> = BTreeMap::new();
    let mut kept = BTreeMap::new();
    for event in events {
        match event {
            Event::VolumeOverwriting { claim, backup } => {
                charts.entry(claim).or_insert(backup);
            }
            Event::VolumeWiping { claim } => {
                kept.extend(
                    charts
                        .get(claim.as_str())
                        .map(|&chart| (claim.clone(), chart.clone())),
                );
            }
            _ => {}
        }
    }
    kept
}

/// Finds those images at the source again that were to go straight to the target, and are not there yet.
async fn find_again(
    run: &Run,
    chart: &Chart,
    (source, namespace): (&Cluster, &str),
    goal: Goal<'_>,
    options: ImageOptions,
) -> Result<Option<Straight>, MigrateError> {
    let records = chosen(&chart.manifest().images, goal.options)?;
    let straight = records
        .iter()
        .filter(|record| record.decision == "copy" && record.straight_from.is_some());
    let wanted = goal.lacks(straight.collect()).await?;
    if wanted.is_empty() {
        return Ok(None);
    }
    run.progress.stage("looking at the images");
    let found = Straight::again(source, namespace, &chart.objects()?, &wanted, &options).await?;
    Ok(Some(found))
}
