//! Small views on JSON objects that controllers and node share.

use openshifter_apiserver::ResourceId;
use serde_json::{Map, Value, json};

/// Resources that controllers and node work on.
pub(crate) mod resources {
    use super::ResourceId;

    macro_rules! resources {
        ($($name:ident = $group:literal, $plural:literal;)*) => {
            $(pub(crate) fn $name() -> ResourceId { ResourceId::new($group, $plural) })*
        };
    }

    resources! {
        namespaces = "", "namespaces";
        pods = "", "pods";
        services = "", "services";
        endpoints = "", "endpoints";
        config_maps = "", "configmaps";
        secrets = "", "secrets";
        nodes = "", "nodes";
        claims = "", "persistentvolumeclaims";
        volumes = "", "persistentvolumes";
        replication_controllers = "", "replicationcontrollers";
        endpoint_slices = "discovery.k8s.io", "endpointslices";
        storage_classes = "storage.k8s.io", "storageclasses";
        deployments = "apps", "deployments";
        replica_sets = "apps", "replicasets";
        stateful_sets = "apps", "statefulsets";
        daemon_sets = "apps", "daemonsets";
        controller_revisions = "apps", "controllerrevisions";
        jobs = "batch", "jobs";
        cron_jobs = "batch", "cronjobs";
        deployment_configs = "apps.openshift.io", "deploymentconfigs";
        routes = "route.openshift.io", "routes";
        image_streams = "image.openshift.io", "imagestreams";
        images = "image.openshift.io", "images";
        build_configs = "build.openshift.io", "buildconfigs";
        builds = "build.openshift.io", "builds";
        template_instances = "template.openshift.io", "templateinstances";
    }
}

/// This moment as objects carry it.
pub(crate) fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// Text at a JSON pointer; empty if there is none.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Number at a JSON pointer.
pub(crate) fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

/// The list at a JSON pointer; empty if there is none.
pub(crate) fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Texts of a list.
pub(crate) fn texts(object: &Value, pointer: &str) -> Vec<String> {
    list(object, pointer)
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

pub(crate) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

pub(crate) fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object["metadata"]["annotations"][name].as_str()
}

