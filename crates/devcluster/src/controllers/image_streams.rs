//! Image streams: tags that name an image of this cluster are imported; references are resolved.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use openshifter_apiserver::{ApiError, Event, RegistryError, ResourceId, Store};
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next, Reconciled, queue};
use crate::elsewhere::{self, Secrets};
use crate::images::ImageError;
use crate::object::{self, list, number, resources, text};
use crate::registry::{self, Pushed};

/// The importer.
#[derive(Debug, Default)]
pub(super) struct ImageStreams {
    /// What is being fetched from other registries.
    fetching: Arc<Mutex<HashSet<Wish>>>,
}

/// A tag that is to be imported.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Wish {
    namespace: String,
    stream: String,
    tag: String,
    generation: i64,
    reference: String,
    insecure: bool,
}

/// Reference and digest of what a tag leads to, or why it leads nowhere.
type Found = Result<(String, String), RegistryError>;

impl Controller for ImageStreams {
    fn name(&self) -> &'static str {
        "imagestream"
    }

    fn resource(&self) -> ResourceId {
        resources::image_streams()
    }

    fn concerns(&self, _context: &Context, event: &Event) -> Vec<Key> {
        queue::itself(event, &self.resource())
    }

    fn reconcile(&self, context: &Context, (namespace, name): &Key) -> Reconciled {
        let Some(stream) = context.store.get(&self.resource(), Some(namespace), name) else {
            // A stream of the same name that is made later is another repository.
            let repository = format!("{namespace}/{name}");
            if let Err(error) = context.images.blobs().forget(&repository) {
                tracing::warn!(%error, repository, "what a repository had is not forgotten");
            }
            return Ok(Next::Event);
        };
        if object::is_deleting(&stream) {
            return Ok(Next::Event);
        }
        for tag in list(&stream, "/spec/tags") {
            let wish = Wish {
                namespace: namespace.clone(),
                stream: name.clone(),
                tag: text(tag, "/name").to_owned(),
                generation: number(tag, "/generation").unwrap_or(1),
                reference: text(tag, "/from/name").to_owned(),
                insecure: tag["importPolicy"]["insecure"] == true,
            };
            if tag["reference"] == true || wish.is_done(&stream) {
                continue;
            }
            let from = &tag["from"];
            match text(from, "/kind") {
                "DockerImage" if elsewhere::repository(&wish.reference).is_some() => {
                    self.fetch(context, wish);
                }
                "DockerImage" => {
                    let found = import(context, &wish, &wish.reference);
                    wish.note(&context.store, &found)?;
                }
                "ImageStreamTag" | "ImageStreamImage" => {
                    // Without one: it comes when the other tag does.
                    if let Some(reference) = resolve(&context.store, namespace, from) {
                        let digest = digest_of(&reference);
                        wish.note(&context.store, &Ok((reference, digest)))?;
                    }
                }
                _ => {}
            }
        }
        Ok(Next::Event)
    }
}

impl ImageStreams {
    /// Fetches an image from another registry and notes what came of it, unless that is under way.
    fn fetch(&self, context: &Context, wish: Wish) {
        let fetching = Arc::clone(&self.fetching);
        let lock = |set: &Mutex<HashSet<Wish>>, change: &dyn Fn(&mut HashSet<Wish>) -> bool| {
            change(&mut set.lock().unwrap_or_else(PoisonError::into_inner))
        };
        if !lock(&fetching, &|set| set.insert(wish.clone())) {
            return;
        }
        let (tasks, stopping) = (context.tasks.clone(), context.stopping.clone());
        let context = context.clone();
        let work = async move {
            let secrets = Secrets::Project(&wish.namespace);
            let fetched = elsewhere::fetch(
                &context.images,
                &context.store,
                &wish.reference,
                wish.insecure,
                &secrets,
            );
            let found = match fetched.await {
                Ok(reference) => import(&context, &wish, &reference),
                Err(error) => Err(error),
            };
            if let Err(error) = wish.note(&context.store, &found) {
                tracing::debug!(error = error.message(), "an import was not noted");
            }
            lock(&fetching, &|set| set.remove(&wish));
        };
        tasks.spawn(async move { stopping.run_until_cancelled(work).await });
    }
}

impl Wish {
    /// Whether it was tried: what came of it is in the status.
    fn is_done(&self, stream: &Value) -> bool {
        list(stream, "/status/tags").iter().any(|entry| {
            let last = ["/items/0/generation", "/conditions/0/generation"]
                .iter()
                .filter_map(|place| number(entry, place))
                .max();
            entry["tag"] == *self.tag && last.is_some_and(|last| last >= self.generation)
        })
    }

