//! Delete: exactly the application's objects, shown first, each by uid and resourceVersion.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use openshifter_cluster::{Cluster, Preconditions, Propagation};
use openshifter_objects::{LeftOut, Object, ObjectKey, Selector, Unlisted, counted};
use serde::Serialize;

use crate::ending::ended;
use crate::error::Ended;
use crate::journal::{At, Event};
use crate::pods_going::{Stays, mounted, pods_of, wait_gone};
use crate::policy::content;
use crate::project::{inventory, side};
use crate::{Action, MigrateError, Report, Run, Side};

/// How long an object may take to be gone: its pods end, its finalizers run.
const GONE: Duration = Duration::from_secs(300);

/// How often a delete is tried again when only the object's status changed.
const TRIES: usize = 10;

/// Objects that are deleted at the same time.
const AT_ONCE: usize = 16;

/// One object that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteStep {
    /// The object.
    #[serde(flatten)]
    pub key: ObjectKey,
    /// Its uid: another object of that name stays.
    pub uid: String,
    /// Its resourceVersion when it was shown.
    pub resource_version: String,
    /// Its generation when it was shown, for kinds that have one.
    pub generation: Option<i64>,
    /// What a person had written into it when it was shown, for kinds that have no generation.
    #[serde(skip)]
    pub(crate) content: u64,
}

/// What a delete would remove, in order; what of a step is independent goes together.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeletePlan {
    /// Where.
    pub at: Side,
    /// Objects, in the order in which they go.
    pub steps: Vec<Vec<DeleteStep>>,
    /// Claims that stay, with their data.
    pub kept_claims: Vec<String>,
    /// Objects of the project that are not the application's.
    pub left_out: Vec<LeftOut>,
    /// Kinds that could not be listed: their objects stay.
    pub unlisted: Vec<Unlisted>,
}

impl DeletePlan {
    /// How many objects go.
    pub fn count(&self) -> usize {
        self.steps.iter().map(Vec::len).sum()
    }

    /// The objects of this plan that an earlier one has shown, by their uids.
    #[must_use]
    pub(crate) fn only_what_was_shown(mut self, shown: &Self) -> Self {
        let uids: std::collections::BTreeSet<&str> = shown
            .steps
            .iter()
            .flatten()
            .map(|step| step.uid.as_str())
            .collect();
        for wave in &mut self.steps {
            wave.retain(|step| uids.contains(step.uid.as_str()));
        }
        self
    }

    /// The plan for a person.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} {} from {}/{}:\n",
            counted(self.count(), "object"),
            if self.count() == 1 { "goes" } else { "go" },
            self.at.cluster,
            self.at.namespace
        );
        for step in self.steps.iter().flatten() {
            text.push_str(&format!("  {}\n", step.key));
        }
        if !self.kept_claims.is_empty() {
            text.push_str(&format!(
                "claims that stay, with their data: {}\n",
                self.kept_claims.join(", ")
            ));
        }
        for unlisted in &self.unlisted {
            text.push_str(&format!(
                "not looked at: {}: {}\n",
                unlisted.resource, unlisted.reason
            ));
        }
        text
    }
}

/// Finds out what a delete would remove. Changes nothing.
///
/// # Errors
/// When the project is not there or cannot be read.
pub async fn plan_delete(
    cluster: &Cluster,
    namespace: &str,
    selector: Option<&Selector>,
    with_data: bool,
) -> Result<DeletePlan, MigrateError> {
    let (plan, _) = plan_with_objects(cluster, namespace, selector, with_data).await?;
    Ok(plan)
}

/// [`plan_delete`], and the objects as they are.
pub(crate) async fn plan_with_objects(
    cluster: &Cluster,
    namespace: &str,
    selector: Option<&Selector>,
    with_data: bool,
) -> Result<(DeletePlan, Vec<Object>), MigrateError> {
    let (inventory, _) = inventory(cluster, namespace, selector).await?;
    let objects = inventory.objects.clone();
    let (claims, others): (Vec<Object>, Vec<Object>) = inventory
        .objects
        .into_iter()
        .partition(|object| object.is("", "PersistentVolumeClaim"));
    let kept_claims = if with_data {
        Vec::new()
    } else {
        claims.iter().map(|claim| claim.name().to_owned()).collect()
    };
    // What needs others goes before them.
    let mut steps: Vec<Vec<DeleteStep>> = openshifter_refactor::waves(&others)
        .iter()
        .rev()
        .map(|wave| wave.iter().filter_map(step).collect())
        .collect();
    if with_data {
        steps.push(claims.iter().filter_map(step).collect());
    }
    steps.retain(|wave: &Vec<DeleteStep>| !wave.is_empty());
    let plan = DeletePlan {
        at: side(cluster, namespace),
        steps,
        kept_claims,
        left_out: inventory.left_out,
        unlisted: inventory.unlisted,
    };
    Ok((plan, objects))
}

fn step(object: &Object) -> Option<DeleteStep> {
    Some(DeleteStep {
        key: object.key(),
        uid: object.uid()?.to_owned(),
        resource_version: object.resource_version()?.to_owned(),
        generation: generation(object),
        content: fingerprint(object),
    })
}

/// Tells apart what persons write into an object.
pub(crate) fn fingerprint(object: &Object) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    content(object).to_string().hash(&mut hasher);
    hasher.finish()
}

fn generation(object: &Object) -> Option<i64> {
    object.value()["metadata"]["generation"].as_i64()
}

