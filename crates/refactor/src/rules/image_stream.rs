//! Tags of image streams that lead to images of the source only.
//!
//! Status, which holds the images that were pushed, is dropped by the server on create. A tag in the spec
//! that names an image in the source's own registry, or by digest in the stream itself, cannot be imported
//! at the target. Other tags are imported there.

use openshifter_objects::InternalImage;
use serde_json::Value;

use crate::draft::{Context, Draft};
use crate::report::Severity;

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "image-stream",
    reason: "the image is in the registry of the source's cluster",
    apply,
};

fn apply(draft: &mut Draft<'_>, _: &Context<'_>) {
    if !draft.object().is("image.openshift.io", "ImageStream") {
        return;
    }
    for at in draft.places("/spec/tags/*/generation") {
        draft.remove_because(&at, "it counts imports of the source's cluster");
    }
    let internal = draft
        .text("/spec/dockerImageRepository")
        .and_then(InternalImage::parse);
    if internal.is_some() {
        draft.remove("/spec/dockerImageRepository");
    }
    for at in draft.places("/spec/tags/*").into_iter().rev() {
        let from = draft.get(&format!("{at}/from"));
        let text = |field: &str| {
            from.and_then(|from| from.get(field))
                .and_then(Value::as_str)
        };
        let name = text("name").unwrap_or_default();
        let lost = match text("kind") {
            Some("DockerImage") => InternalImage::parse(name).is_some(),
            Some("ImageStreamImage") => true,
            _ => false,
        };
        if lost {
            draft.remove(&at);
        }
    }
    draft.drop_if_empty("/spec/tags");
    let pushed: Vec<&str> = draft
        .original()
        .value()
        .pointer("/status/tags")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|tag| tag.get("tag").and_then(Value::as_str))
        .filter(|tag| !names_tag(draft.value(), tag))
        .collect();
    if !pushed.is_empty() {
        draft.find(
            Severity::Warning,
            format!(
                "images were pushed to its tags ({}); at the target these are there when they are built or pushed again",
                pushed.join(", ")
            ),
        );
    }
}

fn names_tag(stream: &Value, tag: &str) -> bool {
    let tags = stream.pointer("/spec/tags").and_then(Value::as_array);
    tags.into_iter().flatten().any(|entry| {
        entry.get("name").and_then(Value::as_str) == Some(tag) && entry.get("from").is_some()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::{findings, refactored};

    #[test]
    fn tags_that_lead_to_the_source_go() {
        let done = refactored([
            json!({"apiVersion": "image.openshift.io/v1", "kind": "ImageStream", "metadata": {"name": "web"},
            "spec": {"tags": [
                {"name": "a", "from": {"kind": "DockerImage", "name": "172.30.1.1:5000/app/web@sha256:00"}},
                {"name": "b", "from": {"kind": "DockerImage", "name": "quay.io/app/web:1"}, "generation": 3},
                {"name": "c", "from": {"kind": "ImageStreamImage", "name": "web@sha256:00"}}]},
            "status": {"tags": [{"tag": "a"}, {"tag": "b"}, {"tag": "latest"}]}}),
        ]);
        assert_eq!(
            done.objects[0].object.value()["spec"],
            json!({"tags": [{"name": "b", "from": {"kind": "DockerImage", "name": "quay.io/app/web:1"}}]})
        );
        insta::assert_snapshot!(findings(&done, "image-stream").join("\n"), @"Warning: images were pushed to its tags (a, latest); at the target these are there when they are built or pushed again");
    }
}
