//! What is to become of each image: a default by where it comes from, unless the user chose.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    BuildSource, Choices, Decision, Image, ImageReference, ImagesError, Inventory, Origin, Use,
};

/// The project whose ImageStreams every OpenShift has.
const SHARED: &str = "openshift";

/// An image and its decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedImage {
    /// The image.
    pub image: Image,
    /// What is done with it.
    #[serde(flatten)]
    pub decision: Decision,
    /// The choice that decided, as it was given; `None` for the default.
    pub chosen: Option<String>,
    /// Why the decision cannot be carried out. A run with one of these must not begin.
    pub problem: Option<String>,
    /// What the user should know about the decision.
    pub note: Option<String>,
    /// Whether its bytes are taken along although the target builds it: there is nothing else to fall back on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
}

impl PlannedImage {
    /// Whether its bytes are taken along.
    pub fn is_taken(&self) -> bool {
        self.decision == Decision::Copy || self.kept
    }

    /// Takes the bytes along of what the target is to build, unless that was chosen: they are all that is left when the
    /// build fails.
    pub fn keep(&mut self) {
        let is_built = self.decision == Decision::Rebuild && self.image.internal.is_some();
        if is_built && self.chosen.is_none() && self.problem.is_none() {
            self.kept = true;
            let kept = "its bytes are kept in the chart, in case it cannot be built any more";
            self.note = Some(match self.note.take() {
                Some(note) => format!("{note}; {kept}"),
                None => kept.to_owned(),
            });
        }
    }

    /// Its name, without the digest where a tag tells which image is meant.
    pub fn called(&self) -> String {
        let tagged = self.image.reference.as_ref().and_then(ImageReference::tag);
        match self.image.name.split_once('@') {
            Some((name, _)) if tagged.is_some() => name.to_owned(),
            _ => self.image.name.clone(),
        }
    }
}

/// What is to become of each image of an application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImagePlan {
    /// In order of their names.
    pub images: Vec<PlannedImage>,
    /// Choices that fit no image: mistyped, perhaps.
    pub unused: Vec<String>,
}

impl ImagePlan {
    /// Decides for each image of an inventory.
    ///
    /// Without a choice, an image that the target can build is built there, one that it cannot is copied, and an
    /// external one stays where it is. Choices for all images leave alone what they make no sense for: `rebuild` what
    /// no BuildConfig makes, and each the images of project `openshift`, which the target has by itself, and tags that lead
    /// nowhere and that nothing uses.
    ///
    /// # Errors
    /// When an image is mapped to something that is none.
    pub fn of(inventory: Inventory, choices: &Choices) -> Result<Self, ImagesError> {
        let mut used = vec![false; choices.0.len()];
        let mut images = Vec::new();
        let unreadable = unreadable(inventory.unreadable);
        for image in inventory.images.into_iter().chain(unreadable) {
            let names = image.names();
            let mut decided = None;
            for (index, choice) in choices.0.iter().enumerate() {
                let Some(decision) = choice.decide(&names)? else {
                    continue;
                };
                used[index] = true;
                // What cannot be read cannot be copied or built either: only by its name is that asked for.
                let idle = matches!(image.origin, Origin::Unreachable { .. })
                    || (matches!(image.origin, Origin::Unknown { .. }) && !image.runs());
                let fits = !choice.is_for_all()
                    || !(is_shared(&image)
                        || idle
                        || (choice.is_rebuild() && !can_be_built(&image)));
                if fits {
                    decided = Some((decision, choice.text.clone()));
                }
            }
            let (decision, chosen) = match decided {
                Some((decision, text)) => (decision, Some(text)),
                None => (default(&image), None),
            };
            images.push(PlannedImage {
                problem: problem(&image, &decision),
                note: note(&image, &decision),
                image,
                decision,
                chosen,
                kept: false,
            });
        }
        images.sort_by(|a, b| a.image.name.cmp(&b.image.name));
        let unused = choices
            .0
            .iter()
            .zip(used)
            .filter(|(choice, used)| !used && !choice.is_for_all())
            .map(|(choice, _)| choice.text.clone())
            .collect();
        Ok(Self { images, unused })
    }
}

