//! What becomes of each image, as plans show it.

use std::fmt::Write as _;

use openshifter_cluster::Cluster;
use openshifter_images::{Choices, Decision, ImagePlan, Inventory, PlannedImage};
use openshifter_objects::Object;
use serde::Serialize;

use super::doors::survey_all;
use super::manual::held_back;
use super::named::no_place;
use super::{ImageOptions, NamedPlace, elsewhere, streams};
use crate::MigrateError;

/// What becomes of the source's own images when a run has come through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Afterwards {
    /// They stay.
    Stay,
    /// Their ImageStreams are deleted when the target has the application.
    Go,
    /// Their ImageStreams are deleted before the application is made anew, in the same place.
    GoFirst,
}

/// The images of an application, each with what becomes of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PlannedImages(pub Vec<PlannedImage>);

impl PlannedImages {
    /// Decides what becomes of each image, and looks whether what is to be copied can be had: what cannot has a problem.
    /// Where they go first, what is built is copied as well.
    ///
    /// # Errors
    /// When a choice says nothing that can be done, or fits no image.
    pub(crate) async fn look(
        source: &Cluster,
        namespace: &str,
        objects: &[Object],
        options: &ImageOptions,
        afterwards: Afterwards,
    ) -> Result<Self, MigrateError> {
        let mut planned = Self::of(objects, &options.choices)?;
        if afterwards == Afterwards::GoFirst {
            planned.keep();
        }
        planned.forbid_losing(objects, namespace, afterwards);
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

    /// Says of each image that is to be copied if the target has no place for it.
    ///
    /// # Errors
    /// When the target cannot be asked, or what was named as the place is none.
    pub(crate) async fn need_place(
        &mut self,
        target: &Cluster,
        namespace: &str,
        options: &ImageOptions,
    ) -> Result<(), MigrateError> {
        let named = NamedPlace::of(target, namespace, options).await?;
        if named.is_none() && target.discovery().await?.find(&streams()).is_none() {
            for one in self.0.iter_mut().filter(|one| one.is_taken()) {
                one.problem.get_or_insert_with(|| no_place(target));
            }
        }
        Ok(())
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

    /// Says what is against leaving the source's own images there, where those are deleted: nobody has them any more then.
    pub(crate) fn forbid_losing(
        &mut self,
        objects: &[Object],
        namespace: &str,
        afterwards: Afterwards,
    ) {
        let reason = match afterwards {
            Afterwards::Stay => return,
            Afterwards::Go if Inventory::of(objects).exposed.is_empty() => return,
            Afterwards::Go => {
                "the target would pull it from the source's registry, where it is deleted"
            }
            Afterwards::GoFirst => "it is deleted with the application, and is nowhere else",
        };
        let own = format!("{namespace}/");
        for one in &mut self.0 {
            let image = &one.image;
            let is_own = image
                .internal
                .as_deref()
                .is_some_and(|at| at.starts_with(&own));
            if is_own && image.runs() && one.decision == Decision::External {
                let copy = format!("`--images 'copy {}'` takes it along", image.name);
                one.problem.get_or_insert(format!("{reason}; {copy}"));
            }
        }
    }

    /// The first image that stands against a run, and whether nothing would be done at all, or all but that. In a
    /// migration nothing is, when one that was to come along cannot.
    pub fn against(&self, migrates: bool) -> Option<(&PlannedImage, bool)> {
        let with_problem = || self.0.iter().filter(|one| one.problem.is_some());
        let refused =
            with_problem().find(|one| one.chosen.is_some() || (migrates && one.is_taken()));
        match refused {
            Some(one) => Some((one, true)),
            None => Some((with_problem().next()?, false)),
        }
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
