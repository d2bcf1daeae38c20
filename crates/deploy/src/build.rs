//! Builds: started, fed with a source, followed, waited for.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openshifter_cluster::{ClusterError, LogOptions};
use openshifter_objects::{GroupKind, Object};
use ring::digest::{Context, SHA256};
use serde_json::{Value, json};
use tokio::time::{Instant, interval, sleep};

use crate::source::hexadecimal;
use crate::tail::{Tail, last_lines};
use crate::{DeployError, Progress, Project, SourceTree, Target, TargetKind};

/// Annotation of a build: what it was made of.
pub(crate) const SOURCE: &str = "openshifter.dev/source";

/// Between two looks at something that cannot be watched.
pub(crate) const PAUSE: Duration = Duration::from_millis(500);

/// How long the status of a build may take to follow the end of its log.
const SETTLE: Duration = Duration::from_secs(30);

/// What a build is made of.
#[derive(Debug)]
pub enum BuildSource {
    /// What its configuration says, with more variables.
    Configured {
        /// Names and values.
        env: Vec<(String, String)>,
    },
    /// A folder of this machine. The build is noted to be of it, so that a deployment does not build it again.
    Folder(SourceTree),
    /// One file of this machine, as a Dockerfile or a program.
    File(PathBuf),
    /// An archive of this machine (tar, gzipped or not, or zip where the cluster takes it), sent as it is.
    Archive(PathBuf),
}

pub(crate) fn build_kind() -> GroupKind {
    GroupKind::new("build.openshift.io", "Build")
}

fn config_kind() -> GroupKind {
    GroupKind::new("build.openshift.io", "BuildConfig")
}

/// What a build is made of, as one word: the folder that is sent, and what of its configuration, as the cluster has it, decides
/// on the image.
pub(crate) async fn fingerprint(
    tree: &SourceTree,
    configuration: &Object,
) -> Result<String, DeployError> {
    let tree = tree.clone();
    let digest = tokio::task::spawn_blocking(move || tree.digest())
        .await
        .map_err(|error| DeployError::Task(error.to_string()))??;
    let spec = &configuration.value()["spec"];
    let mut context = Context::new(&SHA256);
    context.update(digest.as_bytes());
    for part in ["source", "strategy", "output", "postCommit"] {
        context.update(spec[part].to_string().as_bytes());
    }
    Ok(hexadecimal(&context.finish()))
}

/// Whether a build has ended.
pub(crate) fn is_over(build: &Object) -> bool {
    matches!(phase(build), "Complete" | "Failed" | "Error" | "Cancelled")
}

pub(crate) fn phase(build: &Object) -> &str {
    build.value()["status"]["phase"].as_str().unwrap_or("New")
}

impl Project {
    /// Starts a build of a BuildConfig, and sends it its source. Gives the build once the cluster has all of that.
    ///
    /// When this is given up half-way, the cluster cancels the build.
    ///
    /// # Errors
    /// When there is no such configuration, its builder image is not there (422), a file cannot be read, or the cluster
    /// cannot be reached.
    pub async fn start_build(
        &self,
        config: &str,
        source: BuildSource,
        progress: &dyn Progress,
    ) -> Result<Object, DeployError> {
        // What is wrong is better known before megabytes are sent.
        let configuration = self
            .get(&Target::new(TargetKind::BuildConfig, config))
            .await?;
        let name_of = |path: &PathBuf| {
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .ok_or_else(|| DeployError::NotA {
                    path: path.clone(),
                    wanted: "a file",
                })
        };
        match source {
            BuildSource::Configured { env } => {
                let env: Vec<Value> = env
                    .iter()
                    .map(|(name, value)| json!({"name": name, "value": value}))
                    .collect();
                let mut request = json!({
                    "apiVersion": "build.openshift.io/v1", "kind": "BuildRequest",
                    "metadata": {"name": config},
                    "triggeredBy": [{"message": "Manually triggered"}],
                });
                if !env.is_empty() {
                    request["env"] = env.into();
                }
                Ok(self
                    .cluster
                    .create_subresource(
                        &config_kind(),
                        Some(&self.namespace),
                        config,
                        "instantiate",
                        &request,
                    )
                    .await?)
            }
            BuildSource::Folder(tree) => {
                let fingerprint = fingerprint(&tree, &configuration).await?;
                let total = tree.length();
                let passed = Arc::new(AtomicU64::new(0));
                let stream = tree.into_stream(true, Arc::clone(&passed));
                let sending = self.send(config, &[], stream);
                let build = Self::with_bytes(sending, &passed, total, progress).await?;
                self.note_source(&build, &fingerprint).await;
                Ok(build)
            }
            BuildSource::File(path) => {
                let name = name_of(&path)?;
                self.send_file(config, &[("asFile", name)], path, progress)
                    .await
            }
            BuildSource::Archive(path) => self.send_file(config, &[], path, progress).await,
        }
    }

