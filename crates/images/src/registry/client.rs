//! Requests to a registry: sent with the right credentials, again where that may help, and their answers judged.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::{Client, Response};
use tokio::sync::Mutex;
use tokio::time::timeout;
use url::Url;

use super::auth::{Auth, Next, RegistryCredentials, Renew};
use super::connector::{bare, client};
use super::endpoint::RegistryEndpoint;
use super::failure::{Attempts, Failure, RegistryTuning, refusal, transport};
use super::repository::Repository;
use crate::reference::is_repository;
use crate::{Digest, ImagesError, InternalRegistries};

/// Longest answer that is read when it is neither a manifest nor a blob.
const ANSWER: usize = 1 << 20;

/// A registry, cheap to clone. All methods may be called concurrently.
#[derive(Clone)]
pub struct Registry(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) name: String,
    base: Url,
    http: Client,
    plain_http: bool,
    relayed: bool,
    cluster: Option<String>,
    auth: Auth,
    pub(super) tuning: RegistryTuning,
    /// Where blobs were seen or put by us: what can be mounted instead of sent.
    pub(super) places: Mutex<HashMap<Digest, String>>,
    /// One writer for each blob: whoever comes second finds it there, or mounts it.
    pub(super) locks: Mutex<HashMap<Digest, Arc<Mutex<()>>>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("name", &self.0.name)
            .field("base", &self.0.base.as_str())
            .finish_non_exhaustive()
    }
}

/// A request whose body is in memory.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// What it does, in words: `read the manifest of …`.
    pub(super) action: String,
    pub(super) scope: String,
    pub(super) limit: Duration,
}

impl Ask {
    pub(super) fn header(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        if let Ok(value) = HeaderValue::from_str(&value.into()) {
            self.headers.insert(name, value);
        }
        self
    }
}

impl Registry {
    /// Connects: finds out how the registry authenticates, and proves the credentials, if there are any.
    ///
    /// # Errors
    /// When it cannot be reached, its certificate is not trusted, it has no TLS and `plain_http` was not allowed, it
    /// refuses the credentials, or is no registry.
    pub async fn connect(
        endpoint: &RegistryEndpoint,
        credentials: RegistryCredentials,
    ) -> Result<Self, ImagesError> {
        Self::connect_tuned(endpoint, credentials, RegistryTuning::default()).await
    }

    /// [`Registry::connect`] with other limits.
    ///
    /// # Errors
    /// As [`Registry::connect`].
    pub async fn connect_tuned(
        endpoint: &RegistryEndpoint,
        credentials: RegistryCredentials,
        tuning: RegistryTuning,
    ) -> Result<Self, ImagesError> {
        Self::connect_renewing(endpoint, credentials, tuning, None).await
    }

    /// [`Registry::connect_tuned`], with a way to another password when that of the credentials ends.
    pub(crate) async fn connect_renewing(
        endpoint: &RegistryEndpoint,
        credentials: RegistryCredentials,
        tuning: RegistryTuning,
        renew: Option<Renew>,
    ) -> Result<Self, ImagesError> {
        let http = client(endpoint, tuning)?;
        let with_base = |base: Url, credentials| {
            Self(Arc::new(Inner {
                name: endpoint.name.clone(),
                base,
                http: http.clone(),
                plain_http: endpoint.trust.plain_http,
                relayed: endpoint.relay.is_some(),
                cluster: endpoint.cluster.clone(),
                auth: Auth::new(credentials, renew.clone()),
                tuning,
                places: Mutex::default(),
                locks: Mutex::default(),
            }))
        };
        let secure = with_base(endpoint.base.clone(), credentials.clone());
        match secure.ping().await {
            Err(ImagesError::PlainHttp { .. })
                if (endpoint.trust.plain_http || endpoint.relay.is_some())
                    && !endpoint.scheme_given =>
            {
                let mut base = endpoint.base.clone();
                if base.set_scheme("http").is_err() {
                    return Err(ImagesError::BadRegistry {
                        text: endpoint.name.clone(),
                        reason: "it cannot be reached by http".to_owned(),
                    });
                }
                let plain = with_base(base, credentials);
                plain.ping().await?;
                Ok(plain)
            }
            Err(error) => Err(error),
            Ok(()) => Ok(secure),
        }
    }

    /// Host and port, as messages name it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// One of its repositories: `shop/web`.
    ///
    /// # Errors
    /// When the name cannot be one.
    pub fn repository(&self, name: &str) -> Result<Repository, ImagesError> {
        if !is_repository(name) {
            return Err(ImagesError::BadReference {
                text: crate::words::shortened(name, 200),
                reason: "a repository may hold lower-case letters, digits, and single `.`, `_`, `-` and `/` between them"
                    .to_owned(),
            });
        }
        Ok(Repository {
            registry: self.clone(),
            name: name.to_owned(),
        })
    }

