//! Reading, creating, replacing and deleting single objects.

use std::sync::Arc;

use serde_json::{Value, json};

use super::request::{Parts, Target};
use super::respond::{Answer, Shape, success};
use super::{App, Call, body, convert, list, table};
use crate::auth::rbac;
use crate::catalogue::ResourceType;
use crate::error::ApiError;
use crate::identity::UserInfo;
use crate::metadata;
use crate::store::{DeleteOptions, Propagation, Store};
use crate::write::{Deleted, Part, Write};

/// An object in the shape that was asked for.
pub(crate) fn shaped(call: &Call, kind: &ResourceType, object: &Value) -> Value {
    let object = convert::outgoing(kind, object);
    match call.request.accept.shape {
        Shape::Object | Shape::Aggregated => object,
        Shape::Metadata => partial(&object),
        Shape::Table => table::table(
            kind,
            std::slice::from_ref(&object),
            json!({"resourceVersion": object["metadata"]["resourceVersion"]}),
            call.request.param("includeObject"),
        ),
    }
}

/// The metadata of an object alone.
pub(crate) fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"],
    })
}

pub(crate) fn get(app: &App, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let object = app
        .store
        .get(&target.kind.storage(), target.namespace(), target.name())
        .ok_or_else(|| ApiError::not_found(&target.kind, target.name()))?;
    Ok(Answer::json(shaped(call, &target.kind, &object)))
}

pub(crate) fn create(app: &App, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let dry_run = call.request.dry_run("CreateOptions")?;
    let read = body::object(&target.kind, &call.request)?;
    require_rights(app, call, target, &read.object)?;
    let manager = call.request.manager();
    let write = Write {
        user: Some(&call.user),
        manager: &manager,
        dry_run,
        ..Write::system()
    };
    let kind = stored_kind(app, &target.kind);
    let object = convert::incoming(&target.kind, &kind, read.object);
    let made = app
        .store
        .create_with(&kind, target.namespace(), object, &write)?;
    Ok(Answer::created(shaped(call, &target.kind, &made)).warn(read.warnings))
}

pub(crate) fn update(app: &App, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let dry_run = call.request.dry_run("UpdateOptions")?;
    let read = body::object(&target.kind, &call.request)?;
    require_rights(app, call, target, &read.object)?;
    require_place(target, &read.object)?;
    let manager = call.request.manager();
    let write = Write {
        user: Some(&call.user),
        manager: &manager,
        dry_run,
        ..Write::system()
    };
    let kind = stored_kind(app, &target.kind);
    let object = convert::incoming(&target.kind, &kind, read.object);
    let changed =
        app.store
            .update_with(&kind, target.namespace(), target.name(), &write, |_| {
                Ok(object)
            })?;
    Ok(Answer::json(shaped(call, &target.kind, &changed)).warn(read.warnings))
}

