//! One request to the API: built, sent in bounded time, repeated where that is safe.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use kube::client::Body;
use openshifter_objects::ResourceType;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use crate::answer::{Answer, api_error};
use crate::retry::{Attempts, Failure, Policy, Repeat};
use crate::session::Session;
use crate::transport::{Broken, Clients, broken, connection_error};
use crate::{ClusterError, Tuning};

/// What a path segment may hold as it is (RFC 3986 `pchar`).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// A request, before it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path below the base, encoded.
    pub(crate) path: String,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) headers: Vec<(header::HeaderName, &'static str)>,
    pub(crate) body: Bytes,
    /// What it does, in words: `get Service/web in namespace shop`.
    pub(crate) action: String,
    pub(crate) repeat: Repeat,
}

impl Call {
    /// A read.
    pub(crate) fn get(path: impl Into<String>, action: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            action: action.into(),
            repeat: Repeat::Harmless,
        }
    }

    /// A request with a JSON body, which is not repeated once the server may have acted.
    pub(crate) fn with_body(
        method: Method,
        path: impl Into<String>,
        body: &Value,
        action: impl Into<String>,
    ) -> Self {
        Self {
            method,
            headers: vec![(header::CONTENT_TYPE, "application/json")],
            body: Bytes::from(body.to_string()),
            repeat: Repeat::OnlyIfUnsent,
            ..Self::get(path, action)
        }
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(crate) fn header(mut self, name: header::HeaderName, value: &'static str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
        self
    }

    pub(crate) fn harmless(mut self) -> Self {
        self.repeat = Repeat::Harmless;
        self
    }

    /// Path and query, as the request line holds them.
    pub(crate) fn target(&self) -> String {
        if self.query.is_empty() {
            return self.path.clone();
        }
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.query {
            query.append_pair(name, value);
        }
        format!("{}?{}", self.path, query.finish())
    }

    pub(crate) fn request(&self) -> Result<Request<Body>, http::Error> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(self.target());
        for (name, value) in &self.headers {
            request = request.header(name, *value);
        }
        if !self.headers.iter().any(|(name, _)| *name == header::ACCEPT) {
            request = request.header(header::ACCEPT, "application/json");
        }
        request.body(Body::from(self.body.clone()))
    }
}

/// One name as a path segment.
///
/// # Errors
/// When the name is empty or a dot segment: it would name another path.
pub(crate) fn segment(name: &str, what: &'static str) -> Result<String, ClusterError> {
    if name.is_empty() || name == "." || name == ".." {
        return Err(ClusterError::BadName {
            name: name.to_owned(),
            what,
        });
    }
    Ok(utf8_percent_encode(name, SEGMENT).to_string())
}

/// The path of a collection or an object, its names encoded so that they stay names.
pub(crate) fn path(
    resource: &ResourceType,
    namespace: Option<&str>,
    name: Option<&str>,
) -> Result<String, ClusterError> {
    let namespace = namespace
        .map(|namespace| segment(namespace, "a namespace"))
        .transpose()?;
    let name = name.map(|name| segment(name, "an object")).transpose()?;
    Ok(resource.path(namespace.as_deref(), name.as_deref()))
}

/// ` in namespace shop`, or nothing.
pub(crate) fn place(namespace: Option<&str>) -> String {
    namespace
        .map(|namespace| format!(" in namespace {namespace}"))
        .unwrap_or_default()
}

/// The way to one host.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) cluster: String,
    pub(crate) base: Url,
    pub(crate) oauth: bool,
    pub(crate) clients: Clients,
    pub(crate) tuning: Tuning,
    /// The start of a sentence about our credentials.
    pub(crate) credentials: &'static str,
    /// Whether they worked before.
    pub(crate) proven: bool,
    /// The login that they came from.
    pub(crate) session: Option<Arc<Session>>,
}

impl Link {
    fn policy(&self) -> Policy {
        Policy {
            attempts: self.tuning.attempts.max(1),
            total: self.tuning.retry_for,
            ..Policy::default()
        }
    }

    /// The attempts of a request that begins now.
    pub(crate) fn attempts(&self) -> Attempts {
        Attempts::new(self.policy()).with_login(self.session.as_ref())
    }

