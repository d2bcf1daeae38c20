//! Which of a namespace's objects are the application.

mod administrative;
mod endpoints;
mod generated;
mod own;
mod owned;
mod secrets;
mod transient;
mod twins;

use std::collections::{BTreeMap, BTreeSet};

use openshifter_objects::{
    Inventory, LeftOut, Object, ObjectKey, Selector, Unlisted, claims_of, references,
};
use serde_json::Value;

pub use own::{HELPER_LABEL, RUN_MARK};

/// What the rules know: everything that was listed.
struct Listing<'a> {
    by_key: BTreeMap<ObjectKey, &'a Object>,
    /// All forms of an object: groups and versions differ, kind and name do not.
    forms: BTreeMap<(&'a str, &'a str), Vec<&'a Object>>,
    uids: BTreeSet<&'a str>,
}

impl<'a> Listing<'a> {
    fn new(objects: &'a [Object]) -> Self {
        let mut forms: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for object in objects {
            forms
                .entry((object.kind(), object.name()))
                .or_default()
                .push(object);
        }
        Self {
            forms,
            by_key: objects
                .iter()
                .map(|object| (object.key(), object))
                .collect(),
            uids: objects.iter().filter_map(Object::uid).collect(),
        }
    }

    fn get(&self, group: &str, kind: &str, name: &str) -> Option<&'a Object> {
        self.by_key.get(&ObjectKey::new(group, kind, name)).copied()
    }
}

