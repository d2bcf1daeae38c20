//! The images that are to come along: looked for at the source, and copied into the chart unless they go straight.

use std::path::PathBuf;
use std::sync::Arc;

use openshifter_chart::{ImageFollower, ImagePlace, ImageRecord};
use openshifter_cluster::Cluster;
use openshifter_images::{
    CopyOptions, Decision, Image, ImagesError, Layout, Origin, PlannedImage, Survey, UseKind,
    pull_to_layout,
};
use openshifter_objects::{Object, counted};

use super::access::hint;
use super::doors::survey_all;
use super::land::not_copied;
use super::manual::held_back;
use super::meter::Meter;
use super::place::{Places, made_by};
use super::straight::{Straight, place_of};
use super::{Afterwards, ImageOptions, PlannedImages, elsewhere};
use crate::export::Role;
use crate::journal::At;
use crate::{MigrateError, Report, Run};

/// The images of an application; those that are copied are found in their registries, and nothing stands against it.
pub(crate) struct Images {
    /// One for each image, in order of their names.
    pub(crate) records: Vec<ImageRecord>,
    /// ImageStreams that images of elsewhere are put into, as objects of the source.
    pub(crate) streams: Vec<Object>,
    /// What is copied.
    found: Straight,
    /// Whether that goes straight to the target, and not into the chart.
    straight: bool,
}

/// Decides what becomes of each image, and looks whether those that are to be copied can be had. Changes nothing.
///
/// # Errors
/// When what was chosen by name cannot be done. What is copied by default and cannot be had is a loss of the report, and
/// an error where images are [required](ImageOptions::required) and in a migration whose plan has shown the images: an application is not started without them, nor with others,
/// nor is anything read of it when the target does not take them.
pub(crate) async fn look(
    run: &Run,
    source: &Cluster,
    namespace: &str,
    objects: &[Object],
    options: &ImageOptions,
    role: Role<'_>,
    report: &mut Report,
) -> Result<Images, MigrateError> {
    let shown = role.planned;
    let needed = shown.is_some() || options.required;
    let straight = role.onward.is_some_and(|onward| onward.straight);
    let mut planned = PlannedImages::of(objects, &options.choices)?;
    if role.keeps_built {
        planned.keep();
    }
    let afterwards = match (role.at, role.stay_quiesced, role.keeps_built) {
        (At::Source, true, true) => Afterwards::GoFirst,
        (At::Source, true, false) => Afterwards::Go,
        _ => Afterwards::Stay,
    };
    planned.forbid_losing(objects, namespace, afterwards);
    if planned.0.iter().any(PlannedImage::is_taken) {
        run.progress.stage("looking at the images");
    }
    let looked = survey_all(source, namespace, objects, options, &mut planned).await;
    elsewhere::tell_digests(source, objects, options, &mut planned).await;
    let mut trouble = looked.trouble;
    let mut refused = Refused::default();
    for one in &planned.0 {
        let Some(problem) = &one.problem else {
            if let (At::Source, Origin::Unreachable { reason }) = (role.at, &one.image.origin) {
                report.next.push(format!(
                    "image {} stays where it is, and could not be looked up there: {reason}",
                    one.image.name
                ));
            }
            continue;
        };
        let name = &one.image.name;
        let at = trouble.iter().position(|(of, _)| of == name);
        let error = at.map(|at| trouble.swap_remove(at).1);
        let copied = one.is_taken();
        let unreadable = matches!(one.image.origin, Origin::Unreachable { .. });
        // What moved is not what anybody agreed to, and what is there for other platforms only not what was asked for.
        let other = matches!(
            error,
            Some(ImagesError::TagMoved { .. } | ImagesError::NoPlatform { .. })
        );
        if one.chosen.is_some() || other || (copied && needed) {
            refused.add(name, problem, error);
        } else if let (true, At::Target, Some(error)) = (one.kept, role.at, &error) {
            // It can be built again, as it was.
            report.next.push(format!(
                "the image {name} of the target's former application is not kept, and has to be built again to go back: {error}"
            ));
        } else if copied {
            report.losses.push(format!("{}{problem}", not_copied(name)));
            let hint = error.as_ref().and_then(hint);
            report
                .next
                .extend(hint.filter(|hint| !report.next.contains(hint)));
        } else if unreadable {
            report
                .losses
                .push(format!("image {name} cannot be looked for: {problem}"));
        }
    }
    for (now, was) in planned
        .0
        .iter()
        .filter_map(|now| Some((now, shown?.same(now)?)))
        .filter(|(now, _)| now.decision == Decision::Copy)
    {
        let name = now.called();
        if let (Some(planned), Some(now)) = (was.image.digest, now.image.digest)
            && planned != now
        {
            let moved = ImagesError::TagMoved {
                image: name.clone(),
                planned,
                now,
            };
            refused.add(&name, &moved.to_string(), Some(moved));
        } else if was.decision != now.decision {
            let text = format!(
                "it was to be {} in the plan, and would be copied now; make the plan again",
                was.decision.participle()
            );
            refused.add(&name, &text, None);
        }
    }
    refused.or_none()?;
    if role.at == At::Source {
        let held = held_back(objects, namespace);
        report.losses.extend(held.into_iter().map(|held| held.text));
    }
    let (found, exposed) = (looked.found, looked.exposed);
    let mut places = Places::new(namespace, objects);
    let records: Vec<ImageRecord> = planned
        .0
        .iter()
        .map(|one| {
            let of = (namespace, options, straight);
            record(one, &found, &exposed, of, &mut places)
        })
        .collect();
    for left in records
        .iter()
        .filter(|record| record.internal && record.decision == "external")
    {
        if let Some(to) = &left.to {
            report.next.push(format!(
                "the target pulls {} as {to}: its pods need a pull secret for that registry",
                left.name
            ));
        }
    }
    let images = Images {
        records,
        streams: places.streams()?,
        found: Straight {
            found,
            registry: options.registry.clone(),
            _open: looked.registry,
        },
        straight,
    };
    if let Some(onward) = role.onward {
        onward
            .check(run, objects, &images.records, &images.found)
            .await?;
    }
    Ok(images)
}

