//! Ways into a volume: a running container, or a helper pod.

use serde_json::json;

use crate::app::{bare_deployment, claim, config, deployment};
use crate::space::Space;
use crate::tool::Tool;
use crate::tree::{describe, same};
use crate::world::world;
use openshifter_testing::until;

/// Fills a claim through a pod that is gone afterwards.
fn fill(space: &Space, claim: &str, script: &str) {
    let mut pod = crate::app::template("filler", Some(claim));
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"]["name"] = "filler".into();
    space.create(&[pod]);
    space.kubectl(&[
        "wait",
        "--for=condition=Ready",
        "--timeout=180s",
        "pod/filler",
    ]);
    space.shell("pod/filler", script);
    space.kubectl(&[
        "delete",
        "pod",
        "filler",
        "--wait",
        "--grace-period=0",
        "--force",
    ]);
}

#[test]
fn a_container_without_tar_needs_a_helper_pod() {
    let (source, target) = Space::pair("bare");
    source.volumes(&["data"]);
    target.volumes(&["data"]);
    source.create(&[claim("data")]);
    fill(&source, "data", "mkdir /data/a; echo kept > /data/a/b");
    source.create(&[bare_deployment("web", "data")]);
    source.ready("deploy/web");

    let tool = Tool::new();
    let export = source.export_to("chart");
    tool.run(&export)
        .ended(3)
        .says("--helper-image")
        .says("data");
    assert_eq!(tool.charts(), Vec::<String>::new());
    assert_eq!(source.helpers(), Vec::<String>::new());
    let helper = ["--helper-image", &world().image];
    tool.run(&[&export[..], &helper].concat()).ok();
    assert_eq!(source.helpers(), Vec::<String>::new());

    let import = target.import_of("chart");
    // The chart remembers what its volume was read with; an image that cannot be had is passed over.
    tool.run(&[&import[..], &["--helper-image", "localhost/none:1"]].concat())
        .ok();
    target.ready("deploy/web");
    assert_eq!(target.helpers(), Vec::<String>::new());
    // Its own pods cannot be looked into: another one can.
    target.create(&[deployment("look", Some("data"))]);
    target.ready("deploy/look");
    assert_eq!(target.shell("deploy/look", "cat /data/a/b"), b"kept\n");
}

#[test]
fn what_is_mounted_inside_of_a_volume_is_no_part_of_it() {
    let (source, target) = Space::pair("nested");
    source.volumes(&["data"]);
    target.volumes(&["data"]);
    let mut web = deployment("web", Some("data"));
    let pod = &mut web["spec"]["template"]["spec"];
    pod["volumes"] = json!([
        {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "settings", "configMap": {"name": "settings"}},
    ]);
    pod["containers"][0]["volumeMounts"] = json!([
        {"name": "data", "mountPath": "/data"},
        {"name": "settings", "mountPath": "/data/conf"},
    ]);
    source.create(&[
        config("settings", json!({"not-of-the-volume": "x"})),
        claim("data"),
        web,
    ]);
    source.ready("deploy/web");
    source.shell("deploy/web", "echo own > /data/own");
    let tool = Tool::new();
    tool.run(&source.export_to("chart")).ok();
    let lists: String = tool
        .run(&["--output", "json", "chart", "inspect", "chart"])
        .ok()
        .stdout;
    assert!(lists.contains("data"), "{lists}");
    tool.run(&target.import_of("chart")).ok();
    target.ready("deploy/web");
    target.create(&[deployment("look", Some("data"))]);
    target.ready("deploy/look");
    // The mount point itself is an empty folder of the volume.
    assert_eq!(
        target.shell("deploy/look", "cd /data; find . | sort"),
        b".\n./conf\n./own\n"
    );
}

