//! Field ownership: `managedFields`, and how lists and maps of the built-in kinds merge.
//!
//! A set of fields is kept in the form of `fieldsV1`: `{"f:spec": {"f:replicas": {}}}`, with `k:{…}` for
//! list items by key, `v:…` for items of sets, and `.` for the item itself.

use serde_json::{Map, Value, json};

use crate::catalogue::ResourceType;
use crate::metadata;

/// How the items of a list are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// By these keys.
    Map(Vec<String>),
    /// By their value.
    Set,
    /// Not at all: the list is one value.
    Atomic,
}

fn keys(keys: &[&str]) -> ListKind {
    ListKind::Map(keys.iter().map(|&key| key.to_owned()).collect())
}

/// How a list merges in a server-side apply. `path` holds the field names down to the list.
pub(crate) fn list_kind(kind: &ResourceType, path: &[String]) -> ListKind {
    if path.first().is_some_and(|first| first != "metadata")
        && let Some(custom) = &kind.custom
    {
        let schema = path.iter().fold(&custom.schema, |schema, field| {
            let schema = if schema["items"].is_object() {
                &schema["items"]
            } else {
                schema
            };
            &schema["properties"][field]
        });
        return match schema["x-kubernetes-list-type"].as_str() {
            Some("map") => ListKind::Map(
                schema["x-kubernetes-list-map-keys"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect(),
            ),
            Some("set") => ListKind::Set,
            _ => ListKind::Atomic,
        };
    }
    let last = path.last().map_or("", String::as_str);
    let parent = path.iter().rev().nth(1).map_or("", String::as_str);
    match last {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "schedulingGates" => keys(&["name"]),
        "secrets" if kind.plural == "serviceaccounts" => keys(&["name"]),
        "volumeMounts" => keys(&["mountPath"]),
        "volumeDevices" => keys(&["devicePath"]),
        "ports" if parent.to_lowercase().ends_with("containers") => {
            keys(&["containerPort", "protocol"])
        }
        "ports" if kind.plural == "services" => keys(&["port", "protocol"]),
        "conditions" if path.first().is_some_and(|first| first == "status") => keys(&["type"]),
        "ownerReferences" => keys(&["uid"]),
        "hostAliases" => keys(&["ip"]),
        "topologySpreadConstraints" => keys(&["topologyKey", "whenUnsatisfiable"]),
        "alternateBackends" => keys(&["kind", "name"]),
        "finalizers" => ListKind::Set,
        _ => ListKind::Atomic,
    }
}

/// The one key by which a strategic merge patch tells items of a list apart.
pub(crate) fn merge_key(kind: &ResourceType, path: &[String]) -> Option<&'static str> {
    let last = path.last().map_or("", String::as_str);
    let parent = path.iter().rev().nth(1).map_or("", String::as_str);
    Some(match last {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "schedulingGates" => "name",
        "secrets" if kind.plural == "serviceaccounts" => "name",
        "volumeMounts" => "mountPath",
        "volumeDevices" => "devicePath",
        "ports" if parent.to_lowercase().ends_with("containers") => "containerPort",
        "ports" if kind.plural == "services" => "port",
        "conditions" | "addresses" if parent == "status" => "type",
        "ownerReferences" => "uid",
        "hostAliases" | "podIPs" | "hostIPs" => "ip",
        "taints" => "key",
        "topologySpreadConstraints" => "topologyKey",
        _ => return None,
    })
}

/// Whether a map is one value.
fn is_atomic_map(kind: &ResourceType, path: &[String]) -> bool {
    match path.last().map_or("", String::as_str) {
        "selector" | "labelSelector" | "podSelector" | "namespaceSelector" => {
            kind.custom.is_none() && !kind.group.ends_with(".openshift.io")
        }
        "nodeSelector" | "secretKeyRef" | "configMapKeyRef" | "fieldRef" | "resourceFieldRef"
        | "scaleTargetRef" | "roleRef" => kind.custom.is_none(),
        _ => false,
    }
}

/// The value of an item's key; a missing protocol is TCP.
fn key_value(item: &Value, key: &str) -> Value {
    match &item[key] {
        Value::Null if key == "protocol" => json!("TCP"),
        value => value.clone(),
    }
}

fn item_key(item: &Value, keys: &[String]) -> String {
    let key: Map<String, Value> = keys
        .iter()
        .map(|key| (key.clone(), key_value(item, key)))
        .collect();
    format!("k:{}", Value::Object(key))
}

