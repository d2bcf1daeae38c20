//! The HTTP stack below `kube::Client`: HTTP/2 where the server has it, no logging of requests, no hidden retries;
//! and what a failed connection means.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Request, Uri, header};
use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::client::legacy::{Builder, Error as HyperUtilError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, ConfigExt};
use kube::{Client, Config};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use secrecy::{ExposeSecret, SecretString};
use tower::{BoxError, Service, ServiceBuilder};
use tower_http::decompression::DecompressionLayer;
use url::Url;

use crate::access::host_of;
use crate::proxy::{environment, proxy_for};
use crate::session::Session;
use crate::upload::{RequestBody, with_streamed_body};
use crate::{Access, ClusterError, Credentials, Trust};

/// What our requests call themselves.
const USER_AGENT: &str = concat!("openshifter/", env!("CARGO_PKG_VERSION"));

/// Bytes of one answer that may be under way at once: lists are large, and wide networks slow to acknowledge.
const WINDOW: u32 = 4 << 20;

/// Clients for one host.
#[derive(Clone)]
pub(crate) struct Clients {
    /// For everything but upgrades: HTTP/2 where served.
    pub(crate) plain: Client,
    /// For WebSocket upgrades, which HTTP/2 of API servers does not have.
    pub(crate) upgrade: Client,
}

/// The configuration for a cluster's API; of a login, all but its token.
pub(crate) fn api_config(access: &Access) -> Result<Config, ClusterError> {
    let fail = |what, reason: String| ClusterError::BadCredentials {
        cluster: access.name.clone(),
        what,
        reason,
    };
    let mut config = match &access.credentials {
        Credentials::Kubeconfig(config) => config.as_ref().clone(),
        _ => new_config(&access.base)?,
    };
    if let Some(pem) = &access.trust.ca_pem {
        config.root_cert =
            Some(certificates(pem).map_err(|reason| fail("the CA certificate", reason))?);
        config.root_cert_file = None;
        config.accept_invalid_certs = false;
    }
    if access.trust.insecure {
        config.accept_invalid_certs = true;
    }
    match &access.credentials {
        Credentials::Token(token) => config.auth_info.token = Some(trimmed(token)),
        Credentials::ClientCertificate { cert_pem, key_pem } => {
            certificates(cert_pem).map_err(|reason| fail("the client certificate", reason))?;
            let key = key_pem.expose_secret();
            PrivateKeyDer::from_pem_slice(key.as_bytes())
                .map_err(|error| fail("the key of the client certificate", error.to_string()))?;
            config.auth_info.client_certificate_data = Some(STANDARD.encode(cert_pem));
            config.auth_info.client_key_data = Some(STANDARD.encode(key).into());
        }
        Credentials::Password { .. } | Credentials::Kubeconfig(_) => {}
    }
    Ok(config)
}

/// What is believed of a cluster: what was said, else what its kubeconfig says.
pub(crate) fn believed(said: &Trust, config: &Config) -> Trust {
    let mut trust = said.clone();
    trust.insecure |= config.accept_invalid_certs;
    if trust.ca_pem.is_none()
        && let Some(known) = &config.root_cert
    {
        let mut pem = String::new();
        for certificate in known {
            pem.push_str("-----BEGIN CERTIFICATE-----\n");
            for line in STANDARD.encode(certificate).as_bytes().chunks(64) {
                pem.push_str(&String::from_utf8_lossy(line));
                pem.push('\n');
            }
            pem.push_str("-----END CERTIFICATE-----\n");
        }
        trust.ca_pem = Some(pem.into_bytes());
    }
    trust
}

/// A configuration for another host without credentials, such as the OAuth server.
pub(crate) fn bare_config(
    cluster: &str,
    base: &Url,
    ca_pem: Option<&[u8]>,
    insecure: bool,
) -> Result<Config, ClusterError> {
    let mut config = new_config(base)?;
    config.accept_invalid_certs = insecure;
    if let Some(pem) = ca_pem {
        config.root_cert =
            Some(
                certificates(pem).map_err(|reason| ClusterError::BadCredentials {
                    cluster: cluster.to_owned(),
                    what: "the CA certificate of the OAuth host",
                    reason,
                })?,
            );
    }
    Ok(config)
}

