//! Manifests of converted applications, as far as a genuine server has their kinds.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use openshifter_testing::run;
use serde_json::{Value, json};

use crate::space::Space;
use crate::tool::Tool;
use crate::world::world;

#[test]
fn a_genuine_server_accepts_the_manifests_of_a_converted_application() {
    let space = Space::new(&world().source, "manifests");
    // It says what it would refuse where the strictest standard is enforced.
    space.kubectl(&[
        "label",
        "namespace",
        &space.name,
        "pod-security.kubernetes.io/warn=restricted",
    ]);
    // Old servers have CronJobs in another version, and the option for that is shown to be right.
    let served = space.kubectl(&["api-resources", "--api-group=batch", "-o", "wide"]);
    let is_old = !served
        .lines()
        .any(|line| line.starts_with("cronjobs") && line.contains("batch/v1 "));
    let age: &[&str] = if is_old { &["--old-cluster"] } else { &[] };
    let tool = Tool::new();
    let tree = tree_with_hooks(&tool);
    for database in ["keep", "service"] {
        let how = format!(
            "--name notes --out {database} --runner pip --database {database} --cartridge haproxy-1.4"
        );
        let how: Vec<&str> = how.split_whitespace().collect();
        tool.run(&[&["v2", "convert", &tree], &how[..]].concat())
            .ok();
        let json = ["--generate", "--output", "json"];
        let made = tool
            .run(&[&["v2", "manifests", database], &json[..], age].concat())
            .ok();
        let list: Value = serde_json::from_str(&made.stdout).expect("it is JSON");
        let items: Vec<&Value> = list["items"]
            .as_array()
            .expect("there are objects")
            .iter()
            .filter(|object| {
                let version = object["apiVersion"].as_str().unwrap_or_default();
                !version.contains("openshift.io")
            })
            .collect();
        assert!(items.len() > 5, "{items:?}");
        let workload = items
            .iter()
            .find(|object| object["kind"] == "Deployment" && object["metadata"]["name"] == "notes")
            .expect("it is made");
        let hooks = &workload["spec"]["template"]["spec"]["containers"][0]["lifecycle"];
        assert!(
            hooks["postStart"]["exec"].is_object() && hooks["preStop"]["exec"].is_object(),
            "{hooks}"
        );
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        accepts(&space, &list);
    }
    let mut scaler = scaler(&tool, "service");
    // The same under another name, where servers have no `autoscaling/v2` yet.
    let served = space.kubectl(&["api-versions"]);
    if !served.lines().any(|line| line == "autoscaling/v2") {
        scaler["apiVersion"] = "autoscaling/v2beta2".into();
    }
    accepts(
        &space,
        &json!({"apiVersion": "v1", "kind": "List", "items": [scaler]}),
    );
}

/// A tree of V2 with hooks around the server's life; its path.
fn tree_with_hooks(tool: &Tool) -> String {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../v2/tests/fixtures/django-starter");
    let tree = tool.path("notes");
    let mut copy = Command::new("cp");
    run(copy.arg("-r").arg(fixture).arg(&tree), b"");
    for name in ["post_start", "pre_stop"] {
        let hook = tree.join(".openshift/action_hooks").join(name);
        std::fs::create_dir_all(hook.parent().expect("it is in a folder")).expect("there is room");
        std::fs::write(&hook, "#!/bin/bash\necho \"it is called\"\n").expect("there is room");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&hook, mode).expect("its mode can be set");
    }
    tree.to_string_lossy().into_owned()
}

/// The autoscaler of a converted application, as clusters of today have it.
fn scaler(tool: &Tool, tree: &str) -> Value {
    let made = tool
        .run(&["v2", "manifests", tree, "--generate", "--output", "json"])
        .ok();
    let list: Value = serde_json::from_str(&made.stdout).expect("it is JSON");
    let items = list["items"].as_array().expect("there are objects");
    let scaler = items
        .iter()
        .find(|object| object["kind"] == "HorizontalPodAutoscaler");
    scaler.expect("V2 scaled it").clone()
}

/// The server would take all objects of a list, and has nothing to say against them.
#[track_caller]
fn accepts(space: &Space, list: &Value) {
    let count = list["items"].as_array().map_or(0, Vec::len);
    for how in [&["create"][..], &["apply", "--server-side"]] {
        let more = [
            "--dry-run=server",
            "--validate=strict",
            "--warnings-as-errors",
            "-n",
            &space.name,
            "-o",
            "name",
            "-f",
            "-",
        ];
        let mut command = space.cluster.command(&[how, &more].concat());
        let said = run(&mut command, list.to_string().as_bytes());
        assert_eq!(said.lines().count(), count, "{said}");
    }
}
