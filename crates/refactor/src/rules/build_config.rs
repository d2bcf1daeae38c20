//! State of builds, and images that builds name outright.

use openshifter_objects::{InternalImage, Object, inline_images};
use serde_json::Value;

use crate::draft::{Context, Draft};
use crate::report::Severity;

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "build-config",
    reason: "it tells which image of the source the last build was made from",
    apply,
};

fn apply(draft: &mut Draft<'_>, context: &Context<'_>) {
    if !draft.object().is("build.openshift.io", "BuildConfig") {
        return;
    }
    for at in draft.places("/spec/triggers/*/imageChange/lastTriggeredImageID") {
        draft.remove(&at);
    }
    let name = draft.object().name().to_owned();
    let output = |field: &str| draft.text(&format!("/spec/output/to/{field}"));
    let elsewhere = output("name").filter(|_| output("kind") == Some("DockerImage"));
    if context.choices.copied_builds.contains(&name) {
        let reason =
            "its image is not built at the target; a build would put another one in its place";
        hold(draft, reason, "its image is not built at the target");
    } else if let Some(image) = elsewhere.map(str::to_owned) {
        let reason = "it pushes to a registry that the source's own builds push to";
        hold(
            draft,
            reason,
            &format!("it pushes to {image}, which is the source's as well"),
        );
    }
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
    for inline in inline_images(draft.object()) {
        super::image::tell_internal(draft, InternalImage::parse(&inline.image));
    }
}

/// Keeps a BuildConfig from building by itself: a `ConfigChange` means its first build as soon as it is created, and an
/// image trigger that has not seen its image yet means the same.
fn hold(draft: &mut Draft<'_>, reason: &str, since: &str) {
    let mut held = false;
    for at in draft.places("/spec/triggers/*").into_iter().rev() {
        match draft.text(&format!("{at}/type")) {
            Some("ConfigChange") => held |= draft.remove_because(&at, reason),
            Some("ImageChange") if draft.get(&format!("{at}/imageChange")).is_some() => {
                held |= draft.set_because(&format!("{at}/imageChange/paused"), true.into(), reason);
            }
            // Without more it means the image that the build starts from, and it cannot be paused.
            Some("ImageChange") => held |= draft.remove_because(&at, reason),
            _ => {}
        }
    }
    if held {
        let name = draft.object().name().to_owned();
        draft.find(
            Severity::Info,
            format!("it does not build by itself, since {since}; `oc set triggers bc/{name} --auto` lets it again"),
        );
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

    use crate::Choices;
    use crate::rules::testing::{findings, refactored, with};

    #[test]
    fn what_is_copied_is_not_built_as_well() {
        let config = || {
            json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "metadata": {"name": "web"},
            "spec": {"triggers": [{"type": "ConfigChange"}, {"type": "ImageChange", "imageChange": {"lastTriggeredImageID": "x"}},
                {"type": "ImageChange"}, {"type": "Generic", "generic": {"secret": "geheim"}}]}})
        };
        let choices = Choices {
            copied_builds: ["web".to_owned()].into(),
            ..Choices::default()
        };
        let done = with([config()], &choices);
        assert_eq!(
            done.objects[0].object.value()["spec"]["triggers"],
            json!([{"type": "ImageChange", "imageChange": {"paused": true}}, {"type": "Generic", "generic": {"secret": "geheim"}}])
        );
        // The knobs know the places that are left.
        assert_eq!(done.values, json!({"webhooks": {"web": {"1": "geheim"}}}));
        assert_eq!(findings(&done, "build-config").len(), 1);
        let free = refactored([config()]);
        assert_eq!(
            free.objects[0].object.value()["spec"]["triggers"][0],
            json!({"type": "ConfigChange"})
        );
    }

    #[test]
    fn what_pushes_to_a_registry_of_others_does_not_build_at_once() {
        let done = refactored([
            json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "metadata": {"name": "web"},
            "spec": {"triggers": [{"type": "ConfigChange"}, {"type": "Generic"}],
                "output": {"to": {"kind": "DockerImage", "name": "quay.io/me/web:1"}}}}),
        ]);
        assert_eq!(
            done.objects[0].object.value()["spec"]["triggers"],
            json!([{"type": "Generic"}])
        );
        insta::assert_snapshot!(findings(&done, "build-config").join("\n"), @"Info: it does not build by itself, since it pushes to quay.io/me/web:1, which is the source's as well; `oc set triggers bc/web --auto` lets it again");
    }

    #[test]
    fn a_dockerfile_that_starts_from_an_image_of_the_source_is_told() {
        let done = refactored([
            json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "metadata": {"name": "web"},
            "spec": {"source": {"dockerfile": "FROM quay.io/go:1 AS build\nFROM 172.30.1.1:5000/shop/base:1\n"},
                "strategy": {"dockerStrategy": {}}}}),
        ]);
        insta::assert_snapshot!(findings(&done, "build-config").join("\n"), @"Warning: the image 172.30.1.1:5000/shop/base:1 is in the registry of the source's cluster; it has to be built or pushed at the target");
    }

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
