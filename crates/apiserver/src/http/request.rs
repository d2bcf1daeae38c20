//! What a request's path, query and body say.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;

use super::respond::Accept;
use crate::catalogue::{Catalogue, ResourceType};
use crate::error::{ApiError, Cause};

/// The largest body that is read, as on genuine servers.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// What a request wants to do with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }
}

/// What a path names.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) kind: Arc<ResourceType>,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

/// Whether a path below `/api/` or `/apis/` names no resource.
pub(crate) fn is_discovery(path: &str) -> bool {
    let parts = path.trim_matches('/').split('/').count();
    if path.starts_with("/apis/") {
        parts <= 3
    } else {
        parts <= 2
    }
}

/// Reads a path that names a resource.
pub(crate) fn target(catalogue: &Catalogue, path: &str) -> Result<Target, ApiError> {
    let parts: Vec<String> = path
        .trim_matches('/')
        .split('/')
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return Err(ApiError::no_such_path()),
    };
    if !catalogue.has_group(group, Some(version)) {
        return Err(ApiError::no_such_path());
    }
    let find = |plural: &str| {
        catalogue
            .find(group, version, plural)
            .ok_or_else(ApiError::no_such_resource)
    };
    let owned = |text: &&str| (*text).to_owned();
    let (kind, namespace, rest) = match rest {
        ["namespaces"] | ["namespaces", _] | ["namespaces", _, "status" | "finalize"]
            if group.is_empty() =>
        {
            (find("namespaces")?, None, &rest[1..])
        }
        ["namespaces", namespace, plural, rest @ ..] => {
            let kind = find(plural)?;
            if !kind.namespaced {
                return Err(ApiError::no_such_resource());
            }
            (kind, Some(owned(namespace)), rest)
        }
        [plural, rest @ ..] => (find(plural)?, None, rest),
        [] => return Err(ApiError::no_such_path()),
    };
    let (name, subresource) = match rest {
        [] => (None, None),
        [name] => (Some(owned(name)), None),
        [name, subresource] => (Some(owned(name)), Some(owned(subresource))),
        // A webhook's secret and its kind follow.
        [name, subresource @ "webhooks", _, _] => (Some(owned(name)), Some(owned(subresource))),
        _ => return Err(ApiError::no_such_resource()),
    };
    if kind.namespaced && namespace.is_none() && name.is_some() {
        return Err(ApiError::no_such_resource());
    }
    if let Some(subresource) = &subresource
        && !kind.has_subresource(subresource)
    {
        return Err(ApiError::no_such_resource());
    }
    Ok(Target {
        kind,
        namespace,
        name,
        subresource,
    })
}

impl Target {
    /// What a request wants to do here.
    pub(crate) fn verb(&self, request: &Request<Body>) -> Result<Verb, ApiError> {
        let named = self.name.is_some();
        let watching = query(request.uri().query())
            .get("watch")
            .is_some_and(|value| value != "false" && value != "0");
        let stream = matches!(self.subresource.as_deref(), Some("exec" | "portforward"));
        Ok(match *request.method() {
            Method::GET if stream => Verb::Create,
            Method::GET if named && !watching => Verb::Get,
            Method::GET if watching => Verb::Watch,
            Method::GET => Verb::List,
            Method::POST => Verb::Create,
            Method::PUT if named => Verb::Update,
            Method::PATCH if named => Verb::Patch,
            Method::DELETE if named => Verb::Delete,
            Method::DELETE => Verb::DeleteCollection,
            _ => return Err(ApiError::method_not_allowed()),
        })
    }

    /// Refuses what the resource does not offer.
    pub(crate) fn require_offered(&self, verb: Verb) -> Result<(), ApiError> {
        let offered = match self.subresource.as_deref() {
            Some("status" | "scale") => matches!(verb, Verb::Get | Verb::Update | Verb::Patch),
            Some("log" | "layers" | "secrets") => verb == Verb::Get,
            Some("finalize" | "details") => verb == Verb::Update,
            Some(_) => verb == Verb::Create,
            None => {
                let right_place = match verb {
                    Verb::Create => {
                        self.name.is_none() && (self.namespace.is_some() || !self.kind.namespaced)
                    }
                    // Deleting a kind's objects in all namespaces at once is not offered.
                    Verb::DeleteCollection => self.namespace.is_some() || !self.kind.namespaced,
                    _ => true,
                };
                right_place && self.kind.can(verb.name())
            }
        };
        if offered {
            Ok(())
        } else {
            Err(ApiError::method_not_allowed())
        }
    }

