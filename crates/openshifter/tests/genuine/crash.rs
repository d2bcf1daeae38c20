//! The program is killed in the middle of an import: undo, resume, and a second import.

use crate::app::{claim, config, deployment};
use crate::space::Space;
use crate::tool::Tool;
use crate::tree::{describe, same};
use openshifter_testing::{Relay, Running, until};

/// Whether a helper pod has written a part of a volume.
fn writes(target: &Space) -> bool {
    let listed = target.cluster.attempt(&[
        "-n",
        &target.name,
        "get",
        "pods",
        "-l",
        "openshifter.dev/helper",
        "-o",
        "name",
    ]);
    let helpers = String::from_utf8_lossy(&listed.stdout).into_owned();
    helpers.lines().any(|pod| {
        let used = target.cluster.attempt(&[
            "-n",
            &target.name,
            "exec",
            pod,
            "--",
            "du",
            "-sk",
            "/openshifter-volume",
        ]);
        String::from_utf8_lossy(&used.stdout)
            .split_whitespace()
            .next()
            .and_then(|size| size.parse::<u64>().ok())
            .is_some_and(|size| size > 4096)
    })
}

/// Waits until an import by a relay has brought a part of a volume to the target. The relay lets nothing pass from then
/// on, so that the import cannot come to its end while one looks.
#[track_caller]
pub(crate) fn until_half_way(running: &mut Running<'_>, relay: &Relay, target: &Space) {
    relay.hold_after(32 << 20);
    running.until("a part of the volume is sent", || {
        relay.is_held().then_some(())
    });
    running.until("a helper pod writes", || writes(target).then_some(()));
}

#[test]
fn an_export_that_was_killed_leaves_nothing_after_its_undo() {
    let (source, _) = Space::pair("kill");
    source.run_web();
    source.shell(
        "deploy/web",
        "dd if=/dev/urandom of=/data/large bs=1M count=160 2>/dev/null",
    );
    let tool = Tool::new();
    let mut running = tool.start(&[&source.export_to("chart")[..], &["--quiesce"]].concat());
    running.until("a part of the volume is here", || {
        crate::cut::has_segment(&tool).then_some(())
    });
    running.kill();
    assert_eq!(source.replicas("deploy", "web"), 0);
    assert_eq!(source.helpers().len(), 1);
    assert!(!tool.path("chart").exists());
    tool.run(&["undo", &tool.last_run()]).ok();
    assert_eq!(source.replicas("deploy", "web"), 1);
    assert_eq!(source.helpers(), Vec::<String>::new());
    source.ready("deploy/web");
}

#[test]
fn an_import_that_was_killed_is_undone_or_resumed() {
    let (source, target) = Space::pair("crash");
    source.volumes(&["data"]);
    source.create(&[
        claim("data"),
        config("settings", serde_json::json!({"a": "b"})),
        deployment("web", Some("data")),
    ]);
    source.ready("deploy/web");
    source.shell(
        "deploy/web",
        "cd /data; mkdir few; for i in 1 2 3 4 5 6 7 8 9; do echo $i > few/$i; done; \
         dd if=/dev/urandom of=large bs=1M count=160 2>/dev/null; echo last > zzz",
    );
    let before = describe(&source, "deploy/web");
    let tool = Tool::new();
    tool.run(&source.export_to("chart")).ok();
    let (relay, kubeconfig) = target.cluster.relay(&tool);
    let import = target.relayed_import_of("chart", &kubeconfig);
    let by_relay = |verb, run| [verb, run, "--kubeconfig", &kubeconfig];
    let killed = || {
        target.volumes(&["data"]);
        let mut running = tool.start(&import);
        until_half_way(&mut running, &relay, &target);
        running.kill();
        relay.release();
        tool.last_run()
    };

    // Undone: nothing of the run is left, the project aside.
    let run = killed();
    assert_eq!(target.replicas("deploy", "web"), 0);
    tool.run(&by_relay("undo", &run)).ok();
    for (kind, name) in [
        ("deploy", "web"),
        ("pvc", "data"),
        ("configmap", "settings"),
    ] {
        assert_eq!(target.get(kind, name), None);
    }
    assert_eq!(target.helpers(), Vec::<String>::new());
    tool.run(&by_relay("resume", &run))
        .ended(3)
        .says("was undone");

    // Resumed: it is complete, though a part of the volume was written already.
    let run = killed();
    // Another import does not take what is half-written for anybody's.
    tool.run(&import).ended(3);
    tool.run(&by_relay("resume", &run)).ok();
    target.ready("deploy/web");
    same(&before, &describe(&target, "deploy/web"));
    assert_eq!(target.helpers(), Vec::<String>::new());

    // After success, undo takes back the same.
    tool.run(&by_relay("undo", &run)).ok();
    assert_eq!(target.get("deploy", "web"), None);
    until("the pods to be gone", || {
        target.names("pods").is_empty().then_some(())
    });
    assert_eq!(target.get("pvc", "data"), None);
}

#[test]
fn a_claim_that_was_empty_is_so_again_or_filled() {
    let (source, target) = Space::pair("half");
    source.run_web();
    source.shell(
        "deploy/web",
        "cd /data; echo first > aaa; dd if=/dev/urandom of=large bs=1M count=160 2>/dev/null",
    );
    let before = describe(&source, "deploy/web");
    let tool = Tool::new();
    tool.run(&source.export_to("chart")).ok();
    let target = Space::new(target.cluster, "half");
    target.volumes(&["data"]);
    target.create(&[claim("data")]);
    let (relay, kubeconfig) = target.cluster.relay(&tool);
    let import = target.relayed_import_of("chart", &kubeconfig);
    let by_relay = |verb, run| [verb, run, "--kubeconfig", &kubeconfig];
    let killed = || {
        let mut running = tool.start(&import);
        until_half_way(&mut running, &relay, &target);
        running.kill();
        relay.release();
        tool.last_run()
    };
    let uid = target.must("pvc", "data")["metadata"]["uid"].clone();

    let run = killed();
    tool.run(&by_relay("undo", &run))
        .ok()
        .says("volume data: empty again");
    assert_eq!(target.must("pvc", "data")["metadata"]["uid"], uid);
    target.create(&[deployment("look", Some("data"))]);
    target.ready("deploy/look");
    assert_eq!(target.shell("deploy/look", "ls -A /data"), b"");
    target.kubectl(&["delete", "deploy", "look", "--wait"]);

    let run = killed();
    tool.run(&by_relay("resume", &run)).ok();
    target.ready("deploy/web");
    same(&before, &describe(&target, "deploy/web"));
}
