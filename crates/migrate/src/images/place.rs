//! Where an image that is copied gets its place at the target: in tags of ImageStreams of the project.

use std::collections::{BTreeMap, BTreeSet};

use openshifter_chart::ImageTag;
use openshifter_images::{Digest, Image, PlannedImage};
use openshifter_objects::{Object, places};
use serde_json::json;

use crate::MigrateError;

/// The annotation that says where the image of a stream of ours comes from.
const COPIED_FROM: &str = "openshifter.dev/copied-from";

/// Gives images their places.
pub(crate) struct Places<'a> {
    namespace: &'a str,
    streams: BTreeMap<&'a str, &'a Object>,
    /// Streams that the application does not have, by their names, with the repository that each stands for.
    new: BTreeMap<String, String>,
    /// Those of them that are made now.
    wanted: BTreeSet<String>,
    taken: BTreeSet<ImageTag>,
}

impl<'a> Places<'a> {
    pub(crate) fn new(namespace: &'a str, objects: &'a [Object]) -> Self {
        Self {
            namespace,
            streams: objects
                .iter()
                .filter(|object| object.is("image.openshift.io", "ImageStream"))
                .map(|object| (object.name(), object))
                .collect(),
            new: BTreeMap::new(),
            wanted: BTreeSet::new(),
            taken: BTreeSet::new(),
        }
    }

    /// Tags of the application's own ImageStreams that lead to an image.
    pub(crate) fn own_tags(&self, image: &Image) -> Vec<ImageTag> {
        let own = self.own_stream(image);
        let mut tags: Vec<ImageTag> = image
            .tags
            .iter()
            .filter(|tag| tag.namespace == self.namespace)
            .map(|tag| ImageTag {
                stream: tag.stream.clone(),
                tag: tag.tag.clone(),
            })
            .collect();
        // A tag that follows another one does so at the target, too.
        if tags.iter().any(|tag| !self.follows(tag)) {
            tags.retain(|tag| !self.follows(tag));
        }
        tags.sort_by_key(|tag| (Some(tag.stream.as_str()) != own, tag.clone()));
        tags
    }

    /// The tags that are to lead to a copied image at the target; its bytes go to the stream of the first.
    pub(crate) fn of(&mut self, image: &Image, digest: Option<Digest>) -> Vec<ImageTag> {
        let mut tags = self.own_tags(image);
        if let Some(stream) = self.own_stream(image)
            && tags.first().is_none_or(|tag| tag.stream != stream)
        {
            // A former image of the stream, which something still runs.
            tags.insert(
                0,
                ImageTag {
                    stream: stream.to_owned(),
                    tag: unnamed(digest),
                },
            );
        }
        if tags.is_empty() {
            tags.push(self.made(image, digest));
        }
        self.taken.extend(tags.iter().cloned());
        for tag in &tags {
            if !self.streams.contains_key(tag.stream.as_str()) {
                self.wanted.insert(tag.stream.clone());
                self.new
                    .entry(tag.stream.clone())
                    .or_insert_with(|| repository(image));
            }
        }
        tags
    }

    /// A tag that nobody has, for what follows an image of another project. Its stream is not made yet.
    pub(crate) fn spare(&mut self, image: &Image, digest: Option<Digest>) -> ImageTag {
        let tag = self.made(image, digest);
        self.taken.insert(tag.clone());
        self.new
            .entry(tag.stream.clone())
            .or_insert_with(|| repository(image));
        tag
    }

    /// Makes a spare tag's stream one of the application's.
    pub(crate) fn want(&mut self, tag: &ImageTag) {
        self.wanted.insert(tag.stream.clone());
    }

