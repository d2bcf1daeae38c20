//! Knobs: the places of an application's objects that its next cluster may need to be different.
//!
//! A chart's templates hold an expression in such a place, `values.yaml` holds its value, and an import
//! sets it directly. Both read the same knobs, so both give the same objects.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Object, ObjectKey};

/// Where the value of a knob comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KnobSource {
    /// A path into `values.yaml`, one key per level: `["routes", "web", "host"]`.
    Value(Vec<String>),
    /// The namespace that the application is imported into, helm's `.Release.Namespace`.
    ReleaseNamespace,
}

/// One place of one object whose value is set at import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knob {
    /// The object.
    #[serde(flatten)]
    pub object: ObjectKey,
    /// The place, as a JSON pointer (RFC 6901). Its parent exists in the object.
    pub pointer: String,
    /// Where its value comes from.
    pub source: KnobSource,
    /// An optional place is left out of the object when its value is null, empty or missing; another
    /// one must have a value.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// Why values do not fit the knobs of a chart.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KnobError {
    /// The value of a knob that must have one is missing.
    #[error("{object} needs the value `{path}`")]
    Missing {
        /// The object whose place it is.
        object: ObjectKey,
        /// Path in values.yaml, with dots.
        path: String,
    },
    /// The place is not there: the knob is of another object.
    #[error("{object} has no place `{pointer}`")]
    NoPlace {
        /// The object.
        object: ObjectKey,
        /// The place.
        pointer: String,
    },
}

impl Knob {
    /// The value that `values` and the namespace give for this knob: `None` when it is to be left out.
    ///
    /// # Errors
    /// When a value that must be there is not.
    pub fn resolve(&self, values: &Value, namespace: &str) -> Result<Option<Value>, KnobError> {
        let path = match &self.source {
            KnobSource::ReleaseNamespace => return Ok(Some(namespace.into())),
            KnobSource::Value(path) => path,
        };
        let value = path.iter().try_fold(values, |value, key| value.get(key));
        match value {
            // What helm's `with` takes as empty.
            Some(Value::Null | Value::Bool(false)) | None if self.optional => Ok(None),
            Some(Value::String(text)) if self.optional && text.is_empty() => Ok(None),
            Some(Value::Null) | None => Err(KnobError::Missing {
                object: self.object.clone(),
                path: path.join("."),
            }),
            Some(value) => Ok(Some(value.clone())),
        }
    }

    /// Sets the place in `object`, which is the knob's own.
    ///
    /// # Errors
    /// When a value that must be there is not, or the object has no such place.
    pub fn turn(
        &self,
        object: &mut Object,
        values: &Value,
        namespace: &str,
    ) -> Result<(), KnobError> {
        let resolved = self.resolve(values, namespace)?;
        let no_place = || KnobError::NoPlace {
            object: self.object.clone(),
            pointer: self.pointer.clone(),
        };
        let (parent, key) = self.pointer.rsplit_once('/').ok_or_else(no_place)?;
        let key = key.replace("~1", "/").replace("~0", "~");
        match object.value_mut().pointer_mut(parent) {
            Some(Value::Object(map)) => {
                match resolved {
                    Some(value) => map.insert(key, value),
                    None => map.remove(&key),
                };
                Ok(())
            }
            Some(Value::Array(list)) => {
                let place = key
                    .parse::<usize>()
                    .ok()
                    .and_then(|at| list.get_mut(at))
                    .ok_or_else(no_place)?;
                *place = resolved.unwrap_or(Value::Null);
                Ok(())
            }
            _ => Err(no_place()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn route() -> Object {
        Object::from_value(
            json!({"apiVersion": "route.openshift.io/v1", "kind": "Route",
            "metadata": {"name": "web"}, "spec": {"host": "web.old", "to": {"name": "web"}}}),
        )
        .unwrap()
    }

    fn knob(optional: bool) -> Knob {
        Knob {
            object: route().key(),
            pointer: "/spec/host".into(),
            source: KnobSource::Value(vec!["routes".into(), "web".into(), "host".into()]),
            optional,
        }
    }

    #[test]
    fn a_value_is_put_in_its_place() {
        let mut object = route();
        knob(false)
            .turn(
                &mut object,
                &json!({"routes": {"web": {"host": "web.new"}}}),
                "ns",
            )
            .unwrap();
        assert_eq!(object.value()["spec"]["host"], "web.new");
    }

    #[test]
    fn an_optional_place_goes_when_its_value_is_empty() {
        let mut object = route();
        knob(true)
            .turn(&mut object, &json!({"routes": {"web": {"host": ""}}}), "ns")
            .unwrap();
        assert_eq!(object.value()["spec"], json!({"to": {"name": "web"}}));
    }

    #[test]
    fn a_needed_value_is_asked_for_by_path() {
        let error = knob(false)
            .turn(&mut route(), &json!({}), "ns")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "Route.route.openshift.io/web needs the value `routes.web.host`"
        );
    }
}
