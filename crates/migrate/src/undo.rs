//! Undo takes back exactly what a run did.

use std::collections::BTreeSet;

use openshifter_chart::{ImageTag, VolumeHelper};
use openshifter_cluster::{Cluster, Preconditions, Propagation};
use openshifter_objects::{GroupKind, Object, ObjectKey};
use serde_json::Value;

use crate::ending::{came_to_import, ended};
use crate::error::{Ended, Failed};
use crate::helper::{Helpers, candidates};
use crate::images::{image_of, lead, lead_back};
use crate::journal::{At, Event, deleted, helper_left, torn};
use crate::pods_going::{mounted, wait_gone};
use crate::policy::content;
use crate::project::inventory;
use crate::quiesce::Quiesced;
use crate::run::RUN_LABEL;
use crate::way_back::import_command;
use crate::{Action, MigrateError, Report, Run, Side, VolumeAction, VolumeEntry, transfer};

/// What a run's journal says of its ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ends {
    /// What was asked for.
    pub operation: String,
    /// Where the application came from.
    pub source: Option<Side>,
    /// Where it went.
    pub target: Option<Side>,
}

impl Ends {
    /// Reads them from a run's journal.
    ///
    /// # Errors
    /// When the journal says nothing: there was no such run.
    pub fn of(run: &Run) -> Result<Self, MigrateError> {
        run.journal
            .events()?
            .into_iter()
            .find_map(|event| match event {
                Event::Begin {
                    operation,
                    source,
                    target,
                    ..
                } => Some(Self {
                    operation,
                    source,
                    target,
                }),
                _ => None,
            })
            .ok_or_else(|| {
                MigrateError::NotPossible(format!("nothing is known of a run {}", run.id))
            })
    }
}

/// Takes back what a run changed: removes what it created, gives back what it changed and scaled.
///
/// `cluster` gives the cluster of an end; it is asked only for ends at which something is to be taken back.
///
/// # Errors
/// When the source was deleted (the target would be the last copy), or a step fails; `undo` can be tried again.
pub async fn undo(run: &Run, source: Option<&Cluster>, target: Option<&Cluster>) -> Ended {
    let mut report = Report::new(run.id.clone(), "undo");
    let events = match possible(run) {
        Ok(events) => events,
        Err(error) => return Err(refused(report, error)),
    };
    let result = run
        .or_cancelled(work(run, source, target, &events, &mut report))
        .await;
    ended(run, report, result)
}

/// The events of a run that can be undone.
fn possible(run: &Run) -> Result<Vec<Event>, MigrateError> {
    let (events, ends) = (run.journal.events()?, Ends::of(run)?);
    if events.iter().any(|event| matches!(event, Event::Undone)) {
        return Err(MigrateError::NotPossible(format!(
            "run {} was undone already",
            run.id
        )));
    }
    if deleted(&events, At::Source) {
        let way_back = kept_chart(&events, At::Source, &ends)
            .map(|command| format!("; its chart is kept: {command} brings it back"))
            .unwrap_or_default();
        return Err(MigrateError::NotPossible(format!(
            "run {} deleted the application at its source: what is at the target may be the last copy, so it is not removed{way_back}",
            run.id
        )));
    }
    Ok(events)
}

/// A refusal before anything was done: the run's own report and journal stay as they are.
pub(crate) fn refused(mut report: Report, error: MigrateError) -> Box<Failed> {
    report.fail(error.chain(), false);
    report.next.extend(error.hint());
    Box::new(Failed { error, report })
}

