//! Between the version that is kept and the one that is asked for.

use serde_json::{Map, Value, json};

use crate::catalogue::ResourceType;

/// An object as a resource shows it.
pub(crate) fn outgoing(kind: &ResourceType, object: &Value) -> Value {
    let mut object = object.clone();
    if object["kind"] == kind.kind && object["apiVersion"] == kind.api_version() {
        return object;
    }
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("autoscaling", "horizontalpodautoscalers") if kind.version == "v1" => {
            scaler_to_v1(&mut object);
        }
        ("events.k8s.io", "events") => rename(&mut object, &EVENT_FIELDS, false),
        ("authorization.openshift.io", "rolebindings") => binding_to_openshift(&mut object),
        _ => {}
    }
    object["apiVersion"] = json!(kind.api_version());
    object["kind"] = json!(kind.kind);
    object
}

/// An object as it is kept.
pub(crate) fn incoming(from: &ResourceType, to: &ResourceType, mut object: Value) -> Value {
    if from == to {
        return object;
    }
    match (from.group.as_str(), from.plural.as_str()) {
        ("autoscaling", "horizontalpodautoscalers") if from.version == "v1" => {
            scaler_from_v1(&mut object);
        }
        ("events.k8s.io", "events") => rename(&mut object, &EVENT_FIELDS, true),
        ("authorization.openshift.io", "rolebindings") => binding_from_openshift(&mut object),
        _ => {}
    }
    object["apiVersion"] = json!(to.api_version());
    object["kind"] = json!(to.kind);
    object
}

/// Field names of the core group's events and of the newer group's.
const EVENT_FIELDS: [(&str, &str); 6] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

fn rename(object: &mut Value, names: &[(&str, &str)], back: bool) {
    let Value::Object(map) = object else { return };
    for (old, new) in names {
        let (from, to) = if back { (new, old) } else { (old, new) };
        if let Some(value) = map.remove(*from) {
            map.insert((*to).to_owned(), value);
        }
    }
}

fn scaler_to_v1(object: &mut Value) {
    let Some(Value::Object(spec)) = object.get_mut("spec") else {
        return;
    };
    let Some(Value::Array(mut metrics)) = spec.remove("metrics") else {
        return;
    };
    let is_cpu = |metric: &Value| {
        metric["type"] == "Resource"
            && metric["resource"]["name"] == "cpu"
            && metric["resource"]["target"]["type"] == "Utilization"
    };
    if let Some(at) = metrics.iter().position(is_cpu) {
        let cpu = metrics.remove(at);
        spec.insert(
            "targetCPUUtilizationPercentage".to_owned(),
            cpu["resource"]["target"]["averageUtilization"].clone(),
        );
    }
    // What the older version cannot say travels in an annotation, as genuine servers do it.
    if !metrics.is_empty() {
        object["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/metrics"] =
            json!(Value::Array(metrics).to_string());
    }
}

fn scaler_from_v1(object: &mut Value) {
    let carried = object
        .get_mut("metadata")
        .and_then(|meta| meta.get_mut("annotations"))
        .and_then(Value::as_object_mut)
        .and_then(|annotations| annotations.remove("autoscaling.alpha.kubernetes.io/metrics"))
        .and_then(|text| serde_json::from_str::<Vec<Value>>(text.as_str()?).ok());
    let Some(Value::Object(spec)) = object.get_mut("spec") else {
        return;
    };
    let mut metrics = carried.unwrap_or_default();
    if let Some(percentage) = spec.remove("targetCPUUtilizationPercentage") {
        metrics.push(json!({
            "type": "Resource",
            "resource": {
                "name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": percentage},
            },
        }));
    }
    if !metrics.is_empty() {
        spec.insert("metrics".to_owned(), json!(metrics));
    }
}

/// A binding as OpenShift's older group shows it: names by sort, subjects without groups.
fn binding_to_openshift(object: &mut Value) {
    let namespace = object["metadata"]["namespace"].clone();
    let mut users = Vec::new();
    let mut groups = Vec::new();
    let mut subjects = Vec::new();
    for subject in object["subjects"].as_array().into_iter().flatten() {
        let name = subject["name"].as_str().unwrap_or_default();
        let system = name.starts_with("system:");
        match subject["kind"].as_str() {
            Some("ServiceAccount") => {
                let namespace = match &subject["namespace"] {
                    Value::Null => &namespace,
                    own => own,
                };
                users.push(json!(format!(
                    "system:serviceaccount:{}:{name}",
                    namespace.as_str().unwrap_or_default()
                )));
                subjects
                    .push(json!({"kind": "ServiceAccount", "namespace": namespace, "name": name}));
            }
            Some("Group") => {
                groups.push(json!(name));
                let kind = if system { "SystemGroup" } else { "Group" };
                subjects.push(json!({"kind": kind, "name": name}));
            }
            _ => {
                users.push(json!(name));
                let kind = if system { "SystemUser" } else { "User" };
                subjects.push(json!({"kind": kind, "name": name}));
            }
        }
    }
    let or_null = |list: Vec<Value>| {
        if list.is_empty() {
            Value::Null
        } else {
            Value::Array(list)
        }
    };
    object["userNames"] = or_null(users);
    object["groupNames"] = or_null(groups);
    object["subjects"] = json!(subjects);
    let mut reference = Map::new();
    if object["roleRef"]["kind"] == "Role" {
        reference.insert("namespace".to_owned(), namespace);
    }
    reference.insert("name".to_owned(), object["roleRef"]["name"].clone());
    object["roleRef"] = Value::Object(reference);
}

fn binding_from_openshift(object: &mut Value) {
    let mut subjects = Vec::new();
    for subject in object["subjects"].as_array().into_iter().flatten() {
        let kind = match subject["kind"].as_str() {
            Some("ServiceAccount") => "ServiceAccount",
            Some("Group" | "SystemGroup") => "Group",
            _ => "User",
        };
        subjects.push(if kind == "ServiceAccount" {
            json!({"kind": kind, "name": subject["name"], "namespace": subject["namespace"]})
        } else {
            json!({"kind": kind, "apiGroup": "rbac.authorization.k8s.io", "name": subject["name"]})
        });
    }
    let local = object["roleRef"]["namespace"].is_string();
    object["roleRef"] = json!({
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": if local { "Role" } else { "ClusterRole" },
        "name": object["roleRef"]["name"],
    });
    object["subjects"] = json!(subjects);
    if let Value::Object(map) = object {
        map.remove("userNames");
        map.remove("groupNames");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn an_autoscaler_survives_the_older_version() {
        let catalogue = Catalogue::new(true);
        let v1 = catalogue
            .find("autoscaling", "v1", "horizontalpodautoscalers")
            .unwrap();
        let v2 = catalogue
            .find("autoscaling", "v2", "horizontalpodautoscalers")
            .unwrap();
        let object = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "a", "annotations": {}}, "spec": {"maxReplicas": 3, "metrics": [
            {"type": "Pods", "pods": {"metric": {"name": "x"}}},
            {"type": "Resource", "resource": {"name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": 80}}},
        ]}});
        let old = outgoing(&v1, &object);
        assert_eq!(old["spec"]["targetCPUUtilizationPercentage"], 80);
        assert_eq!(incoming(&v1, &v2, old), object);
    }
}
