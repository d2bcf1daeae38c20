//! `values.schema.json`: lets helm refuse what an import would refuse.

use openshifter_objects::{Knob, KnobSource};
use serde_json::{Map, Value, json};

#[derive(Default)]
struct Level {
    below: std::collections::BTreeMap<String, Level>,
    /// A knob reads this very value: whether each of those that do can be without it.
    knob: Option<bool>,
}

/// The schema of the default values: their types, the paths that there are, and those that must be.
pub(crate) fn schema(values: &Value, knobs: &[Knob]) -> Value {
    let mut root = Level::default();
    for knob in knobs {
        if let KnobSource::Value(path) = &knob.source {
            let level = path.iter().fold(&mut root, |level, key| {
                level.below.entry(key.clone()).or_default()
            });
            level.knob = Some(level.knob.unwrap_or(true) && knob.optional);
        }
    }
    let mut schema = level(values, &root);
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        // Helm itself may add this one.
        properties.entry("global").or_insert_with(|| json!({}));
    }
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema
}

fn level(value: &Value, place: &Level) -> Value {
    let optional = place.knob == Some(true);
    let of_type = |name: &str| {
        if optional {
            json!({"type": [name, "null"]})
        } else {
            json!({"type": name})
        }
    };
    match value {
        // What a knob takes as a whole may have any content.
        Value::Object(_) if place.knob.is_some() && place.below.is_empty() => of_type("object"),
        Value::Object(map) => {
            let mut properties = Map::new();
            for (key, value) in map {
                let nothing = Level::default();
                properties.insert(
                    key.clone(),
                    level(value, place.below.get(key).unwrap_or(&nothing)),
                );
            }
            for (key, below) in &place.below {
                properties
                    .entry(key.clone())
                    .or_insert_with(|| level(&Value::Null, below));
            }
            let required: Vec<&String> = place
                .below
                .iter()
                .filter(|(_, below)| below.is_needed())
                .map(|(key, _)| key)
                .collect();
            let mut schema =
                json!({"type": "object", "properties": properties, "additionalProperties": false});
            if !required.is_empty() {
                schema["required"] = json!(required);
            }
            schema
        }
        Value::Null if !place.below.is_empty() => level(&Value::Object(Map::new()), place),
        Value::Null => json!({}),
        Value::Bool(_) => of_type("boolean"),
        Value::String(_) => of_type("string"),
        Value::Array(_) => of_type("array"),
        Value::Number(number) if number.is_f64() => of_type("number"),
        Value::Number(_) => of_type("integer"),
    }
}

impl Level {
    fn is_needed(&self) -> bool {
        self.knob == Some(false) || self.below.values().any(Self::is_needed)
    }
}

#[cfg(test)]
mod tests {
    use openshifter_objects::ObjectKey;

    use super::*;

    #[test]
    fn types_and_needed_values_are_told() {
        let knob = |path: &[&str], optional| Knob {
            object: ObjectKey::new("", "X", "x"),
            pointer: "/x".into(),
            source: KnobSource::Value(path.iter().map(|&key| key.to_owned()).collect()),
            optional,
        };
        let values = json!({"routes": {"web": {"host": ""}}, "replicas": {"web": 3}});
        let schema = schema(
            &values,
            &[
                knob(&["routes", "web", "host"], true),
                knob(&["replicas", "web"], false),
            ],
        );
        insta::assert_json_snapshot!(schema, @r#"
        {
          "$schema": "http://json-schema.org/draft-07/schema#",
          "additionalProperties": false,
          "properties": {
            "global": {},
            "replicas": {
              "additionalProperties": false,
              "properties": {
                "web": {
                  "type": "integer"
                }
              },
              "required": [
                "web"
              ],
              "type": "object"
            },
            "routes": {
              "additionalProperties": false,
              "properties": {
                "web": {
                  "additionalProperties": false,
                  "properties": {
                    "host": {
                      "type": [
                        "string",
                        "null"
                      ]
                    }
                  },
                  "type": "object"
                }
              },
              "type": "object"
            }
          },
          "required": [
            "replicas"
          ],
          "type": "object"
        }
        "#);
    }
}
