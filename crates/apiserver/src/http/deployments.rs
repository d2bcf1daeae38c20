//! `deploymentconfigs/{name}/instantiate`: the next version of a DeploymentConfig, with the images that its
//! triggers mean now. Controllers roll it out.

use serde_json::{Value, json};

use super::request::Target;
use super::respond::Answer;
use super::{App, Call, body, handlers};
use crate::error::{ApiError, Cause};
use crate::images;
use crate::metadata;
use crate::write::{Part, Write};

/// Rolls a DeploymentConfig out.
pub(super) fn roll_out(app: &App, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    if call.request.dry_run("CreateOptions")? {
        return Err(ApiError::not_implemented("roll-outs in a dry run"));
    }
    let request = body::of_kind("DeploymentRequest", &call.request)?;
    let name = request["name"].as_str().unwrap_or_default();
    if name != target.name() {
        let why = "name of the deployment config";
        let cause = if name.is_empty() {
            Cause::required("name", why)
        } else {
            Cause::invalid("name", &request["name"], "must be that of the URL")
        };
        return Err(ApiError::invalid(
            &target.kind.group,
            "DeploymentRequest",
            name,
            &[cause],
        ));
    }
    let manager = call.request.manager();
    let write = Write {
        user: Some(&call.user),
        manager: &manager,
        part: Part::Special,
        ..Write::system()
    };
    let kind = handlers::stored_kind(app, &target.kind);
    loop {
        let found = app
            .store
            .get(&kind.storage(), target.namespace(), target.name())
            .ok_or_else(|| ApiError::not_found(&target.kind, target.name()))?;
        let next = next_version(app, target, &request, found.clone())?;
        let mut meanwhile = false;
        let changed = app.store.update_with(
            &kind,
            target.namespace(),
            target.name(),
            &write,
            |current| {
                meanwhile =
                    current["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"];
                Ok(if meanwhile {
                    current.clone()
                } else {
                    next.clone()
                })
            },
        )?;
        if !meanwhile {
            return Ok(Answer::created(handlers::shaped(
                call,
                &target.kind,
                &changed,
            )));
        }
    }
}

/// The configuration as the next roll-out has it.
fn next_version(
    app: &App,
    target: &Target,
    request: &Value,
    mut config: Value,
) -> Result<Value, ApiError> {
    let force = request["force"] == true;
    if config["spec"]["paused"] == true && !force {
        return Err(ApiError::invalid(
            &target.kind.group,
            &target.kind.kind,
            target.name(),
            &[Cause::invalid(
                "spec.paused",
                &json!(true),
                "cannot deploy a paused deployment config",
            )],
        ));
    }
    if request["latest"] == true {
        take_images(app, &mut config, force);
    }
    let unresolved = config["spec"]["triggers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|trigger| &trigger["imageChangeParams"])
        .any(|params| {
            params["automatic"] == true
                && params["lastTriggeredImage"]
                    .as_str()
                    .unwrap_or_default()
                    .is_empty()
        });
    if unresolved {
        return Err(ApiError::bad_request(format!(
            "cannot trigger a deployment for {:?} because it contains unresolved images",
            target.name()
        )));
    }
    let version = config["status"]["latestVersion"].as_i64().unwrap_or(0) + 1;
    config["status"]["latestVersion"] = json!(version);
    config["status"]["details"] =
        json!({"message": "manual change", "causes": [{"type": "Manual"}]});
    Ok(config)
}

/// Puts the images that the triggers mean into their containers; of triggers that are not automatic only
/// when forced. What has no image stays as it is.
fn take_images(app: &App, config: &mut Value, force: bool) {
    let namespace = metadata::namespace(config).unwrap_or_default().to_owned();
    let mut images: Vec<(Vec<String>, String)> = Vec::new();
    {
        let state = app.store.state();
        for trigger in config["spec"]
            .get_mut("triggers")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            let params = &mut trigger["imageChangeParams"];
            if !params.is_object() || !(force || params["automatic"] == true) {
                continue;
            }
            let Ok(image) = images::resolve(&state, &namespace, &params["from"]) else {
                continue;
            };
            params["lastTriggeredImage"] = json!(image);
            let names = params["containerNames"].as_array().into_iter().flatten();
            let names = names.filter_map(Value::as_str).map(str::to_owned);
            images.push((names.collect(), image));
        }
        // Looking at triggers of another kind has left a null.
        for trigger in config["spec"]
            .get_mut("triggers")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if trigger["imageChangeParams"].is_null() {
                crate::write::set(trigger, "imageChangeParams", None);
            }
        }
    }
    for list in ["containers", "initContainers"] {
        for container in config
            .pointer_mut(&format!("/spec/template/spec/{list}"))
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            for (names, image) in &images {
                if names.iter().any(|name| container["name"] == name.as_str()) {
                    container["image"] = json!(image);
                }
            }
        }
    }
}
