//! What the server asks of others besides the node: builds and registries.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::io::AsyncRead;

use crate::node::NodeBackend;

/// Bytes that come in.
pub type Input = Box<dyn AsyncRead + Send + Unpin>;

/// Whatever does the work that the server only hands on.
#[derive(Clone)]
pub struct Backends {
    /// Runs pods.
    pub node: Arc<dyn NodeBackend>,
    /// Runs builds.
    pub builds: Arc<dyn BuildBackend>,
    /// Reads images from registries.
    pub registries: Arc<dyn Registries>,
}

impl Backends {
    /// A node alone: builds and imports of images are refused with 501.
    pub fn node(node: Arc<dyn NodeBackend>) -> Self {
        Self {
            node,
            builds: Arc::new(NoBuilds),
            registries: Arc::new(NoRegistries),
        }
    }
}

impl std::fmt::Debug for Backends {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backends").finish_non_exhaustive()
    }
}

/// A source that is sent into a build.
pub struct BinarySource {
    /// Namespace of the build.
    pub namespace: String,
    /// Name of the build, which exists and has `spec.source.binary`.
    pub build: String,
    /// One file of this name; if none, an archive.
    pub as_file: Option<String>,
    /// The file or archive.
    pub body: Input,
}

impl std::fmt::Debug for BinarySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BinarySource")
            .field("namespace", &self.namespace)
            .field("build", &self.build)
            .field("as_file", &self.as_file)
            .finish_non_exhaustive()
    }
}

/// Which part of a build's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildLogRequest {
    /// Namespace of the build.
    pub namespace: String,
    /// Name of the build.
    pub build: String,
    /// Whether to go on as the log grows, until the build has ended.
    pub follow: bool,
    /// Only so many lines from the end.
    pub tail_lines: Option<usize>,
    /// Only so many bytes.
    pub limit_bytes: Option<u64>,
    /// Only what is not older, in seconds.
    pub since_seconds: Option<u64>,
    /// Whether each line begins with its time.
    pub timestamps: bool,
}

/// What cannot be done with a build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Nobody does this here: 501.
    #[error("{0}")]
    Unsupported(String),
    /// There is no log yet: 400.
    #[error("the build has not started")]
    NotStarted,
    /// It was asked for what cannot be: 400.
    #[error("{0}")]
    Refused(String),
    /// Anything else: 500.
    #[error("{0}")]
    Other(String),
}

/// Runs builds.
pub trait BuildBackend: Send + Sync {
    /// Takes the source of a binary build in: waits until the build wants it, and returns when all of it
    /// was read; the build itself goes on. After an error the server cancels the build.
    fn take_source(&self, source: BinarySource) -> BoxFuture<'_, Result<(), BuildError>>;

    /// Reads a build's log.
    fn build_log(&self, request: BuildLogRequest) -> BoxFuture<'_, Result<Input, BuildError>>;
}

/// An image to look at in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteImageRequest {
    /// `host/repository:tag` or `host/repository@sha256:…`, as the user wrote it.
    pub reference: String,
    /// Whether plain HTTP and unverified certificates are allowed.
    pub insecure: bool,
    /// Namespace whose pull secrets may be used.
    pub namespace: String,
}

/// An image as a registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteImage {
    /// Digest of the manifest, `sha256:…`.
    pub digest: String,
    /// Media type of the manifest.
    pub media_type: String,
    /// The manifest or index, byte by byte.
    pub manifest: Vec<u8>,
    /// The config that the manifest names; empty for an index.
    pub config: Vec<u8>,
    /// Of an index: the images of it that were read.
    pub platforms: Vec<RemoteImage>,
}

/// Why an image cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// There is no such image or repository.
    #[error("{0}")]
    NotFound(String),
    /// The registry wants other credentials.
    #[error("{0}")]
    Unauthorized(String),
    /// The registry does not answer.
    #[error("{0}")]
    Unreachable(String),
    /// Nobody does this here.
    #[error("{0}")]
    Unsupported(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl RegistryError {
    /// What a server says about an image that could not be read for this reason: a `Status`.
    pub fn status(&self, reference: &str) -> Value {
        let (reason, code, message) = match self {
            Self::NotFound(_) => (
                "NotFound",
                404,
                format!("dockerimage.image.openshift.io {reference:?} not found"),
            ),
            Self::Unauthorized(_) => (
                "Unauthorized",
                401,
                format!("you may not have access to the container image {reference:?}"),
            ),
            other => (
                "InternalError",
                500,
                format!("Internal error occurred: {reference}: {other}"),
            ),
        };
        json!({
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        })
    }
}

/// Reads images from registries, for imports.
pub trait Registries: Send + Sync {
    /// The image that a reference means now.
    fn image(
        &self,
        request: RemoteImageRequest,
    ) -> BoxFuture<'_, Result<RemoteImage, RegistryError>>;

    /// The tags of a repository, `host/repository`.
    fn tags(
        &self,
        repository: String,
        insecure: bool,
        namespace: String,
    ) -> BoxFuture<'_, Result<Vec<String>, RegistryError>>;
}

/// A cluster without builds: BuildConfigs and Builds are kept and never run.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoBuilds;

impl BuildBackend for NoBuilds {
    fn take_source(&self, _source: BinarySource) -> BoxFuture<'_, Result<(), BuildError>> {
        Box::pin(async { Err(BuildError::Unsupported("builds".to_owned())) })
    }

    fn build_log(&self, _request: BuildLogRequest) -> BoxFuture<'_, Result<Input, BuildError>> {
        Box::pin(async { Err(BuildError::Unsupported("builds".to_owned())) })
    }
}

/// A cluster that reaches no registry.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRegistries;

impl Registries for NoRegistries {
    fn image(
        &self,
        _request: RemoteImageRequest,
    ) -> BoxFuture<'_, Result<RemoteImage, RegistryError>> {
        Box::pin(async {
            Err(RegistryError::Unsupported(
                "imports of images from registries".to_owned(),
            ))
        })
    }

    fn tags(
        &self,
        _repository: String,
        _insecure: bool,
        _namespace: String,
    ) -> BoxFuture<'_, Result<Vec<String>, RegistryError>> {
        Box::pin(async {
            Err(RegistryError::Unsupported(
                "imports of images from registries".to_owned(),
            ))
        })
    }
}
