//! `buildconfigs/{name}/webhooks/{secret}/{kind}`: builds that are started from outside. The generic kind
//! and GitHub's are served.

use std::sync::Arc;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Request};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::App;
use super::request::{Parts, Target};
use super::respond::{Answer, accepted, success};
use crate::catalogue::ResourceId;
use crate::error::ApiError;

/// Key of a hook's secret in the Secret that its trigger refers to.
const KEY: &str = "WebHookSecretKey";

/// What a call asks for.
struct Event {
    revision: Value,
    env: Value,
    /// Why no build is started, if none is.
    skipped: Option<&'static str>,
}

impl Event {
    fn build() -> Self {
        Self {
            revision: Value::Null,
            env: Value::Null,
            skipped: None,
        }
    }

    fn skip(why: &'static str) -> Self {
        Self {
            skipped: Some(why),
            ..Self::build()
        }
    }
}

/// Starts a build for whoever knows the secret.
pub(super) async fn handle(
    app: &Arc<App>,
    target: &Target,
    request: Request<Body>,
) -> Result<Answer, ApiError> {
    let path = request.uri().path().trim_matches('/').to_owned();
    let mut parts = path
        .rsplit('/')
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned());
    let (kind, secret) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    if secret == "webhooks" || kind == "webhooks" {
        return Err(ApiError::no_such_resource());
    }
    let (field, trigger_type, message) = match kind.as_str() {
        "generic" => ("generic", "Generic", "Generic WebHook"),
        "github" => ("github", "GitHub", "GitHub WebHook"),
        "gitlab" | "bitbucket" => {
            return Err(ApiError::not_implemented(&format!("webhooks of {kind}")));
        }
        _ => {
            return Err(ApiError::not_found_named("", "buildconfighook", &kind));
        }
    };
    let accept = accepted(request.headers());
    let call = Parts::read(request, accept).await?;
    // Whoever does not know the secret learns nothing, not even whether there is such a configuration.
    let unknown = || ApiError::unauthorized();
    let namespace = target.namespace().unwrap_or_default();
    let config = app
        .store
        .get(&target.kind.id(), Some(namespace), target.name())
        .ok_or_else(unknown)?;
    let hook = config["spec"]["triggers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|trigger| trigger["type"] == trigger_type)
        .map(|trigger| &trigger[field])
        .find(|hook| secret_of(app, namespace, hook).is_some_and(|known| same(&known, &secret)))
        .ok_or_else(unknown)?;
    let git = &config["spec"]["source"]["git"];
    let event = if kind == "generic" {
        generic(&call, hook, git)?
    } else {
        github(&call.headers, &call, git)?
    };
    if let Some(why) = event.skipped {
        let mut status = success(Value::Null);
        status["message"] = json!(why);
        return Ok(Answer::json(status));
    }
    let mut cause = json!({"secret": "<secret>"});
    if event.revision.is_object() {
        cause["revision"] = event.revision.clone();
    }
    let build = app.store.instantiate_build(
        namespace,
        target.name(),
        &json!({
            "triggeredBy": [{"message": message, format!("{field}WebHook"): cause}],
            "revision": event.revision,
            "env": event.env,
        }),
    )?;
    Ok(Answer::json(build))
}

fn secret_of(app: &App, namespace: &str, hook: &Value) -> Option<String> {
    if let Some(secret) = hook["secret"].as_str().filter(|secret| !secret.is_empty()) {
        return Some(secret.to_owned());
    }
    let name = hook["secretReference"]["name"].as_str()?;
    let secret = app
        .store
        .get(&ResourceId::core("secrets"), Some(namespace), name)?;
    let bytes = STANDARD.decode(secret["data"][KEY].as_str()?).ok()?;
    String::from_utf8(bytes)
        .ok()
        .filter(|secret| !secret.is_empty())
}

/// Compares by hash, so that the time that it takes says nothing.
fn same(known: &str, sent: &str) -> bool {
    Sha256::digest(known) == Sha256::digest(sent)
}

/// Whether a pushed branch is the one that is built.
fn is_built(reference: &Value, git: &Value) -> bool {
    let short = |name: &str| name.trim_start_matches("refs/heads/").to_owned();
    let wanted = match git["ref"].as_str() {
        None | Some("") => "master",
        Some(wanted) => wanted,
    };
    reference
        .as_str()
        .is_some_and(|reference| short(reference) == short(wanted))
}

fn revision(commit: &Value, author: &Value, committer: &Value, message: &Value) -> Value {
    let person = |who: &Value| json!({"name": who["name"], "email": who["email"]});
    json!({"type": "Git", "git": {
        "commit": commit,
        "author": person(author),
        "committer": person(committer),
        "message": message,
    }})
}

fn generic(call: &Parts, hook: &Value, git: &Value) -> Result<Event, ApiError> {
    if call.body.is_empty() {
        return Ok(Event::build());
    }
    let body = match call.content_type().as_str() {
        "application/json" => super::body::json("GenericWebHookEvent", &call.body)?,
        "application/yaml" => super::body::yaml(&call.body)?,
        // A payload of another type is ignored, and the build goes on.
        _ => return Ok(Event::build()),
    };
    let mut event = Event::build();
    let pushed = &body["git"];
    if pushed.is_object() {
        if !is_built(&pushed["ref"], git) {
            return Ok(Event::skip("skipping build: another branch was pushed"));
        }
        if pushed["commit"].is_string() {
            event.revision = revision(
                &pushed["commit"],
                &pushed["author"],
                &pushed["committer"],
                &pushed["message"],
            );
        }
    }
    if hook["allowEnv"] == true {
        event.env = body["env"].clone();
    }
    Ok(event)
}

fn github(headers: &HeaderMap, call: &Parts, git: &Value) -> Result<Event, ApiError> {
    if call.content_type() != "application/json" {
        return Err(ApiError::bad_request(format!(
            "unsupported Content-Type {}",
            call.content_type()
        )));
    }
    match headers
        .get("x-github-event")
        .and_then(|event| event.to_str().ok())
    {
        Some("ping") => return Ok(Event::skip("ping")),
        Some("push") => {}
        other => {
            return Err(ApiError::bad_request(format!(
                "unknown X-GitHub-Event or X-Gogs-Event {}",
                other.unwrap_or_default()
            )));
        }
    }
    let body = super::body::json("PushEvent", &call.body)?;
    if !is_built(&body["ref"], git) {
        return Ok(Event::skip("skipping build: another branch was pushed"));
    }
    let head = &body["head_commit"];
    let mut event = Event::build();
    event.revision = revision(
        &head["id"],
        &head["author"],
        &head["committer"],
        &head["message"],
    );
    Ok(event)
}
