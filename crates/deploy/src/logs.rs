//! Logs of pods, workloads, builds and their configurations, each by its name.

use openshifter_cluster::{LogOptions, LogStream};

use crate::build::is_passing;
use crate::{DeployError, Project, Target, TargetKind};

impl Project {
    /// Opens the log of what is named: of a pod, of the best pod of a workload, of a build, or of a configuration's newest
    /// build.
    ///
    /// # Errors
    /// When it is not there, has no pod or build, or has not started.
    pub async fn open_log(
        &self,
        target: &Target,
        container: Option<&str>,
        options: &LogOptions,
    ) -> Result<LogStream, DeployError> {
        let (cluster, namespace) = (&self.cluster, self.namespace.as_str());
        match target.kind {
            TargetKind::Build => {
                self.get(target).await?;
                self.build_log(&target.name, options).await
            }
            TargetKind::BuildConfig => {
                self.get(target).await?;
                let builds = self.builds_of(&target.name).await?;
                let newest = builds
                    .first()
                    .ok_or_else(|| self.not_found(&format!("build of {target}")))?;
                self.build_log(newest.name(), options).await
            }
            _ => {
                // Also of pods that are over, which `place` would not give.
                let pods = self.pods_of(target).await?;
                let pod = pods.first().ok_or_else(|| DeployError::NoPod {
                    cluster: cluster.name().to_owned(),
                    namespace: namespace.to_owned(),
                    what: target.to_string(),
                    why: String::new(),
                })?;
                let place = self.container(pod, container)?;
                Ok(cluster
                    .pod_log(namespace, &place.pod, Some(&place.container), options)
                    .await?)
            }
        }
    }

    /// Servers wait ten seconds for a build to start; who follows waits for longer.
    async fn build_log(&self, build: &str, options: &LogOptions) -> Result<LogStream, DeployError> {
        loop {
            let opened = self
                .cluster
                .build_log(&self.namespace, build, options)
                .await;
            match opened {
                Err(error)
                    if options.follow && error.status() == Some(504) && is_passing(&error) => {}
                other => return Ok(other?),
            }
        }
    }
}
