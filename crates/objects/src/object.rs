//! One object: its JSON, whole, and views on the parts that every kind has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{GroupKind, ObjectKey};

/// Why some JSON is not an object of the Kubernetes API.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The bytes are not JSON.
    #[error("not JSON")]
    Json(#[from] serde_json::Error),
    /// A field that every object has is missing or of another type.
    #[error("not a Kubernetes object: `{0}` is missing or not of the right type")]
    Field(&'static str),
}

/// A Kubernetes or OpenShift object, kept as the JSON that the server sent.
///
/// `apiVersion`, `kind`, and a `metadata` object with a `name` are known to be there.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Object(Value);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// One entry of `metadata.ownerReferences`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerReference {
    /// The owner.
    pub key: ObjectKey,
    /// The owner's uid.
    pub uid: String,
    /// Whether the owner manages this object (`controller: true`).
    pub controller: bool,
}

impl Object {
    /// Takes JSON that is an object of the API.
    ///
    /// # Errors
    /// When `apiVersion`, `kind` or `metadata.name` is missing or no string.
    pub fn from_value(value: Value) -> Result<Self, ObjectError> {
        for field in ["apiVersion", "kind"] {
            if value
                .get(field)
                .is_none_or(|v| v.as_str().is_none_or(str::is_empty))
            {
                return Err(ObjectError::Field(field));
            }
        }
        if !value.get("metadata").is_some_and(Value::is_object) {
            return Err(ObjectError::Field("metadata"));
        }
        if value["metadata"]
            .get("name")
            .is_none_or(|v| v.as_str().is_none_or(str::is_empty))
        {
            return Err(ObjectError::Field("metadata.name"));
        }
        Ok(Self(value))
    }

    /// Reads an object from JSON text.
    ///
    /// # Errors
    /// When the bytes are not JSON, or not an object of the API.
    pub fn parse(bytes: &[u8]) -> Result<Self, ObjectError> {
        Self::from_value(serde_json::from_slice(bytes)?)
    }

    /// The JSON.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// The JSON, to edit. `apiVersion`, `kind` and `metadata.name` must stay.
    pub fn value_mut(&mut self) -> &mut Value {
        &mut self.0
    }

    /// Gives the JSON back.
    pub fn into_value(self) -> Value {
        self.0
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.0.pointer(pointer).and_then(Value::as_str)
    }

    /// `apiVersion`, as in `apps/v1`.
    pub fn api_version(&self) -> &str {
        self.text("/apiVersion").unwrap_or_default()
    }

    /// API group, empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version()
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// API version without the group, as in `v1`.
    pub fn version(&self) -> &str {
        self.api_version().rsplit('/').next().unwrap_or_default()
    }

    /// `kind`.
    pub fn kind(&self) -> &str {
        self.text("/kind").unwrap_or_default()
    }

