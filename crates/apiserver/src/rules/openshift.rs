//! Routes, DeploymentConfigs, builds and image streams.

mod instances;
mod streams;

use serde_json::{Value, json};

use super::Context;
use super::values::default;
use crate::auth::rbac;
use crate::error::{ApiError, Cause};
use crate::metadata;

const HOST_GENERATED: &str = "openshift.io/host.generated";
const REGISTRY: &str = "image-registry.openshift-image-registry.svc:5000";

pub(super) fn on_create(context: &Context<'_>, object: &mut Value) -> Result<(), ApiError> {
    match context.kind.plural.as_str() {
        "routes" => {
            generate_host(context, object);
            complete_route(object);
        }
        "deploymentconfigs" => {
            // What the last rollout took belongs to another cluster.
            for trigger in triggers(object) {
                if let Some(params) = trigger["imageChangeParams"].as_object_mut() {
                    params.remove("lastTriggeredImage");
                }
            }
            complete_config(object);
        }
        "buildconfigs" => complete_build_config(object),
        "builds" => {
            if !object["status"].is_object() {
                object["status"] = json!({});
            }
            default(object, "status.phase", json!("New"));
            default(object, "spec.serviceAccount", json!("builder"));
        }
        "images" => crate::images::fill(object),
        "templateinstances" => instances::on_create(context, object)?,
        "imagestreams" => {
            let namespace = metadata::namespace(object).unwrap_or_default();
            let repository = format!("{REGISTRY}/{namespace}/{}", metadata::name(object));
            object["status"] = json!({"dockerImageRepository": repository});
            streams::complete(context, None, object)?;
        }
        _ => {}
    }
    Ok(())
}

pub(super) fn on_update(
    context: &Context<'_>,
    current: &Value,
    object: &mut Value,
) -> Result<(), ApiError> {
    match context.kind.plural.as_str() {
        "routes" => {
            complete_route(object);
            require_host_rights(context, current, object)?;
        }
        "deploymentconfigs" => complete_config(object),
        "buildconfigs" => complete_build_config(object),
        "imagestreams" => streams::complete(context, Some(current), object)?,
        "templateinstances" => instances::require_requester(context, object)?,
        _ => {}
    }
    Ok(())
}

fn generate_host(context: &Context<'_>, route: &mut Value) {
    if !route["spec"].is_object()
        || route["spec"]["host"]
            .as_str()
            .is_some_and(|host| !host.is_empty())
    {
        return;
    }
    let host = format!(
        "{}-{}.{}",
        metadata::name(route),
        metadata::namespace(route).unwrap_or_default(),
        context.settings.route_suffix
    );
    route["spec"]["host"] = json!(host);
    if !route["metadata"]["annotations"].is_object() {
        route["metadata"]["annotations"] = json!({});
    }
    route["metadata"]["annotations"][HOST_GENERATED] = json!("true");
}

fn complete_route(route: &mut Value) {
    for backend in route["spec"]
        .get_mut("alternateBackends")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        default(backend, "kind", json!("Service"));
        default(backend, "weight", json!(100));
    }
}

/// Whoever made a route may set its host once; changing it takes the right to update `custom-host`.
fn require_host_rights(
    context: &Context<'_>,
    current: &Value,
    route: &Value,
) -> Result<(), ApiError> {
    let host = &route["spec"]["host"];
    if *host == current["spec"]["host"] {
        return Ok(());
    }
    let Some(user) = context.user else {
        return Ok(());
    };
    let attributes = rbac::Attributes {
        verb: "update",
        group: "route.openshift.io",
        resource: "routes",
        subresource: Some("custom-host"),
        namespace: metadata::namespace(current),
        name: Some(metadata::name(current)),
    };
    if rbac::allowed(context.state, user, &attributes).is_some() {
        return Ok(());
    }
    context.invalid(
        route,
        &[Cause::invalid(
            "spec.host",
            host,
            "you do not have permission to set the host field of the route",
        )],
    )
}

fn triggers(config: &mut Value) -> impl Iterator<Item = &mut Value> {
    config["spec"]
        .get_mut("triggers")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

fn complete_config(config: &mut Value) {
    let namespace = metadata::namespace(config).unwrap_or_default().to_owned();
    for trigger in triggers(config) {
        if trigger["imageChangeParams"]["from"].is_object() {
            default(
                trigger,
                "imageChangeParams.from.namespace",
                json!(namespace),
            );
        }
    }
    match config["spec"]["strategy"]["type"].as_str() {
        Some("Rolling") => {
            default(config, "spec.strategy.rollingParams", json!({}));
            for (field, value) in [
                ("updatePeriodSeconds", json!(1)),
                ("intervalSeconds", json!(1)),
                ("timeoutSeconds", json!(600)),
                ("maxUnavailable", json!("25%")),
                ("maxSurge", json!("25%")),
            ] {
                default(
                    config,
                    &format!("spec.strategy.rollingParams.{field}"),
                    value,
                );
            }
        }
        Some("Recreate") => {
            default(config, "spec.strategy.recreateParams", json!({}));
            default(
                config,
                "spec.strategy.recreateParams.timeoutSeconds",
                json!(600),
            );
        }
        _ => {}
    }
    let labels = config["spec"]["template"]["metadata"]["labels"].clone();
    if labels.is_object() {
        default(config, "spec.selector", labels);
    }
}

fn complete_build_config(config: &mut Value) {
    for (field, kind) in [
        ("git", "Git"),
        ("dockerfile", "Dockerfile"),
        ("binary", "Binary"),
        ("images", "Image"),
    ] {
        if !config["spec"]["source"][field].is_null() {
            default(config, "spec.source.type", json!(kind));
        }
    }
    default(config, "spec.source.type", json!("None"));
    for (field, kind) in [
        ("sourceStrategy", "Source"),
        ("dockerStrategy", "Docker"),
        ("customStrategy", "Custom"),
        ("jenkinsPipelineStrategy", "JenkinsPipeline"),
    ] {
        if config["spec"]["strategy"][field].is_object() {
            default(config, "spec.strategy.type", json!(kind));
        }
    }
    if !config["status"].is_object() {
        config["status"] = json!({});
    }
    default(config, "status.lastVersion", json!(0));
}
