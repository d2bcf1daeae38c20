//! The histories of image streams' tags.

use serde_json::{Value, json};

use crate::metadata;

/// An image that a tag means from now on.
#[derive(Debug, Clone)]
pub(crate) struct TagEvent {
    /// Name of the Image, `sha256:…`.
    pub(crate) image: String,
    /// Where it can be pulled.
    pub(crate) reference: String,
    /// Generation of the stream's wish that this answers.
    pub(crate) generation: Value,
}

fn tags<'a>(stream: &'a Value, place: &str) -> impl Iterator<Item = &'a Value> {
    stream[place]["tags"].as_array().into_iter().flatten()
}

/// The wish for a tag, `spec.tags[]`.
pub(crate) fn wish<'a>(stream: &'a Value, tag: &str) -> Option<&'a Value> {
    tags(stream, "spec").find(|one| one["name"] == tag)
}

/// What a tag has been, `status.tags[]`.
pub(crate) fn history<'a>(stream: &'a Value, tag: &str) -> Option<&'a Value> {
    tags(stream, "status").find(|one| one["tag"] == tag)
}

/// What a tag means now, `status.tags[].items[0]`.
pub(crate) fn newest<'a>(stream: &'a Value, tag: &str) -> Option<&'a Value> {
    history(stream, tag)?["items"].as_array()?.first()
}

/// The names of all tags, those with a history first.
pub(crate) fn names(stream: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    let status = tags(stream, "status").filter_map(|tag| tag["tag"].as_str());
    let spec = tags(stream, "spec").filter_map(|tag| tag["name"].as_str());
    for name in status.chain(spec) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The items of all histories whose image begins like this; each image once.
pub(crate) fn images<'a>(stream: &'a Value, prefix: &str) -> Vec<&'a Value> {
    let mut found: Vec<&Value> = Vec::new();
    for item in tags(stream, "status").flat_map(|tag| tag["items"].as_array().into_iter().flatten())
    {
        let matches = item["image"].as_str().is_some_and(|image| {
            image.starts_with(prefix)
                || image
                    .split_once(':')
                    .is_some_and(|(_, hex)| hex.starts_with(prefix))
        });
        if matches && !found.iter().any(|known| known["image"] == item["image"]) {
            found.push(item);
        }
    }
    found
}

/// The entry of a tag in a list, made if it is missing.
fn entry<'a>(stream: &'a mut Value, place: &str, field: &str, tag: &str) -> &'a mut Value {
    if !stream[place].is_object() {
        stream[place] = json!({});
    }
    let list = &mut stream[place]["tags"];
    if !list.is_array() {
        *list = json!([]);
    }
    let at = list
        .as_array()
        .and_then(|list| list.iter().position(|one| one[field] == tag));
    let at = match (at, list.as_array_mut()) {
        (Some(at), _) => at,
        (None, Some(list)) => {
            list.push(json!({ field: tag }));
            list.len() - 1
        }
        (None, None) => 0,
    };
    &mut list[at]
}

/// Puts an image first into a tag's history. The same image again only counts as an answer to a newer
/// wish; another reference to it takes the place of the former.
pub(crate) fn add(stream: &mut Value, tag: &str, event: &TagEvent) {
    let entry = entry(stream, "status", "tag", tag);
    let mut items = entry["items"].as_array().cloned().unwrap_or_default();
    let item = json!({
        "created": metadata::now(),
        "dockerImageReference": event.reference,
        "image": event.image,
        "generation": event.generation,
    });
    match items.first_mut() {
        Some(first) => {
            let same_image = first["image"] == event.image.as_str();
            let same_reference = first["dockerImageReference"] == event.reference.as_str();
            if same_image && same_reference && first["generation"] == event.generation {
                return;
            }
            if same_image || same_reference {
                first["image"] = json!(event.image);
                first["dockerImageReference"] = json!(event.reference);
                first["generation"] = event.generation.clone();
            } else {
                items.insert(0, item);
            }
        }
        None => items.push(item),
    }
    entry["items"] = json!(items);
    crate::write::set(entry, "conditions", None);
}

