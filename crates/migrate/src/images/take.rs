//! Copying those images into the chart that are to come along.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use openshifter_chart::{ImagePlace, ImageRecord};
use openshifter_cluster::Cluster;
use openshifter_images::{
    ClusterRegistry, CopyOptions, Decision, ImagesError, Inventory, Layout, PlannedImage,
    Platforms, Registry, Survey, UseKind, pull_to_layout,
};
use openshifter_objects::{Object, counted};

use super::access::hint;
use super::meter::Meter;
use super::place::{Places, made_by};
use super::{ImageOptions, PlannedImages};
use crate::{MigrateError, Report, Run};

/// The images of an application; those that are copied are found in their registries, and nothing stands against it.
pub(crate) struct Images {
    /// One for each image, in order of their names.
    pub(crate) records: Vec<ImageRecord>,
    /// ImageStreams that images of elsewhere are put into, as objects of the source.
    pub(crate) streams: Vec<Object>,
    /// What is copied, by the image's name.
    found: Vec<(String, Survey)>,
    /// Open for as long as images are read.
    _registry: Option<ClusterRegistry>,
}

/// Decides what becomes of each image, and looks whether those that are to be copied can be had. Changes nothing.
///
/// # Errors
/// When what was chosen by name cannot be done. What is copied by default and cannot be had is a loss of the report.
pub(crate) async fn look(
    run: &Run,
    source: &Cluster,
    namespace: &str,
    objects: &[Object],
    options: &ImageOptions,
    report: &mut Report,
) -> Result<Images, MigrateError> {
    let planned = PlannedImages::of(objects, &options.choices)?.0;
    let exposed: Vec<String> = Inventory::of(objects).exposed.into_iter().collect();
    if planned.iter().any(|one| one.decision == Decision::Copy) {
        run.progress.stage("looking at the images");
    }
    let mut doors = Doors {
        source,
        namespace,
        objects,
        options,
        exposed: exposed.clone(),
        cluster: None,
        others: BTreeMap::new(),
    };
    let mut found = Vec::new();
    for one in &planned {
        if let (Some(problem), Some(_)) = (&one.problem, &one.chosen) {
            return Err(MigrateError::NotPossible(format!(
                "image {}: {problem}",
                one.image.name
            )));
        }
        if one.decision != Decision::Copy {
            continue;
        }
        if let Some(problem) = &one.problem {
            report.losses.push(not_copied(one, problem));
            continue;
        }
        match doors.survey(one).await {
            Ok(survey) => found.push((one.image.name.clone(), survey)),
            Err(error) if one.chosen.is_some() => return Err(error.into()),
            Err(error) => {
                report.losses.push(not_copied(one, &error.to_string()));
                let hint = hint(&error).filter(|hint| !report.next.contains(hint));
                report.next.extend(hint);
            }
        }
    }
    let mut places = Places::new(namespace, objects);
    let records: Vec<ImageRecord> = planned
        .iter()
        .map(|one| record(one, &found, &exposed, &mut places))
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
    Ok(Images {
        records,
        streams: places.streams()?,
        found,
        _registry: doors.cluster.and_then(Result::ok),
    })
}

fn not_copied(planned: &PlannedImage, reason: &str) -> String {
    format!("image {} was not copied: {reason}", planned.image.name)
}

/// Registries that images are read from, each opened when it is first asked for.
struct Doors<'a> {
    source: &'a Cluster,
    namespace: &'a str,
    objects: &'a [Object],
    options: &'a ImageOptions,
    exposed: Vec<String>,
    cluster: Option<Result<ClusterRegistry, NoWay>>,
    others: BTreeMap<String, Registry>,
}

/// Why the cluster's registry cannot be reached, told for each image.
#[derive(Clone)]
struct NoWay {
    cluster: String,
    reason: String,
}

impl Doors<'_> {
    async fn survey(&mut self, planned: &PlannedImage) -> Result<Survey, ImagesError> {
        let image = &planned.image;
        let repository = image.repository().unwrap_or_default();
        let registry = match (&image.internal, &image.reference) {
            (None, Some(reference)) => self.other(reference.registry()).await?,
            _ => self.cluster().await?,
        };
        registry
            .repository(repository)?
            .survey(&image.wanted(), &Platforms::All)
            .await
    }

    async fn cluster(&mut self) -> Result<Registry, ImagesError> {
        if self.cluster.is_none() {
            let found = self
                .options
                .cluster_registry(self.source, Some(self.namespace), self.exposed.clone())
                .await;
            self.cluster = Some(match found {
                Err(ImagesError::NoWay { cluster, reason }) => Err(NoWay { cluster, reason }),
                Err(error) => return Err(error),
                Ok(registry) => Ok(registry),
            });
        }
        match &self.cluster {
            Some(Ok(registry)) => Ok(registry.registry().clone()),
            Some(Err(NoWay { cluster, reason })) => Err(ImagesError::NoWay {
                cluster: cluster.clone(),
                reason: reason.clone(),
            }),
            None => Err(ImagesError::NoWay {
                cluster: self.source.name().to_owned(),
                reason: "nobody looked".to_owned(),
            }),
        }
    }

    async fn other(&mut self, host: &str) -> Result<Registry, ImagesError> {
        if let Some(registry) = self.others.get(host) {
            return Ok(registry.clone());
        }
        let registry = self.options.other_registry(host, self.objects).await?;
        self.others.insert(host.to_owned(), registry.clone());
        Ok(registry)
    }
}

fn record(
    planned: &PlannedImage,
    found: &[(String, Survey)],
    exposed: &[String],
    places: &mut Places<'_>,
) -> ImageRecord {
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
    let (build_config, rebuildable) = made_by(planned);
    ImageRecord {
        name: image.name.clone(),
        origin: image.origin.to_string(),
        decision: planned.decision.word().to_owned(),
        to: to.filter(|_| planned.chosen.is_some()),
        digest: digest.map(|digest| digest.to_string()),
        included: survey.is_some(),
        bytes: survey.map_or(0, Survey::size),
        internal: image.internal.is_some(),
        tags: match planned.decision {
            Decision::Copy => places.of(image, digest),
            _ => places.own_tags(image),
        },
        build_config,
        rebuildable,
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

impl Images {
    /// Copies what is to be copied into an image layout.
    ///
    /// # Errors
    /// When a registry fails on the way, or the disk is full.
    pub(crate) async fn take(&self, run: &Run, folder: PathBuf) -> Result<(), MigrateError> {
        if self.found.is_empty() {
            return Ok(());
        }
        run.progress
            .stage(&format!("copying {}", counted(self.found.len(), "image")));
        let layout = Layout::create(folder).await?;
        let options = CopyOptions::default();
        for (index, (name, survey)) in self.found.iter().enumerate() {
            let meter = Arc::new(Meter::new(&run.progress, name, survey.size()));
            pull_to_layout(survey, &layout, name, &options.clone().progress(meter)).await?;
            run.progress.count(index + 1, self.found.len());
        }
        Ok(())
    }
}
