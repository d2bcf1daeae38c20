//! Manifests as values: objects, and the places in them that are left open.

use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde_json::{Map, Value};

use super::values::{Values, alphanumeric};
use crate::V2Error;

/// What an object is there for. Objects are created in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// ImageStream and BuildConfig.
    Build,
    /// Secrets and ConfigMaps.
    Configuration,
    /// A database beside the application.
    Database,
    /// Claim, Service, workload and Route.
    Application,
    /// CronJobs.
    Jobs,
}

/// An object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifest {
    /// What it is there for.
    pub stage: Stage,
    /// The object, without a namespace.
    pub object: Value,
}

impl Manifest {
    /// Its kind.
    pub fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap_or_default()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }
}

/// Where a value goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Which of the objects.
    pub object: usize,
    /// A JSON pointer. What it points to may not be there yet.
    pub pointer: String,
}

/// What there is when nobody gives a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "without")]
pub enum InputValue {
    /// This value, which the objects hold already.
    Default {
        /// The value.
        value: String,
    },
    /// One is made up, of that many letters and digits.
    Generated {
        /// How many.
        length: usize,
    },
    /// It has to be given.
    Required,
    /// Nothing.
    Optional,
}

/// A value that may be given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Input {
    /// Its name, as in `SECRET_TOKEN`: the Template's parameter.
    pub name: String,
    /// What it is.
    pub description: String,
    /// What there is when nobody gives it.
    pub value: InputValue,
    /// Whether it is a secret.
    pub secret: bool,
    /// Whether it is a number.
    pub number: bool,
    /// Whether the empty string is as good as nothing. A Template cannot leave out what is not given.
    pub may_be_empty: bool,
    /// Its path in the chart's values.
    pub path: Vec<String>,
    /// Where it goes.
    pub places: Vec<Place>,
}

/// The manifests of an application.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifests {
    /// The application's name: BuildConfig, ImageStream, workload, Service and Route are called so.
    pub name: String,
    /// The objects, in the order in which they are to be created. They hold no secret.
    pub objects: Vec<Manifest>,
    /// Values that may be given.
    pub inputs: Vec<Input>,
    /// What a person has to know, a line each.
    pub notes: Vec<String>,
}

impl Manifests {
    /// The input of that name.
    pub fn input(&self, name: &str) -> Option<&Input> {
        self.inputs.iter().find(|input| input.name == name)
    }

    /// Makes up the values that can be made up and were not given.
    ///
    /// # Errors
    /// When `random` gives no bytes.
    pub fn generate(
        &self,
        values: &mut Values,
        random: &mut impl std::io::Read,
    ) -> std::io::Result<()> {
        for input in &self.inputs {
            if let InputValue::Generated { length } = input.value
                && !values.has(&input.name)
            {
                values.set(&input.name, alphanumeric(length, random)?);
            }
        }
        Ok(())
    }

    /// The inputs without which something will wait, and that were not given.
    pub fn missing<'a>(&'a self, values: &Values) -> Vec<&'a Input> {
        self.inputs
            .iter()
            .filter(|input| {
                matches!(
                    input.value,
                    InputValue::Required | InputValue::Generated { .. }
                ) && !values.has(&input.name)
            })
            .collect()
    }

    /// The objects with these values in them. Where one is missing, so is its key.
    ///
    /// # Errors
    /// When a value is given that no object has a place for, or is no number where one is wanted.
    pub fn filled(&self, values: &Values) -> Result<Vec<Manifest>, V2Error> {
        let wrong = |reason: String| V2Error::Option {
            option: "--values",
            reason,
        };
        if let Some(name) = values.names().find(|name| self.input(name).is_none()) {
            let known: Vec<&str> = self
                .inputs
                .iter()
                .map(|input| input.name.as_str())
                .collect();
            return Err(wrong(format!(
                "the manifests have no place for {name}; they have {}",
                known.join(", ")
            )));
        }
        let mut objects = self.objects.clone();
        for input in &self.inputs {
            let Some(value) = values.get(&input.name) else {
                continue;
            };
            let text = value.expose_secret();
            let value = if input.number {
                let number: u32 = text
                    .parse()
                    .map_err(|_| wrong(format!("{} has to be a number", input.name)))?;
                Value::from(number)
            } else {
                Value::from(text)
            };
            for place in &input.places {
                if let Some(manifest) = objects.get_mut(place.object) {
                    put(&mut manifest.object, &place.pointer, value.clone());
                }
            }
        }
        Ok(objects)
    }
}

/// Puts a value at a place. What is missing on the way is made.
pub(super) fn put(object: &mut Value, pointer: &str, value: Value) {
    let mut at = object;
    for key in pointer.split('/').skip(1) {
        let key = key.replace("~1", "/").replace("~0", "~");
        if let Value::Array(list) = at {
            let Some(next) = key
                .parse::<usize>()
                .ok()
                .and_then(|index| list.get_mut(index))
            else {
                return;
            };
            at = next;
            continue;
        }
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(map) = at else {
            return;
        };
        at = map.entry(key).or_insert(Value::Null);
    }
    *at = value;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_put_into_places_that_are_not_there_yet() {
        let mut object = json!({"spec": {"list": [{"a": 1}]}});
        put(&mut object, "/spec/list/0/a", json!(2));
        put(&mut object, "/stringData/a~1b", json!("x"));
        put(&mut object, "/spec/list/7/a", json!("nowhere"));
        assert_eq!(
            object,
            json!({"spec": {"list": [{"a": 2}]}, "stringData": {"a/b": "x"}})
        );
    }
}
