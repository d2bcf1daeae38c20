//! Storage classes and sizes of claims, and of the claims that a StatefulSet makes.
//!
//! A class of the source need not exist at the target: the claim would wait for ever. A class that nobody
//! asked for is the source's default, filled in by the server, and goes: the target fills in its own. One
//! that somebody asked for, or that may have been, is kept unless another is chosen. Both are knobs. The empty class asks for a volume that an administrator made by
//! hand; there is none at the target, so it becomes the default class.

use serde_json::Value;

use crate::draft::{Context, Draft};
use crate::quantity;
use crate::report::Severity;

use super::Rule;
use super::claim_binding::OLD_CLASS;

pub(super) const RULE: Rule = Rule {
    id: "storage-class",
    reason: "another storage class was chosen for the target",
    apply,
};

const HAND_MADE: &str = "it asks for a volume that the source's administrator made by hand; the target's default class provides one";

fn apply(draft: &mut Draft<'_>, context: &Context<'_>) {
    if draft.object().is("", "PersistentVolumeClaim") {
        let name = draft.object().name().to_owned();
        modern_class(draft, "");
        // A class that was chosen by its name is chosen, whoever named it at the source.
        if context
            .choices
            .storage_class(draft.text("/spec/storageClassName"))
            .is_none()
        {
            default_class(draft);
        }
        choose(draft, context, "");
        capacity(draft);
        knobs(draft, "", &["claims", &name]);
    }
    if draft.object().is("apps", "StatefulSet") {
        let name = draft.object().name().to_owned();
        for at in draft.places("/spec/volumeClaimTemplates/*") {
            modern_class(draft, &at);
            choose(draft, context, &at);
            if let Some(template) = draft
                .text(&format!("{at}/metadata/name"))
                .map(str::to_owned)
            {
                knobs(
                    draft,
                    &at,
                    &["statefulSets", &name, "volumeClaimTemplates", &template],
                );
            }
        }
    }
}

/// Moves the class from the annotation, where it was before Kubernetes 1.6, into its field.
fn modern_class(draft: &mut Draft<'_>, base: &str) {
    let annotation = format!(
        "{base}/metadata/annotations/{}",
        openshifter_objects::escape(OLD_CLASS)
    );
    let Some(class) = draft.get(&annotation).cloned() else {
        return;
    };
    const MOVED: &str = "the class is named in `spec.storageClassName` since Kubernetes 1.6";
    draft.remove_because(&annotation, MOVED);
    draft.drop_if_empty(&format!("{base}/metadata/annotations"));
    let field = format!("{base}/spec/storageClassName");
    if draft.get(&field).is_none() {
        draft.set_because(&field, class, MOVED);
    }
}

/// Removes a class that the source's server filled in.
fn default_class(draft: &mut Draft<'_>) {
    const FIELD: &str = "/spec/storageClassName";
    let asked = draft.asked_for(
        |applied| {
            applied.pointer(FIELD).is_some()
                || applied
                    .pointer("/metadata/annotations")
                    .is_some_and(|map| map.get(OLD_CLASS).is_some())
        },
        |managed| {
            managed.pointer("/f:spec/f:storageClassName").is_some()
                || managed
                    .pointer("/f:metadata/f:annotations")
                    .is_some_and(|map| map.get(format!("f:{OLD_CLASS}")).is_some())
        },
    );
    if draft.shows_who_asked() && !asked {
        draft.remove_because(
            FIELD,
            "nobody asked for the class: it is the source's default, and the target has its own",
        );
    }
}

fn choose(draft: &mut Draft<'_>, context: &Context<'_>, base: &str) {
    let field = format!("{base}/spec/storageClassName");
    match context.choices.storage_class(draft.text(&field)) {
        Some("") => {
            draft.remove(&field);
        }
        Some(class) => {
            draft.set(&field, class.into());
        }
        None => {}
    }
    if draft.text(&field) == Some("") {
        draft.remove_because(&field, HAND_MADE);
    }
}

/// The volume behind a claim may be larger than the claim, and so may be what is in it.
fn capacity(draft: &mut Draft<'_>) {
    let text =
        |value: &Value, at: &str| value.pointer(at).and_then(Value::as_str).map(str::to_owned);
    let asked = text(draft.value(), "/spec/resources/requests/storage");
    let there = text(draft.original().value(), "/status/capacity/storage");
    if let (Some(asked), Some(there)) = (asked, there)
        && let (Some(asked_bytes), Some(bytes)) = (quantity::nano(&asked), quantity::nano(&there))
        && bytes > asked_bytes
    {
        draft.find(
            Severity::Info,
            format!("the claim asks for {asked}, its volume has {there}; if it holds more than {asked}, set its size"),
        );
    }
}

