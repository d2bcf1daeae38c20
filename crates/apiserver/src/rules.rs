//! What a server does to an object of a kind: what it drops, fills in, allocates and refuses.
//!
//! Most of it is data: a table of defaults, of required and of immutable fields. What needs more is a
//! function of one file.

mod claims;
mod constraints;
mod custom;
pub(crate) mod limits;
mod openshift;
mod pods;
mod services;
mod templates;
mod values;

use serde_json::{Value, json};

use crate::catalogue::ResourceType;
use crate::error::{ApiError, Cause};
use crate::identity::UserInfo;
use crate::metadata;
use crate::settings::Settings;
use crate::state::State;
use crate::store::Propagation;

/// What a rule may look at.
pub(crate) struct Context<'a> {
    pub(crate) state: &'a State,
    pub(crate) settings: &'a Settings,
    pub(crate) kind: &'a ResourceType,
    /// None for the system itself, which rules on immutable fields do not bind.
    pub(crate) user: Option<&'a UserInfo>,
}

impl Context<'_> {
    /// A 422 if there is any cause for one.
    fn invalid(&self, object: &Value, causes: &[Cause]) -> Result<(), ApiError> {
        if causes.is_empty() {
            return Ok(());
        }
        Err(ApiError::invalid(
            &self.kind.group,
            &self.kind.kind,
            metadata::name(object),
            causes,
        ))
    }
}

/// Whether a kind counts its generations.
pub(crate) fn has_generation(kind: &ResourceType) -> bool {
    if kind.custom.is_some() {
        return true;
    }
    match kind.group.as_str() {
        "" => matches!(kind.plural.as_str(), "pods" | "replicationcontrollers"),
        "apps" => kind.plural != "controllerrevisions",
        "batch"
        | "policy"
        | "apps.openshift.io"
        | "build.openshift.io"
        | "route.openshift.io"
        | "discovery.k8s.io"
        | "apiextensions.k8s.io"
        | "scheduling.k8s.io" => true,
        "networking.k8s.io" => true,
        "image.openshift.io" => kind.plural == "imagestreams",
        _ => false,
    }
}

/// Whether a change begins a new generation.
pub(crate) fn is_new_generation(kind: &ResourceType, current: &Value, object: &Value) -> bool {
    if kind.custom.is_some() {
        let strip = |value: &Value| {
            let mut value = value.clone();
            if let Value::Object(map) = &mut value {
                map.remove("metadata");
                if kind.has_subresource("status") {
                    map.remove("status");
                }
            }
            value
        };
        return strip(current) != strip(object);
    }
    if kind.group == "discovery.k8s.io" {
        return current["endpoints"] != object["endpoints"] || current["ports"] != object["ports"];
    }
    current["spec"] != object["spec"]
}

/// What becomes of dependents if a deletion does not say.
pub(crate) fn default_propagation(kind: &ResourceType) -> Propagation {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("batch", "jobs") | ("", "replicationcontrollers") => Propagation::Orphan,
        _ => Propagation::Background,
    }
}

/// Seconds until an object may be gone: those of a pod whose processes are to end first.
pub(crate) fn grace_period(kind: &ResourceType, object: &Value, asked: Option<i64>) -> i64 {
    if !kind.id().is("", "pods") {
        return 0;
    }
    let on_node = object["spec"]["nodeName"]
        .as_str()
        .is_some_and(|node| !node.is_empty());
    let finished = matches!(
        object["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    );
    if !on_node || finished {
        return 0;
    }
    asked
        .or_else(|| object["spec"]["terminationGracePeriodSeconds"].as_i64())
        .unwrap_or(30)
        .max(0)
}

/// Prepares, completes and checks a new object.
pub(crate) fn on_create(context: &Context<'_>, object: &mut Value) -> Result<(), ApiError> {
    let kind = context.kind;
    if drops_status(kind) {
        crate::write::set(object, "status", first_status(kind));
    }
    values::require_types(context, object)?;
    values::drop_nulls(kind, object);
    complete(context, object);
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "namespaces") => namespace(object),
        ("", "pods") => {
            limits::complete_pod(context, object);
            pods::on_create(context, object)?;
        }
        ("", "resourcequotas") => limits::require_known(object)?,
        ("", "services") => services::on_create(context, object)?,
        ("", "persistentvolumeclaims") => claims::on_create(context, object),
        ("batch", "jobs") => templates::job_on_create(context, object)?,
        ("apiextensions.k8s.io", "customresourcedefinitions") => custom::define(object),
        (group, _) if group.ends_with(".openshift.io") => openshift::on_create(context, object)?,
        _ => {}
    }
    check(context, object)?;
    limits::admit(context, object)
}

