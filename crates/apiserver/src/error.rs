//! What the server answers when it refuses: a `Status`, as every Kubernetes client reads it.

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::catalogue::ResourceType;

/// A refusal, in the form and words of a genuine server.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    code: u16,
    reason: &'static str,
    message: String,
    details: Option<Value>,
    continue_token: Option<String>,
    plain: bool,
}

/// One cause of a 422: which field, which sort of mistake, and the words.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    reason: &'static str,
    message: String,
    field: String,
}

impl Cause {
    /// A value that may not be what it is.
    pub fn invalid(field: impl Into<String>, value: &Value, why: impl AsRef<str>) -> Self {
        Self {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {value}: {}", why.as_ref()),
            field: field.into(),
        }
    }

    /// A field that has to be there.
    pub fn required(field: impl Into<String>, why: &str) -> Self {
        let message = if why.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {why}")
        };
        Self {
            reason: "FieldValueRequired",
            message,
            field: field.into(),
        }
    }

    /// A field that may not be set or changed.
    pub fn forbidden(field: impl Into<String>, why: impl AsRef<str>) -> Self {
        Self {
            reason: "FieldValueForbidden",
            message: format!("Forbidden: {}", why.as_ref()),
            field: field.into(),
        }
    }

    /// A value outside a closed set.
    pub fn unsupported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let supported: Vec<String> = supported.iter().map(|one| format!("{one:?}")).collect();
        Self {
            reason: "FieldValueNotSupported",
            message: format!(
                "Unsupported value: {value}: supported values: {}",
                supported.join(", ")
            ),
            field: field.into(),
        }
    }

    /// A value that is there twice.
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self::verbatim(
            "FieldValueDuplicate",
            field,
            format!("Duplicate value: {value}"),
        )
    }

    /// A name that refers to nothing.
    pub fn not_found(field: impl Into<String>, value: &Value) -> Self {
        Self::verbatim("FieldValueNotFound", field, format!("Not found: {value}"))
    }

    /// Words that fit no other form.
    pub(crate) fn verbatim(
        reason: &'static str,
        field: impl Into<String>,
        message: String,
    ) -> Self {
        Self {
            reason,
            message,
            field: field.into(),
        }
    }

    /// A value of another JSON type than the field has.
    pub fn type_invalid(field: impl Into<String>, value: &Value, why: impl AsRef<str>) -> Self {
        Self {
            reason: "FieldValueTypeInvalid",
            message: format!("Invalid value: {value}: {}", why.as_ref()),
            field: field.into(),
        }
    }
}

