//! Starting a container: everything it needs is put together, then its agent is called.

use std::collections::HashMap;
use std::path::Path;

use rand::RngExt;
use serde_json::Value;

use super::bare::{Rewrites, free_port};
use super::env::{self, ConfigError};
use super::launch::{NotLaunched, Running, make_places};
use super::pod::{PodRun, Slot};
use super::probe::Target;
use super::services;
use super::volumes::{self, Volume};
use crate::agent::PATH_IN_SANDBOX;
use crate::agent::wire::{Process, Refusal};
use crate::images::{Image, Images, hex};
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
        let image = self.node.pull(&self.store, &self.pod, container).await?;
        self.change(slot, |state| state.image_id = image.id());
        let rootfs = image
            .config
            .rootfs()
            .ok_or_else(|| foreign(text(container, "/image")))?;
        let mut environment = env::environment(
            &self.store,
            &self.pod,
            container,
            &image.config.env,
            &self.addresses,
        )?;
        let mounts = volumes::mounts(container, volumes)?;
        let layers = self.lay_out(container, &image, &mounts).await?;
        let mut process = Process {
            command: words(&image, container, &environment),
            cwd: match text(container, "/workingDir") {
                "" => image.config.working_dir.clone(),
                folder => folder.to_owned(),
            },
            env: Vec::new(),
            services: Vec::new(),
        };
        let mut target = Target {
            container: text(container, "/name").to_owned(),
            socket: hex(&rand::rng().random::<[u8; 8]>()),
            port_map: Vec::new(),
            rewrites: Rewrites::default(),
            own_ports: own_ports(&self.pod, container, &image),
        };
        process.services =
            services::offered(&self.store, object::namespace(&self.pod), &target.own_ports);
        if config.sandbox == Sandbox::None {
            let all: Vec<Mount> = layers.iter().chain(&mounts).cloned().collect();
            self.make_bare(
                container,
                &image,
                all,
                &mut environment,
                &mut process,
                &mut target,
            )?;
        }
        process.env = environment;

        let identity = self.identity(container);
        let uplink = self.node.uplink();
        let plan = Plan {
            agent: &config.agent,
            rootfs,
            layers: &layers,
            host: &self.node.inner.host,
            etc: &self.node.pod_folder(self.uid()).join("etc"),
            hostname: env::hostname(&self.pod),
            identity: &identity,
            mounts: &mounts,
            root: config.root,
            network: false,
            services: Some(&uplink),
        };
        let log = self.open_log(slot, container)?;
        match self.node.launch(&plan, target, process, log).await {
            Err(NotLaunched::Broken) => {
                let said = self.last_words(slot, container).await;
                Err(std::io::Error::other(format!("the sandbox could not be made: {said}")).into())
            }
            Err(NotLaunched::Refused { reason, message }) => {
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
            Err(NotLaunched::Failed(error)) => Err(error.into()),
            Ok(running) => Ok(running),
        }
    }

    /// The image's files as the container gets them: what it may write to is a copy of its own.
    async fn lay_out(
        &self,
        container: &Value,
        image: &Image,
        mounts: &[Mount],
    ) -> Result<Vec<Mount>, NotStarted> {
        let copies = self
            .node
            .pod_folder(self.uid())
            .join("layers")
            .join(text(container, "/name"));
        let (images, image) = (self.node.inner.config.images.clone(), image.clone());
        let mounts = mounts.to_vec();
        let laid = tokio::task::spawn_blocking(move || lay_out(&images, &image, &copies, &mounts));
        laid.await
            .map_err(std::io::Error::other)?
            .map_err(|message| NotStarted {
                reason: "CreateContainerError",
                message,
                code: None,
            })
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
        mut all: Vec<Mount>,
        environment: &mut Vec<(String, String)>,
        process: &mut Process,
        target: &mut Target,
    ) -> Result<(), NotStarted> {
        all.push(Mount {
            source: self.node.inner.config.agent.clone(),
            target: PATH_IN_SANDBOX.into(),
            read_only: true,
        });
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

/// What is said of an image that was not made here.
fn foreign(reference: &str) -> NotStarted {
    NotStarted {
        reason: "CreateContainerError",
        message: format!(
            "image {reference:?} has a root file system of its own: this node lends containers the machine's \
             programs, and runs its built-in images and those built on them"
        ),
        code: None,
    }
}

/// Mounts of an image's files.
fn lay_out(
    images: &Images,
    image: &Image,
    copies: &Path,
    mounts: &[Mount],
) -> Result<Vec<Mount>, String> {
    let says = |error: &dyn std::error::Error| match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    let made = images
        .writable(image, copies)
        .map_err(|error| says(&error))?;
    let mut layers = made.read_only;
    layers.extend(made.copies);
    make_places(&layers, mounts).map_err(|error| says(&error))?;
    Ok(layers)
}

/// The ports that the containers of a pod say they listen on, and those of the image, if its own program
/// is run.
fn own_ports(pod: &Value, container: &Value, image: &Image) -> Vec<u16> {
    let of_image = match list(container, "/command") {
        [] => image.config.exposed_ports.as_slice(),
        _ => &[],
    };
    list(pod, "/spec/containers")
        .iter()
        .flat_map(|container| list(container, "/ports"))
        .filter_map(|port| u16::try_from(number(port, "/containerPort")?).ok())
        .chain(of_image.iter().copied())
        .collect()
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
