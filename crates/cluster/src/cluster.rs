//! The connection to one cluster.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use openshifter_objects::{GroupKind, ResourceType};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::sync::RwLock;
use url::Url;

use crate::call::{Call, Link};
use crate::discovery::{self, Discovery};
use crate::session::Session;
use crate::transport::{api_config, believed, clients};
use crate::{Access, ClusterError, Credentials, Trust};

/// Time limits and numbers of attempts. The defaults suit real clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// Until a TCP connection stands.
    pub connect_timeout: Duration,
    /// Until an answer begins. API servers themselves give up after 60 seconds.
    pub answer_timeout: Duration,
    /// Between two pieces of an answer.
    pub idle_timeout: Duration,
    /// Attempts for one request, the first included.
    pub attempts: u32,
    /// No attempt starts later than this after the first.
    pub retry_for: Duration,
    /// A command through which no byte came or went for this long is given up.
    pub exec_stall: Duration,
    /// Lists in flight at once.
    pub parallel_lists: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(70),
            idle_timeout: Duration::from_secs(60),
            attempts: 6,
            retry_for: Duration::from_secs(60),
            exec_stall: Duration::from_secs(120),
            parallel_lists: 24,
        }
    }
}

impl Tuning {
    /// A wrong address shall not take a minute to say so.
    pub(crate) fn for_connecting(self) -> Self {
        Self {
            attempts: self.attempts.min(3),
            retry_for: self.retry_for.min(Duration::from_secs(12)),
            ..self
        }
    }
}

/// What a cluster says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Version of Kubernetes, as in `v1.36.2`.
    pub kubernetes: String,
    /// Version of OpenShift where it is one and lets this user know, as in `4.22.0`.
    pub openshift: Option<String>,
}

/// A connection to one cluster, cheap to clone.
///
/// All methods may be called concurrently. Nothing limits the rate of requests but the server.
#[derive(Clone)]
pub struct Cluster(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) link: Link,
    pub(crate) discovery: RwLock<Option<Arc<Discovery>>>,
    /// What the credentials say about the user's name, for servers that do not tell.
    known_user: Option<String>,
    /// The token of the credentials, where they are one.
    token: Option<Bearer>,
    /// Which certificates are believed, wherever that was said.
    trust: Trust,
}

/// Where the token of some credentials is.
enum Bearer {
    Itself(SecretString),
    /// A file that somebody else renews.
    File(std::path::PathBuf),
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("name", &self.0.link.cluster)
            .field("base", &self.0.link.base.as_str())
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Connects: logs in where the credentials are user and password, and proves the credentials with one cheap request.
    /// Such a login is repeated by itself when its token is no longer accepted.
    ///
    /// # Errors
    /// Each with a variant of its own: wrong password, credentials not accepted, a certificate (of the API or of the
    /// OAuth host) that is not trusted, a cluster that cannot be reached.
    pub async fn connect(access: &Access) -> Result<Self, ClusterError> {
        Self::connect_tuned(access, Tuning::default()).await
    }

    /// [`Cluster::connect`] with other limits.
    ///
    /// # Errors
    /// As [`Cluster::connect`].
    pub async fn connect_tuned(access: &Access, tuning: Tuning) -> Result<Self, ClusterError> {
        let session = match &access.credentials {
            Credentials::Password { username, password } => Some(Arc::new(
                Session::begin(access, username, password, tuning).await?,
            )),
            _ => None,
        };
        let config = api_config(access)?;
        let known_user = match &access.credentials {
            Credentials::Password { username, .. } => Some(username.clone()),
            Credentials::Kubeconfig(config) => config.auth_info.impersonate.clone(),
            _ => None,
        };
        let token = match (&config.auth_info.token, &config.auth_info.token_file) {
            (Some(token), _) => Some(Bearer::Itself(token.clone())),
            (None, Some(path)) => Some(Bearer::File(path.into())),
            (None, None) => None,
        };
        let trust = believed(&access.trust, &config);
        let mut link = Link {
            cluster: access.name.clone(),
            base: access.base.clone(),
            oauth: false,
            clients: clients(
                &access.name,
                config,
                tuning.connect_timeout,
                session.clone(),
            )
            .await?,
            tuning,
            credentials: access.credentials.subject(),
            proven: false,
            session: None,
        };
        // Discovery is open to everybody who is logged in and to nobody else, on Kubernetes as on OpenShift.
        link.tuning = tuning.for_connecting();
        if let Err(error) = link.call(&Call::get("/api", "log in")).await {
            // A token that is of no use to us is not left behind, if the server still listens.
            if let Some(session) = &session {
                let _ = session.end(&link).await;
            }
            return Err(error);
        }
        link.tuning = tuning;
        link.proven = true;
        link.session = session;
        Ok(Self(Arc::new(Inner {
            link,
            discovery: RwLock::new(None),
            known_user,
            token,
            trust,
        })))
    }