fn knobs(draft: &mut Draft<'_>, base: &str, path: &[&str]) {
    let with = |key: &'static str| path.iter().copied().chain([key]).collect::<Vec<_>>();
    draft.optional_knob(
        &format!("{base}/spec/storageClassName"),
        &with("storageClassName"),
    );
    draft.knob(
        &format!("{base}/spec/resources/requests/storage"),
        &with("size"),
    );
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::Choices;
    use crate::rules::testing::{findings, refactored, with};

    fn claim(name: &str, class: Option<&str>) -> Value {
        let mut value = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
            "spec": {"resources": {"requests": {"storage": "1Gi"}}}, "status": {"capacity": {"storage": "100Gi"}}});
        if let Some(class) = class {
            value["spec"]["storageClassName"] = class.into();
        }
        value
    }

    #[test]
    fn classes_are_kept_unless_one_is_chosen() {
        let mut choices = Choices::default();
        let classes = |choices: &Choices| {
            let objects = [
                claim("a", Some("fast")),
                claim("b", Some("slow")),
                claim("c", None),
                claim("d", Some("")),
            ];
            with(objects, choices).values["claims"]
                .as_object()
                .unwrap()
                .values()
                .map(|claim| claim["storageClassName"].as_str().unwrap_or("-").to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(classes(&choices), ["fast", "slow", "-", "-"]);
        choices.storage_classes.insert("fast".into(), "gp3".into());
        assert_eq!(classes(&choices), ["gp3", "slow", "-", "-"]);
        choices
            .storage_classes
            .insert("*".into(), "standard".into());
        assert_eq!(
            classes(&choices),
            ["gp3", "standard", "standard", "standard"]
        );
        choices.storage_classes.insert("slow".into(), String::new());
        assert_eq!(classes(&choices), ["gp3", "-", "standard", "standard"]);
    }

    #[test]
    fn the_default_class_is_the_target_s_matter() {
        let class = |metadata: Value| {
            let mut value = claim("a", Some("standard"));
            value["metadata"] = metadata;
            refactored([value]).values["claims"]["a"]["storageClassName"].take()
        };
        let manager =
            |fields: Value| json!([{"manager": "kubectl", "fieldsV1": {"f:spec": fields}}]);
        let defaulted = manager(json!({"f:accessModes": {}}));
        let asked = manager(json!({"f:accessModes": {}, "f:storageClassName": {}}));
        assert_eq!(
            class(json!({"name": "a", "uid": "1", "managedFields": defaulted})),
            json!(null)
        );
        assert_eq!(
            class(json!({"name": "a", "uid": "1", "managedFields": asked})),
            "standard"
        );
        let choices = Choices {
            storage_classes: [("standard".to_owned(), "gp3".to_owned())].into(),
            ..Choices::default()
        };
        let mut value = claim("a", Some("standard"));
        value["metadata"] = json!({"name": "a", "uid": "1", "managedFields": manager(json!({"f:accessModes": {}}))});
        assert_eq!(
            with([value], &choices).values["claims"]["a"]["storageClassName"],
            "gp3"
        );
        // Nothing tells who asked.
        assert_eq!(class(json!({"name": "a", "uid": "1"})), "standard");
        assert_eq!(class(json!({"name": "a"})), "standard");
    }

    #[test]
    fn a_volume_larger_than_its_claim_is_told() {
        let done = refactored([claim("a", None)]);
        assert_eq!(
            findings(&done, "storage-class"),
            [
                "Info: the claim asks for 1Gi, its volume has 100Gi; if it holds more than 1Gi, set its size"
            ]
        );
    }

    #[test]
    fn the_annotation_of_old_becomes_the_field() {
        let done = refactored([
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "a",
            "annotations": {"volume.beta.kubernetes.io/storage-class": "gluster"}}, "spec": {}}),
        ]);
        assert_eq!(
            done.objects[0].object.value()["spec"]["storageClassName"],
            "gluster"
        );
        assert_eq!(
            done.objects[0].object.value()["metadata"],
            json!({"name": "a"})
        );
    }

    #[test]
    fn claims_of_a_stateful_set_have_knobs_too() {
        let done = refactored([
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"},
            "spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": "fast",
                "resources": {"requests": {"storage": "2Gi"}}}}]}}),
        ]);
        assert_eq!(
            done.values["statefulSets"]["db"]["volumeClaimTemplates"]["data"],
            json!({"storageClassName": "fast", "size": "2Gi"})
        );
    }
}
