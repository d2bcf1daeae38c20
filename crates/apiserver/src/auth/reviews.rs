//! Questions about access: who am I, may I, what may I.

use serde_json::{Value, json};

use super::{authenticate, rbac};
use crate::error::ApiError;
use crate::http::request::{Target, Verb};
use crate::http::respond::Answer;
use crate::http::{App, Call, body};
use crate::identity::UserInfo;
use crate::metadata;

/// A user as reviews and requesters show it.
pub(crate) fn user_info(user: &UserInfo) -> Value {
    let mut info = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        info["uid"] = json!(user.uid);
    }
    if user.oauth {
        info["extra"] = json!({"scopes.authorization.openshift.io": ["user:full"]});
    }
    info
}

/// Answers a review; none if the target is none.
pub(crate) fn handle(
    app: &App,
    call: &Call,
    target: &Target,
    verb: Verb,
) -> Result<Option<Answer>, ApiError> {
    let kind = &target.kind;
    if verb != Verb::Create
        || !matches!(
            kind.group.as_str(),
            "authentication.k8s.io" | "authorization.k8s.io"
        )
    {
        return Ok(None);
    }
    let mut review = body::object(kind, &call.request)?.object;
    review["apiVersion"] = json!(kind.api_version());
    review["kind"] = json!(kind.kind);
    review["metadata"] = json!({});
    let state = app.store.state();
    match kind.plural.as_str() {
        "selfsubjectreviews" => {
            review["metadata"]["creationTimestamp"] = json!(metadata::now());
            review["status"] = json!({"userInfo": user_info(&call.user)});
        }
        "tokenreviews" => {
            drop(state);
            let token = review["spec"]["token"].as_str().unwrap_or_default();
            review["status"] = match authenticate::bearer(&app.store, &app.signer, token) {
                Some(user) => json!({"authenticated": true, "user": user_info(&user)}),
                None => {
                    json!({"authenticated": false, "error": "the token is unknown or has expired"})
                }
            };
        }
        "selfsubjectrulesreviews" => {
            let namespace = review["spec"]["namespace"].as_str().unwrap_or_default();
            let rules = rbac::rules(&state, &call.user, namespace);
            review["spec"] = json!({});
            review["status"] = json!({
                "resourceRules": rules,
                "nonResourceRules": [{
                    "verbs": ["get"],
                    "nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/", "/api", "/api/*",
                        "/apis", "/apis/*", "/openapi", "/openapi/*", "/.well-known", "/.well-known/*"],
                }],
                "incomplete": false,
            });
        }
        name => {
            let user = if name == "selfsubjectaccessreviews" {
                call.user.clone()
            } else {
                let texts = |value: &Value| {
                    value
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_str)
                        .map(str::to_owned)
                        .collect()
                };
                UserInfo {
                    name: review["spec"]["user"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned(),
                    uid: String::new(),
                    groups: texts(&review["spec"]["groups"]),
                    oauth: false,
                }
            };
            let about = &review["spec"]["resourceAttributes"];
            let text = |field: &str| about[field].as_str().unwrap_or_default();
            let optional = |field: &str| about[field].as_str().filter(|text| !text.is_empty());
            let allowed = rbac::allowed(
                &state,
                &user,
                &rbac::Attributes {
                    verb: text("verb"),
                    group: text("group"),
                    resource: text("resource"),
                    subresource: optional("subresource"),
                    namespace: optional("namespace"),
                    name: optional("name"),
                },
            );
            let mut status = json!({"allowed": allowed.is_some()});
            if let Some(reason) = allowed.filter(|reason| !reason.is_empty()) {
                status["reason"] = json!(reason);
            }
            review["status"] = status;
        }
    }
    Ok(Some(Answer::created(review)))
}
