//! A target volume that is too small for the data.

use serde_json::json;

use crate::app::template;
use crate::space::Space;
use crate::tool::Tool;
use crate::world::world;

/// A small file system of the node, gone with this.
struct SmallDisk<'a> {
    /// A space of its own: the test's may be gone first.
    space: &'a Space,
    path: String,
}

impl<'a> SmallDisk<'a> {
    fn new(space: &'a Space, megabytes: usize) -> Self {
        let disk = Self {
            space,
            path: format!("/var/tmp/openshifter-small-{}", world().run),
        };
        let path = &disk.path;
        disk.on_node(
            "mount",
            &format!("mkdir -p {path} && mount -t tmpfs -o size={megabytes}m none {path}"),
        );
        disk
    }

    /// Runs a script on the node itself.
    fn on_node(&self, name: &str, script: &str) {
        let mut pod = template(name, None);
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        pod["metadata"]["name"] = name.into();
        pod["spec"]["restartPolicy"] = "Never".into();
        pod["spec"]["hostPID"] = true.into();
        let container = &mut pod["spec"]["containers"][0];
        container["securityContext"] = json!({"privileged": true});
        // The first process of a node may be out of reach; its kubelet mounts what pods get.
        let enter = "for process in $(pidof kubelet) 1; do \
                     nsenter -t $process -m true && exec nsenter -t $process -m sh -c \"$0\"; done; exit 1";
        container["command"] = json!(["sh", "-c", enter, script]);
        self.space.create(&[pod]);
        openshifter_testing::until(&format!("{name} on the node"), || {
            let pod = self.space.must("pod", name);
            let phase = pod["status"]["phase"].as_str().unwrap_or_default();
            assert_ne!(phase, "Failed", "{script}: {}", pod["status"]);
            (phase == "Succeeded").then_some(())
        });
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let unmount = format!("umount -l {0}; rmdir {0}", self.path);
        // When the test failed already, a second failure here would end the whole suite.
        let again = std::panic::AssertUnwindSafe(|| self.on_node("unmount", &unmount));
        let unmounted = std::panic::catch_unwind(again);
        assert!(
            unmounted.is_ok() || std::thread::panicking(),
            "{} is left on the node",
            self.path
        );
    }
}

#[test]
fn a_target_volume_that_is_full_is_said_to_be_so() {
    let source = Space::new(&world().source, "full");
    source.run_web();
    source.shell(
        "deploy/web",
        "cd /data; echo first > aaa; dd if=/dev/urandom of=large bs=1M count=40 2>/dev/null",
    );
    let node = Space::new(&world().target, "full-node");
    let target = Space::new(&world().target, "full");
    let disk = SmallDisk::new(&node, 8);
    let class = format!("small-{}", target.name);
    let volume = format!("small-{}", target.name);
    target.cluster.create(
        None,
        &[
            target.class(&class, "Immediate"),
            target.volume(&volume, &class, &disk.path),
        ],
    );
    let tool = Tool::new();
    tool.run(
        &[
            &source.export_to("chart")[..],
            &["--storage-class", &format!("*={class}")],
        ]
        .concat(),
    )
    .ok();
    let before = target.picture();
    tool.run(&target.import_of("chart"))
        .ended(4)
        .one_message()
        .says("data")
        .says("No space left on device")
        .says("openshifter undo");
    assert_eq!(target.replicas("deploy", "web"), 0);
    assert_eq!(target.helpers(), [""; 0]);
    tool.run(&["undo", &tool.last_run()]).ok();
    assert_eq!(target.picture(), before);
}
