//! References that mean a tag of an image stream.

use openshifter_apiserver::Store;

use crate::images::INTERNAL_REGISTRY;
use crate::object::{list, resources};

/// What a tag in the cluster's own registry stands for, `registry/namespace/name:tag`.
pub(crate) fn by_tag(store: &Store, reference: &str) -> Option<String> {
    if !reference.starts_with(INTERNAL_REGISTRY) {
        return None;
    }
    match stream_tag(store, "", reference) {
        StreamTag::Image(image) => Some(image),
        _ => None,
    }
}

/// What a reference means, if it means a tag of an image stream.
pub(crate) enum StreamTag {
    /// The image that it has now.
    Image(String),
    /// There is no such tag, or no image in it.
    Missing { repository: String, tag: String },
    /// It means none.
    None,
}

/// What a tag of an image stream stands for, when a reference means one: the internal registry's
/// name of it, or a short name of a stream whose lookup policy is local.
pub(crate) fn stream_tag(store: &Store, namespace: &str, reference: &str) -> StreamTag {
    let inside = reference
        .strip_prefix(INTERNAL_REGISTRY)
        .and_then(|rest| rest.strip_prefix('/'));
    if reference.contains('@') {
        return StreamTag::None;
    }
    let found = match inside {
        Some(path) => path.split_once('/'),
        None if !reference.contains('/') => Some((namespace, reference)),
        None => None,
    };
    let Some((namespace, name)) = found else {
        return StreamTag::None;
    };
    let (name, tag) = name.split_once(':').unwrap_or((name, "latest"));
    let stream = store.get(&resources::image_streams(), Some(namespace), name);
    if inside.is_none() {
        match &stream {
            Some(stream) if stream["spec"]["lookupPolicy"]["local"] == true => {}
            _ => return StreamTag::None,
        }
    }
    let image = stream.as_ref().and_then(|stream| {
        list(stream, "/status/tags")
            .iter()
            .find(|entry| entry["tag"] == tag)
            .and_then(|entry| entry["items"][0]["dockerImageReference"].as_str())
    });
    match image {
        Some(image) => StreamTag::Image(image.to_owned()),
        None => StreamTag::Missing {
            repository: format!("{INTERNAL_REGISTRY}/{namespace}/{name}"),
            tag: tag.to_owned(),
        },
    }
}
