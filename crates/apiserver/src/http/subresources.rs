//! Subresources of single objects: status, scale, and a few that do something.

use serde_json::{Value, json};

use super::request::{Target, Verb};
use super::respond::{Answer, success};
use super::{App, Call, body, builds, convert, deployments, handlers, patch};
use crate::auth::tokens::AccountClaims;
use crate::error::ApiError;
use crate::metadata;
use crate::write::{Part, Write};
use secrecy::ExposeSecret;

pub(crate) fn handle(
    app: &App,
    call: &Call,
    target: &Target,
    verb: Verb,
) -> Result<Answer, ApiError> {
    let kind = &target.kind;
    match (target.subresource.as_deref().unwrap_or_default(), verb) {
        ("status", Verb::Get) => handlers::get(app, call, target),
        ("status", _) => status(app, call, target),
        ("scale", Verb::Get) => {
            let object = current(app, target)?;
            Ok(Answer::json(scale_of(target, &object)))
        }
        ("scale", _) => scale(app, call, target),
        ("finalize", _) => finalize(app, call, target),
        ("token", _) => token(app, call, target),
        ("binding", _) => bind(app, call, target),
        ("eviction", _) => {
            let body = body::of_kind("Eviction", &call.request)?;
            let seconds = body["deleteOptions"]["gracePeriodSeconds"].as_i64();
            app.store.delete(
                &kind.id(),
                target.namespace(),
                target.name(),
                crate::store::DeleteOptions {
                    grace_period_seconds: seconds,
                    ..Default::default()
                },
            )?;
            Ok(Answer::created(success(Value::Null)))
        }
        ("instantiate", _) if kind.plural == "buildconfigs" => builds::start(app, call, target),
        ("clone", _) => builds::start(app, call, target),
        ("instantiate", _) => deployments::roll_out(app, call, target),
        (name, _) => Err(ApiError::not_implemented(&format!(
            "{}/{name}",
            kind.plural
        ))),
    }
}

fn current(app: &App, target: &Target) -> Result<Value, ApiError> {
    app.store
        .get(&target.kind.storage(), target.namespace(), target.name())
        .ok_or_else(|| ApiError::not_found(&target.kind, target.name()))
}

fn change(
    app: &App,
    call: &Call,
    target: &Target,
    part: Part,
    change: impl FnOnce(&Value) -> Result<Value, ApiError>,
) -> Result<Value, ApiError> {
    let manager = call.request.manager();
    let write = Write {
        user: Some(&call.user),
        manager: &manager,
        dry_run: call.request.dry_run("UpdateOptions")?,
        part,
        managed: false,
    };
    let kind = handlers::stored_kind(app, &target.kind);
    app.store
        .update_with(&kind, target.namespace(), target.name(), &write, change)
        .map(|object| Value::clone(&object))
}

/// The object that a PUT or PATCH of a subresource comes to.
fn sent(call: &Call, target: &Target, current: &Value) -> Result<Value, ApiError> {
    let kind = &target.kind;
    if call.request.method == http::Method::PUT {
        return body::document(kind, &call.request);
    }
    match patch::Patch::read(kind, call)? {
        Some(patch) => patch.apply(kind, current),
        None => {
            // An apply of a subresource merges; its owner is noted by what it changed.
            let applied = body::yaml(&call.request.body)?;
            Ok(crate::fields::merge(kind, &[], current, &applied))
        }
    }
}

fn status(app: &App, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let kind = handlers::stored_kind(app, &target.kind);
    let changed = change(app, call, target, Part::Status, |current| {
        let object = sent(call, target, &convert::outgoing(&target.kind, current))?;
        Ok(convert::incoming(&target.kind, &kind, object))
    })?;
    Ok(Answer::json(handlers::shaped(call, &target.kind, &changed)))
}

fn at<'a>(object: &'a Value, path: &str) -> &'a Value {
    path.split('.')
        .filter(|part| !part.is_empty())
        .fold(object, |value, part| &value[part])
}

/// The paths of replicas (wanted, present) and selector.
fn scale_paths(target: &Target) -> (String, String, String) {
    let custom = target
        .kind
        .custom
        .as_ref()
        .and_then(|custom| custom.scale.as_ref());
    match custom {
        Some(scale) => {
            let text = |field: &str| scale[field].as_str().unwrap_or_default().to_owned();
            (
                text("specReplicasPath"),
                text("statusReplicasPath"),
                text("labelSelectorPath"),
            )
        }
        None => (
            ".spec.replicas".to_owned(),
            ".status.replicas".to_owned(),
            ".spec.selector".to_owned(),
        ),
    }
}

