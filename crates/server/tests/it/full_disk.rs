//! A disk of the service that is full while a chart comes in.
//!
//! The disk is a small one in memory, which only a sandbox can mount for us: the test runs itself in there.

use std::path::PathBuf;
use std::process::Command;

use openshifter_migrate::StateDir;

use crate::support::{Gate, Service};

const DISK: &str = "OPENSHIFTER_TEST_SMALL_DISK";
const NAME: &str = "full_disk::an_upload_that_does_not_fit_is_507_and_leaves_nothing";

#[test]
fn an_upload_that_does_not_fit_is_507_and_leaves_nothing() {
    if let Some(disk) = std::env::var_os(DISK).map(PathBuf::from) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        return runtime.block_on(upload(disk));
    }
    let place = tempfile::tempdir().unwrap();
    let output = Command::new("bwrap")
        .args(["--dev-bind", "/", "/", "--size", "8000000", "--tmpfs"])
        .arg(place.path())
        .args(["--setenv", DISK])
        .arg(place.path())
        .arg("--")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .output()
        .expect("`bwrap` is needed by this test: install bubblewrap");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn upload(disk: PathBuf) {
    let gate = Gate::open().await;
    let state = disk.join("state");
    let service = Service::with(|config| config.state = StateDir::new(&state)).await;
    let place = format!("/import/{}/shop/dev/hunter2", gate.base());
    // It begins as a chart does.
    let chart = [&b"\x1f\x8b\x08"[..], &vec![0x5a; 20 << 20]].concat();
    let refused = service.ask("POST", &place, &[], &chart).await;
    assert_eq!(refused.status, 507, "{}", refused.body);
    assert!(
        refused
            .body
            .starts_with("no space is left: the uploaded chart cannot be spooled"),
        "{}",
        refused.body
    );
    assert_eq!(gate.changes(), [""; 0]);
    assert_eq!((gate.logins(), gate.logouts()), (1, 1));
    // There is room again for whoever comes next.
    std::fs::write(disk.join("room"), vec![0; 4 << 20]).unwrap();
    service.server.stop().await;
}
