//! Images that a migration copies straight from the source's registries into the target's, never through the chart.

use openshifter_chart::ImageRecord;
use openshifter_cluster::Cluster;
use openshifter_images::{
    ClusterRegistry, Digest, Image, ImagesError, Inventory, Platforms, Survey, Wanted,
};
use openshifter_objects::Object;

use super::ImageOptions;
use super::doors::Doors;
use super::give::Goal;
use super::take::Refused;
use crate::import::Existing;
use crate::{MigrateError, Run};

/// The target of a migration, at the time when its source is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Onward<'a> {
    pub(crate) target: &'a Cluster,
    pub(crate) namespace: &'a str,
    pub(crate) options: &'a ImageOptions,
    pub(crate) existing: Existing,
    /// Whether the application that is there is deleted first, its images' tags too.
    pub(crate) replaces: bool,
    /// Whether images go straight there, and not by way of the chart.
    pub(crate) straight: bool,
}

impl Onward<'_> {
    /// Looks whether the target takes the images that were found at the source, before anything else is read there.
    /// `objects` have pull secrets. Changes nothing.
    ///
    /// # Errors
    /// When its registry cannot be reached, this user may not push, or a tag may not be changed.
    pub(super) async fn check(
        &self,
        run: &Run,
        objects: &[Object],
        records: &[ImageRecord],
        found: &Straight,
    ) -> Result<(), MigrateError> {
        let surveys: Vec<(&ImageRecord, Survey)> = records
            .iter()
            .filter_map(|record| Some((record, found.survey(&record.name)?.clone())))
            .collect();
        if surveys.is_empty() {
            return Ok(());
        }
        run.progress.stage("looking at the target's registry");
        let goal = Goal {
            target: self.target,
            namespace: self.namespace,
            there: self.target.namespace_exists(self.namespace).await?,
            options: self.options,
            existing: self.existing,
            objects,
        };
        let gifts = goal.gifts(surveys, self.replaces).await?;
        goal.open(&gifts).await?;
        Ok(())
    }
}

/// Images as they were found at the source, and the way to them. It is open until they are at the target.
#[derive(Debug)]
pub(crate) struct Straight {
    /// By the image's name.
    pub(super) found: Vec<(String, Survey)>,
    /// Address of the registry of the source's cluster, where one was given: `resume` needs it again.
    pub(crate) registry: Option<String>,
    pub(super) _open: Option<ClusterRegistry>,
}

impl Straight {
    /// Finds the images of a chart again that a migration was to copy straight: exactly those, whatever their tags lead
    /// to by now.
    ///
    /// # Errors
    /// When one of them cannot be had; all of those are named.
    pub(crate) async fn again(
        source: &Cluster,
        namespace: &str,
        objects: &[Object],
        records: &[&ImageRecord],
        options: &ImageOptions,
    ) -> Result<Self, MigrateError> {
        let exposed = Inventory::of(objects).exposed.into_iter().collect();
        let mut doors = Doors::new(source, namespace, objects, options, exposed);
        let mut found = Vec::new();
        let mut refused = Refused::default();
        for record in records {
            match find(&mut doors, record).await {
                Ok(survey) => found.push((record.name.clone(), survey)),
                Err(error) => refused.add(&record.name, &error.to_string(), Some(error)),
            }
        }
        refused.or_none()?;
        Ok(Self {
            found,
            registry: options.registry.clone(),
            _open: doors.into_registry(),
        })
    }

    pub(super) fn survey(&self, name: &str) -> Option<&Survey> {
        let found = self.found.iter().find(|(of, _)| of == name);
        found.map(|(_, survey)| survey)
    }
}

async fn find(doors: &mut Doors<'_>, record: &ImageRecord) -> Result<Survey, ImagesError> {
    let (host, repository) = host_and_repository(record);
    let digest = record.digest.as_deref().unwrap_or_default();
    let digest: Digest = digest.parse().map_err(|_| ImagesError::BadReference {
        text: digest.to_owned(),
        reason: "the chart's ledger should have the image's digest there".to_owned(),
    })?;
    // Which image of an index it is was decided when it was first found.
    doors
        .survey(host, repository, &Wanted::digest(digest), &Platforms::All)
        .await
}

/// The host of its registry, none for that of the source's cluster, and the repository there.
fn host_and_repository(record: &ImageRecord) -> (Option<&str>, &str) {
    let place = record.straight_from.as_deref().unwrap_or_default();
    match place.split_once('/') {
        Some((host, repository)) if !record.internal => (Some(host), repository),
        _ => (None, place),
    }
}

/// Where an image is read, as [`ImageRecord::straight_from`] has it.
pub(super) fn place_of(image: &Image) -> Option<String> {
    let repository = image.repository()?;
    Some(match (&image.internal, &image.reference) {
        (None, Some(reference)) => format!("{}/{repository}", reference.registry()),
        _ => repository.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use openshifter_images::Inventory;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_tells_where_the_image_was() {
        let internal = "image-registry.openshift-image-registry.svc:5000/shop/web:1";
        let images = [internal, "quay.io/me/tools/web:1", "redis"];
        let containers: Vec<_> = images
            .iter()
            .enumerate()
            .map(|(index, image)| json!({"name": format!("c{index}"), "image": image}))
            .collect();
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "shop"},
            "spec": {"template": {"spec": {"containers": containers}}}});
        let objects = [Object::from_value(deployment).unwrap()];
        let mut text = String::new();
        for image in Inventory::of(&objects).images {
            let record = ImageRecord {
                straight_from: place_of(&image),
                internal: image.internal.is_some(),
                ..ImageRecord::default()
            };
            text.push_str(&format!("{:?}\n", host_and_repository(&record)));
        }
        insta::assert_snapshot!(text, @r#"
        (Some("docker.io"), "library/redis")
        (Some("quay.io"), "me/tools/web")
        (None, "shop/web")
        "#);
    }
}
