//! Commands, logs, copies, ports and replicas, as single steps.

use std::process::Command;

use openshifter_testing::{run, until};
use serde_json::json;

use crate::app::{deployment, template};
use crate::space::Space;
use crate::tool::Tool;
use crate::world::world;

/// Arguments of a step in a namespace.
fn step<'a>(space: &'a Space, command: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let mut args = command.to_vec();
    args.extend([
        "--at",
        space.cluster.context.as_str(),
        "-n",
        space.name.as_str(),
    ]);
    args.extend(more);
    args
}

#[test]
fn commands_logs_and_copies_reach_containers() {
    let space = Space::new(&world().source, "steps");
    space.create(&[deployment("web", None)]);
    space.ready("deploy/web");
    let tool = Tool::new();
    let ran = tool
        .run(&step(
            &space,
            &["exec", "deployment/web"],
            &["--", "sh", "-c", "echo out; echo err >&2; exit 7"],
        ))
        .ended(7);
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("out\n", "err\n")
    );

    std::fs::create_dir_all(tool.path("odd/-deep")).expect("there is room");
    for (name, size) in [
        ("a b", 3_usize),
        ("-n", 100_000),
        ("-deep/new\nline", 0),
        ("*", 1),
    ] {
        std::fs::write(tool.path("odd").join(name), vec![b'x'; size]).expect("there is room");
    }
    let there = "deployment/web:/tmp/odd here";
    tool.run(&step(&space, &["cp", "odd", there], &[]))
        .ok()
        .says("4 files, 100004 bytes")
        .says_nothing_of("not compared");
    tool.run(&step(&space, &["cp", there, "back"], &[])).ok();
    let mut diff = Command::new("diff");
    diff.arg("-r").arg(tool.path("odd")).arg(tool.path("back"));
    run(&mut diff, b"");
    tool.run(&step(&space, &["cp", "deployment/web:/tmp/none", "x"], &[]))
        .ended(3)
        .one_message()
        .says("there is no such file");

    let mut talks = template("talks", None);
    talks["apiVersion"] = "v1".into();
    talks["kind"] = "Pod".into();
    talks["metadata"]["name"] = "talks".into();
    talks["spec"]["restartPolicy"] = "Never".into();
    // It ends only when it is told to: a node may clear away the log of a pod that has ended.
    let script = "echo one; until [ -e /tmp/told ]; do sleep 0.2; done; echo two";
    talks["spec"]["containers"][0]["command"] = json!(["sh", "-c", script]);
    space.create(&[talks]);
    until("the pod to start", || {
        let pod = space.must("pod", "talks");
        (pod["status"]["phase"] == "Running").then_some(())
    });
    until("its last line", || {
        let tail = ["logs", "--tail=1", "talks"];
        let log = tool.run(&step(&space, &tail, &[])).ok();
        assert!(log.stdout.lines().count() <= 1, "{log:?}");
        (log.stdout == "one\n").then_some(())
    });
    let mut follows = tool.start(&step(&space, &["logs", "-f", "talks"], &[]));
    follows.until_line();
    let told = ["--", "touch", "/tmp/told"];
    tool.run(&step(&space, &["exec", "talks"], &told)).ok();
    let log = follows.end().ok();
    assert_eq!(log.stdout, "one\ntwo\n");
}

#[test]
fn ports_and_replicas_are_those_of_the_cluster() {
    let space = Space::new(&world().source, "ports");
    let mut web = deployment("web", None);
    // BusyBox's own server, or netcat, whichever the image has.
    web["spec"]["template"]["spec"]["containers"][0]["command"] = json!([
        "sh",
        "-c",
        "mkdir -p /tmp/www && echo hello > /tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www",
    ]);
    let labels = web["spec"]["selector"]["matchLabels"].clone();
    space.create(&[
        web,
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}}),
    ]);
    space.ready("deploy/web");
    let tool = Tool::new();
    let args = step(&space, &["port-forward", "svc/web", ":80"], &[]);
    let mut forward = tool.start(&args);
    forward.until_line();
    let line = forward.stdout();
    let (address, _) = line.trim().split_once(" -> ").expect("it says where");
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--noproxy", "*"])
        .arg(format!("http://{address}/"));
    let body = until("an answer", || {
        // The pod is ready before its server listens; until then the connection ends.
        let answer = curl.output().expect("curl starts");
        let body = String::from_utf8_lossy(&answer.stdout).into_owned();
        (answer.status.success() && !body.is_empty()).then_some(body)
    });
    assert_eq!(body, "hello\n");
    forward.interrupt();
    forward.end().ok();

    for replicas in ["--replicas=0", "--replicas=2"] {
        tool.run(&step(
            &space,
            &["scale", "deployment/web", replicas, "--timeout=300s"],
            &[],
        ))
        .ok();
    }
    assert_eq!(space.replicas("deployment", "web"), 2);
}

#[test]
fn volumes_are_put_in_moved_and_taken_out() {
    let space = Space::new(&world().source, "set-volumes");
    space.create(&[deployment("web", None)]);
    space.ready("deploy/web");
    let tool = Tool::new();
    let set = |more: &[&str]| tool.run(&step(&space, &["set-volume", "deployment/web"], more));
    space.volumes(&["web-data"]);
    let claim = ["--claim-name=web-data", "--claim-size=16Mi", "-m", "/data"];
    set(&[&["--add", "--name=data"], &claim[..]].concat())
        .ok()
        .says("web-data created");
    space.ready("deploy/web");
    let text = "echo kept > /data/file";
    let args = step(
        &space,
        &["exec", "deployment/web"],
        &["--", "sh", "-c", text],
    );
    tool.run(&args).ok();
    set(&["--add", "--name=data", "-m", "/other", "--overwrite"]).ok();
    until("the data at the other path", || {
        let command = ["--", "cat", "/other/file"];
        let args = step(&space, &["exec", "deployment/web"], &command);
        (tool.run(&args).stdout == "kept\n").then_some(())
    });
    let listed = set(&[]).ok();
    assert!(
        listed.stdout.contains("  claim web-data as data\n"),
        "{listed:?}"
    );
    set(&["--remove", "--name=data"])
        .ok()
        .says("the claim web-data stays");
    space.must("persistentvolumeclaim", "web-data");
    assert!(!set(&["--list"]).ok().stdout.contains("web-data"));
}

#[test]
fn exposing_says_what_a_cluster_without_routes_lacks() {
    let space = Space::new(&world().source, "exposed");
    space.create(&[
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}),
    ]);
    let tool = Tool::new();
    let args = step(&space, &["expose", "svc/web"], &["--port=https"]);
    tool.run(&args).ended(2).one_message().says("https");
    let args = step(&space, &["expose", "svc/web"], &["--port=http"]);
    let served = space.kubectl(&["api-resources", "--api-group=route.openshift.io"]);
    let ran = tool.run(&args);
    if served.contains("Route") {
        ran.ok();
        space.must("route", "web");
    } else {
        ran.ended(3).one_message().says("Route");
    }
}
