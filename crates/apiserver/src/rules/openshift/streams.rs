//! The wishes of image streams: which generation they are of, whether their author may have what they
//! point to, and what they mean at once when they point to another tag.

use serde_json::{Value, json};

use super::super::Context;
use super::super::values::default;
use crate::auth::rbac;
use crate::error::{ApiError, Cause};
use crate::images::streams::{self, TagEvent};
use crate::images::{GROUP, image_streams};
use crate::metadata;

/// Completes the wishes of a new or changed stream.
pub(super) fn complete(
    context: &Context<'_>,
    current: Option<&Value>,
    stream: &mut Value,
) -> Result<(), ApiError> {
    // A change of a wish begins this generation.
    let generation = current.map_or(1, |current| {
        current["metadata"]["generation"].as_i64().unwrap_or(0) + 1
    });
    require_kinds(context, stream)?;
    let mut changed = Vec::new();
    for wish in stream["spec"]
        .get_mut("tags")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let name = wish["name"].as_str().unwrap_or_default().to_owned();
        default(wish, "annotations", Value::Null);
        default(wish, "importPolicy", json!({}));
        default(wish, "importPolicy.importMode", json!("Legacy"));
        default(wish, "referencePolicy", json!({"type": "Source"}));
        let before = current.and_then(|current| streams::wish(current, &name));
        let same = before.is_some_and(|before| bare(before) == bare(wish));
        if same && wish["generation"].is_null() {
            wish["generation"] = before.map_or(Value::Null, |before| before["generation"].clone());
        }
        if !same && (current.is_some() || wish["generation"].is_null()) {
            wish["generation"] = json!(generation);
        }
        if !same {
            changed.push(wish.clone());
        }
    }
    require_rights(context, stream, &changed)?;
    for wish in changed.iter().filter(|wish| wish["reference"] != true) {
        if let Some(event) = meant(context, stream, wish) {
            let tag = wish["name"].as_str().unwrap_or_default();
            streams::add(stream, tag, &event);
            streams::track(stream, tag, &event);
        }
    }
    Ok(())
}

/// A wish points to an image here or elsewhere, and to nothing else.
fn require_kinds(context: &Context<'_>, stream: &Value) -> Result<(), ApiError> {
    let wishes = stream["spec"]["tags"].as_array().into_iter().flatten();
    let causes: Vec<Cause> = wishes
        .filter(|wish| {
            let from = &wish["from"];
            from.is_object()
                && !matches!(
                    from["kind"].as_str(),
                    Some("DockerImage" | "ImageStreamImage" | "ImageStreamTag")
                )
        })
        .map(|wish| {
            let name = wish["name"].as_str().unwrap_or_default();
            Cause::invalid(
                format!("spec.tags[{name}].from.kind"),
                &wish["from"]["kind"],
                "valid values are 'DockerImage', 'ImageStreamImage', 'ImageStreamTag'",
            )
        })
        .collect();
    context.invalid(stream, &causes)
}

/// A wish without its generation.
fn bare(wish: &Value) -> Value {
    let mut wish = wish.clone();
    crate::write::set(&mut wish, "generation", None);
    wish
}

/// The stream that a reference is about, and in which namespace.
fn source<'a>(stream: &'a Value, from: &'a Value) -> Option<(&'a str, &'a str, &'a str)> {
    let here = metadata::namespace(stream).unwrap_or_default();
    let namespace = from["namespace"]
        .as_str()
        .filter(|namespace| !namespace.is_empty())
        .unwrap_or(here);
    let name = from["name"].as_str()?;
    match from["kind"].as_str()? {
        // A bare name is a tag of the same stream.
        "ImageStreamTag" => match name.split_once(':') {
            None => Some((namespace, metadata::name(stream), name)),
            Some(("", tag)) => Some((namespace, metadata::name(stream), tag)),
            Some((other, tag)) => Some((namespace, other, tag)),
        },
        "ImageStreamImage" => {
            let (other, image) = name.split_once('@')?;
            Some((namespace, other, image))
        }
        _ => None,
    }
}

/// Nobody gets at another project's images by a tag.
fn require_rights(
    context: &Context<'_>,
    stream: &Value,
    changed: &[Value],
) -> Result<(), ApiError> {
    let Some(user) = context.user else {
        return Ok(());
    };
    let here = metadata::namespace(stream).unwrap_or_default();
    let mut causes = Vec::new();
    for wish in changed {
        let Some((namespace, name, _)) = source(stream, &wish["from"]) else {
            continue;
        };
        let attributes = rbac::Attributes {
            verb: "get",
            group: GROUP,
            resource: "imagestreams",
            subresource: Some("layers"),
            namespace: Some(namespace),
            name: Some(name),
        };
        if namespace != here && rbac::allowed(context.state, user, &attributes).is_none() {
            causes.push(Cause::forbidden(
                format!(
                    "spec.tags[{}].from",
                    wish["name"].as_str().unwrap_or_default()
                ),
                format!("{namespace}/{name}"),
            ));
        }
    }
    context.invalid(stream, &causes)
}

/// The image that a wish means now, if it points to a tag or image of a stream that has one.
fn meant(context: &Context<'_>, stream: &Value, wish: &Value) -> Option<TagEvent> {
    let from = &wish["from"];
    let (namespace, name, which) = source(stream, from)?;
    let itself = Some(namespace) == metadata::namespace(stream) && name == metadata::name(stream);
    let other = if itself {
        stream
    } else {
        context.state.get(&image_streams(), Some(namespace), name)?
    };
    let item = if from["kind"] == "ImageStreamTag" {
        streams::newest(other, which)?
    } else {
        streams::images(other, which).first().copied()?
    };
    Some(TagEvent {
        image: item["image"].as_str()?.to_owned(),
        reference: item["dockerImageReference"].as_str()?.to_owned(),
        generation: wish["generation"].clone(),
    })
}