impl ApiError {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: code.as_u16(),
            reason,
            message: message.into(),
            details: None,
            continue_token: None,
            plain: false,
        }
    }

    fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// HTTP status code.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// Reason, as in `AlreadyExists`; empty where genuine servers give none.
    pub fn reason(&self) -> &str {
        self.reason
    }

    /// The words.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the body is the bare message as `text/plain` and no `Status`.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    /// Seconds after which a client may try again.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.details
            .as_ref()
            .and_then(|details| details["retryAfterSeconds"].as_u64())
    }

    /// The `Status` object.
    pub fn status(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(token) = &self.continue_token {
            metadata.insert("continue".to_owned(), json!(token));
        }
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": self.message,
            "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status
    }

    /// 404: no such object.
    pub fn not_found(resource: &ResourceType, name: &str) -> Self {
        Self::not_found_named(&resource.group, &resource.plural, name)
    }

    /// 404 for a resource known by its names alone.
    pub fn not_found_named(group: &str, plural: &str, name: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            format!("{} {name:?} not found", qualified(group, plural)),
        )
        .with_details(details(group, plural, name))
    }

    /// 404: no such resource in this group and version.
    pub fn no_such_resource() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            "the server could not find the requested resource",
        )
        .with_details(json!({}))
    }

    /// 404 in plain text: no such path.
    pub fn no_such_path() -> Self {
        Self::plain(StatusCode::NOT_FOUND, "404 page not found\n")
    }

    /// An answer whose body is these words as `text/plain`.
    pub fn plain(code: StatusCode, message: impl Into<String>) -> Self {
        let mut error = Self::new(code, "", message);
        error.plain = true;
        error
    }

    /// 409: the name is taken.
    pub fn already_exists(resource: &ResourceType, name: &str) -> Self {
        Self::already_exists_named(&resource.group, &resource.plural, name, "", "")
    }

    /// 409 with words before and after it.
    pub(crate) fn already_exists_named(
        group: &str,
        plural: &str,
        name: &str,
        prefix: &str,
        suffix: &str,
    ) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "AlreadyExists",
            format!(
                "{prefix}{} {name:?} already exists{suffix}",
                qualified(group, plural)
            ),
        )
        .with_details(details(group, plural, name))
    }

    /// 409: somebody else was faster, or it is another object.
    pub fn conflict(group: &str, what: &str, name: &str, why: &str) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "Conflict",
            format!(
                "Operation cannot be fulfilled on {} {name:?}: {why}",
                qualified(group, what)
            ),
        )
        .with_details(details(group, what, name))
    }

    /// 409: an apply met fields that other managers own.
    pub(crate) fn apply_conflict(conflicts: &[(String, String)]) -> Self {
        let mut message = format!(
            "Apply failed with {} conflict{}: ",
            conflicts.len(),
            if conflicts.len() == 1 { "" } else { "s" }
        );
        let mut by_manager: Vec<(&str, Vec<&str>)> = Vec::new();
        for (manager, field) in conflicts {
            match by_manager.iter_mut().find(|(known, _)| known == manager) {
                Some((_, fields)) => fields.push(field),
                None => by_manager.push((manager, vec![field])),
            }
        }
        if let [(manager, fields)] = by_manager.as_slice() {
            if let [field] = fields.as_slice() {
                message.push_str(&format!("conflict with {manager}: {field}"));
            } else {
                message.push_str(&format!("conflicts with {manager}:"));
                for field in fields {
                    message.push_str(&format!("\n- {field}"));
                }
            }
        } else {
            for (index, (manager, fields)) in by_manager.iter().enumerate() {
                let lead = if index == 0 { "" } else { "\n" };
                message.push_str(&format!("{lead}conflicts with {manager}:"));
                for field in fields {
                    message.push_str(&format!("\n- {field}"));
                }
            }
        }
        let causes: Vec<Value> = conflicts
            .iter()
            .map(|(manager, field)| {
                json!({
                    "reason": "FieldManagerConflict",
                    "message": format!("conflict with {manager}"),
                    "field": field,
                })
            })
            .collect();
        Self::new(StatusCode::CONFLICT, "Conflict", message)
            .with_details(json!({ "causes": causes }))
    }

    /// 422 with its causes.
    pub fn invalid(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Self {
        let each: Vec<String> = causes
            .iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        let list = match each.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let causes: Vec<Value> = causes
            .iter()
            .map(|cause| {
                json!({"reason": cause.reason, "message": cause.message, "field": cause.field})
            })
            .collect();
        let mut about = details(group, kind, name);
        about["causes"] = json!(causes);
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Invalid",
            format!("{} {name:?} is invalid: {list}", qualified(group, kind)),
        )
        .with_details(about)
    }

    /// 422 without a word on what: a JSON patch whose test failed.
    pub(crate) fn unprocessable() -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Invalid",
            "the server rejected our request due to an error in our request",
        )
        .with_details(json!({}))
    }

    /// 422: what an object refers to is not there.
    pub(crate) fn unresolved(kind: &str, name: &str, message: String) -> Self {
        let cause = json!([{"message": message, "field": "from"}]);
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
            .with_details(json!({"kind": kind, "name": name, "causes": cause}))
    }

    /// 504: what was waited for did not come; the client may try again.
    pub(crate) fn timed_out(message: &str) -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "Timeout",
            format!("Timeout: {message}"),
        )
        .with_details(json!({"retryAfterSeconds": 1}))
    }

    /// 403 on a named object (or on a resource, when the name is empty).
    pub fn forbidden(group: &str, plural: &str, name: &str, why: impl AsRef<str>) -> Self {
        let subject = if name.is_empty() {
            qualified(group, plural)
        } else {
            format!("{} {name:?}", qualified(group, plural))
        };
        Self::new(
            StatusCode::FORBIDDEN,
            "Forbidden",
            format!("{subject} is forbidden: {}", why.as_ref()),
        )
        .with_details(details(group, plural, name))
    }

    /// 403 on a path that is no resource.
    pub(crate) fn forbidden_path(user: &str, path: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Forbidden",
            format!("forbidden: User {user:?} cannot get path {path:?}"),
        )
        .with_details(json!({}))
    }

    /// 403 with one cause.
    pub(crate) fn namespace_terminating(resource: &ResourceType, name: &str, ns: &str) -> Self {
        let mut error = Self::forbidden(
            &resource.group,
            &resource.plural,
            name,
            format!(
                "unable to create new content in namespace {ns} because it is being terminated"
            ),
        );
        if let Some(details) = &mut error.details {
            details["causes"] = json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {ns} is being terminated"),
                "field": "metadata.namespace",
            }]);
        }
        error
    }

    /// 401.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
        .with_details(json!({}))
    }

    /// 406.
    pub fn not_acceptable(available: &str) -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            "NotAcceptable",
            format!("406: Not Acceptable\n\nAvailable representations: {available}"),
        )
        .with_details(json!({}))
    }

    /// 413.
    pub fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            format!("Request entity too large: limit is {limit}"),
        )
    }

    /// 415 for a patch of an unknown type on a built-in kind.
    pub fn unsupported_media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            "415: Unsupported Media Type",
        )
        .with_details(json!({}))
    }

    /// 415 that lists what would be read.
    pub(crate) fn unsupported_media_types(accepted: &[&str]) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: {}",
                accepted.join(", ")
            ),
        )
    }

    /// 410: the revision is no longer kept.
    pub fn expired(message: impl Into<String>, continue_token: Option<String>) -> Self {
        let mut error = Self::new(StatusCode::GONE, "Expired", message);
        error.continue_token = continue_token;
        error
    }

    /// 504: a revision of the future.
    pub(crate) fn revision_too_large(wanted: u64, current: u64) -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "Timeout",
            format!("Timeout: Too large resource version: {wanted}, current: {current}"),
        )
        .with_details(json!({
            "causes": [{
                "reason": "ResourceVersionTooLarge",
                "message": "Too large resource version",
            }],
            "retryAfterSeconds": 1,
        }))
    }

    /// 500 with a `Status`.
    pub fn internal(message: impl Into<String>) -> Self {
        let message = message.into();
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            format!("Internal error occurred: {message}"),
        )
        .with_details(json!({"causes": [{"message": message}]}))
    }

    /// 500 as it comes out of a storage layer: words without a reason.
    pub(crate) fn unexplained(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "", message)
    }

    /// 501: genuine servers do this, the embedded one does not.
    pub fn not_implemented(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            "NotImplemented",
            format!("the embedded server does not implement {what}"),
        )
    }
}

fn qualified(group: &str, name: &str) -> String {
    if group.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{group}")
    }
}

fn details(group: &str, kind: &str, name: &str) -> Value {
    let mut details = Map::new();
    if !name.is_empty() {
        details.insert("name".to_owned(), json!(name));
    }
    if !group.is_empty() {
        details.insert("group".to_owned(), json!(group));
    }
    details.insert("kind".to_owned(), json!(kind));
    Value::Object(details)
}
