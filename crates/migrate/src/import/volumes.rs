//! Volumes of an import: claims that exist are compared first, data is restored, read back and compared.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use futures::StreamExt as _;
use futures::stream;
use openshifter_chart::{ChartBuilder, ChartMeta, Content, VolumeNote};
use openshifter_cluster::Cluster;
use openshifter_objects::{GroupKind, Object, counted};
use openshifter_volumes::commands::Tar;
use openshifter_volumes::{Allow, FileList, StoredVolume};

use crate::export::{VOLUMES_AT_ONCE, verify};
use crate::helper::{Door, node_of};
use crate::import::{Before, Prepared, Work};
use crate::journal::{At, Event, torn};
use crate::project::{ClaimState, claim_state, inventory};
use crate::quiesce::{self, Quiesced};
use crate::report::{Report, VolumeAction, VolumeEntry};
use crate::transfer::Found;
use crate::{MigrateError, transfer};

/// What is to be done with a volume.
#[derive(Debug)]
pub(crate) enum Plan {
    /// The claim is new.
    Restore,
    /// It was there, and was never bound, or is empty.
    Fill,
    /// It holds the same data.
    Equal,
    /// It holds a part of the data: this run was stopped while it wrote.
    Rewrite,
    /// An earlier part of this run has restored and verified it; the application has written to it since.
    Verified,
    /// It holds other data, which is kept first.
    Overwrite {
        /// The claim as it is.
        live: Box<Object>,
    },
}

/// A volume and what is to be done with it.
#[derive(Debug)]
pub(crate) struct Decided {
    claim: String,
    plan: Plan,
}

/// A project that is not there yet holds no claims.
pub(crate) fn all_new(prepared: &Prepared) -> Vec<Decided> {
    prepared
        .volumes
        .iter()
        .map(|(claim, _)| Decided {
            claim: claim.clone(),
            plan: Plan::Restore,
        })
        .collect()
}

/// Compares the claims that exist with the chart's. Changes nothing but for helper pods.
///
/// # Errors
/// When a claim holds other data and that may not be overwritten.
pub(crate) async fn look(work: Work<'_>) -> Result<Vec<Decided>, MigrateError> {
    let pods = pods(work.target, work.namespace).await?;
    let mut looks = stream::iter(work.prepared.volumes.iter().map(|(claim, stored)| {
        let pods = &pods;
        async move {
            let plan = look_at(work, pods, claim, stored).await?;
            Ok::<_, MigrateError>(Decided {
                claim: claim.clone(),
                plan,
            })
        }
    }))
    .buffer_unordered(VOLUMES_AT_ONCE);
    let mut decided = Vec::new();
    while let Some(one) = looks.next().await {
        decided.push(one?);
    }
    decided.sort_by(|a, b| a.claim.cmp(&b.claim));
    Ok(decided)
}

async fn pods(target: &Cluster, namespace: &str) -> Result<Vec<Object>, MigrateError> {
    match target
        .discovery()
        .await?
        .find(&crate::helper::pods())
        .cloned()
    {
        Some(pods) => Ok(target.list(&pods, Some(namespace), None).await?),
        None => Ok(Vec::new()),
    }
}

