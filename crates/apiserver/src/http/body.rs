//! Objects from bodies: the right type, known fields, JSON or YAML.

use serde_json::{Map, Value};

use super::protobuf;
use super::request::Parts;
use super::types;
use crate::catalogue::ResourceType;
use crate::error::ApiError;

/// What becomes of fields that nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unknown {
    Ignore,
    Warn,
    Refuse,
}

/// An object and what to warn of.
pub(crate) struct Read {
    pub(crate) object: Value,
    pub(crate) warnings: Vec<String>,
}

/// Reads the object that a request carries.
pub(crate) fn object(kind: &ResourceType, parts: &Parts) -> Result<Read, ApiError> {
    let value = document(kind, parts)?;
    typed(kind, parts, value)
}

/// Reads the body of a request for a resource.
pub(crate) fn document(kind: &ResourceType, parts: &Parts) -> Result<Value, ApiError> {
    of_kind(&kind.kind, parts)
}

/// Reads a body that is no object of the resource itself.
pub(crate) fn of_kind(kind: &str, parts: &Parts) -> Result<Value, ApiError> {
    match parts.content_type().as_str() {
        "" | "application/json" => json(kind, &parts.body),
        "application/yaml" => yaml(&parts.body),
        "application/vnd.kubernetes.protobuf" => protobuf::decode(&parts.body),
        _ => Err(ApiError::unsupported_media_types(&[
            "application/json",
            "application/yaml",
        ])),
    }
}

pub(crate) fn json(kind: &str, bytes: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let why = if error.is_eof() {
            "unexpected end of JSON input".to_owned()
        } else {
            error.to_string()
        };
        let shown: String = String::from_utf8_lossy(bytes).chars().take(1000).collect();
        ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; \
             json parse error: {why} ({shown})"
        ))
    })
}

pub(crate) fn yaml(bytes: &[u8]) -> Result<Value, ApiError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| ApiError::bad_request("error decoding YAML: it is not UTF-8"))?;
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| ApiError::bad_request(format!("error decoding YAML: {error}")))
}

/// Checks the type of an object and its fields.
pub(crate) fn typed(
    kind: &ResourceType,
    parts: &Parts,
    mut object: Value,
) -> Result<Read, ApiError> {
    require_type(kind, &object)?;
    let mode = match parts.param("fieldValidation") {
        Some("Strict") => Unknown::Refuse,
        Some("Ignore") => Unknown::Ignore,
        None | Some("Warn") => Unknown::Warn,
        Some(other) => {
            return Err(ApiError::bad_request(format!(
                "invalid fieldValidation {other:?}: supported are Ignore, Warn and Strict"
            )));
        }
    };
    let unknown = drop_unknown(kind, &mut object)?;
    if unknown.is_empty() || mode == Unknown::Ignore {
        return Ok(Read {
            object,
            warnings: Vec::new(),
        });
    }
    let each: Vec<String> = unknown
        .iter()
        .map(|path| format!("unknown field {path:?}"))
        .collect();
    if mode == Unknown::Refuse {
        let list = each.join(", ");
        return Err(ApiError::bad_request(format!(
            "{0} in version {1:?} cannot be handled as a {0}: strict decoding error: {list}",
            kind.kind, kind.version
        )));
    }
    Ok(Read {
        object,
        warnings: each,
    })
}

fn require_type(kind: &ResourceType, object: &Value) -> Result<(), ApiError> {
    let Value::Object(map) = object else {
        return Err(ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): it is no JSON object",
            kind.kind
        )));
    };
    let text = |field: &str| map.get(field).and_then(Value::as_str).unwrap_or_default();
    let (api_version, name) = (text("apiVersion"), text("kind"));
    if !name.is_empty() && name != kind.kind {
        let version = api_version.rsplit('/').next().unwrap_or_default();
        let package = if kind.group.is_empty() {
            "core"
        } else {
            kind.group.split('.').next().unwrap_or_default()
        };
        return Err(ApiError::bad_request(format!(
            "{name} in version {version:?} cannot be handled as a {}: converting ({version}.{name}) to \
             ({package}.{}): unknown conversion",
            kind.kind, kind.kind
        )));
    }
    if !api_version.is_empty() && api_version != kind.api_version() {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({})",
            kind.api_version()
        )));
    }
    Ok(())
}

/// Takes away the fields that the kind does not have, and says which.
fn drop_unknown(kind: &ResourceType, object: &mut Value) -> Result<Vec<String>, ApiError> {
    if let Some(unknown) = types::decode(kind, object)? {
        return Ok(unknown);
    }
    let mut unknown = Vec::new();
    if let Some(custom) = &kind.custom {
        prune(&custom.schema, object, "", true, &mut unknown);
    } else if let Value::Object(map) = object {
        keep(map, "", &mut unknown, |field| {
            matches!(field, "apiVersion" | "kind" | "metadata")
                || kind.fields.iter().any(|known| known == field)
        });
    }
    if let Some(meta) = object.get_mut("metadata") {
        unknown.extend(types::decode_metadata(kind, meta)?);
    }
    Ok(unknown)
}

fn keep(
    map: &mut Map<String, Value>,
    prefix: &str,
    unknown: &mut Vec<String>,
    known: impl Fn(&str) -> bool,
) {
    map.retain(|field, _| {
        let known = known(field);
        if !known {
            unknown.push(format!("{prefix}{field}"));
        }
        known
    });
}

/// Takes away what a structural schema does not name.
fn prune(schema: &Value, value: &mut Value, path: &str, top: bool, unknown: &mut Vec<String>) {
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return;
    }
    match value {
        Value::Object(map) => {
            let properties = schema["properties"].as_object();
            let additional = &schema["additionalProperties"];
            if additional.is_object() {
                for (key, value) in map.iter_mut() {
                    prune(additional, value, &format!("{path}{key}."), false, unknown);
                }
                return;
            }
            if *additional == true {
                return;
            }
            if properties.is_none() && !top && schema["type"] != "object" {
                return;
            }
            keep(map, path, unknown, |field| {
                (top && matches!(field, "apiVersion" | "kind" | "metadata"))
                    || properties.is_some_and(|properties| properties.contains_key(field))
            });
            for (key, value) in map.iter_mut() {
                if top && matches!(key.as_str(), "apiVersion" | "kind" | "metadata") {
                    continue;
                }
                if let Some(schema) = properties.and_then(|properties| properties.get(key)) {
                    prune(schema, value, &format!("{path}{key}."), false, unknown);
                }
            }
        }
        Value::Array(items) => {
            let path = path.trim_end_matches('.');
            for (index, item) in items.iter_mut().enumerate() {
                prune(
                    &schema["items"],
                    item,
                    &format!("{path}[{index}]."),
                    false,
                    unknown,
                );
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema_prunes_what_it_does_not_name() {
        let schema = json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "size": {"type": "integer"},
                "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "list": {"type": "array", "items": {"type": "object", "properties": {"a": {}}}},
            }},
        }});
        let mut object = json!({"kind": "X", "metadata": {"name": "a"}, "bogus": 1, "spec": {
            "size": 1, "other": 2, "any": {"x": 1}, "list": [{"a": 1, "b": 2}],
        }});
        let mut unknown = Vec::new();
        prune(&schema, &mut object, "", true, &mut unknown);
        assert_eq!(unknown, ["bogus", "spec.other", "spec.list[0].b"]);
        assert_eq!(object["spec"]["any"]["x"], 1);
    }
}
