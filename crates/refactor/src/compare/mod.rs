//! Whether an object at the target is already what would be created.

mod defaults;
mod others;

use openshifter_objects::{Object, escape, is_built_in_group};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::draft::hidden;
use crate::quantity;
use crate::rules::triggered_containers;
use defaults::{Field, Known, known};
use others::{wrote_entry, wrote_key};

/// A field that is not at the target what would be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The field, as a JSON pointer into the wanted object; of an entry that only the target's list has, the list.
    pub pointer: String,
    /// What would be sent; `None` for secrets, and for what is at the target alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Value>,
    /// What is there; `None` for secrets, and for what is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Value>,
    /// Whether it is at the target alone: somebody added it. Nothing that would be sent is missing.
    #[serde(default)]
    pub added: bool,
}

/// Compares an object that would be sent with the one that is there, both ways.
///
/// Nothing is different when every field that would be sent has that value at the target, and the target has nothing
/// that a person added: labels, annotations, keys of a config map, entries of lists (environment variables,
/// containers, ports, volumes, …), fields. What servers fill in (defaults, addresses), and what controllers and tools
/// write into objects of others, is not such an addition; nor is any field of a custom resource, whose defaults are
/// not known, or of a Pod, into which admission writes. Images that an image stream decides are not looked at.
/// Quantities are compared by what they mean.
pub fn compare_live(wanted: &Object, live: &Object) -> Vec<Difference> {
    let mut compared = Compared {
        wanted,
        live,
        // Another version of a kind has other fields.
        knows_fields: is_built_in_group(wanted.group())
            && wanted.api_version() == live.api_version()
            && !wanted.is("", "Pod"),
        triggered: triggered_containers(wanted),
        found: Vec::new(),
    };
    let sent = as_stored(wanted);
    let empty = Map::new();
    let fields = |object: &Value| -> Map<String, Value> {
        let mut fields = object.as_object().unwrap_or(&empty).clone();
        fields.remove("metadata");
        fields.remove("status");
        // The same object may be served in several versions.
        if wanted.group() == live.group() {
            fields.remove("apiVersion");
        }
        fields
    };
    for part in ["name", "labels", "annotations"] {
        let at = format!("/metadata/{part}");
        let of = |object: &Value| object.pointer(&at).cloned().unwrap_or_default();
        let (sent, there) = (of(&sent), of(live.value()));
        compared.compare(&Place::at(&at), &sent, &there, &Value::Null);
    }
    compared.maps(
        &Place::at(""),
        &fields(&sent),
        &fields(live.value()),
        live.value(),
    );
    compared.found
}

/// A Secret's `stringData` is stored as base64 under `data`.
fn as_stored(wanted: &Object) -> Value {
    use base64::Engine as _;
    let mut value = wanted.value().clone();
    if !wanted.is("", "Secret") {
        return value;
    }
    let Some(texts) = value
        .as_object_mut()
        .and_then(|fields| fields.remove("stringData"))
    else {
        return value;
    };
    for (key, text) in texts.as_object().into_iter().flatten() {
        let encoded =
            base64::engine::general_purpose::STANDARD.encode(text.as_str().unwrap_or_default());
        if !value["data"].is_object() {
            value["data"] = Value::Object(Map::new());
        }
        value["data"][key] = encoded.into();
    }
    value
}

/// Where a field is.
struct Place {
    /// As a JSON pointer.
    pointer: String,
    /// The same with `*` for entries of lists.
    shape: String,
}

impl Place {
    fn at(pointer: &str) -> Self {
        Self {
            pointer: pointer.to_owned(),
            shape: pointer.to_owned(),
        }
    }

    fn key(&self, key: &str) -> Self {
        let key = escape(key);
        Self {
            pointer: format!("{}/{key}", self.pointer),
            shape: format!("{}/{key}", self.shape),
        }
    }

    fn entry(&self, index: usize) -> Self {
        Self {
            pointer: format!("{}/{index}", self.pointer),
            shape: format!("{}/*", self.shape),
        }
    }

    /// Whether it is a map whose keys people choose, so that an empty value says something.
    fn has_free_keys(&self) -> bool {
        let last = self.shape.rsplit('/').next().unwrap_or_default();
        matches!(
            last,
            "labels" | "annotations" | "matchLabels" | "nodeSelector" | "data" | "binaryData"
        )
    }

