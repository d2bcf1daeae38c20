//! Lists: selections, pages, and lists of the past.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::request::{Parts, Target};
use super::respond::{Answer, Shape};
use super::{App, Call, convert, handlers, table};
use crate::catalogue::ResourceType;
use crate::error::ApiError;
use crate::selector::{FieldSelector, LabelSelector};
use crate::state::Key;

/// Which objects a request is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selection {
    pub(crate) fn read(kind: &ResourceType, parts: &Parts) -> Result<Self, ApiError> {
        Ok(Self {
            labels: LabelSelector::parse(parts.param("labelSelector").unwrap_or_default())?,
            fields: FieldSelector::parse(kind, parts.param("fieldSelector").unwrap_or_default())?,
        })
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.labels.matches(object) && self.fields.matches(object)
    }

    fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

/// Where the next page begins: a revision (none: whatever is there then) and the key before it.
#[derive(Debug, PartialEq, Eq)]
struct Continue {
    revision: Option<u64>,
    after: Key,
}

impl Continue {
    fn encode(&self, namespaced_path: bool) -> String {
        let (namespace, name) = &self.after;
        let start = if namespaced_path || namespace.is_empty() {
            format!("/{name}\0")
        } else {
            format!("/{namespace}/{name}\0")
        };
        let revision = self
            .revision
            .and_then(|revision| i64::try_from(revision).ok())
            .unwrap_or(-1);
        let start = if revision < 0 {
            start.trim_start_matches('/').to_owned()
        } else {
            start
        };
        let token = format!(
            r#"{{"v":"meta.k8s.io/v1","rv":{revision},"start":{}}}"#,
            json!(start)
        );
        URL_SAFE_NO_PAD.encode(token)
    }

    fn decode(token: &str, namespace: Option<&str>) -> Result<Self, ApiError> {
        let invalid = |why: &str| {
            ApiError::bad_request(format!(
                "invalid continue token: continue key is not valid: {why}"
            ))
        };
        let bytes = URL_SAFE_NO_PAD
            .decode(token.trim_end_matches('='))
            .map_err(|error| invalid(&error.to_string()))?;
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|_| invalid("invalid character looking for beginning of value"))?;
        if value["v"] != "meta.k8s.io/v1" {
            return Err(invalid("server does not recognize this encoded version"));
        }
        let revision = value["rv"]
            .as_i64()
            .ok_or_else(|| invalid("it has no revision"))?;
        let start = value["start"]
            .as_str()
            .ok_or_else(|| invalid("it has no start"))?
            .trim_start_matches('/')
            .trim_end_matches('\0');
        let after = match (namespace, start.split_once('/')) {
            (Some(namespace), _) => (namespace.to_owned(), start.to_owned()),
            (None, Some((namespace, name))) => (namespace.to_owned(), name.to_owned()),
            (None, None) => (String::new(), start.to_owned()),
        };
        Ok(Self {
            revision: u64::try_from(revision).ok(),
            after,
        })
    }
}

pub(crate) fn list(app: &App, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let parts = &call.request;
    let kind = &target.kind;
    let selection = Selection::read(kind, parts)?;
    let namespace = target.namespace();
    let storage = kind.storage();
    let asked = parts
        .param("resourceVersion")
        .map(|text| {
            text.parse::<u64>()
                .map_err(|_| ApiError::bad_request(format!("invalid resourceVersion {text:?}")))
        })
        .transpose()?;
    let limit = parts
        .param("limit")
        .and_then(|limit| limit.parse::<usize>().ok())
        // A list from the cache ("any revision") comes whole.
        .filter(|limit| *limit > 0 && asked != Some(0))
        .unwrap_or(usize::MAX);
    let state = app.store.state();
    let current = state.revision();
    let exact = parts.param("resourceVersionMatch") == Some("Exact");
    if let Some(asked) = asked
        && asked > current
    {
        return Err(ApiError::revision_too_large(asked, current));
    }
    let from = parts
        .param("continue")
        .map(|token| Continue::decode(token, namespace))
        .transpose()?;
    let revision = match (&from, asked) {
        (Some(from), _) => from.revision.unwrap_or(current),
        (None, Some(asked)) if exact => asked,
        _ => current,
    };
    let objects = state
        .list_at(&storage, namespace, revision)
        .ok_or_else(|| match &from {
            Some(from) => {
                let again = Continue {
                    revision: None,
                    after: from.after.clone(),
                };
                ApiError::expired(EXPIRED_PAGE, Some(again.encode(namespace.is_some())))
            }
            None => ApiError::expired(
                "The resourceVersion for the provided list is too old.",
                None,
            ),
        })?;
    drop(state);
    let mut rest = objects
        .into_iter()
        .filter(|(key, _)| from.as_ref().is_none_or(|from| *key > from.after))
        .filter(|(_, object)| selection.matches(object));
    let page: Vec<(Key, Arc<Value>)> = rest.by_ref().take(limit).collect();
    let remaining = rest.count();
    let mut metadata = json!({ "resourceVersion": revision.to_string() });
    if remaining > 0
        && let Some((last, _)) = page.last()
    {
        let next = Continue {
            revision: Some(revision),
            after: last.clone(),
        };
        metadata["continue"] = json!(next.encode(namespace.is_some()));
        if selection.is_empty() {
            metadata["remainingItemCount"] = json!(remaining);
        }
    }
    let items = page
        .into_iter()
        .map(|(_, object)| Value::clone(&object))
        .collect();
    Ok(Answer::json(document(app, call, kind, items, metadata)))
}

const EXPIRED_PAGE: &str = "The provided continue parameter is too old to display a consistent list result. You can \
    start a new list without the continue parameter, or use the continue token in this response to retrieve the \
    remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were \
    created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// A list in the shape that was asked for.
pub(crate) fn document(
    _app: &App,
    call: &Call,
    kind: &ResourceType,
    items: Vec<Value>,
    metadata: Value,
) -> Value {
    let items: Vec<Value> = items
        .iter()
        .map(|object| convert::outgoing(kind, object))
        .collect();
    match call.request.accept.shape {
        Shape::Table => table::table(kind, &items, metadata, call.request.param("includeObject")),
        Shape::Metadata => json!({
            "kind": "PartialObjectMetadataList",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "items": items.iter().map(handlers::partial).collect::<Vec<_>>(),
        }),
        Shape::Object | Shape::Aggregated => {
            let items: Vec<Value> = items
                .into_iter()
                .map(|mut object| {
                    // Items of built-in kinds do not repeat their type; custom resources do.
                    if kind.custom.is_none()
                        && let Some(map) = object.as_object_mut()
                    {
                        map.remove("kind");
                        map.remove("apiVersion");
                    }
                    object
                })
                .collect();
            json!({
                "kind": kind.list_kind(),
                "apiVersion": kind.api_version(),
                "metadata": metadata,
                "items": items,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let one = Continue {
            revision: Some(3357),
            after: ("other-ns".to_owned(), "page-02".to_owned()),
        };
        let token = one.encode(true);
        // As a genuine server wrote it.
        assert_eq!(
            token,
            "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MzM1Nywic3RhcnQiOiIvcGFnZS0wMlx1MDAwMCJ9"
        );
        assert_eq!(Continue::decode(&token, Some("other-ns")).unwrap(), one);
        let all = Continue::decode(&one.encode(false), None).unwrap();
        assert_eq!(all, one);
        assert_eq!(Continue::decode("garbage", None).unwrap_err().code(), 400);
    }
}
