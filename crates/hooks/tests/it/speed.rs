//! What a probe costs. Times are for `scripts/bench-image`; memory can be asserted.

use crate::image::Image;

#[test]
fn the_runner_of_a_probe_stays_under_4_mib() {
    let image = Image::new();
    image.env("deploy_env", "A=1\n");
    // Its parent is the runner that waits for it.
    image.hook("ready", "grep VmHWM /proc/$PPID/status");
    let output = image.ours(&["ready"]);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = stdout.lines().last().unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kib < 4096, "{line}");
}
