//! Builds and registries for the tests.

use std::sync::Mutex;

use futures::future::BoxFuture;
use openshifter_apiserver::{
    BinarySource, BuildBackend, BuildError, BuildLogRequest, Input, Registries, RegistryError,
    RemoteImage, RemoteImageRequest,
};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;
use tokio::sync::Notify;

/// What came in of a source so far.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) build: String,
    pub(crate) as_file: Option<String>,
    pub(crate) bytes: u64,
    pub(crate) done: bool,
}

/// Builds that read their source and do nothing with it.
#[derive(Default)]
pub(crate) struct FakeBuilds {
    pub(crate) taken: Mutex<Taken>,
    pub(crate) changed: Notify,
}

impl FakeBuilds {
    /// Waits until as much of a source has come.
    pub(crate) async fn until(&self, reached: impl Fn(&Taken) -> bool) -> Taken {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                let now = self.taken.lock().unwrap().clone();
                if reached(&now) {
                    return now;
                }
                changed.await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), wait)
            .await
            .expect("the source comes")
    }
}

impl BuildBackend for FakeBuilds {
    fn take_source(&self, mut source: BinarySource) -> BoxFuture<'_, Result<(), BuildError>> {
        Box::pin(async move {
            if source.as_file.as_deref() == Some("source.zip") {
                return Err(BuildError::Refused("zip archives are not read".to_owned()));
            }
            *self.taken.lock().unwrap() = Taken {
                build: source.build,
                as_file: source.as_file,
                ..Taken::default()
            };
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let count = source
                    .body
                    .read(&mut buffer)
                    .await
                    .map_err(|error| BuildError::Other(error.to_string()))?;
                {
                    let mut taken = self.taken.lock().unwrap();
                    taken.bytes += u64::try_from(count).unwrap();
                    taken.done = count == 0;
                }
                self.changed.notify_waiters();
                if count == 0 {
                    return Ok(());
                }
            }
        })
    }

    fn build_log(&self, request: BuildLogRequest) -> BoxFuture<'_, Result<Input, BuildError>> {
        Box::pin(async move {
            let text = format!(
                "log of {} follow={} tail={:?}\n",
                request.build, request.follow, request.tail_lines
            );
            Ok(Box::new(std::io::Cursor::new(text.into_bytes())) as Input)
        })
    }
}

/// A registry with a few images.
pub(crate) struct FakeRegistries;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

fn single(architecture: &str, command: &str) -> RemoteImage {
    let config = json!({"architecture": architecture, "os": "linux", "config": {"Cmd": [command]}});
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "config": {"digest": digest(&config), "size": config.len()},
        "layers": [{"digest": "sha256:0a", "size": 10, "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"}],
    });
    let manifest = manifest.to_string().into_bytes();
    RemoteImage {
        digest: digest(&manifest),
        media_type: MANIFEST.to_owned(),
        manifest,
        config,
        platforms: Vec::new(),
    }
}

/// The image of `registry.test/app:<tag>`.
pub(crate) fn app(tag: &str) -> RemoteImage {
    single("amd64", tag)
}

fn multi() -> RemoteImage {
    let platforms = vec![single("amd64", "multi"), single("arm64", "multi")];
    let entries: Vec<_> = platforms
        .iter()
        .zip(["amd64", "arm64"])
        .map(|(image, architecture)| {
            json!({
                "digest": image.digest,
                "mediaType": MANIFEST,
                "size": image.manifest.len(),
                "platform": {"os": "linux", "architecture": architecture},
            })
        })
        .collect();
    let manifest = json!({"schemaVersion": 2, "manifests": entries});
    let manifest = manifest.to_string().into_bytes();
    RemoteImage {
        digest: digest(&manifest),
        media_type: INDEX.to_owned(),
        manifest,
        config: Vec::new(),
        platforms,
    }
}

impl Registries for FakeRegistries {
    fn image(
        &self,
        request: RemoteImageRequest,
    ) -> BoxFuture<'_, Result<RemoteImage, RegistryError>> {
        Box::pin(async move {
            match request.reference.as_str() {
                "registry.test/multi:1" => Ok(multi()),
                "registry.test/secret:1" => Err(RegistryError::Unauthorized("401".to_owned())),
                "registry.test/down:1" => {
                    Err(RegistryError::Unreachable("connection refused".to_owned()))
                }
                other => match other.strip_prefix("registry.test/app:") {
                    Some(tag @ ("1" | "2" | "latest")) => Ok(app(tag)),
                    _ => Err(RegistryError::NotFound("manifest unknown".to_owned())),
                },
            }
        })
    }

    fn tags(
        &self,
        repository: String,
        _insecure: bool,
        _namespace: String,
    ) -> BoxFuture<'_, Result<Vec<String>, RegistryError>> {
        Box::pin(async move {
            if repository == "registry.test/app" {
                Ok(["1", "2", "latest"].map(str::to_owned).to_vec())
            } else {
                Err(RegistryError::NotFound("name unknown".to_owned()))
            }
        })
    }
}
