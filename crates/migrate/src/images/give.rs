//! Copying images into the target's registry, from the chart or straight from the source's registry, and their tags.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openshifter_chart::{Chart, ImageRecord, ImageTag};
use openshifter_cluster::Cluster;
use openshifter_images::{
    ClusterRegistry, CopyOptions, Layout, Platforms, Repository, Survey, copy,
};
use openshifter_objects::{GroupKind, Object, ObjectKey, counted};

use super::meter::Meter;
use super::named::no_place;
use super::{ImageOptions, Landing, NamedPlace, Straight, elsewhere};
use crate::import::Existing;
use crate::journal::Event;
use crate::report::{ImageAction, ImageEntry, Report};
use crate::{MigrateError, Run};

/// How long a stream may take to show a tag that was pushed.
pub(super) const TAGGED: Duration = Duration::from_secs(120);

/// The images of an import, everything found that those need which are copied.
pub(crate) struct Giving {
    records: Vec<ImageRecord>,
    gifts: Vec<Gift>,
    /// The project that the chart comes from.
    from: String,
    /// `None` when there is nothing to write.
    open: Option<Open>,
}

/// Where images are written to, open for as long as they are.
pub(super) struct Open {
    /// By the name of the ImageStream, or the last part of their own.
    repositories: BTreeMap<String, Repository>,
    named: Option<NamedPlace>,
    _way: Option<ClusterRegistry>,
}

impl Open {
    fn repository(&self, tag: &ImageTag) -> Result<&Repository, MigrateError> {
        let found = self.repositories.get(&tag.stream);
        found
            .ok_or_else(|| MigrateError::NotPossible(format!("nobody has opened the way to {tag}")))
    }
}

pub(super) struct Gift {
    record: ImageRecord,
    survey: Survey,
    /// Tags that do not lead to the image yet, each with the image that it leads to now.
    tags: Vec<(ImageTag, Option<String>)>,
    /// Tags there lead elsewhere and are to stay as they are.
    skipped: bool,
    /// Where the image goes, if that is no image stream.
    named: Option<String>,
}

pub(crate) fn streams() -> GroupKind {
    GroupKind::new("image.openshift.io", "ImageStream")
}

/// Where images are to go.
#[derive(Clone, Copy)]
pub(crate) struct Goal<'a> {
    pub(crate) target: &'a Cluster,
    pub(crate) namespace: &'a str,
    /// Whether the project is there.
    pub(crate) there: bool,
    pub(crate) options: &'a ImageOptions,
    pub(crate) existing: Existing,
    /// The application's objects, of which some may be pull secrets.
    pub(crate) objects: &'a [Object],
}

/// Looks whether the images that are to be copied can be given to the target. Changes nothing.
///
/// # Errors
/// When an image is neither in the chart nor `straight` at hand nor at the target, or is damaged, the target's registry
/// cannot be reached, this user may not push into the project, or a tag there leads to another image and may not be
/// changed.
pub(crate) async fn look(
    run: &Run,
    chart: &Chart,
    goal: Goal<'_>,
    landing: &Landing,
    straight: Option<&Straight>,
) -> Result<Giving, MigrateError> {
    let mut giving = Giving {
        records: landing.records.clone(),
        gifts: Vec::new(),
        from: chart.manifest().chart.source_namespace.clone(),
        open: None,
    };
    let copied = landing.records.iter().filter(|one| one.decision == "copy");
    let (had, others): (Vec<_>, Vec<_>) = copied.partition(|record| {
        record.included || straight.is_some_and(|found| found.survey(&record.name).is_some())
    });
    let missing = goal.lacks(others).await?;
    if !missing.is_empty() {
        return Err(MigrateError::NotPossible(not_had(&missing)));
    }
    if had.is_empty() {
        return Ok(giving);
    }
    run.progress
        .stage("looking at the images and the target's registry");
    // What the chart lacks is found before anybody is asked.
    let layout = match had.iter().any(|record| record.included) {
        true => Some(Layout::open(chart.images_dir()).await?),
        false => None,
    };
    let mut surveys = Vec::new();
    for record in had {
        let found = straight.and_then(|found| found.survey(&record.name));
        let survey = match (&layout, found) {
            (Some(layout), _) if record.included => {
                layout.survey(&record.name, &Platforms::All).await?
            }
            (_, Some(found)) => found.clone(),
            (_, None) => continue,
        };
        let digest = survey.digest().to_string();
        if record.digest.as_deref() != Some(&digest) {
            return Err(MigrateError::NotPossible(format!(
                "image {} has the digest {digest} where it is copied from, and {} in the chart's ledger",
                record.name,
                record.digest.as_deref().unwrap_or("none")
            )));
        }
        surveys.push((record, survey));
    }
    giving.gifts = goal.gifts(surveys, false).await?;
    giving.open = goal.open(&giving.gifts).await?;
    Ok(giving)
}