fn down(path: &[String], field: &str) -> Vec<String> {
    let mut path = path.to_vec();
    path.push(field.to_owned());
    path
}

/// The parts of an object that have owners.
fn owned_part(object: &Value, subresource: Option<&str>) -> Value {
    let mut part = object.clone();
    let Value::Object(map) = &mut part else {
        return json!({});
    };
    map.remove("apiVersion");
    map.remove("kind");
    match subresource {
        Some(subresource) => map.retain(|field, _| field == subresource),
        None => {
            map.remove("status");
        }
    }
    if let Some(Value::Object(meta)) = map.get_mut("metadata") {
        meta.retain(|field, _| {
            matches!(
                field.as_str(),
                "labels" | "annotations" | "finalizers" | "ownerReferences"
            )
        });
        if meta.is_empty() {
            map.remove("metadata");
        }
    }
    part
}

/// All fields of a value, or those that differ from an older one.
fn differing(
    kind: &ResourceType,
    path: &[String],
    old: Option<&Value>,
    new: &Value,
    dots: bool,
) -> Value {
    let mut set = Map::new();
    match new {
        Value::Object(map) if !map.is_empty() && !is_atomic_map(kind, path) => {
            let is_plain_map = matches!(
                path.last().map_or("", String::as_str),
                "labels" | "annotations" | "data" | "binaryData" | "requests" | "limits"
            );
            if dots && is_plain_map && old.is_none() {
                set.insert(".".to_owned(), json!({}));
            }
            for (field, value) in map {
                let before = old.and_then(|old| old.get(field));
                if before != Some(value) {
                    let inner = differing(kind, &down(path, field), before, value, dots);
                    set.insert(format!("f:{field}"), inner);
                }
            }
        }
        Value::Array(items) => match list_kind(kind, path) {
            ListKind::Atomic => {}
            ListKind::Set => {
                let before = old.and_then(Value::as_array);
                for item in items {
                    if !before.is_some_and(|before| before.contains(item)) {
                        set.insert(format!("v:{item}"), json!({}));
                    }
                }
            }
            ListKind::Map(keys) => {
                let before = old.and_then(Value::as_array);
                for item in items {
                    let key = item_key(item, &keys);
                    let was = before
                        .into_iter()
                        .flatten()
                        .find(|one| item_key(one, &keys) == key);
                    if was == Some(item) {
                        continue;
                    }
                    let mut inner = differing(kind, path, was, item, dots);
                    if was.is_none() {
                        inner["."] = json!({});
                    }
                    set.insert(key, inner);
                }
            }
        },
        _ => {}
    }
    Value::Object(set)
}

/// All fields that an applied object speaks of.
pub(crate) fn set_of(kind: &ResourceType, object: &Value) -> Value {
    differing(kind, &[], None, &owned_part(object, None), false)
}

fn is_leaf(set: &Value) -> bool {
    set.as_object().is_none_or(Map::is_empty)
}

fn union(a: &Value, b: &Value) -> Value {
    let mut all = a.as_object().cloned().unwrap_or_default();
    for (field, inner) in b.as_object().into_iter().flatten() {
        let merged = match all.get(field) {
            Some(known) => union(known, inner),
            None => inner.clone(),
        };
        all.insert(field.clone(), merged);
    }
    Value::Object(all)
}

/// `a` without what is in `b`; whatever becomes empty goes too.
pub(crate) fn subtract(a: &Value, b: &Value) -> Value {
    let mut left = Map::new();
    for (field, inner) in a.as_object().into_iter().flatten() {
        match b.get(field) {
            None => {
                left.insert(field.clone(), inner.clone());
            }
            Some(_) if is_leaf(inner) => {}
            Some(other) if is_leaf(other) => {}
            Some(other) => {
                let rest = subtract(inner, other);
                let only_itself = rest
                    .as_object()
                    .is_some_and(|rest| rest.len() == 1 && rest.contains_key("."));
                let shell = only_itself && other.get(".").is_some();
                if !(shell || is_leaf(&rest)) {
                    left.insert(field.clone(), rest);
                }
            }
        }
    }
    Value::Object(left)
}

/// The leaves that both have, as paths.
pub(crate) fn common(a: &Value, b: &Value) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for (field, inner) in a.as_object().into_iter().flatten() {
        let Some(other) = b.get(field).filter(|_| field != ".") else {
            continue;
        };
        if is_leaf(inner) || is_leaf(other) {
            paths.push(vec![field.clone()]);
            continue;
        }
        for mut path in common(inner, other) {
            path.insert(0, field.clone());
            paths.push(path);
        }
    }
    paths
}

