//! Images of containers.
//!
//! Each is a knob. An image in the registry built into the source's cluster is not at the target until it
//! is built or copied there; [`crate::retarget`] makes its reference point at the target's namespace.

use openshifter_objects::InternalImage;

use crate::draft::{Context, Draft};
use crate::report::Severity;

use super::{Rule, triggered_containers};

pub(super) const RULE: Rule = Rule {
    id: "image",
    reason: "the target may have the image elsewhere",
    apply,
};

fn apply(draft: &mut Draft<'_>, context: &Context<'_>) {
    let Some(pod) = draft.object().pod_spec_pointer() else {
        return;
    };
    let (kind, name) = (
        draft.object().kind().to_owned(),
        draft.object().name().to_owned(),
    );
    let triggered = triggered_containers(draft.object());
    for containers in ["initContainers", "containers"] {
        for at in draft.places(&format!("{pod}/{containers}/*")) {
            let container = draft.text(&format!("{at}/name")).map(str::to_owned);
            let image = draft.text(&format!("{at}/image")).map(str::to_owned);
            // A DeploymentConfig may say a blank, to be filled by its trigger.
            if let (Some(container), Some(image)) =
                (container, image.filter(|image| !image.trim().is_empty()))
            {
                let internal = InternalImage::parse(&image);
                if !triggered.contains(&container)
                    && !internal
                        .as_ref()
                        .is_some_and(|image| context.is_built(image))
                {
                    tell_internal(draft, internal);
                }
                draft.knob(
                    &format!("{at}/image"),
                    &["images", &kind, &name, &container],
                );
            }
        }
    }
}

pub(super) fn tell_internal(draft: &mut Draft<'_>, image: Option<InternalImage>) {
    if let Some(image) = image {
        draft.find(
            Severity::Warning,
            format!("the image {image} is in the registry of the source's cluster; it has to be built or pushed at the target"),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::{findings, refactored};

    #[test]
    fn images_are_values_and_those_of_the_source_are_told() {
        let done = refactored([
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"},
            "spec": {"template": {"spec": {"initContainers": [{"name": "init", "image": "quay.io/app/app:1"}], "containers": [
                {"name": "application", "image": "docker-registry.default.svc:5000/app/application@sha256:00"}, {"name": "blank", "image": " "}]}}}}),
        ]);
        assert_eq!(
            done.values["images"],
            json!({"Deployment": {"app": {"init": "quay.io/app/app:1",
                "application": "docker-registry.default.svc:5000/app/application@sha256:00"}}})
        );
        insta::assert_snapshot!(findings(&done, "image").join("\n"), @"Warning: the image docker-registry.default.svc:5000/app/application@sha256:00 is in the registry of the source's cluster; it has to be built or pushed at the target");
    }

    #[test]
    fn what_the_target_builds_is_no_worry() {
        let done = refactored([
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
                "spec": {"template": {"spec": {"containers": [{"name": "web", "image": "172.30.1.1:5000/app/web:1"}]}}}}),
            json!({"apiVersion": "image.openshift.io/v1", "kind": "ImageStream", "metadata": {"name": "web"}}),
            json!({"apiVersion": "build.openshift.io/v1", "kind": "BuildConfig", "metadata": {"name": "web"},
                "spec": {"output": {"to": {"kind": "ImageStreamTag", "name": "web:1"}}}}),
        ]);
        assert_eq!(findings(&done, "image"), Vec::<String>::new());
    }
}