fn scale_of(target: &Target, object: &Value) -> Value {
    let (wanted, present, selector) = scale_paths(target);
    let labels = match at(object, &selector) {
        Value::String(text) => Some(text.clone()),
        selector => {
            let labels = if selector["matchLabels"].is_object() {
                &selector["matchLabels"]
            } else {
                selector
            };
            labels.as_object().map(|labels| {
                labels
                    .iter()
                    .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
                    .collect::<Vec<_>>()
                    .join(",")
            })
        }
    };
    let meta = &object["metadata"];
    let old = target.kind.group == "apps.openshift.io";
    let mut scale = json!({
        "kind": "Scale",
        "apiVersion": if old { "extensions/v1beta1" } else { "autoscaling/v1" },
        "metadata": {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
            "creationTimestamp": meta["creationTimestamp"],
        },
        "spec": {"replicas": at(object, &wanted).as_i64().unwrap_or(0)},
        "status": {"replicas": at(object, &present).as_i64().unwrap_or(0)},
    });
    if let Some(labels) = labels {
        if old {
            scale["status"]["selector"] = object["spec"]["selector"].clone();
            scale["status"]["targetSelector"] = json!(labels);
        } else {
            scale["status"]["selector"] = json!(labels);
        }
    }
    scale
}

fn scale(app: &App, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let (wanted, _, _) = scale_paths(target);
    let changed = change(app, call, target, Part::Main, |current| {
        let before = scale_of(target, current);
        let scale = if call.request.method == http::Method::PUT {
            body::json("Scale", &call.request.body)?
        } else {
            sent(call, target, &before)?
        };
        let revision = scale["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default();
        if !revision.is_empty() && before["metadata"]["resourceVersion"] != revision {
            return Err(ApiError::conflict(
                &target.kind.group,
                &target.kind.plural,
                target.name(),
                "the object has been modified; please apply your changes to the latest version and try again",
            ));
        }
        let replicas = match &scale["spec"]["replicas"] {
            Value::Null => 0,
            value => value
                .as_i64()
                .filter(|replicas| *replicas >= 0)
                .ok_or_else(|| {
                    ApiError::invalid(
                        "autoscaling",
                        "Scale",
                        target.name(),
                        &[crate::error::Cause::invalid(
                            "spec.replicas",
                            value,
                            "must be greater than or equal to 0",
                        )],
                    )
                })?,
        };
        let mut object = current.clone();
        let pointer = wanted.replace('.', "/");
        match object.pointer_mut(&pointer) {
            Some(slot) => *slot = json!(replicas),
            None => {
                if let Some((parent, field)) = pointer.rsplit_once('/')
                    && let Some(Value::Object(parent)) = object.pointer_mut(parent)
                {
                    parent.insert(field.to_owned(), json!(replicas));
                }
            }
        }
        Ok(object)
    })?;
    Ok(Answer::json(scale_of(target, &changed)))
}

fn finalize(app: &App, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let sent = body::object(&target.kind, &call.request)?.object;
    let changed = change(app, call, target, Part::Special, |current| {
        let mut object = current.clone();
        object["spec"]["finalizers"] = match &sent["spec"]["finalizers"] {
            Value::Null => json!([]),
            finalizers => finalizers.clone(),
        };
        Ok(object)
    })?;
    Ok(Answer::json(handlers::shaped(call, &target.kind, &changed)))
}

fn token(app: &App, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let account = current(app, target)?;
    let mut request = body::of_kind("TokenRequest", &call.request)?;
    let seconds = request["spec"]["expirationSeconds"]
        .as_i64()
        .unwrap_or(3600)
        .max(600);
    let claims = AccountClaims {
        namespace: target.namespace().unwrap_or_default().to_owned(),
        name: target.name().to_owned(),
        uid: account["metadata"]["uid"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    };
    let token = app.signer.sign(&claims, Some(seconds));
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    request["apiVersion"] = json!("authentication.k8s.io/v1");
    request["kind"] = json!("TokenRequest");
    request["metadata"] = json!({
        "name": target.name(),
        "namespace": target.namespace(),
        "creationTimestamp": metadata::now(),
    });
    request["spec"]["expirationSeconds"] = json!(seconds);
    request["status"] = json!({
        "token": token.expose_secret(),
        "expirationTimestamp": metadata::timestamp(end),
    });
    Ok(Answer::created(request))
}

fn bind(app: &App, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let binding = body::of_kind("Binding", &call.request)?;
    let node = binding["target"]["name"].clone();
    change(app, call, target, Part::Special, |current| {
        if current["spec"]["nodeName"]
            .as_str()
            .is_some_and(|node| !node.is_empty())
        {
            return Err(ApiError::conflict(
                "",
                "pods/binding",
                target.name(),
                &format!(
                    "pod {} is already assigned to node {}",
                    target.name(),
                    current["spec"]["nodeName"]
                ),
            ));
        }
        let mut object = current.clone();
        object["spec"]["nodeName"] = node;
        Ok(object)
    })?;
    Ok(Answer::created(success(Value::Null)))
}
