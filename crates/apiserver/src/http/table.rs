//! Objects as tables for people, as `kubectl get` asks for them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::handlers;
use crate::catalogue::ResourceType;
use crate::metadata;

const COLUMNS: &str = include_str!("../catalogue/columns.txt");
const NAME_DESCRIPTION: &str = "Name must be unique within a namespace. Is required when creating resources, although \
    some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily \
    intended for creation idempotence and configuration definition. Cannot be updated. More info: \
    https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";

struct Column {
    name: String,
    source: String,
    wide: bool,
    kind: String,
}

fn columns(kind: &ResourceType) -> Vec<Column> {
    let id = kind.id().to_string();
    let age = || Column {
        name: "Age".to_owned(),
        source: "@age".to_owned(),
        wide: false,
        kind: "string".to_owned(),
    };
    if let Some(custom) = &kind.custom {
        if custom.columns.is_empty() {
            return vec![Column {
                kind: "date".to_owned(),
                ..age()
            }];
        }
        return custom
            .columns
            .iter()
            .map(|column| Column {
                name: column["name"].as_str().unwrap_or_default().to_owned(),
                source: column["jsonPath"].as_str().unwrap_or_default().to_owned(),
                wide: column["priority"].as_i64().unwrap_or(0) > 0,
                kind: column["type"].as_str().unwrap_or("string").to_owned(),
            })
            .collect();
    }
    COLUMNS
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(resource, _)| *resource == id)
        .map(|(_, columns)| {
            columns
                .split(' ')
                .filter_map(|column| column.split_once('='))
                .map(|(name, source)| Column {
                    name: name.trim_start_matches('+').replace('_', " "),
                    source: source.to_owned(),
                    wide: name.starts_with('+'),
                    kind: "string".to_owned(),
                })
                .collect()
        })
        .unwrap_or_else(|| vec![age()])
}

/// A table of objects.
pub(crate) fn table(
    kind: &ResourceType,
    objects: &[Value],
    metadata: Value,
    include_object: Option<&str>,
) -> Value {
    let columns = columns(kind);
    let mut definitions = vec![json!({
        "name": "Name",
        "type": "string",
        "format": "name",
        "description": NAME_DESCRIPTION,
        "priority": 0,
    })];
    definitions.extend(columns.iter().map(|column| {
        json!({
            "name": column.name,
            "type": column.kind,
            "format": "",
            "description": "",
            "priority": i32::from(column.wide),
        })
    }));
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let mut cells = vec![json!(metadata::name(object))];
            cells.extend(columns.iter().map(|column| cell(&column.source, object)));
            let mut row = json!({ "cells": cells });
            match include_object {
                Some("None") => {}
                Some("Object") => row["object"] = object.clone(),
                _ => row["object"] = handlers::partial(object),
            }
            row
        })
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

fn path<'a>(object: &'a Value, path: &str) -> &'a Value {
    path.split('.')
        .filter(|part| !part.is_empty())
        .fold(object, |value, part| &value[part])
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn joined(values: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = values.collect();
    if all.is_empty() {
        "<none>".to_owned()
    } else {
        all.join(",")
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// How long ago, in the short form of `kubectl`.
fn since(time: &Value) -> String {
    let Some(time) = time
        .as_str()
        .and_then(|time| time.parse::<Timestamp>().ok())
    else {
        return "<unknown>".to_owned();
    };
    duration(Timestamp::now().as_second() - time.as_second())
}

fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 if seconds % 60 > 0 => format!("{minutes}m{}s", seconds % 60),
        120..10_800 => format!("{minutes}m"),
        10_800..28_800 if minutes % 60 > 0 => format!("{hours}h{}m", minutes % 60),
        10_800..172_800 => format!("{hours}h"),
        172_800..691_200 if hours % 24 > 0 => format!("{days}d{}h", hours % 24),
        _ if days < 730 => format!("{days}d"),
        _ => format!("{}y", days / 365),
    }
}