#[test]
fn what_is_written_to_during_the_copy_is_told() {
    let (source, _) = Space::pair("busy");
    source.run_web();
    source.shell(
        "deploy/web",
        "cd /data; echo still > still; dd if=/dev/urandom of=large bs=1M count=64 2>/dev/null; \
         (while :; do date >> log; sleep 0.05; done) >/dev/null 2>&1 &",
    );
    let tool = Tool::new();
    tool.run(&source.export_to("chart"))
        .ended(1)
        .says("`log` was written to during the copy")
        .says_nothing_of("`still`");
    // Stopped for the copy, nothing writes.
    tool.run(&[&source.export_to("quiet-chart")[..], &["--quiesce"]].concat())
        .ok();
    until("the replica to be back", || {
        (source.replicas("deploy", "web") == 1).then_some(())
    });
}

#[test]
fn an_application_scaled_to_zero_is_read_and_stays_so() {
    let (source, target) = Space::pair("zero");
    source.volumes(&["data"]);
    target.volumes(&["data"]);
    source.create(&[claim("data"), deployment("web", Some("data"))]);
    source.ready("deploy/web");
    source.shell("deploy/web", "echo sleeping > /data/state");
    let before = describe(&source, "deploy/web");
    source.kubectl(&["scale", "deploy/web", "--replicas=0"]);
    let tool = Tool::new();
    tool.run(&source.export_to("chart")).ok();
    tool.run(&target.import_of("chart")).ok();
    assert_eq!(source.replicas("deploy", "web"), 0);
    assert_eq!(target.replicas("deploy", "web"), 0);
    target.kubectl(&["scale", "deploy/web", "--replicas=1"]);
    target.ready("deploy/web");
    same(&before, &describe(&target, "deploy/web"));
}

#[test]
fn what_the_application_may_not_read_is_not_left_out() {
    let (source, target) = Space::pair("private");
    source.volumes(&["data"]);
    target.volumes(&["data"]);
    source.create(&[claim("data")]);
    fill(
        &source,
        "data",
        "cd /data; echo open > open; echo closed > closed; chmod 600 closed",
    );
    let mut web = deployment("web", Some("data"));
    web["spec"]["template"]["spec"]["securityContext"] = json!({"runAsUser": 1000});
    source.create(&[web]);
    source.ready("deploy/web");
    let tool = Tool::new();
    // BusyBox's tar leaves such a file out and ends with 1, as GNU's does for a file that changed.
    tool.run(&source.export_to("chart"))
        .ok()
        .says("trying it with a helper pod");
    assert_eq!(source.helpers(), Vec::<String>::new());
    tool.run(&target.import_of("chart")).ok();
    target.create(&[deployment("look", Some("data"))]);
    target.ready("deploy/look");
    assert_eq!(
        target.shell("deploy/look", "cat /data/closed; stat -c %a /data/closed"),
        b"closed\n600\n"
    );
}

#[test]
fn a_pod_that_nobody_can_stop_is_named() {
    let (source, _) = Space::pair("foreign");
    source.run_web();
    // As an operator's: its controller is no part of the application.
    let mut other = crate::app::template("other", Some("data"));
    other["apiVersion"] = "v1".into();
    other["kind"] = "Pod".into();
    other["metadata"]["name"] = "other".into();
    let owner = source.must("configmap", "kube-root-ca.crt")["metadata"]["uid"].clone();
    other["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap",
        "name": "kube-root-ca.crt", "uid": owner, "controller": true}]);
    source.create(&[other]);
    source.kubectl(&[
        "wait",
        "--for=condition=Ready",
        "--timeout=180s",
        "pod/other",
    ]);
    let tool = Tool::new();
    tool.run(&[&source.export_to("chart")[..], &["--quiesce"]].concat())
        .ended(3)
        .says("Pod/other writes to volume data and cannot be stopped for the copy")
        .says("ConfigMap/kube-root-ca.crt");
    assert_eq!(tool.charts(), Vec::<String>::new());
    assert_eq!(source.replicas("deploy", "web"), 1);
}
