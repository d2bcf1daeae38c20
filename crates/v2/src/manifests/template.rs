//! The manifests as an OpenShift Template: values are its parameters.

use serde_json::{Value, json};

use super::model::{Input, InputValue, Manifests, put};
use super::yaml::{self, Holes};

impl Manifests {
    /// The Template. Secrets that can be made up are made up by the cluster when it is processed.
    ///
    /// What may be left out has no parameter where the empty string would be another thing: a Template cannot leave out a key.
    pub fn template(&self) -> Value {
        let inputs: Vec<&Input> = self
            .inputs
            .iter()
            .filter(|input| input.value != InputValue::Optional || input.may_be_empty)
            .collect();
        let mut objects: Vec<Value> = self
            .objects
            .iter()
            .map(|manifest| manifest.object.clone())
            .collect();
        for input in &inputs {
            // Two braces make a number of it.
            let reference = if input.number {
                format!("${{{{{}}}}}", input.name)
            } else {
                format!("${{{}}}", input.name)
            };
            for place in &input.places {
                if let Some(object) = objects.get_mut(place.object) {
                    put(object, &place.pointer, Value::from(reference.as_str()));
                }
            }
        }
        let parameters: Vec<Value> = inputs.iter().map(|input| parameter(input)).collect();
        json!({
            "apiVersion": "template.openshift.io/v1",
            "kind": "Template",
            "metadata": {
                "name": self.name,
                "labels": {"app": self.name},
                "annotations": {
                    "description": format!("The application {}, which ran on OpenShift V2.", self.name),
                    "iconClass": "icon-python",
                    "tags": "python",
                },
            },
            "message": self.message(),
            "parameters": parameters,
            "objects": objects,
        })
    }

    /// The Template as YAML.
    pub fn template_yaml(&self) -> String {
        yaml::document(&self.template(), &Holes::default())
    }

    /// The notes as lines of a list.
    pub(super) fn message(&self) -> String {
        self.notes
            .iter()
            .map(|note| format!("* {note}\n"))
            .collect()
    }
}

fn parameter(input: &Input) -> Value {
    let mut parameter = json!({"name": input.name, "description": input.description});
    match &input.value {
        InputValue::Default { value } => {
            parameter["value"] = json!(value);
            if !input.may_be_empty {
                parameter["required"] = json!(true);
            }
        }
        InputValue::Generated { length } => {
            parameter["generate"] = json!("expression");
            parameter["from"] = json!(format!("[a-zA-Z0-9]{{{length}}}"));
            parameter["required"] = json!(true);
        }
        InputValue::Required => parameter["required"] = json!(true),
        InputValue::Optional => {}
    }
    parameter
}
