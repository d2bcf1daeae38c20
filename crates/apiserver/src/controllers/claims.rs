//! Keeps claims that are in use: a deleted claim goes once no pod uses it any more.

use serde_json::{Value, json};

use crate::catalogue::ResourceId;
use crate::metadata;
use crate::state::EventKind;
use crate::store::Store;

const PROTECTION: &str = "kubernetes.io/pvc-protection";

fn claims() -> ResourceId {
    ResourceId::core("persistentvolumeclaims")
}

fn pods() -> ResourceId {
    ResourceId::core("pods")
}

pub(crate) async fn run(store: Store) {
    let mut events = store.subscribe();
    sweep(&store, None);
    loop {
        let Ok(event) = events.next().await else {
            sweep(&store, None);
            continue;
        };
        if event.resource == claims() && event.kind != EventKind::Deleted {
            consider(&store, &event.object);
        } else if event.resource == pods() && event.kind != EventKind::Added {
            sweep(&store, metadata::namespace(&event.object));
        }
    }
}

fn sweep(store: &Store, namespace: Option<&str>) {
    for claim in store.list(&claims(), namespace) {
        consider(store, &claim);
    }
}

fn consider(store: &Store, claim: &Value) {
    if claim["metadata"]["deletionTimestamp"].is_null()
        || !metadata::finalizers(claim)
            .iter()
            .any(|one| one == PROTECTION)
    {
        return;
    }
    let (namespace, name) = (metadata::namespace(claim), metadata::name(claim));
    let uses = |pod: &Value| {
        let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
        let finished = matches!(
            pod["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed")
        );
        !finished
            && volumes
                .map(|volume| &volume["persistentVolumeClaim"]["claimName"])
                .any(|claim| claim == name)
    };
    if store.list(&pods(), namespace).iter().any(uses) {
        return;
    }
    // It may be gone already.
    let _ = store.update(&claims(), namespace, name, |claim| {
        let mut finalizers = metadata::finalizers(claim);
        finalizers.retain(|one| one != PROTECTION);
        claim["metadata"]["finalizers"] = json!(finalizers);
    });
}
