//! The HTTP client below a registry's: certificates, proxies, relays and redirects.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};
use url::Url;

use super::endpoint::RegistryEndpoint;
use super::failure::{PlainRedirect, RegistryTuning};
use crate::ImagesError;

const USER_AGENT: &str = concat!("openshifter/", env!("CARGO_PKG_VERSION"));

/// An address without its query, which may be as good as a password.
pub(super) fn bare(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// The client for an endpoint: whom it trusts, where it may be led, and through what.
pub(super) fn client(
    endpoint: &RegistryEndpoint,
    tuning: RegistryTuning,
) -> Result<Client, ImagesError> {
    let fail = |reason: String| ImagesError::BadRegistry {
        text: endpoint.name.clone(),
        reason,
    };
    let plain_http = endpoint.trust.plain_http;
    let relayed = endpoint
        .relay
        .and_then(|_| endpoint.base.host_str().map(str::to_owned));
    let builder = || {
        let relayed = relayed.clone();
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(tuning.connect_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            .tls_danger_accept_invalid_certs(endpoint.trust.insecure)
            // What is sent again, and when, is decided here alone.
            .retry(reqwest::retry::never())
            .redirect(Policy::custom(move |attempt| {
                let safe = relayed.is_some() && attempt.url().host_str() == relayed.as_deref();
                if attempt.url().scheme() == "http" && !plain_http && !safe {
                    let url = bare(attempt.url());
                    attempt.error(PlainRedirect(url))
                } else if attempt.previous().len() > 5 {
                    attempt.stop()
                } else {
                    attempt.follow()
                }
            }));
        if endpoint.is_on_this_machine() {
            builder = builder.no_proxy();
        }
        if let (Some(relay), Some(host)) = (endpoint.relay, endpoint.base.host_str()) {
            builder = builder.resolve(host, relay);
        }
        builder
    };
    let Some(pem) = &endpoint.trust.ca_pem else {
        return builder()
            .build()
            .map_err(|error| fail(crate::words::chain(&error)));
    };
    let certificates = Certificate::from_pem_bundle(pem)
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| fail("its CA certificate cannot be read: it is no PEM".to_owned()))?;
    // Blobs may be served from elsewhere (an object store), under the system's roots; a machine without any has to do
    // with ours.
    builder()
        .tls_certs_merge(certificates.clone())
        .build()
        .or_else(|_| builder().tls_certs_only(certificates).build())
        .map_err(|error| fail(crate::words::chain(&error)))
}
