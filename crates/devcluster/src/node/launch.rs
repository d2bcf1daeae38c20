//! Calling a sandbox into being: its agent is started, then told what to run.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rand::RngExt;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::probe::Target;
use super::{Node, calls};
use crate::agent::wire::{Outcome, Process, Refusal, Request};
use crate::images::hex;
use crate::object;
use crate::sandbox::{Mount, Plan, Sandbox};

/// A sandbox whose process runs.
pub(super) struct Running {
    pub(super) control: UnixStream,
    pub(super) child: Child,
    pub(super) target: Target,
    pub(super) id: String,
    pub(super) since: String,
}

/// Why it does not.
pub(super) enum NotLaunched {
    /// The command cannot be started in it.
    Refused { reason: Refusal, message: String },
    /// The sandbox itself ended; its log says why.
    Broken,
    /// Anything else.
    Failed(std::io::Error),
}

impl From<std::io::Error> for NotLaunched {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Node {
    /// Makes a sandbox and starts its process in it. `log` takes what it writes.
    pub(super) async fn launch(
        &self,
        plan: &Plan<'_>,
        target: Target,
        process: Process,
        log: std::fs::File,
    ) -> Result<Running, NotLaunched> {
        let inner = &self.inner;
        let (program, args) = plan.command(inner.config.sandbox);
        let listener = inner.sockets.listen(&target.socket)?;
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir("/")
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
            .stdout(log.try_clone()?)
            .stderr(log)
            // Without a sandbox the agent has to live a moment longer, to end the others.
            .kill_on_drop(inner.config.sandbox == Sandbox::Bubblewrap);
        let child = inner.spawner.spawn(command).await?;
        let since = object::now();
        let mut control = inner
            .sockets
            .call(&target.socket, &Request::Start(process))
            .await?;
        match calls::outcome(&mut control).await {
            Ok(Outcome::Started) => Ok(Running {
                control,
                child,
                target,
                id: new_id(),
                since,
            }),
            Ok(Outcome::Refused { reason, message }) => {
                Err(NotLaunched::Refused { reason, message })
            }
            Ok(other) => Err(std::io::Error::other(format!("the agent answered {other:?}")).into()),
            Err(_) => Err(NotLaunched::Broken),
        }
    }
}

impl Running {
    /// Ends what still runs. The agent does it when its connection ends, by which it leaves nothing
    /// behind without a sandbox either; one that does not is ended itself.
    pub(super) async fn end(&mut self) {
        let _ = self.control.shutdown().await;
        if tokio::time::timeout(Duration::from_secs(5), self.child.wait())
            .await
            .is_err()
        {
            let _ = self.child.kill().await;
        }
    }
}

/// Makes places for mounts in an image's files where they are missing: nothing can be made in a folder
/// that is mounted read-only.
pub(super) fn make_places(layers: &[Mount], mounts: &[Mount]) -> std::io::Result<()> {
    for mount in mounts {
        let inside = layers
            .iter()
            .filter(|layer| mount.target.starts_with(&layer.target))
            .max_by_key(|layer| layer.target.components().count());
        let Some(layer) = inside else { continue };
        let Ok(rest) = mount.target.strip_prefix(&layer.target) else {
            continue;
        };
        make_place(&layer.source.join(rest), mount.source.is_dir())?;
    }
    Ok(())
}

fn make_place(place: &Path, is_folder: bool) -> std::io::Result<()> {
    if place.symlink_metadata().is_ok() {
        return Ok(());
    }
    if is_folder {
        return fs_err::create_dir_all(place);
    }
    if let Some(parent) = place.parent() {
        fs_err::create_dir_all(parent)?;
    }
    fs_err::write(place, [])
}

/// A fresh id of a container.
pub(super) fn new_id() -> String {
    format!("containerd://{}", hex(&rand::rng().random::<[u8; 32]>()))
}
