//! The store: every object of the cluster, in memory, with one revision for all writes.
//!
//! It is the in-process way to the cluster for controllers, and what the HTTP handlers write through.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

use crate::catalogue::{Catalogue, ResourceId, ResourceType};
use crate::error::ApiError;
use crate::settings::Settings;
use crate::state::{Event, Key, State};
use crate::write::{Deleted, Part, Write};

/// What a deletion asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Only the object with this uid.
    pub uid: Option<String>,
    /// Only the object in this revision.
    pub resource_version: Option<String>,
    /// Seconds that a pod's processes get; 0 removes the object at once.
    pub grace_period_seconds: Option<i64>,
    /// What becomes of the objects that it owns; the kind's default if none.
    pub propagation: Option<Propagation>,
}

impl DeleteOptions {
    /// Removes the object at once, as a node does when a pod's processes have ended.
    pub fn now() -> Self {
        Self {
            grace_period_seconds: Some(0),
            ..Self::default()
        }
    }
}

/// What becomes of the objects that a deleted one owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They are collected afterwards.
    Background,
    /// They go first.
    Foreground,
    /// They stay, without an owner.
    Orphan,
}

/// A subscriber was too slow: events are lost, so it lists again and goes on from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("events were lost: list again")]
pub struct EventsLost;

/// In-process access to all objects. Clones are cheap and share the objects.
///
/// Writes go the way of a request by the system itself: without access control, but with the
/// metadata, defaults and admission that a server adds.
///
/// ```
/// use openshifter_apiserver::{ResourceId, Store};
/// use serde_json::json;
/// let store = Store::in_memory("test");
/// store.create(&ResourceId::core("namespaces"), None, json!({"metadata": {"name": "shop"}}))?;
/// let maps = ResourceId::core("configmaps");
/// let made = store.create(&maps, Some("shop"), json!({"metadata": {"name": "a"}}))?;
/// assert!(made["metadata"]["uid"].is_string());
/// assert_eq!(store.list(&maps, Some("shop")).len(), 1);
/// # Ok::<(), openshifter_apiserver::ApiError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    catalogue: Arc<Catalogue>,
    settings: Settings,
    revision: watch::Sender<u64>,
    // One snapshot is written at a time, so that an older never replaces a newer one.
    saving: Mutex<()>,
}

impl Store {
    pub(crate) fn new(catalogue: Arc<Catalogue>, settings: Settings) -> Self {
        let state = State::new(settings.history);
        let (revision, _) = watch::channel(state.revision());
        Self {
            inner: Arc::new(Inner {
                state: Mutex::new(state),
                catalogue,
                settings,
                revision,
                saving: Mutex::new(()),
            }),
        }
    }

    /// A store without a server, for tests of controllers.
    pub fn in_memory(cluster: &str) -> Self {
        Self::new(Arc::new(Catalogue::new(true)), Settings::new(cluster))
    }

    /// One object, in the stored version of its kind.
    pub fn get(&self, resource: &ResourceId, namespace: Option<&str>, name: &str) -> Option<Value> {
        self.state()
            .get(resource, namespace, name)
            .map(|object| Value::clone(object))
    }

    /// All objects of a resource, in one namespace or in all, by namespace and name.
    pub fn list(&self, resource: &ResourceId, namespace: Option<&str>) -> Vec<Value> {
        self.state()
            .list(resource, namespace)
            .map(|(_, object)| Value::clone(object))
            .collect()
    }

    /// Creates an object and returns it as it is stored. `apiVersion` and `kind` may be left out.
    ///
    /// # Errors
    /// As a server refuses: a name in use, no such namespace, an invalid object.
    pub fn create(
        &self,
        resource: &ResourceId,
        namespace: Option<&str>,
        object: Value,
    ) -> Result<Value, ApiError> {
        let kind = self.kind(resource)?;
        self.create_with(&kind, namespace, object, &Write::system())
            .map(|object| Value::clone(&object))
    }

