//! Values as `helm` takes them: `--values FILE` and `--set path=value`, over the chart's own.

use serde_json::{Map, Value};

/// Why a value cannot be set.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ValuesError {
    /// `--set` without `=`.
    #[error("`{0}` sets nothing: write --set path=value")]
    NoValue(String),
    /// The chart has no such value.
    #[error("the chart has no value `{path}`{hint}")]
    Unknown {
        /// The path.
        path: String,
        /// `; there are …`.
        hint: String,
    },
    /// A list is not reached into.
    #[error("`{0}` goes into something that is no map")]
    NotAMap(String),
}

/// Sets one value as `helm --set` does: dots separate keys, `\.` is a dot within a key; `true`, `false`,
/// `null` and whole numbers are what they look like, all else is text.
///
/// # Errors
/// When the text has no `=`, or the path goes into something that is no map.
pub fn set_value(values: &mut Value, text: &str) -> Result<(), ValuesError> {
    let (path, value) = text
        .split_once('=')
        .ok_or_else(|| ValuesError::NoValue(text.to_owned()))?;
    let value = match value {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        _ => match value.parse::<i64>() {
            // `007` is text: a number would lose the zeros.
            Ok(number) if number.to_string() == value => Value::from(number),
            _ => Value::from(value),
        },
    };
    let keys = split_path(path);
    let mut place = values;
    for key in &keys {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        place = match place {
            Value::Object(map) => map.entry(key.clone()).or_insert(Value::Null),
            _ => return Err(ValuesError::NotAMap(path.to_owned())),
        };
    }
    *place = value;
    Ok(())
}

fn split_path(path: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut chars = path.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'.') => {
                chars.next();
                keys.last_mut().unwrap_or(&mut String::new()).push('.');
            }
            '.' => keys.push(String::new()),
            _ => keys.last_mut().unwrap_or(&mut String::new()).push(c),
        }
    }
    keys
}

/// Puts `over` on top of the chart's own values.
///
/// # Errors
/// When `over` names a value that the chart does not have: a typing error must not pass in silence.
pub fn merge_values(defaults: &Value, over: &Value) -> Result<Value, ValuesError> {
    let mut merged = defaults.clone();
    merge(&mut merged, over, &mut Vec::new())?;
    Ok(merged)
}

fn merge(into: &mut Value, over: &Value, path: &mut Vec<String>) -> Result<(), ValuesError> {
    match (into, over) {
        (Value::Object(into), Value::Object(over)) => {
            for (key, value) in over {
                path.push(key.clone());
                let Some(place) = into.get_mut(key) else {
                    let there: Vec<&str> = into.keys().map(String::as_str).take(12).collect();
                    let hint = if there.is_empty() {
                        String::new()
                    } else {
                        format!("; there are {}", there.join(", "))
                    };
                    return Err(ValuesError::Unknown {
                        path: path.join("."),
                        hint,
                    });
                };
                merge(place, value, path)?;
                path.pop();
            }
            Ok(())
        }
        (_, Value::Null) if path.is_empty() => Ok(()),
        (place @ Value::Object(_), _) if !place.as_object().is_some_and(Map::is_empty) => {
            Err(ValuesError::NotAMap(path.join(".")))
        }
        (place, value) => {
            *place = value.clone();
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_read_as_helm_reads_them() {
        let mut values = Value::Null;
        for text in ["a.b=1", r"a.x\.y=007", "c=true", "d=x=y"] {
            set_value(&mut values, text).unwrap();
        }
        assert_eq!(
            values,
            json!({"a": {"b": 1, "x.y": "007"}, "c": true, "d": "x=y"})
        );
        assert_eq!(
            set_value(&mut values, "nothing").unwrap_err(),
            ValuesError::NoValue("nothing".into())
        );
        assert_eq!(
            set_value(&mut values, "c.x=1").unwrap_err(),
            ValuesError::NotAMap("c.x".into())
        );
    }

    #[test]
    fn an_unknown_value_is_refused() {
        let defaults = json!({"routes": {"web": {"host": ""}}});
        assert_eq!(
            merge_values(&defaults, &json!({"routes": {"wbe": {"host": "x"}}}))
                .unwrap_err()
                .to_string(),
            "the chart has no value `routes.wbe`; there are web"
        );
        assert_eq!(
            merge_values(&defaults, &json!({"routes": {"web": {"host": "x"}}})).unwrap(),
            json!({"routes": {"web": {"host": "x"}}})
        );
        assert_eq!(merge_values(&defaults, &Value::Null).unwrap(), defaults);
        assert!(merge_values(&defaults, &json!({"routes": 1})).is_err());
    }
}
