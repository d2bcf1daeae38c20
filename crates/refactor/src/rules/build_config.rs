//! State of builds, and images that builds name outright.

use openshifter_objects::{InternalImage, Object};
use serde_json::Value;

use crate::draft::{Context, Draft};

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "build-config",
    reason: "it tells which image of the source the last build was made from",
    apply,
};

fn apply(draft: &mut Draft<'_>, _: &Context<'_>) {
    if !draft.object().is("build.openshift.io", "BuildConfig") {
        return;
    }
    for at in draft.places("/spec/triggers/*/imageChange/lastTriggeredImageID") {
        draft.remove(&at);
    }
    let name = draft.object().name().to_owned();
    // Whoever knows the secret of a webhook may start builds.
    for at in draft.places("/spec/triggers/*/*/secret") {
        if let Some(index) = at
            .split('/')
            .nth(3)
            .filter(|_| draft.text(&at).is_some())
            .map(str::to_owned)
        {
            draft.knob(&at, &["webhooks", &name, &index]);
        }
    }
    let mut from = draft.places("/spec/strategy/*/from");
    from.truncate(1);
    for (at, key) in from
        .into_iter()
        .map(|at| (at, "from"))
        .chain([("/spec/output/to".to_owned(), "to")])
    {
        if draft.text(&format!("{at}/kind")) != Some("DockerImage") {
            continue;
        }
        let image = format!("{at}/name");
        if draft.get(&image).is_some_and(Value::is_string) {
            super::image::tell_internal(draft, draft.text(&image).and_then(InternalImage::parse));
            draft.knob(&image, &["images", "BuildConfig", &name, key]);
        }
    }
}

/// The image stream that a BuildConfig pushes to.
pub(crate) fn built_stream(object: &Object) -> Option<&str> {
    let to = object
        .value()
        .pointer("/spec/output/to")
        .filter(|_| object.is("build.openshift.io", "BuildConfig"))?;
    let tag = to.get("name")?.as_str()?;
    (to.get("kind")?.as_str()? == "ImageStreamTag").then(|| tag.split(':').next().unwrap_or(tag))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::{findings, refactored};

    #[test]
    fn secrets_of_webhooks_are_values() {
        let done = refactored([
            json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "metadata": {"name": "web"},
            "spec": {"triggers": [{"type": "ConfigChange"}, {"type": "Generic", "generic": {"secret": "geheim"}}]}}),
        ]);
        assert_eq!(done.values, json!({"webhooks": {"web": {"1": "geheim"}}}));
    }

    #[test]
    fn the_last_image_goes_and_images_have_knobs() {
        let done = refactored([
            json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "metadata": {"name": "web"},
            "spec": {"triggers": [{"type": "ImageChange", "imageChange": {"lastTriggeredImageID": "x"}}],
                "strategy": {"sourceStrategy": {"from": {"kind": "DockerImage", "name": "172.30.1.1:5000/openshift/python:3"}}},
                "output": {"to": {"kind": "ImageStreamTag", "name": "web:latest"}}},
            "status": {"lastVersion": 7}}),
        ]);
        let value = done.objects[0].object.value();
        assert_eq!(value["spec"]["triggers"][0]["imageChange"], json!({}));
        assert_eq!(value.get("status"), None);
        assert_eq!(
            done.values,
            json!({"images": {"BuildConfig": {"web": {"from": "172.30.1.1:5000/openshift/python:3"}}}})
        );
        assert_eq!(findings(&done, "build-config").len(), 1);
    }
}
