//! What is stopped for the copy goes on afterwards, whatever becomes of the copy.

use crate::app::{bare_deployment, claim, deployment};
use crate::space::Space;
use crate::tool::Tool;
use crate::tree::{describe, same};
use openshifter_testing::until;

#[test]
fn replicas_come_back_also_when_the_export_fails() {
    let (source, _) = Space::pair("stop");
    source.volumes(&["data"]);
    let mut web = bare_deployment("web", "data");
    web["spec"]["replicas"] = 2.into();
    source.create(&[claim("data"), web]);
    source.ready("deploy/web");
    let tool = Tool::new();
    // The image has no tar, and no other is named.
    tool.run(&[&source.export_to("chart")[..], &["--quiesce"]].concat())
        .ended(3)
        .says("--helper-image");
    assert_eq!(source.replicas("deploy", "web"), 2);
    assert_eq!(tool.charts(), Vec::<String>::new());
    source.ready("deploy/web");
}

#[test]
fn an_interrupt_ends_in_order() {
    let (source, target) = Space::pair("int");
    source.volumes(&["data"]);
    target.volumes(&["data"]);
    source.create(&[claim("data"), deployment("web", Some("data"))]);
    source.ready("deploy/web");
    source.shell(
        "deploy/web",
        "dd if=/dev/urandom of=/data/large bs=1M count=160 2>/dev/null",
    );
    let before = describe(&source, "deploy/web");
    let tool = Tool::new();
    let export = [
        "export",
        "--quiesce",
        "--from",
        &source.cluster.context,
        "-n",
        &source.name,
        "-o",
        "chart",
    ];
    let mut running = tool.start(&export);
    running.until("a part of the volume is here", || {
        crate::cut::has_segment(&tool).then_some(())
    });
    running.interrupt();
    running.end().ended(3).says("stopped on request");
    assert_eq!(source.helpers(), Vec::<String>::new());
    assert_eq!(source.replicas("deploy", "web"), 1);
    assert_eq!(tool.charts(), Vec::<String>::new());

    tool.run(&export).ok();
    let (relay, kubeconfig) = target.cluster.relay(&tool);
    let import = target.relayed_import_of("chart", &kubeconfig);
    let mut running = tool.start(&import);
    crate::crash::until_half_way(&mut running, &relay, &target);
    running.interrupt();
    relay.release();
    running
        .end()
        .ended(4)
        .says("openshifter undo")
        .says("openshifter resume");
    assert_eq!(target.helpers(), Vec::<String>::new());
    assert_eq!(target.replicas("deploy", "web"), 0);
    let resume = ["resume", &tool.last_run(), "--kubeconfig", &kubeconfig];
    tool.run(&resume).ok();
    until("the application to run", || {
        (target.replicas("deploy", "web") == 1).then_some(())
    });
    target.ready("deploy/web");
    same(&before, &describe(&target, "deploy/web"));
}
