//! Roll-outs that somebody holds back: image triggers that are not automatic.
//!
//! A server forgets what a trigger has taken when it creates a DeploymentConfig, and the first roll-out takes what the tag
//! leads to then. Where the source runs an earlier image, the target would run another.

use openshifter_objects::{Object, places};

use super::image_of;

/// A tag whose image is not what its DeploymentConfig runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeldBack {
    /// `web:latest`.
    pub(super) tag: String,
    /// What there is to say.
    pub(super) text: String,
}

/// The roll-outs that are held back in a project, from its raw objects.
pub(super) fn held_back(objects: &[Object], namespace: &str) -> Vec<HeldBack> {
    let mut found = Vec::new();
    for config in objects
        .iter()
        .filter(|object| object.is("apps.openshift.io", "DeploymentConfig"))
    {
        for (_, params) in places(config.value(), "/spec/triggers/*/imageChangeParams") {
            let text = |name: &str| params[name].as_str().unwrap_or_default();
            let (from, last) = (&params["from"], text("lastTriggeredImage"));
            let own = from["namespace"]
                .as_str()
                .is_none_or(|other| other == namespace);
            let (true, Some(tag), Some((_, runs))) =
                (own, from["name"].as_str(), last.split_once('@'))
            else {
                continue;
            };
            if params["automatic"] == true || from["kind"] != "ImageStreamTag" {
                continue;
            }
            let (stream, name) = tag.split_once(':').unwrap_or((tag, "latest"));
            let now = objects
                .iter()
                .find(|object| {
                    object.is("image.openshift.io", "ImageStream") && object.name() == stream
                })
                .and_then(|stream| image_of(stream, name));
            if let Some(now) = now
                && now != runs
            {
                found.push(HeldBack {
                    tag: tag.to_owned(),
                    text: format!(
                        "{} runs an earlier image than {tag}, since its trigger is not automatic; at the target it begins with what the tag leads to: roll it out at the source before (`oc rollout latest dc/{}`), or let the tag lead to what runs",
                        config.key(),
                        config.name()
                    ),
                });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_trigger_that_waits_for_somebody_holds_back() {
        let at = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let object = |value| Object::from_value(value).unwrap();
        let config = |automatic: bool, runs: &str| {
            object(
                json!({"apiVersion": "apps.openshift.io/v1", "kind": "DeploymentConfig",
                "metadata": {"name": "web", "namespace": "shop"},
                "spec": {"triggers": [{"type": "ConfigChange"}, {"type": "ImageChange", "imageChangeParams": {
                    "automatic": automatic, "containerNames": ["web"],
                    "from": {"kind": "ImageStreamTag", "name": "web:latest", "namespace": "shop"},
                    "lastTriggeredImage": format!("registry/shop/web@{}", at(runs))}}]}}),
            )
        };
        let stream = object(
            json!({"apiVersion": "image.openshift.io/v1", "kind": "ImageStream",
            "metadata": {"name": "web", "namespace": "shop"},
            "status": {"tags": [{"tag": "latest", "items": [{"image": at("2")}, {"image": at("1")}]}]}}),
        );
        let held = |automatic, runs| held_back(&[config(automatic, runs), stream.clone()], "shop");
        assert_eq!(held(true, "1"), []);
        assert_eq!(held(false, "2"), []);
        let [one] = &held(false, "1")[..] else {
            panic!("there is one");
        };
        assert_eq!(one.tag, "web:latest");
        assert!(
            one.text.contains("oc rollout latest dc/web"),
            "{}",
            one.text
        );
    }
}
