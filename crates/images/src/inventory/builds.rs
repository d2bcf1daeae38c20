//! Which build made an image, and from what.

use std::collections::BTreeSet;

use openshifter_objects::Object;
use serde_json::Value;

use super::streams::Streams;
use super::{BuildSource, Origin, StreamTag};
use crate::Digest;

pub(super) struct Builds<'a> {
    builds: Vec<&'a Object>,
    configs: Vec<&'a Object>,
}

impl<'a> Builds<'a> {
    pub(super) fn new(objects: &'a [Object]) -> Self {
        let of_kind = |kind: &str| {
            objects
                .iter()
                .filter(|object| object.is("build.openshift.io", kind))
                .collect()
        };
        Self {
            builds: of_kind("Build"),
            configs: of_kind("BuildConfig"),
        }
    }

    /// Where an image in the cluster's own registry comes from.
    pub(super) fn origin(
        &self,
        streams: &Streams<'_>,
        namespace: &str,
        stream: &str,
        digest: Option<Digest>,
        tags: &BTreeSet<StreamTag>,
    ) -> Origin {
        if !streams.is_own(namespace) {
            return Origin::OtherProject {
                namespace: namespace.to_owned(),
            };
        }
        // The build that made these very bytes tells best: a BuildConfig with a Git source may have been given a
        // folder for once.
        let digest = digest.map(|digest| digest.to_string());
        let made = self.builds.iter().find(|build| {
            digest.is_some()
                && build
                    .value()
                    .pointer("/status/output/to/imageDigest")
                    .and_then(Value::as_str)
                    == digest.as_deref()
        });
        if let Some(build) = made {
            let name = config_of(build);
            let config = name.and_then(|name| self.config(namespace, name));
            return made_by(config, source(build), commit(build, config));
        }
        let config = self.configs.iter().find(|config| {
            output(config).is_some_and(|to| {
                tags.contains(&to)
                    || (tags.is_empty() && to.namespace == namespace && to.stream == stream)
            })
        });
        match config {
            Some(config) => {
                let commit = self
                    .latest(config, digest.is_some())
                    .and_then(|build| commit(build, Some(config)));
                made_by(Some(config), source(config), commit)
            }
            None => Origin::Pushed,
        }
    }

    /// The newest build of a BuildConfig that came through. Where the digest of the image is known, a build that tells
    /// another one did not make it.
    fn latest(&self, config: &Object, known: bool) -> Option<&'a Object> {
        let complete = self.builds.iter().filter(|build| {
            let status = &build.value()["status"];
            config_of(build) == Some(config.name())
                && status["phase"] == "Complete"
                && !(known && status.pointer("/output/to/imageDigest").is_some())
        });
        complete.copied().max_by_key(|build| number(build))
    }

    fn config(&self, namespace: &str, name: &str) -> Option<&'a Object> {
        self.configs.iter().copied().find(|config| {
            config.name() == name && config.namespace().is_none_or(|own| own == namespace)
        })
    }
}

/// The tag that a BuildConfig pushes to.
fn output(config: &Object) -> Option<StreamTag> {
    let to = config.value().pointer("/spec/output/to")?;
    if to["kind"] != "ImageStreamTag" {
        return None;
    }
    let (stream, tag) = to["name"].as_str()?.split_once(':')?;
    let namespace = to["namespace"].as_str().filter(|text| !text.is_empty());
    Some(StreamTag {
        namespace: namespace
            .or(config.namespace())
            .unwrap_or_default()
            .to_owned(),
        stream: stream.to_owned(),
        tag: tag.to_owned(),
    })
}

/// An image of such a build.
fn made_by(config: Option<&Object>, source: Option<BuildSource>, commit: Option<String>) -> Origin {
    match (config, source) {
        (Some(config), Some(source)) => Origin::BuiltFromSource {
            build_config: config.name().to_owned(),
            source,
            output: output(config),
            commit,
        },
        (config, _) => Origin::BuiltFromBinary {
            build_config: config.map(|config| config.name().to_owned()),
        },
    }
}

/// The commit that was built, if the BuildConfig still builds from the repository that has it.
fn commit(build: &Object, config: Option<&Object>) -> Option<String> {
    let uri = |object: &'_ Object| object.value().pointer("/spec/source/git/uri").cloned();
    let same = config.is_some_and(|config| uri(config) == uri(build));
    let commit = build.value().pointer("/spec/revision/git/commit")?;
    commit.as_str().filter(|_| same).map(str::to_owned)
}

fn number(build: &Object) -> u64 {
    build
        .annotation("openshift.io/build.number")
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

fn config_of(build: &Object) -> Option<&str> {
    build
        .value()
        .pointer("/status/config/name")
        .and_then(Value::as_str)
        .or_else(|| build.annotation("openshift.io/build-config.name"))
        .or_else(|| build.label("openshift.io/build-config.name"))
}

/// What a Build or BuildConfig is made from, if others can have it too.
fn source(object: &Object) -> Option<BuildSource> {
    let source = object.value().pointer("/spec/source")?;
    if source["type"] == "Binary" || source["binary"].is_object() {
        return None;
    }
    if source["git"].is_object() {
        Some(BuildSource::Git)
    } else if source["dockerfile"].is_string() {
        Some(BuildSource::Dockerfile)
    } else if source["images"]
        .as_array()
        .is_some_and(|images| !images.is_empty())
    {
        Some(BuildSource::Images)
    } else {
        None
    }
}