/// A rule that leaves objects out.
struct LeaveOut {
    id: &'static str,
    /// The reason why this object is left out, if the rule holds for it.
    reason: fn(&Object, &Listing<'_>) -> Option<String>,
}

/// The rules, the most telling first.
const RULES: &[LeaveOut] = &[
    own::RULE,
    transient::EVENT,
    transient::LEASE,
    twins::RULE,
    generated::CONFIG_MAP,
    generated::SERVICE_ACCOUNT,
    generated::ROLE_BINDING,
    secrets::DOCKERCFG,
    secrets::TOKEN,
    secrets::SERVING_CERTIFICATE,
    owned::RULE,
    owned::MIRROR_POD,
    endpoints::ENDPOINTS,
    endpoints::SLICE,
    transient::FINISHED_POD,
    transient::BUILD,
    transient::PIPELINE_RUN,
    transient::TEMPLATE_INSTANCE,
    transient::SNAPSHOT,
    transient::VIEW,
    administrative::LIMITS,
    administrative::OPERATORS,
];

/// Sorts what was listed in a namespace into what is the application and what is not.
///
/// Without a selector the application is everything that no controller owns, no cluster makes for every
/// project and no administrator sets. With one, it is of these what the selector matches, and what that
/// refers to, directly or through others: claims, configuration, secrets, service accounts with the
/// roles bound to them, image streams. What is left out is named with the rule and a reason.
pub fn select(
    listed: Vec<Object>,
    unlisted: Vec<Unlisted>,
    selector: Option<&Selector>,
) -> Inventory {
    let listing = Listing::new(&listed);
    let mut left_out = Vec::new();
    let mut seen = BTreeSet::new();
    let mut keep: Vec<bool> = listed
        .iter()
        .map(|object| {
            let verdict = RULES
                .iter()
                .find_map(|rule| Some((rule.id, (rule.reason)(object, &listing)?)))
                .or_else(|| {
                    let again = !seen.insert(object.key());
                    again.then(|| ("listed-twice", "it was listed twice".to_owned()))
                });
            if let Some((rule, reason)) = verdict {
                left_out.push(LeftOut {
                    key: object.key(),
                    rule: rule.to_owned(),
                    reason,
                });
                return false;
            }
            true
        })
        .collect();

    if let Some(selector) = selector.filter(|selector| !selector.is_empty()) {
        let selected = closure(&listed, &keep, selector);
        for ((object, keep), selected) in listed.iter().zip(&mut keep).zip(selected) {
            if *keep && !selected {
                *keep = false;
                left_out.push(LeftOut {
                    key: object.key(),
                    rule: "not-selected".to_owned(),
                    reason: format!(
                        "`{selector}` does not match it, and nothing selected refers to it"
                    ),
                });
            }
        }
    }
    let mut keep = keep.into_iter();
    let objects = listed
        .into_iter()
        .filter(|_| keep.next().unwrap_or(false))
        .collect();
    Inventory {
        objects,
        left_out,
        unlisted,
    }
}

/// Which objects a selector matches, or these refer to.
fn closure(listed: &[Object], keep: &[bool], selector: &Selector) -> Vec<bool> {
    let index: BTreeMap<ObjectKey, usize> = listed
        .iter()
        .enumerate()
        .filter(|(at, _)| keep[*at])
        .map(|(at, object)| (object.key(), at))
        .collect();
    let bindings = bindings_of_accounts(listed, keep);
    let claims: Vec<Object> = listed
        .iter()
        .filter(|object| object.is("", "PersistentVolumeClaim"))
        .cloned()
        .collect();
    let mut selected = vec![false; listed.len()];
    let mut todo: Vec<usize> = Vec::new();
    let mark = |at: usize, selected: &mut Vec<bool>, todo: &mut Vec<usize>| {
        if !selected[at] {
            selected[at] = true;
            todo.push(at);
        }
    };
    for (at, object) in listed.iter().enumerate() {
        if keep[at] && selector.matches(&object.labels()) {
            mark(at, &mut selected, &mut todo);
        }
    }
    while let Some(at) = todo.pop() {
        let object = &listed[at];
        for key in needed(object, &claims) {
            if let Some(at) = index.get(&key) {
                mark(*at, &mut selected, &mut todo);
            }
        }
        for key in looked_up(object) {
            let found = index.get(&key).filter(|at| is_looked_up(&listed[**at]));
            if let Some(at) = found {
                mark(*at, &mut selected, &mut todo);
            }
        }
        if object.is("", "ServiceAccount") {
            for at in bindings.get(object.name()).into_iter().flatten() {
                mark(*at, &mut selected, &mut todo);
            }
        }
    }
    selected
}

/// What an object needs in its own namespace.
fn needed(object: &Object, claims: &[Object]) -> Vec<ObjectKey> {
    let own = object.namespace();
    let mut keys: Vec<ObjectKey> = references(object)
        .into_iter()
        .filter(|reference| reference.namespace.is_none() || reference.namespace.as_deref() == own)
        .map(|reference| reference.to)
        .collect();
    keys.extend(
        claims_of(object, claims)
            .into_iter()
            .map(|claim| ObjectKey::new("", "PersistentVolumeClaim", claim)),
    );
    // Pods run as `default` where they name no account.
    if object.pod_spec().is_some_and(|spec| {
        spec.get("serviceAccountName").is_none() && spec.get("serviceAccount").is_none()
    }) {
        keys.push(ObjectKey::new("", "ServiceAccount", "default"));
    }
    keys
}

/// ImageStreams that the plain names of a workload's images may mean: `web:latest`.
fn looked_up(object: &Object) -> Vec<ObjectKey> {
    let Some(spec) = object.pod_spec() else {
        return Vec::new();
    };
    let containers = ["containers", "initContainers"]
        .into_iter()
        .filter_map(|field| spec.get(field)?.as_array())
        .flatten();
    containers
        .filter_map(|container| container.get("image")?.as_str())
        .filter(|image| !image.contains('/'))
        .filter_map(|image| image.split([':', '@']).next())
        .map(|stream| ObjectKey::new("image.openshift.io", "ImageStream", stream))
        .collect()
}

/// Whether plain names of images mean a stream's tags, in any workload of its namespace (OpenShift 3.6 and later).
fn is_looked_up(stream: &Object) -> bool {
    stream.value().pointer("/spec/lookupPolicy/local") == Some(&Value::Bool(true))
}

/// RoleBindings, by the service accounts of their namespace that they are for.
fn bindings_of_accounts<'a>(listed: &'a [Object], keep: &[bool]) -> BTreeMap<&'a str, Vec<usize>> {
    let mut bindings: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, object) in listed.iter().enumerate() {
        if !keep[at] || object.kind() != "RoleBinding" {
            continue;
        }
        let subjects = object.value().get("subjects").and_then(Value::as_array);
        for subject in subjects.into_iter().flatten() {
            let text = |field: &str| subject.get(field).and_then(Value::as_str);
            let here = text("namespace").is_none() || text("namespace") == object.namespace();
            if let (Some("ServiceAccount"), Some(name), true) = (text("kind"), text("name"), here) {
                bindings.entry(name).or_default().push(at);
            }
        }
    }
    bindings
}