    /// The namespace in which access is asked for: a project and a namespace are in themselves.
    pub(crate) fn access_namespace(&self) -> Option<&str> {
        if matches!(self.kind.plural.as_str(), "namespaces" | "projects") {
            self.name.as_deref()
        } else {
            self.namespace.as_deref()
        }
    }

    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// The same place for another resource.
    pub(crate) fn with_kind(&self, kind: Arc<ResourceType>) -> Self {
        Self {
            kind,
            ..self.clone()
        }
    }
}

/// The parameters of a query; the first of each name.
pub(crate) fn query(text: Option<&str>) -> HashMap<String, String> {
    let mut all = HashMap::new();
    for (name, value) in url::form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
        all.entry(name.into_owned()).or_insert(value.into_owned());
    }
    all
}

/// A request with its body.
pub(crate) struct Parts {
    pub(crate) headers: HeaderMap,
    pub(crate) query: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
    pub(crate) accept: Accept,
    pub(crate) method: Method,
}

impl Parts {
    pub(crate) async fn read(request: Request<Body>, accept: Accept) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, BODY_LIMIT)
            .collect()
            .await
            .map_err(|error| {
                if error.is::<LengthLimitError>() {
                    ApiError::too_large(BODY_LIMIT)
                } else {
                    ApiError::bad_request(format!("cannot read the body: {error}"))
                }
            })?
            .to_bytes();
        Ok(Self {
            query: query(parts.uri.query()),
            headers: parts.headers,
            body: body.to_vec(),
            accept,
            method: parts.method,
        })
    }

    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.query
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.param(name)
            .is_some_and(|value| value == "true" || value == "1")
    }

    /// Media type of the body, without parameters.
    pub(crate) fn content_type(&self) -> String {
        self.headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .map(|value| value.trim().to_ascii_lowercase())
            .unwrap_or_default()
    }

    /// Whether nothing is to be written; `options` is the kind of options in the refusal.
    pub(crate) fn dry_run(&self, options: &str) -> Result<bool, ApiError> {
        match self.query.get("dryRun").map(String::as_str) {
            None | Some("") => Ok(false),
            Some("All") => Ok(true),
            Some(other) => Err(ApiError::invalid(
                "meta.k8s.io",
                options,
                "",
                &[Cause::unsupported(
                    "dryRun",
                    &serde_json::json!([other]),
                    &["All"],
                )],
            )),
        }
    }

    /// Name of the field manager: what the request says, else the program that sends it.
    pub(crate) fn manager(&self) -> String {
        if let Some(manager) = self.param("fieldManager") {
            return manager.to_owned();
        }
        self.headers
            .get(header::USER_AGENT)
            .and_then(|value| value.to_str().ok())
            .and_then(|agent| agent.split('/').next())
            .filter(|agent| !agent.is_empty())
            .unwrap_or("unknown")
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = (String, Option<String>, Option<String>, Option<String>);

    fn read(path: &str) -> Result<Read, u16> {
        target(&Catalogue::new(true), path)
            .map(|target| {
                (
                    target.kind.plural.clone(),
                    target.namespace,
                    target.name,
                    target.subresource,
                )
            })
            .map_err(|error| error.code())
    }

    #[test]
    fn paths_name_resources() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            read("/api/v1/namespaces/shop/pods/a/exec"),
            Ok(("pods".to_owned(), some("shop"), some("a"), some("exec")))
        );
        assert_eq!(
            read("/api/v1/namespaces/shop"),
            Ok(("namespaces".to_owned(), None, some("shop"), None))
        );
        assert_eq!(
            read("/apis/image.openshift.io/v1/namespaces/shop/imagestreamtags/tools%3A1"),
            Ok((
                "imagestreamtags".to_owned(),
                some("shop"),
                some("tools:1"),
                None
            ))
        );
        assert_eq!(read("/apis/apps/v1/namespaces/shop/widgets"), Err(404));
        assert_eq!(read("/api/v1/pods/a"), Err(404));
        assert_eq!(read("/api/v1/namespaces/shop/nodes"), Err(404));
        assert!(is_discovery("/apis/apps/v1") && is_discovery("/api/v1"));
        assert!(!is_discovery("/api/v1/pods"));
    }
}
