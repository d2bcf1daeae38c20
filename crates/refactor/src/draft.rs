//! An object in the hands of the rules: every edit goes through here, so that none is unrecorded and no
//! secret gets into a record.

use std::collections::BTreeSet;

use openshifter_objects::{InternalImage, Knob, KnobSource, Object, ObjectKey, escape, places};
use serde_json::{Map, Value};

use crate::report::{Change, Finding, Severity};
use crate::rules::{Rule, build_config, route_host};
use crate::{Choices, Source};

pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What rules know besides the object itself.
pub(crate) struct Context<'a> {
    pub(crate) source: &'a Source,
    pub(crate) choices: &'a Choices,
    keys: BTreeSet<ObjectKey>,
    /// Hosts that the source's router generated, with the name of their Route.
    pub(crate) generated_hosts: Vec<(&'a str, &'a str)>,
    /// Image streams of the application that its builds push to.
    built_streams: BTreeSet<&'a str>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(objects: &'a [Object], source: &'a Source, choices: &'a Choices) -> Self {
        Self {
            source,
            choices,
            keys: objects.iter().map(Object::key).collect(),
            generated_hosts: objects
                .iter()
                .filter_map(route_host::generated_host)
                .collect(),
            built_streams: objects
                .iter()
                .filter_map(build_config::built_stream)
                .collect(),
        }
    }

    /// Whether a build of the application makes an image.
    pub(crate) fn is_built(&self, image: &InternalImage) -> bool {
        image.namespace == self.source.namespace
            && self.built_streams.contains(image.stream.as_str())
            && self.has(&ObjectKey::new(
                "image.openshift.io",
                "ImageStream",
                &image.stream,
            ))
    }

    /// Whether an object is part of the application.
    pub(crate) fn has(&self, key: &ObjectKey) -> bool {
        self.keys.contains(key)
    }

    /// Whether text is the source's namespace, all of it.
    pub(crate) fn is_namespace(&self, value: &Value) -> bool {
        value.as_str() == Some(&self.source.namespace)
    }
}

/// What the rules found in all objects.
#[derive(Default)]
pub(crate) struct Collected {
    pub(crate) knobs: Vec<Knob>,
    pub(crate) values: Map<String, Value>,
    pub(crate) findings: Vec<Finding>,
}

