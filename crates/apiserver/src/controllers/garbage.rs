//! Collects what has lost its owner, and carries out how dependents are to go.

use serde_json::{Value, json};

use crate::catalogue::ResourceId;
use crate::metadata;
use crate::state::{Event, EventKind, Key};
use crate::store::{DeleteOptions, Propagation, Store, Subscription};
use crate::write::{Part, Write};

pub(crate) async fn run(store: Store) {
    let mut events = store.subscribe();
    sweep(&store);
    loop {
        match next(&mut events).await {
            Some(event) => handle(&store, &event),
            None => sweep(&store),
        }
    }
}

async fn next(events: &mut Subscription) -> Option<std::sync::Arc<Event>> {
    events.next().await.ok()
}

/// Looks at every object once.
fn sweep(store: &Store) {
    let resources: Vec<ResourceId> = store.state().resources().cloned().collect();
    for resource in resources {
        for object in store.list(&resource, None) {
            consider(store, &resource, &object);
        }
    }
}

fn handle(store: &Store, event: &Event) {
    if event.kind != EventKind::Deleted {
        consider(store, &event.resource, &event.object);
        return;
    }
    let uid = event.object["metadata"]["uid"].as_str().unwrap_or_default();
    for (resource, key) in store.dependents(uid) {
        if let Some(object) = store.get(&resource, namespace_of(&key), &key.1) {
            consider(store, &resource, &object);
        }
    }
    // An owner that waits for its dependents may be free to go now.
    for owner in owners(&event.object) {
        let found = owner["uid"]
            .as_str()
            .and_then(|uid| store.state().by_uid(uid).cloned());
        if let Some((resource, key)) = found
            && let Some(object) = store.get(&resource, namespace_of(&key), &key.1)
        {
            consider(store, &resource, &object);
        }
    }
}

fn namespace_of(key: &Key) -> Option<&str> {
    Some(key.0.as_str()).filter(|namespace| !namespace.is_empty())
}

fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    object["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
}

fn consider(store: &Store, resource: &ResourceId, object: &Value) {
    if !object["metadata"]["deletionTimestamp"].is_null() {
        let finalizers = metadata::finalizers(object);
        if finalizers.iter().any(|one| one == "orphan") {
            orphan(store, resource, object);
        } else if finalizers.iter().any(|one| one == "foregroundDeletion") {
            foreground(store, resource, object);
        }
        return;
    }
    let mut any = false;
    let alive = owners(object).any(|owner| {
        any = true;
        is_there(store, owner, object)
    });
    if any && !alive {
        let options = DeleteOptions {
            uid: object["metadata"]["uid"].as_str().map(str::to_owned),
            propagation: Some(Propagation::Background),
            ..DeleteOptions::default()
        };
        let name = metadata::name(object);
        // It may be gone already, or be somebody else's by now; the next event tells.
        if let Err(error) = store.delete(resource, metadata::namespace(object), name, options) {
            tracing::debug!(%resource, name, %error, "garbage was not collected");
        }
    }
}

/// An owner is found by its uid, in the namespace of what it owns or at cluster scope.
fn is_there(store: &Store, owner: &Value, object: &Value) -> bool {
    let state = store.state();
    let Some((resource, key)) = owner["uid"].as_str().and_then(|uid| state.by_uid(uid)) else {
        return false;
    };
    let right_place = key.0.is_empty() || metadata::namespace(object) == Some(key.0.as_str());
    let right_kind = state
        .get(resource, namespace_of(key), &key.1)
        .is_some_and(|found| found["kind"] == owner["kind"]);
    right_place && right_kind
}

/// Takes the owner off its dependents, then lets it go.
fn orphan(store: &Store, resource: &ResourceId, object: &Value) {
    let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
    for (resource, key) in store.dependents(uid) {
        let freed = store.update(&resource, namespace_of(&key), &key.1, |dependent| {
            if let Some(owners) = dependent["metadata"]["ownerReferences"].as_array_mut() {
                owners.retain(|owner| owner["uid"] != uid);
                if owners.is_empty()
                    && let Some(meta) = dependent["metadata"].as_object_mut()
                {
                    meta.remove("ownerReferences");
                }
            }
        });
        if let Err(error) = freed
            && error.code() != 404
        {
            tracing::warn!(%resource, name = key.1, %error, "an object could not be orphaned");
            return;
        }
    }
    release(store, resource, object, "orphan");
}

/// Deletes the dependents; the last that holds the owner up lets it go.
fn foreground(store: &Store, resource: &ResourceId, object: &Value) {
    let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
    let mut blocked = false;
    for (resource, key) in store.dependents(uid) {
        let Some(dependent) = store.get(&resource, namespace_of(&key), &key.1) else {
            continue;
        };
        blocked |= owners(&dependent)
            .any(|owner| owner["uid"] == uid && owner["blockOwnerDeletion"] == true);
        if dependent["metadata"]["deletionTimestamp"].is_null() {
            let options = DeleteOptions {
                uid: dependent["metadata"]["uid"].as_str().map(str::to_owned),
                propagation: Some(Propagation::Foreground),
                ..DeleteOptions::default()
            };
            let _ = store.delete(&resource, namespace_of(&key), &key.1, options);
        }
    }
    let left = store.dependents(uid).iter().any(|(resource, key)| {
        store
            .get(resource, namespace_of(key), &key.1)
            .is_some_and(|dependent| {
                owners(&dependent)
                    .any(|owner| owner["uid"] == uid && owner["blockOwnerDeletion"] == true)
            })
    });
    if !(blocked && left) {
        release(store, resource, object, "foregroundDeletion");
    }
}

fn release(store: &Store, resource: &ResourceId, object: &Value, finalizer: &str) {
    let Some(kind) = store.catalogue().stored(resource) else {
        return;
    };
    let write = Write {
        part: Part::Special,
        ..Write::system()
    };
    let _ = store.update_with(
        &kind,
        metadata::namespace(object),
        metadata::name(object),
        &write,
        |current| {
            let mut object = current.clone();
            let mut finalizers = metadata::finalizers(&object);
            finalizers.retain(|one| one != finalizer);
            object["metadata"]["finalizers"] = json!(finalizers);
            Ok(object)
        },
    );
}