    /// Notes at a build what it was made of, so that the same is not built again. Without it that is all that happens.
    async fn note_source(&self, build: &Object, fingerprint: &str) {
        let patch = json!({"metadata": {"annotations": {SOURCE: fingerprint}}});
        let noted = self
            .cluster
            .merge_patch(&build_kind(), Some(&self.namespace), build.name(), &patch)
            .await;
        if let Err(error) = noted {
            tracing::warn!(%error, "the source of a build could not be noted");
        }
    }

    async fn send_file(
        &self,
        config: &str,
        query: &[(&'static str, String)],
        path: PathBuf,
        progress: &dyn Progress,
    ) -> Result<Object, DeployError> {
        let read = |source| DeployError::Read {
            path: path.clone(),
            source,
        };
        let file = tokio::fs::File::open(&path).await.map_err(read)?;
        let metadata = file.metadata().await.map_err(read)?;
        if !metadata.is_file() {
            return Err(DeployError::NotA {
                path,
                wanted: "a file",
            });
        }
        let passed = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&passed);
        let stream = tokio_util::io::InspectReader::new(file, move |bytes| {
            counted.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        });
        let sending = self.send(config, query, stream);
        Self::with_bytes(sending, &passed, metadata.len(), progress).await
    }

    async fn send(
        &self,
        config: &str,
        query: &[(&'static str, String)],
        stream: impl tokio::io::AsyncRead + Send + Unpin + 'static,
    ) -> Result<Object, DeployError> {
        Ok(self
            .cluster
            .upload_subresource(
                &config_kind(),
                Some(&self.namespace),
                config,
                "instantiatebinary",
                query,
                stream,
            )
            .await?)
    }

    /// Tells how many bytes have passed while something else goes on.
    pub(crate) async fn with_bytes<T>(
        work: impl Future<Output = T>,
        passed: &AtomicU64,
        total: u64,
        progress: &dyn Progress,
    ) -> T {
        let mut tick = interval(Duration::from_millis(200));
        tokio::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => {
                    progress.bytes(passed.load(Ordering::Relaxed), Some(total));
                    return result;
                }
                _ = tick.tick() => progress.bytes(passed.load(Ordering::Relaxed), Some(total)),
            }
        }
    }

    /// Follows the log of a build to its end, through broken connections, and waits until the build is over. Gives it as it
    /// ended well.
    ///
    /// # Errors
    /// [`DeployError::BuildFailed`] with the end of its log; when the build is gone, or is not over in time.
    pub async fn follow_build(
        &self,
        name: &str,
        within: Duration,
        progress: &dyn Progress,
    ) -> Result<Object, DeployError> {
        let deadline = Instant::now() + within;
        let mut seen = 0;
        let mut tail = Tail::default();
        loop {
            self.read_log(name, &mut seen, &mut tail, progress).await?;
            // The log ends a little before the status says so.
            let settled = self
                .cluster
                .wait(
                    &build_kind(),
                    Some(&self.namespace),
                    name,
                    SETTLE.min(deadline.saturating_duration_since(Instant::now())),
                    |build| build.is_none_or(is_over),
                )
                .await;
            match settled {
                Ok(Some(build)) => return self.judged(&build, tail.text()).await,
                Ok(None) => return Err(self.not_found(&format!("Build/{name}"))),
                Err(error) if error.is_timeout() && Instant::now() < deadline => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Passes on what is new of a log, as far as one connection reaches.
    async fn read_log(
        &self,
        name: &str,
        seen: &mut u64,
        tail: &mut Tail,
        progress: &dyn Progress,
    ) -> Result<(), DeployError> {
        let options = LogOptions {
            follow: true,
            ..LogOptions::default()
        };
        let mut log = match self
            .cluster
            .build_log(&self.namespace, name, &options)
            .await
        {
            Ok(log) => log,
            // It has not started (504), has no log (400), or the server cannot be asked now: its status tells.
            Err(error) if is_passing(&error) || error.status() == Some(400) => {
                sleep(PAUSE).await;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let mut skip = *seen;
        loop {
            match log.chunk().await {
                Ok(Some(bytes)) => {
                    let known = skip.min(bytes.len() as u64);
                    skip -= known;
                    let bytes = bytes.slice(usize::try_from(known).unwrap_or(bytes.len())..);
                    *seen += bytes.len() as u64;
                    tail.push(&bytes);
                    if !bytes.is_empty() {
                        progress.log(&bytes);
                    }
                }
                Ok(None) => return Ok(()),
                Err(error) if is_passing(&error) => {
                    sleep(PAUSE).await;
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until a build is over, and gives it as it ended well.
    ///
    /// # Errors
    /// As [`Project::follow_build`].
    pub async fn wait_build(&self, name: &str, within: Duration) -> Result<Object, DeployError> {
        let ended = self
            .cluster
            .wait(
                &build_kind(),
                Some(&self.namespace),
                name,
                within,
                |build| build.is_none_or(is_over),
            )
            .await?;
        match ended {
            Some(build) => self.judged(&build, String::new()).await,
            None => Err(self.not_found(&format!("Build/{name}"))),
        }
    }

    async fn judged(&self, build: &Object, mut log: String) -> Result<Object, DeployError> {
        if phase(build) == "Complete" {
            return Ok(build.clone());
        }
        let status = &build.value()["status"];
        if log.is_empty() {
            // Else the cluster's own last lines have to do.
            let options = LogOptions {
                tail: Some(40),
                ..LogOptions::default()
            };
            log = match self.read_all(build.name(), &options).await {
                Ok(text) if !text.trim().is_empty() => last_lines(&text),
                _ => last_lines(status["logSnippet"].as_str().unwrap_or_default()),
            };
        }
        let text = |field: &str| status[field].as_str().unwrap_or_default();
        let why = match (text("reason"), text("message")) {
            ("", "") => "the cluster says no reason".to_owned(),
            (reason, "") => reason.to_owned(),
            ("", message) => message.to_owned(),
            (reason, message) => format!("{message} ({reason})"),
        };
        Err(DeployError::BuildFailed {
            cluster: self.cluster.name().to_owned(),
            namespace: self.namespace.clone(),
            build: build.name().to_owned(),
            phase: phase(build).to_owned(),
            why,
            log,
        })
    }

    async fn read_all(&self, build: &str, options: &LogOptions) -> Result<String, ClusterError> {
        let mut log = self
            .cluster
            .build_log(&self.namespace, build, options)
            .await?;
        let mut bytes = Vec::new();
        while let Some(more) = log.chunk().await? {
            bytes.extend_from_slice(&more);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The builds of a configuration, the newest first.
    pub(crate) async fn builds_of(&self, config: &str) -> Result<Vec<Object>, DeployError> {
        let mut builds = self.list("build.openshift.io", "Build", None).await?;
        builds.retain(|build| build.value()["status"]["config"]["name"] == config);
        builds.sort_by_key(|build| {
            let number: u64 = build
                .annotation("openshift.io/build.number")
                .and_then(|number| number.parse().ok())
                .unwrap_or(0);
            std::cmp::Reverse(number)
        });
        Ok(builds)
    }
}

/// Whether the same may work in a moment.
pub(crate) fn is_passing(error: &ClusterError) -> bool {
    error.is_unreachable() || matches!(error.status(), Some(429 | 500 | 502..=504))
}