/// Lets the tags of the same stream that follow another follow it now.
pub(crate) fn track(stream: &mut Value, tag: &str, event: &TagEvent) {
    let (stream_name, namespace) = (
        metadata::name(stream).to_owned(),
        metadata::namespace(stream).unwrap_or_default().to_owned(),
    );
    let followers: Vec<String> = tags(stream, "spec")
        .filter(|one| {
            let from = &one["from"];
            let here = from["namespace"]
                .as_str()
                .is_none_or(|other| other.is_empty() || other == namespace);
            let followed = match from["name"].as_str().unwrap_or_default() {
                name if !name.contains(':') => name,
                name => name
                    .split_once(':')
                    .filter(|(stream, _)| stream.is_empty() || *stream == stream_name)
                    .map_or("", |(_, tag)| tag),
            };
            from["kind"] == "ImageStreamTag"
                && one["reference"] != true
                && here
                && followed == tag
                && one["name"] != tag
        })
        .filter_map(|one| one["name"].as_str().map(str::to_owned))
        .collect();
    for follower in followers {
        let event = TagEvent {
            generation: wish(stream, &follower)
                .map(|wish| wish["generation"].clone())
                .filter(|generation| !generation.is_null())
                .unwrap_or_else(|| event.generation.clone()),
            ..event.clone()
        };
        add(stream, &follower, &event);
    }
}

/// Notes that a tag could not be imported.
pub(crate) fn failed(stream: &mut Value, tag: &str, generation: i64, status: &Value) {
    let entry = entry(stream, "status", "tag", tag);
    if !entry["items"].is_array() {
        entry["items"] = Value::Null;
    }
    entry["conditions"] = json!([{
        "type": "ImportSuccess",
        "status": "False",
        "lastTransitionTime": metadata::now(),
        "reason": status["reason"],
        "message": status["message"],
        "generation": generation,
    }]);
}

/// Sets the wish for a tag.
pub(crate) fn set_wish(stream: &mut Value, tag: &str, wish: Value) {
    *entry(stream, "spec", "name", tag) = wish;
}

/// Takes a tag away, its wish and its history; whether there was one.
pub(crate) fn remove(stream: &mut Value, tag: &str) -> bool {
    let mut found = false;
    for (place, field) in [("status", "tag"), ("spec", "name")] {
        if let Some(list) = stream[place].get_mut("tags").and_then(Value::as_array_mut) {
            let before = list.len();
            list.retain(|one| one[field] != tag);
            found |= list.len() != before;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(image: &str, reference: &str, generation: i64) -> TagEvent {
        TagEvent {
            image: image.to_owned(),
            reference: reference.to_owned(),
            generation: json!(generation),
        }
    }

    fn items(stream: &Value, tag: &str) -> Vec<(String, i64)> {
        history(stream, tag)
            .and_then(|tag| tag["items"].as_array())
            .into_iter()
            .flatten()
            .map(|item| {
                (
                    item["image"].as_str().unwrap().to_owned(),
                    item["generation"].as_i64().unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn another_image_comes_first_and_the_same_stays() {
        let mut stream = json!({"metadata": {"name": "web", "namespace": "shop"}});
        failed(&mut stream, "1", 1, &json!({"reason": "NotFound"}));
        for (image, reference, generation) in [
            ("sha256:a", "r@sha256:a", 1),
            ("sha256:b", "r@sha256:b", 1),
            ("sha256:b", "r@sha256:b", 2),
            ("sha256:b", "mirror@sha256:b", 3),
        ] {
            add(&mut stream, "1", &event(image, reference, generation));
        }
        assert_eq!(
            items(&stream, "1"),
            [("sha256:b".to_owned(), 3), ("sha256:a".to_owned(), 1)]
        );
        assert!(history(&stream, "1").unwrap()["conditions"].is_null());
        assert_eq!(names(&stream), ["1"]);
        assert_eq!(images(&stream, "sha256:").len(), 2);
        assert_eq!(images(&stream, "b").len(), 1);
        assert!(remove(&mut stream, "1") && !remove(&mut stream, "1"));
    }

    #[test]
    fn tags_follow_others_of_their_stream() {
        let follow = |name: &str, from: &str| json!({"name": name, "generation": 4, "from": {"kind": "ImageStreamTag", "name": from}});
        let mut stream = json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"tags": [follow("stable", "1"), follow("prod", "web:1"), follow("other", "api:1")]},
        });
        let news = event("sha256:a", "r@sha256:a", 1);
        add(&mut stream, "1", &news);
        track(&mut stream, "1", &news);
        assert_eq!(items(&stream, "stable"), [("sha256:a".to_owned(), 4)]);
        assert_eq!(items(&stream, "prod"), [("sha256:a".to_owned(), 4)]);
        assert_eq!(items(&stream, "other"), []);
    }
}