/// Builds both clients, which send the present token of the session if there is one. Credential plugins run here, so
/// this may take a while.
pub(crate) async fn clients(
    cluster: &str,
    config: Config,
    connect_timeout: Duration,
    session: Option<Arc<Session>>,
) -> Result<Clients, ClusterError> {
    let name = cluster.to_owned();
    let fail = move |error: kube::Error| ClusterError::BadCredentials {
        cluster: name.clone(),
        what: "what was given to connect with",
        reason: match error {
            // Its text shows the proxy's address, which may hold a password.
            kube::Error::ProxyProtocolUnsupported { .. }
            | kube::Error::ProxyProtocolDisabled { .. } => {
                "the proxy is neither http nor https".into()
            }
            error => chain(&error),
        },
    };
    // Plugins are started synchronously by kube: away from the threads that serve everybody.
    let handle = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let _runtime = handle.enter();
        Ok(Clients {
            plain: client(&config, connect_timeout, true, session.clone()).map_err(&fail)?,
            upgrade: client(&config, connect_timeout, false, session).map_err(&fail)?,
        })
    })
    .await
    .map_err(|error| ClusterError::BadCredentials {
        cluster: cluster.to_owned(),
        what: "what was given to connect with",
        reason: error.to_string(),
    })?
}

fn client(
    config: &Config,
    connect_timeout: Duration,
    http2: bool,
    session: Option<Arc<Session>>,
) -> Result<Client, kube::Error> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(connect_timeout));
    connector.set_keepalive(Some(Duration::from_secs(30)));
    let Some(proxy) = &config.proxy_url else {
        return stack(config, connector, http2, session);
    };
    // Behind a proxy HTTP/1.1 has to do.
    match proxy.scheme_str() {
        Some("http") => stack(config, tunnel(proxy, connector), false, session),
        Some("https") => {
            let connector = config.rustls_https_connector_with_connector(connector)?;
            stack(config, tunnel(proxy, connector), false, session)
        }
        _ => Err(kube::Error::ProxyProtocolUnsupported {
            proxy_url: Box::new(proxy.clone()),
        }),
    }
}

/// A way through a proxy, with the user and password of its address.
fn tunnel<C>(proxy: &Uri, connector: C) -> Tunnel<C> {
    let tunnel = Tunnel::new(proxy.clone(), connector);
    let user = proxy
        .authority()
        .and_then(|authority| authority.as_str().rsplit_once('@'));
    let value = user.and_then(|(user, _)| {
        let user: Vec<u8> = percent_encoding::percent_decode_str(user).collect();
        let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(user))).ok()?;
        value.set_sensitive(true);
        Some(value)
    });
    match value {
        Some(value) => tunnel.with_auth(value),
        None => tunnel,
    }
}

/// Everything above the connection.
fn stack<C>(
    config: &Config,
    connector: C,
    http2: bool,
    session: Option<Arc<Session>>,
) -> Result<Client, kube::Error>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Connection + Read + Write + Send + Unpin + 'static,
    C::Future: Send + 'static,
    C::Error: Into<BoxError>,
{
    let mut builder = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config.rustls_client_config()?)
        .https_or_http();
    if let Some(name) = config.tls_server_name.clone() {
        let name = ServerName::try_from(name)
            .map_err(|error| kube::Error::Service(BoxError::from(error)))?;
        builder =
            builder.with_server_name_resolver(hyper_rustls::FixedServerNameResolver::new(name));
    }
    let connector = if http2 {
        builder.enable_all_versions().wrap_connector(connector)
    } else {
        builder.enable_http1().wrap_connector(connector)
    };
    let service = Builder::new(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .http2_initial_stream_window_size(WINDOW)
        .http2_initial_connection_window_size(4 * WINDOW)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .http2_keep_alive_timeout(Duration::from_secs(20))
        .build::<_, RequestBody>(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(
            DecompressionLayer::new()
                .no_br()
                .no_deflate()
                .no_zstd()
                .gzip(!config.disable_compression && http2),
        )
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_request(move |mut request: Request<Body>| {
            if let Some(session) = &session {
                request
                    .headers_mut()
                    .insert(header::AUTHORIZATION, session.header());
            }
            request
                .headers_mut()
                .entry(header::USER_AGENT)
                .or_insert(HeaderValue::from_static(USER_AGENT));
            with_streamed_body(request)
        })
        .map_err(BoxError::from)
        .service(service);
    Ok(Client::new(service, config.default_namespace.clone()))
}

/// What kind of failure an error of the HTTP stack is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The certificate was not believed.
    Untrusted(String),
    /// The server did not take our certificate.
    Refused,
    /// There was no connection: nothing was sent.
    Unreachable(String),
    /// Something broke after the request may have been sent.
    Lost(String),
}

