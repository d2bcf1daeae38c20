//! Debian's image registry on a free port of this machine, with a folder of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command::run;

/// Media type of manifests that [`RegistryServer::image`] writes.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Media type of the layers that images have by themselves.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A registry; it ends with its value.
pub struct RegistryServer {
    child: Child,
    address: String,
    folder: TempDir,
}

impl Drop for RegistryServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl RegistryServer {
    /// A registry without TLS and credentials.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Self {
        Self::configured("", "")
    }

    /// A registry with more lines below `http:` and at the end of its configuration.
    ///
    /// # Panics
    /// When it does not start.
    pub fn configured(http: &str, rest: &str) -> Self {
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        let config = folder.path().join("config.yml");
        let storage = folder.path().join("storage");
        let text = format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:0\n{http}{rest}",
            storage.display()
        );
        std::fs::write(&config, text).expect("there is room for temporary files");
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry starts; install it: apt-get install docker-registry");
        let mut lines = BufReader::new(child.stderr.take().expect("it is a pipe")).lines();
        let address = loop {
            let line = lines
                .next()
                .expect("the registry says where it listens")
                .expect("it says it in text");
            if let Some((_, rest)) = line.split_once("listening on ") {
                let end = rest.find(['"', ',', ' ']).unwrap_or(rest.len());
                break rest[..end].to_owned();
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

    /// `127.0.0.1:5000`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The registry's own folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file that holds a blob, by the digest's digits.
    pub fn blob(&self, hex: &str) -> PathBuf {
        let blobs = self
            .folder
            .path()
            .join("storage/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }

    /// Tags of a repository, as the registry lists them.
    ///
    /// # Panics
    /// When its folder cannot be read.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let tags = self
            .folder
            .path()
            .join("storage/docker/registry/v2/repositories")
            .join(repository)
            .join("_manifests/tags");
        let mut names: Vec<String> = std::fs::read_dir(tags)
            .into_iter()
            .flatten()
            .map(|entry| entry.expect("it can be read").file_name())
            .map(|name| name.into_string().expect("tags are text"))
            .collect();
        names.sort();
        names
    }

    /// Puts a blob into a repository; gives what names it.
    ///
    /// # Panics
    /// When the registry does not take it.
    #[track_caller]
    pub fn put_blob(&self, repository: &str, media_type: &str, bytes: &[u8]) -> Value {
        let digest = digest(bytes);
        let begun = self.curl(
            &["--request", "POST"],
            &format!("{repository}/blobs/uploads/"),
        );
        let place = begun
            .lines()
            .find_map(|line| line.strip_prefix("Location: "))
            .unwrap_or_else(|| panic!("no upload was begun: {begun}"))
            .trim()
            .to_owned();
        let sign = if place.contains('?') { '&' } else { '?' };
        self.send(
            &["--header", "Content-Type: application/octet-stream"],
            &format!("{place}{sign}digest={digest}"),
            bytes,
        );
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// Puts a manifest or an index under a tag; gives what names it.
    ///
    /// # Panics
    /// When the registry does not take it.
    #[track_caller]
    pub fn put_manifest(&self, repository: &str, tag: &str, manifest: &Value) -> Value {
        let bytes = manifest.to_string();
        let media_type = manifest["mediaType"].as_str().expect("it has a type");
        self.send(
            &["--header", &format!("Content-Type: {media_type}")],
            &format!("http://{}/v2/{repository}/manifests/{tag}", self.address),
            bytes.as_bytes(),
        );
        json!({"mediaType": media_type, "digest": digest(bytes.as_bytes()), "size": bytes.len()})
    }

    /// Puts an image for linux and an architecture that has one layer, of this media type and content, under a tag;
    /// gives what names it.
    ///
    /// # Panics
    /// When the registry does not take it.
    #[track_caller]
    pub fn image(&self, place: (&str, &str), architecture: &str, layer: (&str, &[u8])) -> Value {
        let (repository, tag) = place;
        let config = json!({"architecture": architecture, "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer.1)]}});
        let config = self.put_blob(
            repository,
            "application/vnd.oci.image.config.v1+json",
            config.to_string().as_bytes(),
        );
        let layer = self.put_blob(repository, layer.0, layer.1);
        let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]});
        self.put_manifest(repository, tag, &manifest)
    }

    /// Loses the layers of an image, as a broken disk does.
    ///
    /// # Panics
    /// When the image is not there.
    #[track_caller]
    pub fn lose_layers(&self, image: &Value) {
        let path_of = |of: &Value| {
            let digest = of["digest"].as_str().expect("it has a digest");
            self.blob(digest.trim_start_matches("sha256:"))
        };
        let text = std::fs::read(path_of(image)).expect("the manifest is there");
        let manifest: Value = serde_json::from_slice(&text).expect("it is JSON");
        for layer in manifest["layers"].as_array().expect("it has layers") {
            std::fs::remove_file(path_of(layer)).expect("the layer is there");
        }
    }

    #[track_caller]
    fn curl(&self, args: &[&str], path: &str) -> String {
        let mut curl = self.command(args);
        curl.arg("--include")
            .arg(format!("http://{}/v2/{path}", self.address));
        run(&mut curl, b"")
    }

    #[track_caller]
    fn send(&self, args: &[&str], url: &str, bytes: &[u8]) {
        let mut curl = self.command(args);
        curl.args(["--request", "PUT", "--data-binary", "@-"])
            .arg(url);
        run(&mut curl, bytes);
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--fail-with-body",
            "--noproxy",
            "*",
        ])
        .args(args);
        curl
    }
}

/// The digest of bytes, as another program counts it.
#[track_caller]
fn digest(bytes: &[u8]) -> String {
    let sum = run(&mut Command::new("sha256sum"), bytes);
    let hex = sum.split(' ').next().expect("it begins with the sum");
    format!("sha256:{hex}")
}