fn cell(source: &str, object: &Value) -> Value {
    if let Some(path_text) = source.strip_prefix('#') {
        return json!(number(path(object, path_text)));
    }
    let Some(name) = source.strip_prefix('@') else {
        return match path(object, source) {
            Value::Null => json!(
                if source == ".spec.timeZone" || source == ".spec.clusterIP" {
                    "<none>"
                } else {
                    ""
                }
            ),
            value => value.clone(),
        };
    };
    let spec = &object["spec"];
    let status = &object["status"];
    json!(match name {
        "age" => since(&object["metadata"]["creationTimestamp"]),
        "none" => "<none>".to_owned(),
        "unset" => "<unset>".to_owned(),
        "ready" => {
            let ready = list(&status["containerStatuses"])
                .filter(|container| container["ready"] == true)
                .count();
            format!("{ready}/{}", list(&spec["containers"]).count())
        }
        "podStatus" => pod_status(object),
        "restarts" => list(&status["containerStatuses"])
            .map(|container| number(&container["restartCount"]))
            .sum::<i64>()
            .to_string(),
        "readyReplicas" => format!(
            "{}/{}",
            number(&status["readyReplicas"]),
            spec["replicas"].as_i64().unwrap_or(1)
        ),
        "containers" => joined(
            list(&spec["template"]["spec"]["containers"]).map(|container| text(&container["name"]))
        ),
        "images" => joined(
            list(&spec["template"]["spec"]["containers"])
                .map(|container| text(&container["image"]))
        ),
        "selector" => labels(&spec["selector"]),
        "podSelector" => labels(&spec["podSelector"]),
        "externalIP" => match spec["type"].as_str() {
            Some("ExternalName") => text(&spec["externalName"]),
            Some("LoadBalancer") => "<pending>".to_owned(),
            _ => "<none>".to_owned(),
        },
        "servicePorts" => joined(list(&spec["ports"]).map(|port| {
            let node = match port["nodePort"].as_i64() {
                Some(node) => format!(":{node}"),
                None => String::new(),
            };
            format!(
                "{}{node}/{}",
                port["port"],
                port["protocol"].as_str().unwrap_or("TCP")
            )
        })),
        "jobStatus" => job_status(object).to_owned(),
        "completions" => format!(
            "{}/{}",
            number(&status["succeeded"]),
            spec["completions"].as_i64().unwrap_or(1)
        ),
        "jobDuration" => {
            let second = |field: &str| {
                status[field]
                    .as_str()
                    .and_then(|time| time.parse::<Timestamp>().ok())
                    .map(Timestamp::as_second)
            };
            match (second("startTime"), second("completionTime")) {
                (Some(start), Some(end)) => duration(end - start),
                (Some(start), None) => duration(Timestamp::now().as_second() - start),
                _ => String::new(),
            }
        }
        "active" => list(&status["active"]).count().to_string(),
        "lastSchedule" => match &status["lastScheduleTime"] {
            Value::Null => "<none>".to_owned(),
            time => since(time),
        },
        "dataCount" => (object["data"].as_object().map_or(0, serde_json::Map::len)
            + object["binaryData"]
                .as_object()
                .map_or(0, serde_json::Map::len))
        .to_string(),
        "secretCount" => list(&object["secrets"]).count().to_string(),
        "accessModes" => {
            let modes = if status["accessModes"].is_array() {
                &status["accessModes"]
            } else {
                &spec["accessModes"]
            };
            list(modes)
                .map(|mode| match mode.as_str() {
                    Some("ReadWriteOnce") => "RWO",
                    Some("ReadOnlyMany") => "ROX",
                    Some("ReadWriteMany") => "RWX",
                    Some("ReadWriteOncePod") => "RWOP",
                    _ => "",
                })
                .collect::<Vec<_>>()
                .join(",")
        }
        "claim" => match spec["claimRef"]["name"].as_str() {
            Some(name) => format!("{}/{name}", text(&spec["claimRef"]["namespace"])),
            None => String::new(),
        },
        "nodeStatus" => {
            let ready = list(&status["conditions"])
                .any(|one| one["type"] == "Ready" && one["status"] == "True");
            if ready { "Ready" } else { "NotReady" }.to_owned()
        }
        "roles" => joined(
            object["metadata"]["labels"]
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(label, _)| label.strip_prefix("node-role.kubernetes.io/"))
                .map(str::to_owned)
        ),
        "lastSeen" => since(match &object["lastTimestamp"] {
            Value::Null => &object["eventTime"],
            time => time,
        }),
        "involved" => {
            let about = &object["involvedObject"];
            format!(
                "{}/{}",
                text(&about["kind"]).to_lowercase(),
                text(&about["name"])
            )
        }
        "endpoints" => joined(list(&object["subsets"]).flat_map(|subset| {
            list(&subset["addresses"])
                .flat_map(move |address| {
                    list(&subset["ports"])
                        .map(move |port| format!("{}:{}", text(&address["ip"]), port["port"]))
                })
                .collect::<Vec<_>>()
        })),
        "hosts" => joined(list(&spec["rules"]).map(|rule| match &rule["host"] {
            Value::Null => "*".to_owned(),
            host => text(host),
        })),
        "scaleTarget" => format!(
            "{}/{}",
            text(&spec["scaleTargetRef"]["kind"]),
            text(&spec["scaleTargetRef"]["name"])
        ),
        "role" => format!(
            "{}/{}",
            text(&object["roleRef"]["kind"]),
            text(&object["roleRef"]["name"])
        ),
        "allowExpansion" => (object["allowVolumeExpansion"] == true).to_string(),
        "triggers" => joined(list(&spec["triggers"]).map(|trigger| {
            if trigger["type"] == "ImageChange" {
                format!(
                    "image({})",
                    text(&trigger["imageChangeParams"]["from"]["name"])
                )
            } else {
                "config".to_owned()
            }
        })),
        "routeServices" => text(&spec["to"]["name"]),
        "termination" => {
            let insecure = text(&spec["tls"]["insecureEdgeTerminationPolicy"]);
            let termination = text(&spec["tls"]["termination"]);
            if insecure.is_empty() {
                termination
            } else {
                format!("{termination}/{insecure}")
            }
        }
        "tags" => list(&status["tags"])
            .map(|tag| text(&tag["tag"]))
            .collect::<Vec<_>>()
            .join(","),
        "tagsUpdated" => list(&status["tags"])
            .filter_map(|tag| tag["items"][0]["created"].as_str())
            .max()
            .map(|time| format!("{} ago", since(&json!(time))))
            .unwrap_or_default(),
        "buildSource" => text(&spec["source"]["type"]),
        "started" => match &status["startTimestamp"] {
            Value::Null => String::new(),
            time => format!("{} ago", since(time)),
        },
        "displayName" => text(&object["metadata"]["annotations"]["openshift.io/display-name"]),
        "templateDescription" => text(&object["metadata"]["annotations"]["description"]),
        "parameters" => format!("{} (all set)", list(&object["parameters"]).count()),
        "objects" => list(&object["objects"]).count().to_string(),
        "identities" => joined(list(&object["identities"]).map(text)),
        other => format!("<no cell {other}>"),
    })
}

