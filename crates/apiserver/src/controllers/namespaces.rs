//! Fills new namespaces with what a genuine cluster puts there by itself, and empties deleted ones.

use serde_json::{Value, json};

use crate::catalogue::ResourceId;
use crate::error::ApiError;
use crate::metadata;
use crate::state::EventKind;
use crate::store::{DeleteOptions, Store};
use crate::write::{Part, Write};

const RBAC: &str = "rbac.authorization.k8s.io";
const UID_RANGE: &str = "openshift.io/sa.scc.uid-range";
/// Uids of one project.
const BLOCK: u32 = 10_000;

fn namespaces() -> ResourceId {
    ResourceId::core("namespaces")
}

pub(crate) async fn run(store: Store) {
    let mut events = store.subscribe();
    sweep(&store);
    loop {
        let Ok(event) = events.next().await else {
            sweep(&store);
            continue;
        };
        if event.resource == namespaces() {
            if event.kind != EventKind::Deleted
                && let Some(namespace) =
                    store.get(&namespaces(), None, metadata::name(&event.object))
            {
                consider(&store, &namespace);
            }
        } else if event.kind != EventKind::Added
            && let Some(name) = metadata::namespace(&event.object)
            && let Some(namespace) = store.get(&namespaces(), None, name)
            && (event.kind == EventKind::Deleted || is_terminating(&namespace))
        {
            // Something went: a namespace may be empty now, or lack what it is to have.
            consider(&store, &namespace);
        }
    }
}

fn sweep(store: &Store) {
    for namespace in store.list(&namespaces(), None) {
        consider(store, &namespace);
    }
}

fn is_terminating(namespace: &Value) -> bool {
    !namespace["metadata"]["deletionTimestamp"].is_null()
}

fn consider(store: &Store, namespace: &Value) {
    let done = if is_terminating(namespace) {
        empty(store, namespace)
    } else {
        fill(store, metadata::name(namespace))
    };
    if let Err(error) = done {
        // It was deleted meanwhile; its own events follow.
        tracing::debug!(namespace = metadata::name(namespace), %error, "a namespace is not as it should be");
    }
}

fn make(
    store: &Store,
    group: &str,
    plural: &str,
    namespace: &str,
    object: Value,
) -> Result<(), ApiError> {
    let id = ResourceId::new(group, plural);
    if store
        .get(&id, Some(namespace), metadata::name(&object))
        .is_some()
    {
        return Ok(());
    }
    match store.create(&id, Some(namespace), object) {
        Err(error) if error.reason() == "AlreadyExists" => Ok(()),
        other => other.map(|_| ()),
    }
}

fn fill(store: &Store, name: &str) -> Result<(), ApiError> {
    let settings = store.settings();
    make(
        store,
        "",
        "configmaps",
        name,
        json!({
            "metadata": {
                "name": "kube-root-ca.crt",
                "annotations": {
                    "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.",
                },
            },
            "data": {"ca.crt": settings.ca_pem},
        }),
    )?;
    renew(store, name, "kube-root-ca.crt", "ca.crt")?;
    let account = |name: &str| json!({"metadata": {"name": name}});
    make(store, "", "serviceaccounts", name, account("default"))?;
    if !settings.openshift {
        return Ok(());
    }
    annotate(store, name)?;
    make(
        store,
        "",
        "configmaps",
        name,
        json!({
            "metadata": {
                "name": "openshift-service-ca.crt",
                "annotations": {"service.beta.openshift.io/inject-cabundle": "true"},
            },
            "data": {"service-ca.crt": settings.ca_pem},
        }),
    )?;
    renew(store, name, "openshift-service-ca.crt", "service-ca.crt")?;
    make(store, "", "serviceaccounts", name, account("builder"))?;
    make(store, "", "serviceaccounts", name, account("deployer"))?;
    let account =
        |account: &str| json!({"kind": "ServiceAccount", "name": account, "namespace": name});
    let group = json!({
        "kind": "Group",
        "apiGroup": RBAC,
        "name": format!("system:serviceaccounts:{name}"),
    });
    for (binding, role, subject, description) in [
        (
            "system:deployers",
            "system:deployer",
            account("deployer"),
            "Allows deploymentconfigs in this namespace to rollout pods in this namespace.  It is auto-managed by a controller; remove subjects to disable.",
        ),
        (
            "system:image-builders",
            "system:image-builder",
            account("builder"),
            "Allows builds in this namespace to push images to this namespace.  It is auto-managed by a controller; remove subjects to disable.",
        ),
        (
            "system:image-pullers",
            "system:image-puller",
            group,
            "Allows all pods in this namespace to pull images from this namespace.  It is auto-managed by a controller; remove subjects to disable.",
        ),
    ] {
        make(
            store,
            RBAC,
            "rolebindings",
            name,
            json!({
                "metadata": {
                    "name": binding,
                    "annotations": {"openshift.io/description": description},
                },
                "subjects": [subject],
                "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
            }),
        )?;
    }
    Ok(())
}

/// A bundle of certificates that a restarted server has made anew.
fn renew(store: &Store, namespace: &str, name: &str, key: &str) -> Result<(), ApiError> {
    let maps = ResourceId::core("configmaps");
    let ca = &store.settings().ca_pem;
    match store.get(&maps, Some(namespace), name) {
        Some(map) if map["data"][key] != ca.as_str() => store
            .update(&maps, Some(namespace), name, |map| {
                map["data"] = json!({ key: ca });
            })
            .map(|_| ()),
        _ => Ok(()),
    }
}