    /// Changes everything of an object but its status. The change is atomic; nothing is written if it
    /// changes nothing. The closure must not call the store.
    ///
    /// # Errors
    /// 404 if the object is gone; else as a server refuses.
    pub fn update(
        &self,
        resource: &ResourceId,
        namespace: Option<&str>,
        name: &str,
        change: impl FnMut(&mut Value),
    ) -> Result<Value, ApiError> {
        self.change(resource, namespace, name, Part::Main, change)
    }

    /// Changes an object's status and nothing else; otherwise like [`Store::update`].
    ///
    /// # Errors
    /// 404 if the object is gone.
    pub fn update_status(
        &self,
        resource: &ResourceId,
        namespace: Option<&str>,
        name: &str,
        change: impl FnMut(&mut Value),
    ) -> Result<Value, ApiError> {
        self.change(resource, namespace, name, Part::Status, change)
    }

    fn change(
        &self,
        resource: &ResourceId,
        namespace: Option<&str>,
        name: &str,
        part: Part,
        mut change: impl FnMut(&mut Value),
    ) -> Result<Value, ApiError> {
        let kind = self.kind(resource)?;
        let write = Write {
            part,
            ..Write::system()
        };
        self.update_with(&kind, namespace, name, &write, |current| {
            let mut object = current.clone();
            change(&mut object);
            Ok(object)
        })
        .map(|object| Value::clone(&object))
    }

    /// Deletes an object, or begins to: a pod on a node first gets its deletion time, and is gone once
    /// the node deletes it with [`DeleteOptions::now`]; an object with finalizers waits for them; a
    /// namespace is emptied first.
    ///
    /// # Errors
    /// 404 if there is none, 409 if it is not the object that was meant.
    pub fn delete(
        &self,
        resource: &ResourceId,
        namespace: Option<&str>,
        name: &str,
        options: DeleteOptions,
    ) -> Result<(), ApiError> {
        let kind = self.kind(resource)?;
        self.delete_with(&kind, namespace, name, &options, &Write::system())
            .map(|_| ())
    }

    /// Every write from now on.
    pub fn subscribe(&self) -> Subscription {
        let position = self.state().revision();
        self.subscribe_after(position)
    }

    pub(crate) fn subscribe_after(&self, position: u64) -> Subscription {
        Subscription {
            store: self.clone(),
            latest: self.inner.revision.subscribe(),
            position,
        }
    }

    /// All objects of a resource, and the events after exactly that moment.
    pub fn list_and_subscribe(
        &self,
        resource: &ResourceId,
        namespace: Option<&str>,
    ) -> (Vec<Value>, Subscription) {
        let (list, position) = {
            let state = self.state();
            let list = state
                .list(resource, namespace)
                .map(|(_, object)| Value::clone(object))
                .collect();
            (list, state.revision())
        };
        (list, self.subscribe_after(position))
    }

    /// Forgets the past, as the compaction of etcd does: earlier watches and pages have expired.
    pub fn compact(&self) {
        self.state().compact();
    }

    /// The latest revision.
    pub fn revision(&self) -> u64 {
        self.state().revision()
    }

    /// The resources it knows.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.inner.catalogue
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    fn kind(&self, resource: &ResourceId) -> Result<Arc<ResourceType>, ApiError> {
        self.inner
            .catalogue
            .stored(resource)
            .ok_or_else(ApiError::no_such_resource)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A panic of one writer leaves whole objects behind: each write is one insertion.
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, state: &State) {
        self.inner.revision.send_replace(state.revision());
    }

    pub(crate) fn create_with(
        &self,
        kind: &ResourceType,
        namespace: Option<&str>,
        object: Value,
        write: &Write<'_>,
    ) -> Result<Arc<Value>, ApiError> {
        let mut state = self.state();
        let made = crate::write::create(
            &mut state,
            &self.inner.catalogue,
            &self.inner.settings,
            kind,
            namespace,
            object,
            write,
        );
        self.publish(&state);
        made
    }

    pub(crate) fn update_with(
        &self,
        kind: &ResourceType,
        namespace: Option<&str>,
        name: &str,
        write: &Write<'_>,
        change: impl FnOnce(&Value) -> Result<Value, ApiError>,
    ) -> Result<Arc<Value>, ApiError> {
        let mut state = self.state();
        let changed = crate::write::update(
            &mut state,
            &self.inner.catalogue,
            &self.inner.settings,
            kind,
            namespace,
            name,
            write,
            change,
        );
        self.publish(&state);
        changed
    }

