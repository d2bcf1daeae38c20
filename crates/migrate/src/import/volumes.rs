//! Volumes of an import: claims that exist are compared first, data is restored, read back and compared.

use std::path::{Path, PathBuf};
use std::time::Instant;

use futures::StreamExt as _;
use futures::stream;
use openshifter_chart::{ChartBuilder, ChartMeta, Content, VolumeNote};
use openshifter_cluster::Cluster;
use openshifter_objects::{GroupKind, Object, counted};
use openshifter_volumes::{Allow, FileList, StoredVolume};

use crate::export::{VOLUMES_AT_ONCE, verify};
use crate::helper::Door;
use crate::import::{Before, Prepared, Work};
use crate::journal::{At, Event};
use crate::project::{ClaimState, claim_state, inventory};
use crate::quiesce::{self, Quiesced};
use crate::report::{Report, VolumeAction, VolumeEntry};
use crate::transfer::Found;
use crate::{MigrateError, Run, transfer};

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
    let looked = look_through(work, claim, &door, stored).await;
    helpers.close(&door).await;
    let differences = match looked? {
        None => return Ok(Plan::Fill),
        Some(differences) if differences.is_empty() => return Ok(Plan::Equal),
        Some(differences) => differences,
    };
    // An earlier part of this run made the claim, or found it empty, and was stopped while it wrote: nobody else's data.
    if live.label(crate::run::RUN_LABEL) == Some(run.id.as_str()) || began_to_fill(run, claim)? {
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

/// Whether this run has begun to write into a claim that was empty before.
fn began_to_fill(run: &Run, claim: &str) -> Result<bool, MigrateError> {
    Ok(run
        .journal
        .events()?
        .iter()
        .any(|event| matches!(event, Event::VolumeFilling { claim: filled } if filled == claim)))
}

pub(crate) fn dry_run(decided: &[Decided], report: &mut Report) {
    for one in decided {
        let (action, detail) = match one.plan {
            Plan::Restore | Plan::Fill | Plan::Rewrite => {
                (VolumeAction::Restored, "would be restored")
            }
            Plan::Equal => (VolumeAction::Equal, "would stay"),
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
        let kept = kept.as_deref();
        Some(async move {
            let began = Instant::now();
            restore_one(work, one, stored).await?;
            let meta = stored.meta();
            Ok::<_, MigrateError>(VolumeEntry {
                claim: one.claim.clone(),
                action: match one.plan {
                    Plan::Restore | Plan::Fill | Plan::Rewrite => VolumeAction::Restored,
                    Plan::Equal => VolumeAction::Equal,
                    Plan::Overwrite { .. } => VolumeAction::Overwritten,
                },
                files: meta.files,
                bytes: meta.bytes,
                digest: Some(meta.tree.clone()),
                verified: true,
                seconds: began.elapsed().as_secs_f64(),
                detail: None,
                backup: match one.plan {
                    Plan::Overwrite { .. } => kept.map(Path::to_owned),
                    _ => None,
                },
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
    if !matches!(one.plan, Plan::Equal) {
        let images = work.images(claim);
        if matches!(one.plan, Plan::Fill) {
            run.journal.write(Event::VolumeFilling {
                claim: claim.to_owned(),
            })?;
        }
        let door = helpers.start(claim, &images, None, false).await?;
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
/// verified chart of its own. Gives the chart's place.
async fn keep(
    work: Work<'_>,
    decided: &[Decided],
    before: &Before,
    quiesced: &mut Quiesced,
) -> Result<Option<PathBuf>, MigrateError> {
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
        .filter(|one| !matches!(one.plan, Plan::Restore | Plan::Equal))
        .map(|one| one.claim.clone())
        .collect();
    if written.is_empty() {
        return Ok(None);
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
    if overwritten.is_empty() {
        return Ok(None);
    }
    let claims: Vec<String> = overwritten
        .iter()
        .map(|(claim, _)| (*claim).to_owned())
        .collect();
    let backup = match &before.kept {
        Some(kept) => kept.clone(),
        None => back_up(work, &overwritten).await?,
    };
    for claim in claims {
        run.journal.write(Event::VolumeOverwriting {
            claim,
            backup: backup.clone(),
        })?;
    }
    Ok(Some(backup))
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
    let path = folder.join(format!("{namespace}-before-{}", run.id));
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