/// Gives a namespace its uid range, its SELinux level and its pod security labels.
fn annotate(store: &Store, name: &str) -> Result<(), ApiError> {
    let all = store.list(&namespaces(), None);
    let has = |namespace: &Value| namespace["metadata"]["annotations"][UID_RANGE].is_string();
    if all
        .iter()
        .any(|namespace| metadata::name(namespace) == name && has(namespace))
    {
        return Ok(());
    }
    let used: Vec<u32> = all
        .iter()
        .filter_map(|namespace| {
            let range = namespace["metadata"]["annotations"][UID_RANGE].as_str()?;
            range.split_once('/')?.0.parse().ok()
        })
        .collect();
    let first = store.settings().first_uid;
    let start = used
        .iter()
        .filter(|start| **start >= first)
        .max()
        .map_or(first, |last| last + BLOCK);
    let range = format!("{start}/{BLOCK}");
    // The level follows from the block, so that no two projects share one.
    let block = start / BLOCK;
    let level = format!("s0:c{},c{}", 16 + block / 16 % 1000, block % 16);
    store
        .update(&namespaces(), None, name, |namespace| {
            let meta = &mut namespace["metadata"];
            if !meta["annotations"].is_object() {
                meta["annotations"] = json!({});
            }
            for (annotation, value) in [
                (UID_RANGE, range.as_str()),
                ("openshift.io/sa.scc.supplemental-groups", range.as_str()),
                ("openshift.io/sa.scc.mcs", level.as_str()),
                (
                    "security.openshift.io/MinimallySufficientPodSecurityStandard",
                    "restricted",
                ),
            ] {
                meta["annotations"][annotation] = json!(value);
            }
            if !meta["labels"].is_object() {
                meta["labels"] = json!({});
            }
            for mode in ["audit", "enforce", "warn"] {
                meta["labels"][format!("pod-security.kubernetes.io/{mode}")] = json!("restricted");
                meta["labels"][format!("pod-security.kubernetes.io/{mode}-version")] =
                    json!("latest");
            }
        })
        .map(|_| ())
}

/// Deletes what is in a namespace; once nothing is left, the namespace itself.
fn empty(store: &Store, namespace: &Value) -> Result<(), ApiError> {
    let name = metadata::name(namespace);
    let resources: Vec<ResourceId> = store.state().resources().cloned().collect();
    let mut left: Vec<(ResourceId, Vec<Value>)> = Vec::new();
    for resource in resources {
        let objects = store.list(&resource, Some(name));
        for object in &objects {
            if object["metadata"]["deletionTimestamp"].is_null() {
                let options = DeleteOptions {
                    propagation: Some(crate::store::Propagation::Background),
                    ..DeleteOptions::default()
                };
                let _ = store.delete(&resource, Some(name), metadata::name(object), options);
            }
        }
        let objects = store.list(&resource, Some(name));
        if !objects.is_empty() {
            left.push((resource, objects));
        }
    }
    let kind = store
        .catalogue()
        .stored(&namespaces())
        .ok_or_else(ApiError::no_such_resource)?;
    if left.is_empty() {
        let special = Write {
            part: Part::Special,
            ..Write::system()
        };
        store.update_with(&kind, None, name, &special, |current| {
            let mut namespace = current.clone();
            namespace["spec"]["finalizers"] = json!([]);
            Ok(namespace)
        })?;
        store.delete(&namespaces(), None, name, DeleteOptions::now())?;
        return Ok(());
    }
    let conditions = conditions(&left, namespace);
    store
        .update_status(&namespaces(), None, name, |namespace| {
            namespace["status"]["conditions"] = json!(conditions);
        })
        .map(|_| ())
}

fn conditions(left: &[(ResourceId, Vec<Value>)], namespace: &Value) -> Vec<Value> {
    let mut finalizers: std::collections::BTreeMap<String, usize> = Default::default();
    let mut remaining = Vec::new();
    for (resource, objects) in left {
        remaining.push(format!(
            "{}.{} has {} resource instances",
            resource.plural,
            resource.group,
            objects.len()
        ));
        for object in objects {
            for finalizer in metadata::finalizers(object) {
                *finalizers.entry(finalizer).or_default() += 1;
            }
        }
    }
    remaining.sort();
    let waits: Vec<String> = finalizers
        .iter()
        .map(|(finalizer, count)| format!("{finalizer} in {count} resource instances"))
        .collect();
    let before = namespace["status"]["conditions"].as_array();
    let condition = |kind: &str, status: bool, reason: &str, message: String| {
        let status = if status { "True" } else { "False" };
        let known = before
            .into_iter()
            .flatten()
            .find(|one| one["type"] == kind && one["status"] == status);
        json!({
            "type": kind,
            "status": status,
            "lastTransitionTime": known.map_or_else(|| json!(metadata::now()), |one| one["lastTransitionTime"].clone()),
            "reason": reason,
            "message": message,
        })
    };
    vec![
        condition(
            "NamespaceDeletionDiscoveryFailure",
            false,
            "ResourcesDiscovered",
            "All resources successfully discovered".to_owned(),
        ),
        condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            false,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed".to_owned(),
        ),
        condition(
            "NamespaceDeletionContentFailure",
            false,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization".to_owned(),
        ),
        condition(
            "NamespaceContentRemaining",
            true,
            "SomeResourcesRemain",
            format!("Some resources are remaining: {}", remaining.join(", ")),
        ),
        if waits.is_empty() {
            condition(
                "NamespaceFinalizersRemaining",
                false,
                "ContentHasNoFinalizers",
                "All content-preserving finalizers finished".to_owned(),
            )
        } else {
            condition(
                "NamespaceFinalizersRemaining",
                true,
                "SomeFinalizersRemain",
                format!(
                    "Some content in the namespace has finalizers remaining: {}",
                    waits.join(", ")
                ),
            )
        },
    ]
}
