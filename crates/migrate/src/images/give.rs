//! Copying images of a chart into the target's registry, and their tags.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openshifter_chart::{Chart, ImageRecord, ImageTag};
use openshifter_cluster::Cluster;
use openshifter_images::{ClusterRegistry, CopyOptions, Layout, Platforms, Survey, copy};
use openshifter_objects::{GroupKind, Object, ObjectKey, counted};

use super::meter::Meter;
use super::{ImageOptions, Landing};
use crate::import::Existing;
use crate::journal::Event;
use crate::report::{ImageAction, ImageEntry, Report};
use crate::{MigrateError, Run};

/// How long a stream may take to show a tag that was pushed.
const TAGGED: Duration = Duration::from_secs(120);

/// The images of an import, everything found that those need which are copied.
pub(crate) struct Giving {
    records: Vec<ImageRecord>,
    gifts: Vec<Gift>,
    /// Open for as long as images are written; `None` when there is nothing to write.
    registry: Option<ClusterRegistry>,
}

struct Gift {
    record: ImageRecord,
    survey: Survey,
    /// Tags that do not lead to the image yet, each with the image that it leads to now.
    tags: Vec<(ImageTag, Option<String>)>,
    /// Tags there lead elsewhere and are to stay as they are.
    skipped: bool,
}

pub(crate) fn streams() -> GroupKind {
    GroupKind::new("image.openshift.io", "ImageStream")
}

/// Looks whether the chart's images can be given to the target. Changes nothing.
///
/// # Errors
/// When an image of the chart is missing or damaged, the target's registry cannot be reached, this user may not push
/// into the project, or a tag there leads to another image and may not be changed.
pub(crate) async fn look(
    run: &Run,
    chart: &Chart,
    target: &Cluster,
    namespace: &str,
    there: bool,
    landing: &Landing,
    options: (&ImageOptions, Existing),
) -> Result<Giving, MigrateError> {
    let (options, existing) = options;
    let mut giving = Giving {
        records: landing.records.clone(),
        gifts: Vec::new(),
        registry: None,
    };
    not_had(target, namespace, there, &landing.records).await?;
    let included: Vec<&ImageRecord> = landing
        .records
        .iter()
        .filter(|record| record.included && record.decision == "copy")
        .collect();
    if included.is_empty() {
        return Ok(giving);
    }
    run.progress
        .stage("looking at the chart's images and the target's registry");
    // What the chart lacks is found before anybody is asked.
    let layout = Layout::open(chart.images_dir()).await?;
    let mut surveys = Vec::new();
    for record in included {
        let survey = layout.survey(&record.name, &Platforms::All).await?;
        let digest = survey.digest().to_string();
        if record.digest.as_deref() != Some(&digest) {
            return Err(MigrateError::NotPossible(format!(
                "image {} has the digest {digest} in the chart's layout, and {} in its ledger",
                record.name,
                record.digest.as_deref().unwrap_or("none")
            )));
        }
        surveys.push((record, survey));
    }
    if target.discovery().await?.find(&streams()).is_none() {
        return Err(MigrateError::NotPossible(format!(
            "the chart holds {}, and {} has no image streams to put them into; map them to images that it can pull: `--images 'map OLD=NEW'`",
            counted(surveys.len(), "image"),
            target.name()
        )));
    }
    // Whose token it is, the registry says.
    if there && options.token.is_none() && !may_push(target, namespace).await {
        return Err(MigrateError::NotPossible(format!(
            "this user may not push images into {namespace} of {}: ask for the role `edit` or `system:image-builder` there, or decide otherwise about the images with `--images`",
            target.name()
        )));
    }
    let mut live: BTreeMap<&str, Option<Object>> = BTreeMap::new();
    for tag in surveys.iter().flat_map(|(record, _)| &record.tags) {
        if there && !live.contains_key(tag.stream.as_str()) {
            let found = target.get(&streams(), Some(namespace), &tag.stream).await?;
            live.insert(&tag.stream, found);
        }
    }
    for (record, survey) in surveys {
        let digest = survey.digest().to_string();
        let now = |tag: &ImageTag| {
            let stream = live.get(tag.stream.as_str())?.as_ref()?;
            image_of(stream, &tag.tag).map(str::to_owned)
        };
        let other = record
            .tags
            .iter()
            .find(|tag| now(tag).is_some_and(|image| image != digest));
        if let (Some(tag), Existing::Fail) = (other, existing) {
            return Err(MigrateError::Exists {
                count: 1,
                first: ObjectKey {
                    kind: streams(),
                    name: tag.stream.clone(),
                },
                field: format!("tag {}", tag.tag),
                namespace: namespace.to_owned(),
            });
        }
        giving.gifts.push(Gift {
            tags: record
                .tags
                .iter()
                .map(|tag| (tag.clone(), now(tag)))
                .filter(|(_, now)| now.as_deref() != Some(&digest))
                .collect(),
            skipped: other.is_some() && existing == Existing::Skip,
            record: record.clone(),
            survey,
        });
    }
    if giving.gifts.iter().any(Gift::is_pushed) {
        let readable = there.then_some(namespace);
        let registry = options
            .cluster_registry(target, readable, Vec::new())
            .await?;
        giving.registry = Some(registry);
    }
    Ok(giving)
}