async fn work(
    run: &Run,
    source: Option<&Cluster>,
    target: Option<&Cluster>,
    events: &[Event],
    report: &mut Report,
) -> Result<(), MigrateError> {
    let ends = Ends::of(run)?;
    report.source.clone_from(&ends.source);
    report.target.clone_from(&ends.target);
    let end = |at: At| {
        let (cluster, side) = match at {
            At::Source => (source, &ends.source),
            // An import has one end, a delete too.
            At::Target => (target, &ends.target),
        };
        match (cluster, side) {
            (Some(cluster), Some(side)) => Ok((cluster, side.namespace.as_str())),
            _ => Err(MigrateError::NotPossible(format!(
                "run {} changed something at its {}: say which cluster that is",
                run.id,
                match at {
                    At::Source => "source (--from)",
                    At::Target => "target (--to)",
                }
            ))),
        }
    };
    run.progress.stage(&format!("taking back run {}", run.id));
    for at in [At::Source, At::Target] {
        if helper_left(events, at) {
            let (cluster, namespace) = end(at)?;
            Helpers::new(run, cluster, namespace, at)
                .remove_left_behind()
                .await?;
        }
    }
    // Found now: what a helper pod may be made of goes with the run's objects.
    let emptied = match filled(events).as_slice() {
        [] => Vec::new(),
        claims => {
            let (cluster, namespace) = end(At::Target)?;
            let (live, _) = inventory(cluster, namespace, None).await?;
            claims
                .iter()
                .map(|claim| (*claim, candidates(claim, &live.objects, None, None)))
                .collect()
        }
    };
    for event in events.iter().rev() {
        match event {
            Event::Creating { at, key } => {
                let (cluster, namespace) = end(*at)?;
                let uid = events.iter().find_map(|event| match event {
                    Event::Created {
                        at: there,
                        key: made,
                        uid,
                    } if there == at && made == key => Some(uid.as_str()),
                    _ => None,
                });
                remove(run, cluster, namespace, key, uid, report).await?;
            }
            Event::Changing { at, key, before } => {
                let (cluster, namespace) = end(*at)?;
                let after = events.iter().rev().find_map(|event| match event {
                    Event::Changed {
                        at: there,
                        key: changed,
                        content,
                        ..
                    } if there == at && changed == key => Some(content),
                    _ => None,
                });
                let place = (cluster, namespace, *at);
                put_back(run, place, key, (before, after), report).await?;
            }
            Event::ImagePushing {
                tag,
                image,
                before,
                named: Some(named),
                ..
            } => match before {
                Some(before) => report.losses.push(format!(
                    "the tag {named}:{tag} led to {before} first, and leads to {image} now: `skopeo copy --all docker://{named}@{before} docker://{named}:{tag}` leads it back"
                )),
                None => report.next.push(format!(
                    "what was pushed as {named}:{tag} stays in its registry ({image})"
                )),
            },
            Event::ImagePushing {
                stream,
                tag,
                image,
                before,
                named: None,
            } => {
                let (cluster, namespace) = end(At::Target)?;
                untag(
                    cluster,
                    namespace,
                    (stream, tag),
                    image,
                    before.as_deref(),
                    report,
                )
                .await?;
            }
            Event::VolumeOverwriting { claim, backup } => {
                let command = ends
                    .target
                    .as_ref()
                    .map(|side| format!(": `{}` brings it back", import_command(backup, side)))
                    .unwrap_or_default();
                if backup.exists() {
                    report.losses.push(format!(
                        "the data that was in claim {claim} first is in {}{command}",
                        backup.display()
                    ));
                } else {
                    report.losses.push(format!(
                        "the data that was in claim {claim} first is gone: {} is not there any more",
                        backup.display()
                    ));
                }
            }
            Event::NamespaceCreating { namespace, .. } => report.next.push(format!(
                "the project {namespace} stays, since this run made it but others may use it by now"
            )),
            _ => {}
        }
    }
    if !emptied.is_empty() {
        let (cluster, namespace) = end(At::Target)?;
        for (claim, images) in emptied {
            empty(run, cluster, namespace, claim, &images, report).await?;
        }
    }
    // Last of all: what starts again finds everything as it was, or does not start.
    let wiped: Vec<String> = torn(events)
        .into_iter()
        .filter(|claim| {
            let wiping =
                |event: &Event| matches!(event, Event::VolumeWiping { claim: of } if of == claim);
            events.iter().any(wiping)
        })
        .collect();
    for at in [At::Source, At::Target] {
        let mut stopped = Quiesced::of(events, at);
        if at == At::Target {
            for (key, claim) in stopped.without_users_of(&wiped) {
                report.losses.push(format!(
                    "{key} stays stopped, since claim {claim} holds only a part of the data that was imported"
                ));
            }
        }
        if !stopped.is_empty() {
            let (cluster, namespace) = end(at)?;
            stopped
                .give_back(run, cluster, namespace, at, report)
                .await?;
        }
    }
    if deleted(events, At::Target) {
        let way = kept_chart(events, At::Target, &ends)
            .map(|command| format!(": {command} brings it back"))
            .unwrap_or_default();
        report.losses.push(format!(
            "the application that was at the target first was deleted by this run{way}"
        ));
    }
    // All is taken back; that it could be tried once more does no harm.
    if let Err(error) = run.journal.write(Event::Undone) {
        tracing::warn!(%error, "the undo could not be journaled");
    }
    Ok(())
}

