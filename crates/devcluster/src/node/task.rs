//! Something to run in a sandbox that is no pod: a step of a build.

use std::path::{Path, PathBuf};

use rand::RngExt;
use tokio_util::sync::CancellationToken;

use super::launch::{NotLaunched, make_places};
use super::probe::Target;
use super::{Node, bare, calls};
use crate::agent::wire::{Outcome, Process};
use crate::images::{DEFAULT_PATH, Image, hex};
use crate::sandbox::{Identity, Mount, Plan, Sandbox, write_etc};

/// A command, and what it finds around it.
#[derive(Debug)]
pub(crate) struct Task<'a> {
    pub(crate) name: &'a str,
    pub(crate) image: &'a Image,
    /// Files of the image.
    pub(crate) layers: &'a [Mount],
    pub(crate) mounts: &'a [Mount],
    pub(crate) identity: Identity,
    pub(crate) command: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    /// A folder of its own, for generated files.
    pub(crate) work: &'a Path,
    /// Whether it has the machine's network.
    pub(crate) network: bool,
}

/// Why it did not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskError {
    /// Its image lends nothing of the machine.
    #[error("the image has a root file system of its own, which this node does not run")]
    Foreign,
    /// There is nothing that could keep it apart.
    #[error("builder images need the sandbox, and this cluster runs without")]
    NoSandbox,
    /// The command cannot be started.
    #[error("cannot start the command: {0}")]
    Refused(String),
    /// The sandbox, or what it needs.
    #[error("the sandbox failed: {0}")]
    Failed(#[from] std::io::Error),
}