#[cfg(test)]
pub(crate) mod testing {
    use openshifter_objects::{Inventory, Object};
    use serde_json::Value;

    /// Selects without a selector, and says of each object left out which rule did it.
    pub(crate) fn left_out(objects: Vec<Value>) -> Vec<(String, String)> {
        selected(objects)
            .left_out
            .into_iter()
            .map(|one| (one.key.to_string(), one.rule))
            .collect()
    }

    pub(crate) fn selected(objects: Vec<Value>) -> Inventory {
        let objects = objects
            .into_iter()
            .map(|value| Object::from_value(value).unwrap())
            .collect();
        super::select(objects, Vec::new(), None)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap()
    }

    #[test]
    fn a_selector_takes_along_what_is_referred_to() {
        let rbac = "rbac.authorization.k8s.io/v1";
        let listed = vec![
            object(
                json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "ns", "labels": {"app": "db"}},
                "spec": {"replicas": 1, "volumeClaimTemplates": [{"metadata": {"name": "data"}}], "template": {"spec": {
                    "serviceAccountName": "runner",
                    "containers": [{"name": "db", "envFrom": [{"secretRef": {"name": "pw"}}]}]}}}}),
            ),
            object(
                json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data-db-0", "namespace": "ns"}}),
            ),
            object(
                json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data-db-3", "namespace": "ns"}}),
            ),
            object(
                json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "other", "namespace": "ns"}}),
            ),
            object(
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pw", "namespace": "ns"}}),
            ),
            object(
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pull", "namespace": "ns"}}),
            ),
            object(
                json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "runner", "namespace": "ns"},
                "imagePullSecrets": [{"name": "pull"}]}),
            ),
            object(
                json!({"apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": "b", "namespace": "ns"},
                "subjects": [{"kind": "ServiceAccount", "name": "runner"}], "roleRef": {"kind": "Role", "name": "r"}}),
            ),
            object(
                json!({"apiVersion": rbac, "kind": "Role", "metadata": {"name": "r", "namespace": "ns"}}),
            ),
            object(
                json!({"apiVersion": rbac, "kind": "Role", "metadata": {"name": "unused", "namespace": "ns"}}),
            ),
        ];
        let selector = "app=db".parse().unwrap();
        let inventory = select(listed, Vec::new(), Some(&selector));
        let left_out: Vec<_> = inventory
            .left_out
            .iter()
            .map(|one| format!("{} {}", one.key, one.rule))
            .collect();
        assert_eq!(
            left_out,
            [
                "PersistentVolumeClaim/other not-selected",
                "Role.rbac.authorization.k8s.io/unused not-selected"
            ]
        );
        assert_eq!(inventory.objects.len(), 8);
    }

    #[test]
    fn a_selected_workload_takes_along_the_stream_that_its_plain_image_means() {
        let stream = |name: &str, local: bool| {
            object(
                json!({"apiVersion": "image.openshift.io/v1", "kind": "ImageStream", "metadata": {"name": name, "namespace": "ns"},
                "spec": {"lookupPolicy": {"local": local}}}),
            )
        };
        let listed = vec![
            stream("web", true),
            stream("tool", false),
            stream("other", true),
            object(
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ns", "labels": {"app": "a"}},
                "spec": {"containers": [{"image": "web:1"}, {"image": "quay.io/a/other:1"}], "initContainers": [{"image": "tool"}]}}),
            ),
        ];
        let selector = "app=a".parse().unwrap();
        let inventory = select(listed, Vec::new(), Some(&selector));
        let kept: Vec<_> = inventory.objects.iter().map(Object::name).collect();
        assert_eq!(kept, ["web", "p"]);
    }

    #[test]
    fn what_could_not_be_listed_stays_known() {
        let unlisted = vec![Unlisted {
            resource: "secrets".to_owned(),
            reason: "forbidden".to_owned(),
            forbidden: true,
        }];
        assert_eq!(
            select(Vec::new(), unlisted.clone(), None).unlisted,
            unlisted
        );
    }

    #[test]
    fn the_same_object_is_taken_once() {
        let one =
            object(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}));
        let inventory = select(vec![one.clone(), one], Vec::new(), None);
        assert_eq!(inventory.objects.len(), 1);
        assert_eq!(inventory.left_out[0].rule, "listed-twice");
    }
}
