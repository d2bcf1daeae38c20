//! A registry that somebody named, for targets that have no image streams to put images into.

use openshifter_chart::ImageTag;
use openshifter_cluster::Cluster;
use openshifter_images::{Digest, ImageReference, ImagesError, Repository};
use openshifter_objects::Object;

use super::{ImageOptions, streams};
use crate::MigrateError;

/// Where the images of an import go whose target has no registry of its own: `registry.example/team`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedPlace {
    host: String,
    path: String,
}

impl NamedPlace {
    /// The place that was named; `None` when none was, or the target has image streams.
    ///
    /// # Errors
    /// When what was named is no such place, or the target cannot be asked.
    pub(crate) async fn of(
        target: &Cluster,
        namespace: &str,
        options: &ImageOptions,
    ) -> Result<Option<Self>, MigrateError> {
        let Some(text) = &options.registry else {
            return Ok(None);
        };
        if target.discovery().await?.find(&streams()).is_some() {
            return Ok(None);
        }
        Ok(Some(Self::parse(text, namespace)?))
    }

    /// Without a path, images go where those of the project would be in an OpenShift registry.
    fn parse(text: &str, namespace: &str) -> Result<Self, ImagesError> {
        let (host, path) = text.split_once('/').unwrap_or((text, namespace));
        let place = Self {
            host: host.to_owned(),
            path: path.trim_end_matches('/').to_owned(),
        };
        let example = place.image("image").parse::<ImageReference>();
        if example.is_ok_and(|example| example.registry() == host) {
            return Ok(place);
        }
        Err(ImagesError::BadRegistry {
            text: text.to_owned(),
            reason: "the place for images of a cluster without image streams has to be HOST[:PORT][/PATH]".to_owned(),
        })
    }

    /// An image here, without tag and digest: `registry.example/team/web`.
    pub(crate) fn image(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.host, self.path)
    }

    /// The repository of an image. The credentials are those for this very repository; `objects` have pull secrets.
    pub(super) async fn repository(
        &self,
        name: &str,
        options: &ImageOptions,
        objects: &[Object],
    ) -> Result<Repository, ImagesError> {
        let name = format!("{}/{name}", self.path);
        let registry = options.named_registry(&self.host, &name, objects).await?;
        registry.repository(&name)
    }

    /// The digest that a tag has.
    pub(super) async fn digest_of(
        &self,
        tag: &ImageTag,
        options: &ImageOptions,
        objects: &[Object],
    ) -> Result<Option<Digest>, ImagesError> {
        let repository = self.repository(&tag.stream, options, objects).await?;
        repository.digest_of(&tag.tag).await
    }
}

/// What is to be done where a target has no place for images.
pub(super) fn no_place(target: &Cluster) -> String {
    format!(
        "{} has no image streams to put images into; name a registry that its nodes pull from (`--to-registry HOST/PATH`), or map them to images that it can pull (`--images 'map OLD=NEW'`)",
        target.name()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_host_and_a_path() {
        let said = |text| match NamedPlace::parse(text, "shop") {
            Ok(place) => place.image("web"),
            Err(error) => error.to_string(),
        };
        let all = [
            "localhost:5000",
            "registry.example/me/team/",
            "quay.io/me",
            "team",
            "https://registry.example/me",
            "registry.example/",
        ]
        .map(said)
        .join("\n");
        insta::assert_snapshot!(all, @"
        localhost:5000/shop/web
        registry.example/me/team/web
        quay.io/me/web
        `team` is no address of a registry: the place for images of a cluster without image streams has to be HOST[:PORT][/PATH]
        `https://registry.example/me` is no address of a registry: the place for images of a cluster without image streams has to be HOST[:PORT][/PATH]
        `registry.example/` is no address of a registry: the place for images of a cluster without image streams has to be HOST[:PORT][/PATH]
        ");
    }
}
