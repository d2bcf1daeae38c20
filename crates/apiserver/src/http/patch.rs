//! Patches: JSON, merge, strategic merge, and server-side apply.

use serde_json::{Map, Value, json};

use super::request::Target;
use super::respond::Answer;
use super::{App, Call, body, convert, handlers};
use crate::catalogue::ResourceType;
use crate::error::{ApiError, Cause};
use crate::fields;
use crate::metadata;
use crate::write::{Part, Write};

/// A patch that was read.
pub(crate) enum Patch {
    Json(json_patch::Patch),
    Merge(Value),
    Strategic(Value),
}

impl Patch {
    /// Reads a patch by the type of its body; none if it is an apply.
    pub(crate) fn read(kind: &ResourceType, call: &Call) -> Result<Option<Self>, ApiError> {
        let bytes = &call.request.body;
        let bad = |error: serde_json::Error| {
            ApiError::bad_request(format!("error decoding patch: {error}"))
        };
        let object = || -> Result<Value, ApiError> {
            let patch: Value = serde_json::from_slice(bytes).map_err(bad)?;
            if patch.is_object() {
                Ok(patch)
            } else {
                Err(ApiError::bad_request(
                    "error decoding patch: it is no JSON object",
                ))
            }
        };
        Ok(Some(match call.request.content_type().as_str() {
            "application/json-patch+json" => {
                Self::Json(serde_json::from_slice(bytes).map_err(bad)?)
            }
            "application/merge-patch+json" => Self::Merge(object()?),
            "application/strategic-merge-patch+json" if kind.custom.is_some() => {
                return Err(ApiError::unsupported_media_types(&[
                    "application/json-patch+json",
                    "application/merge-patch+json",
                    "application/apply-patch+yaml",
                ]));
            }
            "application/strategic-merge-patch+json" => Self::Strategic(object()?),
            "application/apply-patch+yaml" => return Ok(None),
            _ => return Err(ApiError::unsupported_media_type()),
        }))
    }

    /// The object as it is after the patch.
    pub(crate) fn apply(&self, kind: &ResourceType, current: &Value) -> Result<Value, ApiError> {
        let mut object = current.clone();
        match self {
            Self::Json(patch) => {
                json_patch::patch(&mut object, patch).map_err(|_| ApiError::unprocessable())?;
            }
            Self::Merge(patch) => json_patch::merge(&mut object, patch),
            Self::Strategic(patch) => strategic(kind, &[], &mut object, patch)?,
        }
        Ok(object)
    }
}

pub(crate) fn patch(app: &App, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let dry_run = call.request.dry_run("PatchOptions")?;
    let kind = &target.kind;
    let stored = handlers::stored_kind(app, kind);
    let manager = call.request.manager();
    let Some(patch) = Patch::read(kind, call)? else {
        return apply(app, call, target, dry_run);
    };
    let write = Write {
        user: Some(&call.user),
        manager: &manager,
        dry_run,
        ..Write::system()
    };
    // The rights are checked on what the patch comes to now; the write below repeats the patch on
    // what is there then.
    if let Some(current) = app
        .store
        .get(&kind.storage(), target.namespace(), target.name())
    {
        let object = patch.apply(kind, &convert::outgoing(kind, &current))?;
        handlers::require_rights(app, call, target, &object)?;
    }
    let mut warnings = Vec::new();
    let changed = app.store.update_with(
        &stored,
        target.namespace(),
        target.name(),
        &write,
        |current| {
            let object = patch.apply(kind, &convert::outgoing(kind, current))?;
            let read = body::typed(kind, &call.request, object)?;
            handlers::require_place(target, &read.object)?;
            warnings = read.warnings;
            Ok(convert::incoming(kind, &stored, read.object))
        },
    )?;
    Ok(Answer::json(handlers::shaped(call, kind, &changed)).warn(warnings))
}

