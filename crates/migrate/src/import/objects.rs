//! Objects of an import: what is to be done with each, and doing it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use openshifter_cluster::{Cluster, ClusterError, DryRun};
use openshifter_objects::{GroupKind, Object, ObjectKey, references};
use openshifter_refactor::{Difference, Hold, compare_live, held_back, hold, waves};

use crate::import::{Existing, builds};
use crate::journal::{At, Event};
use crate::policy::content;
use crate::report::Report;
use crate::run::RUN_LABEL;
use crate::{Action, MigrateError, Run};

/// Objects that are looked at or created at the same time.
const AT_ONCE: usize = 32;

/// The name under which the server notes the fields that we set.
pub(crate) const FIELD_MANAGER: &str = "openshifter";

/// How long a new project may take to make its own objects.
const SETTLE: Duration = Duration::from_secs(30);

/// Waits until a new project has the account without which no pod is let in. A cluster that makes none, or a user who
/// may not see it, is no failure: what needs it says so.
pub(crate) async fn settled(target: &Cluster, namespace: &str) {
    let account = GroupKind::new("", "ServiceAccount");
    let there = target
        .wait(&account, Some(namespace), "default", SETTLE, |live| {
            live.is_some()
        })
        .await;
    if let Err(error) = there {
        tracing::debug!(%error, "the default service account was not seen");
    }
}

/// What is to be done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Create,
    /// It is there with the same content.
    Keep,
    /// It is there and stays as it is.
    Skip,
    /// It is there and becomes what the chart says.
    Apply,
}

/// An object and what is to be done with it.
#[derive(Debug, Clone)]
pub(crate) struct Decided {
    /// As it will be in the end.
    pub(crate) object: Object,
    pub(crate) verdict: Verdict,
    pub(crate) hold: Hold,
    /// Whether its triggers wait until its image is built, as those of a BuildConfig that the import builds by.
    pub(crate) holds_triggers: bool,
}

impl Decided {
    /// Whether it starts by itself, and so waits for the data.
    pub(crate) fn is_later(&self) -> bool {
        matches!(self.hold, Hold::Later)
    }
}

fn is_claim(object: &Object) -> bool {
    object.is("", "PersistentVolumeClaim")
}

/// Objects that every project makes for itself: the chart's content is put into them.
fn is_everywhere(object: &Object) -> bool {
    object.is("", "ServiceAccount")
        && matches!(
            object.name(),
            "default" | "builder" | "deployer" | "pipeline"
        )
}

