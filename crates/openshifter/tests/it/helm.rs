//! The exported folder, as the real helm sees it.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Tool, World, config, guestbook, run, tools};

/// helm, which needs no cluster for what is asked of it here, and finds none.
fn helm(tool: &Tool, args: &[&str]) -> Command {
    let mut command = tool.wrapped(tools().join("helm"), args);
    command.env("KUBECONFIG", "/dev/null");
    command
}

#[test]
fn helm_accepts_the_exported_folder_and_makes_of_it_what_an_import_makes() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    guestbook(&shop, &["first"]);
    // What helm's own language would trip over.
    shop.create(&[config(
        "odd",
        json!({"template": "{{ .Values.none }} {{- end }}", "quotes": "it's \"so\"\n: # -", "number": "0123"}),
    )]);
    let tool = Tool::new(&world);
    tool.export("shop", "chart").ok();

    let said = run(&mut helm(&tool, &["lint", "--strict", "chart"]), b"");
    assert!(said.contains("0 chart(s) failed"), "{said}");
    let rendered = run(
        &mut helm(
            &tool,
            &["template", "shop", "chart", "--namespace", "by-helm"],
        ),
        b"",
    );
    let installed = run(
        &mut helm(&tool, &["install", "shop", "chart", "--dry-run=client"]),
        b"",
    );
    for kind in [
        "ConfigMap",
        "PersistentVolumeClaim",
        "Deployment",
        "Service",
        "Route",
    ] {
        let line = format!("kind: {kind}");
        assert!(rendered.contains(&line), "no {kind} in {rendered}");
        assert!(installed.contains(&line), "no {kind} in {installed}");
    }

    // Helm's objects on one side, an import's on the other: the same.
    let imported = tool
        .run(&["import", "chart", "--to", "production", "-n", "shop"])
        .ok();
    drop(imported);
    let by_helm = world.production().project("by-helm");
    let mut create = world
        .production()
        .command(&["-n", "by-helm", "create", "-f", "-"]);
    run(&mut create, rendered.as_bytes());
    for (kind, name, path) in [
        ("configmap", "odd", "/data"),
        ("deployment", "guestbook", "/spec/template"),
        ("service", "guestbook", "/spec/ports"),
        ("route", "guestbook", "/spec/to"),
        ("pvc", "guestbook-data", "/spec/resources"),
    ] {
        let of = |object: &Value| object.pointer(path).cloned().expect("it has that");
        assert_eq!(
            of(&there.must(kind, name)),
            of(&by_helm.must(kind, name)),
            "{kind} {name}"
        );
    }
    assert_eq!(there.messages(), ["first"]);
}

#[test]
fn helm_takes_values_and_refuses_wrong_ones() {
    let world = World::small();
    let shop = world.minishift.project("shop");
    guestbook(&shop, &[]);
    let tool = Tool::new(&world);
    tool.export("shop", "chart.tgz").ok();
    tool.run(&["chart", "unpack", "chart.tgz"]).ok();
    let values = std::fs::read_to_string(tool.path("chart/values.yaml")).expect("it has values");
    assert!(values.contains("replicas"), "{values}");
    let output = helm(
        &tool,
        &["template", "shop", "chart", "--set", "replicas=many"],
    )
    .output()
    .expect("helm starts");
    assert!(!output.status.success(), "{values}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("schema"), "{said}");
}

#[test]
fn helm_installs_the_exported_folder_for_real() {
    let world = World::start();
    let (shop, _) = world.pair("shop");
    guestbook(&shop, &["first"]);
    shop.create(&[
        config("odd", json!({"template": "{{ .Values.none }} {{- end }}", "number": "0123"})),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"k": "{{ $x }}"}}),
    ]);
    let tool = Tool::new(&world);
    tool.export("shop", "chart").ok();

    let there = world.production().project("by-helm");
    let with_cluster = |args: &[&str]| {
        let mut command = helm(&tool, &[args, &["--namespace", "by-helm"]].concat());
        command.env("KUBECONFIG", world.production().kubeconfig());
        run(&mut command, b"")
    };
    let said = with_cluster(&["install", "shop", "chart", "--wait", "--timeout", "3m"]);
    assert!(said.contains("STATUS: deployed"), "{said}");
    // It runs, without the entries: data is what helm does not carry.
    there.ready("deploy/guestbook");
    assert_eq!(there.messages(), [""; 0]);
    for (kind, name) in [("configmap", "odd"), ("secret", "key")] {
        assert_eq!(
            there.must(kind, name)["data"],
            shop.must(kind, name)["data"]
        );
    }
    with_cluster(&[
        "upgrade",
        "shop",
        "chart",
        "--set",
        "replicas.Deployment.guestbook=0",
    ]);
    with_cluster(&["uninstall", "shop"]);
    there.until_gone("deployments,services,routes,pods,persistentvolumeclaims");
}
