//! Namespaces, which OpenShift gives to users as projects.

use std::time::Duration;

use http::Method;
use openshifter_objects::{GroupKind, Object, ResourceType};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::call::{Call, segment};
use crate::{Cluster, ClusterError};

/// How long a new namespace is given for its default service account, without which no pod starts.
const ACCOUNT: Duration = Duration::from_secs(60);

/// How long for the rest, which not every cluster makes (OpenShift's `Build` capability may be off).
const REST: Duration = Duration::from_secs(20);

/// What became of a namespace that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamespaceState {
    /// It was there.
    Existed,
    /// It was created by this call.
    Created,
}

/// What a namespace is to this user.
enum Found {
    Active,
    Terminating,
    Missing,
    /// 403: the server does not say whether it exists.
    Hidden,
}

fn namespace_kind(openshift: bool) -> GroupKind {
    if openshift {
        GroupKind::new("project.openshift.io", "Project")
    } else {
        GroupKind::new("", "Namespace")
    }
}

impl Cluster {
    /// Names of the namespaces that this user can see: projects on OpenShift, namespaces otherwise.
    ///
    /// # Errors
    /// On Kubernetes, when the user may not list namespaces; when the server cannot be reached.
    pub async fn namespaces(&self) -> Result<Vec<String>, ClusterError> {
        let kind = namespace_kind(self.is_openshift().await?);
        let resource = self.resource(&kind).await?;
        let mut names: Vec<String> = self
            .list(&resource, None, None)
            .await?
            .iter()
            .map(|object| object.name().to_owned())
            .collect();
        names.sort();
        Ok(names)
    }

    /// Whether a namespace exists, also one that is being deleted. OpenShift hides those of others: `false`.
    ///
    /// # Errors
    /// On Kubernetes, when the user may not know; when the server cannot be reached.
    pub async fn namespace_exists(&self, namespace: &str) -> Result<bool, ClusterError> {
        match self.find_namespace(namespace).await? {
            (Found::Active | Found::Terminating, _) => Ok(true),
            (Found::Missing, _) => Ok(false),
            (Found::Hidden, None) => Ok(false),
            (Found::Hidden, Some(error)) => Err(error),
        }
    }

    /// Whether a namespace is known to exist; `false` when this user may not know.
    ///
    /// # Errors
    /// When it is known not to exist.
    pub(crate) async fn namespace_visible(&self, namespace: &str) -> Result<bool, ClusterError> {
        match self.find_namespace(namespace).await?.0 {
            Found::Active | Found::Terminating => Ok(true),
            Found::Hidden => Ok(false),
            Found::Missing => Err(ClusterError::NoSuchNamespace {
                cluster: self.name().to_owned(),
                namespace: namespace.to_owned(),
                hidden: false,
            }),
        }
    }

    /// Looks for a namespace. The error is the server's 403 on Kubernetes, where that says something.
    async fn find_namespace(
        &self,
        namespace: &str,
    ) -> Result<(Found, Option<ClusterError>), ClusterError> {
        segment(namespace, "a namespace")?;
        let openshift = self.is_openshift().await?;
        match self.get(&namespace_kind(openshift), None, namespace).await {
            Ok(Some(object)) => {
                let phase = object.value().pointer("/status/phase");
                if phase.and_then(Value::as_str) == Some("Terminating") {
                    Ok((Found::Terminating, None))
                } else {
                    Ok((Found::Active, None))
                }
            }
            Ok(None) => Ok((Found::Missing, None)),
            Err(error) if error.is_forbidden() => {
                Ok((Found::Hidden, (!openshift).then_some(error)))
            }
            Err(error) => Err(error),
        }
    }

