//! Image streams: tags that name an image of this cluster are imported; references are resolved.

use openshifter_apiserver::{Event, ResourceId, Store};
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next, Reconciled, queue};
use crate::object::{self, list, number, resources, text};
use crate::registry::{self, Pushed};

/// The importer.
pub(super) struct ImageStreams;

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
            let generation = number(tag, "/generation").unwrap_or(1);
            let tag_name = text(tag, "/name");
            let done = list(&stream, "/status/tags").iter().any(|entry| {
                let last = number(entry, "/items/0/generation")
                    .or_else(|| number(entry, "/conditions/0/generation"));
                entry["tag"] == tag_name && last.is_some_and(|last| last >= generation)
            });
            if done || tag["reference"] == true {
                continue;
            }
            let from = &tag["from"];
            let found: Result<(String, String), String> = match text(from, "/kind") {
                "DockerImage" => import(context, namespace, name, text(from, "/name")),
                "ImageStreamTag" | "ImageStreamImage" => {
                    match resolve(&context.store, namespace, from) {
                        Some(reference) => Ok((reference.clone(), digest_of(&reference))),
                        // It comes when the other tag does.
                        None => continue,
                    }
                }
                _ => continue,
            };
            context
                .store
                .update_status(
                    &self.resource(),
                    Some(namespace),
                    name,
                    |stream| match &found {
                        Ok((reference, digest)) => {
                            add_item(stream, tag_name, reference, digest, generation)
                        }
                        Err(why) => {
                            let condition = json!({
                                "type": "ImportSuccess",
                                "status": "False",
                                "lastTransitionTime": object::now(),
                                "reason": "NotFound",
                                "message": why,
                                "generation": generation,
                            });
                            entry(stream, tag_name)["conditions"] = json!([condition]);
                        }
                    },
                )?;
        }
        Ok(Next::Event)
    }
}

/// Takes an image over into a stream's repository; its reference and digest.
fn import(
    context: &Context,
    namespace: &str,
    stream: &str,
    reference: &str,
) -> Result<(String, String), String> {
    let image = context
        .images
        .find(reference)
        .map_err(|error| error.to_string())?;
    let (bytes, media_type) = context
        .images
        .manifest(&image)
        .ok_or_else(|| format!("the manifest of {reference} is not here"))?;
    let pushed = Pushed {
        namespace,
        stream,
        tag: None,
        bytes: &bytes,
        media_type: &media_type,
    };
    registry::import(&context.store, context.images.blobs(), &pushed, &image.id())
        .map_err(|error| error.to_string())?;
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
