//! Watches: events from a revision on, initial events, bookmarks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::{Instant, Interval};

use super::list::Selection;
use super::request::Target;
use super::respond::{Answer, Shape};
use super::{App, Call, convert, handlers, table};
use crate::catalogue::ResourceType;
use crate::error::ApiError;
use crate::metadata;
use crate::state::{Event, EventKind};
use crate::store::Subscription;

const BOOKMARK_EVERY: Duration = Duration::from_secs(30);

/// Decides whether a user may see an object at all.
pub(crate) type Filter = Arc<dyn Fn(&Value) -> bool + Send + Sync>;

struct Watcher {
    subscription: Subscription,
    kind: Arc<ResourceType>,
    namespace: Option<String>,
    name: Option<String>,
    selection: Selection,
    filter: Option<Filter>,
    shape: Shape,
    include_object: Option<String>,
    /// What is sent before anything that happens.
    first: VecDeque<Value>,
    bookmarks: Option<Interval>,
    columns_sent: bool,
    ended: bool,
    until: Instant,
    app: Arc<App>,
}

/// Answers a watch. A `filter` hides objects, sends no bookmarks, and lists first only at revision 0:
/// so do the servers' own filtered watches (those of projects).
pub(crate) fn watch(
    app: &Arc<App>,
    call: &Call,
    target: &Target,
    filter: Option<Filter>,
) -> Result<Answer, ApiError> {
    let parts = &call.request;
    let kind = &target.kind;
    let selection = Selection::read(kind, parts)?;
    let asked = match parts.param("resourceVersion") {
        None => None,
        Some(text) => Some(
            text.parse::<u64>()
                .map_err(|_| ApiError::bad_request(format!("invalid resourceVersion {text:?}")))?,
        ),
    };
    let bookmarks = parts.flag("allowWatchBookmarks");
    let initial = parts.param("sendInitialEvents");
    if initial.is_some() && parts.param("resourceVersionMatch") != Some("NotOlderThan") {
        return Err(ApiError::invalid(
            "meta.k8s.io",
            "ListOptions",
            "",
            &[crate::error::Cause::forbidden(
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            )],
        ));
    }
    let seconds = parts
        .param("timeoutSeconds")
        .and_then(|text| text.parse::<u64>().ok())
        .unwrap_or_else(|| rand::random_range(1800..3600));
    let lists_first = match (initial, &filter) {
        (_, Some(_)) => asked == Some(0),
        (Some(initial), None) => initial == "true",
        (None, None) => matches!(asked, None | Some(0)),
    };
    let state = app.store.state();
    let current = state.revision();
    let mut first = VecDeque::new();
    let position = if lists_first {
        current
    } else {
        asked.filter(|asked| *asked > 0).unwrap_or(current)
    };
    if position < state.compacted() {
        let error = ApiError::expired(
            format!(
                "too old resource version: {position} ({})",
                state.compacted()
            ),
            None,
        );
        drop(state);
        let event = json!({"type": "ERROR", "object": error.status()});
        return Ok(Answer::Stream(
            futures::stream::once(async move { event }).boxed(),
        ));
    }
    if let Some(asked) = asked.filter(|asked| *asked > current) {
        return Err(ApiError::revision_too_large(asked, current));
    }
    let listed: Vec<Arc<Value>> = if lists_first {
        state
            .list(&kind.storage(), target.namespace())
            .map(|(_, object)| Arc::clone(object))
            .collect()
    } else {
        Vec::new()
    };
    drop(state);
    let mut watcher = Watcher {
        subscription: app.store.subscribe_after(position),
        kind: Arc::clone(kind),
        namespace: target.namespace.clone(),
        name: target.name.clone(),
        selection,
        shape: parts.accept.shape,
        include_object: parts.param("includeObject").map(str::to_owned),
        first: VecDeque::new(),
        bookmarks: None,
        columns_sent: false,
        ended: false,
        until: Instant::now() + Duration::from_secs(seconds),
        app: Arc::clone(app),
        filter,
    };
    for object in listed {
        if watcher.sees(&object) {
            first.push_back(watcher.event("ADDED", &object));
        }
    }
    if bookmarks && watcher.filter.is_none() {
        if initial == Some("true") {
            first.push_back(watcher.bookmark(current, true));
        }
        let start = Instant::now() + BOOKMARK_EVERY;
        watcher.bookmarks = Some(tokio::time::interval_at(start, BOOKMARK_EVERY));
    }
    watcher.first = first;
    Ok(Answer::Stream(
        futures::stream::unfold(watcher, |mut watcher| async move {
            let event = watcher.next().await?;
            Some((event, watcher))
        })
        .boxed(),
    ))
}

