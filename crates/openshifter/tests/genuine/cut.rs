//! A connection that is cut in the middle of a volume.

use std::path::Path;

use crate::app::{claim, deployment};
use crate::space::Space;
use crate::tool::Tool;

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
    source.volumes(&["data"]);
    source.create(&[claim("data"), deployment("web", Some("data"))]);
    source.ready("deploy/web");
    source.shell(
        "deploy/web",
        "dd if=/dev/urandom of=/data/large bs=1M count=200 2>/dev/null",
    );
    let tool = Tool::new();
    for out in ["chart", "chart.tgz"] {
        let mut running = tool.start(&[
            "export",
            "--from",
            &source.cluster.context,
            "-n",
            &source.name,
            "-o",
            out,
        ]);
        running.until("a part of the volume is here", || {
            // An archive is packed from a folder in the program's own spool.
            has_segment(&tool)
        });
        source.kubectl(&[
            "delete",
            "pod",
            "-l",
            "app=web",
            "--force",
            "--grace-period=0",
            "--wait=false",
        ]);
        let ran = running.end().ended(3).says("error:");
        assert!(
            ran.stderr.contains("data") || ran.stderr.contains("web-"),
            "{ran:?}"
        );
        assert_eq!(tool.charts(), Vec::<String>::new(), "{ran:?}");
        source.ready("deploy/web");
    }
}
