//! Export: an application of one project becomes a fat chart, whole or not at all.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use futures::StreamExt as _;
use futures::stream;
use openshifter_chart::{
    Chart, ChartBuilder, ChartMeta, Content, ImageRecord, VolumeHelper, VolumeNote,
};
use openshifter_cluster::Cluster;
use openshifter_objects::{Object, Selector, counted};
use openshifter_refactor::{Choices, Source};
use openshifter_volumes::Allow;

use crate::ending::ended;
use crate::error::Failed;
use crate::helper::{Helpers, candidates};
use crate::images::{Landing, Onward, Straight, adapt, held_builds, not_worrying};
use crate::journal::{At, Event};
use crate::project::{ClaimState, Project, claim_state, definitions, side};
use crate::quiesce::{self, Quiesced};
use crate::transfer;
use crate::way_in::Way;
use crate::{
    Action, ImageAction, ImageEntry, ImageOptions, MigrateError, ObjectEntry, PlannedImages,
    Report, Run, VolumeAction, VolumeEntry,
};

/// Volumes that are read or written at the same time. More would share the same wire.
pub(crate) const VOLUMES_AT_ONCE: usize = 4;

/// What an export is to take, and how.
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    /// Only objects with these labels, and what they need.
    pub selector: Option<Selector>,
    /// Whether workloads that write to the volumes are stopped for the time of the copy.
    pub quiesce: bool,
    /// Claims whose data is not taken.
    pub skip_volumes: BTreeSet<String>,
    /// An image with `sh`, `sleep` and `tar` for helper pods.
    pub helper_image: Option<String>,
    /// What becomes of the images, and how their registries are reached.
    pub images: ImageOptions,
    /// Choices for the refactoring.
    pub choices: Choices,
    /// Name of the chart; the project's name otherwise.
    pub name: Option<String>,
}

/// What a policy asks of an export besides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Role<'a> {
    /// Which end of the run is read; the target, when its present application is kept.
    pub(crate) at: At,
    /// Whether workloads that were stopped stay stopped, as for a Move.
    pub(crate) stay_quiesced: bool,
    /// The images as the plan has shown them, where an import of the chart follows at once: none may be missing then,
    /// nor be another one.
    pub(crate) planned: Option<&'a PlannedImages>,
    /// Whether images that the target builds are taken along as well, since nothing else is left of them until it has.
    pub(crate) keeps_built: bool,
    /// Where the images go next.
    pub(crate) onward: Option<Onward<'a>>,
}

/// What an export writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChartForm {
    /// A folder, which must not exist.
    Folder(PathBuf),
    /// A gzip tar; one that exists is replaced when the new one is whole.
    Archive(PathBuf),
}

/// An export that came through.
#[derive(Debug)]
pub struct Exported {
    /// Its ledger.
    pub report: Report,
    pub(crate) quiesced: Quiesced,
    /// Images that are not in the chart, on their way to the target.
    pub(crate) straight: Option<Straight>,
}

/// Exports the application of a project.
///
/// # Errors
/// When something cannot be read: then nothing stands under the name that was asked for.
pub async fn export(
    run: &Run,
    source: &Cluster,
    namespace: &str,
    options: &ExportOptions,
    form: &ChartForm,
) -> Result<Exported, Box<Failed>> {
    let role = Role {
        at: At::Source,
        stay_quiesced: false,
        planned: None,
        keeps_built: false,
        onward: None,
    };
    export_as(run, source, namespace, options, form, role).await
}

