//! The tags of image streams, seen one by one: ImageStreamTags, which mean an image, and ImageTags, which
//! show wish and history. Writing one writes the stream's `spec.tags`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::request::{Target, Verb};
use super::respond::{Answer, success};
use super::{App, Call, body, handlers, list, patch};
use crate::error::{ApiError, Cause};
use crate::images::{self, GROUP, image_streams, streams};
use crate::metadata;
use crate::write::{Part, Write};

/// Answers for ImageStreamTags and ImageTags.
pub(super) fn handle(
    app: &Arc<App>,
    call: &Call,
    target: &Target,
    verb: Verb,
) -> Result<Answer, ApiError> {
    match verb {
        Verb::Get => {
            let object = get(app, target)?;
            Ok(Answer::json(handlers::shaped(call, &target.kind, &object)))
        }
        Verb::List => {
            let selection = list::Selection::read(&target.kind, &call.request)?;
            let mut items = Vec::new();
            for stream in app.store.list(&image_streams(), target.namespace()) {
                let tags = streams::names(&stream)
                    .into_iter()
                    .filter_map(|name| view(app, target, &stream, name, false));
                items.extend(tags.filter(|tag| selection.matches(tag)));
            }
            let revision = json!({"resourceVersion": app.store.revision().to_string()});
            Ok(Answer::json(list::document(
                app,
                call,
                &target.kind,
                items,
                revision,
            )))
        }
        Verb::Create => create(app, call, target),
        Verb::Update | Verb::Patch => update(app, call, target, verb),
        Verb::Delete => delete(app, call, target),
        Verb::Watch | Verb::DeleteCollection => Err(ApiError::method_not_allowed()),
    }
}

/// Whether it is of the older kind, which means an image.
fn means_image(target: &Target) -> bool {
    target.kind.plural == "imagestreamtags"
}

/// The field that holds the wish.
fn wish_field(target: &Target) -> &'static str {
    if means_image(target) { "tag" } else { "spec" }
}

fn split(target: &Target, name: &str) -> Result<(String, String), ApiError> {
    name.split_once(':')
        .filter(|(stream, tag)| !stream.is_empty() && !tag.is_empty())
        .map(|(stream, tag)| (stream.to_owned(), tag.to_owned()))
        .ok_or_else(|| {
            if target.name.is_some() {
                ApiError::bad_request("imageStreamTags must be retrieved with <name>:<tag>")
            } else {
                ApiError::invalid(
                    GROUP,
                    &target.kind.kind,
                    name,
                    &[Cause::invalid(
                        "metadata.name",
                        &json!(name),
                        "must be of the form <stream_name>:<tag>",
                    )],
                )
            }
        })
}

fn get(app: &App, target: &Target) -> Result<Value, ApiError> {
    let (stream, name) = split(target, target.name())?;
    app.store
        .get(&image_streams(), target.namespace(), &stream)
        .and_then(|stream| view(app, target, &stream, &name, false))
        .ok_or_else(|| ApiError::not_found(&target.kind, target.name()))
}

/// An Image as it is shown within another object, with the reference of its tag.
pub(super) fn embedded(mut image: Value, item: &Value) -> Value {
    crate::write::set(&mut image, "kind", None);
    crate::write::set(&mut image, "apiVersion", None);
    // What is the registry's own is pulled from the stream that was asked for, not where it was first.
    if let Some(reference) = item["dockerImageReference"].as_str() {
        image["dockerImageReference"] = json!(reference);
    }
    image
}

