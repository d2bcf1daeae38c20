//! Keeps the status of resource quotas.

use serde_json::{Map, Value, json};

use crate::catalogue::ResourceId;
use crate::metadata;
use crate::rules::limits;
use crate::state::EventKind;
use crate::store::Store;

fn quotas() -> ResourceId {
    ResourceId::core("resourcequotas")
}

pub(crate) async fn run(store: Store) {
    let mut events = store.subscribe();
    refresh(&store, None);
    loop {
        let Ok(event) = events.next().await else {
            refresh(&store, None);
            continue;
        };
        // A change counts where it may end a pod or change the quota itself.
        let counts = event.kind != EventKind::Modified
            || event.resource == quotas()
            || event.resource == ResourceId::core("pods")
            || event.resource == ResourceId::core("persistentvolumeclaims");
        if counts && let Some(namespace) = metadata::namespace(&event.object) {
            refresh(&store, Some(namespace));
        }
    }
}

fn refresh(store: &Store, namespace: Option<&str>) {
    for quota in store.list(&quotas(), namespace) {
        let used: Map<String, Value> = limits::used(&store.state(), &quota)
            .into_iter()
            .map(|(name, amount)| (name, json!(amount.to_string())))
            .collect();
        let status = json!({"hard": quota["spec"]["hard"], "used": used});
        // Gone meanwhile, or written by somebody else: the next event tells.
        let _ = store.update_status(
            &quotas(),
            metadata::namespace(&quota),
            metadata::name(&quota),
            |quota| quota["status"] = status.clone(),
        );
    }
}