    /// Whether this is the same registry, perhaps with other credentials or by another way.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let of_one_cluster = self.0.cluster.is_some() && self.0.cluster == other.0.cluster;
        of_one_cluster || self.0.base == other.0.base
    }

    async fn ping(&self) -> Result<(), ImagesError> {
        let action = "ask whether it is a registry".to_owned();
        let ask = self.ask(Method::GET, self.at("v2/")?, action.clone(), String::new());
        let mut attempts = Attempts::new(RegistryTuning {
            attempts: self.0.tuning.attempts.min(3),
            ..self.0.tuning
        });
        loop {
            let failure = match self.once(&ask, None).await {
                Ok(response) if response.status() == StatusCode::UNAUTHORIZED => {
                    self.0.auth.refused("", response.headers(), None).await;
                    break;
                }
                Ok(response) if response.status().is_success() => break,
                Ok(response) if response.status() == StatusCode::NOT_FOUND => {
                    return Err(self.bad_answer(&action, "there is no registry at this address"));
                }
                Ok(response) => self.refusal(&action, response).await,
                Err(failure) => failure,
            };
            attempts.pause(failure).await?;
        }
        if !self.0.auth.has_credentials() {
            return Ok(());
        }
        match self.send(&ask).await {
            // Some token servers give none without a scope.
            Ok(_)
            | Err(
                ImagesError::Refused { .. }
                | ImagesError::BadAnswer { .. }
                | ImagesError::Denied { .. },
            ) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn at(&self, path: &str) -> Result<Url, ImagesError> {
        self.0
            .base
            .join(path)
            .map_err(|error| self.bad_answer("make an address", &error.to_string()))
    }

    pub(super) fn ask(&self, method: Method, url: Url, action: String, scope: String) -> Ask {
        Ask {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            action,
            scope,
            limit: self.0.tuning.answer_timeout,
        }
    }

    /// An address that the registry gave us, made usable: relative ones are completed, and behind a relay the
    /// registry's own name is replaced.
    pub(super) fn follow(&self, action: &str, from: &Url, text: &str) -> Result<Url, ImagesError> {
        let mut url = from.join(text).map_err(|error| {
            self.bad_answer(action, &format!("it names no usable address: {error}"))
        })?;
        let ours = |url: &Url| {
            url.host() == self.0.base.host()
                || InternalRegistries::default().is_internal(&match url.port() {
                    Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
                    None => url.host_str().unwrap_or_default().to_owned(),
                })
        };
        if self.0.relayed && ours(&url) {
            let base = &self.0.base;
            let replaced = url.set_scheme(base.scheme()).is_ok()
                && url.set_host(base.host_str()).is_ok()
                && url.set_port(base.port()).is_ok();
            if !replaced {
                return Err(self.bad_answer(action, "it names no usable address"));
            }
        }
        // A relay is as safe as the connection that it goes through.
        let relayed = self.0.relayed && url.origin() == self.0.base.origin();
        if url.scheme() == "http" && !self.0.plain_http && !relayed {
            return Err(ImagesError::PlainHttp {
                registry: self.0.name.clone(),
                url: bare(&url),
            });
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(self.bad_answer(action, "it names no usable address"));
        }
        Ok(url)
    }

    /// Sends a request, again where that may help. The answer is one of success.
    pub(super) async fn send(&self, ask: &Ask) -> Result<Response, ImagesError> {
        let mut attempts = Attempts::new(self.0.tuning);
        loop {
            match self.try_send(ask).await {
                Ok(response) => return Ok(response),
                Err(failure) => attempts.pause(failure).await?,
            }
        }
    }

    /// One attempt, with a second one when the registry wants other credentials.
    pub(super) async fn try_send(&self, ask: &Ask) -> Result<Response, Failure> {
        for last in [false, true] {
            let header = self.authorization(&ask.scope, &ask.action).await?;
            let response = self.once(ask, header.as_ref()).await?;
            if response.status().is_success() {
                return Ok(response);
            }
            let again = response.status() == StatusCode::UNAUTHORIZED
                && self
                    .0
                    .auth
                    .refused(&ask.scope, response.headers(), header.as_ref())
                    .await;
            if last || !again {
                return Err(self.refusal(&ask.action, response).await);
            }
        }
        // Unreachable: the second turn returns.
        Err(Failure::last(self.bad_answer(&ask.action, "it never ends")))
    }

    /// The header for requests of a scope; a token is fetched where one is wanted.
    pub(super) async fn authorization(
        &self,
        scope: &str,
        action: &str,
    ) -> Result<Option<HeaderValue>, Failure> {
        let (realm, service) = match self.0.auth.next(scope).await {
            Next::Send(header) => return Ok(header),
            Next::Fetch { realm, service } => (realm, service),
        };
        let mut url = self
            .follow(action, &self.0.base, &realm)
            .map_err(Failure::last)?;
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = &service {
                query.append_pair("service", service);
            }
            for one in scope.split(' ').filter(|one| !one.is_empty()) {
                query.append_pair("scope", one);
            }
            if let Some(account) = self.0.auth.account() {
                query.append_pair("account", &account);
            }
        }
        let action = format!("get a token to {action}");
        let mut ask = self.ask(Method::GET, url, action.clone(), String::new());
        ask.limit = self.0.tuning.answer_timeout;
        let basic = self.0.auth.basic();
        let mut response = self.execute(&ask, basic.as_ref(), true).await?;
        if response.status() == StatusCode::UNAUTHORIZED && self.0.auth.renew(basic.as_ref()).await
        {
            let other = self.0.auth.basic();
            response = self.execute(&ask, other.as_ref(), true).await?;
        }
        if !response.status().is_success() {
            return Err(self.refusal(&action, response).await);
        }
        let body = self.collect(&action, response, ANSWER).await?;
        match self.0.auth.keep(scope, &body).await {
            Some(header) => Ok(Some(header)),
            None => Err(Failure::last(self.bad_answer(&action, "it holds no token"))),
        }
    }

    /// Takes note of a 401 on a request that was sent by other means.
    pub(super) async fn refused(
        &self,
        scope: &str,
        headers: &HeaderMap,
        sent: Option<&HeaderValue>,
    ) -> bool {
        self.0.auth.refused(scope, headers, sent).await
    }

    async fn once(
        &self,
        ask: &Ask,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, Failure> {
        self.execute(ask, authorization, false).await
    }

    async fn execute(
        &self,
        ask: &Ask,
        authorization: Option<&HeaderValue>,
        anywhere: bool,
    ) -> Result<Response, Failure> {
        let mut request =
            self.request(ask.method.clone(), ask.url.clone(), authorization, anywhere);
        *request.headers_mut() = {
            let mut headers = ask.headers.clone();
            headers.extend(std::mem::take(request.headers_mut()));
            headers
        };
        if !ask.body.is_empty() || matches!(ask.method, Method::POST | Method::PUT | Method::PATCH)
        {
            // Some registries want to see the length of nothing, too.
            request
                .headers_mut()
                .insert(header::CONTENT_LENGTH, HeaderValue::from(ask.body.len()));
            *request.body_mut() = Some(ask.body.clone().into());
        }
        match timeout(ask.limit, self.0.http.execute(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(transport(&self.0.name, &ask.action, &error)),
            Err(_) => Err(Failure::passing(self.silent(&ask.action, ask.limit))),
        }
    }

    /// A request with credentials, unless it goes to another host than the registry's.
    pub(super) fn request(
        &self,
        method: Method,
        url: Url,
        authorization: Option<&HeaderValue>,
        anywhere: bool,
    ) -> reqwest::Request {
        let ours = url.origin() == self.0.base.origin();
        let mut request = reqwest::Request::new(method, url);
        if let Some(value) = authorization.filter(|_| ours || anywhere) {
            request
                .headers_mut()
                .insert(header::AUTHORIZATION, value.clone());
        }
        request
    }

    pub(super) fn http(&self) -> &Client {
        &self.0.http
    }

    /// The error that an answer is, its words included.
    pub(super) async fn refusal(&self, action: &str, response: Response) -> Failure {
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_redirection() {
            return Failure::last(
                self.bad_answer(action, "it redirects too often, or without an address"),
            );
        }
        let body = self
            .collect(action, response, 64 << 10)
            .await
            .unwrap_or_default();
        refusal(
            &self.0.name,
            action,
            self.0.auth.has_credentials(),
            status,
            &headers,
            &body,
        )
    }

    /// The whole body of an answer, which has to be short.
    pub(super) async fn collect(
        &self,
        action: &str,
        mut response: Response,
        limit: usize,
    ) -> Result<Bytes, Failure> {
        let mut whole = BytesMut::new();
        loop {
            match timeout(self.0.tuning.idle_timeout, response.chunk()).await {
                Ok(Ok(Some(bytes))) => {
                    if whole.len() + bytes.len() > limit {
                        return Err(Failure::last(
                            self.bad_answer(action, &format!("it is longer than {limit} bytes")),
                        ));
                    }
                    whole.extend_from_slice(&bytes);
                }
                Ok(Ok(None)) => return Ok(whole.freeze()),
                Ok(Err(error)) => return Err(transport(&self.0.name, action, &error)),
                Err(_) => {
                    return Err(Failure::passing(
                        self.silent(action, self.0.tuning.idle_timeout),
                    ));
                }
            }
        }
    }

    pub(super) fn silent(&self, action: &str, limit: Duration) -> ImagesError {
        ImagesError::Lost {
            registry: self.0.name.clone(),
            action: action.to_owned(),
            reason: format!("nothing came for {} s", limit.as_secs_f32()),
        }
    }

    pub(super) fn bad_answer(&self, action: &str, reason: &str) -> ImagesError {
        ImagesError::BadAnswer {
            registry: self.0.name.clone(),
            action: action.to_owned(),
            reason: reason.to_owned(),
        }
    }
}