/// Looks at the target and decides. Changes nothing.
///
/// # Errors
/// When objects exist and that is not allowed, or the target does not know a kind.
pub(crate) async fn decide(
    run: &Run,
    target: &Cluster,
    namespace: &str,
    there: bool,
    objects: &[Object],
    built: &BTreeSet<ObjectKey>,
    existing: Existing,
) -> Result<Vec<Decided>, MigrateError> {
    if !there {
        return Ok(objects
            .iter()
            .map(|object| Decided {
                object: object.clone(),
                // A new project makes some by itself.
                verdict: if is_everywhere(object) {
                    Verdict::Apply
                } else {
                    Verdict::Create
                },
                hold: hold(object),
                holds_triggers: built.contains(&object.key()),
            })
            .collect());
    }
    let total = objects.len();
    let scalers = scalers(objects.iter());
    let mut looks = stream::iter(objects.iter().map(|object| async move {
        // A kind that is not served yet comes with a definition of the chart: `crds::check` has seen to it.
        let live = match target
            .get(&object.group_kind(), Some(namespace), object.name())
            .await
        {
            Err(error) if error.is_unknown_kind() => None,
            other => other?,
        };
        Ok::<_, MigrateError>((object, live))
    }))
    .buffered(AT_ONCE);
    let mut decided = Vec::with_capacity(total);
    let mut clashes = Vec::new();
    while let Some(look) = looks.next().await {
        let (object, live) = look?;
        run.progress.count(decided.len() + 1, total);
        let verdict = match &live {
            None => Verdict::Create,
            // A run that is resumed finds its own.
            Some(live) if live.label(RUN_LABEL) == Some(run.id.as_str()) => Verdict::Keep,
            // Claims follow their data.
            Some(_) if is_claim(object) => Verdict::Keep,
            Some(live) => match differences(object, live, &scalers).into_iter().next() {
                None => Verdict::Keep,
                Some(_) if is_everywhere(object) => Verdict::Apply,
                Some(first) => match existing {
                    Existing::Skip => Verdict::Skip,
                    Existing::Apply => Verdict::Apply,
                    Existing::Fail => {
                        clashes.push((object.key(), first.pointer));
                        Verdict::Skip
                    }
                },
            },
        };
        // What a resumed run left stopped is released; what runs already is not stopped.
        let hold = match (&live, verdict) {
            (Some(live), Verdict::Keep) if live.label(RUN_LABEL) != Some(run.id.as_str()) => {
                Hold::No
            }
            (_, Verdict::Skip) => Hold::No,
            _ => hold(object),
        };
        decided.push(Decided {
            object: object.clone(),
            verdict,
            hold,
            holds_triggers: verdict != Verdict::Skip && built.contains(&object.key()),
        });
    }
    drop(looks);
    clashes.sort();
    let count = clashes.len();
    match clashes.into_iter().next() {
        Some((first, field)) => Err(MigrateError::Exists {
            count,
            first,
            field,
            namespace: namespace.to_owned(),
        }),
        None => Ok(decided),
    }
}

/// Autoscalers among the application's objects.
fn scalers<'a>(objects: impl Iterator<Item = &'a Object>) -> Vec<&'a Object> {
    objects
        .filter(|object| object.kind() == "HorizontalPodAutoscaler")
        .collect()
}

/// What of an object is not at the target as it would be sent, but for replicas that an autoscaler decides about.
fn differences(wanted: &Object, live: &Object, scalers: &[&Object]) -> Vec<Difference> {
    let scaled = is_scaled(wanted, scalers);
    let mut found = compare_live(wanted, live);
    // At none, an autoscaler decides nothing: somebody, or this program, has stopped it.
    let runs = live.value()["spec"]["replicas"] != 0;
    found.retain(|difference| !(scaled && runs && difference.pointer == "/spec/replicas"));
    // Tags that somebody made besides, this program perhaps, lead to images of their own.
    let tags = wanted.is("image.openshift.io", "ImageStream");
    found.retain(|difference| {
        !(tags && difference.added && difference.pointer.starts_with("/spec/tags"))
    });
    found
}

/// Creates and changes objects in dependency order, in parallel where they do not need each other.
///
/// With `stopped`, workloads get no replicas yet.
pub(crate) async fn carry_out(
    run: &Run,
    target: &Cluster,
    namespace: &str,
    decided: impl Iterator<Item = &Decided>,
    report: &mut Report,
    stopped: bool,
) -> Result<(), MigrateError> {
    let decided: Vec<&Decided> = decided.collect();
    let objects: Vec<Object> = decided.iter().map(|one| one.object.clone()).collect();
    let mut by_key: HashMap<ObjectKey, &Decided> = HashMap::new();
    for one in &decided {
        by_key.entry(one.object.key()).or_insert(one);
    }
    let total = objects.len();
    let mut done = 0;
    for wave in waves(&objects) {
        let wave: Vec<&Decided> = wave
            .iter()
            .filter_map(|object| by_key.get(&object.key()).copied())
            .collect();
        let mut work =
            stream::iter(wave.into_iter().map(|one| async move {
                (one, do_one(run, target, namespace, one, stopped).await)
            }))
            .buffer_unordered(AT_ONCE);
        // What of a wave was begun is finished, so that the report knows of it.
        let mut first = None;
        while let Some((one, result)) = work.next().await {
            done += 1;
            run.progress.count(done, total);
            match result {
                Ok((action, reason)) => report.object(one.object.key(), action, reason),
                Err(error) => {
                    report.object(one.object.key(), Action::Failed, Some(error.chain()));
                    first.get_or_insert(error);
                }
            }
        }
        if let Some(error) = first {
            return Err(error);
        }
    }
    Ok(())
}

