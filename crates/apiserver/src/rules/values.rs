//! The tables: defaults, required fields, immutable fields, and the JSON types of the simplest kinds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Context;
use crate::catalogue::ResourceType;
use crate::error::{ApiError, Cause};

const DEFAULTS: &str = include_str!("defaults.txt");
const REQUIRED: &str = include_str!("required.txt");
const IMMUTABLE: &str = include_str!("immutable.txt");

fn lines<'a>(
    table: &'a str,
    kind: &ResourceType,
) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    let id = kind.id().to_string();
    table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(move |line| {
            let rest = line.strip_prefix(&id)?.strip_prefix(' ')?;
            Some(rest.split_once(' ').unwrap_or((rest, "")))
        })
}

/// The value at a path.
pub(super) fn at<'a>(object: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(object, |value, field| &value[field])
}

/// The map at a path, if it is one.
pub(super) fn map_at<'a>(
    object: &'a mut Value,
    path: &str,
) -> Option<&'a mut serde_json::Map<String, Value>> {
    let pointer = if path.is_empty() {
        String::new()
    } else {
        format!("/{}", path.replace('.', "/"))
    };
    object.pointer_mut(&pointer)?.as_object_mut()
}

/// Sets a field that is missing in a map that is there.
pub(super) fn default(object: &mut Value, path: &str, value: Value) {
    let (parent, field) = path.rsplit_once('.').unwrap_or(("", path));
    if let Some(map) = map_at(object, parent) {
        let slot = map.entry(field).or_insert(Value::Null);
        if slot.is_null() {
            *slot = value;
        }
    }
}

/// Takes fields away that are null, as decoding into a type does. What is kept as it is sent (custom
/// resources, the objects of a template, an image's raw metadata) is not looked at.
pub(super) fn drop_nulls(kind: &ResourceType, object: &mut Value) {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.retain(|_, value| !value.is_null());
                map.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    if kind.custom.is_some()
        || matches!(
            kind.plural.as_str(),
            "templates" | "images" | "controllerrevisions" | "customresourcedefinitions"
        )
    {
        return;
    }
    // The status is the server's own.
    for (field, value) in object.as_object_mut().into_iter().flatten() {
        if !matches!(field.as_str(), "metadata" | "status") {
            strip(value);
        }
    }
}

/// Fills in the defaults of a kind.
pub(super) fn defaults(kind: &ResourceType, object: &mut Value) {
    for (path, value) in lines(DEFAULTS, kind) {
        let value = serde_json::from_str(value).unwrap_or(Value::Null);
        default(object, path, value);
    }
    let id = kind.id();
    if id.is("", "secrets") {
        secret(object);
    } else if id.is("networking.k8s.io", "networkpolicies") {
        let mut types = vec!["Ingress"];
        if object["spec"]["egress"].is_array() {
            types.push("Egress");
        }
        default(object, "spec.policyTypes", json!(types));
    } else if kind.group == "rbac.authorization.k8s.io" {
        for subject in object["subjects"].as_array_mut().into_iter().flatten() {
            if matches!(subject["kind"].as_str(), Some("User" | "Group")) {
                default(subject, "apiGroup", json!("rbac.authorization.k8s.io"));
            }
        }
    }
}

/// A secret's plain texts become data.
fn secret(object: &mut Value) {
    let Some(Value::Object(plain)) = object
        .as_object_mut()
        .and_then(|map| map.remove("stringData"))
    else {
        return;
    };
    if !object["data"].is_object() {
        object["data"] = json!({});
    }
    for (key, value) in plain {
        object["data"][key] = json!(STANDARD.encode(value.as_str().unwrap_or_default()));
    }
}

/// Refuses values that could not even be decoded.
pub(super) fn require_types(context: &Context<'_>, object: &Value) -> Result<(), ApiError> {
    let kind = context.kind;
    let fields: &[&str] = match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "configmaps") => &["data", "binaryData"],
        ("", "secrets") => &["data", "stringData"],
        _ => &[],
    };
    let decode = |why: String| {
        ApiError::bad_request(format!(
            "{0} in version {1:?} cannot be handled as a {0}: {why}",
            kind.kind, kind.version
        ))
    };
    for field in fields {
        for (_, value) in object[field].as_object().into_iter().flatten() {
            let Some(text) = value.as_str() else {
                let found = match value {
                    Value::Number(_) => "number",
                    Value::Bool(_) => "bool",
                    Value::Array(_) => "array",
                    Value::Null => continue,
                    _ => "object",
                };
                return Err(decode(format!(
                    "json: cannot unmarshal {found} into Go struct field {}.{field} of type string",
                    kind.kind
                )));
            };
            let binary = *field == "binaryData" || (*field == "data" && kind.plural == "secrets");
            if binary && STANDARD.decode(text).is_err() {
                return Err(decode("illegal base64 data at input byte 0".to_owned()));
            }
        }
    }
    if !matches!(
        object.get("spec"),
        None | Some(Value::Object(_) | Value::Null)
    ) {
        return Err(decode(format!(
            "json: cannot unmarshal into Go struct field {}.spec",
            kind.kind
        )));
    }
    Ok(())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// Required fields that are not there.
pub(super) fn missing(kind: &ResourceType, object: &Value) -> Vec<Cause> {
    let mut causes: Vec<Cause> = lines(REQUIRED, kind)
        .filter(|(path, _)| is_empty(at(object, path)))
        .map(|(path, why)| Cause::required(path, why))
        .collect();
    if kind.id().is("", "secrets") {
        causes.extend(secret_problems(object));
    }
    causes
}

