//! What becomes of each image, as plans show it.

use std::fmt::Write as _;

use openshifter_cluster::Cluster;
use openshifter_images::{Choices, Decision, ImagePlan, Inventory, PlannedImage};
use openshifter_objects::Object;
use serde::Serialize;

use super::doors::survey_all;
use super::manual::held_back;
use super::{ImageOptions, elsewhere};
use crate::MigrateError;

/// The images of an application, each with what becomes of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PlannedImages(pub Vec<PlannedImage>);

impl PlannedImages {
    /// Decides what becomes of each image, and looks whether what is to be copied can be had: what cannot has a problem.
    /// With `keeps`, what is built is copied as well.
    ///
    /// # Errors
    /// When a choice says nothing that can be done, or fits no image.
    pub(crate) async fn look(
        source: &Cluster,
        namespace: &str,
        objects: &[Object],
        options: &ImageOptions,
        keeps: bool,
    ) -> Result<Self, MigrateError> {
        let mut planned = Self::of(objects, &options.choices)?;
        if keeps {
            planned.keep();
        }
        survey_all(source, namespace, objects, options, &mut planned).await;
        elsewhere::tell_digests(source, objects, options, &mut planned).await;
        for held in held_back(objects, namespace) {
            let tagged = planned.0.iter_mut().find(|one| {
                let mut tags = one.image.tags.iter();
                tags.any(|tag| format!("{}:{}", tag.stream, tag.tag) == held.tag)
            });
            if let Some(one) = tagged {
                one.note.get_or_insert(held.text);
            }
        }
        Ok(planned)
    }

    /// Decides what becomes of each image. Asks no registry.
    ///
    /// # Errors
    /// When a choice says nothing that can be done, or fits no image.
    pub(crate) fn of(objects: &[Object], choices: &Choices) -> Result<Self, MigrateError> {
        let plan = ImagePlan::of(Inventory::of(objects), choices)?;
        match plan.unused.first() {
            Some(unused) => Err(MigrateError::UnusedChoice {
                choice: unused.clone(),
                images: plan
                    .images
                    .iter()
                    .map(|planned| planned.image.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
            None => Ok(Self(plan.images)),
        }
    }

    /// Takes what is built along as well, to fall back on.
    pub(crate) fn keep(&mut self) {
        self.0.iter_mut().for_each(PlannedImage::keep);
    }

    /// The image of this plan that is called the same, whatever its tag leads to.
    pub(crate) fn same(&self, other: &PlannedImage) -> Option<&PlannedImage> {
        self.0.iter().find(|one| one.called() == other.called())
    }

    /// The images for a person, each a line or more.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for planned in &self.0 {
            // Writing into a string cannot fail.
            let _ = write!(
                text,
                "image {}: {}",
                planned.image.name,
                planned.decision.word()
            );
            if let Decision::Map { to } = &planned.decision {
                let _ = write!(text, " to {to}");
            }
            let origin = planned.image.origin.to_string();
            if origin != planned.decision.word() {
                let _ = write!(text, " ({origin})");
            }
            if let Some(digest) = &planned.image.digest {
                let hex = digest.hex();
                let _ = write!(text, ", sha256:{}", hex.get(..12).unwrap_or(&hex));
            }
            text.push('\n');
            for more in [&planned.problem, &planned.note].into_iter().flatten() {
                let _ = writeln!(text, "  {more}");
            }
        }
        text
    }
}