    /// The project's own ImageStream whose repository has the image.
    fn own_stream<'b>(&self, image: &'b Image) -> Option<&'b str> {
        let (namespace, stream) = image.internal.as_deref()?.split_once('/')?;
        (namespace == self.namespace).then_some(stream)
    }

    fn follows(&self, tag: &ImageTag) -> bool {
        self.streams.get(tag.stream.as_str()).is_some_and(|stream| {
            places(stream.value(), "/spec/tags/*")
                .into_iter()
                .any(|(_, entry)| {
                    let from = &entry["from"];
                    let project = from["namespace"].as_str().unwrap_or_default();
                    entry["name"] == *tag.tag
                        && from["kind"] == "ImageStreamTag"
                        && (project.is_empty() || project == self.namespace)
                })
        })
    }

    /// A place for an image of elsewhere.
    fn made(&self, image: &Image, digest: Option<Digest>) -> ImageTag {
        let repository = repository(image);
        let last = repository.rsplit('/').next().unwrap_or(&repository);
        let plain = slug(last);
        let is_free = |name: &str| {
            !self.streams.contains_key(name)
                && self.new.get(name).is_none_or(|other| *other == repository)
        };
        let stream = if is_free(&plain) {
            plain
        } else {
            // Its whole path is nobody else's.
            slug(&repository)
        };
        let written = image
            .reference
            .as_ref()
            .and_then(|reference| reference.tag())
            .or(image.tags.first().map(|tag| tag.tag.as_str()));
        let tag = written.unwrap_or("latest").to_owned();
        let place = ImageTag {
            stream: stream.clone(),
            tag,
        };
        if self.taken.contains(&place) {
            return ImageTag {
                stream,
                tag: unnamed(digest),
            };
        }
        place
    }

    /// The ImageStreams that the application does not have yet.
    ///
    /// # Errors
    /// When a name cannot be one.
    pub(crate) fn streams(&self) -> Result<Vec<Object>, MigrateError> {
        self.new
            .iter()
            .filter(|(name, _)| self.wanted.contains(*name))
            .map(|(name, from)| stream_of(name, self.namespace, from))
            .collect()
    }
}

/// Whether an ImageStream was made here for images to be put into.
pub(super) fn is_ours(stream: &Object) -> bool {
    stream.annotation(COPIED_FROM).is_some()
}

/// An ImageStream that the application does not have.
///
/// # Errors
/// When the name cannot be one.
pub(super) fn stream_of(name: &str, namespace: &str, from: &str) -> Result<Object, MigrateError> {
    Object::from_value(json!({
        "apiVersion": "image.openshift.io/v1",
        "kind": "ImageStream",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": {COPIED_FROM: from},
        },
        "spec": {"lookupPolicy": {"local": false}},
    }))
    .map_err(|error| MigrateError::NotPossible(error.to_string()))
}

/// The build that made an image.
#[derive(Debug, Default)]
pub(crate) struct MadeBy {
    pub(crate) build_config: Option<String>,
    /// Whether the target can have its source, too.
    pub(crate) rebuildable: bool,
    pub(crate) commit: Option<String>,
}

/// What made an image.
pub(crate) fn made_by(planned: &PlannedImage) -> MadeBy {
    use openshifter_images::Origin;
    match &planned.image.origin {
        Origin::BuiltFromSource {
            build_config,
            commit,
            ..
        } => MadeBy {
            build_config: Some(build_config.clone()),
            rebuildable: true,
            commit: commit.clone(),
        },
        Origin::BuiltFromBinary { build_config } => MadeBy {
            build_config: build_config.clone(),
            ..MadeBy::default()
        },
        _ => MadeBy::default(),
    }
}

fn repository(image: &Image) -> String {
    match &image.reference {
        Some(reference) => format!("{}/{}", reference.registry(), reference.repository()),
        None => image.name.clone(),
    }
}

/// A tag for an image that has none.
fn unnamed(digest: Option<Digest>) -> String {
    let digest = digest.map(|digest| digest.to_string()).unwrap_or_default();
    let hex = digest.rsplit(':').next().unwrap_or_default();
    format!("copied-{}", hex.get(..12).unwrap_or("image"))
}

