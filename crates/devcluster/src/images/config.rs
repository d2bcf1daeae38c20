//! What an image says about the containers made of it: the part of an OCI configuration that is used.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::object::{list, text, texts};

/// Label of an image that says what of the machine its containers see: `host` or `libraries`.
pub(crate) const ROOTFS: &str = "devcluster.openshifter.test/rootfs";

/// Label with a program that has to be on the machine, in `/usr/bin` or `/usr/local/bin`.
pub(crate) const NEEDS: &str = "devcluster.openshifter.test/needs";

/// Label of a builder image: where its scripts are, `image:///…`.
pub(crate) const SCRIPTS_URL: &str = "io.openshift.s2i.scripts-url";

/// What a container finds below `/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rootfs {
    /// The machine's `/usr` and what belongs to it: shell, coreutils, tar, and whatever else is installed.
    Host,
    /// Shared libraries alone: no shell, no tar, nothing in `$PATH`.
    Libraries,
}

/// What an image says about the containers made of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ImageConfig {
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) working_dir: String,
    pub(crate) exposed_ports: Vec<u16>,
    pub(crate) user: String,
    pub(crate) labels: BTreeMap<String, String>,
}

impl ImageConfig {
    /// What of the machine its containers see; none for an image that brings a root of its own.
    pub(crate) fn rootfs(&self) -> Option<Rootfs> {
        match self.labels.get(ROOTFS)?.as_str() {
            "host" => Some(Rootfs::Host),
            "libraries" => Some(Rootfs::Libraries),
            _ => None,
        }
    }

    /// A program that has to be on the machine.
    pub(crate) fn needs(&self) -> Option<&str> {
        self.labels.get(NEEDS).map(String::as_str)
    }

    /// The folder of a builder image's scripts.
    pub(crate) fn scripts(&self) -> Option<&str> {
        self.labels.get(SCRIPTS_URL)?.strip_prefix("image://")
    }

    /// A variable of its environment.
    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        match self.env.iter_mut().find(|(known, _)| known == name) {
            Some(known) => value.clone_into(&mut known.1),
            None => self.env.push((name.to_owned(), value.to_owned())),
        }
    }

    /// Reads it, and the `diff_ids` of the layers.
    pub(crate) fn read(bytes: &[u8]) -> Result<(Self, Vec<String>), serde_json::Error> {
        let object: Value = serde_json::from_slice(bytes)?;
        let config = &object["config"];
        let pair = |text: String| match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (text, String::new()),
        };
        let ports = config["ExposedPorts"].as_object();
        let read = Self {
            entrypoint: texts(config, "/Entrypoint"),
            cmd: texts(config, "/Cmd"),
            env: texts(config, "/Env").into_iter().map(pair).collect(),
            working_dir: match text(config, "/WorkingDir") {
                "" => "/".to_owned(),
                folder => folder.to_owned(),
            },
            exposed_ports: ports
                .into_iter()
                .flatten()
                .filter_map(|(port, _)| port.split('/').next()?.parse().ok())
                .collect(),
            user: text(config, "/User").to_owned(),
            labels: config["Labels"]
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect(),
        };
        let diff_ids = list(&object, "/rootfs/diff_ids")
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        Ok((read, diff_ids))
    }

    /// The whole configuration of an image with these layers.
    pub(crate) fn write(&self, diff_ids: &[String], created: &str) -> Vec<u8> {
        let env: Vec<String> = self
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let ports: BTreeMap<String, Value> = self
            .exposed_ports
            .iter()
            .map(|port| (format!("{port}/tcp"), json!({})))
            .collect();
        let history: Vec<Value> = diff_ids
            .iter()
            .map(|_| json!({"created": created, "created_by": "openshifter devcluster"}))
            .collect();
        let mut config = json!({"Env": env, "WorkingDir": self.working_dir});
        for (name, value) in [
            ("Entrypoint", json!(self.entrypoint)),
            ("Cmd", json!(self.cmd)),
            ("ExposedPorts", json!(ports)),
            ("User", json!(self.user)),
            ("Labels", json!(self.labels)),
        ] {
            let is_empty = value.as_array().is_some_and(Vec::is_empty)
                || value.as_object().is_some_and(serde_json::Map::is_empty)
                || value == "";
            if !is_empty {
                config[name] = value;
            }
        }
        let object = json!({
            "created": created,
            "architecture": architecture(),
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": history,
        });
        object.to_string().into_bytes()
    }
}

/// The machine's architecture as images name it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_comes_back_as_it_was() {
        let config = ImageConfig {
            entrypoint: vec!["entry".into()],
            cmd: vec!["run".into(), "it".into()],
            env: vec![("A".into(), "b=c".into()), ("EMPTY".into(), String::new())],
            working_dir: "/opt".into(),
            exposed_ports: vec![8080],
            user: "1001".into(),
            labels: BTreeMap::from([(ROOTFS.into(), "host".into())]),
        };
        let diff_ids = vec!["sha256:1".to_owned()];
        let bytes = config.write(&diff_ids, "1970-01-01T00:00:00Z");
        assert_eq!(
            ImageConfig::read(&bytes).unwrap(),
            (config.clone(), diff_ids)
        );
        assert_eq!(config.rootfs(), Some(Rootfs::Host));
        let (foreign, _) = ImageConfig::read(br#"{"config":{"Env":null}}"#).unwrap();
        assert_eq!(
            (foreign.rootfs(), foreign.working_dir.as_str()),
            (None, "/")
        );
    }
}