/// A path as the words of a conflict show it.
pub(crate) fn show(path: &[String]) -> String {
    let mut text = String::new();
    for part in path {
        if let Some(field) = part.strip_prefix("f:") {
            text.push('.');
            text.push_str(field);
        } else if let Some(key) = part.strip_prefix("k:") {
            let key: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
            let key: Vec<String> = key
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            text.push_str(&format!("[{}]", key.join(",")));
        } else if let Some(value) = part.strip_prefix("v:") {
            text.push_str(&format!("[={value}]"));
        }
    }
    text
}

/// The set that holds one path alone.
pub(crate) fn single(path: &[String]) -> Value {
    path.iter()
        .rev()
        .fold(json!({}), |inner, part| json!({ part: inner }))
}

/// The value at a path.
pub(crate) fn value_at<'a>(kind: &ResourceType, object: &'a Value, path: &[String]) -> &'a Value {
    let mut fields = Vec::new();
    let mut value = object;
    for part in path {
        if let Some(field) = part.strip_prefix("f:") {
            fields.push(field.to_owned());
            value = &value[field];
        } else if part.starts_with("k:") {
            let ListKind::Map(keys) = list_kind(kind, &fields) else {
                return &Value::Null;
            };
            let found = value
                .as_array()
                .into_iter()
                .flatten()
                .find(|item| item_key(item, &keys) == *part);
            value = found.unwrap_or(&Value::Null);
        }
    }
    value
}

/// Merges an applied value into the present one.
pub(crate) fn merge(
    kind: &ResourceType,
    path: &[String],
    current: &Value,
    applied: &Value,
) -> Value {
    match (current, applied) {
        (Value::Object(old), Value::Object(new)) if !is_atomic_map(kind, path) => {
            let mut merged = old.clone();
            for (field, value) in new {
                let value = match old.get(field) {
                    Some(before) => merge(kind, &down(path, field), before, value),
                    None => value.clone(),
                };
                merged.insert(field.clone(), value);
            }
            Value::Object(merged)
        }
        (Value::Array(old), Value::Array(new)) => match list_kind(kind, path) {
            ListKind::Atomic => applied.clone(),
            ListKind::Set => {
                let mut merged = old.clone();
                merged.extend(new.iter().filter(|item| !old.contains(item)).cloned());
                Value::Array(merged)
            }
            ListKind::Map(keys) => {
                let mut merged = old.clone();
                for item in new {
                    let key = item_key(item, &keys);
                    match merged.iter_mut().find(|one| item_key(one, &keys) == key) {
                        Some(one) => *one = merge(kind, path, one, item),
                        None => merged.push(item.clone()),
                    }
                }
                Value::Array(merged)
            }
        },
        _ => applied.clone(),
    }
}

/// Removes the fields of a set from an object.
pub(crate) fn remove(kind: &ResourceType, path: &[String], object: &mut Value, set: &Value) {
    for (part, inner) in set.as_object().into_iter().flatten() {
        if let Some(field) = part.strip_prefix("f:") {
            let Value::Object(map) = object else { continue };
            if is_leaf(inner) {
                map.remove(field);
            } else if let Some(value) = map.get_mut(field) {
                remove(kind, &down(path, field), value, inner);
                // What a set emptied was there for its content.
                let empty = match value {
                    Value::Object(map) => map.is_empty(),
                    Value::Array(items) => items.is_empty(),
                    _ => false,
                };
                if empty {
                    map.remove(field);
                }
            }
        } else if part.starts_with("k:") {
            let (Value::Array(items), ListKind::Map(keys)) = (&mut *object, list_kind(kind, path))
            else {
                continue;
            };
            let Some(at) = items.iter().position(|item| item_key(item, &keys) == *part) else {
                continue;
            };
            if inner.get(".").is_some() || is_leaf(inner) {
                items.remove(at);
            } else {
                remove(kind, path, &mut items[at], inner);
            }
        } else if let Some(value) = part.strip_prefix("v:")
            && let Value::Array(items) = object
        {
            let gone: Value = serde_json::from_str(value).unwrap_or_default();
            items.retain(|item| *item != gone);
        }
    }
}

