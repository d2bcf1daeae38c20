//! `metadata` as servers manage it.

use rand::RngExt;
use serde_json::{Map, Value, json};

use crate::catalogue::ResourceType;
use crate::error::{ApiError, Cause};

/// Fields of `metadata` that are the server's alone.
pub(crate) const SERVER_FIELDS: [&str; 6] = [
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
];

/// This moment as objects carry it.
pub(crate) fn now() -> String {
    timestamp(jiff::Timestamp::now())
}

pub(crate) fn timestamp(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

pub(crate) fn namespace(object: &Value) -> Option<&str> {
    object["metadata"]["namespace"].as_str()
}

pub(crate) fn finalizers(object: &Value) -> Vec<String> {
    object["metadata"]["finalizers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// The `metadata` of an object, made if it is missing.
pub(crate) fn of(object: &mut Value) -> Result<&mut Map<String, Value>, ApiError> {
    let Value::Object(object) = object else {
        return Err(ApiError::bad_request(
            "the object provided is no JSON object",
        ));
    };
    let meta = object.entry("metadata").or_insert_with(|| json!({}));
    if meta.is_null() {
        *meta = json!({});
    }
    meta.as_object_mut()
        .ok_or_else(|| ApiError::bad_request("metadata is no JSON object"))
}

/// Sets `apiVersion` and `kind`, or compares them.
pub(crate) fn type_of(kind: &ResourceType, object: &mut Value) -> Result<(), ApiError> {
    let Value::Object(map) = object else {
        return Err(ApiError::bad_request(
            "the object provided is no JSON object",
        ));
    };
    map.insert("apiVersion".to_owned(), json!(kind.api_version()));
    map.insert("kind".to_owned(), json!(kind.kind));
    Ok(())
}

/// Settles name and namespace of an object to be created.
pub(crate) fn begin(
    kind: &ResourceType,
    namespace: Option<&str>,
    object: &mut Value,
) -> Result<(), ApiError> {
    let meta = of(object)?;
    meta.retain(|_, value| !value.is_null());
    match namespace.filter(|_| kind.namespaced) {
        Some(namespace) => {
            match meta.get("namespace").and_then(Value::as_str) {
                Some(other) if !other.is_empty() && other != namespace => {
                    return Err(ApiError::bad_request(
                        "the namespace of the provided object does not match the namespace sent on the request",
                    ));
                }
                _ => {}
            }
            meta.insert("namespace".to_owned(), json!(namespace));
        }
        None => {
            meta.remove("namespace");
        }
    }
    let text = |field: &str| meta.get(field).and_then(Value::as_str).unwrap_or_default();
    if text("name").is_empty() {
        let prefix = text("generateName");
        if prefix.is_empty() {
            return Err(ApiError::invalid(
                &kind.group,
                &kind.kind,
                "",
                &[Cause::required(
                    "metadata.name",
                    "name or generateName is required",
                )],
            ));
        }
        let prefix: String = prefix.chars().take(58).collect();
        let name = format!("{prefix}{}", suffix(5));
        meta.insert("name".to_owned(), json!(name));
    }
    validate(kind, object)
}

/// Characters as servers append them to a `generateName`: no vowels, nothing that looks alike.
pub(crate) fn suffix(length: usize) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut random = rand::rng();
    (0..length)
        .map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())]))
        .collect()
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
     and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
     start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SERVICE_LABEL: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
     alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
     validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