    /// Writes what came of it into the stream's status, in the words of a genuine server.
    fn note(&self, store: &Store, found: &Found) -> Result<(), ApiError> {
        let resource = resources::image_streams();
        let written = store.update_status(
            &resource,
            Some(&self.namespace),
            &self.stream,
            |stream| match found {
                Ok((reference, digest)) => {
                    add_item(stream, &self.tag, reference, digest, self.generation);
                }
                Err(error) => {
                    let status = error.status(&self.reference);
                    entry(stream, &self.tag)["conditions"] = json!([{
                        "type": "ImportSuccess",
                        "status": "False",
                        "lastTransitionTime": object::now(),
                        "reason": status["reason"],
                        "message": status["message"],
                        "generation": self.generation,
                    }]);
                }
            },
        );
        match written {
            // The stream went away meanwhile.
            Err(error) if error.code() == 404 => Ok(()),
            other => other.map(drop),
        }
    }
}

/// Takes an image that is here over into a stream's repository.
fn import(context: &Context, wish: &Wish, reference: &str) -> Found {
    let image = context
        .images
        .find(reference)
        .map_err(|error| match error {
            // Its host is one that nothing here leads to.
            ImageError::Unknown { .. } => RegistryError::Unreachable(error.to_string()),
            error => RegistryError::NotFound(error.to_string()),
        })?;
    let (bytes, media_type) = context.images.manifest(&image).ok_or_else(|| {
        RegistryError::NotFound(format!("the manifest of {reference} is not here"))
    })?;
    let pushed = Pushed {
        namespace: &wish.namespace,
        stream: &wish.stream,
        tag: None,
        bytes: &bytes,
        media_type: &media_type,
    };
    registry::import(&context.store, context.images.blobs(), &pushed, &image.id())
        .map_err(|error| RegistryError::Other(error.to_string()))?;
    Ok((image.id(), image.digest.to_string()))
}

fn digest_of(reference: &str) -> String {
    reference
        .split_once('@')
        .map_or("", |(_, digest)| digest)
        .to_owned()
}

/// The image that a reference to an image stream tag, a stream's image or an image means.
pub(crate) fn resolve(store: &Store, namespace: &str, from: &Value) -> Option<String> {
    let namespace = match text(from, "/namespace") {
        "" => namespace,
        other => other,
    };
    let name = text(from, "/name");
    match text(from, "/kind") {
        "DockerImage" => Some(name.to_owned()),
        "ImageStreamTag" => {
            let (stream, tag) = name.split_once(':')?;
            let stream = store.get(&resources::image_streams(), Some(namespace), stream)?;
            let entry = list(&stream, "/status/tags")
                .iter()
                .find(|entry| entry["tag"] == tag)?;
            entry["items"][0]["dockerImageReference"]
                .as_str()
                .map(str::to_owned)
        }
        "ImageStreamImage" => {
            let (stream, digest) = name.split_once('@')?;
            let stream = store.get(&resources::image_streams(), Some(namespace), stream)?;
            list(&stream, "/status/tags")
                .iter()
                .flat_map(|entry| list(entry, "/items"))
                .find(|item| text(item, "/image") == digest)
                .and_then(|item| item["dockerImageReference"].as_str().map(str::to_owned))
        }
        _ => None,
    }
}

/// The entry of a tag in the status, made if it is missing.
fn entry<'a>(stream: &'a mut Value, tag: &str) -> &'a mut Value {
    let tags = &mut stream["status"]["tags"];
    if !tags.is_array() {
        *tags = json!([]);
    }
    let at = tags
        .as_array()
        .and_then(|tags| tags.iter().position(|entry| entry["tag"] == tag));
    if let (None, Some(list)) = (at, tags.as_array_mut()) {
        list.push(json!({"tag": tag, "items": null}));
    }
    let at = at.unwrap_or_else(|| tags.as_array().map_or(0, |tags| tags.len() - 1));
    &mut tags[at]
}

fn add_item(stream: &mut Value, tag: &str, reference: &str, digest: &str, generation: i64) {
    let entry = entry(stream, tag);
    let mut items = list(entry, "/items").to_vec();
    // The same image again is no news.
    if items
        .first()
        .is_some_and(|item| text(item, "/image") == digest)
    {
        items[0]["generation"] = json!(generation);
    } else {
        items.insert(
            0,
            json!({
                "created": object::now(),
                "dockerImageReference": reference,
                "image": digest,
                "generation": generation,
            }),
        );
    }
    entry["items"] = json!(items);
    if let Some(map) = entry.as_object_mut() {
        map.remove("conditions");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_image_of_a_tag_comes_first() {
        let mut stream = json!({"status": {}});
        add_item(&mut stream, "latest", "r@sha256:1", "sha256:1", 1);
        add_item(&mut stream, "latest", "r@sha256:2", "sha256:2", 2);
        add_item(&mut stream, "latest", "r@sha256:2", "sha256:2", 3);
        let items = list(&stream, "/status/tags/0/items");
        assert_eq!(items.len(), 2);
        assert_eq!(
            (text(&items[0], "/image"), number(&items[0], "/generation")),
            ("sha256:2", Some(3))
        );
    }
}
