//! The manifests as a Helm chart: values are its values.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::model::{Input, InputValue, Manifests, put};
use super::pods::NO_IMAGE;
use super::yaml::{self, Hole, Holes, string};

/// Secrets: what is given, else what the cluster has already, else something new. An upgrade must not change a password that a database has.
///
/// Images and triggers: what the cluster's controllers have made of them. An upgrade that took them back would be a conflict for a
/// server-side apply, and a needless rollout for any other.
const HELPERS: &str = r#"{{/* A secret as JSON: (list $ "name of the Secret" "key" "given value" length). */}}
{{- define "application.secret" -}}
{{- $root := index . 0 -}}
{{- $there := lookup "v1" "Secret" $root.Release.Namespace (index . 1) -}}
{{- $kept := index (default (dict) (get (default (dict) $there) "data")) (index . 2) -}}
{{- if index . 3 -}}{{- index . 3 | toString | toJson -}}
{{- else if $kept -}}{{- $kept | b64dec | toJson -}}
{{- else -}}{{- randAlphaNum (int (index . 4)) | toJson -}}
{{- end -}}
{{- end -}}

{{/* What the cluster has at a place of an object, as JSON, else what is said: (list $ "version" "Kind" "name" "a.b" "JSON"). */}}
{{- define "application.there" -}}
{{- $root := index . 0 -}}
{{- $at := lookup (index . 1) (index . 2) $root.Release.Namespace (index . 3) -}}
{{- range $key := splitList "." (index . 4) -}}{{- $at = get (default (dict) $at) $key -}}{{- end -}}
{{- if $at -}}{{- $at | toJson -}}{{- else -}}{{- index . 5 -}}{{- end -}}
{{- end -}}

{{/* The image that a container in the cluster has, as JSON, else none: (list $ "version" "Kind" "name" "a.b" "container"). */}}
{{- define "application.image" -}}
{{- $image := " " -}}
{{- $there := include "application.there" (list (index . 0) (index . 1) (index . 2) (index . 3) (index . 4) "[]") -}}
{{- range $container := fromJsonArray $there -}}
{{- if eq $container.name (index $ 5) -}}{{- $image = $container.image -}}{{- end -}}
{{- end -}}
{{- $image | toJson -}}
{{- end -}}
"#;

impl Manifests {
    /// The chart's files: their paths in it, and their text. It holds no secret.
    pub fn chart(&self) -> Vec<(String, String)> {
        let mut files = vec![
            ("Chart.yaml".to_owned(), self.chart_yaml()),
            ("values.yaml".to_owned(), self.values_yaml()),
            ("values.schema.json".to_owned(), self.schema()),
            ("templates/_helpers.tpl".to_owned(), HELPERS.to_owned()),
            (
                "templates/NOTES.txt".to_owned(),
                // Braces would be an action.
                self.message().replace("{{", "{ {"),
            ),
        ];
        let mut holes = Holes::default();
        for (at, manifest) in self.objects.iter().enumerate() {
            let mut object = manifest.object.clone();
            for input in &self.inputs {
                for place in input.places.iter().filter(|place| place.object == at) {
                    let hole = hole(input, manifest.name(), &place.pointer);
                    put(&mut object, &place.pointer, holes.add(hole));
                }
            }
            for (pointer, hole) in kept(&manifest.object) {
                put(&mut object, &pointer, holes.add(hole));
            }
            files.push((
                format!(
                    "templates/{}-{}.yaml",
                    manifest.kind().to_lowercase(),
                    manifest.name()
                ),
                yaml::document(&object, &holes),
            ));
        }
        files
    }

    fn chart_yaml(&self) -> String {
        let chart = json!({
            "apiVersion": "v2",
            "name": self.name,
            "description": format!("The application {}, which ran on OpenShift V2.", self.name),
            "type": "application",
            "version": "0.1.0",
        });
        yaml::document(&chart, &Holes::default())
    }