/// One entry of `managedFields`.
pub(crate) fn entry(
    kind: &ResourceType,
    manager: &str,
    operation: &str,
    subresource: Option<&str>,
    set: Value,
) -> Value {
    let mut entry = json!({
        "manager": manager,
        "operation": operation,
        "apiVersion": kind.api_version(),
        "time": metadata::now(),
        "fieldsType": "FieldsV1",
        "fieldsV1": set,
    });
    if let Some(subresource) = subresource {
        entry["subresource"] = json!(subresource);
    }
    entry
}

/// Notes in `managedFields` what a manager changed.
pub(crate) fn track(
    kind: &ResourceType,
    current: Option<&Value>,
    object: &mut Value,
    manager: &str,
    subresource: Option<&str>,
) {
    let new = owned_part(object, subresource);
    let old = current.map(|current| owned_part(current, subresource));
    let changed = differing(kind, &[], old.as_ref(), &new, true);
    let gone = old.map(|old| {
        subtract(
            &differing(kind, &[], None, &old, true),
            &differing(kind, &[], None, &new, true),
        )
    });
    let mut entries: Vec<Value> = current
        .and_then(|current| current["metadata"]["managedFields"].as_array())
        .cloned()
        .unwrap_or_default();
    for entry in &mut entries {
        let mut set = entry["fieldsV1"].take();
        if entry["manager"] != manager || entry["operation"] != "Update" {
            for path in common(&set, &changed) {
                set = subtract(&set, &single(&path));
            }
        }
        if let Some(gone) = &gone {
            set = subtract(&set, gone);
        }
        entry["fieldsV1"] = set;
    }
    if !is_leaf(&changed) {
        let mine = entries.iter_mut().find(|entry| {
            entry["manager"] == manager
                && entry["operation"] == "Update"
                && entry["subresource"].as_str() == subresource
        });
        match mine {
            Some(mine) => {
                mine["fieldsV1"] = union(&mine["fieldsV1"], &changed);
                mine["time"] = json!(metadata::now());
            }
            None => entries.push(entry(kind, manager, "Update", subresource, changed)),
        }
    }
    entries.retain(|entry| !is_leaf(&entry["fieldsV1"]));
    if let Some(meta) = object["metadata"].as_object_mut() {
        if entries.is_empty() {
            meta.remove("managedFields");
        } else {
            meta.insert("managedFields".to_owned(), json!(entries));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn a_set_names_list_items_by_their_keys() {
        let kind = Catalogue::new(true).find("", "v1", "services").unwrap();
        let service = json!({"metadata": {"name": "a", "labels": {"x": "y"}}, "spec": {
            "selector": {"a": "b"}, "ports": [{"port": 80}],
        }});
        assert_eq!(
            set_of(&kind, &service),
            json!({
                "f:metadata": {"f:labels": {"f:x": {}}},
                "f:spec": {
                    "f:selector": {},
                    "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}},
                },
            })
        );
    }

    #[test]
    fn what_is_subtracted_and_removed_leaves_no_shells() {
        let kind = Catalogue::new(true).find("", "v1", "configmaps").unwrap();
        let a = json!({"f:data": {"f:a": {}, "f:b": {}}});
        let b = json!({"f:data": {"f:b": {}}});
        assert_eq!(subtract(&a, &b), json!({"f:data": {"f:a": {}}}));
        assert_eq!(subtract(&b, &b), json!({}));
        let mut object = json!({"data": {"a": "1", "b": "1"}});
        remove(&kind, &[], &mut object, &a);
        assert_eq!(object, json!({}));
    }

    #[test]
    fn another_manager_takes_over_what_it_changes() {
        let kind = Catalogue::new(true).find("", "v1", "configmaps").unwrap();
        let mut first = json!({"metadata": {"name": "a"}, "data": {"a": "1", "b": "1"}});
        track(&kind, None, &mut first, "one", None);
        let mut second = first.clone();
        second["data"] = json!({"a": "2"});
        track(&kind, Some(&first), &mut second, "two", None);
        let managed: Vec<(&str, &Value)> = second["metadata"]["managedFields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| (entry["manager"].as_str().unwrap(), &entry["fieldsV1"]))
            .collect();
        assert_eq!(
            managed.last().unwrap(),
            &("two", &json!({"f:data": {"f:a": {}}}))
        );
        assert!(
            managed
                .iter()
                .all(|(manager, set)| *manager != "one" || set["f:data"].get("f:b").is_none())
        );
    }
}