    /// Whether an empty structure says something other than none: an empty selector selects all.
    fn counts_when_empty(&self) -> bool {
        self.shape.ends_with("/podSelector")
            || self.shape.ends_with("/namespaceSelector")
            || self.shape.ends_with("/labelSelector")
    }
}

struct Compared<'a> {
    wanted: &'a Object,
    live: &'a Object,
    /// Whether it is known which fields a server fills in.
    knows_fields: bool,
    triggered: Vec<String>,
    found: Vec<Difference>,
}

impl Compared<'_> {
    fn differ(&mut self, pointer: &str, wanted: Option<&Value>, live: Option<&Value>) {
        let shown = !hidden(self.wanted, pointer);
        self.found.push(Difference {
            pointer: pointer.to_owned(),
            wanted: wanted.filter(|_| shown).cloned(),
            live: live.filter(|value| shown && !value.is_null()).cloned(),
            added: wanted.is_none(),
        });
    }

    /// `beside` is what the field at the target is a part of.
    fn compare(&mut self, at: &Place, wanted: &Value, live: &Value, beside: &Value) {
        match (wanted, live) {
            (Value::Object(wanted), Value::Object(fields)) => self.maps(at, wanted, fields, live),
            (Value::Array(wanted), Value::Array(live)) => self.lists(at, wanted, live),
            (Value::Null, there) => self.only_there(at, there, beside),
            (sent, Value::Null) => self.only_sent(at, sent, beside),
            (wanted, live) if is_empty(wanted) && is_empty(live) => {}
            (Value::String(left), Value::String(right))
                if left != right
                    && is_quantity(&at.pointer)
                    && quantity::same(left, right) == Some(true) => {}
            (wanted, live) if wanted != live && !self.is_triggered_image(&at.pointer) => {
                self.differ(&at.pointer, Some(wanted), Some(live));
            }
            _ => {}
        }
    }

    fn only_there(&mut self, at: &Place, there: &Value, beside: &Value) {
        if !self.is_no_addition(at, there, beside) {
            self.differ(&at.pointer, None, Some(there));
        }
    }

    /// A server of another version may not store what only repeats a default.
    fn only_sent(&mut self, at: &Place, sent: &Value, beside: &Value) {
        let says_something = at.counts_when_empty() || !is_empty(sent);
        if says_something && self.known(at, sent, beside) != Known::Default {
            self.differ(&at.pointer, Some(sent), None);
        }
    }

    fn maps(
        &mut self,
        at: &Place,
        wanted: &Map<String, Value>,
        live: &Map<String, Value>,
        beside: &Value,
    ) {
        for (key, sent) in wanted {
            let at_key = at.key(key);
            match live.get(key) {
                Some(there) => self.compare(&at_key, sent, there, beside),
                None if at.has_free_keys() && !sent.is_null() => {
                    self.differ(&at_key.pointer, Some(sent), None)
                }
                None => self.only_sent(&at_key, sent, beside),
            }
        }
        for (key, there) in live.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
            let at_key = at.key(key);
            if at.has_free_keys() {
                if !there.is_null() && !self.wrote_key(at, key, there) {
                    self.differ(&at_key.pointer, None, Some(there));
                }
            } else {
                self.only_there(&at_key, there, beside);
            }
        }
    }

    fn lists(&mut self, at: &Place, wanted: &[Value], live: &[Value]) {
        let live: Vec<&Value> = live
            .iter()
            .filter(|entry| wanted.contains(entry) || !wrote_entry(self.live, &at.shape, entry))
            .collect();
        if let Some(key) = merge_key(wanted, &live) {
            for (index, entry) in wanted.iter().enumerate() {
                let at = at.entry(index);
                match live.iter().find(|other| other.get(key) == entry.get(key)) {
                    Some(other) => self.compare(&at, entry, other, &Value::Null),
                    None => self.differ(&at.pointer, Some(entry), None),
                }
            }
            for other in live {
                if !wanted.iter().any(|entry| entry.get(key) == other.get(key)) {
                    self.differ(&at.pointer, None, Some(other));
                }
            }
        } else if wanted.len() == live.len() {
            for (index, (wanted, live)) in wanted.iter().zip(live).enumerate() {
                self.compare(&at.entry(index), wanted, live, &Value::Null);
            }
        } else if wanted.iter().all(|entry| live.contains(&entry)) {
            for other in live.into_iter().filter(|other| !wanted.contains(other)) {
                self.differ(&at.pointer, None, Some(other));
            }
        } else {
            let live = live.into_iter().cloned().collect::<Value>();
            self.differ(&at.pointer, Some(&wanted.into()), Some(&live));
        }
    }

    fn known(&self, at: &Place, value: &Value, beside: &Value) -> Known {
        known(&Field {
            live: self.live,
            shape: &at.shape,
            value,
            beside,
        })
    }

    /// Whether no person wrote a value that only the target has.
    fn is_no_addition(&self, at: &Place, value: &Value, beside: &Value) -> bool {
        if value.is_null() || (!self.knows_fields && !at.has_free_keys()) {
            return true;
        }
        match self.known(at, value, beside) {
            Known::Chosen | Known::Default => return true,
            Known::Other => return false,
            Known::Nothing => {}
        }
        match value {
            Value::Object(map) if at.has_free_keys() => map
                .iter()
                .all(|(key, there)| self.wrote_key(at, key, there)),
            Value::Object(_) if at.counts_when_empty() => false,
            Value::Object(map) => map
                .iter()
                .all(|(key, there)| self.is_no_addition(&at.key(key), there, value)),
            Value::Array(list) => list
                .iter()
                .all(|entry| wrote_entry(self.live, &at.shape, entry)),
            other => is_empty(other),
        }
    }

    /// Whether a controller or a tool wrote a key that only the target's map has.
    fn wrote_key(&self, map: &Place, key: &str, value: &Value) -> bool {
        // Operators, and the network of pods, keep books in annotations.
        (!self.knows_fields && map.shape == "/metadata/annotations")
            || wrote_key(self.live, &map.shape, key, value)
    }

    /// An image that a trigger sets is at the target what its image stream says.
    fn is_triggered_image(&self, at: &str) -> bool {
        at.strip_suffix("/image")
            .and_then(|container| self.wanted.value().pointer(container))
            .and_then(|container| container.get("name"))
            .and_then(Value::as_str)
            .is_some_and(|name| self.triggered.iter().any(|triggered| triggered == name))
    }
}

