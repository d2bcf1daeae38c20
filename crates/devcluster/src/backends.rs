//! What the API server asks of builds and registries. Both are there only once the server is, so until
//! then they are told to wait.

use std::sync::OnceLock;

use futures::FutureExt;
use futures::future::BoxFuture;
use openshifter_apiserver::{
    BinarySource, BuildBackend, BuildError, BuildLogRequest, Input, NodeError, Registries,
    RegistryError, RemoteImage, RemoteImageRequest, Store,
};

use crate::builds::{Builder, LogPart, Upload};
use crate::elsewhere::{self, Secrets};
use crate::images::{ImageError, Images};

/// Builds as the API server sees them.
#[derive(Debug, Default)]
pub(crate) struct Builds {
    builder: OnceLock<Builder>,
}

impl Builds {
    /// Gives it the builder.
    pub(crate) fn connect(&self, builder: Builder) {
        // Called once.
        let _ = self.builder.set(builder);
    }

    fn builder(&self) -> Result<&Builder, BuildError> {
        self.builder
            .get()
            .ok_or_else(|| BuildError::Other("the cluster is still starting".to_owned()))
    }
}

impl BuildBackend for Builds {
    fn take_source(&self, source: BinarySource) -> BoxFuture<'_, Result<(), BuildError>> {
        async move {
            let upload = Upload {
                body: source.body,
                as_file: source.as_file,
            };
            self.builder()?
                .take_source(&source.namespace, &source.build, upload)
                .await
                .map_err(BuildError::Refused)
        }
        .boxed()
    }

    fn build_log(&self, request: BuildLogRequest) -> BoxFuture<'_, Result<Input, BuildError>> {
        async move {
            if request.timestamps || request.since_seconds.is_some() {
                return Err(BuildError::Unsupported(
                    "logs of builds with or since a time".to_owned(),
                ));
            }
            let part = LogPart {
                follow: request.follow,
                tail_lines: request.tail_lines,
                limit_bytes: request.limit_bytes,
            };
            self.builder()?
                .log(&request.namespace, &request.build, part)
                .await
                .map_err(|error| match error {
                    NodeError::NotStarted(_) => BuildError::NotStarted,
                    other => BuildError::Other(other.to_string()),
                })
        }
        .boxed()
    }
}

/// The registries that this cluster reaches: the built-in images', its own, and those on loopback addresses.
#[derive(Debug)]
pub(crate) struct OwnRegistries {
    images: Images,
    store: OnceLock<Store>,
}

impl OwnRegistries {
    pub(crate) fn new(images: Images) -> Self {
        Self {
            images,
            store: OnceLock::new(),
        }
    }

    /// Gives it the store.
    pub(crate) fn connect(&self, store: Store) {
        // Called once.
        let _ = self.store.set(store);
    }

    async fn read(&self, request: &RemoteImageRequest) -> Result<RemoteImage, RegistryError> {
        let reference = &request.reference;
        let store = self
            .store
            .get()
            .filter(|_| elsewhere::repository(reference).is_some());
        let Some(store) = store else {
            return self.find(reference);
        };
        let secrets = Secrets::Project(&request.namespace);
        let found =
            elsewhere::fetch(&self.images, store, reference, request.insecure, &secrets).await?;
        elsewhere::remote_image(&self.images, &found)
            .ok_or_else(|| RegistryError::NotFound(format!("{reference} has no manifest")))
    }

    fn find(&self, reference: &str) -> Result<RemoteImage, RegistryError> {
        let resolved = self
            .store
            .get()
            .and_then(|store| crate::registry::by_tag(store, reference))
            .unwrap_or_else(|| reference.to_owned());
        let image = self.images.find(&resolved).map_err(|error| match error {
            // Its host is one that nothing here leads to.
            ImageError::Unknown { .. } => RegistryError::Unreachable(error.to_string()),
            error => RegistryError::NotFound(error.to_string()),
        })?;
        let missing = || RegistryError::NotFound(format!("{reference} has no manifest"));
        let (manifest, media_type) = self.images.manifest(&image).ok_or_else(missing)?;
        let config = self.images.config_of(&manifest).ok_or_else(missing)?;
        Ok(RemoteImage {
            digest: image.digest.to_string(),
            media_type,
            manifest,
            config,
            platforms: Vec::new(),
        })
    }
}

impl Registries for OwnRegistries {
    fn image(
        &self,
        request: RemoteImageRequest,
    ) -> BoxFuture<'_, Result<RemoteImage, RegistryError>> {
        async move { self.read(&request).await }.boxed()
    }

    fn tags(
        &self,
        repository: String,
        _insecure: bool,
        _namespace: String,
    ) -> BoxFuture<'_, Result<Vec<String>, RegistryError>> {
        async move {
            if elsewhere::repository(&repository).is_some() {
                return Err(RegistryError::Unsupported(
                    "imports of whole repositories of other registries".to_owned(),
                ));
            }
            let names = self.images.names();
            let tags: Vec<String> = names
                .iter()
                .filter_map(|name| name.strip_prefix(&repository)?.strip_prefix(':'))
                .map(str::to_owned)
                .collect();
            if tags.is_empty() {
                return Err(RegistryError::NotFound(format!(
                    "{repository} is not in this cluster"
                )));
            }
            Ok(tags)
        }
        .boxed()
    }
}
