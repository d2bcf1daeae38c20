//! Image triggers of workloads.
//!
//! A DeploymentConfig says which image it was last rolled out for, and the server writes the source's
//! namespace into the trigger. Deployments and others have triggers in an annotation, as JSON. With a
//! trigger whose tag is not at the target, a DeploymentConfig never rolls out.

use openshifter_objects::{Object, ObjectKey, escape, places};
use serde_json::Value;

use crate::draft::{Context, Draft};
use crate::report::Severity;

use super::Rule;

pub(super) const RULE: Rule = Rule {
    id: "image-trigger",
    reason: "it tells which image of the source was rolled out last",
    apply,
};

const TRIGGERS: &str = "image.openshift.io/triggers";

fn apply(draft: &mut Draft<'_>, context: &Context<'_>) {
    if draft.object().is("apps.openshift.io", "DeploymentConfig") {
        for at in draft.places("/spec/triggers/*/imageChangeParams/lastTriggeredImage") {
            draft.remove(&at);
        }
        for (at, from) in places(
            &draft.value().clone(),
            "/spec/triggers/*/imageChangeParams/from",
        ) {
            tell_missing_tag(draft, context, &at, from);
        }
    }
    annotation(draft, context);
}

/// The namespace within the annotation: without one, the object's own is meant.
fn annotation(draft: &mut Draft<'_>, context: &Context<'_>) {
    let Some(mut triggers) = parse(draft.object()) else {
        return;
    };
    let mut changed = false;
    for trigger in &mut triggers {
        tell_missing_tag(
            draft,
            context,
            TRIGGERS,
            trigger.get("from").unwrap_or(&Value::Null),
        );
        if let Some(map) = trigger.as_object_mut() {
            changed |= map.remove("lastTriggeredImage").is_some();
        }
        if let Some(from) = trigger.get_mut("from").and_then(Value::as_object_mut)
            && from
                .get("namespace")
                .is_some_and(|namespace| context.is_namespace(namespace))
        {
            from.remove("namespace");
            changed = true;
        }
    }
    if changed {
        draft.set_because(
            &format!("/metadata/annotations/{}", escape(TRIGGERS)),
            Value::Array(triggers).to_string().into(),
            "the trigger names the source's namespace; without one it means its own",
        );
    }
}

fn parse(object: &Object) -> Option<Vec<Value>> {
    match serde_json::from_str(object.annotation(TRIGGERS)?) {
        Ok(Value::Array(triggers)) => Some(triggers),
        _ => None,
    }
}

/// An image stream of the application comes along, but its images only with a build or a copy.
fn tell_missing_tag(draft: &mut Draft<'_>, context: &Context<'_>, _at: &str, from: &Value) {
    let text = |field: &str| from.get(field).and_then(Value::as_str);
    let (Some("ImageStreamTag"), Some(tag)) = (text("kind"), text("name")) else {
        return;
    };
    let foreign = text("namespace").filter(|namespace| *namespace != context.source.namespace);
    if let Some(namespace) = foreign {
        draft.find(
            Severity::Warning,
            format!("it waits for the image stream tag {tag} of the namespace {namespace}, which has to be at the target"),
        );
        return;
    }
    let stream = tag.split(':').next().unwrap_or_default();
    if !context.has(&ObjectKey::new("image.openshift.io", "ImageStream", stream)) {
        draft.find(
            Severity::Warning,
            format!(
                "it waits for the image stream tag {tag}, which is not part of the application"
            ),
        );
    }
}

/// Names of the containers whose image a trigger sets.
pub(crate) fn triggered_containers(object: &Object) -> Vec<String> {
    let mut names: Vec<String> = places(
        object.value(),
        "/spec/triggers/*/imageChangeParams/containerNames/*",
    )
    .into_iter()
    .filter_map(|(_, name)| name.as_str().map(str::to_owned))
    .collect();
    // As in `spec.template.spec.containers[?(@.name=="web")].image`.
    for trigger in parse(object).unwrap_or_default() {
        let path = trigger
            .get("fieldPath")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if let Some((_, rest)) = path.split_once("@.name==\"")
            && let Some((name, _)) = rest.split_once('"')
        {
            names.push(name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::triggered_containers;
    use crate::rules::testing::{findings, knobs, object, refactored};

    #[test]
    fn a_deployment_config_forgets_its_last_image() {
        let done = refactored([
            json!({"apiVersion": "apps.openshift.io/v1", "kind": "DeploymentConfig", "metadata": {"name": "web", "namespace": "app"},
            "spec": {"triggers": [{"type": "ConfigChange"}, {"type": "ImageChange", "imageChangeParams": {"automatic": true,
                "containerNames": ["web"], "lastTriggeredImage": "x@sha256:00",
                "from": {"kind": "ImageStreamTag", "namespace": "app", "name": "application:1"}}}]}}),
        ]);
        let params = &done.objects[0].object.value()["spec"]["triggers"][1]["imageChangeParams"];
        assert_eq!(params.get("lastTriggeredImage"), None);
        assert_eq!(params["from"]["name"], "application:1");
        assert_eq!(
            knobs(&done),
            [
                "/metadata/namespace",
                "/spec/triggers/1/imageChangeParams/from/namespace"
            ]
        );
        insta::assert_snapshot!(findings(&done, "image-trigger").join("\n"), @"Warning: it waits for the image stream tag application:1, which is not part of the application");
    }

    #[test]
    fn the_annotation_is_read_as_json() {
        let triggers = json!([{"from": {"kind": "ImageStreamTag", "name": "app:1", "namespace": "app"},
            "fieldPath": "spec.template.spec.containers[?(@.name==\"app\")].image"}]);
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "app", "annotations": {"image.openshift.io/triggers": triggers.to_string()}}});
        assert_eq!(triggered_containers(&object(deployment.clone())), ["app"]);
        let done = refactored([deployment]);
        let text = done.objects[0]
            .object
            .annotation("image.openshift.io/triggers")
            .unwrap();
        let after: Value = serde_json::from_str(text).unwrap();
        assert_eq!(
            after[0]["from"],
            json!({"kind": "ImageStreamTag", "name": "app:1"})
        );
    }
}
