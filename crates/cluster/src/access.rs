//! Where a cluster is, whom it trusts, and who we are to it.

use std::fmt;

use secrecy::SecretString;
use url::{Host, Url};

use crate::ClusterError;

/// All that is needed to connect to one cluster.
#[derive(Debug, Clone)]
pub struct Access {
    /// What the user calls the cluster; every message names it.
    pub name: String,
    /// Base URL of the API.
    pub base: Url,
    /// Which certificates are believed.
    pub trust: Trust,
    /// Who we are.
    pub credentials: Credentials,
}

/// Which certificates are believed. The default verifies with the system's roots.
///
/// On OpenShift 4 the OAuth host is behind the router and has a certificate of its own. Unless it is given a CA of
/// its own here, the API's CA is tried for it, then the system's roots.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// CA certificates (PEM) that sign the API's certificate, instead of the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// Accept any certificate of the API.
    pub insecure: bool,
    /// CA certificates (PEM) that sign the OAuth host's certificate.
    pub oauth_ca_pem: Option<Vec<u8>>,
    /// Accept any certificate of the OAuth host.
    pub oauth_insecure: bool,
}

/// Who we are to a cluster. Debug output names the kind and hides the secret.
#[derive(Clone)]
#[non_exhaustive]
pub enum Credentials {
    /// OpenShift's OAuth challenge; the token obtained with it is revoked by [`Cluster::logout`](crate::Cluster::logout).
    Password {
        /// User name.
        username: String,
        /// Password.
        password: SecretString,
    },
    /// A bearer token.
    Token(SecretString),
    /// A client certificate.
    ClientCertificate {
        /// Certificate chain (PEM).
        cert_pem: Vec<u8>,
        /// Private key (PEM; PKCS#8, PKCS#1 or SEC1).
        key_pem: SecretString,
    },
    /// Whatever a kubeconfig context or a pod's service account says: tokens, token files, certificates, plugins.
    Kubeconfig(Box<kube::Config>),
}

impl Access {
    /// Reads the base URL of a cluster's API: `192.168.42.10:8443`, `api.example.com`, `https://…`.
    ///
    /// `https` is assumed. `http` is refused except for this machine, since credentials would travel in the clear.
    ///
    /// ```
    /// # use openshifter_cluster::Access;
    /// let base = Access::parse_base("192.168.42.10:8443")?;
    /// assert_eq!(base.as_str(), "https://192.168.42.10:8443/");
    /// # Ok::<(), openshifter_cluster::ClusterError>(())
    /// ```
    ///
    /// # Errors
    /// When the text is no such URL, or has a user, a query or a fragment.
    pub fn parse_base(text: &str) -> Result<Url, ClusterError> {
        let text = text.trim();
        let fail = |reason: &str| ClusterError::BadBase {
            text: without_user(text),
            reason: reason.to_owned(),
        };
        let full = if text.contains("://") {
            text.to_owned()
        } else {
            format!("https://{text}")
        };
        let mut url = Url::parse(&full).map_err(|error| fail(&error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(fail("it must not hold a user or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(fail("it must not hold a query or a fragment"));
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => {
                return Err(fail(
                    "plain http would show the credentials to the network; use https",
                ));
            }
            _ => return Err(fail("its scheme is not https")),
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(fail("it has no host"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(if path.is_empty() { "/" } else { &path });
        Ok(url)
    }
}

/// Host and port, as messages write them.
pub(crate) fn host_of(url: &Url) -> String {
    match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => url.to_string(),
    }
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The text without what stands before an `@`, which may hold a password.
fn without_user(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => text.to_owned(),
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("ca_pem", &self.ca_pem.is_some())
            .field("insecure", &self.insecure)
            .field("oauth_ca_pem", &self.oauth_ca_pem.is_some())
            .field("oauth_insecure", &self.oauth_insecure)
            .finish()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { username, .. } => f
                .debug_struct("Password")
                .field("username", username)
                .finish_non_exhaustive(),
            Self::Token(_) => f.write_str("Token(…)"),
            Self::ClientCertificate { .. } => f.write_str("ClientCertificate(…)"),
            Self::Kubeconfig(_) => f.write_str("Kubeconfig(…)"),
        }
    }
}

/// Where every pod finds the token of its service account.
const SERVICE_ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

impl Credentials {
    /// The start of a sentence about them.
    pub(crate) fn subject(&self) -> &'static str {
        match self {
            Self::Password { .. } => "the token of this login is",
            Self::Token(_) => "the token is",
            Self::ClientCertificate { .. } => "the client certificate is",
            Self::Kubeconfig(config)
                if config.auth_info.token_file.as_deref() == Some(SERVICE_ACCOUNT_TOKEN) =>
            {
                "the token of the pod's service account is"
            }
            Self::Kubeconfig(_) => "the credentials of the kubeconfig are",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_are_read_as_people_write_them() {
        for (text, url) in [
            ("192.168.42.10:8443", "https://192.168.42.10:8443/"),
            (
                "https://api.example.com:6443/",
                "https://api.example.com:6443/",
            ),
            (" api.example.com ", "https://api.example.com/"),
            ("[::1]:8443", "https://[::1]:8443/"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
            (
                "https://rancher/k8s/clusters/c-1/",
                "https://rancher/k8s/clusters/c-1",
            ),
        ] {
            assert_eq!(Access::parse_base(text).unwrap().as_str(), url, "{text}");
        }
    }

    #[test]
    fn bases_that_cannot_be_one_are_refused() {
        let messages: Vec<String> = [
            "",
            "http://api.example.com",
            "ftp://x",
            "https://dev:secret@api",
            "api?x",
            "a b",
        ]
        .into_iter()
        .map(|text| Access::parse_base(text).unwrap_err().to_string())
        .collect();
        insta::assert_snapshot!(messages.join("\n"), @r"
    `` is no address of a cluster: empty host
    `http://api.example.com` is no address of a cluster: plain http would show the credentials to the network; use https
    `ftp://x` is no address of a cluster: its scheme is not https
    `…@api` is no address of a cluster: it must not hold a user or password
    `api?x` is no address of a cluster: it must not hold a query or a fragment
    `a b` is no address of a cluster: invalid international domain name
    ");
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let access = Access {
            name: "prod".into(),
            base: Access::parse_base("api:6443").unwrap(),
            trust: Trust {
                ca_pem: Some(b"PEM".to_vec()),
                ..Trust::default()
            },
            credentials: Credentials::Password {
                username: "dev".into(),
                password: "hunter2".into(),
            },
        };
        let shown = format!(
            "{access:?} {:?}",
            Credentials::Token("sha256~hunter2".into())
        );
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("dev"), "{shown}");
    }
}