/// Refuses an object whose metadata names another place than the path.
pub(crate) fn require_place(target: &Target, object: &Value) -> Result<(), ApiError> {
    let namespace = metadata::namespace(object).filter(|namespace| !namespace.is_empty());
    if let (Some(sent), Some(wanted)) = (namespace, target.namespace())
        && sent != wanted
    {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

/// The type in whose version objects are kept.
pub(crate) fn stored_kind(app: &App, kind: &Arc<ResourceType>) -> Arc<ResourceType> {
    app.store
        .catalogue()
        .stored(&kind.storage())
        .unwrap_or_else(|| Arc::clone(kind))
}

/// Nobody gives away rights that they do not have: neither by a role, nor by binding one, nor by an
/// owner reference that holds up its owner's deletion.
pub(crate) fn require_rights(
    app: &App,
    call: &Call,
    target: &Target,
    object: &Value,
) -> Result<(), ApiError> {
    require_grants(
        &app.store,
        &call.user,
        &target.kind,
        target.namespace(),
        object,
    )
}

/// The same, wherever somebody's object comes from.
pub(crate) fn require_grants(
    store: &Store,
    user: &UserInfo,
    kind: &ResourceType,
    namespace: Option<&str>,
    object: &Value,
) -> Result<(), ApiError> {
    if user.is_master() {
        return Ok(());
    }
    let state = store.state();
    if kind.group == "rbac.authorization.k8s.io" || kind.group == "authorization.openshift.io" {
        let wanted = if kind.plural.ends_with("bindings") {
            let reference = &object["roleRef"];
            let bind = rbac::Attributes {
                verb: "bind",
                group: "rbac.authorization.k8s.io",
                resource: if reference["kind"] == "Role" {
                    "roles"
                } else {
                    "clusterroles"
                },
                namespace,
                name: reference["name"].as_str(),
                ..rbac::Attributes::default()
            };
            if rbac::allowed(&state, user, &bind).is_some() {
                return Ok(());
            }
            rbac::rules_of(&state, namespace, reference).ok_or_else(|| {
                ApiError::not_found_named(
                    "rbac.authorization.k8s.io",
                    bind.resource,
                    reference["name"].as_str().unwrap_or_default(),
                )
            })?
        } else {
            object["rules"].as_array().cloned().unwrap_or_default()
        };
        let missing = rbac::escalation(&state, user, namespace, &wanted);
        if !missing.is_empty() {
            let groups: Vec<String> = user.groups.iter().map(|one| format!("{one:?}")).collect();
            let rules: Vec<String> = missing.iter().map(rbac::show).collect();
            return Err(ApiError::forbidden(
                &kind.group,
                &kind.plural,
                metadata::name(object),
                format!(
                    "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
                    user.name,
                    groups.join(" "),
                    rules.join("\n")
                ),
            ));
        }
    }
    for owner in object["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|owner| owner["blockOwnerDeletion"] == true)
    {
        let (api_version, name) = (&owner["apiVersion"], &owner["kind"]);
        let owner_kind = store.catalogue().find_kind(
            api_version.as_str().unwrap_or_default(),
            name.as_str().unwrap_or_default(),
        );
        let allowed = owner_kind.as_ref().is_some_and(|owner_kind| {
            let attributes = rbac::Attributes {
                verb: "update",
                group: &owner_kind.group,
                resource: &owner_kind.plural,
                subresource: Some("finalizers"),
                namespace,
                name: owner["name"].as_str(),
            };
            rbac::allowed(&state, user, &attributes).is_some()
        });
        if !allowed {
            return Err(ApiError::forbidden(
                &kind.group,
                &kind.plural,
                metadata::name(object),
                "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set \
                 finalizers on: , <nil>",
            ));
        }
    }
    Ok(())
}

/// Reads what a deletion asks for, from its body and its query.
pub(crate) fn delete_options(parts: &Parts) -> Result<(DeleteOptions, bool), ApiError> {
    let body = if parts.body.is_empty() {
        Value::Null
    } else {
        match parts.content_type().as_str() {
            "application/yaml" => body::yaml(&parts.body)?,
            "" | "application/json" => body::json("DeleteOptions", &parts.body)?,
            "application/vnd.kubernetes.protobuf" => super::protobuf::decode(&parts.body)?,
            _ => {
                return Err(ApiError::unsupported_media_types(&[
                    "application/json",
                    "application/yaml",
                ]));
            }
        }
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut dry_run = parts.dry_run("DeleteOptions")?;
    match &body["dryRun"] {
        Value::Null => {}
        list if *list == json!([]) => {}
        list if *list == json!(["All"]) => dry_run = true,
        list => {
            return Err(ApiError::invalid(
                "meta.k8s.io",
                "DeleteOptions",
                "",
                &[crate::error::Cause::unsupported("dryRun", list, &["All"])],
            ));
        }
    }
    let policy = text(&body["propagationPolicy"])
        .or_else(|| parts.param("propagationPolicy").map(str::to_owned));
    let propagation = match (policy.as_deref(), body["orphanDependents"].as_bool()) {
        (Some("Background"), _) => Some(Propagation::Background),
        (Some("Foreground"), _) => Some(Propagation::Foreground),
        (Some("Orphan"), _) => Some(Propagation::Orphan),
        (Some(other), _) => {
            return Err(ApiError::invalid(
                "meta.k8s.io",
                "DeleteOptions",
                "",
                &[crate::error::Cause::invalid(
                    "propagationPolicy",
                    &json!(other),
                    "must be one of: Background, Foreground, Orphan",
                )],
            ));
        }
        (None, Some(true)) => Some(Propagation::Orphan),
        (None, Some(false)) => Some(Propagation::Background),
        (None, None) => None,
    };
    let grace_period_seconds = body["gracePeriodSeconds"]
        .as_i64()
        .or_else(|| parts.param("gracePeriodSeconds")?.parse().ok());
    let options = DeleteOptions {
        uid: text(&body["preconditions"]["uid"]),
        resource_version: text(&body["preconditions"]["resourceVersion"]),
        grace_period_seconds,
        propagation,
    };
    Ok((options, dry_run))
}

pub(crate) fn delete(app: &App, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let (options, dry_run) = delete_options(&call.request)?;
    let write = Write {
        user: Some(&call.user),
        dry_run,
        part: Part::Main,
        ..Write::system()
    };
    let deleted = app.store.delete_with(
        &target.kind,
        target.namespace(),
        target.name(),
        &options,
        &write,
    )?;
    Ok(Answer::json(deletion(call, &target.kind, &deleted)))
}

/// What a deletion answers: the object if it is still there, else what was deleted.
fn deletion(call: &Call, kind: &ResourceType, deleted: &Deleted) -> Value {
    let returns_object = matches!(
        (kind.group.as_str(), kind.plural.as_str()),
        (
            "",
            "pods"
                | "services"
                | "persistentvolumeclaims"
                | "persistentvolumes"
                | "serviceaccounts"
                | "podtemplates"
                | "resourcequotas"
        )
    );
    if !deleted.gone || returns_object {
        return shaped(call, kind, &deleted.object);
    }
    let mut details = json!({
        "name": metadata::name(&deleted.object),
        "kind": kind.plural,
        "uid": deleted.object["metadata"]["uid"],
    });
    if !kind.group.is_empty() {
        details["group"] = json!(kind.group);
    }
    success(details)
}

pub(crate) fn delete_collection(
    app: &App,
    call: &Call,
    target: &Target,
) -> Result<Answer, ApiError> {
    let (options, dry_run) = delete_options(&call.request)?;
    let selection = list::Selection::read(&target.kind, &call.request)?;
    let write = Write {
        user: Some(&call.user),
        dry_run,
        ..Write::system()
    };
    let found: Vec<Value> = app
        .store
        .list(&target.kind.storage(), target.namespace())
        .into_iter()
        .filter(|object| selection.matches(object))
        .collect();
    let mut items = Vec::new();
    for object in found {
        let deleted = app.store.delete_with(
            &target.kind,
            metadata::namespace(&object),
            metadata::name(&object),
            &options,
            &write,
        );
        match deleted {
            Ok(deleted) => items.push(Value::clone(&deleted.object)),
            Err(error) if error.code() == 404 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Answer::json(list::document(
        app,
        call,
        &target.kind,
        items,
        json!({"resourceVersion": app.store.revision().to_string()}),
    )))
}
