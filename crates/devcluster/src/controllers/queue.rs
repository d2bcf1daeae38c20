//! The loop of a controller: events to objects, objects to work, failures to later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use openshifter_apiserver::{EventKind, ResourceId};
use tokio::time::Instant;

use super::{Context, Controller, Key, Next};
use crate::object;

/// First and longest pause after a failure.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(30));

/// Runs a controller for ever.
pub(super) async fn run(controller: Arc<dyn Controller>, context: Context) {
    let mut events = context.store.subscribe();
    let all = || -> BTreeSet<Key> {
        let objects = context.store.list(&controller.resource(), None);
        objects
            .iter()
            .map(|o| (object::namespace(o).to_owned(), object::name(o).to_owned()))
            .collect()
    };
    let mut queue = all();
    let mut later: BTreeMap<Key, Instant> = BTreeMap::new();
    let mut failures: BTreeMap<Key, u32> = BTreeMap::new();
    loop {
        loop {
            match events.try_next() {
                Ok(Some(event)) => queue.extend(controller.concerns(&context, &event)),
                Ok(None) => break,
                Err(_lost) => queue.extend(all()),
            }
        }
        let now = Instant::now();
        later.retain(|key, due| {
            let is_due = *due <= now;
            if is_due {
                queue.insert(key.clone());
            }
            !is_due
        });
        if let Some(key) = queue.pop_first() {
            later.remove(&key);
            match controller.reconcile(&context, &key) {
                Ok(Next::Event) => drop(failures.remove(&key)),
                Ok(Next::After(pause)) => {
                    failures.remove(&key);
                    later.insert(key, Instant::now() + pause);
                }
                Err(error) => {
                    let count = failures.entry(key.clone()).or_default();
                    let pause = RETRY.0.saturating_mul(1 << (*count).min(10)).min(RETRY.1);
                    *count += 1;
                    tracing::debug!(
                        controller = controller.name(),
                        namespace = key.0,
                        name = key.1,
                        error = error.message(),
                        "will be tried again"
                    );
                    later.insert(key, Instant::now() + pause);
                }
            }
            // Others get a turn, however long the queue is.
            tokio::task::yield_now().await;
            continue;
        }
        let due = later.values().min().copied();
        tokio::select! {
            event = events.next() => match event {
                Ok(event) => queue.extend(controller.concerns(&context, &event)),
                Err(_lost) => queue.extend(all()),
            },
            () = sleep_until(due) => {}
        }
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The event's object itself, if it is of this resource.
pub(super) fn itself(event: &openshifter_apiserver::Event, resource: &ResourceId) -> Vec<Key> {
    if event.resource == *resource {
        vec![key(&event.object)]
    } else {
        Vec::new()
    }
}

/// The event's object itself, or the one that controls it.
pub(super) fn itself_or_owner(
    event: &openshifter_apiserver::Event,
    resource: &ResourceId,
    kind: &str,
    owned: &[ResourceId],
) -> Vec<Key> {
    if owned.contains(&event.resource)
        && let Some(owner) = object::controller(&event.object)
        && owner["kind"] == kind
    {
        let name = owner["name"].as_str().unwrap_or_default().to_owned();
        return vec![(object::namespace(&event.object).to_owned(), name)];
    }
    itself(event, resource)
}

/// Namespace and name.
pub(super) fn key(object: &serde_json::Value) -> Key {
    (
        object::namespace(object).to_owned(),
        object::name(object).to_owned(),
    )
}

/// Whether the event is a deletion.
pub(super) fn is_gone(event: &openshifter_apiserver::Event) -> bool {
    event.kind == EventKind::Deleted
}