    pub(crate) fn delete_with(
        &self,
        kind: &ResourceType,
        namespace: Option<&str>,
        name: &str,
        options: &DeleteOptions,
        write: &Write<'_>,
    ) -> Result<Deleted, ApiError> {
        let mut state = self.state();
        let deleted = crate::write::delete(
            &mut state,
            &self.inner.catalogue,
            kind,
            namespace,
            name,
            options,
            write,
        );
        self.publish(&state);
        deleted
    }

    /// Reads a snapshot if there is one; says whether there was.
    pub(crate) fn load(&self, path: &Path) -> Result<bool, std::io::Error> {
        let bytes = match fs_err::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let snapshot = serde_json::from_slice(&bytes).map_err(std::io::Error::other)?;
        let mut state = self.state();
        state.restore(snapshot);
        let definitions = ResourceId::new("apiextensions.k8s.io", "customresourcedefinitions");
        for (_, definition) in state.list(&definitions, None) {
            self.inner.catalogue.define(definition);
        }
        self.publish(&state);
        Ok(true)
    }

    /// Writes a snapshot: whole or not at all, readable by its owner alone since it holds secrets.
    pub(crate) fn save(&self, path: &Path) -> Result<(), std::io::Error> {
        let _one = self
            .inner
            .saving
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.state().snapshot();
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = std::io::BufWriter::new(tempfile::NamedTempFile::new_in(folder)?);
        serde_json::to_writer(&mut file, &snapshot)?;
        let file = file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    pub(crate) fn dependents(&self, uid: &str) -> Vec<(ResourceId, Key)> {
        self.state().dependents(uid)
    }
}

/// A stream of writes. It holds nothing back from the store: one that falls too far behind is told.
#[derive(Debug)]
pub struct Subscription {
    store: Store,
    latest: watch::Receiver<u64>,
    position: u64,
}

impl Subscription {
    /// Waits for the next write.
    ///
    /// # Errors
    /// [`EventsLost`] when events were forgotten before they were read. The subscription goes on with
    /// the writes from this moment, so that listing after the error misses nothing.
    pub async fn next(&mut self) -> Result<Arc<Event>, EventsLost> {
        loop {
            if let Some(event) = self.try_next()? {
                return Ok(event);
            }
            // The sender lives in the store that is held here, so this ends only by a change.
            let position = self.position;
            let _ = self.latest.wait_for(|latest| *latest > position).await;
        }
    }

    /// The next write, if there is one already.
    ///
    /// # Errors
    /// As [`Subscription::next`].
    pub fn try_next(&mut self) -> Result<Option<Arc<Event>>, EventsLost> {
        let state = self.store.state();
        match state.event_after(self.position) {
            Ok(Some(event)) => {
                self.position = event.revision;
                Ok(Some(Arc::clone(event)))
            }
            Ok(None) => Ok(None),
            Err(_) => {
                self.position = state.revision();
                Err(EventsLost)
            }
        }
    }

    /// The revision up to which it has read.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// It as a [`futures::Stream`].
    pub fn into_stream(self) -> impl futures::Stream<Item = Result<Arc<Event>, EventsLost>> + Send {
        futures::stream::unfold(self, |mut subscription| async move {
            let next = subscription.next().await;
            Some((next, subscription))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn a_slow_subscriber_is_told_and_goes_on() {
        let store = Store::in_memory("test");
        let namespaces = ResourceId::core("namespaces");
        let mut events = store.subscribe();
        let make = |name: &str| {
            store
                .create(&namespaces, None, json!({"metadata": {"name": name}}))
                .unwrap();
        };
        make("a");
        assert_eq!(events.next().await.unwrap().object["metadata"]["name"], "a");
        make("b");
        store.compact();
        assert_eq!(events.next().await.unwrap_err(), EventsLost);
        make("c");
        assert_eq!(events.next().await.unwrap().object["metadata"]["name"], "c");
    }
}
