//! What can go wrong between us and a cluster, in words for the person who asked.

use std::time::Duration;

use openshifter_objects::GroupKind;

/// An error answer of an API server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cluster}: cannot {action}: {message} ({})", status_text(*.status, .reason.as_deref()))]
pub struct ApiError {
    /// Name of the cluster, as the user calls it.
    pub cluster: String,
    /// What was tried, as in `create Service/web in namespace shop`.
    pub action: String,
    /// HTTP status.
    pub status: u16,
    /// The server's machine-readable reason, as in `AlreadyExists`. Some errors have none.
    pub reason: Option<String>,
    /// The server's own message.
    pub message: String,
    /// Reasons of `details.causes`, as in `NamespaceTerminating`.
    pub causes: Vec<String>,
    /// How long the server asked us to wait.
    pub retry_after: Option<Duration>,
}

/// What a command wrote before it hung, to follow the message.
fn said(stderr: &str) -> String {
    match stderr.trim() {
        "" => String::new(),
        text => format!("; it said: {text}"),
    }
}

fn status_text(status: u16, reason: Option<&str>) -> String {
    match reason.filter(|reason| !reason.is_empty()) {
        Some(reason) => format!("{status} {reason}"),
        None => status.to_string(),
    }
}

/// Why something could not be done with a cluster.
///
/// The text names the cluster and the thing; [`ClusterError::hint`] says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A base URL that cannot be one.
    #[error("`{text}` is no address of a cluster: {reason}")]
    BadBase {
        /// What was given. A password within it is masked.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A kubeconfig that cannot be read.
    #[error("cannot read the kubeconfig{}: {source}", .path.as_deref().map(|path| format!(" {path}")).unwrap_or_default())]
    Kubeconfig {
        /// The file, where one was named.
        path: Option<String>,
        /// Why not.
        #[source]
        source: Box<kube::config::KubeconfigError>,
    },
    /// A context that the kubeconfig does not have.
    #[error("the kubeconfig has no context `{context}`")]
    NoSuchContext {
        /// What was asked for.
        context: String,
        /// What there is.
        known: Vec<String>,
    },
    /// No kubeconfig names a context to use.
    #[error("no context was named, and the kubeconfig has no current one")]
    NoCurrentContext,
    /// There is no service account to use: this process does not run in a pod.
    #[error("cannot use the service account of this pod: {source}")]
    NotInCluster {
        /// Why not.
        #[source]
        source: Box<kube::config::InClusterError>,
    },
    /// Credentials or CA certificates that cannot be used as they are.
    #[error("{cluster}: {what} cannot be used: {reason}")]
    BadCredentials {
        /// Name of the cluster.
        cluster: String,
        /// Which, as in `the CA certificate`.
        what: &'static str,
        /// What is wrong, without the secret itself.
        reason: String,
    },
    /// No connection came about.
    #[error("{cluster}: cannot reach {host}: {reason}")]
    Unreachable {
        /// Name of the cluster.
        cluster: String,
        /// Host and port.
        host: String,
        /// What the system said.
        reason: String,
    },
    /// The server's certificate could not be verified.
    #[error("{cluster}: the certificate of {host}{} is not trusted: {reason}", if *.oauth { " (its OAuth host)" } else { "" })]
    UntrustedCertificate {
        /// Name of the cluster.
        cluster: String,
        /// Host and port.
        host: String,
        /// Whether this was the OAuth host, which may be another than the API's.
        oauth: bool,
        /// What verification said.
        reason: String,
    },
    /// The connection broke, or no answer came in time; whether the server acted is not known.
    #[error("{cluster}: no answer when trying to {action}: {reason}")]
    NoAnswer {
        /// Name of the cluster.
        cluster: String,
        /// What was tried.
        action: String,
        /// What happened.
        reason: String,
    },
    /// The OAuth server refused user name and password.
    #[error("{cluster}: wrong user name or password for `{username}`")]
    WrongPassword {
        /// Name of the cluster.
        cluster: String,
        /// Who tried.
        username: String,
    },
    /// The OAuth server gave no token, for another reason than a wrong password.
    #[error("{cluster}: the login of `{username}` was refused: {reason}")]
    LoginRefused {
        /// Name of the cluster.
        cluster: String,
        /// Who tried.
        username: String,
        /// What the server said.
        reason: String,
    },
    /// The cluster offers no login by user name and password.
    #[error("{cluster}: this cluster offers no login with user name and password")]
    NoPasswordLogin {
        /// Name of the cluster.
        cluster: String,
    },
    /// The server does not accept the credentials (any more).
    #[error("{cluster}: {credentials} not accepted: {}", if *.worked_before { "expired or revoked since" } else { "expired, revoked, or of another cluster" })]
    Unauthorized {
        /// Name of the cluster.
        cluster: String,
        /// Which credentials, as in `the token is`.
        credentials: &'static str,
        /// Whether they worked when this connection was made.
        worked_before: bool,
    },
    /// The server takes us for nobody: the credentials are missing.
    #[error("{cluster}: no credentials: the server takes us for an anonymous user")]
    Anonymous {
        /// Name of the cluster.
        cluster: String,
    },
    /// The API server answered with an error.
    #[error(transparent)]
    Api(Box<ApiError>),
    /// An answer that makes no sense.
    #[error("{cluster}: the answer when trying to {action} makes no sense: {reason}")]
    BadAnswer {
        /// Name of the cluster.
        cluster: String,
        /// What was tried.
        action: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// A name that would not stay within its place in a URL.
    #[error("`{name}` cannot be the name of {what}")]
    BadName {
        /// The name.
        name: String,
        /// What it was to name.
        what: &'static str,
    },
    /// The cluster has no such namespace, or hides it from this user.
    #[error("{cluster}: there is no namespace `{namespace}`{}", if *.hidden { ", or this user may not see it" } else { "" })]
    NoSuchNamespace {
        /// Name of the cluster.
        cluster: String,
        /// The namespace.
        namespace: String,
        /// Whether the server gives this user the same answer for a namespace of others.
        hidden: bool,
    },
    /// Nobody says who this user is.
    #[error(
        "{cluster}: this cluster does not tell the name of the user that these credentials are"
    )]
    UserUnknown {
        /// Name of the cluster.
        cluster: String,
    },
    /// The namespace is being deleted.
    #[error("{cluster}: the namespace `{namespace}` is being deleted")]
    NamespaceTerminating {
        /// Name of the cluster.
        cluster: String,
        /// The namespace.
        namespace: String,
    },
    /// The namespace belongs to others.
    #[error("{cluster}: the namespace `{namespace}` exists, but this user has no access to it")]
    NamespaceTaken {
        /// Name of the cluster.
        cluster: String,
        /// The namespace.
        namespace: String,
    },
    /// The cluster serves no such kind, or not in this version.
    #[error("{cluster}: this cluster does not serve {kind}{}", .version.as_deref().map(|version| format!(" in version {version}")).unwrap_or_default())]
    KindNotServed {
        /// Name of the cluster.
        cluster: String,
        /// The kind.
        kind: GroupKind,
        /// The version that was asked for, where one was.
        version: Option<String>,
        /// Versions of that kind that are served.
        served: Vec<String>,
    },
    /// A dry run was asked for where servers ignore that and act.
    #[error("{cluster}: a dry run of {kind} is refused, since servers ignore that and act")]
    NoDryRun {
        /// Name of the cluster.
        cluster: String,
        /// The kind.
        kind: GroupKind,
    },
    /// What was waited for did not come about in time.
    #[error("{cluster}: waited {} s for {subject} in vain", .after.as_secs())]
    WaitTimeout {
        /// Name of the cluster.
        cluster: String,
        /// The object.
        subject: String,
        /// How long.
        after: Duration,
    },
    /// A command could not be started, or the container runtime failed.
    #[error("{cluster}: cannot run `{command}` in {pod}: {reason}")]
    ExecFailed {
        /// Name of the cluster.
        cluster: String,
        /// Pod and namespace.
        pod: String,
        /// The program.
        command: String,
        /// What the server said.
        reason: String,
    },
    /// The connection to a command ended without its status: whatever it had put out is not all.
    #[error("{cluster}: the connection to `{command}` in {pod} was torn before its end: {reason}")]
    ExecTorn {
        /// Name of the cluster.
        cluster: String,
        /// Pod and namespace.
        pod: String,
        /// The program.
        command: String,
        /// How it ended.
        reason: String,
    },
    /// No byte came or went for too long.
    #[error("{cluster}: `{command}` in {pod} stalled: {reason} for {} s{}", .after.as_secs(), said(.stderr))]
    ExecStalled {
        /// Name of the cluster.
        cluster: String,
        /// Pod and namespace.
        pod: String,
        /// The program.
        command: String,
        /// What was waited for.
        reason: &'static str,
        /// How long.
        after: Duration,
        /// What it had written to standard error by then.
        stderr: String,
    },
    /// A port of a pod cannot be reached through the API server.
    #[error("{cluster}: cannot reach port {port} of {target} through the API server: {reason}")]
    ForwardFailed {
        /// Name of the cluster.
        cluster: String,
        /// Pod or service, and namespace.
        target: String,
        /// The port.
        port: u16,
        /// What the server said.
        reason: String,
    },
    /// What was to be uploaded could not be read to its end.
    #[error("{cluster}: cannot {action}: {source}")]
    Upload {
        /// Name of the cluster.
        cluster: String,
        /// What was tried.
        action: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Our side dropped the input of a command before it was complete.
    #[error("{cluster}: the input of `{command}` in {pod} was given up before its end")]
    ExecInputAbandoned {
        /// Name of the cluster.
        cluster: String,
        /// Pod and namespace.
        pod: String,
        /// The program.
        command: String,
    },
}

