//! Starting a container: everything it needs is put together, then its agent is called.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;

use rand::RngExt;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::bare::{Rewrites, free_port};
use super::calls;
use super::env::{self, ConfigError};
use super::pod::{PodRun, Slot};
use super::probe::Target;
use super::volumes::{self, Volume};
use crate::agent::PATH_IN_SANDBOX;
use crate::agent::wire::{Outcome, Process, Refusal, Request};
use crate::images::{Image, hex};
use crate::object::{self, list, number, text, texts};
use crate::sandbox::{Mount, Plan, Sandbox};

/// What a start failed with: reason and message as in the status.
pub(super) struct NotStarted {
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// Whether it counts as a run that ended with this code.
    pub(super) code: Option<i32>,
}

impl From<ConfigError> for NotStarted {
    fn from(error: ConfigError) -> Self {
        Self {
            reason: "CreateContainerConfigError",
            message: error.0,
            code: None,
        }
    }
}

impl From<std::io::Error> for NotStarted {
    fn from(error: std::io::Error) -> Self {
        Self {
            reason: "CreateContainerError",
            message: error.to_string(),
            code: None,
        }
    }
}

/// A container that runs.
pub(super) struct Running {
    pub(super) control: UnixStream,
    pub(super) child: Child,
    pub(super) target: Target,
    pub(super) id: String,
    pub(super) since: String,
}

impl PodRun {
    /// Starts a container and its process.
    pub(super) async fn start(
        &self,
        slot: Slot,
        container: &Value,
        volumes: &HashMap<String, Volume>,
    ) -> Result<Running, NotStarted> {
        self.refuse_what_is_not_there(container)?;
        let config = &self.node.inner.config;
        let (namespace, reference) = (object::namespace(&self.pod), text(container, "/image"));
        let image = self
            .node
            .image(&self.store, namespace, reference)
            .map_err(|error| NotStarted {
                reason: "ErrImagePull",
                message: error.to_string(),
                code: None,
            })?;
        self.change(slot, |state| state.image_id = image.id());
        let mut environment = env::environment(
            &self.store,
            &self.pod,
            container,
            &image.config.env,
            &self.addresses,
        )?;
        let mounts = volumes::mounts(container, volumes)?;
        let mut process = Process {
            command: words(&image, container, &environment),
            cwd: match text(container, "/workingDir") {
                "" => image.config.working_dir.clone(),
                folder => folder.to_owned(),
            },
            env: Vec::new(),
        };
        let (id, socket) = (new_id(), hex(&rand::rng().random::<[u8; 8]>()));
        let mut target = Target {
            container: text(container, "/name").to_owned(),
            socket: socket.clone(),
            port_map: Vec::new(),
            rewrites: Rewrites::default(),
        };
        if config.sandbox == Sandbox::None {
            self.make_bare(
                container,
                &image,
                &mounts,
                &mut environment,
                &mut process,
                &mut target,
            )?;
        }
        process.env = environment;

        let identity = self.identity(container);
        let plan = Plan {
            agent: &config.agent,
            image: &image,
            host: &self.node.inner.host,
            etc: &self.node.pod_folder(self.uid()).join("etc"),
            hostname: env::hostname(&self.pod),
            identity: &identity,
            mounts: &mounts,
            root: config.root,
        };
        let (program, args) = plan.command(config.sandbox);
        let log = self.open_log(slot, container)?;
        let listener = self.node.inner.sockets.listen(&socket)?;
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir("/")
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
            .stdout(log.try_clone()?)
            .stderr(log)
            // Without a sandbox the agent has to live a moment longer, to end the others.
            .kill_on_drop(config.sandbox == Sandbox::Bubblewrap);
        let child = self.node.inner.spawner.spawn(command).await?;
        let since = object::now();
        let mut control = self
            .node
            .inner
            .sockets
            .call(&socket, &Request::Start(process))
            .await?;
        match calls::outcome(&mut control).await {
            Ok(Outcome::Started) => Ok(Running {
                control,
                child,
                target,
                id,
                since,
            }),
            Ok(Outcome::Refused { reason, message }) => {
                let code = if reason == Refusal::Permission {
                    126
                } else {
                    127
                };
                Err(NotStarted {
                    reason: "StartError",
                    message: format!("unable to start container process: {message}: unknown"),
                    code: Some(code),
                })
            }
            Ok(other) => Err(std::io::Error::other(format!("the agent answered {other:?}")).into()),
            Err(_) => {
                let said = self.last_words(slot, container).await;
                Err(std::io::Error::other(format!("the sandbox could not be made: {said}")).into())
            }
        }
    }

    fn refuse_what_is_not_there(&self, container: &Value) -> Result<(), NotStarted> {
        let spec = &self.pod["spec"];
        for field in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"] {
            if spec[field] == true {
                return Err(ConfigError(format!("the node does not implement {field}")).into());
            }
        }
        if container["securityContext"]["privileged"] == true {
            return Err(
                ConfigError("the node does not run privileged containers".to_owned()).into(),
            );
        }
        if container["restartPolicy"] == "Always" {
            return Err(
                ConfigError("the node does not implement sidecar containers".to_owned()).into(),
            );
        }
        Ok(())
    }

    /// Puts the machine's paths and ports in the place of the container's.
    fn make_bare(
        &self,
        container: &Value,
        image: &Image,
        mounts: &[Mount],
        environment: &mut Vec<(String, String)>,
        process: &mut Process,
        target: &mut Target,
    ) -> Result<(), NotStarted> {
        let mut all = mounts.to_vec();
        let read_only = |source: PathBuf, target: &str| Mount {
            source,
            target: target.into(),
            read_only: true,
        };
        all.push(read_only(
            self.node.inner.config.agent.clone(),
            PATH_IN_SANDBOX,
        ));
        all.extend(
            image
                .config
                .layers
                .iter()
                .map(|layer| read_only(image.folder.join(&layer.folder), &layer.at)),
        );
        target.rewrites = Rewrites::of(&all);
        process.command = target.rewrites.words(&process.command);
        process.cwd = target.rewrites.word(&process.cwd);
        let port = list(container, "/ports")
            .iter()
            .find_map(|port| number(port, "/containerPort"))
            .and_then(|port| u16::try_from(port).ok())
            .or_else(|| image.config.exposed_ports.first().copied());
        for (_, value) in environment.iter_mut() {
            *value = target.rewrites.word(value);
        }
        if let Some(port) = port {
            let free = free_port()?;
            target.port_map.push((port, free));
            environment.retain(|(name, _)| name != "PORT");
            environment.push(("PORT".to_owned(), free.to_string()));
        }
        Ok(())
    }
}

/// The command of a container, with `$(NAME)` expanded.
fn words(image: &Image, container: &Value, environment: &[(String, String)]) -> Vec<String> {
    let expand = |words: Vec<String>| -> Vec<String> {
        words
            .iter()
            .map(|word| env::expand(word, environment))
            .collect()
    };
    image.command(
        &expand(texts(container, "/command")),
        &expand(texts(container, "/args")),
    )
}

pub(super) fn new_id() -> String {
    format!("containerd://{}", hex(&rand::rng().random::<[u8; 32]>()))
}