/// Text as the name of an object.
fn slug(text: &str) -> String {
    let slug: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    let slug = slug.trim_matches('-');
    let end = slug.len().min(60);
    slug.get(..end)
        .unwrap_or("image")
        .trim_end_matches('-')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use openshifter_images::Inventory;

    use super::*;

    fn digest(text: &str) -> String {
        Digest::of(text.as_bytes()).to_string()
    }

    fn object(value: serde_json::Value) -> Object {
        Object::from_value(value).unwrap()
    }

    fn stream(name: &str, spec: &serde_json::Value, tags: &[(&str, &str, &str)]) -> Object {
        let tags: Vec<_> = tags
            .iter()
            .map(|(tag, repository, of)| {
                json!({"tag": tag, "items": [{"image": digest(of),
                    "dockerImageReference": format!("{repository}@{}", digest(of))}]})
            })
            .collect();
        object(
            json!({"apiVersion": "image.openshift.io/v1", "kind": "ImageStream",
            "metadata": {"name": name, "namespace": "shop"}, "spec": {"tags": spec},
            "status": {"dockerImageRepository": format!("{INTERNAL}/shop/{name}"), "tags": tags}}),
        )
    }

    const INTERNAL: &str = "image-registry.openshift-image-registry.svc:5000";

    #[test]
    fn every_image_has_a_place_of_its_own() {
        let web = format!("{INTERNAL}/shop/web");
        let images = [
            format!("{web}@{}", digest("now")),
            format!("{web}@{}", digest("before")),
            "quay.io/tools/web:1".to_owned(),
            "quay.io/tools/proxy:2".to_owned(),
            "ghcr.io/others/proxy:2".to_owned(),
            "docker.io/library/redis@sha256:0000000000000000000000000000000000000000000000000000000000000000".to_owned(),
        ];
        let containers: Vec<_> = images
            .iter()
            .enumerate()
            .map(|(at, image)| json!({"name": format!("c{at}"), "image": image}))
            .collect();
        let objects = [
            stream(
                "web",
                &json!([{"name": "latest", "from": {"kind": "ImageStreamTag", "name": "v2"}}]),
                &[("v2", &web, "now"), ("latest", &web, "now")],
            ),
            stream(
                "base",
                &json!([{"name": "1", "from": {"kind": "DockerImage", "name": "quay.io/base:1"}}]),
                &[("1", "quay.io/base", "base")],
            ),
            object(
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "shop"},
                "spec": {"template": {"spec": {"containers": containers}}}}),
            ),
        ];
        let inventory = Inventory::of(&objects);
        let mut places = Places::new("shop", &objects);
        let mut text = String::new();
        for image in &inventory.images {
            let tags: Vec<String> = places
                .of(image, image.digest)
                .iter()
                .map(ToString::to_string)
                .collect();
            text.push_str(&format!("{}: {}\n", image.name, tags.join(" ")));
        }
        for made in places.streams().unwrap() {
            text.push_str(&format!(
                "{} from {}\n",
                made.name(),
                made.annotation(COPIED_FROM).unwrap_or_default()
            ));
        }
        insta::assert_snapshot!(text, @r"
        docker.io/library/redis@sha256:0000000000000000000000000000000000000000000000000000000000000000: redis:latest
        ghcr.io/others/proxy:2: proxy:2
        quay.io/base@sha256:cae662172fd450bb0cd710a769079c05bfc5d8e35efa6576edc7d0377afdd4a2: base:1
        quay.io/tools/proxy:2: quay-io-tools-proxy:2
        quay.io/tools/web:1: quay-io-tools-web:1
        shop/web:latest: web:v2
        shop/web@sha256:6db7d803e74f1ffa7d8f5adc0bf95b3e15bf4c8373fffadf546227cc6c6742cb: web:copied-6db7d803e74f
        proxy from ghcr.io/others/proxy
        quay-io-tools-proxy from quay.io/tools/proxy
        quay-io-tools-web from quay.io/tools/web
        redis from docker.io/library/redis
        ");
    }
}