    /// Makes sure that a namespace exists and is ready for an application: on OpenShift by a project request, else
    /// as a namespace.
    ///
    /// A new one is waited for until it holds what the cluster puts into each: the default service account, and on
    /// OpenShift the accounts of builds and deployments and the range of user ids.
    ///
    /// # Errors
    /// When it is being deleted, belongs to others, the user may not create it, or the server cannot be reached.
    pub async fn ensure_namespace(&self, namespace: &str) -> Result<NamespaceState, ClusterError> {
        match self.find_namespace(namespace).await?.0 {
            Found::Active => return Ok(NamespaceState::Existed),
            Found::Terminating => return Err(self.terminating(namespace)),
            Found::Missing | Found::Hidden => {}
        }
        let openshift = self.is_openshift().await?;
        match self.create_namespace(namespace, openshift).await {
            Ok(()) => {}
            Err(error) if error.is_already_exists() => {
                let being_deleted = error
                    .api()
                    .is_some_and(|api| api.message.contains("being deleted"));
                // Somebody else may have made it between our look and our request.
                return match self.find_namespace(namespace).await?.0 {
                    Found::Active => Ok(NamespaceState::Existed),
                    Found::Terminating => Err(self.terminating(namespace)),
                    _ if being_deleted => Err(self.terminating(namespace)),
                    _ => Err(ClusterError::NamespaceTaken {
                        cluster: self.name().to_owned(),
                        namespace: namespace.to_owned(),
                    }),
                };
            }
            Err(error) => return Err(error),
        }
        self.wait_for_defaults(namespace, openshift).await?;
        Ok(NamespaceState::Created)
    }

    fn terminating(&self, namespace: &str) -> ClusterError {
        ClusterError::NamespaceTerminating {
            cluster: self.name().to_owned(),
            namespace: namespace.to_owned(),
        }
    }

    async fn create_namespace(&self, namespace: &str, openshift: bool) -> Result<(), ClusterError> {
        let (path, body, what) = if openshift {
            (
                "/apis/project.openshift.io/v1/projectrequests",
                json!({"apiVersion": "project.openshift.io/v1", "kind": "ProjectRequest",
                    "metadata": {"name": namespace}}),
                "project",
            )
        } else {
            (
                "/api/v1/namespaces",
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
                "namespace",
            )
        };
        let action = format!("create the {what} {namespace}");
        let call = Call::with_body(Method::POST, path, &body, action);
        self.call(&call).await?;
        Ok(())
    }

    /// Without its default account (before Kubernetes 1.24: with a token secret) a namespace takes no pods; without
    /// its range of user ids OpenShift's admission refuses them.
    async fn wait_for_defaults(
        &self,
        namespace: &str,
        openshift: bool,
    ) -> Result<(), ClusterError> {
        let account = GroupKind::new("", "ServiceAccount");
        let needs_token = self.tokens_are_secrets().await?;
        self.wait(&account, Some(namespace), "default", ACCOUNT, |object| {
            object.is_some_and(|object| !needs_token || has_secret(object))
        })
        .await?;
        if !openshift {
            return Ok(());
        }
        let deadline = Instant::now() + REST;
        while Instant::now() < deadline {
            if self.project_is_complete(namespace).await? {
                return Ok(());
            }
            sleep(Duration::from_millis(250)).await;
        }
        tracing::warn!(
            cluster = self.name(),
            namespace,
            "the new project lacks some of what OpenShift usually puts into it"
        );
        Ok(())
    }

    async fn project_is_complete(&self, namespace: &str) -> Result<bool, ClusterError> {
        let accounts = self.core("ServiceAccount", "serviceaccounts");
        let accounts = self.list(&accounts, Some(namespace), None).await?;
        let has = |name: &str| accounts.iter().any(|account| account.name() == name);
        if !(has("builder") && has("deployer")) {
            return Ok(false);
        }
        let project = self.get(&namespace_kind(true), None, namespace).await?;
        Ok(project.is_some_and(|project| {
            project
                .annotation("openshift.io/sa.scc.uid-range")
                .is_some()
        }))
    }

    fn core(&self, kind: &str, plural: &str) -> ResourceType {
        ResourceType {
            group: String::new(),
            version: "v1".into(),
            kind: kind.into(),
            plural: plural.into(),
            namespaced: true,
            verbs: vec!["list".into(), "get".into()],
        }
    }

    /// Before 1.24 a controller made a token secret for each account, and pods waited for it.
    async fn tokens_are_secrets(&self) -> Result<bool, ClusterError> {
        let answer = self
            .call(&Call::get("/version", "read the version"))
            .await?;
        let value = answer.value()?;
        let digits: String = value["minor"]
            .as_str()
            .unwrap_or_default()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        Ok(digits.parse().is_ok_and(|minor: u32| minor < 24))
    }
}

fn has_secret(account: &Object) -> bool {
    account.value()["secrets"]
        .as_array()
        .is_some_and(|secrets| !secrets.is_empty())
}
