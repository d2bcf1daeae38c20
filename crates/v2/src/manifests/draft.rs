//! Manifests while they are put together.

use serde_json::{Map, Value, json};

use super::model::{Input, InputValue, Manifest, Manifests, Place, Stage};
use super::options::ManifestOptions;
use crate::Needs;

pub(super) struct Draft<'a> {
    pub(super) needs: &'a Needs,
    pub(super) options: &'a ManifestOptions,
    objects: Vec<Manifest>,
    inputs: Vec<Input>,
    notes: Vec<String>,
}

/// What of the application an object belongs to: the label `app.kubernetes.io/component`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Component {
    Application,
    Database,
    Jobs,
}

impl Component {
    fn label(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Database => "database",
            Self::Jobs => "jobs",
        }
    }
}

impl<'a> Draft<'a> {
    pub(super) fn new(needs: &'a Needs, options: &'a ManifestOptions) -> Self {
        Self {
            needs,
            options,
            objects: Vec::new(),
            inputs: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds an object, and says which it is.
    pub(super) fn add(&mut self, stage: Stage, object: Value) -> usize {
        self.objects.push(Manifest { stage, object });
        self.objects.len() - 1
    }

    /// Adds an input, or more places to the one of that name.
    pub(super) fn input(&mut self, input: Input) {
        match self.inputs.iter_mut().find(|one| one.name == input.name) {
            Some(known) => known.places.extend(input.places),
            None => self.inputs.push(input),
        }
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// The labels of an object that is called so.
    pub(super) fn labels(&self, name: &str, component: Component) -> Value {
        json!({
            "app": self.needs.name,
            "app.kubernetes.io/name": name,
            "app.kubernetes.io/component": component.label(),
            "app.kubernetes.io/part-of": self.needs.name,
            "app.kubernetes.io/managed-by": "openshifter",
        })
    }

    /// The labels by which pods are found: never those of another component.
    pub(super) fn selector(&self, name: &str, component: Component) -> Value {
        json!({
            "app.kubernetes.io/name": name,
            "app.kubernetes.io/component": component.label(),
        })
    }

    /// Name and labels of an object of the application.
    pub(super) fn metadata(&self, name: &str, component: Component) -> Value {
        let of = match component {
            Component::Database => name,
            _ => &self.needs.name,
        };
        json!({"name": name, "labels": self.labels(of, component)})
    }

    pub(super) fn finish(mut self) -> Manifests {
        // An object without content has no empty field for it either.
        for manifest in &mut self.objects {
            if let Value::Object(map) = &mut manifest.object {
                for key in ["data", "stringData"] {
                    if map
                        .get(key)
                        .and_then(Value::as_object)
                        .is_some_and(Map::is_empty)
                    {
                        map.remove(key);
                    }
                }
            }
        }
        Manifests {
            name: self.needs.name.clone(),
            objects: self.objects,
            inputs: self.inputs,
            notes: self.notes,
        }
    }
}

impl Input {
    /// A value that the objects hold already.
    pub(super) fn preset(
        name: &str,
        path: &[&str],
        value: impl Into<String>,
        description: &str,
    ) -> Self {
        Self::new(
            name,
            path,
            InputValue::Default {
                value: value.into(),
            },
            description,
        )
    }

    pub(super) fn new(name: &str, path: &[&str], value: InputValue, description: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: description.to_owned(),
            value,
            secret: false,
            number: false,
            may_be_empty: false,
            path: path.iter().map(|&key| key.to_owned()).collect(),
            places: Vec::new(),
        }
    }

    pub(super) fn at(mut self, object: usize, pointer: impl Into<String>) -> Self {
        self.places.push(Place {
            object,
            pointer: pointer.into(),
        });
        self
    }

    pub(super) fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    pub(super) fn number(mut self) -> Self {
        self.number = true;
        self
    }

    pub(super) fn may_be_empty(mut self) -> Self {
        self.may_be_empty = true;
        self
    }
}

/// A key as a part of a JSON pointer.
pub(super) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