pub(crate) struct Draft<'a> {
    original: &'a Object,
    object: Object,
    rule: &'static Rule,
    changes: Vec<Change>,
    collected: &'a mut Collected,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(
        original: &'a Object,
        rule: &'static Rule,
        collected: &'a mut Collected,
    ) -> Self {
        Self {
            original,
            object: original.clone(),
            rule,
            changes: Vec::new(),
            collected,
        }
    }

    /// Says which rule edits from now on.
    pub(crate) fn under(&mut self, rule: &'static Rule) {
        self.rule = rule;
    }

    pub(crate) fn finish(self) -> (Object, Vec<Change>) {
        (self.object, self.changes)
    }

    /// The object as it is now.
    pub(crate) fn object(&self) -> &Object {
        &self.object
    }

    /// The object as the source served it.
    pub(crate) fn original(&self) -> &'a Object {
        self.original
    }

    pub(crate) fn value(&self) -> &Value {
        self.object.value()
    }

    pub(crate) fn get(&self, pointer: &str) -> Option<&Value> {
        self.value().pointer(pointer)
    }

    pub(crate) fn text(&self, pointer: &str) -> Option<&str> {
        self.get(pointer).and_then(Value::as_str)
    }

    /// Pointers that a pattern names now; see [`places`].
    pub(crate) fn places(&self, pattern: &str) -> Vec<String> {
        places(self.value(), pattern)
            .into_iter()
            .map(|(at, _)| at)
            .collect()
    }

    /// Removes a field or a list's entry, for the rule's reason; whether it was there.
    pub(crate) fn remove(&mut self, pointer: &str) -> bool {
        self.remove_because(pointer, self.rule.reason)
    }

    pub(crate) fn remove_because(&mut self, pointer: &str, reason: impl Into<String>) -> bool {
        let Some((parent, key)) = split(pointer) else {
            return false;
        };
        let removed = match self.object.value_mut().pointer_mut(parent) {
            Some(Value::Object(map)) => map.remove(&key),
            Some(Value::Array(list)) => match key.parse::<usize>() {
                Ok(index) if index < list.len() => Some(list.remove(index)),
                _ => None,
            },
            _ => None,
        };
        let Some(before) = removed else {
            return false;
        };
        if matches!(parent, "/metadata/annotations" | "/metadata/labels") {
            self.drop_if_empty(parent);
        }
        self.record(pointer, reason.into(), Some(before), None);
        true
    }

    /// Takes away a map or list that an edit has emptied.
    pub(crate) fn drop_if_empty(&mut self, pointer: &str) {
        let empty = match self.get(pointer) {
            Some(Value::Object(map)) => map.is_empty(),
            Some(Value::Array(list)) => list.is_empty(),
            _ => false,
        };
        if let (true, Some((parent, key))) = (empty, split(pointer))
            && let Some(Value::Object(map)) = self.object.value_mut().pointer_mut(parent)
        {
            map.remove(&key);
        }
    }

    pub(crate) fn remove_annotation(&mut self, name: &str) -> bool {
        self.remove(&format!("/metadata/annotations/{}", escape(name)))
    }

    /// Sets a field whose parent is there; does nothing when it has this value already.
    pub(crate) fn set(&mut self, pointer: &str, value: Value) -> bool {
        self.set_because(pointer, value, self.rule.reason)
    }

    pub(crate) fn set_because(
        &mut self,
        pointer: &str,
        value: Value,
        reason: impl Into<String>,
    ) -> bool {
        let Some((parent, key)) = split(pointer) else {
            return false;
        };
        let before = self.get(pointer).cloned();
        if before.as_ref() == Some(&value) {
            return false;
        }
        match self.object.value_mut().pointer_mut(parent) {
            Some(Value::Object(map)) => {
                map.insert(key, value.clone());
            }
            Some(Value::Array(list)) => {
                match key.parse::<usize>().ok().and_then(|at| list.get_mut(at)) {
                    Some(place) => *place = value.clone(),
                    None => return false,
                }
            }
            _ => return false,
        }
        self.record(pointer, reason.into(), before, Some(value));
        true
    }

    fn record(
        &mut self,
        pointer: &str,
        reason: String,
        before: Option<Value>,
        after: Option<Value>,
    ) {
        let hidden = hidden(&self.object, pointer);
        self.changes.push(Change {
            rule: self.rule.id.to_owned(),
            pointer: pointer.to_owned(),
            reason,
            before: before.filter(|_| !hidden),
            after: after.filter(|_| !hidden),
        });
    }

    pub(crate) fn find(&mut self, severity: Severity, message: impl Into<String>) {
        self.collected.findings.push(Finding {
            severity,
            object: self.object.key(),
            rule: self.rule.id.to_owned(),
            message: message.into(),
        });
    }

    /// Makes a knob of a place that holds a value.
    pub(crate) fn knob(&mut self, pointer: &str, path: &[&str]) {
        if let Some(value) = self.get(pointer).filter(|value| !value.is_null()).cloned() {
            self.add_knob(pointer, path, value, false);
        }
    }

    /// Makes a knob of a text that may be missing; its parent must be there.
    pub(crate) fn optional_knob(&mut self, pointer: &str, path: &[&str]) {
        let parent_is_there = split(pointer)
            .is_some_and(|(parent, _)| self.get(parent).is_some_and(Value::is_object));
        let value = match self.get(pointer) {
            None => Value::Null,
            Some(Value::String(text)) if !text.is_empty() => text.as_str().into(),
            Some(_) => return,
        };
        if parent_is_there {
            self.add_knob(pointer, path, value, true);
        }
    }

    fn add_knob(&mut self, pointer: &str, path: &[&str], value: Value, optional: bool) {
        // Two objects of one name cannot both be told apart by a path: the first has the knob.
        if insert(&mut self.collected.values, path, value) {
            self.collected.knobs.push(Knob {
                object: self.object.key(),
                pointer: pointer.to_owned(),
                source: KnobSource::Value(path.iter().map(|key| (*key).to_owned()).collect()),
                optional,
            });
        }
    }

    /// Makes a place that holds the source's namespace, all of it, follow the target's.
    pub(crate) fn namespace_knob(&mut self, pointer: &str) {
        self.collected.knobs.push(Knob {
            object: self.object.key(),
            pointer: pointer.to_owned(),
            source: KnobSource::ReleaseNamespace,
            optional: false,
        });
    }

    /// Whether a person asked for a field, which a server also fills by itself.
    ///
    /// What `kubectl apply` sent last shows it; so does `managedFields`, since what a server allots or
    /// defaults has no manager there. An object without a uid was never served: all it says was asked for.
    pub(crate) fn asked_for(
        &self,
        in_applied: impl Fn(&Value) -> bool,
        in_managed: impl Fn(&Value) -> bool,
    ) -> bool {
        self.original.uid().is_none()
            || self.last_applied().as_ref().is_some_and(in_applied)
            || self.managed_fields().any(in_managed)
    }

    /// Whether there is anything that could show who set a field of the spec. Servers before Kubernetes
    /// 1.18 keep no `managedFields`.
    pub(crate) fn shows_who_asked(&self) -> bool {
        self.last_applied().is_some()
            || self
                .managed_fields()
                .any(|fields| fields.get("f:spec").is_some())
    }

    /// What `kubectl apply` sent last.
    pub(crate) fn last_applied(&self) -> Option<Value> {
        serde_json::from_str(self.original.annotation(LAST_APPLIED)?).ok()
    }

    fn managed_fields(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        places(self.original.value(), "/metadata/managedFields/*")
            .into_iter()
            .filter(|(_, entry)| entry.get("subresource").is_none())
            .filter_map(|(_, entry)| entry.get("fieldsV1"))
    }
}

