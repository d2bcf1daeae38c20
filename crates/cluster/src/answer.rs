//! Reads what an API server answers: a body, or a `Status` with the reason of a refusal.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use openshifter_objects::Object;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{ApiError, ClusterError};

/// Longest text of a server that goes into a message: proxies answer with whole web pages.
const LONGEST_MESSAGE: usize = 600;

/// A successful answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) cluster: String,
    pub(crate) action: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, ClusterError> {
        serde_json::from_slice(&self.body).map_err(|error| self.bad(error.to_string()))
    }

    pub(crate) fn value(&self) -> Result<Value, ClusterError> {
        self.json()
    }

    pub(crate) fn object(&self) -> Result<Object, ClusterError> {
        Object::from_value(self.value()?).map_err(|error| self.bad(error.to_string()))
    }

    pub(crate) fn bad(&self, reason: String) -> ClusterError {
        ClusterError::BadAnswer {
            cluster: self.cluster.clone(),
            action: self.action.clone(),
            reason,
        }
    }
}

/// The parts of a `Status` that matter, as servers of all ages send them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) message: String,
    pub(crate) reason: String,
    pub(crate) code: u16,
    pub(crate) details: Option<Details>,
}

/// `details` of a `Status`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Details {
    pub(crate) causes: Option<Vec<Cause>>,
    pub(crate) retry_after_seconds: Option<u64>,
}

/// One of `details.causes`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Cause {
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// The error that an answer other than 2xx is.
pub(crate) fn api_error(
    cluster: &str,
    action: &str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> ApiError {
    let parsed = serde_json::from_slice::<Status>(body)
        .ok()
        .filter(|status| status.kind == "Status" || !status.message.is_empty());
    let header_delay = headers
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.trim().parse().ok())
        .map(Duration::from_secs);
    match parsed {
        Some(parsed) => status_error(cluster, action, status.as_u16(), parsed, header_delay),
        None => ApiError {
            cluster: cluster.to_owned(),
            action: action.to_owned(),
            status: status.as_u16(),
            reason: None,
            message: plain_message(status, headers, body),
            causes: Vec::new(),
            retry_after: header_delay,
        },
    }
}

/// The error that a `Status` is, wherever it came from.
pub(crate) fn status_error(
    cluster: &str,
    action: &str,
    code: u16,
    status: Status,
    delay: Option<Duration>,
) -> ApiError {
    let details = status.details.unwrap_or_default();
    ApiError {
        cluster: cluster.to_owned(),
        action: action.to_owned(),
        status: code,
        reason: Some(status.reason).filter(|reason| !reason.is_empty()),
        message: shortened(&status.message),
        causes: details
            .causes
            .unwrap_or_default()
            .into_iter()
            .map(|cause| cause.reason)
            .filter(|reason| !reason.is_empty())
            .collect(),
        retry_after: delay.or_else(|| details.retry_after_seconds.map(Duration::from_secs)),
    }
}

fn plain_message(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> String {
    let html = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("text/html"));
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if html || text.is_empty() {
        return status
            .canonical_reason()
            .unwrap_or("no message")
            .to_lowercase();
    }
    shortened(text)
}

/// One line of bounded length.
pub(crate) fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, headers: &[(header::HeaderName, &str)], body: &str) -> ApiError {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect();
        api_error(
            "prod",
            "create ConfigMap/late in namespace dying",
            StatusCode::from_u16(status).unwrap(),
            &headers,
            body.as_bytes(),
        )
    }

    #[test]
    fn a_status_is_read_with_its_causes() {
        let error = error(
            403,
            &[],
            r#"{"kind":"Status","status":"Failure","message":"configmaps \"late\" is forbidden: unable to create new content","reason":"Forbidden","details":{"causes":[{"reason":"NamespaceTerminating","message":"m"}],"retryAfterSeconds":3},"code":403}"#,
        );
        assert_eq!(error.causes, ["NamespaceTerminating"]);
        assert_eq!(error.retry_after, Some(Duration::from_secs(3)));
        insta::assert_snapshot!(error.to_string(), @r#"prod: cannot create ConfigMap/late in namespace dying: configmaps "late" is forbidden: unable to create new content (403 Forbidden)"#);
    }

    #[test]
    fn plain_text_and_web_pages_make_one_line() {
        let html = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
        insta::assert_snapshot!([
            error(500, &[], "container not found (\"a\")").to_string(),
            error(503, &html, "<html><body>\n<h1>503</h1></body></html>").to_string(),
            error(404, &[], "404 page not found\n").to_string(),
            error(500, &[], r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"resourceVersion should not be set on objects to be created","code":500}"#).to_string(),
        ].join("\n"), @r#"
    prod: cannot create ConfigMap/late in namespace dying: container not found ("a") (500)
    prod: cannot create ConfigMap/late in namespace dying: service unavailable (503)
    prod: cannot create ConfigMap/late in namespace dying: 404 page not found (404)
    prod: cannot create ConfigMap/late in namespace dying: resourceVersion should not be set on objects to be created (500)
    "#);
    }

    #[test]
    fn the_header_says_how_long_to_wait() {
        let error = error(429, &[(header::RETRY_AFTER, "2")], "Too many requests");
        assert_eq!(error.retry_after, Some(Duration::from_secs(2)));
    }
}