async fn look_at(
    work: Work<'_>,
    pods: &[Object],
    claim: &str,
    stored: &StoredVolume,
) -> Result<Plan, MigrateError> {
    let Work {
        run,
        target,
        namespace,
        helpers,
        options,
        ..
    } = work;
    let kind = GroupKind::new("", "PersistentVolumeClaim");
    let Some(live) = target.get(&kind, Some(namespace), claim).await? else {
        return Ok(Plan::Restore);
    };
    match claim_state(&live) {
        ClaimState::Unbound => return Ok(Plan::Fill),
        ClaimState::Trouble(reason) => {
            return Err(MigrateError::VolumeAccess {
                claim: claim.to_owned(),
                reason,
            });
        }
        ClaimState::Bound => {}
    }
    run.progress
        .note(&format!("claim {claim} exists: comparing what it holds"));
    let images = work.images(claim);
    let door = helpers.open(claim, pods, &images).await?;
    let mut looked = look_through(work, claim, &door, stored).await;
    helpers.close(&door).await;
    // The application's own user may not read all of it, or it is written to at this moment.
    if let Err(refused @ MigrateError::TarFailed { code: 1 | 2, .. }) = &looked
        && !door.helper
    {
        run.progress
            .note(&format!("{refused}; trying it with a helper pod"));
        let node = node_of(claim, pods);
        let door = helpers.start(claim, &images, node.as_deref(), true).await?;
        looked = look_through(work, claim, &door, stored).await;
        helpers.close(&door).await;
    }
    if let Err(MigrateError::TarFailed { code: 1, said, .. }) = &looked
        && door.probe.tar == Tar::Gnu
    {
        // It holds something, and not the same for long.
        let written = said.lines().next().unwrap_or_default().to_owned();
        looked = Ok(Some(vec![format!("it is being written to ({written})")]));
    }
    let events = run.journal.events()?;
    let wiping = |event: &Event| matches!(event, Event::VolumeWiping { claim: of } if of == claim);
    let differences = match looked? {
        // An earlier part of this run has emptied it: its own data is kept.
        None if events.iter().any(wiping) => {
            return Ok(Plan::Overwrite {
                live: Box::new(live),
            });
        }
        None => return Ok(Plan::Fill),
        Some(differences) if differences.is_empty() => return Ok(Plan::Equal),
        Some(differences) => differences,
    };
    let is_torn = torn(&events).iter().any(|torn| torn == claim);
    let verified = |event: &Event| matches!(event, Event::VolumeVerified { claim: of, digest } if of == claim && *digest == stored.meta().tree);
    if !is_torn && events.iter().any(verified) {
        return Ok(Plan::Verified);
    }
    // An earlier part of this run made the claim, or found it empty, and was stopped while it wrote: nobody else's data.
    let filling =
        |event: &Event| matches!(event, Event::VolumeFilling { claim: of } if of == claim);
    if live.label(crate::run::RUN_LABEL) == Some(run.id.as_str())
        || (is_torn && events.iter().any(filling))
    {
        return Ok(Plan::Rewrite);
    }
    if options.overwrite_data {
        return Ok(Plan::Overwrite {
            live: Box::new(live),
        });
    }
    Err(MigrateError::ClaimHoldsOtherData {
        claim: claim.to_owned(),
        differences: differences.join("; "),
    })
}

/// What of a claim that exists is not as stored; `None` when it is empty.
async fn look_through(
    work: Work<'_>,
    claim: &str,
    door: &Door,
    stored: &StoredVolume,
) -> Result<Option<Vec<String>>, MigrateError> {
    let (run, target, namespace) = (work.run, work.target, work.namespace);
    let differences =
        |found: &FileList| transfer::differences(claim, stored, found, door, Found::There);
    let in_place = transfer::scan_in_place(run, target, namespace, claim, door, stored).await?;
    if let Some(found) = in_place
        && differences(&found)?.is_empty()
    {
        return Ok(Some(Vec::new()));
    }
    let found = transfer::scan(run, target, namespace, claim, door, None).await?;
    match found.is_empty() {
        true => Ok(None),
        false => differences(&found).map(Some),
    }
}

pub(crate) fn dry_run(decided: &[Decided], report: &mut Report) {
    for one in decided {
        let (action, detail) = match one.plan {
            Plan::Restore | Plan::Fill | Plan::Rewrite => {
                (VolumeAction::Restored, "would be restored")
            }
            Plan::Equal | Plan::Verified => (VolumeAction::Equal, "would stay"),
            Plan::Overwrite { .. } => (
                VolumeAction::Overwritten,
                "would be overwritten, after a backup",
            ),
        };
        report
            .volumes
            .push(VolumeEntry::without_data(&one.claim, action, detail));
    }
}

