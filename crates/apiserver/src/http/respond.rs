//! Answers, in the representation that was asked for.

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use futures::stream::BoxStream;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::error::ApiError;

pub(crate) type Response = http::Response<Body>;

/// What is offered, in the words of a 406.
pub(crate) const AVAILABLE: &str =
    "application/json, application/yaml, application/json;stream=watch";

/// How objects are to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As they are.
    Object,
    /// As a table for people.
    Table,
    /// Their metadata alone.
    Metadata,
    /// Discovery of all groups at once.
    Aggregated,
}

/// What a client accepts.
#[derive(Debug, Clone)]
pub(crate) struct Accept {
    pub(crate) shape: Shape,
    pub(crate) yaml: bool,
    /// Whether anything that it accepts is offered.
    pub(crate) possible: bool,
}

/// Reads the `Accept` header: the first that is offered is taken.
pub(crate) fn accepted(headers: &HeaderMap) -> Accept {
    let fallback = Accept {
        shape: Shape::Object,
        yaml: false,
        possible: true,
    };
    let text: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|value| !value.is_empty())
        .collect();
    if text.is_empty() {
        return fallback;
    }
    for media in &text {
        let mut parts = media.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let params: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
        let param = |wanted: &str| {
            params
                .iter()
                .find(|(name, _)| *name == wanted)
                .map(|(_, value)| *value)
        };
        let yaml = match name {
            "application/json" | "*/*" | "application/*" => false,
            "application/yaml" => true,
            _ => continue,
        };
        let shape = match (param("as"), param("g"), param("v")) {
            (None, _, _) => Shape::Object,
            (Some("Table"), Some("meta.k8s.io"), Some("v1")) => Shape::Table,
            (
                Some("PartialObjectMetadata" | "PartialObjectMetadataList"),
                Some("meta.k8s.io"),
                Some("v1"),
            ) => Shape::Metadata,
            (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2")) => {
                Shape::Aggregated
            }
            _ => continue,
        };
        return Accept {
            shape,
            yaml,
            possible: true,
        };
    }
    Accept {
        possible: false,
        ..fallback
    }
}

/// An answer before it is put into bytes.
pub(crate) enum Answer {
    /// A JSON document.
    Json {
        status: StatusCode,
        body: Value,
        warnings: Vec<String>,
        content_type: Option<&'static str>,
    },
    /// Lines of JSON for as long as it lasts.
    Stream(BoxStream<'static, Value>),
    /// Anything else.
    Raw(Response),
}

impl Answer {
    pub(crate) fn json(body: Value) -> Self {
        Self::with_status(StatusCode::OK, body)
    }

    pub(crate) fn created(body: Value) -> Self {
        Self::with_status(StatusCode::CREATED, body)
    }

    pub(crate) fn with_status(status: StatusCode, body: Value) -> Self {
        Self::Json {
            status,
            body,
            warnings: Vec::new(),
            content_type: None,
        }
    }

    pub(crate) fn warn(mut self, more: Vec<String>) -> Self {
        if let Self::Json { warnings, .. } = &mut self {
            warnings.extend(more);
        }
        self
    }

    pub(crate) fn text(body: &'static str) -> Self {
        Self::Raw(plain(StatusCode::OK, body))
    }

    pub(crate) fn into_response(self, accept: &Accept) -> Response {
        match self {
            Self::Raw(response) => response,
            Self::Json {
                status,
                body,
                warnings,
                content_type,
            } => {
                let mut response = if accept.yaml {
                    match serde_saphyr::to_string(&body) {
                        Ok(text) => document(status, "application/yaml", text.into_bytes()),
                        Err(error) => refuse(&ApiError::internal(error.to_string())),
                    }
                } else {
                    let mut bytes = body.to_string().into_bytes();
                    bytes.push(b'\n');
                    document(status, content_type.unwrap_or("application/json"), bytes)
                };
                for warning in warnings {
                    let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
                    if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
                        response.headers_mut().append(header::WARNING, value);
                    }
                }
                response
            }
            Self::Stream(stream) => {
                use futures::StreamExt as _;
                let lines = stream.map(|value| {
                    let mut bytes = value.to_string().into_bytes();
                    bytes.push(b'\n');
                    Ok::<_, Infallible>(Bytes::from(bytes))
                });
                let mut response = http::Response::new(Body::from_stream(lines));
                let headers = response.headers_mut();
                headers.insert(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("application/json"),
                );
                common(headers);
                response
            }
        }
    }
}

fn common(headers: &mut HeaderMap) {
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        headers.insert("audit-id", id);
    }
}

fn document(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = http::Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    common(headers);
    response
}

/// An answer in plain text.
pub(crate) fn plain(status: StatusCode, body: impl Into<String>) -> Response {
    document(
        status,
        "text/plain; charset=utf-8",
        body.into().into_bytes(),
    )
}

/// A refusal.
pub(crate) fn refuse(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if error.is_plain() {
        return plain(status, error.message());
    }
    let mut bytes = error.status().to_string().into_bytes();
    bytes.push(b'\n');
    let mut response = document(status, "application/json", bytes);
    if let Some(seconds) = error.retry_after() {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A success without an object, as deletions answer.
pub(crate) fn success(details: Value) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &'static str) -> Option<Shape> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(text));
        let accept = accepted(&headers);
        accept.possible.then_some(accept.shape)
    }

    #[test]
    fn the_first_offered_is_taken() {
        assert_eq!(
            shape("application/json;as=Table;v=v1;g=meta.k8s.io,application/json"),
            Some(Shape::Table)
        );
        assert_eq!(
            shape("application/vnd.kubernetes.protobuf,application/json"),
            Some(Shape::Object)
        );
        assert_eq!(
            shape("application/json;as=Table;v=v1beta1;g=meta.k8s.io, application/json"),
            Some(Shape::Object)
        );
        assert_eq!(shape("text/csv"), None);
        assert_eq!(shape("*/*"), Some(Shape::Object));
    }
}