impl ClusterError {
    /// The server's error answer, where this is one.
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            _ => None,
        }
    }

    /// HTTP status that the cluster answered with, where it did.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Api(error) => Some(error.status),
            Self::Unauthorized { .. } | Self::WrongPassword { .. } => Some(401),
            _ => None,
        }
    }

    /// The server's machine-readable reason, as in `AlreadyExists`.
    pub fn reason(&self) -> Option<&str> {
        self.api()?.reason.as_deref()
    }

    /// Whether a stale `resourceVersion`, another field manager or a precondition stood against it.
    pub fn is_conflict(&self) -> bool {
        self.status() == Some(409) && !self.is_already_exists()
    }

    /// Whether the object, or its kind, is not there.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
            || matches!(
                self,
                Self::NoSuchNamespace { .. } | Self::KindNotServed { .. }
            )
    }

    /// Whether an object of that name was there already.
    pub fn is_already_exists(&self) -> bool {
        self.status() == Some(409) && self.reason() == Some("AlreadyExists")
    }

    /// Whether the user lacks the right, or a quota or policy refused it.
    pub fn is_forbidden(&self) -> bool {
        self.status() == Some(403)
    }

    /// Whether the object itself was refused (validation, immutable fields).
    pub fn is_invalid(&self) -> bool {
        self.status() == Some(422)
    }

    /// Whether the credentials are the problem.
    pub fn is_login(&self) -> bool {
        matches!(
            self,
            Self::WrongPassword { .. }
                | Self::LoginRefused { .. }
                | Self::NoPasswordLogin { .. }
                | Self::Unauthorized { .. }
                | Self::Anonymous { .. }
        )
    }

    /// Whether the cluster could not be talked to at all.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::UntrustedCertificate { .. } | Self::NoAnswer { .. }
        )
    }

    /// Whether a wait ended before what it waited for.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::WaitTimeout { .. })
    }

    /// Whether the cluster does not serve this kind at all.
    pub fn is_unknown_kind(&self) -> bool {
        matches!(self, Self::KindNotServed { .. })
    }
}