/// What servers leave out of what they store.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Bool(true) => false,
    }
}

fn is_quantity(at: &str) -> bool {
    ["/requests/", "/limits/", "/hard/", "/capacity/"]
        .iter()
        .any(|part| at.contains(part))
        || at.ends_with("/sizeLimit")
}

/// The field that tells the entries of both lists apart.
fn merge_key(wanted: &[Value], live: &[&Value]) -> Option<&'static str> {
    let tells_apart = |entries: &[&Value], key: &str| {
        let mut names: Vec<&str> = entries
            .iter()
            .filter_map(|entry| entry.get(key).and_then(Value::as_str))
            .collect();
        names.sort_unstable();
        names.dedup();
        !entries.is_empty() && names.len() == entries.len()
    };
    let wanted: Vec<&Value> = wanted.iter().collect();
    ["mountPath", "name"]
        .into_iter()
        .find(|key| tells_apart(&wanted, key) && tells_apart(live, key))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap()
    }

    fn deployment(spec: Value) -> Object {
        object(
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}},
            "spec": spec}),
        )
    }

    fn pointers(wanted: &Object, live: &Object) -> Vec<String> {
        compare_live(wanted, live)
            .into_iter()
            .map(|difference| difference.pointer)
            .collect()
    }

    #[test]
    fn what_a_server_fills_in_is_no_difference() {
        let wanted = deployment(
            json!({"replicas": 1, "paused": false, "template": {"metadata": {"annotations": {}}, "spec": {
            "volumes": [{"name": "data", "emptyDir": {}}],
            "containers": [{"name": "web", "image": "web:1", "resources": {"limits": {"cpu": "1000m"}}}]}}}),
        );
        let live = object(json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "uid": "1", "labels": {"app": "web", "openshifter.dev/run": "1"},
                "annotations": {"deployment.kubernetes.io/revision": "3"}},
            "spec": {"replicas": 1, "template": {"spec": {"restartPolicy": "Always", "securityContext": {},
                "volumes": [{"name": "data", "emptyDir": {}}],
                "containers": [{"name": "web", "image": "web:1", "imagePullPolicy": "IfNotPresent",
                    "resources": {"limits": {"cpu": "1"}}}]}}},
            "status": {"replicas": 1}}));
        assert_eq!(pointers(&wanted, &live), Vec::<String>::new());
    }

    #[test]
    fn what_is_really_different_is_named() {
        let wanted = deployment(json!({"replicas": 2, "template": {"spec": {"containers": [
            {"name": "web", "image": "web:2", "env": [{"name": "A", "value": "1"}]}]}}}));
        let live = deployment(json!({"replicas": 1, "template": {"spec": {"containers": [
            {"name": "web", "image": "web:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
            {"name": "sidecar", "image": "x"}]}}}));
        assert_eq!(
            pointers(&wanted, &live),
            [
                "/spec/replicas",
                "/spec/template/spec/containers/0/env",
                "/spec/template/spec/containers/0/image",
                "/spec/template/spec/containers"
            ]
        );
    }

    #[test]
    fn an_image_that_a_trigger_sets_is_not_compared() {
        let wanted = |image: &str| {
            object(
                json!({"apiVersion": "apps.openshift.io/v1", "kind": "DeploymentConfig", "metadata": {"name": "web"},
                "spec": {"triggers": [{"type": "ImageChange", "imageChangeParams": {"automatic": true,
                    "containerNames": ["web"], "from": {"kind": "ImageStreamTag", "name": "web:1"}}}],
                    "template": {"spec": {"containers": [{"name": "web", "image": image}]}}}}),
            )
        };
        assert_eq!(pointers(&wanted("a"), &wanted("b")), Vec::<String>::new());
    }

    #[test]
    fn secrets_differ_without_being_shown() {
        let secret = |value: &str| {
            object(
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"password": value}}),
            )
        };
        let found = compare_live(&secret("YQ=="), &secret("Yg=="));
        assert_eq!(
            found,
            [Difference {
                pointer: "/data/password".to_owned(),
                wanted: None,
                live: None,
                added: false
            }]
        );
        let written = object(
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "a"}}),
        );
        assert_eq!(pointers(&written, &secret("YQ==")), Vec::<String>::new());
        assert_eq!(pointers(&written, &secret("Yg==")), ["/data/password"]);
        let more = object(
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"password": "YQ==", "more": "Yg=="}}),
        );
        assert_eq!(
            compare_live(&secret("YQ=="), &more),
            [Difference {
                pointer: "/data/more".to_owned(),
                wanted: None,
                live: None,
                added: true
            }]
        );
    }

    /// What somebody did to an object at the target, and where it shows.
    #[track_caller]
    fn shows(kind: (&str, &str), wanted: Value, live: Value, pointer: &str) {
        let make = |spec: Value| {
            let mut value =
                json!({"apiVersion": kind.0, "kind": kind.1, "metadata": {"name": "web"}});
            for (key, part) in spec.as_object().unwrap() {
                value[key] = part.clone();
            }
            object(value)
        };
        let found = compare_live(&make(wanted), &make(live));
        assert!(
            found.len() == 1 && found[0].pointer == pointer && found[0].added,
            "{found:?}"
        );
    }

    #[test]
    fn what_somebody_added_is_a_difference() {
        let pods = |container: Value, pod: Value| {
            let mut spec = json!({"containers": [container]});
            for (key, part) in pod.as_object().unwrap() {
                spec[key] = part.clone();
            }
            json!({"spec": {"template": {"spec": spec}}})
        };
        let plain = || pods(json!({"name": "c", "image": "i"}), json!({}));
        let deployment = ("apps/v1", "Deployment");
        let at = |field: &str| format!("/spec/template/spec/{field}");
        for (container, pointer) in [
            (
                json!({"env": [{"name": "A", "value": ""}]}),
                "containers/0/env",
            ),
            (
                json!({"ports": [{"containerPort": 80, "protocol": "TCP"}]}),
                "containers/0/ports",
            ),
            (
                json!({"livenessProbe": {"tcpSocket": {"port": 80}, "timeoutSeconds": 1}}),
                "containers/0/livenessProbe",
            ),
            (
                json!({"securityContext": {"privileged": true}}),
                "containers/0/securityContext",
            ),
            (json!({"command": ["sh"]}), "containers/0/command"),
            (
                json!({"resources": {"limits": {"cpu": "1"}}}),
                "containers/0/resources",
            ),
        ] {
            let mut changed = json!({"name": "c", "image": "i"});
            for (key, part) in container.as_object().unwrap() {
                changed[key] = part.clone();
            }
            shows(deployment, plain(), pods(changed, json!({})), &at(pointer));
        }
        for (pod, pointer) in [
            (json!({"hostNetwork": true}), "hostNetwork"),
            (json!({"nodeSelector": {"disk": ""}}), "nodeSelector"),
            (
                json!({"terminationGracePeriodSeconds": 5}),
                "terminationGracePeriodSeconds",
            ),
            (
                json!({"volumes": [{"name": "x", "emptyDir": {}}]}),
                "volumes",
            ),
            (
                json!({"tolerations": [{"operator": "Exists"}]}),
                "tolerations",
            ),
            (json!({"priorityClassName": "high"}), "priorityClassName"),
        ] {
            shows(
                deployment,
                plain(),
                pods(json!({"name": "c", "image": "i"}), pod),
                &at(pointer),
            );
        }
        shows(
            ("v1", "ConfigMap"),
            json!({"data": {"a": "1"}}),
            json!({"data": {"a": "1", "b": ""}}),
            "/data/b",
        );
        shows(
            ("v1", "Service"),
            json!({"spec": {"ports": [{"port": 80}]}}),
            json!({"spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}]}}),
            "/spec/ports/0/targetPort",
        );
        shows(
            ("route.openshift.io/v1", "Route"),
            json!({"spec": {"to": {"kind": "Service", "name": "web"}}}),
            json!({"spec": {"host": "www.example.com", "to": {"kind": "Service", "name": "web", "weight": 100}, "wildcardPolicy": "None"}}),
            "/spec/host",
        );
        // An empty selector selects everything.
        shows(
            ("networking.k8s.io/v1", "NetworkPolicy"),
            json!({"spec": {"ingress": [{"from": [{"podSelector": {"matchLabels": {"a": "b"}}}]}]}}),
            json!({"spec": {"policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {"matchLabels": {"a": "b"}}, "namespaceSelector": {}}]}]}}),
            "/spec/ingress/0/from/0/namespaceSelector",
        );
    }

    #[test]
    fn a_second_mount_of_one_volume_is_an_addition() {
        let mounts = |list: Value| {
            deployment(
                json!({"template": {"spec": {"containers": [{"name": "web", "image": "w", "volumeMounts": list}]}}}),
            )
        };
        let one = mounts(json!([{"name": "data", "mountPath": "/a"}]));
        let two = mounts(
            json!([{"name": "data", "mountPath": "/a"}, {"name": "data", "mountPath": "/b"}]),
        );
        let found = compare_live(&one, &two);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].pointer,
            "/spec/template/spec/containers/0/volumeMounts"
        );
        assert!(found[0].added);
        assert!(!compare_live(&two, &one)[0].added);
    }

    #[test]
    fn what_controllers_write_is_none() {
        let account = |extra: Value| {
            let mut value =
                json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ci"}});
            for (key, part) in extra.as_object().unwrap() {
                value[key] = part.clone();
            }
            object(value)
        };
        let made = account(json!({"secrets": [{"name": "ci-dockercfg-x9k2f"}],
            "imagePullSecrets": [{"name": "ci-dockercfg-x9k2f"}]}));
        assert_eq!(pointers(&account(json!({})), &made), Vec::<String>::new());
        let own = account(
            json!({"imagePullSecrets": [{"name": "ci-dockercfg-x9k2f"}, {"name": "quay"}]}),
        );
        assert_eq!(pointers(&account(json!({})), &own), ["/imagePullSecrets"]);
        let bundle = |data: Value| {
            object(
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca",
                "annotations": {"service.beta.openshift.io/inject-cabundle": "true"}}, "data": data}),
            )
        };
        let injected = bundle(json!({"service-ca.crt": "PEM"}));
        assert_eq!(
            pointers(&bundle(json!({})), &injected),
            Vec::<String>::new()
        );
    }

    #[test]
    fn an_operator_s_defaults_are_none() {
        let custom = |labels: Value, spec: Value| {
            object(
                json!({"apiVersion": "example.com/v1", "kind": "Database", "metadata": {"name": "db",
                "labels": labels}, "spec": spec}),
            )
        };
        let wanted = custom(json!({}), json!({"nodes": [{"name": "a"}]}));
        let live = custom(
            json!({}),
            json!({"nodes": [{"name": "a", "size": 1}], "logLevel": "info"}),
        );
        assert_eq!(pointers(&wanted, &live), Vec::<String>::new());
        let more = custom(
            json!({"team": "x"}),
            json!({"nodes": [{"name": "a"}, {"name": "b"}]}),
        );
        assert_eq!(
            pointers(&wanted, &more),
            ["/metadata/labels/team", "/spec/nodes"]
        );
    }
}
