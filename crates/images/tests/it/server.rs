//! Debian's registry, and how tests connect to it.

use std::ops::Deref;
use std::time::Duration;

use openshifter_images::{
    Registry, RegistryCredentials, RegistryEndpoint, RegistryTrust, RegistryTuning, Repository,
};
use openshifter_testing::RegistryServer;

/// Ends with its value.
pub(crate) struct Server {
    inner: RegistryServer,
    pub(crate) address: String,
}

impl Deref for Server {
    type Target = RegistryServer;

    fn deref(&self) -> &RegistryServer {
        &self.inner
    }
}

impl Server {
    /// A registry without TLS and credentials.
    pub(crate) fn start() -> Self {
        Self::configured("", "")
    }

    /// A registry with more lines below `http:` and at the end of its configuration.
    pub(crate) fn configured(http: &str, rest: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let inner = RegistryServer::configured(http, rest);
        Self {
            address: inner.address().to_owned(),
            inner,
        }
    }

    pub(crate) async fn repository(&self, name: &str) -> Repository {
        repository(&self.address, name).await
    }
}

/// Limits that let a test fail soon, and chunks that make several of a small layer.
pub(crate) fn tuning() -> RegistryTuning {
    RegistryTuning {
        attempts: 4,
        first_delay: Duration::from_millis(20),
        chunk: 64 << 10,
        ..RegistryTuning::default()
    }
}

pub(crate) fn plain() -> RegistryTrust {
    RegistryTrust {
        plain_http: true,
        ..RegistryTrust::default()
    }
}

/// A registry that needs no credentials, with the limits above.
pub(crate) async fn registry(address: &str) -> Registry {
    let endpoint = RegistryEndpoint::parse(&format!("http://{address}"), plain()).unwrap();
    Registry::connect_tuned(&endpoint, RegistryCredentials::Anonymous, tuning())
        .await
        .unwrap()
}

pub(crate) async fn repository(address: &str, name: &str) -> Repository {
    registry(address).await.repository(name).unwrap()
}