/// A tag of a stream. An ImageStreamTag needs an image, unless one without (`empty`) will do; an ImageTag
/// may be a mere wish.
fn view(app: &App, target: &Target, stream: &Value, name: &str, empty: bool) -> Option<Value> {
    let status = streams::history(stream, name).cloned().unwrap_or_default();
    let wish = streams::wish(stream, name).cloned().unwrap_or_default();
    let item = &status["items"][0];
    let image = item["image"]
        .as_str()
        .and_then(|image| app.store.get(&images::images(), None, image))
        .map(|image| embedded(image, item));
    let meta = &stream["metadata"];
    let mut object = json!({
        "kind": target.kind.kind,
        "apiVersion": target.kind.api_version(),
        "metadata": {
            "name": format!("{}:{name}", metadata::name(stream)),
            "namespace": meta["namespace"],
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
            "creationTimestamp": match &item["created"] {
                Value::Null => &meta["creationTimestamp"],
                created => created,
            },
        },
    });
    if !meta["labels"].is_null() {
        object["metadata"]["labels"] = meta["labels"].clone();
    }
    if means_image(target) {
        object["image"] = match image {
            Some(image) => image,
            None if empty => json!({
                "metadata": {"creationTimestamp": null},
                "dockerImageMetadata": null,
                "dockerImageMetadataVersion": "",
            }),
            None => return None,
        };
        if wish["annotations"].is_object() {
            object["metadata"]["annotations"] = wish["annotations"].clone();
        }
        object["generation"] = match &item["generation"] {
            Value::Null => json!(0),
            generation => generation.clone(),
        };
        object["tag"] = wish;
        object["lookupPolicy"] = match &stream["spec"]["lookupPolicy"] {
            Value::Null => json!({"local": false}),
            policy => policy.clone(),
        };
        if status["conditions"].is_array() {
            object["conditions"] = status["conditions"].clone();
        }
    } else {
        if status.is_null() && wish.is_null() && !empty {
            return None;
        }
        object["metadata"]["generation"] = meta["generation"].clone();
        object["spec"] = wish;
        object["status"] = status;
        object["image"] = image.unwrap_or_default();
    }
    Some(object)
}

fn write<'a>(call: &'a Call, manager: &'a str, dry_run: bool) -> Write<'a> {
    Write {
        user: Some(&call.user),
        manager,
        dry_run,
        ..Write::system()
    }
}

/// Makes the stream with this one tag.
fn create_stream(
    app: &App,
    target: &Target,
    stream: &str,
    tag: &str,
    wish: Value,
    lookup: &Value,
    write: &Write<'_>,
) -> Result<Value, ApiError> {
    let kind = stream_kind(app)?;
    let mut object = json!({"metadata": {"name": stream}, "spec": {}});
    if lookup.is_object() {
        object["spec"]["lookupPolicy"] = lookup.clone();
    }
    if !wish.is_null() {
        streams::set_wish(&mut object, tag, wish);
    }
    app.store
        .create_with(&kind, target.namespace(), object, write)
        .map(|stream| Value::clone(&stream))
}

fn stream_kind(app: &App) -> Result<Arc<crate::catalogue::ResourceType>, ApiError> {
    app.store
        .catalogue()
        .stored(&image_streams())
        .ok_or_else(ApiError::no_such_resource)
}

/// The wish that an object brings along.
fn wish_of(target: &Target, object: &Value, tag: &str) -> Value {
    let mut wish = object[wish_field(target)].clone();
    if wish.is_object() {
        wish["name"] = json!(tag);
    }
    wish
}

/// A posted tag brings its wish along and no image, so that nothing may be there after it.
fn create(app: &Arc<App>, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let dry_run = call.request.dry_run("CreateOptions")?;
    let object = body::object(&target.kind, &call.request)?.object;
    handlers::require_place(target, &object)?;
    let (stream, tag) = split(target, metadata::name(&object))?;
    if !means_image(target) && object["spec"].is_null() {
        return Err(ApiError::invalid(
            GROUP,
            "ImageTag",
            metadata::name(&object),
            &[Cause::required(
                "spec",
                "spec is a required field during creation",
            )],
        ));
    }
    let wish = wish_of(target, &object, &tag);
    let manager = call.request.manager();
    let write = write(call, &manager, dry_run);
    let exists = app
        .store
        .get(&image_streams(), target.namespace(), &stream)
        .is_some();
    let made = if exists {
        let kind = stream_kind(app)?;
        let changed =
            app.store
                .update_with(&kind, target.namespace(), &stream, &write, |current| {
                    if streams::wish(current, &tag).is_some() {
                        return Err(ApiError::already_exists(
                            &target.kind,
                            metadata::name(&object),
                        ));
                    }
                    let mut changed = current.clone();
                    if !wish.is_null() {
                        streams::set_wish(&mut changed, &tag, wish);
                    }
                    Ok(changed)
                })?;
        Value::clone(&changed)
    } else {
        let lookup = &object["lookupPolicy"];
        create_stream(app, target, &stream, &tag, wish, lookup, &write)?
    };
    let answer = view(app, target, &made, &tag, true)
        .ok_or_else(|| ApiError::not_found(&target.kind, metadata::name(&object)))?;
    Ok(Answer::created(handlers::shaped(
        call,
        &target.kind,
        &answer,
    )))
}

