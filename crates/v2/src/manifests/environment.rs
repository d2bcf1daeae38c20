//! The workload's environment, and the Secret and the ConfigMap that it comes from. Nothing of it is in the image.

use serde_json::{Value, json};

use super::database;
use super::draft::{Component, Draft, escaped};
use super::model::{Input, InputValue, Stage};
use crate::needs::NeedsVariable;
use crate::variables::{SecretOf, Source};

/// How many letters and digits a made-up token has: more than the 50 that Django asks of its secret key.
const TOKEN_LENGTH: usize = 64;

/// Names that inputs of other things have.
const TAKEN: &[&str] = &[
    "APP_UUID",
    "BUILDER",
    "BUILDER_NAMESPACE",
    "DATABASE_VOLUME_CAPACITY",
    "HOST",
    "MAX_REPLICAS",
    "MEMORY_LIMIT",
    "REPLICAS",
    "SECRET_TOKEN",
    "SOURCE_REF",
    "SOURCE_URI",
    "STORAGE_CLASS",
    "VOLUME_CAPACITY",
];

/// The environment, as containers of the application list it.
pub(super) struct Environment(pub(super) Value);

/// The Secret and the ConfigMap with what is neither the database's nor fixed.
fn name(draft: &Draft<'_>) -> String {
    format!("{}-environment", draft.needs.name)
}

pub(super) fn add(draft: &mut Draft<'_>) -> Environment {
    let name = name(draft);
    let (mut list, mut secrets, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    // V2 named the database after the application, and settings rely on it.
    if let Some(database) = database::renamed(draft.needs) {
        list.push(json!({"name": "OPENSHIFT_APP_NAME", "value": database}));
    }
    for variable in &draft.needs.variables {
        let from = match &variable.source {
            Some(Source::Value { value }) => {
                list.push(json!({"name": variable.name, "value": value}));
                continue;
            }
            Some(Source::Field { path }) => {
                json!({"fieldRef": {"apiVersion": "v1", "fieldPath": path}})
            }
            Some(Source::Secret {
                of: SecretOf::Database,
                key,
                ..
            }) => database::reference(draft.needs, &variable.name, key),
            Some(Source::Secret {
                of: SecretOf::Application,
                key,
                generated,
            }) => {
                secrets.push((key.clone(), token(key, *generated)));
                json!({"secretKeyRef": {"name": name, "key": key}})
            }
            Some(Source::RouteHost) => {
                let key = key(&variable.name);
                texts.push((key.clone(), host(draft)));
                json!({"configMapKeyRef": {"name": name, "key": key}})
            }
            None => {
                let key = key(&variable.name);
                let kind = if variable.secret {
                    secrets.push((key.clone(), given(variable)));
                    "secretKeyRef"
                } else {
                    texts.push((key.clone(), given(variable)));
                    "configMapKeyRef"
                };
                let mut reference = json!({"name": name, "key": key});
                if !variable.required {
                    reference["optional"] = json!(true);
                }
                let mut from = json!({});
                from[kind] = reference;
                from
            }
        };
        list.push(json!({"name": variable.name, "valueFrom": from}));
    }
    for (kind, field, entries) in [
        ("Secret", "stringData", secrets),
        ("ConfigMap", "data", texts),
    ] {
        if entries.is_empty() {
            continue;
        }
        let metadata = draft.metadata(&name, Component::Application);
        let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": metadata});
        object[field] = json!({});
        for (key, input) in &entries {
            if let InputValue::Default { value } = &input.value {
                object[field][key] = json!(value);
            }
        }
        let at = draft.add(Stage::Configuration, object);
        for (key, input) in entries {
            draft.input(input.at(at, format!("/{field}/{}", escaped(&key))));
        }
    }
    Environment(Value::from(list))
}

/// The Route's host, where a variable wants it.
fn host(draft: &Draft<'_>) -> Input {
    let description = "Host of the Route, which the application also has to know";
    match &draft.options.host {
        Some(host) => Input::preset("HOST", &["route", "host"], host, description),
        None => Input::new(
            "HOST",
            &["route", "host"],
            InputValue::Required,
            description,
        ),
    }
}

fn token(key: &str, generated: bool) -> Input {
    let name = key.to_ascii_uppercase().replace(['-', '.'], "_");
    let value = if generated {
        InputValue::Generated {
            length: TOKEN_LENGTH,
        }
    } else {
        InputValue::Required
    };
    Input::new(
        &name,
        &["secrets", &name],
        value,
        if key == "app-uuid" {
            "The application's id, which never changes; V2's value (`rhc env`) keeps what was made with it"
        } else {
            "The application's secret; V2's value (`rhc env`) keeps sessions valid"
        },
    )
    .secret()
}

/// What a person set with `rhc env set`.
fn given(variable: &NeedsVariable) -> Input {
    let parameter: String = variable
        .name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    let parameter = if TAKEN.contains(&parameter.as_str()) {
        format!("APP_{parameter}")
    } else {
        parameter
    };
    let group = if variable.secret {
        "secrets"
    } else {
        "environment"
    };
    let (value, description) = if variable.required {
        (
            InputValue::Required,
            format!(
                "The variable {}, without which the application fails",
                variable.name
            ),
        )
    } else {
        (
            InputValue::Optional,
            format!(
                "The variable {}; the application has a default",
                variable.name
            ),
        )
    };
    let mut input = Input::new(&parameter, &[group, &parameter], value, &description);
    input.secret = variable.secret;
    input
}

/// A variable's name as a key of a ConfigMap or Secret.
fn key(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-._".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect()
}