/// [`export`] as a part of a policy.
pub(crate) async fn export_as(
    run: &Run,
    source: &Cluster,
    namespace: &str,
    options: &ExportOptions,
    form: &ChartForm,
    role: Role<'_>,
) -> Result<Exported, Box<Failed>> {
    let mut report = Report::new(run.id.clone(), "export");
    report.source = Some(side(source, namespace));
    let helpers = Helpers::new(run, source, namespace, role.at);
    let mut quiesced = Quiesced::default();
    let result = run
        .or_cancelled(work(
            run,
            source,
            namespace,
            options,
            form,
            role,
            &helpers,
            &mut quiesced,
            &mut report,
        ))
        .await;
    report.losses.extend(helpers.remove_all().await);
    let (result, straight) = match result {
        Ok(straight) => (Ok(()), straight),
        Err(error) => (Err(error), None),
    };
    let result = if result.is_err() || !role.stay_quiesced {
        let released = quiesce::release(run, source, namespace, role.at, &mut quiesced).await;
        result.and(released)
    } else {
        result
    };
    ended(run, report, result).map(|report| Exported {
        report,
        quiesced,
        straight,
    })
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one run, taken apart for its clean-up"
)]
async fn work(
    run: &Run,
    source: &Cluster,
    namespace: &str,
    options: &ExportOptions,
    form: &ChartForm,
    role: Role<'_>,
    helpers: &Helpers<'_>,
    quiesced: &mut Quiesced,
    report: &mut Report,
) -> Result<Option<Straight>, MigrateError> {
    run.journal.write(Event::Begin {
        operation: "export".to_owned(),
        source: report.source.clone(),
        target: None,
        chart: None,
        options: serde_json::Value::Null,
    })?;
    let output = match form {
        ChartForm::Folder(path) | ChartForm::Archive(path) => path.clone(),
    };
    check_output(form)?;

    run.progress.stage(&format!(
        "reading the objects of {}/{namespace}",
        source.name()
    ));
    let project = Project::read(source, namespace, options.selector.as_ref()).await?;
    let with_images = project.with_images();
    let Project {
        application: mut inventory,
        pods,
        ..
    } = project;
    if inventory.objects.is_empty() {
        return Err(MigrateError::Nothing {
            namespace: namespace.to_owned(),
            selected: options
                .selector
                .as_ref()
                .map(|selector| format!(" with the labels {selector}"))
                .unwrap_or_default(),
        });
    }
    let (crds, crd_trouble) = definitions(source, namespace, &inventory.objects).await;
    report.left_out.clone_from(&inventory.left_out);
    report.unlisted.clone_from(&inventory.unlisted);
    report.unlisted.extend(crd_trouble);
    for unlisted in report
        .unlisted
        .iter()
        .filter(|unlisted| unlisted.may_be_a_loss())
    {
        report.losses.push(format!(
            "objects of {} were not read: {}",
            unlisted.resource, unlisted.reason
        ));
    }

    let version = source.version().await?;
    let from = Source {
        namespace: namespace.to_owned(),
        openshift: version.openshift.is_some(),
    };
    let images = crate::images::look_at_source(
        run,
        source,
        namespace,
        &with_images,
        &options.images,
        role,
        report,
    )
    .await?;
    inventory.objects.extend(images.streams.iter().cloned());
    let mut choices = options.choices.clone();
    choices.copied_builds.extend(held_builds(&images.records));
    let mut refactored = openshifter_refactor::refactor(&inventory.objects, &from, &choices);
    report.findings.clone_from(&refactored.findings);
    not_worrying(&mut report.findings, &images.records);
    // At a target that is not known, images are named only where others take their place.
    let landing = Landing {
        records: images.records.clone(),
        ..Landing::default()
    };
    landing.set_values(&mut refactored.values, &refactored.knobs, namespace);

    // The archive is packed from a folder, in our own spool; a folder is built beside its final place.
    let spool = run
        .state
        .spool()
        .map_err(|source| MigrateError::State { source })?;
    let name = options.name.clone().unwrap_or_else(|| namespace.to_owned());
    let folder = match form {
        ChartForm::Folder(path) => path.clone(),
        ChartForm::Archive(_) => spool.path().join(&name),
    };
    let meta = ChartMeta {
        name,
        app_version: None,
        source_cluster: source.name().to_owned(),
        source_namespace: namespace.to_owned(),
        created: report.started,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        quiesced: options.quiesce,
        kubernetes_version: Some(version.kubernetes),
        openshift_version: version.openshift,
    };
    let mut builder = ChartBuilder::create(&folder, meta)?;

    let claims: Vec<&Object> = inventory
        .objects
        .iter()
        .filter(|object| object.is("", "PersistentVolumeClaim"))
        .collect();
    for skipped in &options.skip_volumes {
        if !claims.iter().any(|claim| claim.name() == skipped) {
            return Err(MigrateError::VolumeAccess {
                claim: skipped.clone(),
                reason: "--skip-volume names it, but the application has no such claim".to_owned(),
            });
        }
    }
    let (mut wanted, mut skipped) = (Vec::new(), Vec::new());
    for claim in &claims {
        match claim_state(claim) {
            _ if options.skip_volumes.contains(claim.name()) => {
                report.volumes.push(VolumeEntry::without_data(
                    claim.name(),
                    VolumeAction::Skipped,
                    "as asked for",
                ));
                report.next.push(format!(
                    "volume {} was skipped: move its data yourself",
                    claim.name()
                ));
                skipped.push(claim.name().to_owned());
            }
            ClaimState::Unbound => {
                report.volumes.push(VolumeEntry::without_data(
                    claim.name(),
                    VolumeAction::Unbound,
                    "never bound",
                ));
            }
            ClaimState::Trouble(reason) => {
                return Err(MigrateError::VolumeAccess {
                    claim: claim.name().to_owned(),
                    reason,
                });
            }
            ClaimState::Bound => wanted.push(claim.name().to_owned()),
        }
    }
    if options.quiesce && !wanted.is_empty() {
        run.progress.stage("stopping what writes to the volumes");
        quiesce::quiesce(
            run,
            source,
            namespace,
            role.at,
            &inventory.objects,
            &wanted,
            quiesced,
        )
        .await?;
    }

    if !wanted.is_empty() {
        run.progress
            .stage(&format!("reading {}", counted(wanted.len(), "volume")));
    }
    let stopped = options.quiesce;
    let (pods, objects) = (&pods, &inventory.objects);
    let mut reads = stream::iter(wanted.iter().map(|claim| {
        let directory = builder.volume_dir(claim);
        async move {
            let began = Instant::now();
            let images = candidates(claim, objects, options.helper_image.as_deref(), None);
            let way = Way {
                run,
                cluster: source,
                namespace,
                helpers,
                claim,
                images: &images,
                pods: if stopped { &[] } else { pods },
                watch: !stopped,
            };
            let (read, made_of) = way.read(&directory).await?;
            Ok::<_, MigrateError>((claim, read, made_of, began.elapsed()))
        }
    }))
    .buffer_unordered(VOLUMES_AT_ONCE);
    let mut volumes = Vec::new();
    let mut recorded = Vec::new();
    while let Some(result) = reads.next().await {
        let (claim, read, helper, took) = result?;
        for changed in &read.changed {
            report.losses.push(format!("volume {claim}: {changed}"));
        }
        volumes.push(VolumeEntry {
            claim: claim.clone(),
            action: VolumeAction::Exported,
            files: read.recorded.files(),
            bytes: read.recorded.bytes(),
            digest: Some(read.recorded.digest().to_owned()),
            verified: false,
            seconds: took.as_secs_f64(),
            detail: (!read.changed.is_empty())
                .then(|| "it was written to during the copy".to_owned()),
            backup: None,
        });
        recorded.push((claim, read, helper));
    }
    drop(reads);
    quiesced.still(source, namespace).await?;
    volumes.sort_by(|a: &VolumeEntry, b| a.claim.cmp(&b.claim));
    recorded.sort_by_key(|(claim, ..): &(&String, transfer::Read, VolumeHelper)| *claim);
    for (claim, read, helper) in recorded {
        let note = VolumeNote {
            changed: read.changed,
            helper: Some(helper),
            ..VolumeNote::default()
        };
        builder.add_volume(claim, &read.recorded, note)?;
    }

    images.take(run, builder.images_dir()).await?;
    // What goes straight to the target is the import's to tell of.
    let in_chart = images
        .records
        .iter()
        .filter(|record| record.straight_from.is_none());
    report.images.extend(in_chart.map(exported));
    run.progress.stage("writing the chart");
    let mut prepared: Vec<Object> = refactored
        .objects
        .iter()
        .map(|entry| entry.object.clone())
        .collect();
    adapt(&mut prepared, &images.records, namespace)?;
    landing.set_objects(&mut prepared, &refactored.knobs, namespace);
    let chart = builder.finish(Content {
        raw: &inventory.objects,
        crds: &crds,
        prepared: &prepared,
        knobs: &refactored.knobs,
        values: &refactored.values,
        left_out: &inventory.left_out,
        unlisted: &report.unlisted,
        skipped: &skipped,
        losses: &report.losses,
        images: &images.records,
    })?;
    run.progress.stage("verifying the chart");
    // What is at the source is the user's own; an import decides anew.
    let own = Allow {
        devices: true,
        escaping_links: true,
    };
    let chart = verify(chart, own).await?;
    for volume in &mut volumes {
        volume.verified = true;
    }
    report.volumes.extend(volumes);
    if let ChartForm::Archive(path) = form {
        run.progress.stage("packing the chart");
        openshifter_chart::pack_to_file(chart.dir(), path).await?;
    }
    report.chart = Some(output);
    report
        .objects
        .extend(refactored.objects.into_iter().map(|entry| ObjectEntry {
            key: entry.object.key(),
            action: Action::Exported,
            reason: None,
            changes: entry.changes,
        }));
    Ok(images.into_straight())
}

