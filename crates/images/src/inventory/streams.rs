//! What tags, streams and references lead to, as far as the objects tell.

use std::collections::{BTreeMap, BTreeSet};

use openshifter_objects::{Object, places};
use serde_json::Value;

use super::StreamTag;
use crate::{Digest, ImageReference, ImagesError, InternalRegistries};

/// Tags that name tags that name tags are followed so far.
const DEPTH: usize = 8;

/// What a name led to.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub(super) reference: Option<ImageReference>,
    pub(super) digest: Option<Digest>,
    /// The tag that led there.
    pub(super) tag: Option<StreamTag>,
    /// Why it led nowhere.
    pub(super) missing: Option<String>,
}

impl Found {
    /// `registry/repository`.
    pub(super) fn repository(&self) -> Option<(&str, &str)> {
        self.reference
            .as_ref()
            .map(|reference| (reference.registry(), reference.repository()))
    }

    /// The same for what is the same image at the same place.
    pub(super) fn key(&self) -> String {
        match (&self.reference, self.digest, &self.tag) {
            (Some(reference), Some(digest), _) => {
                format!(
                    "{}/{}@{digest}",
                    reference.registry(),
                    reference.repository()
                )
            }
            (Some(reference), None, _) => reference.to_string(),
            (None, _, Some(tag)) => format!("tag {tag}"),
            (None, digest, None) => format!("{:?} {:?}", digest, self.missing),
        }
    }
}

pub(super) struct Streams<'a> {
    registries: &'a InternalRegistries,
    /// By namespace and name.
    streams: BTreeMap<(&'a str, &'a str), &'a Object>,
    /// ImageStreamTags that were given beside their streams: digest and reference.
    tags: BTreeMap<(&'a str, &'a str), &'a Object>,
    /// What pods were seen to run for a text: several digests mean that its tag moved.
    running: BTreeMap<String, BTreeSet<Digest>>,
    /// Namespaces of the application.
    own: BTreeSet<&'a str>,
}