fn secret_problems(secret: &Value) -> Vec<Cause> {
    let keys: &[&str] = match secret["type"].as_str().unwrap_or_default() {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/service-account-token" => {
            let name = "kubernetes.io/service-account.name";
            return if secret["metadata"]["annotations"][name].is_string() {
                Vec::new()
            } else {
                vec![Cause::required(format!("metadata.annotations[{name}]"), "")]
            };
        }
        _ => &[],
    };
    keys.iter()
        .filter(|key| !secret["data"][**key].is_string())
        .map(|key| Cause::required(format!("data[{key}]"), ""))
        .collect()
}

/// Refuses changes of what may not change.
pub(super) fn require_unchanged(
    context: &Context<'_>,
    current: &Value,
    object: &Value,
) -> Result<(), ApiError> {
    let kind = context.kind;
    let mut causes = Vec::new();
    for (path, why) in lines(IMMUTABLE, kind) {
        let (old, new) = (at(current, path), at(object, path));
        if old != new {
            causes.push(Cause::invalid(path, new, why));
        }
    }
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "configmaps" | "secrets") if current["immutable"] == true => {
            for field in ["immutable", "data", "binaryData"] {
                if current[field] != object[field] {
                    causes.push(Cause::forbidden(
                        field,
                        "field is immutable when `immutable` is set",
                    ));
                }
            }
        }
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            let (old, new) = (&current["roleRef"], &object["roleRef"]);
            if old != new {
                let shown = format!(
                    "Invalid value: {{\"APIGroup\":{},\"Kind\":{},\"Name\":{}}}: cannot change roleRef",
                    new["apiGroup"], new["kind"], new["name"]
                );
                causes.push(Cause::verbatim("FieldValueInvalid", "roleRef", shown));
            }
        }
        ("apps", "statefulsets") => {
            const FREE: [&str; 7] = [
                "replicas",
                "ordinals",
                "template",
                "updateStrategy",
                "revisionHistoryLimit",
                "persistentVolumeClaimRetentionPolicy",
                "minReadySeconds",
            ];
            if fixed(&current["spec"], &FREE) != fixed(&object["spec"], &FREE) {
                causes.push(Cause::forbidden(
                    "spec",
                    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                     'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                     'minReadySeconds' are forbidden",
                ));
            }
        }
        ("", "pods") => {
            let strip = |pod: &Value| {
                let mut spec = fixed(
                    &pod["spec"],
                    &[
                        "activeDeadlineSeconds",
                        "tolerations",
                        "terminationGracePeriodSeconds",
                    ],
                );
                for list in ["containers", "initContainers"] {
                    for container in spec[list].as_array_mut().into_iter().flatten() {
                        crate::write::set(container, "image", None);
                    }
                }
                spec
            };
            if strip(current) != strip(object) {
                causes.push(Cause::forbidden(
                    "spec",
                    "pod updates may not change fields other than `spec.containers[*].image`,\
                     `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to \
                     existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
                     previously negative)",
                ));
            }
        }
        ("storage.k8s.io", "storageclasses") => {
            for field in [
                "provisioner",
                "parameters",
                "reclaimPolicy",
                "volumeBindingMode",
            ] {
                if current[field] != object[field] {
                    causes.push(Cause::forbidden(
                        field,
                        format!("updates to {field} are forbidden."),
                    ));
                }
            }
        }
        ("", "persistentvolumes") => {
            const FREE: [&str; 6] = [
                "accessModes",
                "capacity",
                "claimRef",
                "persistentVolumeReclaimPolicy",
                "mountOptions",
                "nodeAffinity",
            ];
            if fixed(&current["spec"], &FREE) != fixed(&object["spec"], &FREE) {
                causes.push(Cause::forbidden(
                    "spec.persistentvolumesource",
                    "spec.persistentvolumesource is immutable after creation",
                ));
            }
        }
        _ => {}
    }
    context.invalid(object, &causes)
}

/// A spec without the fields that may change.
fn fixed(spec: &Value, free: &[&str]) -> Value {
    let mut spec = spec.clone();
    if let Value::Object(map) = &mut spec {
        map.retain(|field, _| !free.contains(&field.as_str()));
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn every_line_of_the_tables_names_a_resource() {
        let known: Vec<String> = Catalogue::new(true)
            .all()
            .iter()
            .map(|kind| kind.id().to_string())
            .collect();
        for line in [DEFAULTS, REQUIRED, IMMUTABLE]
            .iter()
            .flat_map(|table| table.lines())
        {
            if !line.starts_with('#') {
                let (resource, rest) = line.split_once(' ').unwrap();
                assert!(known.iter().any(|one| one == resource), "{line}");
                assert!(!rest.is_empty());
            }
        }
        for line in DEFAULTS.lines().filter(|line| !line.starts_with('#')) {
            let value = line.splitn(3, ' ').nth(2).unwrap();
            assert!(serde_json::from_str::<Value>(value).is_ok(), "{line}");
        }
    }

    #[test]
    fn plain_texts_of_a_secret_become_data() {
        let kind = Catalogue::new(true).find("", "v1", "secrets").unwrap();
        let mut secret = json!({"data": {"a": "MQ=="}, "stringData": {"b": "2"}});
        defaults(&kind, &mut secret);
        assert_eq!(
            secret,
            json!({"type": "Opaque", "data": {"a": "MQ==", "b": "Mg=="}})
        );
    }
}