    /// Sends a request, again where that is safe, and takes the answer whole.
    pub(crate) async fn call(&self, call: &Call) -> Result<Answer, ClusterError> {
        let mut attempts = self.attempts();
        loop {
            match self.once(call).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => attempts.pause(failure, call.repeat).await?,
            }
        }
    }

    /// Sends a request once.
    pub(crate) async fn once(&self, call: &Call) -> Result<Answer, Failure> {
        let response = self.send(call).await?;
        let (parts, body) = response.into_parts();
        let body = self.collect(call, body).await?;
        for warning in parts.headers.get_all(header::WARNING) {
            tracing::debug!(cluster = self.cluster, action = call.action, warning = ?warning, "the server warns");
        }
        if parts.status.is_success() {
            return Ok(Answer {
                cluster: self.cluster.clone(),
                action: call.action.clone(),
                headers: parts.headers,
                body,
            });
        }
        Err(self.refusal(call, parts.status, &parts.headers, &body))
    }

    /// Sends a request and returns as soon as the answer's head is there, whatever its status.
    pub(crate) async fn send(&self, call: &Call) -> Result<Response<Body>, Failure> {
        let request = call.request().map_err(|error| {
            Failure::Final(ClusterError::BadAnswer {
                cluster: self.cluster.clone(),
                action: call.action.clone(),
                reason: error.to_string(),
            })
        })?;
        let limit = self.tuning.answer_timeout;
        match timeout(limit, self.clients.plain.send(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(self.failed(call, &error)),
            Err(_) => Err(self.silent(call, limit)),
        }
    }

    async fn collect(&self, call: &Call, mut body: Body) -> Result<Bytes, Failure> {
        let limit = self.tuning.idle_timeout;
        let mut whole = BytesMut::new();
        loop {
            match timeout(limit, body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    if let Some(data) = frame.data_ref() {
                        whole.extend_from_slice(data);
                    }
                }
                Ok(Some(Err(error))) => return Err(self.failed(call, &error)),
                Ok(None) => return Ok(whole.freeze()),
                Err(_) => return Err(self.silent(call, limit)),
            }
        }
    }

    /// A failure of the connection, sorted.
    pub(crate) fn failed(&self, call: &Call, error: &kube::Error) -> Failure {
        let broken = broken(error);
        if broken == Broken::Refused {
            return Failure::Final(self.unauthorized());
        }
        match connection_error(&self.cluster, &self.base, self.oauth, &broken) {
            Some(error @ ClusterError::UntrustedCertificate { .. }) => Failure::Final(error),
            Some(error) => Failure::NotDone(error),
            None => {
                let reason = match broken {
                    Broken::Lost(reason)
                    | Broken::Unreachable(reason)
                    | Broken::Untrusted(reason) => reason,
                    Broken::Refused => String::new(),
                };
                Failure::Unknown(self.no_answer(call, reason))
            }
        }
    }

    fn unauthorized(&self) -> ClusterError {
        ClusterError::Unauthorized {
            cluster: self.cluster.clone(),
            credentials: self.credentials,
            worked_before: self.proven,
        }
    }

    fn silent(&self, call: &Call, limit: Duration) -> Failure {
        Failure::Unknown(
            self.no_answer(call, format!("nothing came for {} s", limit.as_secs_f32())),
        )
    }

    fn no_answer(&self, call: &Call, reason: String) -> ClusterError {
        ClusterError::NoAnswer {
            cluster: self.cluster.clone(),
            action: call.action.clone(),
            reason,
        }
    }

    /// What an answer other than 2xx means.
    pub(crate) fn refusal(
        &self,
        call: &Call,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Failure {
        let error = api_error(&self.cluster, &call.action, status, headers, body);
        match status.as_u16() {
            401 => Failure::Final(self.unauthorized()),
            403 if error
                .causes
                .iter()
                .any(|cause| cause == "NamespaceTerminating") =>
            {
                match namespace_of(&call.path) {
                    Some(namespace) => Failure::Final(ClusterError::NamespaceTerminating {
                        cluster: self.cluster.clone(),
                        namespace,
                    }),
                    None => Failure::Final(ClusterError::Api(Box::new(error))),
                }
            }
            403 if error.message.contains("\"system:anonymous\"") => {
                Failure::Final(ClusterError::Anonymous {
                    cluster: self.cluster.clone(),
                })
            }
            429 => Failure::NotDone(ClusterError::Api(Box::new(error))),
            500 | 502 | 503 | 504 => Failure::Unknown(ClusterError::Api(Box::new(error))),
            _ => Failure::Final(ClusterError::Api(Box::new(error))),
        }
    }
}

fn namespace_of(path: &str) -> Option<String> {
    let rest = path.split_once("/namespaces/")?.1;
    rest.split('/').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_names_in_a_path() {
        let resource = ResourceType {
            group: "rbac.authorization.k8s.io".into(),
            version: "v1".into(),
            kind: "Role".into(),
            plural: "roles".into(),
            namespaced: true,
            verbs: Vec::new(),
        };
        let path = |name| path(&resource, Some("shop"), Some(name));
        let prefix = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles";
        assert_eq!(
            path("system:deployers").unwrap(),
            format!("{prefix}/system:deployers")
        );
        assert_eq!(
            path("../../secrets/x?y#z").unwrap(),
            format!("{prefix}/..%2F..%2Fsecrets%2Fx%3Fy%23z")
        );
        for name in ["", ".", ".."] {
            assert!(matches!(path(name), Err(ClusterError::BadName { .. })));
        }
    }

    proptest::proptest! {
        /// Names come from charts that anybody may have written.
        #[test]
        fn any_name_is_one_segment(name in ".{1,40}") {
            proptest::prop_assume!(name != "." && name != "..");
            let encoded = segment(&name, "an object").unwrap();
            let url = Url::parse(&format!("https://h/api/{encoded}/status?x")).unwrap();
            let segments: Vec<_> = url.path_segments().unwrap().collect();
            proptest::prop_assert_eq!(segments.len(), 3);
            let decoded = percent_encoding::percent_decode_str(segments[1]).decode_utf8().unwrap();
            proptest::prop_assert_eq!(decoded, name);
        }
    }

    #[test]
    fn queries_are_encoded() {
        let call = Call::get("/api/v1/pods", "list pods")
            .query("labelSelector", "a in (b,c)&x")
            .query("limit", "5");
        assert_eq!(
            call.target(),
            "/api/v1/pods?labelSelector=a+in+%28b%2Cc%29%26x&limit=5"
        );
    }
}
