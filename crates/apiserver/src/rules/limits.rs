//! Resource quotas and limit ranges.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Context;
use super::values::default;
use crate::catalogue::ResourceId;
use crate::error::ApiError;
use crate::metadata;
use crate::quantity::Quantity;
use crate::state::State;

const COMPUTE: [&str; 6] = [
    "requests.cpu",
    "requests.memory",
    "limits.cpu",
    "limits.memory",
    "cpu",
    "memory",
];

/// What a quota limits.
enum Measure {
    /// How many objects there are.
    Count(ResourceId),
    /// Sums over the pods that have not ended: `requests` or `limits`, and of what.
    Compute(&'static str, String),
    /// What all claims ask for.
    Storage,
}

fn measure(name: &str) -> Option<Measure> {
    if let Some(counted) = name.strip_prefix("count/") {
        let (plural, group) = counted.split_once('.').unwrap_or((counted, ""));
        return Some(Measure::Count(ResourceId::new(group, plural)));
    }
    Some(match name {
        "pods"
        | "services"
        | "secrets"
        | "configmaps"
        | "persistentvolumeclaims"
        | "replicationcontrollers"
        | "resourcequotas" => Measure::Count(ResourceId::core(name)),
        "openshift.io/imagestreams" => {
            Measure::Count(ResourceId::new("image.openshift.io", "imagestreams"))
        }
        "requests.storage" => Measure::Storage,
        _ if COMPUTE.contains(&name) => match name.split_once('.') {
            Some(("limits", resource)) => Measure::Compute("limits", resource.to_owned()),
            Some((_, resource)) => Measure::Compute("requests", resource.to_owned()),
            None => Measure::Compute("requests", name.to_owned()),
        },
        _ => return None,
    })
}

fn is_over(pod: &Value) -> bool {
    matches!(
        pod["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    )
}

/// How much of a measure one object takes.
fn amount(measure: &Measure, resource: &ResourceId, object: &Value) -> Option<Quantity> {
    match measure {
        Measure::Count(counted) => {
            let ended = resource.is("", "pods") && is_over(object);
            (counted == resource && !ended).then(|| Quantity::count(1))
        }
        Measure::Compute(kind, name) => (resource.is("", "pods") && !is_over(object)).then(|| {
            containers(object)
                .filter_map(|container| Quantity::of(&container["resources"][*kind][name]))
                .sum()
        }),
        Measure::Storage => resource
            .is("", "persistentvolumeclaims")
            .then(|| Quantity::of(&object["spec"]["resources"]["requests"]["storage"]))
            .flatten(),
    }
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    pod["spec"]["containers"].as_array().into_iter().flatten()
}

fn measured(measure: &Measure) -> ResourceId {
    match measure {
        Measure::Count(resource) => resource.clone(),
        Measure::Compute(..) => ResourceId::core("pods"),
        Measure::Storage => ResourceId::core("persistentvolumeclaims"),
    }
}

/// How much of each of a quota's limits is in use.
pub(crate) fn used(state: &State, quota: &Value) -> BTreeMap<String, Quantity> {
    let namespace = metadata::namespace(quota);
    quota["spec"]["hard"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, _)| {
            let measure = measure(name)?;
            let resource = measured(&measure);
            let sum = state
                .list(&resource, namespace)
                .filter_map(|(_, object)| amount(&measure, &resource, object))
                .sum();
            Some((name.clone(), sum))
        })
        .collect()
}

/// Refuses a quota that would not be kept.
pub(super) fn require_known(quota: &Value) -> Result<(), ApiError> {
    let spec = &quota["spec"];
    if !spec["scopes"].is_null() || !spec["scopeSelector"].is_null() {
        return Err(ApiError::not_implemented("resource quotas with scopes"));
    }
    for (name, _) in spec["hard"].as_object().into_iter().flatten() {
        if measure(name).is_none() {
            return Err(ApiError::not_implemented(&format!(
                "resource quotas on {name}"
            )));
        }
    }
    Ok(())
}

/// Refuses an object that a limit range or a quota does not allow.
pub(super) fn admit(context: &Context<'_>, object: &Value) -> Result<(), ApiError> {
    let Some(namespace) = metadata::namespace(object) else {
        return Ok(());
    };
    let resource = context.kind.id();
    let refuse = |why: String| {
        ApiError::forbidden(
            &context.kind.group,
            &context.kind.plural,
            metadata::name(object),
            why,
        )
    };
    if let Some(why) = beyond_range(context, namespace, object) {
        return Err(refuse(why));
    }
    for ((_, name), quota) in context
        .state
        .list(&ResourceId::core("resourcequotas"), Some(namespace))
    {
        let hard = quota["spec"]["hard"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        if resource.is("", "pods") {
            let missing: Vec<String> = COMPUTE
                .iter()
                .filter(|compute| hard.contains_key(**compute))
                .flat_map(|compute| unspecified(compute, object))
                .collect();
            if !missing.is_empty() {
                return Err(refuse(format!(
                    "failed quota: {name}: must specify {}",
                    missing.join("; ")
                )));
            }
        }
        let used = used(context.state, quota);
        let mut over: Vec<(String, Quantity, Quantity, Quantity)> = Vec::new();
        for (limit, value) in &hard {
            let asked = measure(limit).and_then(|measure| amount(&measure, &resource, object));
            if let (Some(asked), Some(value)) = (asked, Quantity::of(value)) {
                let used = used.get(limit).copied().unwrap_or(Quantity::ZERO);
                if asked > Quantity::ZERO && used + asked > value {
                    over.push((limit.clone(), asked, used, value));
                }
            }
        }
        if !over.is_empty() {
            let list = |pick: fn(&(String, Quantity, Quantity, Quantity)) -> Quantity| {
                let all: Vec<String> = over
                    .iter()
                    .map(|one| format!("{}={}", one.0, pick(one)))
                    .collect();
                all.join(",")
            };
            return Err(refuse(format!(
                "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
                list(|one| one.1),
                list(|one| one.2),
                list(|one| one.3)
            )));
        }
    }
    Ok(())
}

/// The containers that leave out what a quota counts.
fn unspecified(compute: &str, pod: &Value) -> Option<String> {
    let Some(Measure::Compute(kind, resource)) = measure(compute) else {
        return None;
    };
    let names: Vec<&str> = containers(pod)
        .filter(|container| container["resources"][kind][&resource].is_null())
        .filter_map(|container| container["name"].as_str())
        .collect();
    (!names.is_empty()).then(|| format!("{compute} for: {}", names.join(",")))
}

fn ranges<'a>(
    context: &'a Context<'_>,
    namespace: &'a str,
    kind: &'static str,
) -> impl Iterator<Item = &'a Value> {
    context
        .state
        .list(&ResourceId::core("limitranges"), Some(namespace))
        .flat_map(|(_, range)| range["spec"]["limits"].as_array().into_iter().flatten())
        .filter(move |limit| limit["type"] == kind)
}

/// Gives containers the limits and requests that they leave out.
pub(super) fn complete_pod(context: &Context<'_>, pod: &mut Value) {
    let namespace = metadata::namespace(pod).unwrap_or_default().to_owned();
    let limits: Vec<Value> = ranges(context, &namespace, "Container").cloned().collect();
    for list in ["initContainers", "containers"] {
        for container in pod["spec"]
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            for limit in &limits {
                for (from, to) in [("default", "limits"), ("defaultRequest", "requests")] {
                    let defaults = limit[from].as_object();
                    for (name, value) in defaults.into_iter().flatten() {
                        default(container, "resources", json!({}));
                        default(container, &format!("resources.{to}"), json!({}));
                        let slot = &mut container["resources"][to][name];
                        if slot.is_null() {
                            *slot = value.clone();
                        }
                    }
                }
            }
        }
    }
}