/// Completes and checks a changed object.
pub(crate) fn on_update(
    context: &Context<'_>,
    current: &Value,
    object: &mut Value,
) -> Result<(), ApiError> {
    let kind = context.kind;
    values::require_types(context, object)?;
    values::drop_nulls(kind, object);
    services::carry(context, current, object);
    complete(context, object);
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "namespaces") => {
            namespace_labels(object);
            if context.user.is_some() {
                object["spec"] = current["spec"].clone();
            }
        }
        ("", "services") => services::on_update(context, current, object)?,
        ("", "persistentvolumeclaims") => claims::on_update(context, current, object)?,
        ("apiextensions.k8s.io", "customresourcedefinitions") => custom::define(object),
        (group, _) if group.ends_with(".openshift.io") => {
            openshift::on_update(context, current, object)?;
        }
        _ => {}
    }
    if context.user.is_some() {
        values::require_unchanged(context, current, object)?;
    }
    metadata::validate(kind, object)?;
    check(context, object)
}

fn complete(context: &Context<'_>, object: &mut Value) {
    values::defaults(context.kind, object);
    templates::complete(context.kind, object);
}

fn check(context: &Context<'_>, object: &Value) -> Result<(), ApiError> {
    if context.kind.custom.is_some() {
        return custom::check(context, object);
    }
    let mut causes = values::missing(context.kind, object);
    causes.extend(templates::problems(context.kind, object));
    causes.extend(services::problems(context.kind, object));
    causes.extend(claims::problems(context.kind, object));
    context.invalid(object, &causes)
}

/// Whether a new object loses the status that it brings along.
fn drops_status(kind: &ResourceType) -> bool {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "nodes") | ("apiextensions.k8s.io", _) => false,
        _ => kind.has_subresource("status"),
    }
}

fn first_status(kind: &ResourceType) -> Option<Value> {
    if kind.custom.is_some() {
        return None;
    }
    Some(match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "services") | ("networking.k8s.io", "ingresses") => json!({"loadBalancer": {}}),
        ("", "pods" | "persistentvolumeclaims" | "persistentvolumes") => {
            json!({"phase": "Pending"})
        }
        ("", "replicationcontrollers") | ("apps", "replicasets") => json!({"replicas": 0}),
        ("apps", "statefulsets") => json!({"replicas": 0, "availableReplicas": 0}),
        ("apps", "daemonsets") => json!({
            "currentNumberScheduled": 0,
            "desiredNumberScheduled": 0,
            "numberMisscheduled": 0,
            "numberReady": 0,
        }),
        ("policy", _) => json!({
            "currentHealthy": 0,
            "desiredHealthy": 0,
            "disruptionsAllowed": 0,
            "expectedPods": 0,
        }),
        ("autoscaling", _) => json!({"currentMetrics": null, "desiredReplicas": 0}),
        ("apps.openshift.io", _) => json!({
            "latestVersion": 0,
            "observedGeneration": 0,
            "replicas": 0,
            "updatedReplicas": 0,
            "availableReplicas": 0,
            "unavailableReplicas": 0,
        }),
        _ => json!({}),
    })
}

fn namespace(object: &mut Value) {
    namespace_labels(object);
    object["spec"] = json!({"finalizers": ["kubernetes"]});
    object["status"] = json!({"phase": "Active"});
}

fn namespace_labels(object: &mut Value) {
    let name = metadata::name(object).to_owned();
    if !object["metadata"]["labels"].is_object() {
        object["metadata"]["labels"] = json!({});
    }
    object["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(name);
}