async fn do_one(
    run: &Run,
    target: &Cluster,
    namespace: &str,
    one: &Decided,
    stopped: bool,
) -> Result<(Action, Option<String>), MigrateError> {
    let mut object = if stopped {
        held_back(&one.object)
    } else {
        one.object.clone()
    };
    if one.holds_triggers {
        builds::hold(&mut object);
    }
    match one.verdict {
        Verdict::Keep => Ok((Action::Unchanged, None)),
        Verdict::Skip => Ok((Action::Skipped, Some("it exists".to_owned()))),
        Verdict::Apply => change(run, target, namespace, &object).await,
        Verdict::Create => {
            object.set_label(RUN_LABEL, run.id.as_str());
            let key = object.key();
            run.journal.write(Event::Creating {
                at: At::Target,
                key: key.clone(),
            })?;
            match target.create(Some(namespace), &object, DryRun::No).await {
                Ok(created) => {
                    note_created(run, &created)?;
                    Ok((Action::Created, None))
                }
                // A controller of the cluster was faster: it makes this one in every project.
                Err(error) if error.is_already_exists() && is_everywhere(&object) => {
                    change(run, target, namespace, &one.object).await
                }
                Err(source) => Err(MigrateError::Object {
                    key,
                    done: "created",
                    source,
                }),
            }
        }
    }
}

pub(crate) fn note_created(run: &Run, created: &Object) -> Result<(), MigrateError> {
    run.journal.write(Event::Created {
        at: At::Target,
        key: created.key(),
        uid: created.uid().unwrap_or_default().to_owned(),
    })?;
    Ok(())
}

fn note_changed(run: &Run, after: &Object) -> Result<(), MigrateError> {
    run.journal.write(Event::Changed {
        at: At::Target,
        key: after.key(),
        resource_version: after.resource_version().unwrap_or_default().to_owned(),
        content: content(after),
    })?;
    Ok(())
}

/// Makes an object that exists what the chart says, keeping what it was in the journal.
async fn change(
    run: &Run,
    target: &Cluster,
    namespace: &str,
    object: &Object,
) -> Result<(Action, Option<String>), MigrateError> {
    let key = object.key();
    let failed = |source| MigrateError::Object {
        key: key.clone(),
        done: "changed",
        source,
    };
    let before = if is_everywhere(object) {
        target
            .wait(&key.kind, Some(namespace), &key.name, SETTLE, |live| {
                live.is_some()
            })
            .await
            .map_err(failed)?
    } else {
        target
            .get(&key.kind, Some(namespace), &key.name)
            .await
            .map_err(failed)?
    };
    let Some(before) = before else {
        return Err(MigrateError::ChangedMeanwhile { key });
    };
    run.journal.write(Event::Changing {
        at: At::Target,
        key: key.clone(),
        before: before.clone(),
    })?;
    let after = match target
        .apply(Some(namespace), object, FIELD_MANAGER, true, DryRun::No)
        .await
    {
        Ok(after) => after,
        // No server-side apply here (HTTP 415): a merge patch sets the same fields.
        Err(error) if error.status() == Some(415) => target
            .merge_patch(&key.kind, Some(namespace), &key.name, object.value())
            .await
            .map_err(failed)?,
        Err(error) => return Err(failed(error)),
    };
    note_changed(run, &after)?;
    let same = before.resource_version() == after.resource_version();
    Ok((
        if same {
            Action::Unchanged
        } else {
            Action::Updated
        },
        None,
    ))
}

