//! OpenShift's own kinds, field by field, against objects as a genuine OpenShift answers them. Kubernetes' kinds are dry-run
//! by genuine servers in the suite on clusters, pod templates among them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{all, given, objects};

/// BuildConfigs, ImageStreams, Routes, DeploymentConfigs and autoscalers (`autoscaling/v2`) as a server of OpenShift
/// answered them.
const RECORDED: &str = include_str!("../../recorded/openshift.json");

/// Fields of the API's reference that the recorded objects do not happen to have.
const BESIDES: [(&str, &str, &str); 12] = [
    // BuildPostCommitSpec
    ("BuildConfig", "/spec/postCommit/script", "string"),
    // SourceBuildStrategy
    (
        "BuildConfig",
        "/spec/strategy/sourceStrategy/from/namespace",
        "string",
    ),
    (
        "BuildConfig",
        "/spec/strategy/sourceStrategy/incremental",
        "boolean",
    ),
    // BuildSource, BuildTriggerPolicy: empty objects
    ("BuildConfig", "/spec/source/binary", "object"),
    ("BuildConfig", "/spec/triggers/-/imageChange", "object"),
    // RollingDeploymentStrategyParams: numbers or percentages
    (DC, "/spec/strategy/rollingParams/maxSurge", "number"),
    (DC, "/spec/strategy/rollingParams/maxUnavailable", "number"),
    // LifecycleHook, ExecNewPodHook
    (DC, "/spec/strategy/rollingParams/pre", "object"),
    (
        DC,
        "/spec/strategy/rollingParams/pre/failurePolicy",
        "string",
    ),
    (DC, "/spec/strategy/rollingParams/pre/execNewPod", "object"),
    (
        DC,
        "/spec/strategy/rollingParams/pre/execNewPod/command",
        "array",
    ),
    (
        DC,
        "/spec/strategy/rollingParams/pre/execNewPod/containerName",
        "string",
    ),
];

const DC: &str = "DeploymentConfig";

type Field = (String, String, &'static str);

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// All fields of an object with their types; items of lists are one, and names that are anybody's choice, too.
fn fields(kind: &str, value: &Value, path: &str, found: &mut BTreeSet<Field>) {
    // Kubernetes' own.
    if path == "/spec/template" {
        return;
    }
    found.insert((kind.to_owned(), path.to_owned(), type_of(value)));
    match value {
        Value::Object(map) => {
            let any_name = [
                "/labels",
                "/annotations",
                "/selector",
                "/limits",
                "/requests",
            ]
            .iter()
            .any(|end| path.ends_with(end));
            for (name, below) in map {
                let name = if any_name { "*" } else { name };
                fields(kind, below, &format!("{path}/{name}"), found);
            }
        }
        Value::Array(items) => {
            // Lists of words have no fields.
            for below in items.iter().filter(|item| !item.is_string()) {
                fields(kind, below, &format!("{path}/-"), found);
            }
        }
        _ => {}
    }
}

fn kind(object: &Value) -> &str {
    object["kind"].as_str().expect("an object has a kind")
}

#[test]
fn every_field_is_one_that_a_genuine_openshift_knows() {
    let recorded: Vec<Value> = serde_json::from_str(RECORDED).expect("it is JSON");
    let versions: BTreeSet<(&str, &str)> = recorded
        .iter()
        .map(|object| (kind(object), object["apiVersion"].as_str().expect("one")))
        .collect();
    let mut known: BTreeSet<Field> = BESIDES
        .iter()
        .map(|(kind, path, kind_of)| ((*kind).to_owned(), (*path).to_owned(), *kind_of))
        .collect();
    for object in &recorded {
        fields(kind(object), object, "", &mut known);
    }
    let mut seen = BTreeSet::new();
    for (name, manifests) in all() {
        for object in objects(&manifests, &given(&manifests)) {
            let version = object["apiVersion"].as_str().expect("one");
            if !versions.contains(&(kind(&object), version)) {
                assert!(
                    !version.contains("openshift.io"),
                    "{version} was not recorded"
                );
                continue;
            }
            seen.insert(kind(&object).to_owned());
            let mut ours = BTreeSet::new();
            fields(kind(&object), &object, "", &mut ours);
            let unknown: Vec<&Field> = ours.difference(&known).collect();
            assert!(unknown.is_empty(), "{name}: {unknown:?}");
        }
    }
    let expected = ["BuildConfig", "DeploymentConfig", "ImageStream", "Route"];
    assert!(expected.iter().all(|kind| seen.contains(*kind)), "{seen:?}");
}
