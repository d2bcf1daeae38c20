//! Claims that are bound when their first consumer comes, and not before.

use serde_json::{Value, json};

use crate::app::{claim, deployment, stateful_set};
use crate::space::Space;
use crate::tool::Tool;
use crate::tree::{ODDITIES, describe, same};

fn late_claim(name: &str, class: &str) -> Value {
    let mut claim = claim(name);
    claim["spec"]["storageClassName"] = class.into();
    claim
}

#[test]
fn the_helper_pod_is_the_first_consumer() {
    let (source, target) = Space::pair("late");
    let class = source.late_class(1);
    source.create(&[late_claim("data", &class), deployment("web", Some("data"))]);
    source.ready("deploy/web");
    source.shell("deploy/web", ODDITIES);
    let before = describe(&source, "deploy/web");
    // Nobody ever used this one: it stays so.
    source.create(&[late_claim("unused", &class)]);
    let tool = Tool::new();
    tool.run(&source.export_to("chart")).ok();

    assert_eq!(target.late_class(1), class);
    let ran = tool.run(&target.import_of("chart")).ok();
    target.ready("deploy/web");
    same(&before, &describe(&target, "deploy/web"));
    let claim = target.must("pvc", "data");
    assert_eq!(claim["spec"]["storageClassName"], class.as_str());
    assert_eq!(claim["status"]["phase"], "Bound");
    assert_eq!(
        target.must("pvc", "unused")["status"]["phase"],
        "Pending",
        "{ran:?}"
    );
    assert_eq!(target.helpers(), [""; 0]);
}

#[test]
fn a_class_that_binds_at_once_becomes_one_that_waits() {
    let (source, target) = Space::pair("sooner");
    source.volumes(&["data-db-0", "data-db-1"]);
    source.create(&[
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"},
            "spec": {"clusterIP": "None", "selector": {"app": "db"}, "ports": [{"port": 5432}]},
        }),
        stateful_set("db"),
    ]);
    source.ready("sts/db");
    for pod in ["pod/db-0", "pod/db-1"] {
        source.shell(pod, "hostname > /data/who");
    }
    let class = target.late_class(2);
    let tool = Tool::new();
    let mapped = ["--storage-class", &format!("*={class}")];
    tool.run(&[&source.export_to("chart")[..], &mapped].concat())
        .ok();
    tool.run(&target.import_of("chart")).ok();
    target.ready("sts/db");
    for (pod, who) in [("pod/db-0", "db-0\n"), ("pod/db-1", "db-1\n")] {
        assert_eq!(target.shell(pod, "cat /data/who"), who.as_bytes());
    }
    let set = target.must("sts", "db");
    let template = &set["spec"]["volumeClaimTemplates"][0]["spec"];
    assert_eq!(template["storageClassName"], class.as_str());
}

#[test]
fn an_interrupt_is_heard_while_no_volume_comes() {
    let (source, target) = Space::pair("never");
    let class = source.late_class(1);
    source.create(&[late_claim("data", &class), deployment("web", Some("data"))]);
    source.ready("deploy/web");
    source.shell("deploy/web", "echo x > /data/x");
    let tool = Tool::new();
    tool.run(&source.export_to("chart")).ok();

    // The class is there, and no volume of it.
    assert_eq!(target.late_class(0), class);
    let mut running = tool.start(&target.import_of("chart"));
    running.until("the helper pod waits", || {
        let pods = target.attempt(&["get", "pods", "-l", "openshifter.dev/helper", "-o", "json"]);
        let text = String::from_utf8_lossy(&pods.stdout).into_owned();
        text.contains("Unschedulable").then_some(())
    });
    running.interrupt();
    let interrupted = std::time::Instant::now();
    running
        .end()
        .ended(4)
        .one_message()
        .says("openshifter undo");
    assert!(interrupted.elapsed() < std::time::Duration::from_secs(60));
    assert_eq!(target.helpers(), [""; 0]);
    tool.run(&["undo", &tool.last_run()]).ok();
    for (kind, name) in [("deploy", "web"), ("pvc", "data")] {
        assert_eq!(target.get(kind, name), None);
    }
}