/// Why a limit range does not allow an object.
fn beyond_range(context: &Context<'_>, namespace: &str, object: &Value) -> Option<String> {
    let id = context.kind.id();
    if id.is("", "persistentvolumeclaims") {
        let request = &object["spec"]["resources"]["requests"]["storage"];
        let asked = Quantity::of(request)?;
        return ranges(context, namespace, "PersistentVolumeClaim").find_map(|limit| {
            let (max, min) = (&limit["max"]["storage"], &limit["min"]["storage"]);
            if Quantity::of(max).is_some_and(|max| asked > max) {
                Some(usage(
                    "maximum",
                    "storage",
                    "PersistentVolumeClaim",
                    max,
                    "request",
                    request,
                ))
            } else if Quantity::of(min).is_some_and(|min| asked < min) {
                Some(usage(
                    "minimum",
                    "storage",
                    "PersistentVolumeClaim",
                    min,
                    "request",
                    request,
                ))
            } else {
                None
            }
        });
    }
    if !id.is("", "pods") {
        return None;
    }
    ranges(context, namespace, "Container").find_map(|limit| {
        containers(object).find_map(|container| {
            let resources = &container["resources"];
            let over = limit["max"]
                .as_object()
                .into_iter()
                .flatten()
                .find_map(|(name, max)| {
                    let value = &resources["limits"][name];
                    match Quantity::of(value) {
                        Some(limit) if limit > Quantity::of(max)? => {
                            Some(usage("maximum", name, "Container", max, "limit", value))
                        }
                        Some(_) => None,
                        None => Some(format!(
                            "maximum {name} usage per Container is {}.  No limit is specified",
                            shown(max)
                        )),
                    }
                });
            over.or_else(|| {
                limit["min"].as_object().into_iter().flatten().find_map(|(name, min)| {
                    let value = &resources["requests"][name];
                    match Quantity::of(value) {
                        Some(request) if request < Quantity::of(min)? => {
                            Some(usage("minimum", name, "Container", min, "request", value))
                        }
                        Some(_) => None,
                        None => Some(format!(
                            "minimum {name} usage per Container is {}.  No request is specified",
                            shown(min)
                        )),
                    }
                })
            })
        })
    })
}

fn shown(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn usage(edge: &str, name: &str, per: &str, limit: &Value, what: &str, value: &Value) -> String {
    format!(
        "{edge} {name} usage per {per} is {}, but {what} is {}",
        shown(limit),
        shown(value)
    )
}