/// Images that stand against the run, all of them.
#[derive(Default)]
pub(super) struct Refused {
    first: Option<ImagesError>,
    texts: Vec<String>,
}

impl Refused {
    pub(super) fn add(&mut self, name: &str, problem: &str, error: Option<ImagesError>) {
        self.texts.push(format!("image {name}: {problem}"));
        self.first = self.first.take().or(error);
    }

    pub(super) fn or_none(self) -> Result<(), MigrateError> {
        let text = self.texts.join("; ");
        match (self.first, text.is_empty()) {
            (_, true) => Ok(()),
            (Some(first), false) => Err(MigrateError::ImagesNotHad {
                text,
                first: Box::new(first),
            }),
            (None, false) => Err(MigrateError::NotPossible(text)),
        }
    }
}

fn record(
    planned: &PlannedImage,
    found: &[(String, Survey)],
    exposed: &[String],
    of: (&str, &ImageOptions, bool),
    places: &mut Places<'_>,
) -> ImageRecord {
    let (namespace, options, straight) = of;
    let image = &planned.image;
    let survey = found
        .iter()
        .find(|(name, _)| *name == image.name)
        .map(|(_, survey)| survey);
    let digest = survey.map(Survey::digest).or(image.digest);
    let to = match &planned.decision {
        Decision::Map { to } => Some(to.to_string()),
        // Where it is for others than the source's own pods.
        Decision::External => match (&image.internal, exposed.first(), digest) {
            (Some(repository), Some(host), Some(digest)) if image.runs() => {
                Some(format!("{host}/{repository}@{digest}"))
            }
            _ => None,
        },
        Decision::Copy | Decision::Rebuild => None,
    };
    let to = to.filter(|_| planned.chosen.is_some());
    let follows = followers(image, namespace);
    let mut tags = match planned.decision {
        Decision::Copy => places.of(image, digest),
        _ => places.own_tags(image),
    };
    let mut spare = None;
    if tags.is_empty() && follows.iter().any(|one| one.namespace.is_some()) {
        let tag = places.spare(image, digest);
        if to.is_some() {
            places.want(&tag);
            tags.push(tag);
        } else {
            spare = Some(tag);
        }
    }
    let made = made_by(planned);
    ImageRecord {
        insecure: options.is_insecure(to.as_deref()),
        name: image.name.clone(),
        origin: image.origin.to_string(),
        decision: planned.decision.word().to_owned(),
        to,
        digest: digest.map(|digest| digest.to_string()),
        included: survey.is_some() && !straight,
        straight_from: survey.filter(|_| straight).and_then(|_| place_of(image)),
        bytes: survey.map_or(0, Survey::size),
        internal: image.internal.is_some(),
        tags,
        follows,
        spare,
        build_config: made.build_config,
        commit: made.commit,
        rebuildable: made.rebuildable,
        names: image.names().into_iter().collect(),
        uses: image
            .uses
            .iter()
            .filter(|one| matches!(one.kind, UseKind::Container | UseKind::BuildInput))
            .map(|one| ImagePlace {
                object: one.object.clone(),
                place: one.place.clone(),
            })
            .collect(),
    }
}

/// What takes the image by the name of an ImageStream.
fn followers(image: &Image, namespace: &str) -> Vec<ImageFollower> {
    let mut followers: Vec<ImageFollower> = image
        .uses
        .iter()
        .filter(|one| matches!(one.kind, UseKind::Trigger | UseKind::BuildInput))
        .filter_map(|one| {
            let of = one.namespace.as_deref()?;
            Some(ImageFollower {
                object: one.object.clone(),
                namespace: (of != namespace).then(|| of.to_owned()),
                name: one.text.clone(),
            })
        })
        .collect();
    followers.sort();
    followers.dedup();
    followers
}

impl Images {
    /// Copies what is to be copied into an image layout, unless it goes straight to the target.
    ///
    /// # Errors
    /// When a registry fails on the way, or the disk is full.
    pub(crate) async fn take(&self, run: &Run, folder: PathBuf) -> Result<(), MigrateError> {
        let found = &self.found.found;
        if found.is_empty() || self.straight {
            return Ok(());
        }
        run.progress
            .stage(&format!("copying {}", counted(found.len(), "image")));
        let layout = Layout::create(folder).await?;
        let options = CopyOptions::default();
        for (index, (name, survey)) in found.iter().enumerate() {
            let meter = Arc::new(Meter::new(&run.progress, name, survey.size()));
            pull_to_layout(survey, &layout, name, &options.clone().progress(meter)).await?;
            run.progress.count(index + 1, found.len());
        }
        Ok(())
    }

    /// What goes straight to the target.
    pub(crate) fn into_straight(self) -> Option<Straight> {
        (self.straight && !self.found.found.is_empty()).then_some(self.found)
    }
}
