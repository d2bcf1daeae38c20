//! What an export would take. Changes nothing.

use openshifter_cluster::Cluster;
use openshifter_objects::{LeftOut, ObjectKey, Unlisted, counted};
use serde::Serialize;

use crate::images::Afterwards;
use crate::project::{ClaimState, Project, claim_state, side};
use crate::{ExportOptions, MigrateError, PlannedImages, Side};

/// What an export would take, and what not.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportPlan {
    /// Where.
    pub from: Side,
    /// The application's objects.
    pub objects: Vec<ObjectKey>,
    /// Claims whose data would be read.
    pub volumes: Vec<String>,
    /// Claims whose data would not be read, each with the reason.
    pub volumes_without_data: Vec<(String, String)>,
    /// Objects of the project that are not the application's.
    pub left_out: Vec<LeftOut>,
    /// Images, and what becomes of each.
    pub images: PlannedImages,
    /// Kinds that could not be listed.
    pub unlisted: Vec<Unlisted>,
}

/// Finds out what an export would take.
///
/// # Errors
/// When the project is not there or cannot be read.
pub async fn plan_export(
    source: &Cluster,
    namespace: &str,
    options: &ExportOptions,
) -> Result<ExportPlan, MigrateError> {
    let project = Project::read(source, namespace, options.selector.as_ref()).await?;
    let objects = project.with_images();
    let images = PlannedImages::look(
        source,
        namespace,
        &objects,
        &options.images,
        Afterwards::Stay,
    )
    .await?;
    let inventory = project.application;
    let (mut volumes, mut volumes_without_data) = (Vec::new(), Vec::new());
    for claim in inventory
        .objects
        .iter()
        .filter(|object| object.is("", "PersistentVolumeClaim"))
    {
        let name = claim.name().to_owned();
        match claim_state(claim) {
            _ if options.skip_volumes.contains(&name) => {
                volumes_without_data.push((name, "skipped, as asked for".to_owned()));
            }
            ClaimState::Bound => volumes.push(name),
            ClaimState::Unbound => volumes_without_data.push((name, "never bound".to_owned())),
            ClaimState::Trouble(reason) => volumes_without_data.push((name, reason)),
        }
    }
    Ok(ExportPlan {
        from: side(source, namespace),
        objects: inventory
            .objects
            .iter()
            .map(|object| object.key())
            .collect(),
        volumes,
        volumes_without_data,
        left_out: inventory.left_out,
        images,
        unlisted: inventory.unlisted,
    })
}

impl ExportPlan {
    /// The plan for a person.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} of {}/{}:\n",
            counted(self.objects.len(), "object"),
            self.from.cluster,
            self.from.namespace
        );
        for key in &self.objects {
            text.push_str(&format!("  {key}\n"));
        }
        for claim in &self.volumes {
            text.push_str(&format!("data of claim {claim}\n"));
        }
        for (claim, reason) in &self.volumes_without_data {
            text.push_str(&format!("no data of claim {claim}: {reason}\n"));
        }
        text.push_str(&self.images.text());
        if !self.left_out.is_empty() {
            text.push_str("left out:\n");
        }
        for left in &self.left_out {
            text.push_str(&format!("  {}: {}\n", left.key, left.reason));
        }
        for unlisted in &self.unlisted {
            text.push_str(&format!(
                "not listed: {}: {}\n",
                unlisted.resource, unlisted.reason
            ));
        }
        text
    }
}
