//! The forms of manifests: they have to say the same.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use openshifter_v2::manifests::{InputValue, ManifestOptions, Manifests};
use serde_json::{Value, json};

use super::{all, flask, given, made, objects};
use crate::support::tools;

#[test]
fn the_forms_for_people_to_fill_in() {
    let manifests = made(&flask(), &ManifestOptions::default());
    let chart: BTreeMap<String, String> = manifests.chart().into_iter().collect();
    insta::assert_snapshot!(chart["values.yaml"], @r#"
    builder:
      # Tag of the builder's image stream.
      name: python:3.12
      # Project of the builder's image stream.
      namespace: openshift
    secrets:
      # The application's secret; V2's value (`rhc env`) keeps sessions valid. Made up where it is empty, and kept by upgrades.
      SECRET_TOKEN: ""
      # User of the database mysql. It has to be given.
      MYSQL_USER: ""
      # Password of the database mysql. It has to be given.
      MYSQL_PASSWORD: ""
      # Name of the database mysql.
      MYSQL_DATABASE: guestbook
    environment:
      # The variable GUESTBOOK_ADMIN, without which the application fails. It has to be given.
      GUESTBOOK_ADMIN: ""
    # Size of the claim guestbook-data.
    storage: "1Gi"
    # Storage class of the claims; the cluster's default otherwise.
    storageClass: ""
    # Memory of a container; the gear had it in V2.
    memory: "512Mi"
    route:
      # Host of the Route; the cluster's choice otherwise.
      host: ""
    "#);
    insta::assert_snapshot!(chart["templates/secret-guestbook-environment.yaml"], @r#"
    apiVersion: v1
    kind: Secret
    metadata:
      name: guestbook-environment
      labels:
        app: guestbook
        app.kubernetes.io/component: application
        app.kubernetes.io/managed-by: openshifter
        app.kubernetes.io/name: guestbook
        app.kubernetes.io/part-of: guestbook
    stringData:
      secret-token: {{ include "application.secret" (list $ "guestbook-environment" "secret-token" (index .Values "secrets" "SECRET_TOKEN") 64) }}
    "#);
    let template = manifests.template();
    insta::assert_json_snapshot!(template["parameters"], @r#"
    [
      {
        "description": "Tag of the builder's image stream",
        "name": "BUILDER",
        "required": true,
        "value": "python:3.12"
      },
      {
        "description": "Project of the builder's image stream",
        "name": "BUILDER_NAMESPACE",
        "required": true,
        "value": "openshift"
      },
      {
        "description": "The application's secret; V2's value (`rhc env`) keeps sessions valid",
        "from": "[a-zA-Z0-9]{64}",
        "generate": "expression",
        "name": "SECRET_TOKEN",
        "required": true
      },
      {
        "description": "The variable GUESTBOOK_ADMIN, without which the application fails",
        "name": "GUESTBOOK_ADMIN",
        "required": true
      },
      {
        "description": "User of the database mysql",
        "name": "MYSQL_USER",
        "required": true
      },
      {
        "description": "Password of the database mysql",
        "name": "MYSQL_PASSWORD",
        "required": true
      },
      {
        "description": "Name of the database mysql",
        "name": "MYSQL_DATABASE",
        "required": true,
        "value": "guestbook"
      },
      {
        "description": "Size of the claim guestbook-data",
        "name": "VOLUME_CAPACITY",
        "required": true,
        "value": "1Gi"
      },
      {
        "description": "Memory of a container; the gear had it in V2",
        "name": "MEMORY_LIMIT",
        "required": true,
        "value": "512Mi"
      },
      {
        "description": "Host of the Route; the cluster's choice otherwise",
        "name": "HOST"
      }
    ]
    "#);
}

/// What `oc process` does: parameters take the place of references to them, as text or, with two braces, as JSON.
fn processed(template: &Value, given: &BTreeMap<String, String>) -> Vec<Value> {
    let mut parameters = BTreeMap::new();
    for parameter in template["parameters"].as_array().expect("there are some") {
        let name = parameter["name"].as_str().expect("it has a name");
        let value = match given.get(name) {
            Some(value) => value.clone(),
            None => parameter["value"].as_str().unwrap_or_default().to_owned(),
        };
        assert!(
            !value.is_empty() || parameter["required"] != true,
            "{name} is required"
        );
        parameters.insert(name.to_owned(), value);
    }
    let objects = template["objects"].as_array().expect("there are objects");
    objects
        .iter()
        .map(|one| replaced(one, &parameters))
        .collect()
}

fn replaced(value: &Value, parameters: &BTreeMap<String, String>) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), replaced(value, parameters)))
            .collect(),
        Value::Array(list) => list.iter().map(|one| replaced(one, parameters)).collect(),
        Value::String(text) => {
            for (name, value) in parameters {
                if *text == format!("${{{{{name}}}}}") {
                    return serde_json::from_str(value).expect("it is JSON");
                }
            }
            let mut text = text.clone();
            for (name, value) in parameters {
                text = text.replace(&format!("${{{name}}}"), value);
            }
            Value::from(text)
        }
        other => other.clone(),
    }
}