impl Goal<'_> {
    /// What is to be done for each image that can be copied. What is there counts, unless it `goes` before.
    pub(super) async fn gifts(
        &self,
        surveys: Vec<(&ImageRecord, Survey)>,
        goes: bool,
    ) -> Result<Vec<Gift>, MigrateError> {
        let Self {
            target,
            namespace,
            there,
            options,
            existing,
            ..
        } = *self;
        let named = self.named().await?;
        if named.is_none() && target.discovery().await?.find(&streams()).is_none() {
            return Err(MigrateError::NotPossible(format!(
                "{} would be copied, and {}",
                counted(surveys.len(), "image"),
                no_place(target)
            )));
        }
        // Whose token it is, the registry says.
        if named.is_none() && there && options.token.is_none() && !may_push(target, namespace).await
        {
            return Err(MigrateError::NotPossible(format!(
                "this user may not push images into {namespace} of {}: ask for the role `edit` or `system:image-builder` there, or decide otherwise about the images with `--images`",
                target.name()
            )));
        }
        let mut live: BTreeMap<ImageTag, String> = BTreeMap::new();
        for tag in surveys.iter().flat_map(|(record, _)| &record.tags) {
            if let Some(named) = &named {
                let digest = named.digest_of(tag, options, self.objects).await?;
                live.extend(digest.map(|digest| (tag.clone(), digest.to_string())));
            } else if there && !goes {
                let image = self.leads(tag).await?;
                live.extend(image.map(|image| (tag.clone(), image)));
            }
        }
        let mut gifts = Vec::new();
        for (record, survey) in surveys {
            let digest = survey.digest().to_string();
            let now = |tag: &ImageTag| live.get(tag).cloned();
            let other = record
                .tags
                .iter()
                .find(|tag| now(tag).is_some_and(|image| image != digest));
            match (other, &named, existing) {
                (Some(tag), Some(named), Existing::Fail) => {
                    return Err(MigrateError::NotPossible(format!(
                        "{}:{} is another image than {}: `--existing apply` leads the tag to this one, `--existing skip` leaves it as it is",
                        named.image(&tag.stream),
                        tag.tag,
                        record.name
                    )));
                }
                (Some(tag), None, Existing::Fail) => {
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
                _ => {}
            }
            let first = record.tags.first();
            gifts.push(Gift {
                tags: record
                    .tags
                    .iter()
                    .map(|tag| (tag.clone(), now(tag)))
                    .filter(|(_, now)| now.as_deref() != Some(&digest))
                    .collect(),
                skipped: other.is_some() && existing == Existing::Skip,
                named: named
                    .as_ref()
                    .and_then(|named| Some(named.image(&first?.stream))),
                record: record.clone(),
                survey,
            });
        }
        Ok(gifts)
    }

    /// The place that was named for the images of a target without image streams.
    async fn named(&self) -> Result<Option<NamedPlace>, MigrateError> {
        NamedPlace::of(self.target, self.namespace, self.options).await
    }

    /// The way to the target's registry, where something is to be pushed.
    pub(super) async fn open(&self, gifts: &[Gift]) -> Result<Option<Open>, MigrateError> {
        let pushed: Vec<&Gift> = gifts.iter().filter(|gift| gift.is_pushed()).collect();
        if pushed.is_empty() {
            return Ok(None);
        }
        let mut open = Open {
            repositories: BTreeMap::new(),
            named: self.named().await?,
            _way: None,
        };
        if open.named.is_none() {
            let readable = self.there.then_some(self.namespace);
            let options = self.options;
            let way = options.cluster_registry(self.target, readable, Vec::new());
            open._way = Some(way.await?);
        }
        for (tag, _) in pushed.iter().flat_map(|gift| &gift.tags) {
            let repository = match (&open.named, &open._way) {
                (Some(named), _) => {
                    let (options, objects) = (self.options, self.objects);
                    named.repository(&tag.stream, options, objects).await?
                }
                (None, Some(way)) => {
                    let name = format!("{}/{}", self.namespace, tag.stream);
                    way.registry().repository(&name)?
                }
                (None, None) => continue,
            };
            open.repositories.insert(tag.stream.clone(), repository);
        }
        Ok(Some(open))
    }

    /// Those of the images whose tags at the target do not lead to these very images already.
    ///
    /// # Errors
    /// When the target cannot be asked.
    pub(crate) async fn lacks<'r>(
        &self,
        records: Vec<&'r ImageRecord>,
    ) -> Result<Vec<&'r ImageRecord>, MigrateError> {
        let named = self.named().await?;
        let mut missing = Vec::new();
        for record in records {
            let mut known = record.digest.is_some()
                && !record.tags.is_empty()
                && (self.there || named.is_some());
            for tag in &record.tags {
                known = known
                    && match &named {
                        Some(named) => {
                            let there = named.digest_of(tag, self.options, self.objects).await?;
                            there.map(|digest| digest.to_string()) == record.digest
                        }
                        None => self.leads(tag).await? == record.digest,
                    };
            }
            if !known {
                missing.push(record);
            }
        }
        Ok(missing)
    }

    /// The digest that a tag of an image stream leads to.
    async fn leads(&self, tag: &ImageTag) -> Result<Option<String>, MigrateError> {
        let (target, place) = (self.target, Some(self.namespace));
        let live = match target.get(&streams(), place, &tag.stream).await {
            Err(error) if error.is_unknown_kind() => None,
            other => other?,
        };
        Ok(live.and_then(|live| image_of(&live, &tag.tag).map(str::to_owned)))
    }
}