impl<'a> Streams<'a> {
    pub(super) fn new(objects: &'a [Object], registries: &'a InternalRegistries) -> Self {
        let of_kind = |kind: &'static str| {
            objects
                .iter()
                .filter(move |object| object.is("image.openshift.io", kind))
                .map(|object| {
                    (
                        (object.namespace().unwrap_or_default(), object.name()),
                        object,
                    )
                })
        };
        let of_images = |object: &&Object| object.group() == "image.openshift.io";
        let mut own: BTreeSet<&str> = objects
            .iter()
            .filter(|object| !of_images(object))
            .filter_map(Object::namespace)
            .collect();
        if own.is_empty() {
            own = objects.iter().filter_map(Object::namespace).collect();
        }
        Self {
            registries,
            streams: of_kind("ImageStream").collect(),
            tags: of_kind("ImageStreamTag").collect(),
            running: running(objects),
            own,
        }
    }

    /// Whether a namespace is one of the application's. Objects without one are all of one project.
    pub(super) fn is_own(&self, namespace: &str) -> bool {
        namespace.is_empty() || self.own.is_empty() || self.own.contains(namespace)
    }

    /// Whether the stream's object was given.
    pub(super) fn knows(&self, namespace: &str, stream: &str) -> bool {
        self.stream(namespace, stream).is_some()
    }

    fn stream(&self, namespace: &str, name: &str) -> Option<&'a Object> {
        self.streams
            .get(&(namespace, name))
            .or_else(|| {
                self.streams
                    .get(&("", name))
                    .filter(|_| self.is_own(namespace))
            })
            .copied()
    }

    /// What a reference in a workload of a namespace leads to.
    pub(super) fn reference(&self, namespace: &str, text: &str) -> Result<Found, ImagesError> {
        // With local lookup, a plain name is one of an ImageStream of the same project.
        if !text.contains('/') {
            let (name, tag) = match text.split_once(['@', ':']) {
                Some((name, tag)) => (name, tag),
                None => (text, "latest"),
            };
            let local = self.stream(namespace, name).is_some_and(|stream| {
                stream.value().pointer("/spec/lookupPolicy/local") == Some(&Value::Bool(true))
            });
            if local && text.contains('@') {
                return Ok(self.stream_image(namespace, text));
            }
            if local {
                return Ok(self.tag(namespace, &format!("{name}:{tag}")));
            }
        }
        let reference: ImageReference = text.parse()?;
        if let Some((namespace, stream)) = self.registries.stream(&reference) {
            let found = match (reference.digest(), reference.tag()) {
                (Some(digest), _) => self.digest(namespace, stream, digest),
                (None, tag) => {
                    let name = format!("{stream}:{}", tag.unwrap_or("latest"));
                    let found = self.tag(namespace, &name);
                    if found.missing.is_none() {
                        Some(found)
                    } else {
                        None
                    }
                }
            };
            return Ok(found.unwrap_or(Found {
                digest: reference.digest(),
                tag: reference.tag().map(|tag| StreamTag {
                    namespace: namespace.to_owned(),
                    stream: stream.to_owned(),
                    tag: tag.to_owned(),
                }),
                reference: Some(reference),
                missing: None,
            }));
        }
        let digest = reference.digest().or_else(|| self.seen_running(&reference));
        Ok(Found {
            reference: Some(reference),
            digest,
            ..Found::default()
        })
    }

    /// What the tag of a stream leads to now.
    pub(super) fn tag(&self, namespace: &str, name: &str) -> Found {
        self.follow(namespace, name, DEPTH)
    }

    fn follow(&self, namespace: &str, name: &str, depth: usize) -> Found {
        let (stream, tag) = name.split_once(':').unwrap_or((name, "latest"));
        let at = StreamTag {
            namespace: namespace.to_owned(),
            stream: stream.to_owned(),
            tag: tag.to_owned(),
        };
        let missing = |reason: String| Found {
            tag: Some(at.clone()),
            missing: Some(reason),
            ..Found::default()
        };
        if depth == 0 {
            return missing(format!("the tags that {at} follows name each other"));
        }
        if let Some(object) = self.stream(namespace, stream) {
            let current = places(object.value(), "/status/tags/*")
                .into_iter()
                .map(|(_, entry)| entry)
                .find(|entry| entry["tag"] == tag)
                .and_then(|entry| entry["items"].get(0));
            if let Some(found) = current.and_then(|item| self.item(object, item)) {
                return Found {
                    tag: Some(at),
                    ..found
                };
            }
            let wanted = places(object.value(), "/spec/tags/*")
                .into_iter()
                .map(|(_, entry)| entry)
                .find(|entry| entry["name"] == tag)
                .map(|entry| &entry["from"]);
            if let Some(from) = wanted {
                let text =
                    |field: &str| from.get(field).and_then(Value::as_str).unwrap_or_default();
                let of = match text("namespace") {
                    "" => namespace,
                    other => other,
                };
                let name = text("name");
                match text("kind") {
                    "ImageStreamTag" => {
                        // A name without a colon is another tag of the same stream.
                        let name = if name.contains(':') {
                            name.to_owned()
                        } else {
                            format!("{stream}:{name}")
                        };
                        let found = self.follow(of, &name, depth - 1);
                        return Found {
                            tag: Some(at),
                            ..found
                        };
                    }
                    "ImageStreamImage" => {
                        return Found {
                            tag: Some(at),
                            ..self.stream_image(of, name)
                        };
                    }
                    "DockerImage" => {
                        if let Ok(found) = self.reference(of, name) {
                            return Found {
                                tag: Some(at),
                                ..found
                            };
                        }
                    }
                    _ => {}
                }
            }
        }
        if let Some(object) = self.tags.get(&(namespace, name)) {
            let item = &object.value()["image"];
            let digest = item.pointer("/metadata/name").and_then(Value::as_str);
            let reference = item["dockerImageReference"].as_str();
            if let (Some(Ok(digest)), Some(Ok(reference))) =
                (digest.map(str::parse), reference.map(str::parse))
            {
                return Found {
                    tag: Some(at),
                    reference: Some(reference),
                    digest: Some(digest),
                    missing: None,
                };
            }
        }
        if self.is_own(namespace) {
            let what = if self.knows(namespace, stream) {
                "has no image"
            } else {
                "is not there"
            };
            return missing(format!("the ImageStreamTag {at} {what}"));
        }
        // What another project has cannot be seen from here, but the registry may know.
        let reference = ImageReference::new(
            self.registries.internal_host(),
            &format!("{namespace}/{stream}"),
            Some(tag),
            None,
        );
        Found {
            reference: reference.ok(),
            tag: Some(at),
            ..Found::default()
        }
    }

    /// `stream@digest`.
    pub(super) fn stream_image(&self, namespace: &str, name: &str) -> Found {
        let (stream, digest) = name.split_once('@').unwrap_or((name, ""));
        let Ok(digest) = digest.parse::<Digest>() else {
            return Found {
                missing: Some(format!("the ImageStreamImage {name} names no digest")),
                ..Found::default()
            };
        };
        self.digest(namespace, stream, digest)
            .unwrap_or_else(|| Found {
                missing: Some(format!(
                    "the ImageStream {namespace}/{stream} does not know the image {digest}"
                )),
                digest: Some(digest),
                ..Found::default()
            })
    }

    /// An image that a stream has or had.
    fn digest(&self, namespace: &str, stream: &str, digest: Digest) -> Option<Found> {
        let object = self.stream(namespace, stream)?;
        let text = digest.to_string();
        let (_, item) = places(object.value(), "/status/tags/*/items/*")
            .into_iter()
            .find(|(_, item)| item["image"] == *text)?;
        self.item(object, item)
    }

    /// An entry of a tag's history.
    fn item(&self, stream: &Object, item: &Value) -> Option<Found> {
        let digest = item["image"].as_str()?.parse().ok()?;
        let reference: ImageReference = item["dockerImageReference"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .or_else(|| {
                let repository = stream
                    .value()
                    .pointer("/status/dockerImageRepository")?
                    .as_str()?;
                repository.parse().ok()
            })?;
        Some(Found {
            reference: Some(reference.at(digest)),
            digest: Some(digest),
            ..Found::default()
        })
    }

    /// Tags that lead to an image in this repository now.
    pub(super) fn tags_of(
        &self,
        digest: Digest,
        repository: Option<(&str, &str)>,
    ) -> BTreeSet<StreamTag> {
        let mut tags = BTreeSet::new();
        for ((namespace, stream), object) in &self.streams {
            for (_, entry) in places(object.value(), "/status/tags/*") {
                let (Some(tag), Some(item)) = (entry["tag"].as_str(), entry["items"].get(0)) else {
                    continue;
                };
                let leads = self.item(object, item).is_some_and(|found| {
                    found.digest == Some(digest) && found.repository() == repository
                });
                if leads {
                    tags.insert(StreamTag {
                        namespace: (*namespace).to_owned(),
                        stream: (*stream).to_owned(),
                        tag: tag.to_owned(),
                    });
                }
            }
        }
        tags
    }

    /// The digest that pods run for a reference, when all run the same.
    fn seen_running(&self, reference: &ImageReference) -> Option<Digest> {
        let seen = self.running.get(&reference.to_string())?;
        let mut all = seen.iter();
        match (all.next(), all.next()) {
            (Some(digest), None) => Some(*digest),
            _ => None,
        }
    }
}

