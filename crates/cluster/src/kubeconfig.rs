//! Access by a kubeconfig's context, or by the service account of the pod that this runs in.

use std::path::Path;

use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use url::Url;

use crate::proxy::{environment, proxy_for};
use crate::{Access, ClusterError, Credentials, Trust};

impl Access {
    /// Takes a context of a kubeconfig: of the file given, else of `KUBECONFIG`, else of `~/.kube/config`.
    /// No context means its current one.
    ///
    /// Tokens, token files, client certificates and credential plugins all work. The name is the context's.
    ///
    /// # Errors
    /// When the file cannot be read or has no such context.
    pub async fn from_context(
        kubeconfig: Option<&Path>,
        context: Option<&str>,
    ) -> Result<Self, ClusterError> {
        let config = read(kubeconfig)?;
        let fail = |source| failed(kubeconfig, source);
        let name = match context {
            Some(context) => context.to_owned(),
            None => config
                .current_context
                .clone()
                .filter(|name| !name.is_empty())
                .ok_or(ClusterError::NoCurrentContext)?,
        };
        let known = names(&config);
        if !known.contains(&name) {
            return Err(ClusterError::NoSuchContext {
                context: name,
                known,
            });
        }
        let options = KubeConfigOptions {
            context: Some(name.clone()),
            ..KubeConfigOptions::default()
        };
        let own_proxy = has_own_proxy(&config, &name);
        let config = Config::from_custom_kubeconfig(config, &options)
            .await
            .map_err(fail)?;
        let mut access = from_config(name, config)?;
        if let (false, Credentials::Kubeconfig(config)) = (own_proxy, &mut access.credentials) {
            config.proxy_url = proxy_for(&access.base, environment);
        }
        Ok(access)
    }

    /// Takes the service account of the pod that this process runs in.
    ///
    /// # Errors
    /// When it does not run in a pod, or the pod mounts no token.
    pub fn in_cluster() -> Result<Self, ClusterError> {
        let config = Config::incluster().map_err(|source| ClusterError::NotInCluster {
            source: Box::new(source),
        })?;
        from_config("in-cluster".to_owned(), config)
    }

    /// Names of all contexts of a kubeconfig (chosen as by [`Access::from_context`]), in its order.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn contexts(kubeconfig: Option<&Path>) -> Result<Vec<String>, ClusterError> {
        Ok(names(&read(kubeconfig)?))
    }
}

fn read(path: Option<&Path>) -> Result<Kubeconfig, ClusterError> {
    match path {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    }
    .map_err(|source| failed(path, source))
}

fn failed(path: Option<&Path>, source: kube::config::KubeconfigError) -> ClusterError {
    ClusterError::Kubeconfig {
        path: path.map(|path| path.display().to_string()),
        source: Box::new(source),
    }
}

fn names(config: &Kubeconfig) -> Vec<String> {
    config
        .contexts
        .iter()
        .map(|context| context.name.clone())
        .collect()
}

/// Whether the cluster of a context names a proxy, which then counts whatever the environment says.
fn has_own_proxy(config: &Kubeconfig, context: &str) -> bool {
    let cluster = config
        .contexts
        .iter()
        .find(|one| one.name == context)
        .and_then(|one| one.context.as_ref())
        .map(|one| &one.cluster);
    config
        .clusters
        .iter()
        .filter(|one| Some(&one.name) == cluster)
        .filter_map(|one| one.cluster.as_ref()?.proxy_url.as_ref())
        .any(|proxy| !proxy.is_empty())
}

fn from_config(name: String, config: Config) -> Result<Access, ClusterError> {
    let text = config.cluster_url.to_string();
    let base = Url::parse(&text).map_err(|error| ClusterError::BadBase {
        text,
        reason: error.to_string(),
    })?;
    Ok(Access {
        name,
        base,
        trust: Trust::default(),
        credentials: Credentials::Kubeconfig(Box::new(config)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"
apiVersion: v1
kind: Config
current-context: a
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1/", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: hunter2}}]
contexts:
- {name: a, context: {cluster: c, user: u}}
- {name: b, context: {cluster: c, user: u}}
"#;

    #[tokio::test]
    async fn a_context_is_taken_by_name_or_by_default() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, TWO).unwrap();
        assert_eq!(Access::contexts(Some(&file)).unwrap(), ["a", "b"]);
        assert_eq!(
            Access::from_context(Some(&file), None).await.unwrap().name,
            "a"
        );
        let access = Access::from_context(Some(&file), Some("b")).await.unwrap();
        assert_eq!(access.name, "b");
        assert_eq!(access.base.as_str(), "https://127.0.0.1:1/");
        assert!(!format!("{access:?}").contains("hunter2"));
        let error = Access::from_context(Some(&file), Some("prod"))
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "the kubeconfig has no context `prod`");
        assert_eq!(error.hint().unwrap(), "it has: a, b");
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_named() {
        let error = Access::from_context(Some(Path::new("/nowhere/config")), None)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("/nowhere/config"), "{error}");
    }
}