/// Claims that this run found empty and began to fill.
fn filled(events: &[Event]) -> Vec<&str> {
    let claims: BTreeSet<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::VolumeFilling { claim } => Some(claim.as_str()),
            _ => None,
        })
        .collect();
    claims.into_iter().collect()
}

/// Makes a claim empty again that this run has filled, once nobody mounts it any more.
async fn empty(
    run: &Run,
    cluster: &Cluster,
    namespace: &str,
    claim: &str,
    images: &[VolumeHelper],
    report: &mut Report,
) -> Result<(), MigrateError> {
    let kind = GroupKind::new("", "PersistentVolumeClaim");
    if cluster.get(&kind, Some(namespace), claim).await?.is_none() {
        return Ok(());
    }
    let claims = [claim.to_owned()];
    wait_gone(
        cluster,
        namespace,
        |pod| mounted(pod, &claims).is_some(),
        |pod, _| {
            Err(MigrateError::NotPossible(format!(
                "{} mounts claim {claim}, which this run has filled and would empty: stop it first",
                pod.key()
            )))
        },
    )
    .await?;
    let helpers = Helpers::new(run, cluster, namespace, At::Target);
    let door = helpers.start(claim, images, None, false).await?;
    let wiped = transfer::wipe(cluster, namespace, claim, &door).await;
    helpers.close(&door).await;
    wiped?;
    report.volumes.push(VolumeEntry::without_data(
        claim,
        VolumeAction::Emptied,
        "as it was before",
    ));
    Ok(())
}

/// Takes back a tag that a push made. The stream goes with it where the run made that.
async fn untag(
    cluster: &Cluster,
    namespace: &str,
    (stream, tag): (&str, &str),
    image: &str,
    before: Option<&str>,
    report: &mut Report,
) -> Result<(), MigrateError> {
    let kind = crate::images::streams();
    let Some(live) = cluster.get(&kind, Some(namespace), stream).await? else {
        return Ok(());
    };
    if image_of(&live, tag) != Some(image) {
        return Ok(());
    }
    let tag_kind = GroupKind::new("image.openshift.io", "ImageStreamTag");
    let name = format!("{stream}:{tag}");
    if let Some(before) = before {
        let mut led = lead_back(cluster, namespace, (&live, tag), before).await;
        if led.is_err() {
            // Without the registry, in another form: the tag then says what it leads to.
            let place = ImageTag {
                stream: stream.to_owned(),
                tag: tag.to_owned(),
            };
            led = lead(cluster, namespace, &place, (stream, before)).await;
        }
        match led {
            Ok(()) => report.object(
                ObjectKey {
                    kind: tag_kind,
                    name,
                },
                Action::Updated,
                Some(format!("it leads to {before} again")),
            ),
            Err(error) => report.losses.push(format!(
                "the tag {stream}:{tag} of {namespace} led to {before} first, and cannot be led back ({}): `oc tag {namespace}/{stream}@{before} {namespace}/{stream}:{tag}` does it",
                error.chain()
            )),
        }
        return Ok(());
    }
    let deleted = cluster
        .delete(
            &tag_kind,
            Some(namespace),
            &name,
            &Preconditions::default(),
            Propagation::Background,
        )
        .await;
    let key = ObjectKey {
        kind: tag_kind,
        name,
    };
    match deleted {
        Ok(_) => {
            report.object(key, Action::Deleted, None);
            Ok(())
        }
        Err(error) if error.is_not_found() => Ok(()),
        Err(source) => Err(MigrateError::Object {
            key,
            done: "deleted",
            source,
        }),
    }
}

/// The command that imports the chart which was kept before a deletion.
fn kept_chart(events: &[Event], end: At, ends: &Ends) -> Option<String> {
    let chart = events.iter().find_map(|event| match event {
        Event::ChartKept { at, chart } if *at == end => Some(chart),
        _ => None,
    })?;
    if !chart.exists() {
        return None;
    }
    let side = match end {
        At::Source => ends.source.as_ref(),
        At::Target => ends.target.as_ref(),
    }?;
    Some(import_command(chart, side))
}

