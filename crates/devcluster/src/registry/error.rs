//! Refusals in the words of the distribution protocol.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::answer::{Answer, bytes_body};

/// A refusal: status, code of the protocol, and a message for people.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    code: &'static str,
    message: String,
    detail: Value,
    /// Headers that say what to do about it.
    pub(super) headers: Vec<(header::HeaderName, String)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            detail: Value::Null,
            headers: Vec::new(),
        }
    }

    pub(super) fn detail(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }

    pub(super) fn header(mut self, name: header::HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn name_invalid(name: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "NAME_INVALID",
            "invalid repository name",
        )
        .detail(json!(format!("{name:?} is not of the form project/name")))
    }

    pub(super) fn name_unknown(name: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NAME_UNKNOWN",
            "repository name not known to registry",
        )
        .detail(json!({ "name": name }))
    }

    pub(super) fn blob_unknown(digest: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "BLOB_UNKNOWN",
            "blob unknown to registry",
        )
        .detail(json!(digest))
    }

    pub(super) fn manifest_unknown(reference: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "MANIFEST_UNKNOWN",
            "manifest unknown",
        )
        .detail(json!(reference))
    }

    pub(super) fn manifest_invalid(why: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "MANIFEST_INVALID",
            "manifest invalid",
        )
        .detail(json!(why.into()))
    }

    pub(super) fn digest_invalid(why: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "DIGEST_INVALID",
            "provided digest did not match uploaded content",
        )
        .detail(json!(why.into()))
    }

    pub(super) fn upload_unknown() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "BLOB_UPLOAD_UNKNOWN",
            "blob upload unknown to registry",
        )
    }

    pub(super) fn upload_invalid(why: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "BLOB_UPLOAD_INVALID",
            "blob upload invalid",
        )
        .detail(json!(why.into()))
    }

    pub(super) fn unsupported() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "UNSUPPORTED",
            "The operation is unsupported.",
        )
    }

    /// Somebody unknown, or who may not. The challenge says what to try.
    pub(super) fn unauthorized(challenge: String) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "UNAUTHORIZED",
            "authentication required",
        )
        .header(header::WWW_AUTHENTICATE, challenge)
    }

    pub(super) fn denied(why: impl Into<String>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "DENIED",
            "requested access to the resource is denied",
        )
        .detail(json!(why.into()))
    }

    pub(super) fn internal(why: &dyn std::fmt::Display) -> Self {
        tracing::warn!(error = %why, "the registry failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "UNKNOWN",
            "unknown error",
        )
        .detail(json!(why.to_string()))
    }

    pub(super) fn answer(self) -> Answer {
        let body = json!({
            "errors": [{"code": self.code, "message": self.message, "detail": self.detail}],
        });
        let mut answer = Response::new(bytes_body(Bytes::from(format!("{body}\n"))));
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        answer
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        // A full disk is the one that a client can be told about.
        if error.kind() == std::io::ErrorKind::StorageFull {
            return Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "UNKNOWN",
                "the registry's disk is full",
            );
        }
        Self::internal(&error)
    }
}

impl From<openshifter_apiserver::ApiError> for Refusal {
    fn from(error: openshifter_apiserver::ApiError) -> Self {
        match error.code() {
            403 => Self::denied(error.message()),
            404 => Self::name_unknown(error.message()),
            _ => Self::internal(&error.message()),
        }
    }
}
