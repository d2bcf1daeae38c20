//! Where a registry is, and whom it trusts.

use std::fmt;
use std::net::SocketAddr;

use url::{Host, Url};

use crate::{ImageReference, ImagesError};

/// Which certificates of a registry are believed, and whether it may do without.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RegistryTrust {
    /// CA certificates (PEM) beside the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// Accept any certificate.
    pub insecure: bool,
    /// Plain http may be used, where the address says so or where the registry has no TLS.
    pub plain_http: bool,
}

impl fmt::Debug for RegistryTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryTrust")
            .field("ca_pem", &self.ca_pem.as_ref().map(|_| "…"))
            .field("insecure", &self.insecure)
            .field("plain_http", &self.plain_http)
            .finish()
    }
}

/// The way to a registry.
#[derive(Debug, Clone)]
pub struct RegistryEndpoint {
    /// What messages call it.
    pub(crate) name: String,
    pub(crate) base: Url,
    pub(crate) trust: RegistryTrust,
    /// A relay on this machine that leads to the base's host.
    pub(crate) relay: Option<SocketAddr>,
    /// The cluster whose own registry it is: it has several addresses.
    pub(crate) cluster: Option<String>,
    /// Whether the address itself said http or https.
    pub(crate) scheme_given: bool,
}

impl RegistryEndpoint {
    /// Reads an address: `registry.example.com`, `10.0.0.1:5000`, `https://…`; `http://…` only with leave.
    ///
    /// # Errors
    /// When the text is no such address, or says `http` and `trust` does not allow it.
    pub fn parse(text: &str, trust: RegistryTrust) -> Result<Self, ImagesError> {
        let text = text.trim();
        let fail = |reason: &str| ImagesError::BadRegistry {
            text: without_user(text),
            reason: reason.to_owned(),
        };
        let scheme_given = text.contains("://");
        let full = if scheme_given {
            text.to_owned()
        } else {
            format!("https://{text}")
        };
        let mut base = Url::parse(&full).map_err(|error| fail(&error.to_string()))?;
        if !base.username().is_empty() || base.password().is_some() {
            return Err(fail("it must not hold a user or password"));
        }
        if base.query().is_some() || base.fragment().is_some() || base.path() != "/" {
            return Err(fail("it must be a host and a port, without a path"));
        }
        match base.scheme() {
            "https" => {}
            "http" if trust.plain_http => {}
            "http" => {
                return Err(ImagesError::PlainHttp {
                    registry: host_of(&base),
                    url: base.to_string(),
                });
            }
            _ => return Err(fail("its scheme is not https")),
        }
        let name = host_of(&base);
        // The hub's name is not where it is.
        if matches!(name.as_str(), "docker.io" | "index.docker.io")
            && base.set_host(Some("registry-1.docker.io")).is_err()
        {
            return Err(fail("its host cannot be used"));
        }
        Ok(Self {
            name,
            base,
            trust,
            relay: None,
            cluster: None,
            scheme_given,
        })
    }

    /// The registry of a reference.
    ///
    /// # Errors
    /// As [`RegistryEndpoint::parse`].
    pub fn of(reference: &ImageReference, trust: RegistryTrust) -> Result<Self, ImagesError> {
        Self::parse(reference.registry(), trust)
    }

    /// A registry called `host` that is reached through a relay on this machine. Certificates are verified against
    /// `host`.
    ///
    /// # Errors
    /// When `host` cannot be one.
    pub fn through(
        relay: SocketAddr,
        host: &str,
        trust: RegistryTrust,
    ) -> Result<Self, ImagesError> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let mut endpoint = Self::parse(&format!("{name}:{}", relay.port()), trust)?;
        host.clone_into(&mut endpoint.name);
        endpoint.relay = Some(relay);
        endpoint.scheme_given = false;
        Ok(endpoint)
    }

    /// Host and port, as messages name it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Calls it otherwise in messages.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Says that it is the own registry of the cluster with this address.
    pub(crate) fn of_cluster(mut self, base: &Url) -> Self {
        self.cluster = Some(base.to_string());
        self
    }

    pub(crate) fn is_on_this_machine(&self) -> bool {
        self.relay.is_some()
            || match self.base.host() {
                Some(Host::Ipv4(address)) => address.is_loopback(),
                Some(Host::Ipv6(address)) => address.is_loopback(),
                Some(Host::Domain(name)) => name == "localhost",
                None => false,
            }
    }
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// An address without a user and password that may be in it.
fn without_user(text: &str) -> String {
    let start = text.find("://").map_or(0, |at| at + 3);
    let shown = match text[start..].rfind('@') {
        Some(at) => format!("{}…{}", &text[..start], &text[start + at..]),
        None => text.to_owned(),
    };
    crate::words::shortened(&shown, 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, plain_http: bool) -> String {
        let trust = RegistryTrust {
            plain_http,
            ..RegistryTrust::default()
        };
        match RegistryEndpoint::parse(text, trust) {
            Ok(endpoint) => format!("{} {}", endpoint.name(), endpoint.base),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn addresses() {
        let texts = [
            "quay.io",
            "10.0.0.1:5000",
            "docker.io",
            "http://10.0.0.1:5000",
            "https://dev:geheim@host",
            "host/path",
            "ftp://x",
            "a b",
        ];
        insta::assert_snapshot!(texts.map(|text| shown(text, false)).join("\n"), @r"
        quay.io https://quay.io/
        10.0.0.1:5000 https://10.0.0.1:5000/
        docker.io https://registry-1.docker.io/
        10.0.0.1:5000: plain http would show credentials and images to the network (http://10.0.0.1:5000/)
        `https://…@host` is no address of a registry: it must not hold a user or password
        `host/path` is no address of a registry: it must be a host and a port, without a path
        `ftp://x` is no address of a registry: its scheme is not https
        `a b` is no address of a registry: invalid international domain name
        ");
        assert_eq!(
            shown("http://10.0.0.1:5000", true),
            "10.0.0.1:5000 http://10.0.0.1:5000/"
        );
    }

    #[test]
    fn a_relay_keeps_the_name_that_certificates_are_verified_against() {
        let endpoint = RegistryEndpoint::through(
            "127.0.0.1:4711".parse().unwrap(),
            "image-registry.openshift-image-registry.svc:5000",
            RegistryTrust::default(),
        )
        .unwrap();
        assert_eq!(
            endpoint.name(),
            "image-registry.openshift-image-registry.svc:5000"
        );
        assert_eq!(
            endpoint.base.as_str(),
            "https://image-registry.openshift-image-registry.svc:4711/"
        );
    }
}
