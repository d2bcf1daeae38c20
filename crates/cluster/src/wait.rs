//! Waits until an object is as wanted: read first, then watched from there.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::header;
use http_body_util::BodyExt;
use openshifter_objects::{GroupKind, Object, ResourceType};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::call::{Call, path};
use crate::listing::with_kind;
use crate::objects::{namespace_for, subject};
use crate::{Cluster, ClusterError};

/// How long one watch lasts before the object is listed again. A connection that died unnoticed costs no more than this.
const WATCH: Duration = Duration::from_secs(30);

/// Between two reads where a watch is not possible, and after a watch that failed.
const POLL: Duration = Duration::from_millis(500);

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    metadata: ListMetadata,
    items: Option<Vec<Value>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListMetadata {
    resource_version: String,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

/// How a watch ended.
enum Watched {
    /// As wanted.
    Done(Option<Object>),
    /// Nothing came of it; look again.
    Again,
}

impl Cluster {
    /// Waits until `wanted` says yes to an object, or to its absence (`None`), and gives what it said yes to.
    ///
    /// It is asked about the present state first, then about each change. Expired watches and broken connections are
    /// taken up again. Users who may get but not list the object are served by reading it twice a second.
    ///
    /// # Errors
    /// [`ClusterError::WaitTimeout`] when it did not come about in time; else when the server refuses.
    pub async fn wait(
        &self,
        kind: &GroupKind,
        namespace: Option<&str>,
        name: &str,
        within: Duration,
        mut wanted: impl FnMut(Option<&Object>) -> bool,
    ) -> Result<Option<Object>, ClusterError> {
        let resource = self.resource(kind).await?;
        let namespace = namespace_for(&resource, namespace, None);
        let deadline = Instant::now() + within;
        let waiting = self.wait_forever(&resource, namespace, name, &mut wanted);
        match timeout_at(deadline, waiting).await {
            Ok(result) => result,
            Err(_) => Err(ClusterError::WaitTimeout {
                cluster: self.name().to_owned(),
                subject: subject(kind, namespace, name),
                after: within,
            }),
        }
    }

    async fn wait_forever(
        &self,
        resource: &ResourceType,
        namespace: Option<&str>,
        name: &str,
        wanted: &mut impl FnMut(Option<&Object>) -> bool,
    ) -> Result<Option<Object>, ClusterError> {
        let mut can_watch = resource.can("list") && resource.can("watch");
        loop {
            if can_watch {
                match self.look(resource, namespace, name).await {
                    Ok((object, version)) => {
                        if wanted(object.as_ref()) {
                            return Ok(object);
                        }
                        let begun = Instant::now();
                        let watched = self
                            .watch(resource, namespace, name, &version, wanted)
                            .await;
                        match watched {
                            Ok(Watched::Done(object)) => return Ok(object),
                            // A server that ends watches at once is not to be asked in a loop.
                            Ok(Watched::Again) => {
                                sleep(POLL.saturating_sub(begun.elapsed())).await;
                                continue;
                            }
                            Err(error) if error.is_forbidden() => can_watch = false,
                            Err(error) if error.is_unreachable() => {}
                            Err(error) if matches!(error.status(), Some(410 | 429 | 500..)) => {}
                            Err(error) => return Err(error),
                        }
                    }
                    // A role may name the one object and allow `get` alone.
                    Err(error) if error.is_forbidden() => can_watch = false,
                    Err(error) if error.is_unreachable() => {}
                    Err(error) => return Err(error),
                }
            } else {
                match self.get_as(resource, namespace, name).await {
                    Ok(object) if wanted(object.as_ref()) => return Ok(object),
                    Ok(_) => {}
                    Err(error) if error.is_unreachable() => {}
                    Err(error) => return Err(error),
                }
            }
            sleep(POLL).await;
        }
    }

    /// The object, and the version from which to watch. A list is asked for: its version is a point in time of the
    /// whole collection, also where the object is not there.
    async fn look(
        &self,
        resource: &ResourceType,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<(Option<Object>, String), ClusterError> {
        let action = format!("get {}", subject(&resource.group_kind(), namespace, name));
        let call = Call::get(path(resource, namespace, None)?, action)
            .query("fieldSelector", format!("metadata.name={name}"));
        let answer = self.call(&call).await?;
        let list: List = answer.json()?;
        let found = list.items.unwrap_or_default().into_iter().find(|item| {
            // A server that does not know the selector for a kind gives everything.
            item["metadata"]["name"] == name
        });
        let object = found
            .map(|item| Object::from_value(with_kind(item, resource)))
            .transpose()
            .map_err(|error| answer.bad(error.to_string()))?;
        Ok((object, list.metadata.resource_version))
    }

    async fn watch(
        &self,
        resource: &ResourceType,
        namespace: Option<&str>,
        name: &str,
        version: &str,
        wanted: &mut impl FnMut(Option<&Object>) -> bool,
    ) -> Result<Watched, ClusterError> {
        let action = format!("watch {}", subject(&resource.group_kind(), namespace, name));
        let mut call = Call::get(path(resource, namespace, None)?, action)
            .query("watch", "true")
            .query("allowWatchBookmarks", "true")
            .query("fieldSelector", format!("metadata.name={name}"))
            .query("timeoutSeconds", WATCH.as_secs().to_string())
            // Compressed streams come in pieces that decoders take for the end.
            .header(header::ACCEPT_ENCODING, "identity");
        // OpenShift's project lists have no version: such a watch begins with the present state.
        if !version.is_empty() {
            call = call.query("resourceVersion", version);
        }
        let link = self.link();
        let response = link
            .send(&call)
            .await
            .map_err(|failure| failure.into_error())?;
        let (parts, mut body) = response.into_parts();
        if !parts.status.is_success() {
            let text = body.collect().await.map(|body| body.to_bytes());
            let failure = link.refusal(
                &call,
                parts.status,
                &parts.headers,
                &text.unwrap_or_default(),
            );
            return Err(failure.into_error());
        }
        let mut buffer = BytesMut::new();
        // The server ends the watch itself; where it does not, the connection is dead.
        let limit = WATCH + Duration::from_secs(5);
        while let Ok(Some(Ok(frame))) = timeout(limit, body.frame()).await {
            let Some(data) = frame.data_ref() else {
                continue;
            };
            buffer.extend_from_slice(data);
            while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line = buffer.split_to(end);
                buffer.advance(1);
                if line.is_empty() {
                    continue;
                }
                let Ok(event) = serde_json::from_slice::<Event>(&line) else {
                    return Ok(Watched::Again);
                };
                match seen(event, resource, name) {
                    Seen::State(object) if wanted(object.as_ref()) => {
                        return Ok(Watched::Done(object));
                    }
                    Seen::State(_) | Seen::Nothing => {}
                    Seen::Stop => return Ok(Watched::Again),
                }
            }
        }
        Ok(Watched::Again)
    }
}

/// What an event says about our object.
enum Seen {
    State(Option<Object>),
    Nothing,
    Stop,
}

fn seen(event: Event, resource: &ResourceType, name: &str) -> Seen {
    match event.kind.as_str() {
        "ADDED" | "MODIFIED" | "DELETED" if event.object["metadata"]["name"] != name => {
            Seen::Nothing
        }
        "ADDED" | "MODIFIED" => match Object::from_value(with_kind(event.object, resource)) {
            Ok(object) => Seen::State(Some(object)),
            Err(_) => Seen::Stop,
        },
        "DELETED" => Seen::State(None),
        "BOOKMARK" => Seen::Nothing,
        // ERROR: most often 410, the version is too old by now.
        _ => Seen::Stop,
    }
}