/// The verdict of an export on an image.
fn exported(record: &ImageRecord) -> ImageEntry {
    let action = match record.decision.as_str() {
        "copy" if record.included => ImageAction::Exported,
        "copy" => ImageAction::Missing,
        "rebuild" => ImageAction::ToBuild,
        "map" => ImageAction::Mapped,
        _ => ImageAction::External,
    };
    ImageEntry {
        bytes: record.bytes,
        detail: record.to.clone(),
        ..ImageEntry::of(record, action)
    }
}

/// Reads back everything that was written. Long, so it does not hold up the other tasks.
pub(crate) async fn verify(chart: Chart, allow: Allow) -> Result<Chart, MigrateError> {
    tokio::task::spawn_blocking(move || {
        chart
            .verify_with(allow, &openshifter_volumes::Progress::none())
            .map(|_| chart)
    })
    .await
    .map_err(|error| MigrateError::State {
        source: std::io::Error::other(error),
    })?
    .map_err(Into::into)
}

/// Refuses a bad place before anything is read.
fn check_output(form: &ChartForm) -> Result<(), MigrateError> {
    let refuse = |path: &Path, text: &str| {
        Err(MigrateError::File {
            path: path.to_owned(),
            source: std::io::Error::new(std::io::ErrorKind::AlreadyExists, text.to_owned()),
        })
    };
    match form {
        ChartForm::Folder(path) if path.exists() => refuse(path, "it exists already"),
        ChartForm::Archive(path) if path.is_dir() => refuse(path, "it is a folder"),
        _ => Ok(()),
    }
}
