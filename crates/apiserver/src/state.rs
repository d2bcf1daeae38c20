//! What the store holds at one moment, and the recent past of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalogue::ResourceId;

/// Namespace (empty for cluster scope) and name.
pub(crate) type Key = (String, String);

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It was created.
    Added,
    /// It was changed.
    Modified,
    /// It is gone; the event holds its last form.
    Deleted,
}

/// One write.
#[derive(Debug, Clone)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// To an object of which resource.
    pub resource: ResourceId,
    /// The object, in its stored version, as it is after the write.
    pub object: Arc<Value>,
    /// The object before the write.
    pub(crate) previous: Option<Arc<Value>>,
    pub(crate) revision: u64,
}

/// All objects and the latest events.
#[derive(Debug, Default)]
pub(crate) struct State {
    revision: u64,
    objects: HashMap<ResourceId, BTreeMap<Key, Arc<Value>>>,
    // Owners' uids to what they own, and every uid in use: for garbage collection.
    dependents: HashMap<String, BTreeSet<(ResourceId, Key)>>,
    uids: HashMap<String, (ResourceId, Key)>,
    history: VecDeque<Arc<Event>>,
    // Every revision up to this one is no longer in the history.
    compacted: u64,
    history_limit: usize,
}

pub(crate) fn key(namespace: Option<&str>, name: &str) -> Key {
    (namespace.unwrap_or_default().to_owned(), name.to_owned())
}