impl Node {
    /// Runs a command to its end and returns its exit code. Dropping the future ends it. `log` takes
    /// what it writes.
    pub(crate) async fn run_task(
        &self,
        task: Task<'_>,
        log: std::fs::File,
    ) -> Result<i32, TaskError> {
        let config = &self.inner.config;
        if config.sandbox == Sandbox::None {
            return Err(TaskError::NoSandbox);
        }
        let rootfs = task.image.config.rootfs().ok_or(TaskError::Foreign)?;
        let etc = task.work.join("etc");
        write_etc(
            &etc,
            task.name,
            "127.0.0.1",
            std::slice::from_ref(&task.identity),
        )?;
        let mut mounts = task.mounts.to_vec();
        let mut env = vec![
            ("PATH".to_owned(), DEFAULT_PATH.to_owned()),
            ("HOSTNAME".to_owned(), task.name.to_owned()),
            ("HOME".to_owned(), "/".to_owned()),
        ];
        if task.network {
            self.lend_network(&etc, &mut mounts, &mut env)?;
        }
        make_places(task.layers, &mounts)?;
        for (name, value) in task.env {
            match env.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = value,
                None => env.push((name, value)),
            }
        }
        let plan = Plan {
            agent: &config.agent,
            rootfs,
            layers: task.layers,
            host: &self.inner.host,
            etc: &etc,
            hostname: task.name,
            identity: &task.identity,
            mounts: &mounts,
            root: config.root,
            network: task.network,
            services: None,
        };
        let target = Target {
            container: task.name.to_owned(),
            socket: hex(&rand::rng().random::<[u8; 8]>()),
            port_map: Vec::new(),
            rewrites: bare::Rewrites::default(),
            own_ports: Vec::new(),
        };
        let process = Process {
            command: task.command,
            cwd: task.image.config.working_dir.clone(),
            env,
            services: Vec::new(),
        };
        let socket = target.socket.clone();
        let mut running = match self.launch(&plan, target, process, log).await {
            Ok(running) => running,
            Err(NotLaunched::Refused { message, .. }) => return Err(TaskError::Refused(message)),
            Err(NotLaunched::Broken) => {
                return Err(std::io::Error::other("it ended at once; see the log").into());
            }
            Err(NotLaunched::Failed(error)) => return Err(error.into()),
        };
        let ended: CancellationToken = self.inner.stopping.clone();
        let outcome = ended
            .run_until_cancelled(calls::outcome(&mut running.control))
            .await;
        self.inner.sockets.remove(&socket);
        running.end().await;
        let outcome = outcome.and_then(Result::ok);
        Ok(outcome.unwrap_or(Outcome::Killed { signal: 9 }).code())
    }

    /// Gives a build what it needs to reach other machines as this machine's user would: names,
    /// certificates, proxies, and the settings of pip.
    fn lend_network(
        &self,
        etc: &Path,
        mounts: &mut Vec<Mount>,
        env: &mut Vec<(String, String)>,
    ) -> std::io::Result<()> {
        for name in ["resolv.conf", "hosts"] {
            if let Ok(bytes) = std::fs::read(Path::new("/etc").join(name)) {
                fs_err::write(etc.join(name), bytes)?;
            }
        }
        fs_err::write(
            etc.join("nsswitch.conf"),
            "passwd: files\ngroup: files\nhosts: files dns\n",
        )?;
        let lent = |name: &str| {
            name.starts_with("PIP_")
                || matches!(
                    name.to_ascii_lowercase().as_str(),
                    "http_proxy"
                        | "https_proxy"
                        | "no_proxy"
                        | "all_proxy"
                        | "ssl_cert_file"
                        | "requests_ca_bundle"
                        | "curl_ca_bundle"
                )
        };
        let mut files = Vec::new();
        for (name, value) in std::env::vars() {
            if !lent(&name) {
                continue;
            }
            files.extend(places_in(&value));
            env.push((name, value));
        }
        let home = std::env::var("HOME").unwrap_or_default();
        let settings = [
            format!("{home}/.config/pip/pip.conf"),
            format!("{home}/.pip/pip.conf"),
            "/etc/pip.conf".to_owned(),
        ];
        if let Some(found) = settings.into_iter().find(|path| Path::new(path).is_file())
            && !env.iter().any(|(name, _)| name == "PIP_CONFIG_FILE")
        {
            // The sandbox's user may not read a private file of another one.
            let copy = etc.join("pip.conf");
            fs_err::copy(&found, &copy)?;
            files.extend(places_in(&fs_err::read_to_string(&found)?));
            fs_err::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
            mounts.push(Mount {
                source: copy,
                target: "/etc/pip.conf".into(),
                read_only: true,
            });
        }
        files.sort();
        files.dedup();
        mounts.extend(files.into_iter().map(|path| Mount {
            source: path.clone(),
            target: path,
            read_only: true,
        }));
        Ok(())
    }
}

/// Files and folders of the machine that settings name, certificates and wheels, say: they have to be in
/// the sandbox, too. What is in `/usr` is there anyway, and nothing else of the system's is lent.
fn places_in(settings: &str) -> Vec<PathBuf> {
    const NEVER: [&str; 9] = [
        "/usr", "/bin", "/sbin", "/lib", "/proc", "/dev", "/sys", "/run", "/root",
    ];
    settings
        .split(|c: char| c.is_whitespace() || c == '=')
        .map(|word| word.strip_prefix("file://").unwrap_or(word))
        .filter(|word| word.starts_with('/') && *word != "/")
        .map(Path::new)
        .filter(|path| path.exists())
        .filter(|path| path.components().count() > 2)
        .filter(|path| !NEVER.iter().any(|never| path.starts_with(never)))
        .map(Path::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_settings_name_is_lent_and_nothing_of_the_system() {
        let folder = tempfile::tempdir().unwrap();
        let wheels = folder.path().join("wheels");
        std::fs::create_dir(&wheels).unwrap();
        let settings = format!(
            "[global]\nfind-links = {}\ncert=/usr/bin/env\nno-index = true\nlog = /etc\n",
            wheels.display()
        );
        assert_eq!(places_in(&settings), [wheels]);
    }
}