pub(crate) fn is_label(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    edge(text.chars().next())
        && edge(text.chars().last())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

fn name_problem(kind: &ResourceType, name: &str) -> Option<String> {
    match (kind.group.as_str(), kind.plural.as_str()) {
        // Names that are paths, users, hashes or `stream:tag`.
        (group, _)
            if group.starts_with("rbac.")
                || group.starts_with("authorization.")
                || group.starts_with("user.")
                || group.starts_with("oauth.")
                || group.starts_with("image.") =>
        {
            let bad = name == "." || name == ".." || name.contains('/') || name.contains('%');
            bad.then(|| {
                format!("may not contain '/' or '%', and be neither '.' nor '..' ({name:?})")
            })
        }
        ("", "services") => {
            if name.len() > 63 {
                Some("must be no more than 63 characters".to_owned())
            } else if !is_label(name) || name.starts_with(|c: char| c.is_ascii_digit()) {
                Some(SERVICE_LABEL.to_owned())
            } else {
                None
            }
        }
        ("", "namespaces") | ("project.openshift.io", _) => {
            if name.len() > 63 {
                Some("must be no more than 63 characters".to_owned())
            } else {
                (!is_label(name)).then(|| LABEL.to_owned())
            }
        }
        _ => (!is_subdomain(name)).then(|| SUBDOMAIN.to_owned()),
    }
}

fn is_qualified_name(text: &str) -> bool {
    let name = match text.split_once('/') {
        Some((prefix, name)) if is_subdomain(prefix) => name,
        Some(_) => return false,
        None => text,
    };
    !name.is_empty() && name.len() <= 63 && is_label_text(name)
}

fn is_label_text(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    edge(text.chars().next())
        && edge(text.chars().last())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Checks names, labels and annotations.
pub(crate) fn validate(kind: &ResourceType, object: &Value) -> Result<(), ApiError> {
    let meta = &object["metadata"];
    let name = name(object);
    let mut causes = Vec::new();
    if let Some(why) = name_problem(kind, name) {
        causes.push(Cause::invalid("metadata.name", &json!(name), why));
    }
    for (key, value) in meta["labels"].as_object().into_iter().flatten() {
        if !is_qualified_name(key) {
            causes.push(Cause::invalid(
                "metadata.labels",
                &json!(key),
                "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                 alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                 '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ));
        }
        let text = value.as_str();
        if text.is_none_or(|text| text.len() > 63 || !(text.is_empty() || is_label_text(text))) {
            causes.push(Cause::invalid(
                "metadata.labels",
                value,
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
                 start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used \
                 for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            ));
        }
    }
    for (key, value) in meta["annotations"].as_object().into_iter().flatten() {
        if !is_qualified_name(&key.to_lowercase()) {
            causes.push(Cause::invalid(
                "metadata.annotations",
                &json!(key),
                "name part must consist of alphanumeric characters, '-', '_' or '.'",
            ));
        }
        if !value.is_string() {
            return Err(ApiError::bad_request(format!(
                "{} in version {:?} cannot be handled as a {}: json: cannot unmarshal {} into Go struct field \
                 ObjectMeta.metadata.annotations of type string",
                kind.kind,
                kind.version,
                kind.kind,
                json_type(value)
            )));
        }
    }
    if causes.is_empty() {
        Ok(())
    } else {
        Err(ApiError::invalid(&kind.group, &kind.kind, name, &causes))
    }
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Null | Value::String(_) => "string",
    }
}

/// Gives a changed object the server's fields of its former self.
pub(crate) fn keep(current: &Value, object: &mut Value) {
    let was = &current["metadata"];
    let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    for field in
        SERVER_FIELDS
            .into_iter()
            .chain(["name", "namespace", "generateName", "resourceVersion"])
    {
        match was.get(field) {
            Some(value) => meta.insert(field.to_owned(), value.clone()),
            None => meta.remove(field),
        };
    }
    meta.retain(|_, value| !value.is_null());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn names_are_checked_by_kind() {
        let catalogue = Catalogue::new(true);
        let check = |group: &str, plural: &str, name: &str| {
            let kind = catalogue.find(group, "v1", plural).unwrap();
            name_problem(&kind, name).is_none()
        };
        assert!(check("", "configmaps", "kube-root-ca.crt"));
        assert!(!check("", "configmaps", "Bad_Name"));
        assert!(!check("", "services", "1a"));
        assert!(!check("", "namespaces", "a.b"));
        assert!(check(
            "rbac.authorization.k8s.io",
            "roles",
            "system:image-pullers"
        ));
        assert!(check("image.openshift.io", "imagestreamtags", "tools:1"));
    }
}
