//! Delete: exactly the application's objects, and claims only when that is said.

use serde_json::json;

use crate::app::{claim, config, deployment};
use crate::space::Space;
use crate::tool::Tool;
use crate::world::world;
use openshifter_testing::until;

#[test]
fn delete_shows_asks_and_keeps_the_claims() {
    let space = Space::new(&world().source, "delete");
    space.volumes(&["data"]);
    let mut other = config("other", json!({"not": "ours"}));
    other["metadata"]["labels"] = json!({"app": "other"});
    space.create(&[claim("data"), deployment("web", Some("data")), other]);
    space.ready("deploy/web");
    space.shell("deploy/web", "echo kept > /data/file");
    let before = space.picture();
    let tool = Tool::new();
    let delete = [
        "delete",
        "--from",
        &space.cluster.context,
        "-n",
        &space.name,
    ];
    let run = |more: &[&str]| tool.run(&[&delete[..], more].concat());

    run(&["--dry-run"])
        .ok()
        .says("Deployment.apps/web")
        .says("claims that stay, with their data: data");
    // Nobody is there to be asked.
    run(&[]).ended(2).says("--yes");
    assert_eq!(before, space.picture());

    run(&["-l", "app=web", "--yes"])
        .ok()
        .says("claims that stay");
    assert_eq!(space.get("deploy", "web"), None);
    until("its pods to be gone", || {
        space.names("pods").is_empty().then_some(())
    });
    space.must("configmap", "other");
    assert_eq!(space.must("pvc", "data")["status"]["phase"], "Bound");

    space.create(&[deployment("web", Some("data"))]);
    space.ready("deploy/web");
    assert_eq!(space.shell("deploy/web", "cat /data/file"), b"kept\n");
    run(&["--with-data", "--yes"]).ok();
    assert_eq!(space.get("pvc", "data"), None);
    assert_eq!(space.get("configmap", "other"), None);
    assert!(space.exists());
    space.must("serviceaccount", "default");
    space.must("configmap", "kube-root-ca.crt");
    run(&["--yes"]).ok().says("nothing to delete");
}
