//! `helm` and an import agree on what a chart is.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::app::{claim, config, deployment};
use crate::space::Space;
use crate::tool::Tool;
use crate::world::world;

/// `helm install` of an exported folder makes the application run; the data is not helm's.
#[test]
fn helm_installs_the_exported_folder() {
    let source = Space::new(&world().source, "helm");
    source.volumes(&["data"]);
    source.create(&[
        claim("data"),
        config(
            "odd",
            json!({"template": "{{ .Values.none }} {{- end }}", "number": "0123"}),
        ),
        deployment("web", Some("data")),
    ]);
    source.ready("deploy/web");
    source.shell("deploy/web", "echo kept > /data/file");
    let tool = Tool::new();
    tool.run(&source.export_to("chart")).ok();

    let target = Space::new(&world().target, "helm");
    target.volumes(&["data"]);
    let chart = tool.arg("chart");
    let at = |args: &[&str]| {
        let place = ["-n", &target.name];
        world().helm_at(target.cluster, &[args, &place].concat())
    };
    let said = at(&["install", "web", &chart, "--wait", "--timeout", "5m"]);
    assert!(said.contains("STATUS: deployed"), "{said}");
    target.ready("deploy/web");
    assert_eq!(target.shell("deploy/web", "ls /data"), b"");
    assert_eq!(
        target.must("configmap", "odd")["data"],
        source.must("configmap", "odd")["data"]
    );
    // The data follows: what helm made is left as it is, and the claim is empty.
    tool.run(&[&target.import_of("chart")[..], &["--existing", "skip"]].concat())
        .ok()
        .says("restored");
    target.ready("deploy/web");
    assert_eq!(target.shell("deploy/web", "cat /data/file"), b"kept\n");
    at(&["uninstall", "web"]);
    assert_eq!(target.get("deploy", "web"), None);
}

/// Fails when `helm` does not accept the folder, or would create anything else than the import did.
pub(crate) fn agrees(chart: &Path, space: &Space, report: &Value) {
    let chart = chart.to_string_lossy();
    let world = world();
    world.helm(&["lint", &chart]);
    world.helm(&[
        "install",
        "--dry-run=client",
        "--generate-name",
        "-n",
        &space.name,
        &chart,
    ]);
    let text = world.helm(&["template", "release", &chart, "-n", &space.name]);
    let documents = documents(&text);
    let rendered: BTreeSet<String> = documents.iter().map(name).collect();
    let imported: BTreeSet<String> = report["objects"]
        .as_array()
        .expect("the report lists objects")
        .iter()
        .filter(|entry| entry["kind"] != "CustomResourceDefinition")
        .map(|entry| format!("{}/{}", text_of(&entry["kind"]), text_of(&entry["name"])))
        .collect();
    assert_eq!(rendered, imported);
    for document in &documents {
        let (group, kind) = (group_of(document), text_of(&document["kind"]));
        let resource = if group.is_empty() {
            kind.to_lowercase()
        } else {
            let version = text_of(&document["apiVersion"]);
            let version = version.rsplit('/').next().unwrap_or_default().to_owned();
            format!("{}.{version}.{group}", kind.to_lowercase())
        };
        let live = space.must(&resource, &text_of(&document["metadata"]["name"]));
        contained(&name(document), "", document, &live);
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn group_of(document: &Value) -> String {
    text_of(&document["apiVersion"])
        .rsplit_once('/')
        .map(|(group, _)| group.to_owned())
        .unwrap_or_default()
}

fn name(document: &Value) -> String {
    format!(
        "{}/{}",
        text_of(&document["kind"]),
        text_of(&document["metadata"]["name"])
    )
}

/// The documents of a YAML stream.
fn documents(text: &str) -> Vec<Value> {
    text.split("\n---\n")
        .map(|document| document.trim_start_matches("---\n"))
        .filter(|document| {
            document
                .lines()
                .any(|line| !line.trim().is_empty() && !line.starts_with('#'))
        })
        .map(|document| {
            serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error} in {document}"))
        })
        .collect()
}

/// Everything that helm would send is in the live object; the server adds defaults.
fn contained(name: &str, path: &str, sent: &Value, live: &Value) {
    match (sent, live) {
        (Value::Object(sent), Value::Object(live)) => {
            for (key, value) in sent {
                let path = format!("{path}/{key}");
                match live.get(key) {
                    // Servers before Kubernetes 1.22 know no suspended Jobs: an import holds them in another way.
                    _ if name.starts_with("Job/")
                        && sent.get("suspend") == Some(&Value::Bool(true))
                        && live.get("suspend").is_none()
                        && matches!(key.as_str(), "suspend" | "parallelism") =>
                    {
                        assert_eq!(live.get("parallelism"), Some(&Value::from(0)), "{name}");
                    }
                    Some(live) => contained(name, &path, value, live),
                    None => assert!(is_nothing(value), "{name}: {path} is not there"),
                }
            }
        }
        (Value::Array(sent), Value::Array(live)) if sent.len() == live.len() => {
            for (index, (sent, live)) in sent.iter().zip(live).enumerate() {
                contained(name, &format!("{path}/{index}"), sent, live);
            }
        }
        // What was written as text of a Secret is kept in base64.
        _ if path.starts_with("/stringData") => {}
        _ => assert_eq!(sent, live, "{name}: {path}"),
    }
}

/// Values that a server does not keep.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(_) => false,
    }
}