impl Watcher {
    async fn next(&mut self) -> Option<Value> {
        if let Some(event) = self.first.pop_front() {
            return Some(event);
        }
        if self.ended {
            return None;
        }
        let stopping = self.app.stopping.clone();
        loop {
            let bookmark = async {
                match &mut self.bookmarks {
                    Some(interval) => {
                        interval.tick().await;
                    }
                    None => std::future::pending().await,
                }
            };
            let next = tokio::select! {
                next = self.subscription.next() => next,
                () = bookmark => return Some(self.bookmark(self.subscription.position(), false)),
                () = tokio::time::sleep_until(self.until) => return None,
                () = stopping.cancelled() => return None,
            };
            match next {
                Ok(event) => {
                    if let Some(event) = self.translate(&event) {
                        return Some(event);
                    }
                }
                Err(_) => {
                    self.ended = true;
                    let error = ApiError::expired("too old resource version", None);
                    return Some(json!({"type": "ERROR", "object": error.status()}));
                }
            }
        }
    }

    /// What an event is to this watcher: an object may come into its sight or leave it.
    fn translate(&mut self, event: &Event) -> Option<Value> {
        if event.resource != self.kind.storage() {
            return None;
        }
        let is = event.kind != EventKind::Deleted && self.sees(&event.object);
        let was = event
            .previous
            .as_ref()
            .is_some_and(|previous| self.sees(previous));
        let kind = match (was, is) {
            (false, false) => return None,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        Some(self.event(kind, &event.object))
    }

    fn sees(&self, object: &Value) -> bool {
        self.namespace
            .as_deref()
            .is_none_or(|namespace| metadata::namespace(object) == Some(namespace))
            && self
                .name
                .as_deref()
                .is_none_or(|name| metadata::name(object) == name)
            && self.selection.matches(object)
            && self.filter.as_ref().is_none_or(|filter| filter(object))
    }

    fn event(&mut self, kind: &str, object: &Value) -> Value {
        let object = convert::outgoing(&self.kind, object);
        let object = match self.shape {
            Shape::Object | Shape::Aggregated => object,
            Shape::Metadata => handlers::partial(&object),
            Shape::Table => {
                let revision = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
                let mut table = table::table(
                    &self.kind,
                    &[object],
                    revision,
                    self.include_object.as_deref(),
                );
                // The columns are named once.
                if std::mem::replace(&mut self.columns_sent, true) {
                    table["columnDefinitions"] = Value::Null;
                }
                table
            }
        };
        json!({"type": kind, "object": object})
    }

    fn bookmark(&self, revision: u64, end_of_initial: bool) -> Value {
        let mut meta = json!({"resourceVersion": revision.to_string()});
        if end_of_initial {
            meta["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.shape {
            Shape::Object | Shape::Aggregated => json!({
                "kind": self.kind.kind,
                "apiVersion": self.kind.api_version(),
                "metadata": meta,
            }),
            Shape::Metadata => handlers::partial(&json!({ "metadata": meta })),
            Shape::Table => json!({
                "kind": "Table",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": meta,
                "columnDefinitions": null,
                "rows": [],
            }),
        };
        json!({"type": "BOOKMARK", "object": object})
    }
}
