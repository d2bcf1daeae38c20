//! What a chart's objects say of images at the target: references to where each image is there.

use openshifter_chart::{ImagePlace, ImageRecord};
use openshifter_cluster::Cluster;
use openshifter_objects::{GroupKind, Knob, KnobSource, Object, inline_images, set_inline_image};
use openshifter_refactor::{Finding, Severity, retarget_image};
use serde_json::Value;

use super::place::is_ours;
use super::{ImageOptions, NamedPlace};
use crate::MigrateError;

/// The images of an import, and what the target calls its own registry.
#[derive(Debug, Clone, Default)]
pub(crate) struct Landing {
    pub(crate) records: Vec<ImageRecord>,
    /// `image-registry.openshift-image-registry.svc:5000`; `None` where there is none.
    pub(crate) host: Option<String>,
    /// Where copied images go instead, if the target has no image streams.
    pub(crate) named: Option<NamedPlace>,
}

impl Landing {
    /// Finds out what the target calls its registry: an ImageStream tells.
    ///
    /// # Errors
    /// When the target cannot be asked.
    pub(crate) async fn of(
        target: &Cluster,
        namespace: &str,
        there: bool,
        records: Vec<ImageRecord>,
        options: &ImageOptions,
    ) -> Result<Self, MigrateError> {
        Ok(Self {
            named: NamedPlace::of(target, namespace, options).await?,
            host: registry_host(target, namespace, there).await?,
            records,
        })
    }

    /// Whether a loss of the chart is that of an image about which this import decides otherwise.
    pub(crate) fn settles(&self, loss: &str) -> bool {
        self.records
            .iter()
            .filter(|record| record.decision != "copy")
            .any(|record| loss.starts_with(&not_copied(&record.name)))
    }

    /// Sets the values of a chart to where the images are at the target.
    pub(crate) fn set_values(&self, values: &mut Value, knobs: &[Knob], namespace: &str) {
        for (place, reference) in self.references(namespace) {
            if let Some(value) = knob(knobs, place).and_then(|knob| at_path(values, knob)) {
                *value = reference.into();
            }
        }
    }

    /// Sets the places that have no knob.
    pub(crate) fn set_objects(&self, objects: &mut [Object], knobs: &[Knob], namespace: &str) {
        for (place, reference) in self.references(namespace) {
            if knob(knobs, place).is_some() {
                continue;
            }
            let Some(object) = objects
                .iter_mut()
                .find(|object| object.key() == place.object)
            else {
                continue;
            };
            if set_inline_image(object, &place.place, &reference) {
                continue;
            }
            match object.value_mut().pointer_mut(&place.place) {
                Some(text @ Value::String(_)) => *text = reference.into(),
                // A build's input; one that names an ImageStream is led to the image by `adapt`.
                Some(from) if from["kind"] == "DockerImage" => from["name"] = reference.into(),
                _ => {}
            }
        }
    }

    /// Makes Dockerfiles within BuildConfigs start from the images of this project and cluster, as the values of others
    /// are made to: a text in the middle of a text has no value of its own.
    pub(crate) fn retarget_dockerfiles(&self, objects: &mut [Object], from: &str, to: &str) {
        for config in objects {
            for inline in inline_images(config) {
                let there = retarget_image(&inline.image, from, to, self.host.as_deref());
                if let Some(there) = there.filter(|there| *there != inline.image) {
                    set_inline_image(config, &inline.place, &there);
                }
            }
        }
    }

    /// Takes the image streams out for a target that has none, where images go to a named place instead. Those that are the
    /// application's own are told.
    pub(crate) fn without_streams(&self, objects: &mut Vec<Object>) -> Vec<Finding> {
        let Some(named) = &self.named else {
            return Vec::new();
        };
        let streams =
            objects.extract_if(.., |object| object.is("image.openshift.io", "ImageStream"));
        streams
            .filter(|stream| !is_ours(stream))
            .map(|stream| Finding {
                severity: Severity::Warning,
                object: stream.key(),
                rule: "image-stream".to_owned(),
                message: format!(
                    "the target has none: images that are copied are in {}, and what follows a tag does not follow it there",
                    named.image(stream.name())
                ),
            })
            .collect()
    }

    /// Each place that names an image which is elsewhere at the target, with its reference there.
    fn references(&self, namespace: &str) -> Vec<(&ImagePlace, String)> {
        self.records
            .iter()
            .filter_map(|record| Some((record, self.reference(record, namespace)?)))
            .flat_map(|(record, reference)| {
                record
                    .uses
                    .iter()
                    .map(move |place| (place, reference.clone()))
            })
            .collect()
    }

    /// What an image is called at the target, where that is not what it is called at the source.
    fn reference(&self, record: &ImageRecord, namespace: &str) -> Option<String> {
        if record.to.is_some() {
            return record.to.clone();
        }
        let tag = record.tags.first()?;
        let image = match (&self.named, &self.host) {
            (Some(named), _) => named.image(&tag.stream),
            (None, Some(host)) => format!("{host}/{namespace}/{}", tag.stream),
            (None, None) => return None,
        };
        match record.decision.as_str() {
            "copy" if record.comes_along() => {
                Some(format!("{image}@{}", record.digest.as_deref()?))
            }
            // Its digest is not known before it is built.
            "rebuild" => Some(format!("{image}:{}", tag.tag)),
            _ => None,
        }
    }
}

/// How a loss begins that is an image which could not be copied.
pub(super) fn not_copied(name: &str) -> String {
    format!("image {name} was not copied: ")
}

