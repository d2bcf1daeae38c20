//! Whether sandboxes can be made here, and of which kind, asked before a cluster starts.

use tokio::process::Command;

use super::Sandbox;
use crate::error::DevClusterError;

/// Makes a sandbox and runs nothing in it. Says whether containers can take on their real users,
/// which takes root with the rights to make mounts; a root without them has user namespaces left.
pub(crate) async fn check(sandbox: Sandbox, root: bool) -> Result<bool, DevClusterError> {
    if sandbox == Sandbox::None || (root && make(false).await.is_ok()) {
        return Ok(root);
    }
    make(true).await.map(|()| false)
}

async fn make(user_namespace: bool) -> Result<(), DevClusterError> {
    let mut command = Command::new("bwrap");
    if user_namespace {
        command.args(["--unshare-user", "--uid", "1000660000", "--gid", "0"]);
    }
    command
        .args([
            "--unshare-pid",
            "--unshare-net",
            "--unshare-ipc",
            "--unshare-uts",
        ])
        .args([
            "--die-with-parent",
            "--ro-bind",
            "/",
            "/",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
        ])
        .args(["--", "/bin/true"]);
    let output = command
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| {
            if source.kind() == std::io::ErrorKind::NotFound {
                DevClusterError::NoBubblewrap
            } else {
                DevClusterError::Bubblewrap {
                    said: source.to_string(),
                }
            }
        })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(DevClusterError::Bubblewrap { said })
}
