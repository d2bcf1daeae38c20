//! Where objects name images.

use openshifter_objects::{Object, escape, inline_images, places};
use serde_json::Value;

use super::{Use, UseKind};

/// An image as an object names it.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) used: Use,
    pub(super) from: From,
}

/// What the name means.
#[derive(Debug, Clone)]
pub(super) enum From {
    /// `stream:tag` of an ImageStream.
    Tag { namespace: String, name: String },
    /// `stream@digest` of an ImageStream.
    StreamImage { namespace: String, name: String },
    /// A reference to a registry, written in this namespace.
    Reference { namespace: String, text: String },
}

/// All places of all objects that name an image.
pub(super) fn written(objects: &[Object]) -> Vec<Written> {
    let mut all = Vec::new();
    for object in objects {
        let mut walk = Walk {
            object,
            namespace: object.namespace().unwrap_or_default(),
            all: &mut all,
        };
        match (object.group(), object.kind()) {
            ("image.openshift.io", "ImageStream") => walk.stream(),
            ("image.openshift.io", _) => {}
            ("build.openshift.io", "BuildConfig") => walk.build_config(),
            // Builds that were: their BuildConfig says what the next one takes.
            ("build.openshift.io", _) => {}
            _ if made_by_another(object) => {}
            _ => walk.workload(),
        }
    }
    all
}

/// Whether a controller, a build or a deployment made this object: then another one tells what runs.
fn made_by_another(object: &Object) -> bool {
    object.owners().iter().any(|owner| owner.controller)
        || ["openshift.io/build.name", "openshift.io/deployment.name"]
            .iter()
            .any(|name| object.kind() == "Pod" && object.annotation(name).is_some())
        || (object.kind() == "Pod"
            && matches!(
                object
                    .value()
                    .pointer("/status/phase")
                    .and_then(Value::as_str),
                Some("Succeeded" | "Failed")
            ))
}

struct Walk<'a> {
    object: &'a Object,
    namespace: &'a str,
    all: &'a mut Vec<Written>,
}

impl Walk<'_> {
    fn push(&mut self, place: String, kind: UseKind, text: &str, from: From) {
        let namespace = match &from {
            From::Tag { namespace, .. } | From::StreamImage { namespace, .. } => {
                Some(namespace.clone())
            }
            From::Reference { .. } => None,
        };
        self.all.push(Written {
            used: Use {
                object: self.object.key(),
                place,
                kind,
                text: text.to_owned(),
                namespace,
            },
            from,
        });
    }

    fn workload(&mut self) {
        // Other kinds (of Knative, of Argo) have pod templates at the usual place.
        let pod = self
            .object
            .pod_spec_pointer()
            .unwrap_or("/spec/template/spec");
        let value = self.object.value();
        for pattern in [
            "initContainers/*/image",
            "containers/*/image",
            "ephemeralContainers/*/image",
            "volumes/*/image/reference",
        ] {
            for (place, image) in places(value, &format!("{pod}/{pattern}")) {
                // A DeploymentConfig may say a blank, to be filled by its trigger.
                if let Some(text) = image.as_str().filter(|text| !text.trim().is_empty()) {
                    let from = From::Reference {
                        namespace: self.namespace.to_owned(),
                        text: text.to_owned(),
                    };
                    self.push(place, UseKind::Container, text, from);
                }
            }
        }
        if self.object.is("apps.openshift.io", "DeploymentConfig") {
            for (place, from) in places(value, "/spec/triggers/*/imageChangeParams/from") {
                self.from(&place, from, UseKind::Trigger);
            }
        }
        let annotation = "image.openshift.io/triggers";
        if let Some(Value::Array(triggers)) = self
            .object
            .annotation(annotation)
            .and_then(|text| serde_json::from_str(text).ok())
        {
            let place = format!("/metadata/annotations/{}", escape(annotation));
            for trigger in &triggers {
                self.from(&place, &trigger["from"], UseKind::Trigger);
            }
        }
    }

    fn build_config(&mut self) {
        let value = self.object.value();
        for pattern in [
            "/spec/strategy/*/from",
            "/spec/source/images/*/from",
            "/spec/triggers/*/imageChange/from",
        ] {
            for (place, from) in places(value, pattern) {
                self.from(&place, from, UseKind::BuildInput);
            }
        }
        for inline in inline_images(self.object) {
            // No ImageStream of the project is meant by a plain name here.
            let from = From::Reference {
                namespace: String::new(),
                text: inline.image.clone(),
            };
            self.push(inline.place, UseKind::BuildInput, &inline.image, from);
        }
    }

    fn stream(&mut self) {
        let value = self.object.value();
        let mut seen: Vec<&str> = Vec::new();
        for pattern in ["/status/tags/*/tag", "/spec/tags/*/name"] {
            for (place, tag) in places(value, pattern) {
                let Some(tag) = tag.as_str() else { continue };
                let imported = places(value, "/status/tags/*")
                    .into_iter()
                    .any(|(_, entry)| {
                        entry["tag"] == tag
                            && entry["items"]
                                .as_array()
                                .is_some_and(|items| !items.is_empty())
                    });
                let named = places(value, "/spec/tags/*")
                    .into_iter()
                    .any(|(_, entry)| entry["name"] == tag && entry["from"].is_object());
                // A tag whose import failed, or that was removed, leads nowhere.
                if seen.contains(&tag) || !(imported || named) {
                    continue;
                }
                seen.push(tag);
                let text = format!("{}:{tag}", self.object.name());
                let from = From::Tag {
                    namespace: self.namespace.to_owned(),
                    name: text.clone(),
                };
                self.push(place, UseKind::Tag, &text, from);
            }
        }
    }

    /// A reference to an object or an image, as builds and triggers hold it.
    fn from(&mut self, place: &str, from: &Value, kind: UseKind) {
        let text = |field: &str| from.get(field).and_then(Value::as_str).unwrap_or_default();
        let name = text("name");
        if name.is_empty() {
            return;
        }
        let namespace = match text("namespace") {
            "" => self.namespace,
            other => other,
        }
        .to_owned();
        let meant = match text("kind") {
            "ImageStreamTag" => From::Tag {
                namespace,
                name: name.to_owned(),
            },
            "ImageStreamImage" => From::StreamImage {
                namespace,
                name: name.to_owned(),
            },
            "DockerImage" => From::Reference {
                namespace,
                text: name.to_owned(),
            },
            _ => return,
        };
        self.push(place.to_owned(), kind, name, meant);
    }
}
