//! Custom resources: their definitions, and their objects against the schema.

use serde_json::{Value, json};

use super::Context;
use super::values::default;
use crate::error::{ApiError, Cause};
use crate::metadata;

/// Completes a definition; it is established at once.
pub(super) fn define(definition: &mut Value) {
    let kind = definition["spec"]["names"]["kind"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    default(
        definition,
        "spec.names.singular",
        json!(kind.to_lowercase()),
    );
    default(
        definition,
        "spec.names.listKind",
        json!(format!("{kind}List")),
    );
    default(definition, "spec.conversion", json!({"strategy": "None"}));
    let stored: Vec<Value> = definition["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|version| version["storage"] == true)
        .map(|version| version["name"].clone())
        .collect();
    let since = definition["metadata"]["creationTimestamp"].clone();
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({
            "type": kind,
            "status": "True",
            "lastTransitionTime": since,
            "reason": reason,
            "message": message,
        })
    };
    definition["status"] = json!({
        "acceptedNames": definition["spec"]["names"],
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "storedVersions": stored,
    });
}

/// Checks an object against its schema.
pub(super) fn check(context: &Context<'_>, object: &Value) -> Result<(), ApiError> {
    let Some(custom) = &context.kind.custom else {
        return Ok(());
    };
    let mut causes = Vec::new();
    validate(&custom.schema, object, "", &mut causes);
    if causes.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(
        &context.kind.group,
        &context.kind.kind,
        metadata::name(object),
        &causes,
    ))
}

fn matches_type(wanted: &str, value: &Value) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => true,
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The part of a structural schema that is understood: types, required fields, enumerations, limits.
fn validate(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    let int_or_string = schema["x-kubernetes-int-or-string"] == true;
    if let Some(wanted) = schema["type"].as_str()
        && !int_or_string
        && !matches_type(wanted, value)
    {
        causes.push(Cause::type_invalid(
            path,
            &json!(type_name(value)),
            format!(
                "{path} in body must be of type {wanted}: {:?}",
                type_name(value)
            ),
        ));
        return;
    }
    let child = |field: &str| {
        if path.is_empty() {
            field.to_owned()
        } else {
            format!("{path}.{field}")
        }
    };
    match value {
        Value::Object(map) => {
            for field in schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
            {
                if !map.contains_key(field) {
                    causes.push(Cause::required(child(field), ""));
                }
            }
            for (field, value) in map {
                if path.is_empty() && field == "metadata" {
                    continue;
                }
                if let Some(schema) = schema["properties"].get(field) {
                    validate(schema, value, &child(field), causes);
                } else if schema["additionalProperties"].is_object() {
                    validate(
                        &schema["additionalProperties"],
                        value,
                        &child(field),
                        causes,
                    );
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                validate(&schema["items"], item, &format!("{path}[{index}]"), causes);
            }
        }
        _ => {
            if let Some(allowed) = schema["enum"].as_array()
                && !allowed.contains(value)
            {
                let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
                causes.push(Cause::unsupported(path, value, &allowed));
            }
            let limit = |name: &str| schema[name].as_f64();
            if let Some(number) = value.as_f64() {
                if let Some(limit) = limit("minimum").filter(|limit| number < *limit) {
                    causes.push(Cause::invalid(
                        path,
                        value,
                        format!("{path} in body should be greater than or equal to {limit}"),
                    ));
                }
                if let Some(limit) = limit("maximum").filter(|limit| number > *limit) {
                    causes.push(Cause::invalid(
                        path,
                        value,
                        format!("{path} in body should be less than or equal to {limit}"),
                    ));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_asks_for_types_and_fields() {
        let schema = json!({"type": "object", "properties": {"spec": {
            "type": "object",
            "required": ["size"],
            "properties": {"size": {"type": "integer", "minimum": 1}, "mode": {"type": "string", "enum": ["a", "b"]}},
        }}});
        let problems = |object: Value| {
            let mut causes = Vec::new();
            validate(&schema, &object, "", &mut causes);
            causes.len()
        };
        assert_eq!(problems(json!({"spec": {"size": 1, "mode": "a"}})), 0);
        assert_eq!(problems(json!({"spec": {}})), 1);
        assert_eq!(problems(json!({"spec": {"size": "1"}})), 1);
        assert_eq!(problems(json!({"spec": {"size": 0, "mode": "c"}})), 2);
    }
}