fn owner_uids(object: &Value) -> impl Iterator<Item = &str> {
    object["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|owner| owner["uid"].as_str())
}

impl State {
    pub(crate) fn new(history_limit: usize) -> Self {
        Self {
            // Revision 0 means "any" to clients.
            revision: 1,
            compacted: 1,
            history_limit,
            ..Self::default()
        }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn compacted(&self) -> u64 {
        self.compacted
    }

    pub(crate) fn get(
        &self,
        resource: &ResourceId,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<&Arc<Value>> {
        self.objects.get(resource)?.get(&key(namespace, name))
    }

    /// Objects of a resource in order of namespace and name.
    pub(crate) fn list<'a>(
        &'a self,
        resource: &ResourceId,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> + use<'a> {
        let start = (namespace.unwrap_or_default().to_owned(), String::new());
        self.objects
            .get(resource)
            .map(|objects| objects.range(start..))
            .into_iter()
            .flatten()
            .take_while(move |((ns, _), _)| namespace.is_none_or(|wanted| ns == wanted))
    }

    /// The same at an earlier revision, if it is still known.
    pub(crate) fn list_at(
        &self,
        resource: &ResourceId,
        namespace: Option<&str>,
        revision: u64,
    ) -> Option<BTreeMap<Key, Arc<Value>>> {
        if revision < self.compacted {
            return None;
        }
        let mut objects: BTreeMap<Key, Arc<Value>> = self
            .list(resource, namespace)
            .map(|(key, object)| (key.clone(), Arc::clone(object)))
            .collect();
        for event in self.history.iter().rev() {
            if event.revision <= revision {
                break;
            }
            let key = object_key(&event.object);
            if event.resource != *resource || namespace.is_some_and(|ns| key.0 != ns) {
                continue;
            }
            match &event.previous {
                Some(previous) => objects.insert(key, Arc::clone(previous)),
                None => objects.remove(&key),
            };
        }
        Some(objects)
    }

    pub(crate) fn resources(&self) -> impl Iterator<Item = &ResourceId> {
        self.objects.keys()
    }

    pub(crate) fn by_uid(&self, uid: &str) -> Option<&(ResourceId, Key)> {
        self.uids.get(uid)
    }

    pub(crate) fn dependents(&self, uid: &str) -> Vec<(ResourceId, Key)> {
        self.dependents
            .get(uid)
            .map(|set| set.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// The event after this revision; `Err` if it is forgotten.
    pub(crate) fn event_after(&self, revision: u64) -> Result<Option<&Arc<Event>>, u64> {
        if revision < self.compacted {
            return Err(self.compacted);
        }
        // Every revision is one event, so a position is a subtraction.
        let index = usize::try_from(revision - self.compacted).unwrap_or(usize::MAX);
        Ok(self.history.get(index))
    }

    /// Puts an object in under a new revision, which it is given.
    pub(crate) fn put(&mut self, resource: &ResourceId, mut object: Value) -> Arc<Value> {
        let revision = self.revision + 1;
        object["metadata"]["resourceVersion"] = Value::String(revision.to_string());
        let key = object_key(&object);
        let object = Arc::new(object);
        let previous = self
            .objects
            .entry(resource.clone())
            .or_default()
            .insert(key.clone(), Arc::clone(&object));
        if let Some(previous) = &previous {
            self.unindex(resource, &key, previous);
        }
        self.index(resource, &key, &object);
        self.record(Event {
            kind: if previous.is_some() {
                EventKind::Modified
            } else {
                EventKind::Added
            },
            resource: resource.clone(),
            object: Arc::clone(&object),
            previous,
            revision,
        });
        object
    }

    /// Takes an object out; what is returned carries the revision of its removal.
    pub(crate) fn remove(&mut self, resource: &ResourceId, key: &Key) -> Option<Arc<Value>> {
        let previous = self.objects.get_mut(resource)?.remove(key)?;
        self.unindex(resource, key, &previous);
        let revision = self.revision + 1;
        let mut object = Value::clone(&previous);
        object["metadata"]["resourceVersion"] = Value::String(revision.to_string());
        let object = Arc::new(object);
        self.record(Event {
            kind: EventKind::Deleted,
            resource: resource.clone(),
            object: Arc::clone(&object),
            previous: Some(previous),
            revision,
        });
        Some(object)
    }

    /// Forgets all events: watches and pages that began earlier have expired.
    pub(crate) fn compact(&mut self) {
        self.history.clear();
        self.compacted = self.revision;
    }

    fn record(&mut self, event: Event) {
        self.revision = event.revision;
        self.history.push_back(Arc::new(event));
        while self.history.len() > self.history_limit {
            self.history.pop_front();
            self.compacted += 1;
        }
    }

    fn index(&mut self, resource: &ResourceId, key: &Key, object: &Value) {
        if let Some(uid) = object["metadata"]["uid"].as_str() {
            self.uids
                .insert(uid.to_owned(), (resource.clone(), key.clone()));
        }
        for owner in owner_uids(object) {
            self.dependents
                .entry(owner.to_owned())
                .or_default()
                .insert((resource.clone(), key.clone()));
        }
    }

    fn unindex(&mut self, resource: &ResourceId, key: &Key, object: &Value) {
        if let Some(uid) = object["metadata"]["uid"].as_str() {
            self.uids.remove(uid);
        }
        for owner in owner_uids(object) {
            if let Some(set) = self.dependents.get_mut(owner) {
                set.remove(&(resource.clone(), key.clone()));
                if set.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }

    /// Everything, for a snapshot. It shares the objects, so that it can be written without the lock.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            revision: self.revision,
            resources: self
                .objects
                .iter()
                .map(|(resource, objects)| SnapshotOf {
                    group: resource.group.clone(),
                    plural: resource.plural.clone(),
                    objects: objects.values().cloned().collect(),
                })
                .collect(),
        }
    }

    /// Takes a snapshot back. Its past is not in it, so every earlier watch has expired.
    pub(crate) fn restore(&mut self, snapshot: Snapshot) {
        self.revision = snapshot.revision.max(1);
        self.compact();
        for resource in snapshot.resources {
            let id = ResourceId::new(&resource.group, &resource.plural);
            for object in resource.objects {
                let key = object_key(&object);
                self.index(&id, &key, &object);
                self.objects
                    .entry(id.clone())
                    .or_default()
                    .insert(key, object);
            }
        }
    }
}

/// All objects at one moment, as they are written to disk.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) revision: u64,
    resources: Vec<SnapshotOf>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SnapshotOf {
    group: String,
    plural: String,
    objects: Vec<Arc<Value>>,
}

/// Namespace and name of an object.
pub(crate) fn object_key(object: &Value) -> Key {
    let text = |field: &str| {
        object["metadata"][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    (text("namespace"), text("name"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(name: &str, value: u8) -> Value {
        json!({"metadata": {"name": name, "namespace": "n", "uid": name}, "value": value})
    }

    #[test]
    fn the_past_is_known_until_it_is_compacted() {
        let maps = ResourceId::core("configmaps");
        let mut state = State::new(100);
        state.put(&maps, object("a", 1));
        let then = state.revision();
        state.put(&maps, object("a", 2));
        state.put(&maps, object("b", 1));
        state.remove(&maps, &key(Some("n"), "a"));
        let past = state.list_at(&maps, Some("n"), then).unwrap();
        assert_eq!(past.len(), 1);
        assert_eq!(past[&key(Some("n"), "a")]["value"], 1);
        assert_eq!(state.list(&maps, None).count(), 1);
        let next = state.event_after(then).unwrap().unwrap();
        assert_eq!(next.kind, EventKind::Modified);
        state.compact();
        assert!(state.list_at(&maps, None, then).is_none());
        assert!(state.event_after(then).is_err());
        assert!(state.event_after(state.revision()).unwrap().is_none());
    }

    #[test]
    fn a_snapshot_brings_everything_back() {
        let maps = ResourceId::core("configmaps");
        let mut state = State::new(100);
        let mut owned = object("a", 1);
        owned["metadata"]["ownerReferences"] = json!([{"uid": "u"}]);
        state.put(&maps, owned);
        let mut again = State::new(100);
        again.restore(state.snapshot());
        assert_eq!(again.revision(), state.revision());
        assert_eq!(
            again.get(&maps, Some("n"), "a"),
            state.get(&maps, Some("n"), "a")
        );
        assert_eq!(again.dependents("u").len(), 1);
    }
}
