//! Short commands in containers.

use openshifter_cluster::{Cluster, ClusterError};
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
    let (code, output) = run_command(cluster, namespace, pod, container, &command).await?;
    let probe = if code == 0 {
        commands::parse_probe(&output)
    } else {
        Probe::default()
    };
    Ok((probe.tar != Tar::Missing).then_some(probe))
}

/// Runs a short command and gives its exit code and output.
pub(crate) async fn run_command(
    cluster: &Cluster,
    namespace: &str,
    pod: &str,
    container: &str,
    command: &[String],
) -> Result<(i32, Vec<u8>), ClusterError> {
    use tokio::io::AsyncReadExt as _;
    // Output of our own short commands; a container that says more is not to fill the memory.
    const MOST: u64 = 64 << 20;
    let mut exec = cluster
        .exec(namespace, pod, Some(container), command, false)
        .await?;
    let mut output = Vec::new();
    if let Some(stdout) = exec.stdout() {
        // A torn stream shows in `finish`.
        let _ = stdout.take(MOST).read_to_end(&mut output).await;
    }
    let outcome = exec.finish().await?;
    Ok((outcome.exit_code, output))
}