fn labels(selector: &Value) -> String {
    let labels = if selector["matchLabels"].is_object() {
        &selector["matchLabels"]
    } else {
        selector
    };
    joined(
        labels
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, value)| value.is_string())
            .map(|(key, value)| format!("{key}={}", text(value))),
    )
}

fn pod_status(pod: &Value) -> String {
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return "Terminating".to_owned();
    }
    let status = &pod["status"];
    for container in list(&status["containerStatuses"]) {
        for state in ["waiting", "terminated"] {
            if let Some(reason) = container["state"][state]["reason"].as_str() {
                return reason.to_owned();
            }
        }
    }
    match status["reason"].as_str() {
        Some(reason) => reason.to_owned(),
        None => text(&status["phase"]),
    }
}

fn job_status(job: &Value) -> &'static str {
    let has = |kind: &str| {
        list(&job["status"]["conditions"]).any(|one| one["type"] == kind && one["status"] == "True")
    };
    if has("Complete") {
        "Complete"
    } else if has("Failed") {
        "Failed"
    } else if has("Suspended") {
        "Suspended"
    } else {
        "Running"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn every_line_of_columns_names_a_resource_and_cells_that_exist() {
        let catalogue = Catalogue::new(true);
        let known: Vec<String> = catalogue
            .all()
            .iter()
            .map(|kind| kind.id().to_string())
            .collect();
        for line in COLUMNS.lines().filter(|line| !line.starts_with('#')) {
            let (resource, columns) = line.split_once(' ').unwrap();
            assert!(known.iter().any(|one| one == resource), "{resource}");
            for column in columns.split(' ') {
                let (_, source) = column.split_once('=').unwrap();
                let shown = cell(source, &json!({}));
                assert!(!shown.to_string().contains("<no cell"), "{source}");
            }
        }
    }

    #[test]
    fn durations_are_short() {
        let all: Vec<String> = [5, 119, 150, 720, 11_000, 200_000, 900_000]
            .map(duration)
            .to_vec();
        assert_eq!(all, ["5s", "119s", "2m30s", "12m", "3h3m", "2d7h", "10d"]);
    }
}