/// Merges a strategic merge patch in.
fn strategic(
    kind: &ResourceType,
    path: &[String],
    object: &mut Value,
    patch: &Value,
) -> Result<(), ApiError> {
    let Value::Object(changes) = patch else {
        *object = patch.clone();
        return Ok(());
    };
    match changes.get("$patch").and_then(Value::as_str) {
        Some("replace") => {
            let mut new = changes.clone();
            new.remove("$patch");
            *object = Value::Object(new);
            return Ok(());
        }
        Some("delete") => {
            *object = json!({});
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => {
            return Err(ApiError::bad_request(format!(
                "unknown patch type {other:?}"
            )));
        }
    }
    if !object.is_object() {
        *object = json!({});
    }
    let Value::Object(map) = object else {
        return Ok(());
    };
    if let Some(keep) = changes.get("$retainKeys").and_then(Value::as_array) {
        map.retain(|field, _| keep.iter().any(|one| one == field));
    }
    for (field, change) in changes {
        let mut inner = path.to_vec();
        if let Some(list) = field.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = change.as_array().cloned().unwrap_or_default();
            if let Some(Value::Array(items)) = map.get_mut(list) {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if field.starts_with('$') {
            continue;
        }
        inner.push(field.clone());
        match change {
            Value::Null => {
                map.remove(field);
            }
            Value::Object(_) => {
                let value = map.entry(field.clone()).or_insert_with(|| json!({}));
                strategic(kind, &inner, value, change)?;
            }
            Value::Array(items) => {
                let old = map.remove(field);
                let merged = strategic_list(kind, &inner, old, items)?;
                let order = changes
                    .get(&format!("$setElementOrder/{field}"))
                    .and_then(Value::as_array);
                map.insert(field.clone(), ordered(kind, &inner, merged, order));
            }
            _ => {
                map.insert(field.clone(), change.clone());
            }
        }
    }
    Ok(())
}

fn strategic_list(
    kind: &ResourceType,
    path: &[String],
    old: Option<Value>,
    items: &[Value],
) -> Result<Vec<Value>, ApiError> {
    let old = match old {
        Some(Value::Array(old)) => old,
        _ => Vec::new(),
    };
    let is_set = path.last().is_some_and(|field| field == "finalizers");
    if is_set {
        let mut merged = old;
        for item in items {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        return Ok(merged);
    }
    let Some(key) = fields::merge_key(kind, path) else {
        return Ok(items.to_vec());
    };
    if items.iter().any(|item| item["$patch"] == "replace") {
        return Ok(items
            .iter()
            .filter(|item| item["$patch"].is_null())
            .cloned()
            .collect());
    }
    let mut merged = old;
    for item in items {
        if item[key].is_null() {
            return Err(ApiError::bad_request(format!(
                "map: {item} does not contain declared merge key: {key}"
            )));
        }
        let at = merged.iter().position(|one| one[key] == item[key]);
        match (item["$patch"].as_str(), at) {
            (Some("delete"), Some(at)) => {
                merged.remove(at);
            }
            (Some("delete"), None) => {}
            (_, Some(at)) => strategic(kind, path, &mut merged[at], item)?,
            (_, None) => {
                let mut new = json!({});
                strategic(kind, path, &mut new, item)?;
                merged.push(new);
            }
        }
    }
    Ok(merged)
}

/// Puts a list into the order that a patch asks for; what it does not name keeps its place after it.
fn ordered(
    kind: &ResourceType,
    path: &[String],
    mut items: Vec<Value>,
    order: Option<&Vec<Value>>,
) -> Value {
    if let Some(order) = order {
        let key = fields::merge_key(kind, path);
        let place = |item: &Value| {
            order
                .iter()
                .position(|one| match key {
                    Some(key) => one[key] == item[key],
                    None => one == item,
                })
                .unwrap_or(order.len())
        };
        items.sort_by_key(place);
    }
    Value::Array(items)
}

fn apply(app: &App, call: &Call, target: &Target, dry_run: bool) -> Result<Answer, ApiError> {
    let Some(manager) = call.request.param("fieldManager") else {
        return Err(ApiError::invalid(
            "meta.k8s.io",
            "PatchOptions",
            "",
            &[Cause::required(
                "fieldManager",
                "is required for apply patch",
            )],
        ));
    };
    let kind = &target.kind;
    let stored = handlers::stored_kind(app, kind);
    let mut applied = body::yaml(&call.request.body)?;
    for field in ["apiVersion", "kind"] {
        if !applied[field].is_string() {
            return Err(ApiError::bad_request(format!(
                "{field} must be set for an apply"
            )));
        }
    }
    if !applied["metadata"]["managedFields"].is_null() {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    let meta = metadata::of(&mut applied)?;
    let name = meta.entry("name").or_insert_with(|| json!(target.name()));
    if name != target.name() {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            name.as_str().unwrap_or_default(),
            target.name()
        )));
    }
    let read = body::typed(kind, &call.request, applied)?;
    handlers::require_place(target, &read.object)?;
    handlers::require_rights(app, call, target, &read.object)?;
    let applied = convert::incoming(kind, &stored, read.object);
    let force = call.request.flag("force");
    let write = Write {
        user: Some(&call.user),
        manager,
        dry_run,
        part: Part::Main,
        managed: true,
    };
    let exists = app
        .store
        .get(&stored.storage(), target.namespace(), target.name())
        .is_some();
    if !exists {
        let mut object = applied.clone();
        let set = fields::set_of(&stored, &applied);
        object["metadata"]["managedFields"] =
            json!([fields::entry(&stored, manager, "Apply", None, set)]);
        let made = app
            .store
            .create_with(&stored, target.namespace(), object, &write)?;
        return Ok(Answer::created(handlers::shaped(call, kind, &made)).warn(read.warnings));
    }
    let changed = app.store.update_with(
        &stored,
        target.namespace(),
        target.name(),
        &write,
        |current| apply_to(&stored, current, &applied, manager, force),
    )?;
    Ok(Answer::json(handlers::shaped(call, kind, &changed)).warn(read.warnings))
}

/// The object after an apply: merged, without what this manager no longer speaks of.
fn apply_to(
    kind: &ResourceType,
    current: &Value,
    applied: &Value,
    manager: &str,
    force: bool,
) -> Result<Value, ApiError> {
    let set = fields::set_of(kind, applied);
    let mut entries: Vec<Value> = current["metadata"]["managedFields"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let is_mine = |entry: &Value| {
        entry["manager"] == manager
            && entry["operation"] == "Apply"
            && entry["subresource"].is_null()
    };
    let before = entries
        .iter()
        .position(is_mine)
        .map(|at| entries.remove(at)["fieldsV1"].take());
    let mut conflicts = Vec::new();
    for entry in &mut entries {
        let mut owned = entry["fieldsV1"].take();
        for path in fields::common(&set, &owned) {
            let is = fields::value_at(kind, current, &path);
            if is == fields::value_at(kind, applied, &path) {
                continue;
            }
            conflicts.push((who(entry), fields::show(&path)));
            owned = fields::subtract(&owned, &fields::single(&path));
        }
        entry["fieldsV1"] = owned;
    }
    if !conflicts.is_empty() && !force {
        return Err(ApiError::apply_conflict(&conflicts));
    }
    let mut object = fields::merge(kind, &[], current, applied);
    if let Some(before) = before {
        let mut gone = fields::subtract(&before, &set);
        for entry in &entries {
            gone = fields::subtract(&gone, &entry["fieldsV1"]);
        }
        fields::remove(kind, &[], &mut object, &gone);
    }
    entries.retain(|entry| {
        entry["fieldsV1"]
            .as_object()
            .is_some_and(|set: &Map<_, _>| !set.is_empty())
    });
    if set.as_object().is_some_and(|set| !set.is_empty()) {
        entries.insert(0, fields::entry(kind, manager, "Apply", None, set));
    }
    object["metadata"]["managedFields"] = json!(entries);
    Ok(object)
}

/// A manager as the words of a conflict name it.
fn who(entry: &Value) -> String {
    let mut text = format!("{:?}", entry["manager"].as_str().unwrap_or_default());
    if let Some(subresource) = entry["subresource"].as_str() {
        text.push_str(&format!(" with subresource {subresource:?}"));
    }
    if entry["operation"] == "Update" {
        text.push_str(&format!(
            " using {}",
            entry["apiVersion"].as_str().unwrap_or_default()
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn a_strategic_merge_patch_tells_items_apart_by_key() {
        let kind = Catalogue::new(true)
            .find("apps", "v1", "deployments")
            .unwrap();
        let mut object = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "a", "image": "x", "env": [{"name": "K", "value": "1"}]},
            {"name": "b", "image": "y"},
        ]}}}});
        let patch = json!({"spec": {"template": {"spec": {
            "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
            "containers": [
                {"name": "a", "env": [{"name": "L", "value": "2"}]},
                {"name": "b", "$patch": "delete"},
                {"name": "c", "image": "z"},
            ],
        }}}});
        strategic(&kind, &[], &mut object, &patch).unwrap();
        assert_eq!(
            object["spec"]["template"]["spec"]["containers"],
            json!([
                {"name": "a", "image": "x", "env": [{"name": "K", "value": "1"}, {"name": "L", "value": "2"}]},
                {"name": "c", "image": "z"},
            ])
        );
    }

    #[test]
    fn an_apply_takes_away_what_its_manager_no_longer_says() {
        let kind = Catalogue::new(true).find("", "v1", "configmaps").unwrap();
        let object = |data: Value| json!({"metadata": {"name": "a"}, "data": data});
        let first = apply_to(
            &kind,
            &object(json!({})),
            &object(json!({"a": "1", "b": "1"})),
            "one",
            false,
        )
        .unwrap();
        let second = apply_to(&kind, &first, &object(json!({"a": "1"})), "one", false).unwrap();
        assert_eq!(second["data"], json!({"a": "1"}));
        let error = apply_to(&kind, &second, &object(json!({"a": "2"})), "two", false).unwrap_err();
        assert_eq!(
            error.message(),
            "Apply failed with 1 conflict: conflict with \"one\": .data.a"
        );
        let third = apply_to(&kind, &second, &object(json!({"a": "2"})), "two", true).unwrap();
        assert_eq!(
            third["metadata"]["managedFields"].as_array().unwrap().len(),
            1
        );
    }
}
