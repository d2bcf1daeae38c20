//! Volumes of workloads: put in, moved, taken out and listed, as `oc set volume` does.

mod add;
mod list;
mod remove;

use openshifter_objects::Object;
use serde_json::{Map, Value};

use crate::{DeployError, Project, Target, TargetKind};

pub use add::{VolumeOptions, VolumeSource};
pub use list::{VolumeMount, VolumeRow};
pub use remove::RemoveVolume;

/// What was done to a workload's volumes, or would be.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeChange {
    /// The volumes that it is about.
    pub names: Vec<String>,
    /// What a person should know about it.
    pub notes: Vec<String>,
    /// The workload afterwards.
    pub object: Value,
}

/// Kinds that have pods of a template that may be changed.
const TEMPLATES: &[TargetKind] = &[
    TargetKind::Deployment,
    TargetKind::DeploymentConfig,
    TargetKind::StatefulSet,
    TargetKind::DaemonSet,
    TargetKind::ReplicationController,
];

/// Lists of containers in a pod, those that run all the time first.
const CONTAINERS: [&str; 2] = ["containers", "initContainers"];

/// Lists by which a container refers to volumes.
const MOUNTS: [&str; 2] = ["volumeMounts", "volumeDevices"];

/// What an edit did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Edited {
    names: Vec<String>,
    notes: Vec<String>,
}

impl Project {
    /// Edits a workload that was just read. Somebody may have changed it meanwhile: then the edit is done again to what is there.
    async fn edited(
        &self,
        target: &Target,
        mut object: Object,
        edit: impl Fn(&mut Object) -> Result<Edited, DeployError>,
    ) -> Result<VolumeChange, DeployError> {
        let mut attempts = 0;
        loop {
            let edited = edit(&mut object)?;
            match self.cluster.replace(Some(&self.namespace), &object).await {
                Ok(object) => return Ok(edited.into_change(&object)),
                Err(error) if error.is_conflict() && attempts < 5 => {
                    attempts += 1;
                    object = self.get(target).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Edited {
    fn into_change(self, object: &Object) -> VolumeChange {
        VolumeChange {
            names: self.names,
            notes: self.notes,
            object: object.value().clone(),
        }
    }
}

fn bad(target: &Target, reason: impl Into<String>) -> DeployError {
    DeployError::BadTarget {
        text: target.to_string(),
        reason: reason.into(),
    }
}

/// The pods of a workload, to edit.
fn pod<'a>(
    object: &'a mut Object,
    target: &Target,
) -> Result<&'a mut Map<String, Value>, DeployError> {
    object
        .pod_spec_mut()
        .and_then(Value::as_object_mut)
        .ok_or_else(|| bad(target, "has no pods"))
}

/// A list of an object, made if need be.
fn list<'a>(object: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Vec<Value>> {
    let value = object
        .entry(name)
        .or_insert_with(|| Value::Array(Vec::new()));
    if value.is_null() {
        *value = Value::Array(Vec::new());
    }
    value.as_array_mut()
}

/// The entries of a list, of which there are none where there is no list.
fn entries<'a>(object: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    object[name].as_array().into_iter().flatten()
}

/// Whether a name is meant: `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(name) = name.strip_prefix(start) else {
        return false;
    };
    (0..=name.len())
        .filter(|at| name.is_char_boundary(*at))
        .any(|at| matches(rest, &name[at..]))
}

/// All containers of a pod.
fn containers(pod: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    CONTAINERS
        .iter()
        .filter_map(|list| pod.get(*list)?.as_array())
        .flatten()
}

/// Whether a container is meant by a pattern, or by none.
fn chosen(pattern: Option<&str>, container: &Value) -> bool {
    let name = container["name"].as_str().unwrap_or_default();
    pattern.is_none_or(|pattern| matches(pattern, name))
}

/// Names of the volumes that a container refers to.
fn mounted(container: &Value) -> impl Iterator<Item = &str> {
    MOUNTS
        .iter()
        .flat_map(|list| entries(container, list))
        .filter_map(|mount| mount["name"].as_str())
}

/// Refuses a pattern that is about no container, which is mostly a slip.
fn some_container(
    pod: &Map<String, Value>,
    target: &Target,
    pattern: Option<&str>,
) -> Result<(), DeployError> {
    let known: Vec<&Value> = containers(pod).collect();
    if known.iter().any(|container| chosen(pattern, container)) {
        return Ok(());
    }
    let pattern = pattern.unwrap_or("*");
    let known: Vec<&str> = known
        .iter()
        .filter_map(|container| container["name"].as_str())
        .collect();
    Err(bad(
        target,
        format!("has no container `{pattern}`: it has {}", known.join(", ")),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A pod as a conversion makes it, with a container that looks after the same data.
    pub(super) fn workload(kind: TargetKind, spec: Value) -> (Target, Object) {
        let target = Target::new(kind, "web");
        let mut object = json!({"metadata": {"name": "web"}, "spec": {"template": {"spec": spec}}});
        let kind = target.group_kind();
        object["kind"] = json!(kind.kind);
        object["apiVersion"] = json!(format!("{}/v1", kind.group));
        (target, Object::from_value(object).unwrap())
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, is) in [
            ("*", "web", true),
            ("web", "web", true),
            ("web", "web-1", false),
            ("w*", "web", true),
            ("*-side", "web-side", true),
            ("*-side", "web", false),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abde", false),
        ] {
            assert_eq!(matches(pattern, name), is, "{pattern} {name}");
        }
    }
}
