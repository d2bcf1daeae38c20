//! Strict decoding of built-in kinds: every field has to be known and of its type, as it is for a
//! server that decodes into structures.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;

use crate::catalogue::ResourceType;
use crate::error::ApiError;

const TYPES: &str = include_str!("../catalogue/types.txt");

type Fields = HashMap<&'static str, &'static str>;

static TABLE: LazyLock<HashMap<&'static str, Fields>> = LazyLock::new(|| {
    TYPES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut columns = line.split(' ');
            let name = columns.next().unwrap_or_default();
            (
                name,
                columns.filter_map(|field| field.split_once(':')).collect(),
            )
        })
        .collect()
});

/// Takes unknown fields away and says which; none if the table does not know the kind.
///
/// # Errors
/// 400 for a value of another type than its field has.
pub(crate) fn decode(
    kind: &ResourceType,
    object: &mut Value,
) -> Result<Option<Vec<String>>, ApiError> {
    // Kinds of the same name in another group, and the older form of the autoscaler, are other types.
    let elsewhere = kind.custom.is_some()
        || matches!(
            kind.group.as_str(),
            "authorization.openshift.io" | "events.k8s.io"
        )
        || (kind.group == "autoscaling" && kind.version == "v1");
    if elsewhere || !TABLE.contains_key(kind.kind.as_str()) {
        return Ok(None);
    }
    let mut decoder = Decoder {
        kind,
        unknown: Vec::new(),
    };
    decoder.structure(&kind.kind, object, "")?;
    Ok(Some(decoder.unknown))
}

/// The same for `metadata` alone.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_metadata(
    kind: &ResourceType,
    metadata: &mut Value,
) -> Result<Vec<String>, ApiError> {
    let mut decoder = Decoder {
        kind,
        unknown: Vec::new(),
    };
    decoder.structure("ObjectMeta", metadata, "metadata")?;
    Ok(decoder.unknown)
}

struct Decoder<'a> {
    kind: &'a ResourceType,
    unknown: Vec<String>,
}

impl Decoder<'_> {
    fn structure(&mut self, name: &str, value: &mut Value, path: &str) -> Result<(), ApiError> {
        let Some(fields) = TABLE.get(name) else {
            return Ok(());
        };
        let Value::Object(map) = value else {
            return Ok(());
        };
        let join = |field: &str| {
            if path.is_empty() {
                field.to_owned()
            } else {
                format!("{path}.{field}")
            }
        };
        map.retain(|field, _| {
            let known = fields.contains_key(field.as_str());
            if !known {
                self.unknown.push(join(field));
            }
            known
        });
        for (field, value) in map.iter_mut() {
            if let Some(kind) = fields.get(field.as_str()) {
                self.value(name, kind, value, &join(field))?;
            }
        }
        Ok(())
    }

    fn value(
        &mut self,
        owner: &str,
        kind: &str,
        value: &mut Value,
        path: &str,
    ) -> Result<(), ApiError> {
        if value.is_null() || kind == "j" {
            return Ok(());
        }
        if let Some(item) = kind.strip_prefix('*') {
            let Value::Array(items) = value else {
                return Err(self.mismatch(owner, value, path, "[]"));
            };
            for (index, one) in items.iter_mut().enumerate() {
                self.value(owner, item, one, &format!("{path}[{index}]"))?;
            }
            return Ok(());
        }
        if let Some(item) = kind.strip_prefix("map:") {
            let Value::Object(map) = value else {
                return Err(self.mismatch(owner, value, path, "map"));
            };
            for (key, one) in map.iter_mut() {
                // The place of a map's value is the map's own, as in Go's words.
                let place = if matches!(item, "s" | "q") {
                    path.to_owned()
                } else {
                    format!("{path}.{key}")
                };
                self.value(owner, item, one, &place)?;
            }
            return Ok(());
        }
        let (fits, name) = match kind {
            "s" => (value.is_string(), "string"),
            "i" => (value.is_i64() || value.is_u64(), "int32"),
            "n" => (value.is_number(), "float64"),
            "t" => (value.is_boolean(), "bool"),
            "q" => (value.is_string() || value.is_number(), "resource.Quantity"),
            "x" => (value.is_string() || value.is_number(), "intstr.IntOrString"),
            name => (value.is_object(), name),
        };
        if !fits {
            return Err(self.mismatch(owner, value, path, name));
        }
        self.structure(kind, value, path)
    }

    fn mismatch(&self, owner: &str, value: &Value, path: &str, wanted: &str) -> ApiError {
        let found = match value {
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
            Value::String(_) | Value::Null => "string",
        };
        ApiError::bad_request(format!(
            "{0} in version {1:?} cannot be handled as a {0}: json: cannot unmarshal {found} into Go struct field \
             {owner}.{path} of type {wanted}",
            self.kind.kind, self.kind.version
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;
    use serde_json::json;

    #[test]
    fn every_type_that_a_field_has_is_in_the_table() {
        for (name, fields) in TABLE.iter() {
            for (field, kind) in fields {
                let kind = kind.trim_start_matches('*').trim_start_matches("map:");
                let kind = kind.trim_start_matches('*');
                let scalar = matches!(kind, "s" | "i" | "n" | "t" | "q" | "x" | "j");
                assert!(scalar || TABLE.contains_key(kind), "{name}.{field}: {kind}");
            }
        }
    }

    #[test]
    fn unknown_fields_and_other_types_are_found_at_any_depth() {
        let kind = Catalogue::new(true)
            .find("apps", "v1", "deployments")
            .unwrap();
        let deployment =
            |container: Value| json!({"spec": {"template": {"spec": {"containers": [container]}}}});
        let mut object =
            deployment(json!({"name": "a", "imag": "x", "resources": {"limits": {"cpu": 1}}}));
        assert_eq!(
            decode(&kind, &mut object).unwrap().unwrap(),
            ["spec.template.spec.containers[0].imag"]
        );
        assert!(
            object
                .pointer("/spec/template/spec/containers/0/imag")
                .is_none()
        );
        let error = decode(&kind, &mut deployment(json!({"name": 1}))).unwrap_err();
        insta::assert_snapshot!(error, @r#"Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal number into Go struct field Container.spec.template.spec.containers[0].name of type string"#);
    }
}
