//! Persistent volume claims.

use serde_json::{Value, json};

use super::Context;
use crate::catalogue::{ResourceId, ResourceType};
use crate::error::{ApiError, Cause};
use crate::metadata;
use crate::quantity::Quantity;

const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";
const PROTECTION: &str = "kubernetes.io/pvc-protection";

fn is_claim(kind: &ResourceType) -> bool {
    kind.id().is("", "persistentvolumeclaims")
}

pub(super) fn on_create(context: &Context<'_>, claim: &mut Value) {
    let mut finalizers = metadata::finalizers(claim);
    if !finalizers.iter().any(|one| one == PROTECTION) {
        finalizers.push(PROTECTION.to_owned());
        claim["metadata"]["finalizers"] = json!(finalizers);
    }
    let classless = claim["spec"]["storageClassName"].is_null()
        && claim["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"].is_null();
    if classless
        && claim["spec"].is_object()
        && let Some(class) = default_class(context)
    {
        claim["spec"]["storageClassName"] = json!(class);
    }
}

/// The default class; of several the newest.
fn default_class(context: &Context<'_>) -> Option<String> {
    context
        .state
        .list(&ResourceId::new("storage.k8s.io", "storageclasses"), None)
        .filter(|(_, class)| class["metadata"]["annotations"][DEFAULT_CLASS] == "true")
        .max_by_key(|(_, class)| {
            class["metadata"]["creationTimestamp"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
        .map(|((_, name), _)| name.clone())
}

pub(super) fn on_update(
    context: &Context<'_>,
    current: &Value,
    claim: &Value,
) -> Result<(), ApiError> {
    if context.user.is_none() {
        return Ok(());
    }
    let request = |claim: &Value| Quantity::of(&claim["spec"]["resources"]["requests"]["storage"]);
    let bound = current["status"]["phase"] == "Bound";
    let strip = |claim: &Value| {
        let mut spec = claim["spec"].clone();
        if bound && let Some(map) = spec.as_object_mut() {
            map.remove("resources");
        }
        spec
    };
    if strip(current) != strip(claim) {
        // A claim that is not bound yet may be given its volume or its class.
        let fills_only = !bound
            && current["spec"].as_object().is_some_and(|spec| {
                spec.iter()
                    .all(|(field, value)| claim["spec"][field] == *value)
            })
            && claim["spec"].as_object().is_some_and(|spec| {
                spec.keys().all(|field| {
                    !current["spec"][field].is_null()
                        || matches!(field.as_str(), "volumeName" | "storageClassName")
                })
            });
        if !fills_only {
            return context.invalid(
                claim,
                &[Cause::forbidden(
                    "spec",
                    format!(
                        "spec is immutable after creation except resources.requests and \
                         volumeAttributesClassName for bound claims\n{}",
                        difference(&current["spec"], &claim["spec"])
                    ),
                )],
            );
        }
    }
    if let (Some(old), Some(new)) = (request(current), request(claim)) {
        if new < old {
            return context.invalid(
                claim,
                &[Cause::forbidden(
                    "spec.resources.requests.storage",
                    "field can not be less than status.capacity",
                )],
            );
        }
        if new > old && !may_grow(context, current) {
            return Err(ApiError::forbidden(
                "",
                "persistentvolumeclaims",
                metadata::name(claim),
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must \
                 support resize",
            ));
        }
    }
    Ok(())
}

fn may_grow(context: &Context<'_>, claim: &Value) -> bool {
    claim["spec"]["storageClassName"]
        .as_str()
        .and_then(|class| {
            let classes = ResourceId::new("storage.k8s.io", "storageclasses");
            context.state.get(&classes, None, class)
        })
        .is_some_and(|class| class["allowVolumeExpansion"] == true)
}

/// The fields of a spec that differ, line by line.
fn difference(old: &Value, new: &Value) -> String {
    let mut lines = String::new();
    let empty = serde_json::Map::new();
    let (old, new) = (
        old.as_object().unwrap_or(&empty),
        new.as_object().unwrap_or(&empty),
    );
    let mut fields: Vec<&String> = old.keys().chain(new.keys()).collect();
    fields.sort();
    fields.dedup();
    for field in fields {
        let (before, after) = (old.get(field), new.get(field));
        if before != after {
            let name = format!("{}{}", field[..1].to_uppercase(), &field[1..]);
            for (sign, value) in [('-', before), ('+', after)] {
                lines.push_str(&format!(
                    "{sign} {name:?}: {},\n",
                    value.unwrap_or(&Value::Null)
                ));
            }
        }
    }
    lines
}

pub(super) fn problems(kind: &ResourceType, claim: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if is_claim(kind) {
        let request = &claim["spec"]["resources"]["requests"]["storage"];
        if !request.is_null() && Quantity::of(request).is_none_or(|size| size == Quantity::ZERO) {
            causes.push(Cause::invalid(
                "spec.resources[storage]",
                request,
                "must be greater than zero",
            ));
        }
        for mode in claim["spec"]["accessModes"]
            .as_array()
            .into_iter()
            .flatten()
        {
            const MODES: [&str; 4] = [
                "ReadOnlyMany",
                "ReadWriteMany",
                "ReadWriteOnce",
                "ReadWriteOncePod",
            ];
            if !MODES.iter().any(|known| mode == known) {
                causes.push(Cause::unsupported("spec.accessModes", mode, &MODES));
            }
        }
    }
    causes
}
