//! What a helper pod may be made of: images that are known to have been at hand where the claim is.

use openshifter_chart::VolumeHelper;
use openshifter_objects::Object;

/// Images that a helper pod for this claim may be made of: the one asked for, then those of the workloads that mount
/// the claim, then what it was read with when its chart was made, then those of all other workloads.
pub(crate) fn candidates(
    claim: &str,
    objects: &[Object],
    asked: Option<&str>,
    remembered: Option<&VolumeHelper>,
) -> Vec<VolumeHelper> {
    let mut found: Vec<VolumeHelper> = Vec::new();
    let mut add = |candidate: VolumeHelper| {
        if !candidate.image.trim().is_empty()
            && !found.iter().any(|known| known.image == candidate.image)
        {
            found.push(candidate);
        }
    };
    if let Some(image) = asked {
        add(VolumeHelper {
            image: image.to_owned(),
            ..VolumeHelper::default()
        });
    }
    let (near, far): (Vec<&Object>, Vec<&Object>) = objects
        .iter()
        .filter(|object| object.pod_spec().is_some())
        .partition(|object| {
            openshifter_objects::claims_of(object, objects)
                .iter()
                .any(|name| name == claim)
        });
    near.into_iter().flat_map(of_workload).for_each(&mut add);
    remembered.cloned().into_iter().for_each(&mut add);
    far.into_iter().flat_map(of_workload).for_each(&mut add);
    found
}

fn of_workload(object: &Object) -> Vec<VolumeHelper> {
    object
        .pod_spec()
        .and_then(|spec| spec["containers"].as_array())
        .into_iter()
        .flatten()
        .filter_map(|container| of_container(object, container["name"].as_str()?))
        .collect()
}

/// What a pod like that of a container would be made of.
pub(super) fn of_container(object: &Object, name: &str) -> Option<VolumeHelper> {
    let spec = object.pod_spec()?;
    let container = spec["containers"]
        .as_array()?
        .iter()
        .find(|container| container["name"] == name)?;
    let structure =
        |value: Option<&serde_json::Value>| value.filter(|value| !value.is_null()).cloned();
    Some(VolumeHelper {
        image: container["image"].as_str().unwrap_or_default().to_owned(),
        pull_secrets: structure(spec.get("imagePullSecrets")),
        pod_security: structure(
            spec.get("securityContext")
                .filter(|context| context.is_object()),
        ),
        container_security: structure(container.get("securityContext")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_image_that_was_asked_for_comes_first() {
        let deployment = Object::from_value(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "db"},
            "spec": {"template": {"spec": {
                "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}],
                "containers": [{"name": "db", "image": "db:1"}],
            }}},
        }))
        .unwrap();
        let other = Object::from_value(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "aaa"},
            "spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:1"}]}}},
        }))
        .unwrap();
        let remembered = VolumeHelper {
            image: "kept:1".to_owned(),
            ..VolumeHelper::default()
        };
        let images: Vec<String> = candidates(
            "data",
            &[other, deployment],
            Some("tools:1"),
            Some(&remembered),
        )
        .into_iter()
        .map(|candidate| candidate.image)
        .collect();
        assert_eq!(images, ["tools:1", "db:1", "kept:1", "web:1"]);
    }
}