/// Refuses an import whose chart lacks an image that was to come along, unless the target has that very image.
async fn not_had(
    target: &Cluster,
    namespace: &str,
    there: bool,
    records: &[ImageRecord],
) -> Result<(), MigrateError> {
    let mut missing = Vec::new();
    for record in records {
        if record.decision != "copy" || record.included {
            continue;
        }
        let mut known = there && record.digest.is_some() && !record.tags.is_empty();
        for tag in &record.tags {
            known = known && {
                let live = target.get(&streams(), Some(namespace), &tag.stream).await;
                let live = match live {
                    Err(error) if error.is_unknown_kind() => None,
                    other => other?,
                };
                live.is_some_and(|live| image_of(&live, &tag.tag) == record.digest.as_deref())
            };
        }
        if !known {
            missing.push(record.name.as_str());
        }
    }
    match missing.first() {
        None => Ok(()),
        Some(first) => Err(MigrateError::NotPossible(format!(
            "the chart was to hold the image {}, and could not get it at the export; export again, or decide otherwise: `--images 'external {first}'`, `--images 'map {first}=NEW'`",
            missing.join(", ")
        ))),
    }
}

/// Whether this user may push. Where the cluster does not say, the push itself will.
async fn may_push(target: &Cluster, namespace: &str) -> bool {
    let group = "image.openshift.io";
    target
        .can_i(Some(namespace), "update", group, "imagestreams/layers")
        .await
        .unwrap_or(true)
}

/// The image that a tag of a stream leads to.
pub(crate) fn image_of<'a>(stream: &'a Object, tag: &str) -> Option<&'a str> {
    stream.value()["status"]["tags"]
        .as_array()?
        .iter()
        .find(|status| status["tag"] == tag)?["items"][0]["image"]
        .as_str()
}

impl Giving {
    /// Says what would be done.
    pub(crate) fn dry_run(&self, report: &mut Report) {
        for gift in &self.gifts {
            report.images.push(gift.entry());
        }
        self.others(report);
    }

    /// Copies the images, tags them last, and waits until their streams say so.
    ///
    /// # Errors
    /// When the registry fails on the way, or a tag does not come to lead to its image.
    pub(crate) async fn give(
        &self,
        run: &Run,
        target: &Cluster,
        namespace: &str,
        report: &mut Report,
    ) -> Result<(), MigrateError> {
        let pushed: Vec<&Gift> = self.gifts.iter().filter(|gift| gift.is_pushed()).collect();
        if let (Some(registry), false) = (&self.registry, pushed.is_empty()) {
            run.progress
                .stage(&format!("copying {}", counted(pushed.len(), "image")));
            let options = CopyOptions::default();
            for (index, gift) in pushed.iter().enumerate() {
                let name = &gift.record.name;
                let meter = Arc::new(Meter::new(&run.progress, name, gift.survey.size()));
                let options = options.clone().progress(meter);
                for (tag, before) in &gift.tags {
                    run.journal.write(Event::ImagePushing {
                        stream: tag.stream.clone(),
                        tag: tag.tag.clone(),
                        image: gift.survey.digest().to_string(),
                        before: before.clone(),
                    })?;
                    let repository = registry
                        .registry()
                        .repository(&format!("{namespace}/{}", tag.stream))?;
                    copy(&gift.survey, &repository, Some(&tag.tag), &options).await?;
                    gift.tagged(target, namespace, tag).await?;
                }
                run.progress.count(index + 1, pushed.len());
            }
        }
        report.images.extend(self.gifts.iter().map(Gift::entry));
        self.others(report);
        self.missing(target, namespace, report).await
    }

    /// What becomes of the images that are not copied. Those that are built report themselves.
    fn others(&self, report: &mut Report) {
        for record in &self.records {
            let action = match record.decision.as_str() {
                "copy" if record.included => continue,
                "copy" => ImageAction::Missing,
                "rebuild" if report.dry_run => ImageAction::Built,
                "rebuild" => continue,
                "map" => ImageAction::Mapped,
                _ => ImageAction::External,
            };
            report.images.push(ImageEntry {
                detail: record.to.clone(),
                ..ImageEntry::of(record, action)
            });
        }
        report.images.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// What only the source's registry has and nobody brings along is missing, unless the target has it already.
    async fn missing(
        &self,
        target: &Cluster,
        namespace: &str,
        report: &mut Report,
    ) -> Result<(), MigrateError> {
        let left = self.records.iter().filter(|record| {
            record.internal && record.decision == "external" && record.to.is_none()
        });
        for record in left {
            for tag in &record.tags {
                let live = match target.get(&streams(), Some(namespace), &tag.stream).await {
                    Err(error) if error.is_unknown_kind() => None,
                    other => other?,
                };
                if live.is_none_or(|live| image_of(&live, &tag.tag).is_none()) {
                    report.losses.push(format!(
                        "image {} is only in the registry of the source's cluster, and was to be left there: push it to the tag {tag} of {namespace}, or export it with `--images 'copy {}'`",
                        record.name, record.name
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Gift {
    fn is_pushed(&self) -> bool {
        !self.skipped && !self.tags.is_empty()
    }

    fn entry(&self) -> ImageEntry {
        let action = match (self.skipped, self.is_pushed()) {
            (true, _) => ImageAction::Skipped,
            (false, false) => ImageAction::Unchanged,
            (false, true) => ImageAction::Pushed,
        };
        ImageEntry {
            bytes: self.survey.size(),
            ..ImageEntry::of(&self.record, action)
        }
    }

    async fn tagged(
        &self,
        target: &Cluster,
        namespace: &str,
        tag: &ImageTag,
    ) -> Result<(), MigrateError> {
        let digest = self.survey.digest().to_string();
        target
            .wait(&streams(), Some(namespace), &tag.stream, TAGGED, |live| {
                live.is_some_and(|live| image_of(live, &tag.tag) == Some(digest.as_str()))
            })
            .await?;
        Ok(())
    }
}
