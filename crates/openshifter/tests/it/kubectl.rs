//! The real kubectl works with the embedded cluster, as the walk-through's users expect of an OpenShift.

use serde_json::json;

use crate::support::{Tool, World, config, deployment, guestbook, run};

#[test]
fn kubectl_creates_applies_lists_and_deletes() {
    let world = World::small();
    let shop = world.minishift.project("shop");
    shop.create(&[
        config("settings", json!({"colour": "blue"})),
        deployment("web", None),
    ]);
    shop.ready("deploy/web");

    let table = shop.kubectl(&["get", "deployments"]);
    let mut lines = table.lines();
    let words = |line: Option<&str>| {
        line.unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        words(lines.next()),
        ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    );
    assert_eq!(words(lines.next())[..4], ["web", "1/1", "1", "1"]);

    for (colour, said) in [
        ("red", "configured"),
        ("red", "unchanged"),
        ("green", "configured"),
    ] {
        let object = config("applied", json!({"colour": colour}));
        let mut command = world.minishift.command(&["-n", "shop", "apply", "-f", "-"]);
        let first = shop.get("configmap", "applied").is_none();
        let answer = run(&mut command, object.to_string().as_bytes());
        let said = if first { "created" } else { said };
        assert!(answer.contains(said), "{answer}");
        assert_eq!(shop.must("configmap", "applied")["data"]["colour"], colour);
    }

    let answer = shop.kubectl(&["delete", "configmap/settings", "deploy/web"]);
    assert!(answer.contains("deleted"), "{answer}");
    shop.until_gone("deployments,replicasets,pods");
    let output = shop.attempt(&["get", "configmap", "settings"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("(NotFound)"), "{said}");
}

#[test]
fn kubectl_looks_into_pods() {
    let world = World::small();
    let shop = world.minishift.project("shop");
    guestbook(&shop, &["hello"]);
    let entries = shop.shell("deploy/guestbook", "find /data -type f -exec cat {} +");
    assert!(String::from_utf8_lossy(&entries).contains("hello"));
    let failed = shop.attempt(&[
        "exec",
        "deploy/guestbook",
        "--",
        "sh",
        "-c",
        "echo out; exit 7",
    ]);
    assert_eq!(failed.status.code(), Some(7));
    assert_eq!(failed.stdout, b"out\n");
    let log = shop.kubectl(&["logs", "deploy/guestbook"]);
    assert!(!log.trim().is_empty());
}

#[test]
fn kubectl_forwards_a_port() {
    let world = World::small();
    let shop = world.minishift.project("shop");
    guestbook(&shop, &["hello"]);
    let tool = Tool::alone();
    let forward = ["-n", "shop", "port-forward", "deploy/guestbook", ":web"];
    let mut running = tool.spawn(world.minishift.command(&forward));
    running.until_says("-> 8080");
    let said = running.stdout();
    let address = said
        .split_once("Forwarding from ")
        .and_then(|(_, rest)| rest.split_once(" ->"))
        .map(|(address, _)| format!("http://{address}/entries.json"))
        .unwrap_or_else(|| panic!("no address in {said}"));
    // Each is a connection of its own.
    for _ in 0..3 {
        let mut curl = tool.wrapped("curl", &["--silent", "--show-error", "--fail", &address]);
        let entries = run(&mut curl, b"");
        assert!(entries.contains("hello"), "{entries}");
    }
    running.interrupt();
}

#[test]
fn a_stranger_sees_nothing_of_the_project() {
    let world = World::small();
    let shop = world.minishift.project("shop");
    shop.create(&[config("settings", json!({"colour": "blue"}))]);
    let token = world.minishift.log_in("stranger");
    let file = world.minishift.write_kubeconfig("stranger", &token);
    let output = shop.attempt(&["--kubeconfig", &file.to_string_lossy(), "get", "configmaps"]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("(Forbidden)"), "{said}");
}
