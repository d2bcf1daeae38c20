//! Copy, Move and Ping-Pong.

use serde_json::json;

use crate::app::{claim, config, deployment};
use crate::space::Space;
use crate::tool::Tool;
use crate::tree::{describe, same};
use crate::world::world;

fn application(space: &Space, colour: &str) -> Vec<String> {
    space.volumes(&["data"]);
    space.create(&[
        claim("data"),
        config("settings", json!({"colour": colour})),
        deployment("web", Some("data")),
    ]);
    space.ready("deploy/web");
    space.shell(
        "deploy/web",
        &format!("cd /data; echo {colour} > colour; mkdir d; ln colour d/same"),
    );
    describe(space, "deploy/web")
}

pub(crate) fn migrate(source: &Space, target: &Space, policy: &str) -> Vec<String> {
    [
        "migrate",
        "--from",
        &source.cluster.context,
        "-n",
        &source.name,
        "--to",
        &target.cluster.context,
        "--to-namespace",
        &target.name,
        "--policy",
        policy,
        "--yes",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn run(tool: &Tool, args: &[String], more: &[&str]) -> openshifter_testing::Ran {
    let args: Vec<&str> = args
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    tool.run(&args)
}

#[test]
fn copy_leaves_the_source_as_it_is() {
    let (source, target) = Space::pair("pcopy");
    target.volumes(&["data"]);
    let before = application(&source, "green");
    let picture = source.picture();
    let tool = Tool::new();
    let args = migrate(&source, &target, "copy");
    run(&tool, &args, &["--dry-run"])
        .ok()
        .says("nothing is deleted");
    assert!(!target.exists());
    run(&tool, &args, &["--quiesce"]).ok();
    assert_eq!(picture, source.picture());
    source.ready("deploy/web");
    target.ready("deploy/web");
    same(&before, &describe(&target, "deploy/web"));
}

#[test]
fn move_deletes_the_source_last_and_keeps_its_claims() {
    let (source, target) = Space::pair("pmove");
    target.volumes(&["data"]);
    let before = application(&source, "red");
    let tool = Tool::new();
    let args = migrate(&source, &target, "move");
    run(&tool, &args, &["--dry-run"])
        .ok()
        .says("Deployment.apps/web")
        .says("claims that stay, with their data: data");
    assert!(!target.exists());
    run(&tool, &args, &[]).ok();
    target.ready("deploy/web");
    same(&before, &describe(&target, "deploy/web"));
    assert_eq!(source.get("deploy", "web"), None);
    assert_eq!(source.get("configmap", "settings"), None);
    source.must("pvc", "data");
    // It would take away the last copy.
    tool.run(&["undo", &tool.last_run()])
        .ended(3)
        .says("last copy");
    target.ready("deploy/web");
}

#[test]
fn move_between_namespaces_of_one_cluster() {
    let source = Space::new(&world().source, "near");
    let target = Space::absent(&world().source, "far");
    target.volumes(&["data"]);
    let before = application(&source, "white");
    let tool = Tool::new();
    run(&tool, &migrate(&source, &target, "move"), &[]).ok();
    target.ready("deploy/web");
    same(&before, &describe(&target, "deploy/web"));
    assert_eq!(source.get("deploy", "web"), None);
}

#[test]
fn move_that_cannot_be_finished_deletes_nothing() {
    let (source, target) = Space::pair("phalf");
    application(&source, "grey");
    let there = Space::new(&world().target, "phalf");
    assert_eq!(there.name, target.name);
    target.create(&[config("settings", json!({"colour": "mine"}))]);
    let tool = Tool::new();
    run(&tool, &migrate(&source, &target, "move"), &[])
        .says("ConfigMap/settings")
        .says("--existing");
    source.ready("deploy/web");
    source.must("configmap", "settings");
    assert_eq!(source.replicas("deploy", "web"), 1);
    assert_eq!(target.get("deploy", "web"), None);
}

#[test]
fn move_in_place_makes_the_application_anew() {
    let (source, _) = Space::pair("place");
    let before = application(&source, "blue");
    let was = source.must("deploy", "web")["metadata"]["uid"].clone();
    let claim_was = source.must("pvc", "data")["metadata"]["uid"].clone();
    let tool = Tool::new();
    run(&tool, &migrate(&source, &source, "copy"), &[])
        .ended(3)
        .says("move");
    run(&tool, &migrate(&source, &source, "move"), &[]).ok();
    source.ready("deploy/web");
    same(&before, &describe(&source, "deploy/web"));
    assert_ne!(was, source.must("deploy", "web")["metadata"]["uid"]);
    assert_eq!(claim_was, source.must("pvc", "data")["metadata"]["uid"]);

    // With new claims.
    source.volumes(&["data"]);
    run(&tool, &migrate(&source, &source, "move"), &["--with-data"]).ok();
    source.ready("deploy/web");
    same(&before, &describe(&source, "deploy/web"));
    assert_ne!(claim_was, source.must("pvc", "data")["metadata"]["uid"]);
}

#[test]
fn ping_pong_keeps_what_the_target_had() {
    let (source, _) = Space::pair("pong");
    let target = Space::new(&world().target, "pong");
    let ours = application(&source, "yellow");
    let theirs = application(&target, "black");
    target.create(&[config("only-theirs", json!({"x": "y"}))]);
    let tool = Tool::new();
    let args = migrate(&source, &target, "ping-pong");
    run(&tool, &args, &["--dry-run"])
        .ok()
        .says("ConfigMap/only-theirs");
    let report = run(&tool, &args, &["--output", "json"]).ok().report();
    target.ready("deploy/web");
    same(&ours, &describe(&target, "deploy/web"));
    assert_eq!(
        target.must("configmap", "settings")["data"]["colour"],
        "yellow"
    );
    assert_eq!(target.get("configmap", "only-theirs"), None);
    source.ready("deploy/web");
    let kept = report["next"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|next| next.as_str())
        .find_map(|next| next.strip_prefix("the target's former application is kept in "))
        .expect("the report says where it is kept")
        .to_owned();

    // And back, as the report says.
    tool.run(&[
        "delete",
        "--from",
        &target.cluster.context,
        "-n",
        &target.name,
        "--yes",
    ])
    .ok();
    tool.run(&[&target.import_of(&kept)[..], &["--overwrite-data"]].concat())
        .ok();
    target.ready("deploy/web");
    same(&theirs, &describe(&target, "deploy/web"));
    target.must("configmap", "only-theirs");
}