#[test]
fn a_processed_template_is_the_plain_objects() {
    for (title, manifests) in all() {
        let template = manifests.template();
        let known: Vec<&str> = template["parameters"]
            .as_array()
            .expect("there are some")
            .iter()
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        let mut given = given(&manifests);
        given.retain(|name, _| known.contains(&name.as_str()));
        assert_eq!(
            processed(&template, &given),
            objects(&manifests, &given),
            "{title}"
        );
        for parameter in template["parameters"].as_array().expect("there are some") {
            let keys: Vec<&str> = parameter
                .as_object()
                .expect("it is one")
                .keys()
                .map(String::as_str)
                .collect();
            assert!(
                !(keys.contains(&"value") && keys.contains(&"generate")),
                "{title}: {parameter}"
            );
        }
    }
}

/// A chart in a folder, for helm.
struct Chart {
    folder: tempfile::TempDir,
}

impl Chart {
    fn of(manifests: &Manifests) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        for (name, text) in manifests.chart() {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a file has a folder"))
                .expect("a folder can be made");
            std::fs::write(&path, text).expect("it can be written");
        }
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Values for everything that is given, as a file.
    fn values(&self, manifests: &Manifests, given: &BTreeMap<String, String>) -> PathBuf {
        let mut all = json!({});
        for input in &manifests.inputs {
            let Some(value) = given.get(&input.name) else {
                continue;
            };
            let value = if input.number {
                json!(value.parse::<u32>().expect("it is a number"))
            } else {
                json!(value)
            };
            match input.path.as_slice() {
                [key] => all[key] = value,
                [group, key] => all[group][key] = value,
                other => panic!("{other:?}"),
            }
        }
        let path = self.folder.path().join("given.json");
        std::fs::write(&path, all.to_string()).expect("it can be written");
        path
    }

    fn helm(&self, args: &[&str]) -> Output {
        let output = Command::new(tools().join("helm"))
            .args(args)
            .arg(self.path())
            .env("KUBECONFIG", "/dev/null")
            .output()
            .expect("helm starts");
        std::io::stderr()
            .write_all(&output.stderr)
            .expect("it can be shown");
        output
    }
}

fn documents(text: &str) -> Vec<Value> {
    text.split("\n---\n")
        .map(|document| document.trim_start_matches("---\n"))
        .filter(|document| !document.trim().is_empty())
        .map(|document| {
            serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error} in {document}"))
        })
        .collect()
}

fn sorted(mut objects: Vec<Value>) -> Vec<Value> {
    for object in &mut objects {
        // A mapping whose keys are all left out is null to helm.
        if let Value::Object(map) = object {
            map.retain(|_, value| !value.is_null());
        }
    }
    objects.sort_by_key(|object| format!("{} {}", object["kind"], object["metadata"]["name"]));
    objects
}

#[test]
fn helm_makes_the_plain_objects_of_the_chart() {
    for (title, manifests) in all() {
        let chart = Chart::of(&manifests);
        let every = given(&manifests);
        let required: BTreeMap<String, String> = every
            .iter()
            .filter(|(name, _)| {
                let input = manifests.input(name).expect("it is known");
                matches!(
                    input.value,
                    InputValue::Required | InputValue::Generated { .. }
                )
            })
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        for given in [&every, &required] {
            let file = chart.values(&manifests, given);
            let file = file.to_str().expect("it is text");
            // Helm warns of the API versions that old clusters have.
            let is_old = manifests
                .objects
                .iter()
                .any(|one| one.object["apiVersion"] == "batch/v1beta1");
            let strict = if is_old { "--quiet" } else { "--strict" };
            let output = chart.helm(&["lint", strict, "-f", file]);
            assert!(output.status.success(), "{title}");
            let output = chart.helm(&["template", "release", "-f", file]);
            assert!(output.status.success(), "{title}");
            let text = String::from_utf8(output.stdout).expect("it is text");
            assert_eq!(
                sorted(documents(&text)),
                sorted(objects(&manifests, given)),
                "{title}"
            );
        }
    }
}

#[test]
fn helm_asks_for_what_has_to_be_given_and_makes_up_the_rest() {
    let manifests = made(&flask(), &ManifestOptions::default());
    let chart = Chart::of(&manifests);
    let output = chart.helm(&["template", "release"]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("has to be given"), "{said}");

    let given = [
        ("GUESTBOOK_ADMIN", "me"),
        ("MYSQL_USER", "u"),
        ("MYSQL_PASSWORD", "p"),
    ];
    let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let file = chart.values(&manifests, &given.into());
    let token = || {
        let output = chart.helm(&["template", "release", "-f", file.to_str().expect("text")]);
        let text = String::from_utf8(output.stdout).expect("it is text");
        let secret = documents(&text)
            .into_iter()
            .find(|one| one["kind"] == "Secret" && one["stringData"]["secret-token"].is_string())
            .expect("there is one");
        secret["stringData"]["secret-token"]
            .as_str()
            .expect("it is text")
            .to_owned()
    };
    let (first, second) = (token(), token());
    assert!(first.len() == 64 && first.chars().all(|c| c.is_ascii_alphanumeric()));
    assert_ne!(first, second);
}