    /// What the user calls this cluster.
    pub fn name(&self) -> &str {
        &self.0.link.cluster
    }

    /// Base URL of the API.
    pub fn base(&self) -> &Url {
        &self.0.link.base
    }

    /// Which certificates of this cluster are believed, a kubeconfig's included: for what else it has behind the
    /// certificate of its API, or behind that of its router, as its OAuth host is.
    pub fn trust(&self) -> &Trust {
        &self.0.trust
    }

    pub(crate) fn link(&self) -> &Link {
        &self.0.link
    }

    pub(crate) async fn call(&self, call: &Call) -> Result<crate::answer::Answer, ClusterError> {
        self.0.link.call(call).await
    }

    /// Revokes the token that this connection obtained itself; does nothing for other credentials.
    ///
    /// Dropping the connection does not do it, since that would need the network.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn logout(&self) -> Result<(), ClusterError> {
        match &self.0.link.session {
            Some(session) => session.end(&self.0.link).await,
            None => Ok(()),
        }
    }

    /// The token that proves who we are, for what else in this cluster takes one: its registry does.
    ///
    /// `None` when the credentials are a certificate or come from a plugin.
    ///
    /// # Errors
    /// When the file that the credentials name cannot be read.
    pub async fn bearer_token(&self) -> Result<Option<SecretString>, ClusterError> {
        match &self.0.token {
            None => Ok(self.0.link.session.as_ref().map(|session| session.token())),
            Some(Bearer::Itself(token)) => Ok(Some(token.clone())),
            Some(Bearer::File(path)) => match tokio::fs::read_to_string(path).await {
                Ok(text) => Ok(Some(SecretString::from(text.trim()))),
                Err(error) => Err(ClusterError::BadCredentials {
                    cluster: self.name().to_owned(),
                    what: "the file with the token",
                    reason: error.to_string(),
                }),
            },
        }
    }

    /// Another token in place of one that was refused where it was given on, as by the cluster's registry: that of a new
    /// login, where this one has ended and its password is known, or what the token's file holds by now. `None` when there
    /// is no other: then it was refused for another reason.
    ///
    /// # Errors
    /// When the cluster does not answer, or the login or file is of no use.
    pub async fn other_token(
        &self,
        refused: &SecretString,
    ) -> Result<Option<SecretString>, ClusterError> {
        let is_other = |token: &SecretString| token.expose_secret() != refused.expose_secret();
        if let (None, Some(session)) = (&self.0.token, &self.0.link.session)
            && !is_other(&session.token())
        {
            // Whether it has ended the cluster says, and any request makes it anew then.
            self.user().await?;
        }
        Ok(self.bearer_token().await?.filter(is_other))
    }

    /// Name of the user that the server takes us for.
    ///
    /// Kubernetes before 1.26 does not tell; there it is what the credentials say, if they do.
    ///
    /// # Errors
    /// When the server cannot be reached, or nobody knows.
    pub async fn user(&self) -> Result<String, ClusterError> {
        let text = |value: &Value, pointer: &str| {
            value
                .pointer(pointer)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let discovery = self.discovery().await?;
        let serves = |group: &str, version: &str, kind: &str| {
            discovery
                .find_version(&GroupKind::new(group, kind), version)
                .is_some()
        };
        if serves("user.openshift.io", "v1", "User") {
            let answer = self
                .call(&Call::get(
                    "/apis/user.openshift.io/v1/users/~",
                    "ask who this user is",
                ))
                .await;
            match answer {
                Ok(answer) => {
                    let value = answer.value()?;
                    if let Some(name) = text(&value, "/metadata/name") {
                        return Ok(name);
                    }
                }
                Err(error) if error.is_not_found() || error.is_forbidden() => {}
                Err(error) => return Err(error),
            }
        }
        for version in ["v1", "v1beta1", "v1alpha1"] {
            if !serves("authentication.k8s.io", version, "SelfSubjectReview") {
                continue;
            }
            let body = json!({
                "apiVersion": format!("authentication.k8s.io/{version}"), "kind": "SelfSubjectReview"
            });
            let path = format!("/apis/authentication.k8s.io/{version}/selfsubjectreviews");
            let call = Call::with_body(http::Method::POST, path, &body, "ask who this user is");
            let answer = self.call(&call.harmless()).await?;
            let value = answer.value()?;
            return text(&value, "/status/userInfo/username")
                .ok_or_else(|| answer.bad("it names no user".into()));
        }
        self.0
            .known_user
            .clone()
            .ok_or_else(|| ClusterError::UserUnknown {
                cluster: self.name().to_owned(),
            })
    }

    /// Versions of Kubernetes and OpenShift.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn version(&self) -> Result<Version, ClusterError> {
        let answer = self
            .call(&Call::get("/version", "read the version"))
            .await?;
        let value = answer.value()?;
        let kubernetes = value["gitVersion"]
            .as_str()
            .ok_or_else(|| answer.bad("it has no gitVersion".into()))?
            .to_owned();
        Ok(Version {
            kubernetes,
            openshift: self.openshift_version().await?,
        })
    }

    /// OpenShift 4 keeps its version in an object that ordinary users may not read, 3 behind a path of its own.
    async fn openshift_version(&self) -> Result<Option<String>, ClusterError> {
        if !self.is_openshift().await? {
            return Ok(None);
        }
        let places = [
            (
                "/apis/config.openshift.io/v1/clusterversions/version",
                "/status/desired/version",
            ),
            ("/version/openshift", "/gitVersion"),
        ];
        for (path, pointer) in places {
            match self
                .call(&Call::get(path, "read the version of OpenShift"))
                .await
            {
                Ok(answer) => {
                    let value = answer.value()?;
                    if let Some(version) = value.pointer(pointer).and_then(Value::as_str) {
                        return Ok(Some(version.to_owned()));
                    }
                }
                Err(error) if error.is_not_found() || error.is_forbidden() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Whether it has OpenShift's projects.
    ///
    /// # Errors
    /// When discovery fails.
    pub async fn is_openshift(&self) -> Result<bool, ClusterError> {
        let project = GroupKind::new("project.openshift.io", "Project");
        Ok(self.discovery().await?.find(&project).is_some())
    }

    /// What the cluster serves, read once and kept.
    ///
    /// # Errors
    /// When the server cannot be reached. A group whose own server is down is no error:
    /// see [`Discovery::failed_groups`].
    pub async fn discovery(&self) -> Result<Arc<Discovery>, ClusterError> {
        if let Some(known) = self.0.discovery.read().await.as_ref() {
            return Ok(known.clone());
        }
        let mut slot = self.0.discovery.write().await;
        if let Some(known) = slot.as_ref() {
            return Ok(known.clone());
        }
        let fresh = Arc::new(discovery::read(&self.0.link).await?);
        *slot = Some(fresh.clone());
        Ok(fresh)
    }

    /// Reads anew what the cluster serves, as is needed once custom resources were defined.
    ///
    /// # Errors
    /// As [`Cluster::discovery`].
    pub async fn refresh_discovery(&self) -> Result<Arc<Discovery>, ClusterError> {
        let fresh = Arc::new(discovery::read(&self.0.link).await?);
        *self.0.discovery.write().await = Some(fresh.clone());
        Ok(fresh)
    }

    /// The preferred resource type of a kind.
    ///
    /// # Errors
    /// When it is not served, or discovery fails.
    pub async fn resource(&self, kind: &GroupKind) -> Result<ResourceType, ClusterError> {
        self.discovery()
            .await?
            .find(kind)
            .cloned()
            .ok_or_else(|| ClusterError::KindNotServed {
                cluster: self.name().to_owned(),
                kind: kind.clone(),
                version: None,
                served: Vec::new(),
            })
    }

    /// The resource type of an object, in the version that the object is written in.
    pub(crate) async fn resource_in(
        &self,
        kind: &GroupKind,
        version: &str,
    ) -> Result<ResourceType, ClusterError> {
        let discovery = self.discovery().await?;
        discovery
            .find_version(kind, version)
            .cloned()
            .ok_or_else(|| ClusterError::KindNotServed {
                cluster: self.name().to_owned(),
                kind: kind.clone(),
                version: Some(version.to_owned()),
                served: discovery.versions(kind),
            })
    }
}
