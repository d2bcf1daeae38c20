//! What the cluster's objects say of the registry: its project, Service and pod.

use std::time::Duration;

use openshifter_apiserver::{ApiError, DeleteOptions, ResourceId, Store};
use serde_json::{Value, json};

use crate::object::{self, resources};

/// Its project.
const NAMESPACE: &str = "openshift-image-registry";

/// The port of its Service and of its pod.
pub(crate) const PORT: u16 = 5000;

/// Names in its certificate.
pub(crate) const HOST_NAMES: [&str; 4] = [
    "image-registry.openshift-image-registry.svc",
    "image-registry.openshift-image-registry.svc.cluster.local",
    "image-registry.openshift-image-registry",
    "localhost",
];

const SERVICE: &str = "image-registry";
const ROUTE: &str = "default-route";
const ACCOUNT: &str = "registry";
const LABEL: &str = "docker-registry";

/// Makes its project, account and Service, and the Route to it if it is to be exposed.
pub(crate) fn furnish(store: &Store, exposed: bool) -> Result<(), ApiError> {
    let namespaces = ResourceId::core("namespaces");
    if store.get(&namespaces, None, NAMESPACE).is_none() {
        let namespace = json!({"metadata": {"name": NAMESPACE}});
        store.create(&namespaces, None, namespace)?;
    }
    let accounts = ResourceId::core("serviceaccounts");
    let service = json!({
        "metadata": {"name": SERVICE, "labels": {LABEL: "default"}},
        "spec": {
            "selector": {LABEL: "default"},
            "ports": [{"name": "5000-tcp", "port": PORT, "protocol": "TCP", "targetPort": PORT}],
        },
    });
    let mut wanted = vec![
        (accounts, json!({"metadata": {"name": ACCOUNT}})),
        (resources::services(), service),
    ];
    if exposed {
        let route = json!({
            "metadata": {"name": ROUTE},
            "spec": {
                "to": {"kind": "Service", "name": SERVICE},
                "port": {"targetPort": "5000-tcp"},
                "tls": {"termination": "reencrypt"},
            },
        });
        wanted.push((resources::routes(), route));
    }
    for (resource, object) in wanted {
        let name = object::name(&object).to_owned();
        if store.get(&resource, Some(NAMESPACE), &name).is_none() {
            store.create(&resource, Some(NAMESPACE), object)?;
        }
    }
    Ok(())
}

/// The Route by which it is exposed, if it is.
pub(crate) fn route(store: &Store) -> Option<Value> {
    store.get(&resources::routes(), Some(NAMESPACE), ROUTE)
}

/// Whether a Route is that one.
pub(crate) fn is_route(route: &Value) -> bool {
    object::namespace(route) == NAMESPACE && object::name(route) == ROUTE
}

/// Whether a pod is the registry's: it has no process of its own.
pub(crate) fn is_registry_pod(pod: &Value) -> bool {
    is_pod_name(object::namespace(pod), object::name(pod))
        && pod["metadata"]["labels"][LABEL] == "default"
}

/// Whether the registry's pod has this namespace and name.
pub(crate) fn is_pod_name(namespace: &str, name: &str) -> bool {
    namespace == NAMESPACE && name == pod_name()
}

fn pod_name() -> String {
    format!("{SERVICE}-{}", object::hash(&json!(SERVICE)))
}

/// Keeps its pod in being: made again whenever somebody deletes it.
pub(super) async fn keep_pod(store: Store, node: String, host_ip: String) {
    let name = pod_name();
    let mut events = store.subscribe();
    loop {
        let pod = store.get(&resources::pods(), Some(NAMESPACE), &name);
        let done = match pod {
            None => make(&store, &name, &node, &host_ip),
            Some(pod) if object::is_deleting(&pod) => store.delete(
                &resources::pods(),
                Some(NAMESPACE),
                &name,
                DeleteOptions::now(),
            ),
            Some(pod) if !object::is_ready(&pod) => run(&store, &name, &host_ip),
            Some(_) => Ok(()),
        };
        if let Err(error) = done {
            // Admission waits for what controllers put into a new project.
            tracing::debug!(
                error = error.message(),
                "the registry's pod is not there yet"
            );
            let _ = tokio::time::timeout(Duration::from_millis(100), events.next()).await;
            continue;
        }
        loop {
            // Events that were lost may have been about it.
            let Ok(event) = events.next().await else {
                break;
            };
            if event.resource == resources::pods()
                && object::namespace(&event.object) == NAMESPACE
                && object::name(&event.object) == name
            {
                break;
            }
        }
    }
}

fn make(store: &Store, name: &str, node: &str, host_ip: &str) -> Result<(), ApiError> {
    let pod = json!({
        "metadata": {"name": name, "labels": {LABEL: "default"}},
        "spec": {
            "nodeName": node,
            "serviceAccountName": ACCOUNT,
            "containers": [{
                "name": "registry",
                "image": "openshifter.test/image-registry:1",
                "ports": [{"containerPort": PORT, "protocol": "TCP"}],
            }],
        },
    });
    store.create(&resources::pods(), Some(NAMESPACE), pod)?;
    run(store, name, host_ip)
}

/// Says that it runs, which it does as soon as the cluster does.
fn run(store: &Store, name: &str, host_ip: &str) -> Result<(), ApiError> {
    let now = object::now();
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": now});
    // An address of the pods' network that the node gives to none.
    let ip = host_ip
        .rsplit_once('.')
        .map_or_else(|| host_ip.to_owned(), |(network, _)| format!("{network}.2"));
    store.update_status(&resources::pods(), Some(NAMESPACE), name, |pod| {
        pod["status"] = json!({
            "phase": "Running",
            "conditions": [
                condition("PodReadyToStartContainers"),
                condition("Initialized"),
                condition("Ready"),
                condition("ContainersReady"),
                condition("PodScheduled"),
            ],
            "hostIP": host_ip,
            "hostIPs": [{"ip": host_ip}],
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "startTime": now,
            "qosClass": pod["status"]["qosClass"],
            "containerStatuses": [{
                "name": "registry",
                "state": {"running": {"startedAt": now}},
                "lastState": {},
                "ready": true,
                "started": true,
                "restartCount": 0,
                "image": "openshifter.test/image-registry:1",
                "imageID": "",
            }],
        });
    })?;
    Ok(())
}
