//! Short commands in containers.

use std::time::Duration;

use openshifter_cluster::{Cluster, ClusterError, ExecOptions};
use openshifter_volumes::commands::{self, Probe, Tar};

/// What a container has to move the volume at `path` with; `None` when it has no shell or no `tar`.
pub(super) async fn probe(
    cluster: &Cluster,
    namespace: &str,
    pod: &str,
    container: &str,
    path: &str,
) -> Result<Option<Probe>, ClusterError> {
    let command = commands::probe(path);
    let (code, output) = run_command(
        cluster, namespace, pod, container, &command, MOST_SAID, None,
    )
    .await?;
    let probe = if code == 0 {
        commands::parse_probe(&output)
    } else {
        Probe::default()
    };
    Ok((probe.tar != Tar::Missing).then_some(probe))
}

/// Bytes that a short command may say.
pub(crate) const MOST_SAID: u64 = 1 << 20;

/// Runs a short command and gives its exit code and output, of which no more than `most` bytes are kept: a container
/// that says more is not to fill the memory. With `stall` it may be silent for that long.
pub(crate) async fn run_command(
    cluster: &Cluster,
    namespace: &str,
    pod: &str,
    container: &str,
    command: &[String],
    most: u64,
    stall: Option<Duration>,
) -> Result<(i32, Vec<u8>), ClusterError> {
    use tokio::io::AsyncReadExt as _;
    let options = ExecOptions {
        stall,
        ..ExecOptions::default()
    };
    let mut exec = cluster
        .exec_with(namespace, pod, Some(container), command, &options)
        .await?;
    let mut output = Vec::new();
    if let Some(stdout) = exec.stdout() {
        // A torn stream shows in `finish`.
        let _ = stdout.take(most).read_to_end(&mut output).await;
    }
    let outcome = exec.finish().await?;
    Ok((outcome.exit_code, output))
}