/// Restores all volumes, and proves each by reading it back.
pub(crate) async fn restore(
    work: Work<'_>,
    decided: Vec<Decided>,
    before: &Before,
    quiesced: &mut Quiesced,
    report: &mut Report,
) -> Result<(), MigrateError> {
    if decided.is_empty() {
        return Ok(());
    }
    let kept = keep(work, &decided, before, quiesced).await?;
    work.run
        .progress
        .stage(&format!("restoring {}", counted(decided.len(), "volume")));
    let mut restores = stream::iter(decided.iter().filter_map(|one| {
        let (_, stored) = work
            .prepared
            .volumes
            .iter()
            .find(|(claim, _)| *claim == one.claim)?;
        let kept = kept.get(&one.claim);
        Some(async move {
            let began = Instant::now();
            restore_one(work, one, stored).await?;
            let meta = stored.meta();
            Ok::<_, MigrateError>(VolumeEntry {
                claim: one.claim.clone(),
                action: match one.plan {
                    Plan::Restore | Plan::Fill | Plan::Rewrite | Plan::Verified => {
                        VolumeAction::Restored
                    }
                    Plan::Equal => VolumeAction::Equal,
                    Plan::Overwrite { .. } => VolumeAction::Overwritten,
                },
                files: meta.files,
                bytes: meta.bytes,
                digest: Some(meta.tree.clone()),
                verified: true,
                seconds: began.elapsed().as_secs_f64(),
                detail: matches!(one.plan, Plan::Verified)
                    .then(|| "by an earlier part of this run; written to since".to_owned()),
                backup: kept.cloned(),
            })
        })
    }))
    .buffer_unordered(VOLUMES_AT_ONCE);
    let mut first = None;
    while let Some(result) = restores.next().await {
        match result {
            Ok(entry) => report.volumes.push(entry),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    report.volumes.sort_by(|a, b| a.claim.cmp(&b.claim));
    first.map_or(Ok(()), Err)
}

async fn restore_one(
    work: Work<'_>,
    one: &Decided,
    stored: &StoredVolume,
) -> Result<(), MigrateError> {
    let Work {
        run,
        target,
        namespace,
        helpers,
        ..
    } = work;
    let claim = one.claim.as_str();
    if matches!(one.plan, Plan::Verified) {
        return Ok(());
    }
    if !matches!(one.plan, Plan::Equal) {
        let images = work.images(claim);
        if matches!(one.plan, Plan::Fill) {
            run.journal.write(Event::VolumeFilling {
                claim: claim.to_owned(),
            })?;
        }
        let door = helpers.start(claim, &images, None, false).await?;
        if matches!(one.plan, Plan::Overwrite { .. }) {
            run.journal.write(Event::VolumeWiping {
                claim: claim.to_owned(),
            })?;
        }
        if matches!(one.plan, Plan::Overwrite { .. } | Plan::Rewrite) {
            transfer::wipe(target, namespace, claim, &door).await?;
        }
        let times = transfer::write(run, target, namespace, claim, &door, stored).await?;
        prove(work, claim, &door, stored, times).await?;
        helpers.close(&door).await;
    }
    run.journal.write(Event::VolumeVerified {
        claim: claim.to_owned(),
        digest: stored.meta().tree.clone(),
    })?;
    Ok(())
}

/// Compares a restored volume with the chart, file by file: large files are hashed where they are, all else is read back.
async fn prove(
    work: Work<'_>,
    claim: &str,
    door: &Door,
    stored: &StoredVolume,
    times: bool,
) -> Result<(), MigrateError> {
    let (run, target, namespace) = (work.run, work.target, work.namespace);
    let differences = |found: &FileList| {
        transfer::differences(claim, stored, found, door, Found::Restored { times })
    };
    let in_place = transfer::scan_in_place(run, target, namespace, claim, door, stored).await?;
    if let Some(found) = in_place
        && differences(&found)?.is_empty()
    {
        return Ok(());
    }
    let length = Some(stored.tar_len());
    let found = transfer::scan(run, target, namespace, claim, door, length).await?;
    let differences = differences(&found)?;
    if differences.is_empty() {
        return Ok(());
    }
    Err(MigrateError::VolumeDiffers {
        claim: claim.to_owned(),
        differences: differences.join("; "),
    })
}

/// Stops what writes to claims that exist and are to be written, and keeps the data of those that are overwritten in a
/// verified chart of its own. Gives each claim's chart.
async fn keep(
    work: Work<'_>,
    decided: &[Decided],
    before: &Before,
    quiesced: &mut Quiesced,
) -> Result<BTreeMap<String, PathBuf>, MigrateError> {
    let Work {
        run,
        target,
        namespace,
        ..
    } = work;
    let overwritten: Vec<(&str, &Object)> = decided
        .iter()
        .filter_map(|one| match &one.plan {
            Plan::Overwrite { live } => Some((one.claim.as_str(), live.as_ref())),
            _ => None,
        })
        .collect();
    let written: Vec<String> = decided
        .iter()
        .filter(|one| !matches!(one.plan, Plan::Restore | Plan::Equal | Plan::Verified))
        .map(|one| one.claim.clone())
        .collect();
    let mut kept = BTreeMap::new();
    if written.is_empty() {
        return Ok(kept);
    }
    let (live, _) = inventory(target, namespace, None).await?;
    quiesce::quiesce(
        run,
        target,
        namespace,
        At::Target,
        &live.objects,
        &written,
        quiesced,
    )
    .await?;
    let unkept: Vec<(&str, &Object)> = overwritten
        .iter()
        .filter(|(claim, _)| !before.kept.contains_key(*claim))
        .copied()
        .collect();
    let backup = match unkept.is_empty() {
        true => None,
        false => Some(back_up(work, &unkept).await?),
    };
    for (claim, _) in overwritten {
        let Some(backup) = before.kept.get(claim).or(backup.as_ref()) else {
            continue;
        };
        run.journal.write(Event::VolumeOverwriting {
            claim: claim.to_owned(),
            backup: backup.clone(),
        })?;
        kept.insert(claim.to_owned(), backup.clone());
    }
    Ok(kept)
}

/// Writes a chart of claims alone, with their data, and verifies it.
async fn back_up(work: Work<'_>, claims: &[(&str, &Object)]) -> Result<PathBuf, MigrateError> {
    let Work {
        run,
        target,
        namespace,
        helpers,
        ..
    } = work;
    let names: Vec<&str> = claims.iter().map(|(claim, _)| *claim).collect();
    run.progress
        .stage(&format!("keeping the data of {}", names.join(", ")));
    let folder = run
        .state
        .charts()
        .map_err(|source| MigrateError::State { source })?;
    // An earlier part of the run may have made one.
    let path = (1..)
        .map(|number| match number {
            1 => folder.join(format!("{namespace}-before-{}", run.id)),
            _ => folder.join(format!("{namespace}-before-{number}-{}", run.id)),
        })
        .find(|path| !path.exists())
        .unwrap_or_default();
    let version = target.version().await?;
    let openshift = version.openshift.is_some();
    let mut builder = ChartBuilder::create(
        &path,
        ChartMeta {
            name: format!("{namespace}-before"),
            app_version: None,
            source_cluster: target.name().to_owned(),
            source_namespace: namespace.to_owned(),
            created: jiff::Timestamp::now(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            quiesced: true,
            kubernetes_version: Some(version.kubernetes),
            openshift_version: version.openshift,
        },
    )?;
    for (claim, _) in claims {
        let door = helpers
            .start(claim, &work.images(claim), None, true)
            .await?;
        let directory = builder.volume_dir(claim);
        let read = transfer::read(run, target, namespace, claim, &door, &directory, false).await?;
        helpers.close(&door).await;
        let note = VolumeNote {
            helper: Some(door.made_of),
            ..VolumeNote::default()
        };
        builder.add_volume(claim, &read.recorded, note)?;
    }
    let raw: Vec<Object> = claims.iter().map(|(_, live)| (*live).clone()).collect();
    let source = openshifter_refactor::Source {
        namespace: namespace.to_owned(),
        openshift,
    };
    let choices = openshifter_refactor::Choices::default();
    let refactored = openshifter_refactor::refactor(&raw, &source, &choices);
    let prepared: Vec<Object> = refactored
        .objects
        .iter()
        .map(|entry| entry.object.clone())
        .collect();
    let chart = builder.finish(Content {
        raw: &raw,
        prepared: &prepared,
        knobs: &refactored.knobs,
        values: &refactored.values,
        ..Content::default()
    })?;
    // It is the user's own data; who imports it decides anew.
    let own = Allow {
        devices: true,
        escaping_links: true,
    };
    verify(chart, own).await?;
    Ok(path)
}