/// What is said of images that nobody has for the target.
fn not_had(records: &[&ImageRecord]) -> String {
    let (straight, missed): (Vec<&str>, Vec<&str>) = (
        names(records, ImageRecord::comes_along),
        names(records, |record| !record.comes_along()),
    );
    let otherwise = |names: &[&str]| {
        let first = names.first()?;
        Some(format!(
            "export again, or decide otherwise: `--images 'external {first}'`, `--images 'map {first}=NEW'`"
        ))
    };
    let missed = otherwise(&missed).map(|otherwise| {
        format!(
            "the chart was to hold the image {}, and could not get it at the export; {otherwise}",
            missed.join(", ")
        )
    });
    let straight = otherwise(&straight).map(|otherwise| {
        format!(
            "the chart does not hold {}: its migration copies images straight from the source's registry; go on with that run by `openshifter resume`, {otherwise}",
            straight.join(", ")
        )
    });
    let texts: Vec<String> = missed.into_iter().chain(straight).collect();
    texts.join("; ")
}

fn names<'a>(records: &[&'a ImageRecord], which: impl Fn(&ImageRecord) -> bool) -> Vec<&'a str> {
    let records = records.iter().filter(|record| which(record));
    records.map(|record| record.name.as_str()).collect()
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
    /// Says what would be done, and what would be missing.
    ///
    /// # Errors
    /// When the target cannot be asked.
    pub(crate) async fn dry_run(
        &self,
        target: &Cluster,
        namespace: &str,
        report: &mut Report,
    ) -> Result<(), MigrateError> {
        report.images.extend(self.gifts.iter().map(Gift::entry));
        self.others(report);
        self.missing(target, namespace, report).await
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
        if let Some(open) = &self.open {
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
                        named: open.named.as_ref().map(|named| named.image(&tag.stream)),
                    })?;
                    let repository = open.repository(tag)?;
                    copy(&gift.survey, repository, Some(&tag.tag), &options).await?;
                    match &open.named {
                        Some(_) => gift.is_at(repository, &tag.tag).await?,
                        None => gift.tagged(target, namespace, tag).await?,
                    }
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
            let is_this = |gift: &Gift| gift.record.name == record.name;
            let action = match record.decision.as_str() {
                "copy" if self.gifts.iter().any(is_this) => continue,
                "copy" if record.comes_along() => ImageAction::Unchanged,
                "copy" => ImageAction::Missing,
                "rebuild" if report.dry_run => ImageAction::Built,
                "rebuild" => continue,
                "map" => ImageAction::Mapped,
                _ => ImageAction::External,
            };
            report.images.push(ImageEntry {
                detail: match action {
                    ImageAction::Built => record
                        .commit
                        .as_ref()
                        .map(|commit| format!("of commit {commit}")),
                    ImageAction::External if record.internal && record.to.is_none() => {
                        Some("the target's own registry".to_owned())
                    }
                    _ => record.to.clone(),
                },
                ..ImageEntry::of(record, action)
            });
        }
        report.images.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// What only the source's registry has and nobody brings along is missing, unless the target has it already; so is
    /// what was to stay away from a tag that is taken, and what the target's own projects were to have.
    async fn missing(
        &self,
        target: &Cluster,
        namespace: &str,
        report: &mut Report,
    ) -> Result<(), MigrateError> {
        for gift in self.gifts.iter().filter(|gift| gift.skipped) {
            let name = &gift.record.name;
            let tags: Vec<String> = gift.tags.iter().map(|(tag, _)| tag.to_string()).collect();
            report.losses.push(format!(
                "image {name} was not pushed: {} of {namespace} has another image, which stays with `--existing skip`; `--existing apply` puts this one there",
                tags.join(", ")
            ));
        }
        elsewhere::missing(target, namespace, &self.records, report).await?;
        let left = self.records.iter().filter(|record| {
            record.internal && record.decision == "external" && record.to.is_none()
        });
        for record in left {
            let project = record.name.split('/').next();
            if record.tags.is_empty() && !record.uses.is_empty() && project == Some(&self.from) {
                report.losses.push(format!(
                    "image {} is only in the registry of the source's cluster, and no tag leads to it: export it with `--images 'copy {}'`",
                    record.name, record.name
                ));
            }
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
        let straight = (self.record.straight_from.is_some() && action == ImageAction::Pushed)
            .then_some("straight from the source's registry");
        let word = if action == ImageAction::Pushed {
            "to"
        } else {
            "at"
        };
        let to = self.named.as_ref().map(|named| format!("{word} {named}"));
        let words: Vec<&str> = to.as_deref().into_iter().chain(straight).collect();
        ImageEntry {
            bytes: self.survey.size(),
            detail: (!words.is_empty()).then(|| words.join(" ")),
            ..ImageEntry::of(&self.record, action)
        }
    }

    /// Looks whether a tag of a registry leads to the image: nothing else of the target tells it.
    async fn is_at(&self, repository: &Repository, tag: &str) -> Result<(), MigrateError> {
        let digest = self.survey.digest();
        let now = repository.digest_of(tag).await?;
        if now == Some(digest) {
            return Ok(());
        }
        let now = now.map_or_else(|| "nothing".to_owned(), |now| now.to_string());
        Err(MigrateError::NotPossible(format!(
            "{}/{}:{tag} leads to {now} right after {digest} was pushed there",
            repository.registry().name(),
            repository.name()
        )))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_is_named_with_what_to_do() {
        let record = |name: &str, straight_from: Option<&str>| ImageRecord {
            name: name.to_owned(),
            straight_from: straight_from.map(str::to_owned),
            ..ImageRecord::default()
        };
        let records = [
            record("shop/web:1", Some("shop/web")),
            record("shop/gone:1", None),
            record("shop/api:1", Some("shop/api")),
        ];
        let all: Vec<&ImageRecord> = records.iter().collect();
        insta::assert_snapshot!(not_had(&all).replace("; ", ";\n"), @r"
        the chart was to hold the image shop/gone:1, and could not get it at the export;
        export again, or decide otherwise: `--images 'external shop/gone:1'`, `--images 'map shop/gone:1=NEW'`;
        the chart does not hold shop/web:1, shop/api:1: its migration copies images straight from the source's registry;
        go on with that run by `openshifter resume`, export again, or decide otherwise: `--images 'external shop/web:1'`, `--images 'map shop/web:1=NEW'`
        ");
    }
}
