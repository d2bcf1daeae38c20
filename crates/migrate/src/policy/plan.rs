//! What a policy would do and delete, found out before it does.

use openshifter_cluster::Cluster;
use openshifter_objects::{GroupKind, Selector};
use serde::Serialize;

use crate::delete::{DeletePlan, plan_delete};
use crate::images::Afterwards;
use crate::project::Project;
use crate::{MigrateError, MigrateOptions, PlannedImages, Policy};

/// What a migration would do, to be shown before it does.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyPlan {
    /// The policy.
    pub policy: Policy,
    /// Whether source and target are one project.
    pub in_place: bool,
    /// The steps, in order, each a sentence.
    pub steps: Vec<String>,
    /// What is deleted; `None` when nothing is.
    pub deletes: Option<DeletePlan>,
    /// The images, each with what becomes of it.
    pub images: PlannedImages,
}

impl PolicyPlan {
    /// The plan for a person.
    pub fn text(&self) -> String {
        let place = if self.in_place { ", in place" } else { "" };
        let mut text = format!("policy {}{place}:\n", self.policy);
        for (number, step) in self.steps.iter().enumerate() {
            text.push_str(&format!("  {}. {step}\n", number + 1));
        }
        text.push_str(&self.images.text());
        match &self.deletes {
            Some(deletes) => text.push_str(&deletes.text()),
            None => text.push_str("nothing is deleted\n"),
        }
        text
    }
}

/// Finds out what a migration would do and delete. Changes nothing.
///
/// # Errors
/// When one of the clusters cannot be read.
pub async fn plan_policy(
    source: &Cluster,
    source_namespace: &str,
    target: &Cluster,
    target_namespace: &str,
    options: &MigrateOptions,
) -> Result<PolicyPlan, MigrateError> {
    let in_place = same_place(source, source_namespace, target, target_namespace).await?;
    // Of a Move the source's claims are deleted, of a Ping-Pong the target's.
    if options.policy != Policy::Copy
        && options.with_data
        && let Some(claim) = options.export.skip_volumes.first()
    {
        return Err(MigrateError::NotPossible(format!(
            "claim {claim} is not copied (--skip-volume) and would be deleted (--with-data): leave one of them out"
        )));
    }
    let from = format!("{}/{source_namespace}", source.name());
    let to = format!("{}/{target_namespace}", target.name());
    let selector: Option<&Selector> = options.export.selector.as_ref();
    let claims = if options.with_data {
        "with its claims"
    } else {
        "its claims stay"
    };
    let (steps, deletes) = match (options.policy, in_place) {
        (Policy::Copy | Policy::PingPong, true) => {
            return Err(MigrateError::NotPossible(format!(
                "{} copies from one project to another, but {from} and {to} are the same; use the policy move for a round trip in place",
                options.policy
            )));
        }
        (Policy::Copy, false) => (
            vec![format!("export {from}"), format!("import to {to}")],
            None,
        ),
        (Policy::Move, false) => (
            vec![
                format!("stop what writes to the volumes of {from}"),
                format!("export {from}"),
                format!("import to {to}, verify, wait until it is ready"),
                format!("delete the application's objects of {from} ({claims})"),
            ],
            Some(plan_delete(source, source_namespace, selector, options.with_data).await?),
        ),
        (Policy::Move, true) => (
            vec![
                format!("stop what writes to the volumes of {from}"),
                format!("export {from}, verify and keep the chart"),
                format!("delete the application's objects of {from} ({claims})"),
                format!("import to {to}"),
            ],
            Some(plan_delete(source, source_namespace, selector, options.with_data).await?),
        ),
        (Policy::PingPong, false) => {
            let there = target.namespace_exists(target_namespace).await?;
            let deletes = if there {
                Some(plan_delete(target, target_namespace, None, options.with_data).await?)
            } else {
                None
            };
            let mut steps = vec![format!("export {from}")];
            if deletes.as_ref().is_some_and(|plan| plan.count() > 0) {
                steps.push(format!("export {to} as a backup that is kept"));
                steps.push(format!(
                    "delete the application's objects of {to} ({claims})"
                ));
            }
            steps.push(format!("import to {to}, overwriting the claims' data"));
            (steps, deletes.filter(|plan| plan.count() > 0))
        }
    };
    let images = match Project::read(source, source_namespace, selector).await {
        Ok(project) => {
            let objects = project.with_images();
            let images = &options.export.images;
            let afterwards = match (options.policy, in_place) {
                (Policy::Move, true) => Afterwards::GoFirst,
                (Policy::Move, false) => Afterwards::Go,
                _ => Afterwards::Stay,
            };
            let mut planned =
                PlannedImages::look(source, source_namespace, &objects, images, afterwards).await?;
            let there = &options.import.images;
            planned.need_place(target, target_namespace, there).await?;
            planned
        }
        // The export says so, with a report.
        Err(error) => {
            tracing::debug!(%error, "the images are not known");
            PlannedImages::default()
        }
    };
    Ok(PolicyPlan {
        policy: options.policy,
        in_place,
        steps,
        deletes,
        images,
    })
}

/// Whether both ends are the same project of the same cluster, whatever they are called.
async fn same_place(
    source: &Cluster,
    source_namespace: &str,
    target: &Cluster,
    target_namespace: &str,
) -> Result<bool, MigrateError> {
    if source_namespace != target_namespace {
        return Ok(false);
    }
    if source.base() == target.base() {
        return Ok(true);
    }
    let (a, b) = futures::try_join!(
        place_uid(source, source_namespace),
        place_uid(target, target_namespace)
    )?;
    Ok(a.is_some() && a == b)
}

/// The uid of a project, which no two clusters share; none where there is no such project, or it may not be read.
///
/// # Errors
/// When the cluster does not answer.
pub async fn place_uid(cluster: &Cluster, namespace: &str) -> Result<Option<String>, MigrateError> {
    for kind in [
        GroupKind::new("project.openshift.io", "Project"),
        GroupKind::new("", "Namespace"),
    ] {
        if cluster.discovery().await?.find(&kind).is_none() {
            continue;
        }
        match cluster.get(&kind, None, namespace).await {
            Ok(Some(place)) => return Ok(place.uid().map(str::to_owned)),
            Ok(None) => {}
            Err(error) if error.is_forbidden() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}