/// Changes the wish for a tag; one that is not there is made, as `oc tag` relies on.
fn update(app: &Arc<App>, call: &Call, target: &Target, verb: Verb) -> Result<Answer, ApiError> {
    let options = if verb == Verb::Patch {
        "PatchOptions"
    } else {
        "UpdateOptions"
    };
    let dry_run = call.request.dry_run(options)?;
    let (stream_name, tag) = split(target, target.name())?;
    let found = app
        .store
        .get(&image_streams(), target.namespace(), &stream_name);
    let blank = json!({"metadata": {"name": stream_name, "namespace": target.namespace()}});
    let stream = found.as_ref().unwrap_or(&blank);
    let had_wish = streams::wish(stream, &tag).is_some();
    let object = if verb == Verb::Patch {
        let patch = patch::Patch::read(&target.kind, call)?
            .ok_or_else(|| ApiError::not_implemented("server-side apply of tags"))?;
        let current = view(app, target, stream, &tag, true).unwrap_or_default();
        let patched = patch.apply(&target.kind, &current)?;
        body::typed(&target.kind, &call.request, patched)?.object
    } else {
        body::object(&target.kind, &call.request)?.object
    };
    handlers::require_place(target, &object)?;
    let revision = object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default();
    let conflict = |why: &str| ApiError::conflict(GROUP, &target.kind.plural, target.name(), why);
    match &found {
        None if !revision.is_empty() => {
            return Err(ApiError::not_found(&target.kind, target.name()));
        }
        Some(stream)
            if !revision.is_empty() && stream["metadata"]["resourceVersion"] != revision =>
        {
            return Err(conflict(
                "the object has been modified; please apply your changes to the latest version and try again",
            ));
        }
        _ => {}
    }
    let mut wish = wish_of(target, &object, &tag);
    if wish.is_null() {
        if !means_image(target) {
            return Err(ApiError::not_implemented(
                "taking the spec of an ImageTag away",
            ));
        }
        wish = streams::wish(stream, &tag).cloned().ok_or_else(|| {
            ApiError::bad_request(format!(
                "imagestreamtag {} is not a spec tag in imagestream {}/{stream_name}, cannot be updated",
                target.name(),
                target.namespace().unwrap_or_default(),
            ))
        })?;
    }
    if means_image(target) {
        wish["annotations"] = object["metadata"]["annotations"].clone();
    }
    let manager = call.request.manager();
    let write = write(call, &manager, dry_run);
    let changed = match &found {
        None => {
            let lookup = &object["lookupPolicy"];
            create_stream(app, target, &stream_name, &tag, wish, lookup, &write)?
        }
        Some(_) => {
            let kind = stream_kind(app)?;
            let changed = app.store.update_with(
                &kind,
                target.namespace(),
                &stream_name,
                &write,
                |current| {
                    let mut changed = current.clone();
                    streams::set_wish(&mut changed, &tag, wish);
                    Ok(changed)
                },
            )?;
            Value::clone(&changed)
        }
    };
    let answer = view(app, target, &changed, &tag, true)
        .ok_or_else(|| ApiError::not_found(&target.kind, target.name()))?;
    let answer = handlers::shaped(call, &target.kind, &answer);
    Ok(if had_wish {
        Answer::json(answer)
    } else {
        Answer::created(answer)
    })
}

fn delete(app: &Arc<App>, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let (_, dry_run) = handlers::delete_options(&call.request)?;
    let (stream, tag) = split(target, target.name())?;
    let missing = || ApiError::not_found(&target.kind, target.name());
    let kind = stream_kind(app)?;
    let write = Write {
        part: Part::Special,
        dry_run,
        ..Write::system()
    };
    app.store
        .update_with(&kind, target.namespace(), &stream, &write, |stream| {
            let mut stream = stream.clone();
            if streams::remove(&mut stream, &tag) {
                Ok(stream)
            } else {
                Err(missing())
            }
        })
        .map_err(|error| {
            if error.code() == 404 {
                missing()
            } else {
                error
            }
        })?;
    Ok(Answer::json(success(Value::Null)))
}