pub(crate) fn is_deleting(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

/// Seconds since a time that an object carries.
pub(crate) fn seconds_since(time: &str) -> Option<i64> {
    let then: jiff::Timestamp = time.parse().ok()?;
    Some(jiff::Timestamp::now().as_second() - then.as_second())
}

/// The owner that controls an object.
pub(crate) fn controller(object: &Value) -> Option<&Value> {
    list(object, "/metadata/ownerReferences")
        .iter()
        .find(|owner| owner["controller"] == true)
}

/// Whether `owner` controls `object`.
pub(crate) fn is_controlled_by(object: &Value, owner: &Value) -> bool {
    controller(object).is_some_and(|reference| reference["uid"] == owner["metadata"]["uid"])
}

/// A reference to the owner of an object to be made.
pub(crate) fn owner_reference(owner: &Value) -> Value {
    json!({
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// Whether labels satisfy a plain map of labels. An empty map selects nothing.
pub(crate) fn has_labels(object: &Value, wanted: &Value) -> bool {
    let labels = &object["metadata"]["labels"];
    wanted.as_object().is_some_and(|wanted| {
        !wanted.is_empty() && wanted.iter().all(|(name, value)| labels[name] == *value)
    })
}

/// Whether labels satisfy a `LabelSelector`. An empty one selects nothing here: no workload has one.
pub(crate) fn selects(selector: &Value, object: &Value) -> bool {
    let labels = &object["metadata"]["labels"];
    let exact = selector["matchLabels"].as_object();
    let rules = list(selector, "/matchExpressions");
    if exact.is_none_or(Map::is_empty) && rules.is_empty() {
        return false;
    }
    exact.is_none_or(|exact| exact.iter().all(|(name, value)| labels[name] == *value))
        && rules.iter().all(|rule| {
            let label = &labels[text(rule, "/key")];
            let among = list(rule, "/values").contains(label);
            match text(rule, "/operator") {
                "In" => among,
                "NotIn" => !among,
                "Exists" => !label.is_null(),
                "DoesNotExist" => label.is_null(),
                _ => false,
            }
        })
}

/// A condition's status, if it has the condition.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    list(object, "/status/conditions")
        .iter()
        .find(|condition| condition["type"] == kind)
}

pub(crate) fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready").is_some_and(|condition| condition["status"] == "True")
}

pub(crate) fn is_finished(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// Whether a pod has been ready for `seconds`; else how long it still takes, if it is ready.
pub(crate) fn is_available(pod: &Value, seconds: i64) -> Result<(), Option<i64>> {
    if !is_ready(pod) {
        return Err(None);
    }
    let since = condition(pod, "Ready").map_or("", |c| text(c, "/lastTransitionTime"));
    match seconds - seconds_since(since).unwrap_or(0) {
        left if seconds > 0 && left > 0 => Err(Some(left)),
        _ => Ok(()),
    }
}

/// Sets a condition, with times that change only when it does.
pub(crate) fn set_condition(
    object: &mut Value,
    kind: &str,
    status: bool,
    reason: &str,
    message: &str,
    update_time: bool,
) {
    let status = if status { "True" } else { "False" };
    let conditions = &mut object["status"]["conditions"];
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let Some(conditions) = conditions.as_array_mut() else {
        return;
    };
    let at = now();
    let old = conditions
        .iter()
        .position(|condition| condition["type"] == kind);
    let transition = old
        .and_then(|at| conditions.get(at))
        .filter(|old| old["status"] == status)
        .map_or(json!(at), |old| old["lastTransitionTime"].clone());
    let mut new = json!({ "type": kind, "status": status, "lastTransitionTime": transition });
    if !reason.is_empty() {
        new["reason"] = json!(reason);
    }
    if !message.is_empty() {
        new["message"] = json!(message);
    }
    match old.and_then(|at| conditions.get_mut(at)) {
        Some(old) => {
            let same = ["status", "reason", "message"]
                .iter()
                .all(|field| old[field] == new[field]);
            if !same {
                if update_time {
                    new["lastUpdateTime"] = json!(at);
                }
                *old = new;
            }
        }
        None => {
            if update_time {
                new["lastUpdateTime"] = json!(at);
            }
            conditions.push(new);
        }
    }
}

/// Ten characters that stand for a value, as controllers put them into names and labels.
pub(crate) fn hash(value: &Value) -> String {
    const LETTERS: &[u8] = b"bcdf2456789";
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in value.to_string().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    (0..10)
        .map(|_| {
            let letter = LETTERS[usize::try_from(hash % 11).unwrap_or(0)];
            hash /= 11;
            char::from(letter)
        })
        .collect()
}

/// The object's labels or annotations with more of them put in.
pub(crate) fn merged(base: &Value, more: &[(&str, &str)]) -> Value {
    let mut map = base.as_object().cloned().unwrap_or_default();
    for (name, value) in more {
        map.insert((*name).to_owned(), json!(value));
    }
    Value::Object(map)
}

/// Names of the claims that a pod mounts.
pub(crate) fn claim_names(pod: &Value) -> Vec<String> {
    list(pod, "/spec/volumes")
        .iter()
        .filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_select() {
        let pod = json!({"metadata": {"labels": {"app": "a", "tier": "db"}}});
        assert!(selects(&json!({"matchLabels": {"app": "a"}}), &pod));
        assert!(!selects(&json!({}), &pod));
        let rule = |operator: &str, values: Value| json!({"matchExpressions": [{"key": "tier", "operator": operator, "values": values}]});
        assert!(selects(&rule("In", json!(["db"])), &pod));
        assert!(!selects(&rule("NotIn", json!(["db"])), &pod));
        assert!(selects(&rule("Exists", json!([])), &pod));
        assert!(!has_labels(&pod, &json!({})));
    }

    #[test]
    fn a_condition_keeps_its_times_while_it_stays() {
        let mut object = json!({"status": {"conditions": [
            {"type": "A", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z", "reason": "R"}
        ]}});
        let before = object.clone();
        set_condition(&mut object, "A", true, "R", "", false);
        assert_eq!(object, before);
        set_condition(&mut object, "A", true, "Other", "", false);
        assert_eq!(
            object["status"]["conditions"][0]["lastTransitionTime"],
            "2020-01-01T00:00:00Z"
        );
        set_condition(&mut object, "A", false, "Other", "", false);
        assert_ne!(
            object["status"]["conditions"][0]["lastTransitionTime"],
            "2020-01-01T00:00:00Z"
        );
    }
}