/// What pods were seen to run, by the reference in their spec.
fn running(objects: &[Object]) -> BTreeMap<String, BTreeSet<Digest>> {
    let mut running: BTreeMap<String, BTreeSet<Digest>> = BTreeMap::new();
    let pods = objects.iter().filter(|object| object.is("", "Pod"));
    for (reference, id) in pods.flat_map(images_of_pod) {
        running.entry(reference.to_string()).or_default().insert(id);
    }
    running
}

/// The images of a pod's containers, those that initialize it included: as its `spec` names each, with the digest that its
/// `status` tells, where a node has told one.
pub fn images_of_pod(pod: &Object) -> Vec<(ImageReference, Digest)> {
    let lists = [
        ("containers", "containerStatuses"),
        ("initContainers", "initContainerStatuses"),
    ];
    let mut images = Vec::new();
    for (containers, statuses) in lists {
        let statuses = places(pod.value(), &format!("/status/{statuses}/*"));
        for (_, container) in places(pod.value(), &format!("/spec/{containers}/*")) {
            let id = statuses
                .iter()
                .find(|(_, status)| status["name"] == container["name"])
                .and_then(|(_, status)| status["imageID"].as_str())
                .and_then(|id| id.rsplit_once('@')?.1.parse::<Digest>().ok());
            let reference = container["image"]
                .as_str()
                .and_then(|text| text.parse::<ImageReference>().ok());
            images.extend(reference.zip(id));
        }
    }
    images
}
