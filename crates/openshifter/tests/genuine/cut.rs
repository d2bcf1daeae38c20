//! A connection that is cut in the middle of a volume.

use std::path::Path;

use openshifter_testing::Ran;

use crate::space::Space;
use crate::tool::Tool;
use crate::tree::{describe, same};

/// Whether a first part of a volume is on the disk, in a chart that is not finished.
pub(crate) fn has_segment(tool: &Tool) -> bool {
    fn look(folder: &Path) -> bool {
        std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .any(|entry| {
                let path = entry.path();
                if path.is_dir() {
                    look(&path)
                } else {
                    path.parent()
                        .is_some_and(|parent| parent.ends_with("segments"))
                        && entry.metadata().is_ok_and(|meta| meta.len() > 0)
                }
            })
    }
    look(&tool.path(""))
}

#[test]
fn an_export_whose_connection_is_cut_fails_and_says_so() {
    let (source, _) = Space::pair("cut");
    source.run_web();
    source.shell(
        "deploy/web",
        "dd if=/dev/urandom of=/data/large bs=1M count=200 2>/dev/null",
    );
    let tool = Tool::new();
    let (relay, kubeconfig) = source.cluster.relay(&tool);
    let export_to = |out| {
        [
            "export",
            "--kubeconfig",
            &kubeconfig,
            "--from",
            "relayed",
            "-n",
            &source.name,
            "-o",
            out,
        ]
    };
    for out in ["chart", "chart.tgz"] {
        let mut running = tool.start(&export_to(out));
        running.until("a part of the volume is here", || {
            // An archive is packed from a folder in the program's own spool.
            has_segment(&tool).then_some(())
        });
        // Else the rest of the volume might arrive before the pod's containers have ended.
        relay.hold_after(0);
        source.kubectl(&["delete", "pod", "-l", "app=web", "--wait"]);
        relay.release();
        is_torn(running.end(), &tool);
        source.ready("deploy/web");
    }

    // The pod goes on, and the way to it is gone.
    let export = export_to("chart");
    let mut running = tool.start(&export);
    running.until("a part of the volume is here", || {
        has_segment(&tool).then_some(())
    });
    relay.cut();
    is_torn(running.end(), &tool);
    relay.mend();
    let mut running = tool.start(&export);
    running.until("a part of the volume is here", || {
        has_segment(&tool).then_some(())
    });
    // For a moment: what came before it is no whole volume.
    relay.cut();
    relay.mend();
    is_torn(running.end(), &tool);
    tool.run(&export).ok();
    assert_eq!(source.replicas("deploy", "web"), 1);
}

/// An export that stopped in the middle names the volume and leaves no chart.
#[track_caller]
fn is_torn(ran: Ran, tool: &Tool) {
    let ran = ran.ended(3).says("error:");
    assert!(
        ran.stderr.contains("data") || ran.stderr.contains("web-"),
        "{ran:?}"
    );
    assert_eq!(tool.charts(), Vec::<String>::new(), "{ran:?}");
}

#[test]
fn an_import_whose_connection_is_cut_stops_half_way_and_is_resumed() {
    let (source, target) = Space::pair("cut-import");
    source.run_web();
    source.shell(
        "deploy/web",
        "cd /data; echo first > aaa; dd if=/dev/urandom of=large bs=1M count=200 2>/dev/null; echo last > zzz",
    );
    let before = describe(&source, "deploy/web");
    let tool = Tool::new();
    tool.run(&source.export_to("chart")).ok();
    let (relay, kubeconfig) = target.cluster.relay(&tool);
    let import = target.relayed_import_of("chart", &kubeconfig);

    // For good: the program cannot even clear up.
    target.volumes(&["data"]);
    let mut running = tool.start(&import);
    crate::crash::until_half_way(&mut running, &relay, &target);
    relay.cut();
    running
        .end()
        .ended(4)
        .one_message()
        .says("data")
        .says("openshifter undo")
        .says("openshifter resume");
    assert_eq!(target.replicas("deploy", "web"), 0);
    let run = tool.last_run();
    tool.run(&["resume", &run, "--to", &target.cluster.context])
        .ok();
    target.ready("deploy/web");
    same(&before, &describe(&target, "deploy/web"));
    assert_eq!(target.helpers(), [""; 0]);
    tool.run(&["undo", &run, "--to", &target.cluster.context])
        .ok();
    assert_eq!(target.get("pvc", "data"), None);

    // For a moment: what was half-written is never taken for whole.
    relay.mend();
    target.volumes(&["data"]);
    let mut running = tool.start(&import);
    crate::crash::until_half_way(&mut running, &relay, &target);
    relay.cut();
    relay.mend();
    let ran = running.end();
    if ran.status != Some(0) {
        ran.ended(4).one_message().says("openshifter resume");
        assert_eq!(target.replicas("deploy", "web"), 0);
        assert_eq!(target.helpers(), [""; 0]);
        let back = ["resume", &tool.last_run(), "--kubeconfig", &kubeconfig];
        tool.run(&back).ok();
    }
    target.ready("deploy/web");
    same(&before, &describe(&target, "deploy/web"));
    assert_eq!(target.helpers(), [""; 0]);
}