/// Carries out a plan, and waits until everything in it is gone.
///
/// # Errors
/// When an object cannot be deleted; those after it stay.
pub async fn delete(run: &Run, cluster: &Cluster, plan: &DeletePlan) -> Ended {
    let mut report = Report::new(run.id.clone(), "delete");
    report.source = Some(plan.at.clone());
    report.left_out.clone_from(&plan.left_out);
    report.unlisted.clone_from(&plan.unlisted);
    let begun = run.journal.write(Event::Begin {
        operation: "delete".to_owned(),
        source: report.source.clone(),
        target: None,
        chart: None,
        options: serde_json::Value::Null,
    });
    let result = match begun {
        Ok(()) => {
            run.or_cancelled(carry_out(run, cluster, plan, At::Source, &mut report))
                .await
        }
        Err(error) => Err(error.into()),
    };
    if !plan.kept_claims.is_empty() {
        report.next.push(format!(
            "claims that stay, with their data: {} (--with-data deletes them too)",
            plan.kept_claims.join(", ")
        ));
    }
    ended(run, report, result)
}

pub(crate) async fn carry_out(
    run: &Run,
    cluster: &Cluster,
    plan: &DeletePlan,
    at: At,
    report: &mut Report,
) -> Result<(), MigrateError> {
    let namespace = plan.at.namespace.as_str();
    run.progress.stage(&format!(
        "deleting {} of {}/{namespace}",
        counted(plan.count(), "object"),
        plan.at.cluster
    ));
    let keys = plan.steps.iter().flatten().map(|step| &step.key).collect();
    let pods = pods_of(cluster, namespace, &keys).await?;
    run.journal.write(Event::DeletedApplication { at })?;
    let total = plan.count();
    let mut done = 0;
    // Whether anything is gone, or may be.
    let mut gone = false;
    for wave in &plan.steps {
        let mut deletes = stream::iter(wave.iter().map(|step| async move {
            let deleted = delete_one(run, cluster, namespace, step, at).await;
            (step, deleted)
        }))
        .buffer_unordered(AT_ONCE);
        let mut first = None;
        while let Some((step, deleted)) = deletes.next().await {
            done += 1;
            run.progress.count(done, total);
            match deleted {
                Ok(true) => {
                    gone = true;
                    report.object(step.key.clone(), Action::Deleted, None);
                }
                Ok(false) => {
                    gone = true;
                    report.object(
                        step.key.clone(),
                        Action::Deleted,
                        Some("it was gone already".to_owned()),
                    );
                }
                Err(error) => {
                    gone |= !is_refusal(&error);
                    report.object(step.key.clone(), Action::Failed, Some(error.chain()));
                    first.get_or_insert(error);
                }
            }
        }
        if let Some(error) = first {
            if !gone {
                run.journal.write(Event::DeletedNothing { at })?;
            }
            return Err(error);
        }
    }
    // The garbage collector takes pods after their workloads. Until then they write to the claims that stay.
    run.progress.stage("waiting until the pods are gone");
    wait_gone(
        cluster,
        namespace,
        |pod| {
            pod.uid().is_some_and(|uid| pods.contains(uid))
                || mounted(pod, &plan.kept_claims).is_some()
        },
        |_, _| Ok(Stays::LeaveAlone),
    )
    .await
}

/// Whether the object is certainly still there: the server said no, or it is not what was shown.
fn is_refusal(error: &MigrateError) -> bool {
    match error {
        MigrateError::ChangedMeanwhile { .. } => true,
        MigrateError::Object { source, .. } => source
            .status()
            .is_some_and(|status| (400..500).contains(&status)),
        _ => false,
    }
}

/// Deletes one object and waits until it is gone. A status that its controller wrote meanwhile does not
/// matter; another spec or another uid does.
async fn delete_one(
    run: &Run,
    cluster: &Cluster,
    namespace: &str,
    step: &DeleteStep,
    at: At,
) -> Result<bool, MigrateError> {
    let key = &step.key;
    let failed = |source| MigrateError::Object {
        key: key.clone(),
        done: "deleted",
        source,
    };
    run.journal.write(Event::Deleting {
        at,
        key: key.clone(),
        uid: step.uid.clone(),
    })?;
    let mut version = step.resource_version.clone();
    let mut tries = 0;
    let there = loop {
        let exactly = Preconditions {
            uid: Some(step.uid.clone()),
            resource_version: Some(version.clone()),
        };
        let error = match cluster
            .delete(
                &key.kind,
                Some(namespace),
                &key.name,
                &exactly,
                Propagation::Background,
            )
            .await
        {
            Ok(there) => break there,
            Err(error) => error,
        };
        tries += 1;
        if !error.is_conflict() || tries > TRIES {
            return Err(failed(error));
        }
        // A workload's status changes all the time, the more so while its pods go. Another spec, or other data of what
        // has no generation, is another matter: that is not what was shown.
        match cluster
            .get(&key.kind, Some(namespace), &key.name)
            .await
            .map_err(failed)?
        {
            Some(live) if live.uid() != Some(step.uid.as_str()) => break false,
            Some(live)
                if generation(&live) != step.generation
                    || (step.generation.is_none() && fingerprint(&live) != step.content) =>
            {
                return Err(MigrateError::ChangedMeanwhile { key: key.clone() });
            }
            Some(live) => version = live.resource_version().unwrap_or_default().to_owned(),
            None => break false,
        }
    };
    if there {
        let uid = step.uid.clone();
        cluster
            .wait(&key.kind, Some(namespace), &key.name, GONE, |live| {
                live.is_none_or(|live| live.uid() != Some(uid.as_str()))
            })
            .await
            .map_err(failed)?;
    }
    Ok(there)
}
