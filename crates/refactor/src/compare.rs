//! Whether an object at the target is already what would be created.

use openshifter_objects::{Object, escape};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::draft::hidden;
use crate::quantity;
use crate::rules::triggered_containers;

/// A field that is not at the target what would be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The field, as a JSON pointer into the wanted object.
    pub pointer: String,
    /// What would be sent; `None` for secrets, and for what is at the target alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Value>,
    /// What is there; `None` for secrets, and for what is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Value>,
}

/// Compares an object that would be sent with the one that is there.
///
/// Nothing is different when every field that would be sent has that value at the target. Fields that a
/// server sets or fills in are not looked at, nor are images that an image stream decides. Of lists that
/// others add to (pull secrets, tolerations, volumes of tokens) the additions do not count; another
/// container or environment variable does. Quantities are compared by what they mean.
pub fn compare_live(wanted: &Object, live: &Object) -> Vec<Difference> {
    let mut compared = Compared {
        wanted,
        triggered: triggered_containers(wanted),
        found: Vec::new(),
    };
    let empty = Value::Null;
    if let Some(fields) = wanted.value().as_object() {
        for (key, value) in fields {
            let at = format!("/{}", escape(key));
            match key.as_str() {
                "status" => {}
                "metadata" => {
                    for part in ["name", "labels", "annotations"] {
                        let pointer = format!("/metadata/{part}");
                        if let Some(value) = value.get(part) {
                            compared.compare(
                                &pointer,
                                value,
                                live.value().pointer(&pointer).unwrap_or(&empty),
                            );
                        }
                    }
                }
                // The same object may be served in several versions.
                "apiVersion" if wanted.group() == live.group() => {}
                "stringData" if wanted.is("", "Secret") => compared.string_data(value, live),
                _ => compared.compare(&at, value, live.value().get(key).unwrap_or(&empty)),
            }
        }
    }
    compared.found
}

struct Compared<'a> {
    wanted: &'a Object,
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
        });
    }

    fn compare(&mut self, at: &str, wanted: &Value, live: &Value) {
        match (wanted, live) {
            (Value::Object(wanted), Value::Object(live)) => {
                for (key, value) in wanted {
                    let at = format!("{at}/{}", escape(key));
                    self.compare(&at, value, live.get(key).unwrap_or(&Value::Null));
                }
            }
            (Value::Array(wanted), Value::Array(live)) => self.lists(at, wanted, live),
            (wanted, live) if is_empty(wanted) && is_empty(live) => {}
            (Value::String(left), Value::String(right))
                if left != right
                    && is_quantity(at)
                    && quantity::same(left, right) == Some(true) => {}
            (wanted, live) if wanted != live && !self.is_triggered_image(at) => {
                self.differ(at, Some(wanted), Some(live))
            }
            _ => {}
        }
    }

    fn lists(&mut self, at: &str, wanted: &[Value], live: &[Value]) {
        let Some(key) =
            merge_key(wanted).filter(|key| live.iter().all(|entry| entry.get(*key).is_some()))
        else {
            let may_have_more =
                others_add_to(at) && wanted.iter().all(|entry| live.contains(entry));
            if may_have_more {
                return;
            }
            if wanted.len() == live.len() {
                for (index, (wanted, live)) in wanted.iter().zip(live).enumerate() {
                    self.compare(&format!("{at}/{index}"), wanted, live);
                }
            } else {
                self.differ(at, Some(&wanted.into()), Some(&live.into()));
            }
            return;
        };
        for (index, entry) in wanted.iter().enumerate() {
            let at = format!("{at}/{index}");
            match live.iter().find(|other| other.get(key) == entry.get(key)) {
                Some(other) => self.compare(&at, entry, other),
                None => self.differ(&at, Some(entry), None),
            }
        }
        if !others_add_to(at) {
            for other in live {
                if !wanted.iter().any(|entry| entry.get(key) == other.get(key)) {
                    self.differ(at, None, Some(other));
                }
            }
        }
    }

    /// An image that a trigger sets is at the target what its image stream says.
    fn is_triggered_image(&self, at: &str) -> bool {
        at.strip_suffix("/image")
            .and_then(|container| self.wanted.value().pointer(container))
            .and_then(|container| container.get("name"))
            .and_then(Value::as_str)
            .is_some_and(|name| self.triggered.iter().any(|triggered| triggered == name))
    }

    /// A server stores `stringData` as base64 under `data`.
    fn string_data(&mut self, wanted: &Value, live: &Object) {
        use base64::Engine as _;
        for (key, text) in wanted.as_object().into_iter().flatten() {
            let encoded = text
                .as_str()
                .map(|text| base64::engine::general_purpose::STANDARD.encode(text));
            let there = live
                .value()
                .get("data")
                .and_then(|data| data.get(key))
                .and_then(Value::as_str);
            if encoded.as_deref() != there {
                self.differ(&format!("/stringData/{}", escape(key)), None, None);
            }
        }
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

/// The field that tells the entries of a list apart.
fn merge_key(list: &[Value]) -> Option<&'static str> {
    ["name", "mountPath"].into_iter().find(|key| {
        let names: Vec<_> = list
            .iter()
            .filter_map(|entry| entry.get(*key).and_then(Value::as_str))
            .collect();
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        !list.is_empty() && names.len() == list.len() && once.len() == names.len()
    })
}

fn others_add_to(at: &str) -> bool {
    [
        "/imagePullSecrets",
        "/secrets",
        "/tolerations",
        "/volumes",
        "/volumeMounts",
        "/accessModes",
        "/managedFields",
    ]
    .iter()
    .any(|end| at.ends_with(end))
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
            "metadata": {"name": "web", "uid": "1", "labels": {"app": "web", "more": "1"}},
            "spec": {"replicas": 1, "template": {"spec": {"restartPolicy": "Always",
                "volumes": [{"name": "extra", "emptyDir": {}}, {"name": "data", "emptyDir": {}}],
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
                live: None
            }]
        );
        let written = object(
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "a"}}),
        );
        assert_eq!(pointers(&written, &secret("YQ==")), Vec::<String>::new());
        assert_eq!(
            pointers(&written, &secret("Yg==")),
            ["/stringData/password"]
        );
    }
}
