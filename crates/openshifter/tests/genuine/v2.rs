//! Manifests of converted applications, as far as a genuine server has their kinds.

use std::path::Path;

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
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../v2/tests/fixtures/django-starter");
    let tree = tree.to_string_lossy();
    for database in ["keep", "service"] {
        let how = format!("--name notes --out {database} --runner pip --database {database}");
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
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
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
            assert_eq!(said.lines().count(), items.len(), "{said}");
        }
    }
}