    /// Group and kind.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind::new(self.group(), self.kind())
    }

    /// Whether this is an object of `kind` of `group`.
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.group() == group && self.kind() == kind
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.text("/metadata/name").unwrap_or_default()
    }

    /// `metadata.namespace`; `None` for a cluster-scoped object.
    pub fn namespace(&self) -> Option<&str> {
        self.text("/metadata/namespace")
    }

    /// Sets or removes `metadata.namespace`.
    pub fn set_namespace(&mut self, namespace: Option<&str>) {
        if let Some(metadata) = self.0["metadata"].as_object_mut() {
            match namespace {
                Some(namespace) => metadata.insert("namespace".into(), namespace.into()),
                None => metadata.remove("namespace"),
            };
        }
    }

    /// `metadata.uid`, as the server set it.
    pub fn uid(&self) -> Option<&str> {
        self.text("/metadata/uid")
    }

    /// `metadata.resourceVersion`, as the server set it.
    pub fn resource_version(&self) -> Option<&str> {
        self.text("/metadata/resourceVersion")
    }

    /// Group, kind and name.
    pub fn key(&self) -> ObjectKey {
        ObjectKey {
            kind: self.group_kind(),
            name: self.name().to_owned(),
        }
    }

    /// One annotation.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.0["metadata"].get("annotations")?.get(name)?.as_str()
    }

    /// One label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.0["metadata"].get("labels")?.get(name)?.as_str()
    }

    /// All labels whose value is a string, which a server guarantees.
    pub fn labels(&self) -> BTreeMap<String, String> {
        self.0["metadata"]
            .get("labels")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect()
    }

    /// Sets one annotation.
    pub fn set_annotation(&mut self, name: &str, value: &str) {
        set_entry(&mut self.0, "annotations", name, value);
    }

    /// Sets one label.
    pub fn set_label(&mut self, name: &str, value: &str) {
        set_entry(&mut self.0, "labels", name, value);
    }

    /// All owners.
    pub fn owners(&self) -> Vec<OwnerReference> {
        let text = |value: &Value, field: &str| {
            value
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        self.0["metadata"]
            .get("ownerReferences")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|owner| {
                let api_version = text(owner, "apiVersion");
                let group = api_version.split_once('/').map_or("", |(group, _)| group);
                OwnerReference {
                    key: ObjectKey::new(group, text(owner, "kind"), text(owner, "name")),
                    uid: text(owner, "uid"),
                    controller: owner
                        .get("controller")
                        .and_then(Value::as_bool)
                        .unwrap_or(false),
                }
            })
            .collect()
    }

    /// The spec of the pods that this object runs or is: of a Pod, of a template (Deployment,
    /// StatefulSet, DaemonSet, ReplicaSet, ReplicationController, DeploymentConfig, Job), of a CronJob's
    /// template.
    pub fn pod_spec(&self) -> Option<&Value> {
        self.0
            .pointer(self.pod_spec_pointer()?)
            .filter(|spec| spec.is_object())
    }

    /// [`Object::pod_spec`], to edit.
    pub fn pod_spec_mut(&mut self) -> Option<&mut Value> {
        let pointer = self.pod_spec_pointer()?;
        self.0.pointer_mut(pointer).filter(|spec| spec.is_object())
    }

    /// Where the pod spec of this kind is, as a JSON pointer; `None` for kinds that run no pods.
    pub fn pod_spec_pointer(&self) -> Option<&'static str> {
        match (self.group(), self.kind()) {
            ("", "Pod") => Some("/spec"),
            ("apps" | "extensions", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
            | ("", "ReplicationController")
            | ("apps.openshift.io", "DeploymentConfig")
            | ("batch", "Job") => Some("/spec/template/spec"),
            ("batch", "CronJob") => Some("/spec/jobTemplate/spec/template/spec"),
            _ => None,
        }
    }

    /// Names of the PersistentVolumeClaims that the pods of this object mount by name, in order, each once.
    /// The claims of a StatefulSet's `volumeClaimTemplates` are not among them.
    pub fn claim_names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        let volumes = self
            .pod_spec()
            .and_then(|spec| spec.get("volumes"))
            .and_then(Value::as_array);
        for volume in volumes.into_iter().flatten() {
            if let Some(name) = volume
                .pointer("/persistentVolumeClaim/claimName")
                .and_then(Value::as_str)
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        names
    }
}

fn set_entry(object: &mut Value, map: &str, name: &str, value: &str) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        let entry = metadata
            .entry(map)
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
        if !entry.is_object() {
            *entry = Value::Object(serde_json::Map::new());
        }
        entry[name] = value.into();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_without_a_name_is_no_object() {
        let error = Object::from_value(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}}))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "not a Kubernetes object: `metadata.name` is missing or not of the right type"
        );
    }

    #[test]
    fn claims_are_named_once_and_in_order() {
        let object = Object::from_value(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "db"},
            "spec": {"template": {"spec": {"volumes": [
                {"name": "b", "persistentVolumeClaim": {"claimName": "b"}},
                {"name": "tmp", "emptyDir": {}},
                {"name": "a", "persistentVolumeClaim": {"claimName": "a"}},
                {"name": "again", "persistentVolumeClaim": {"claimName": "b"}}]}}}
        }))
        .unwrap();
        assert_eq!(object.claim_names(), ["b", "a"]);
    }

    #[test]
    fn labels_and_annotations_are_made_where_there_are_none() {
        let mut object = Object::from_value(
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}),
        )
        .unwrap();
        object.set_label("app", "shop");
        object.set_annotation("note", "x");
        assert_eq!(object.label("app"), Some("shop"));
        assert_eq!(object.annotation("note"), Some("x"));
    }
}