async fn registry_host(
    target: &Cluster,
    namespace: &str,
    there: bool,
) -> Result<Option<String>, MigrateError> {
    let streams = GroupKind::new("image.openshift.io", "ImageStream");
    let discovery = target.discovery().await?;
    let Some(resource) = discovery.find(&streams) else {
        return Ok(None);
    };
    let own = there.then_some(namespace);
    for place in own.into_iter().chain(["openshift"]) {
        let listed = match target.list(resource, Some(place), None).await {
            Ok(listed) => listed,
            Err(error) if error.is_forbidden() || error.is_not_found() => continue,
            Err(error) => return Err(error.into()),
        };
        let host = listed.iter().find_map(|stream| {
            let repository = stream
                .value()
                .pointer("/status/dockerImageRepository")?
                .as_str()?;
            Some(repository.split_once('/')?.0.to_owned())
        });
        if host.is_some() {
            return Ok(host);
        }
    }
    let version = target.version().await?.openshift;
    Ok(version.map(|version| {
        if version.starts_with('3') || version.starts_with("v3") {
            "docker-registry.default.svc:5000".to_owned()
        } else {
            "image-registry.openshift-image-registry.svc:5000".to_owned()
        }
    }))
}

/// The knob of a place: of a build's input, the name within.
fn knob<'a>(knobs: &'a [Knob], place: &ImagePlace) -> Option<&'a Knob> {
    knobs.iter().find(|knob| {
        let rest = knob.pointer.strip_prefix(place.place.as_str());
        knob.object == place.object && matches!(rest, Some("" | "/name"))
    })
}

/// The place in the values from which a knob is set.
fn at_path<'a>(values: &'a mut Value, knob: &Knob) -> Option<&'a mut Value> {
    match &knob.source {
        KnobSource::Value(path) => path
            .iter()
            .try_fold(values, |value, key| value.get_mut(key)),
        KnobSource::ReleaseNamespace => None,
    }
}

/// Takes away what refactoring said of images that come along, are built, or have others in their place.
pub(crate) fn not_worrying(findings: &mut Vec<Finding>, records: &[ImageRecord]) {
    let settled = |record: &&ImageRecord| {
        record.comes_along() || record.to.is_some() || record.decision == "rebuild"
    };
    findings.retain(|finding| {
        let of_object: Vec<&ImageRecord> = match finding.rule.as_str() {
            "image" | "build-config" => records
                .iter()
                .filter(|record| {
                    record.internal
                        && record
                            .uses
                            .iter()
                            .any(|place| place.object == finding.object)
                })
                .collect(),
            "image-trigger" => records
                .iter()
                .filter(|record| {
                    record.follows.iter().any(|follower| {
                        let of = follower.namespace.as_deref().map(|namespace| {
                            format!("tag {} of the namespace {namespace},", follower.name)
                        });
                        follower.object == finding.object
                            && of.is_some_and(|of| finding.message.contains(&of))
                    })
                })
                .collect(),
            "image-stream" => records
                .iter()
                .filter(|record| {
                    record
                        .tags
                        .iter()
                        .any(|tag| tag.stream == finding.object.name)
                })
                .collect(),
            _ => Vec::new(),
        };
        // What a tag of the application imports is there when that has come through, which an import waits for.
        let imported = finding.rule == "image"
            && of_object.is_empty()
            && records.iter().any(|record| {
                !record.internal
                    && !record.tags.is_empty()
                    && record
                        .uses
                        .iter()
                        .any(|place| place.object == finding.object)
            });
        let about_registry = finding.rule == "image-trigger"
            || finding.message.contains("registry of the source's cluster")
            || finding.message.contains("were pushed to its tags");
        !(about_registry && (imported || !of_object.is_empty() && of_object.iter().all(settled)))
    });
}

#[cfg(test)]
mod tests {
    use openshifter_chart::ImageTag;
    use openshifter_objects::ObjectKey;
    use serde_json::json;

    use super::*;

    #[test]
    fn dockerfiles_start_from_what_the_target_has() {
        let old = "172.30.1.1:5000";
        let config = json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "metadata": {"name": "web"},
            "spec": {"strategy": {"dockerStrategy": {}}, "source": {"dockerfile": format!(
                "FROM {old}/openshift/python:3\nFROM {old}/shop/left:1\nFROM {old}/other/base:1\nFROM docker.io/library/redis:7\n")}}});
        let mut objects = [Object::from_value(config).unwrap()];
        let record = |decision: &str, number: usize| ImageRecord {
            decision: decision.to_owned(),
            included: decision == "copy",
            digest: Some("sha256:00".to_owned()),
            to: (decision == "map").then(|| "mirror.example/redis:7".to_owned()),
            tags: vec![ImageTag {
                stream: "base".to_owned(),
                tag: "1".to_owned(),
            }],
            uses: vec![ImagePlace {
                object: ObjectKey::new("build.openshift.io", "BuildConfig", "web"),
                place: format!("/spec/source/dockerfile/{number}"),
            }],
            ..ImageRecord::default()
        };
        let landing = Landing {
            records: vec![record("copy", 2), record("map", 3)],
            host: Some("registry.svc:5000".to_owned()),
            named: None,
        };
        landing.retarget_dockerfiles(&mut objects, "shop", "live");
        landing.set_objects(&mut objects, &[], "live");
        insta::assert_snapshot!(objects[0].value()["spec"]["source"]["dockerfile"].as_str().unwrap(), @r"
        FROM registry.svc:5000/openshift/python:3
        FROM registry.svc:5000/live/left:1
        FROM registry.svc:5000/live/base@sha256:00
        FROM mirror.example/redis:7
        ");
    }
}