/// Gives the workloads their replicas, and the BuildConfigs their triggers.
pub(crate) async fn release(
    run: &Run,
    target: &Cluster,
    namespace: &str,
    decided: &[Decided],
) -> Result<(), MigrateError> {
    for one in decided {
        let key = one.object.key();
        if one.holds_triggers {
            run.journal
                .write(Event::GivingTriggers { key: key.clone() })?;
            let given = builds::give_back(target, namespace, &one.object).await?;
            // An undo tells later edits of what was there by what this run has left.
            if let Some(after) = given.filter(|_| one.verdict == Verdict::Apply) {
                note_changed(run, &after)?;
            }
        }
        let Hold::Replicas(replicas) = one.hold else {
            continue;
        };
        run.journal.write(Event::Releasing {
            key: key.clone(),
            to: replicas,
        })?;
        target
            .scale(&key.kind, Some(namespace), &key.name, replicas)
            .await
            .map_err(|source| MigrateError::Object {
                key,
                done: "started",
                source,
            })?;
    }
    Ok(())
}

/// Asks the target once more for everything: a controller may have removed what was accepted.
pub(crate) async fn check(
    target: &Cluster,
    namespace: &str,
    decided: impl Iterator<Item = &Decided>,
    report: &mut Report,
) -> Result<(), MigrateError> {
    let decided: Vec<&Decided> = decided.collect();
    let scalers = scalers(decided.iter().map(|one| &one.object));
    let mut looks = stream::iter(decided.iter().map(|one| async move {
        let live = target
            .get(&one.object.group_kind(), Some(namespace), one.object.name())
            .await?;
        Ok::<_, MigrateError>((one, live))
    }))
    .buffer_unordered(AT_ONCE);
    while let Some(look) = looks.next().await {
        let (one, live) = look?;
        let key = one.object.key();
        match live {
            None => report
                .losses
                .push(format!("{key} was accepted, but it is not there any more")),
            Some(live) if one.verdict != Verdict::Skip => {
                // What somebody or an admission webhook added takes nothing away from what was sent.
                let lost = differences(&one.object, &live, &scalers)
                    .into_iter()
                    .find(|difference| !difference.added);
                if let Some(lost) = lost {
                    report
                        .losses
                        .push(format!("{key} is not what was sent: {}", lost.pointer));
                }
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Whether an autoscaler of the application decides about the replicas by now.
fn is_scaled(object: &Object, scalers: &[&Object]) -> bool {
    scalers.iter().any(|scaler| {
        let target = &scaler.value()["spec"]["scaleTargetRef"];
        target["kind"] == object.kind() && target["name"] == object.name()
    })
}

/// Whether the server misses something that the import makes before the object: it refuses a RoleBinding whose Role
/// is not there yet (404), and a pod whose account is not (403).
fn is_early(error: &ClusterError, object: &Object, new: &HashSet<ObjectKey>) -> bool {
    (error.is_not_found() || error.is_forbidden())
        && references(object)
            .iter()
            .any(|reference| new.contains(&reference.to))
}

/// Lets the server say what it would do, where the project exists.
pub(crate) async fn dry_run(
    target: &Cluster,
    namespace: &str,
    there: bool,
    decided: &[Decided],
    report: &mut Report,
) -> Result<(), MigrateError> {
    let would = || (Action::Created, Some("would be created".to_owned()));
    let new: HashSet<ObjectKey> = decided
        .iter()
        .filter(|one| one.verdict == Verdict::Create)
        .map(|one| one.object.key())
        .collect();
    for one in decided {
        let key = one.object.key();
        let (action, reason) = match one.verdict {
            Verdict::Keep => (Action::Unchanged, None),
            Verdict::Skip => (Action::Skipped, Some("it exists".to_owned())),
            Verdict::Apply => (Action::Updated, Some("would be changed".to_owned())),
            Verdict::Create if !there => would(),
            Verdict::Create => match target
                .create(Some(namespace), &one.object, DryRun::All)
                .await
            {
                Ok(_) => would(),
                Err(error) if is_early(&error, &one.object, &new) => would(),
                Err(error) => (Action::Failed, Some(error.to_string())),
            },
        };
        report.object(key, action, reason);
    }
    Ok(())
}