/// What a run that ended in the middle left to be done, for a list of runs.
///
/// # Errors
/// When its journal cannot be read.
pub fn way_on(run: &Run) -> Result<Option<String>, MigrateError> {
    if run.journal.status()?.is_some() || run.journal.at_work() {
        return Ok(None);
    }
    let events = run.journal.events()?;
    let ends = Ends::of(run)?;
    let deleted = deleted(&events, At::Source);
    let kept = kept_chart(&events, At::Source, &ends).filter(|_| deleted);
    Ok(Some(match kept {
        Some(command) => command,
        // What a delete has removed nothing brings back.
        None if deleted => return Ok(None),
        None if came_to_import(&events) => {
            format!(
                "openshifter resume {id}, or openshifter undo {id}",
                id = run.id
            )
        }
        None => format!("openshifter undo {}", run.id),
    }))
}

/// Removes an object that the run created: its label and, where it is known, its uid must match.
async fn remove(
    run: &Run,
    cluster: &Cluster,
    namespace: &str,
    key: &ObjectKey,
    uid: Option<&str>,
    report: &mut Report,
) -> Result<(), MigrateError> {
    let failed = |source| MigrateError::Object {
        key: key.clone(),
        done: "deleted",
        source,
    };
    let cluster_scoped = cluster
        .discovery()
        .await?
        .find(&key.kind)
        .is_some_and(|resource| !resource.namespaced);
    let namespace = (!cluster_scoped).then_some(namespace);
    let Some(live) = cluster
        .get(&key.kind, namespace, &key.name)
        .await
        .map_err(failed)?
    else {
        return Ok(());
    };
    let ours = live.label(RUN_LABEL) == Some(run.id.as_str())
        && uid.is_none_or(|uid| live.uid() == Some(uid));
    if !ours {
        report.object(
            key.clone(),
            Action::Skipped,
            Some("it is not the one that this run made".to_owned()),
        );
        return Ok(());
    }
    if cluster_scoped {
        report.next.push(format!(
            "{key} stays, since it is of the whole cluster and others may use it by now"
        ));
        return Ok(());
    }
    let exactly = Preconditions {
        uid: live.uid().map(str::to_owned),
        resource_version: None,
    };
    cluster
        .delete(
            &key.kind,
            namespace,
            &key.name,
            &exactly,
            Propagation::Background,
        )
        .await
        .map_err(failed)?;
    let gone = live.uid().map(str::to_owned);
    cluster
        .wait(
            &key.kind,
            namespace,
            &key.name,
            std::time::Duration::from_secs(300),
            |live| live.is_none_or(|live| live.uid() != gone.as_deref()),
        )
        .await
        .map_err(failed)?;
    report.object(key.clone(), Action::Deleted, None);
    Ok(())
}

/// Gives an object the body that it had.
///
/// Somebody may have edited it since the run, which left it with the content `after`: the journal keeps what it was.
async fn put_back(
    run: &Run,
    (cluster, namespace, at): (&Cluster, &str, At),
    key: &ObjectKey,
    (before, after): (&Object, Option<&Value>),
    report: &mut Report,
) -> Result<(), MigrateError> {
    let failed = |source| MigrateError::Object {
        key: key.clone(),
        done: "changed back",
        source,
    };
    let Some(live) = cluster
        .get(&key.kind, Some(namespace), &key.name)
        .await
        .map_err(failed)?
    else {
        report.object(key.clone(), Action::Skipped, Some("it is gone".to_owned()));
        return Ok(());
    };
    if live.uid() != before.uid() {
        report.object(
            key.clone(),
            Action::Skipped,
            Some("it is another one by now".to_owned()),
        );
        return Ok(());
    }
    run.journal.write(Event::PuttingBack {
        at,
        key: key.clone(),
        now: live.clone(),
    })?;
    let edited = after.is_some_and(|after| !after.is_null() && *after != content(&live));
    let mut body = before.clone();
    body.value_mut()["metadata"]["resourceVersion"] =
        live.resource_version().unwrap_or_default().into();
    cluster
        .replace(Some(namespace), &body)
        .await
        .map_err(failed)?;
    report.object(
        key.clone(),
        Action::Updated,
        Some("has its former content".to_owned()),
    );
    if edited {
        report.next.push(format!(
            "{key} was changed after the run; what it was is in the last `putting-back` of {}",
            run.journal.path().display()
        ));
    }
    Ok(())
}