/// Reads an error of the HTTP stack.
pub(crate) fn broken(error: &kube::Error) -> Broken {
    let mut connect = false;
    let mut last: Option<String> = None;
    let mut next: Option<&(dyn StdError + 'static)> = Some(match error {
        kube::Error::Service(inner) => inner.as_ref(),
        other => other,
    });
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<HyperUtilError>() {
            connect |= error.is_connect();
        }
        if let Some(error) = error.downcast_ref::<kube::client::AuthError>() {
            return Broken::Unreachable(error.to_string());
        }
        if let Some(rustls::Error::InvalidCertificate(error)) = error.downcast_ref() {
            return Broken::Untrusted(certificate_text(error));
        }
        last = Some(error.to_string());
        // The error within an `io::Error` is not its source but itself.
        next = match error.downcast_ref::<std::io::Error>() {
            Some(io) if io.get_ref().is_some() => {
                io.get_ref().map(|inner| inner as &(dyn StdError + 'static))
            }
            _ => error.source(),
        };
    }
    let reason = last.unwrap_or_else(|| error.to_string());
    if refuses_us(&reason) {
        return Broken::Refused;
    }
    if connect {
        Broken::Unreachable(reason)
    } else {
        Broken::Lost(reason)
    }
}

/// Whether a server says by a TLS alert that it does not take our client certificate. HTTP/2 hands on only the text.
fn refuses_us(reason: &str) -> bool {
    use rustls::AlertDescription as A;
    [
        A::BadCertificate,
        A::UnsupportedCertificate,
        A::CertificateRevoked,
        A::CertificateExpired,
        A::CertificateUnknown,
        A::UnknownCA,
        A::AccessDenied,
        A::DecryptError,
        A::CertificateRequired,
    ]
    .into_iter()
    .any(|alert| reason == rustls::Error::AlertReceived(alert).to_string())
}

fn certificate_text(error: &rustls::CertificateError) -> String {
    use rustls::CertificateError as E;
    match error {
        // A key that does not fit belongs to another authority of the same name.
        E::UnknownIssuer | E::BadSignature => "it is signed by an unknown authority".into(),
        E::Expired | E::ExpiredContext { .. } => "it has expired".into(),
        E::NotValidYet | E::NotValidYetContext { .. } => "it is not valid yet".into(),
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            "it is made out to another name".into()
        }
        other => other.to_string(),
    }
}

/// An error and its sources, each text once.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = error.source();
    }
    text
}

/// The error for a connection that did not come about, or `None` when it broke later.
pub(crate) fn connection_error(
    cluster: &str,
    base: &Url,
    oauth: bool,
    broken: &Broken,
) -> Option<ClusterError> {
    match broken {
        Broken::Untrusted(reason) => Some(ClusterError::UntrustedCertificate {
            cluster: cluster.to_owned(),
            host: host_of(base),
            oauth,
            reason: reason.clone(),
        }),
        Broken::Unreachable(reason) => Some(ClusterError::Unreachable {
            cluster: cluster.to_owned(),
            host: host_of(base),
            reason: reason.clone(),
        }),
        Broken::Lost(_) | Broken::Refused => None,
    }
}

fn new_config(base: &Url) -> Result<Config, ClusterError> {
    let mut config = Config::new(uri(base)?);
    config.proxy_url = proxy_for(base, environment);
    Ok(config)
}

fn uri(base: &Url) -> Result<http::Uri, ClusterError> {
    base.as_str()
        .parse()
        .map_err(|error: http::uri::InvalidUri| ClusterError::BadBase {
            text: base.to_string(),
            reason: error.to_string(),
        })
}

fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .map(|certificate| certificate.map(|certificate| certificate.as_ref().to_vec()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("there is no PEM certificate in it".into());
    }
    Ok(certificates)
}

/// A token as it was meant: files and clipboards end in a newline.
fn trimmed(token: &SecretString) -> SecretString {
    token.expose_secret().trim().to_owned().into()
}