/// Parent and unescaped last key of a pointer.
fn split(pointer: &str) -> Option<(&str, String)> {
    let (parent, key) = pointer.rsplit_once('/')?;
    Some((parent, key.replace("~1", "/").replace("~0", "~")))
}

/// Whether a field's values stay out of records: secrets, and bulk that nobody reads.
pub(crate) fn hidden(object: &Object, pointer: &str) -> bool {
    let below = |place: &str| {
        pointer
            .strip_prefix(place)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    below("/status")
        || below("/metadata/managedFields")
        || pointer == format!("/metadata/annotations/{}", escape(LAST_APPLIED))
        || (object.is("", "Secret") && !below("/metadata") && !below("/type"))
        || (object.is("route.openshift.io", "Route") && below("/spec/tls/key"))
        || (object.is("build.openshift.io", "BuildConfig") && pointer.ends_with("/secret"))
}

/// Puts a value at a path; `false` when another one is there.
fn insert(values: &mut Map<String, Value>, path: &[&str], value: Value) -> bool {
    match path {
        [] => false,
        [key] => *values.entry(*key).or_insert_with(|| value.clone()) == value,
        [key, rest @ ..] => match values
            .entry(*key)
            .or_insert_with(|| Value::Object(Map::new()))
        {
            Value::Object(map) => insert(map, rest, value),
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::rules::testing::refactored;

    #[test]
    fn two_objects_of_one_name_do_not_share_a_value() {
        let deployment = |api_version: &str, replicas: i64| json!({"apiVersion": api_version, "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": replicas}});
        let done = refactored([
            deployment("apps/v1", 1),
            deployment("extensions/v1beta1", 2),
        ]);
        assert_eq!(done.values, json!({"replicas": {"Deployment": {"web": 1}}}));
        let keys: Vec<_> = done
            .knobs
            .iter()
            .map(|knob| knob.object.to_string())
            .collect();
        assert_eq!(keys, ["Deployment.apps/web"]);
    }

    #[test]
    fn an_optional_place_that_holds_no_text_is_left_alone() {
        let done = refactored([
            json!({"apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": {"name": "odd"}, "spec": {"host": false}}),
            json!({"apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": {"name": "bare"}, "spec": null}),
        ]);
        assert_eq!(done.knobs, []);
    }

    #[test]
    fn pointers_are_unescaped_and_lists_shortened() {
        let done = refactored([
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p",
            "labels": {"topology.kubernetes.io/zone": "a"}},
            "spec": {"tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]}}),
        ]);
        assert_eq!(
            done.objects[0].object.value(),
            &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {}})
        );
    }
}