    fn values_yaml(&self) -> String {
        let mut groups: Vec<(&str, Vec<&Input>)> = Vec::new();
        for input in &self.inputs {
            let Some(first) = input.path.first() else {
                continue;
            };
            match groups.iter_mut().find(|(name, _)| name == first) {
                Some((_, inputs)) => inputs.push(input),
                None => groups.push((first, vec![input])),
            }
        }
        let mut text = String::new();
        for (name, inputs) in groups {
            if inputs.iter().any(|input| input.path.len() > 1) {
                let _ = writeln!(text, "{}:", string(name));
            }
            for input in inputs {
                let (pad, key) = match input.path.get(1) {
                    Some(key) => ("  ", key),
                    None => ("", &input.path[0]),
                };
                let more = match input.value {
                    InputValue::Generated { .. } => {
                        " Made up where it is empty, and kept by upgrades."
                    }
                    InputValue::Required => " It has to be given.",
                    _ => "",
                };
                let _ = writeln!(text, "{pad}# {}.{more}", input.description);
                let value = match &input.value {
                    InputValue::Default { value } if input.number => value.clone(),
                    InputValue::Default { value } => string(value),
                    _ => "\"\"".to_owned(),
                };
                let _ = writeln!(text, "{pad}{}: {value}", string(key));
            }
        }
        text
    }

    fn schema(&self) -> String {
        let mut properties = Map::new();
        for input in &self.inputs {
            let kind = if input.number {
                json!({"type": "integer", "minimum": 0})
            } else {
                json!({"type": ["string", "number", "boolean", "null"]})
            };
            match input.path.as_slice() {
                [group, key] => {
                    let group = properties
                        .entry(group.clone())
                        .or_insert_with(|| json!({"type": "object", "properties": {}}));
                    group["properties"][key] = kind;
                }
                [key, ..] => {
                    properties.insert(key.clone(), kind);
                }
                [] => {}
            }
        }
        let schema = BTreeMap::from([
            ("$schema", json!("http://json-schema.org/draft-07/schema#")),
            ("type", json!("object")),
            ("properties", Value::Object(properties)),
        ]);
        let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// A string of the template language: JSON's escapes are all among its own.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn hole(input: &Input, object: &str, pointer: &str) -> Hole {
    let path: Vec<String> = input.path.iter().map(|key| quoted(key)).collect();
    let value = format!("index .Values {}", path.join(" "));
    let always = |expression| Hole {
        expression,
        only_if: None,
    };
    match &input.value {
        InputValue::Default { .. } if input.number => always(format!("{value} | int")),
        // A value that was taken away is not what anybody means.
        InputValue::Default { value: preset } => always(format!(
            "{value} | default {} | toString | toJson",
            quoted(preset)
        )),
        InputValue::Required => always(format!(
            "required {} ({value}) | toString | toJson",
            quoted(&format!(
                "the value {} has to be given: {}",
                input.path.join("."),
                input.description
            ))
        )),
        InputValue::Optional => Hole {
            expression: format!("{value} | toString | toJson"),
            only_if: Some(value),
        },
        InputValue::Generated { length } => {
            let key = pointer.rsplit('/').next().unwrap_or_default();
            let key = key.replace("~1", "/").replace("~0", "~");
            always(format!(
                "include \"application.secret\" (list $ {} {} ({value}) {length})",
                quoted(object),
                quoted(&key)
            ))
        }
    }
}

/// The places of an object that the cluster's controllers fill in.
fn kept(object: &Value) -> Vec<(String, Hole)> {
    let text = |pointer: &str| {
        quoted(
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default(),
        )
    };
    let of = format!(
        "(list $ {} {} {}",
        text("/apiVersion"),
        text("/kind"),
        text("/metadata/name")
    );
    let always = |expression| Hole {
        expression,
        only_if: None,
    };
    let mut all = Vec::new();
    let pods = if object["kind"] == "CronJob" {
        "spec.jobTemplate.spec.template.spec"
    } else {
        "spec.template.spec"
    };
    for list in ["initContainers", "containers"] {
        let pointer = format!("/{}/{list}", pods.replace('.', "/"));
        let containers = object.pointer(&pointer).and_then(Value::as_array);
        for (at, container) in containers.into_iter().flatten().enumerate() {
            if container["image"] == NO_IMAGE {
                let name = quoted(container["name"].as_str().unwrap_or_default());
                let place = quoted(&format!("{pods}.{list}"));
                let expression = format!("include \"application.image\" {of} {place} {name})");
                all.push((format!("{pointer}/{at}/image"), always(expression)));
            }
        }
    }
    let triggers = &object["spec"]["triggers"];
    if triggers.as_array().is_some_and(|list| !list.is_empty()) {
        let preset = quoted(&triggers.to_string());
        let expression = format!("include \"application.there\" {of} \"spec.triggers\" {preset})");
        all.push(("/spec/triggers".to_owned(), always(expression)));
    }
    all
}
