//! Debian's registry on a free port of this machine, with a folder of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use openshifter_images::{
    Registry, RegistryCredentials, RegistryEndpoint, RegistryTrust, RegistryTuning, Repository,
};
use std::time::Duration;

/// Ends with its value.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    pub(crate) folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// A registry without TLS and credentials.
    pub(crate) fn start() -> Self {
        Self::configured("", "")
    }

    /// A registry with more lines below `http:` and at the end of its configuration.
    pub(crate) fn configured(http: &str, rest: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yml");
        let storage = folder.path().join("storage");
        let text = format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:0\n{http}{rest}",
            storage.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry starts; install it: apt-get install docker-registry");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines
                .next()
                .expect("the registry says where it listens")
                .unwrap();
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split(['"', ',', ' ']).next().unwrap().to_owned();
            }
        };
        // It blocks when nobody reads what it says.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            address,
            folder,
        }
    }

    pub(crate) async fn repository(&self, name: &str) -> Repository {
        repository(&self.address, name).await
    }

    /// The file that holds a blob.
    pub(crate) fn blob(&self, hex: &str) -> PathBuf {
        let blobs = self
            .folder
            .path()
            .join("storage/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }

    /// Tags of a repository, as the registry lists them.
    pub(crate) fn tags(&self, repository: &str) -> Vec<String> {
        let tags = self
            .folder
            .path()
            .join("storage/docker/registry/v2/repositories")
            .join(repository)
            .join("_manifests/tags");
        names(&tags)
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Limits that let a test fail soon, and chunks that make several of a small layer.
pub(crate) fn tuning() -> RegistryTuning {
    RegistryTuning {
        attempts: 4,
        first_delay: Duration::from_millis(20),
        chunk: 64 << 10,
        ..RegistryTuning::default()
    }
}

pub(crate) fn plain() -> RegistryTrust {
    RegistryTrust {
        plain_http: true,
        ..RegistryTrust::default()
    }
}

/// A registry that needs no credentials, with the limits above.
pub(crate) async fn registry(address: &str) -> Registry {
    let endpoint = RegistryEndpoint::parse(&format!("http://{address}"), plain()).unwrap();
    Registry::connect_tuned(&endpoint, RegistryCredentials::Anonymous, tuning())
        .await
        .unwrap()
}

pub(crate) async fn repository(address: &str, name: &str) -> Repository {
    registry(address).await.repository(name).unwrap()
}
