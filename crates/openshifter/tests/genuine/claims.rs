//! Claims that exist at the target: what is in them decides.

use crate::app::{claim, deployment};
use crate::space::Space;
use crate::tool::Tool;
use crate::tree::{describe, same};
use crate::world::world;

#[test]
fn a_claim_that_exists_is_compared_first() {
    let (source, target) = Space::pair("held");
    source.run_web();
    source.shell(
        "deploy/web",
        "cd /data; mkdir a; echo one > a/b; ln -s a c; echo $(hostname) > who",
    );
    let arrived = describe(&source, "deploy/web");
    let tool = Tool::new();
    tool.run(&source.export_to("chart")).ok();
    let target_there = Space::new(&world().target, "held");
    assert_eq!(target_there.name, target.name);
    target.volumes(&["data"]);
    target.create(&[claim("data"), deployment("look", Some("data"))]);
    target.ready("deploy/look");
    let import = target.import_of("chart");

    // Other data: refused, and nothing is changed.
    target.shell(
        "deploy/look",
        "cd /data; echo mine > own; mkdir a; echo other > a/b",
    );
    let before = (target.picture(), describe(&target, "deploy/look"));
    tool.run(&import)
        .ended(3)
        .says("claim data exists and holds other data")
        .says("--overwrite-data");
    assert_eq!(before, (target.picture(), describe(&target, "deploy/look")));
    assert_eq!(target.helpers(), Vec::<String>::new());

    // Overwritten, after a backup that can be imported.
    let report = tool
        .run(&[&import[..], &["--overwrite-data", "--output", "json"]].concat())
        .ok()
        .report();
    target.ready("deploy/web");
    target.ready("deploy/look");
    same(&arrived, &describe(&target, "deploy/web"));
    let backup = report["volumes"][0]["backup"]
        .as_str()
        .expect("the report names the backup")
        .to_owned();
    assert_eq!(report["volumes"][0]["action"], "overwritten");
    tool.run(&["chart", "verify", &backup]).ok();

    // Equal by now: it stays, and the import comes through.
    target.kubectl(&["delete", "deploy", "web", "--wait"]);
    let report = tool
        .run(&[&import[..], &["--output", "json"]].concat())
        .ok()
        .report();
    assert_eq!(report["volumes"][0]["action"], "equal");
    same(&arrived, &describe(&target, "deploy/web"));

    // What was there first comes back from the backup.
    tool.run(
        &[
            &target.import_of(&backup)[..],
            &["--overwrite-data", "--helper-image", &world().image],
        ]
        .concat(),
    )
    .ok();
    target.ready("deploy/look");
    same(&before.1, &describe(&target, "deploy/look"));
}

#[test]
fn an_empty_claim_is_filled() {
    let (source, _) = Space::pair("vacant");
    source.run_web();
    source.shell("deploy/web", "echo full > /data/file");
    let tool = Tool::new();
    tool.run(&source.export_to("chart")).ok();
    let target = Space::new(&world().target, "vacant");
    target.volumes(&["data"]);
    target.create(&[claim("data"), deployment("look", Some("data"))]);
    target.ready("deploy/look");
    tool.run(&target.import_of("chart")).ok().says("restored");
    target.ready("deploy/web");
    same(
        &describe(&source, "deploy/web"),
        &describe(&target, "deploy/web"),
    );
}