/// Images whose references cannot be read: what is wrong with each is its problem, and another may take its place.
fn unreadable(found: Vec<(Use, String)>) -> Vec<Image> {
    let mut images: Vec<Image> = Vec::new();
    for (used, reason) in found {
        let name = used.text.trim();
        match images.iter_mut().find(|image| image.name == name) {
            Some(image) => image.uses.push(used),
            None => images.push(Image {
                name: name.to_owned(),
                reference: None,
                internal: None,
                digest: None,
                tags: BTreeSet::new(),
                origin: Origin::Unreachable { reason },
                uses: vec![used],
            }),
        }
    }
    images
}

fn is_shared(image: &Image) -> bool {
    matches!(&image.origin, Origin::OtherProject { namespace } if namespace == SHARED)
}

/// Whether a build at the target makes what the tag means here. An image that the build's tag does not lead to any more
/// is a former one, and a build would make another.
fn can_be_built(image: &Image) -> bool {
    matches!(&image.origin, Origin::BuiltFromSource { output: Some(output), .. } if image.tags.contains(output))
}

fn default(image: &Image) -> Decision {
    match &image.origin {
        Origin::BuiltFromSource { .. } if can_be_built(image) => Decision::Rebuild,
        Origin::BuiltFromSource { .. } | Origin::BuiltFromBinary { .. } | Origin::Pushed => {
            Decision::Copy
        }
        Origin::OtherProject { namespace } if namespace != SHARED && image.reference.is_some() => {
            Decision::Copy
        }
        Origin::OtherProject { .. }
        | Origin::External
        | Origin::Unreachable { .. }
        | Origin::Unknown { .. } => Decision::External,
    }
}

fn problem(image: &Image, decision: &Decision) -> Option<String> {
    match decision {
        Decision::Copy if image.reference.is_none() => Some(match &image.origin {
            Origin::Unknown { reason } | Origin::Unreachable { reason } => {
                format!("it cannot be copied: {reason}")
            }
            _ => "it cannot be copied: the objects do not tell where it is".to_owned(),
        }),
        Decision::Rebuild => match &image.origin {
            Origin::BuiltFromSource { .. } => None,
            Origin::BuiltFromBinary {
                build_config: Some(name),
            } => Some(format!(
                "it cannot be built again: BuildConfig {name} was given files that only its developer has"
            )),
            _ => Some("it cannot be built again: no BuildConfig makes it".to_owned()),
        },
        Decision::External => match &image.origin {
            Origin::Unreachable { reason } => Some(reason.clone()),
            // A tag that nothing uses may lead nowhere.
            Origin::Unknown { reason } if image.runs() => Some(reason.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn note(image: &Image, decision: &Decision) -> Option<String> {
    match (decision, &image.origin) {
        (Decision::External, Origin::BuiltFromSource { .. } | Origin::BuiltFromBinary { .. } | Origin::Pushed) => Some(
            "it is in the registry of the source's cluster only, which has to stay reachable for the target".to_owned(),
        ),
        (Decision::Copy, _) if image.digest.is_none() && image.reference.is_some() => {
            Some("its digest is not known yet: what its tag names when it is copied goes".to_owned())
        }
        (Decision::Rebuild, Origin::BuiltFromSource { .. }) if !can_be_built(image) => {
            Some("the tag of its build does not lead to it any more: a build will make another image".to_owned())
        }
        (Decision::Rebuild, Origin::BuiltFromSource { source: BuildSource::Git, commit: None, .. }) => Some(
            "no build tells which commit it was built from: the target builds what its branch has then".to_owned(),
        ),
        _ => None,
    }
}
