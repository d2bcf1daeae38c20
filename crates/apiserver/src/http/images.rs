//! Image streams and the views on their tags.

use std::sync::Arc;

use serde_json::{Value, json};

use super::request::{Target, Verb};
use super::respond::{Answer, success};
use super::{App, Call, body, handlers, list};
use crate::catalogue::ResourceId;
use crate::error::{ApiError, Cause};
use crate::metadata;
use crate::write::{Part, Write};

const GROUP: &str = "image.openshift.io";

fn streams() -> ResourceId {
    ResourceId::new(GROUP, "imagestreams")
}

/// Answers for a view on image streams; none for what is stored as it is.
pub(crate) fn handle(
    app: &Arc<App>,
    call: &Call,
    target: &Target,
    verb: Verb,
) -> Result<Option<Answer>, ApiError> {
    if target.kind.group == "template.openshift.io" && target.kind.plural == "processedtemplates" {
        return Err(ApiError::not_implemented("the processing of templates"));
    }
    if target.kind.group != GROUP {
        return Ok(None);
    }
    Ok(Some(match (target.kind.plural.as_str(), verb) {
        ("imagestreamimports", _) => {
            return Err(ApiError::not_implemented(
                "imports of images from registries",
            ));
        }
        ("imagestreammappings", _) => map(app, call, target)?,
        ("imagestreamtags" | "imagetags", Verb::Get) => {
            Answer::json(handlers::shaped(call, &target.kind, &tag(app, target)?))
        }
        ("imagestreamtags" | "imagetags", Verb::List) => {
            let selection = list::Selection::read(&target.kind, &call.request)?;
            let items: Vec<Value> = app
                .store
                .list(&streams(), target.namespace())
                .iter()
                .flat_map(|stream| all_tags(app, target, stream))
                .filter(|tag| selection.matches(tag))
                .collect();
            let revision = json!({"resourceVersion": app.store.revision().to_string()});
            Answer::json(list::document(app, call, &target.kind, items, revision))
        }
        ("imagestreamtags", Verb::Create) => create_tag(app, call, target)?,
        ("imagetags", Verb::Create) => {
            let object = body::object(&target.kind, &call.request)?.object;
            if object["spec"].is_null() {
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
            return Err(ApiError::not_implemented("the creation of ImageTags"));
        }
        ("imagestreamtags" | "imagetags", Verb::Delete) => delete_tag(app, call, target)?,
        ("imagestreamtags" | "imagetags", _) => {
            return Err(ApiError::not_implemented(
                "changes of tags other than by an ImageStreamMapping",
            ));
        }
        _ => return Ok(None),
    }))
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

fn tag(app: &App, target: &Target) -> Result<Value, ApiError> {
    let (stream, name) = split(target, target.name())?;
    let stream = app
        .store
        .get(&streams(), target.namespace(), &stream)
        .ok_or_else(|| ApiError::not_found(&target.kind, target.name()))?;
    view(app, target, &stream, &name)
        .ok_or_else(|| ApiError::not_found(&target.kind, target.name()))
}

fn all_tags(app: &App, target: &Target, stream: &Value) -> Vec<Value> {
    let mut names: Vec<&str> = Vec::new();
    let status = stream["status"]["tags"].as_array().into_iter().flatten();
    let spec = stream["spec"]["tags"].as_array().into_iter().flatten();
    for name in status
        .filter_map(|tag| tag["tag"].as_str())
        .chain(spec.filter_map(|tag| tag["name"].as_str()))
    {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
        .into_iter()
        .filter_map(|name| view(app, target, stream, name))
        .collect()
}

/// A tag of a stream, as ImageStreamTag or ImageTag. An ImageStreamTag needs an image; an ImageTag may
/// be a mere wish.
fn view(app: &App, target: &Target, stream: &Value, name: &str) -> Option<Value> {
    let find = |list: &Value, field: &str| {
        list.as_array()
            .into_iter()
            .flatten()
            .find(|tag| tag[field] == name)
            .cloned()
    };
    let status = find(&stream["status"]["tags"], "tag").unwrap_or_default();
    let spec = find(&stream["spec"]["tags"], "name").unwrap_or_default();
    let item = &status["items"][0];
    let image = item["image"].as_str().and_then(|image| {
        app.store
            .get(&ResourceId::new(GROUP, "images"), None, image)
    });
    let meta = &stream["metadata"];
    let mut object = json!({
        "kind": target.kind.kind,
        "apiVersion": target.kind.api_version(),
        "metadata": {
            "name": format!("{}:{name}", meta["name"].as_str().unwrap_or_default()),
            "namespace": meta["namespace"],
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
            "creationTimestamp": match &item["created"] {
                Value::Null => &meta["creationTimestamp"],
                created => created,
            },
            "labels": meta["labels"],
        },
    });
    if meta["labels"].is_null() {
        crate::write::set(&mut object["metadata"], "labels", None);
    }
    let image = image.map(|mut image| {
        crate::write::set(&mut image, "kind", None);
        crate::write::set(&mut image, "apiVersion", None);
        if let Some(reference) = item["dockerImageReference"].as_str() {
            image["dockerImageReference"] = json!(reference);
        }
        image
    });
    if target.kind.plural == "imagestreamtags" {
        object["image"] = image?;
        object["tag"] = spec;
        object["generation"] = item["generation"].clone();
        object["lookupPolicy"] = match &stream["spec"]["lookupPolicy"] {
            Value::Null => json!({"local": false}),
            policy => policy.clone(),
        };
    } else {
        if status.is_null() && spec.is_null() {
            return None;
        }
        object["metadata"]["generation"] = meta["generation"].clone();
        object["spec"] = spec;
        object["status"] = status;
        object["image"] = image.unwrap_or_default();
    }
    Some(object)
}

/// A posted ImageStreamTag brings the tag's wish along and no image, so that nothing is there after it.
fn create_tag(app: &Arc<App>, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let dry_run = call.request.dry_run("CreateOptions")?;
    let object = body::object(&target.kind, &call.request)?.object;
    let (stream, tag) = split(target, metadata::name(&object))?;
    let wish = match &object["tag"] {
        Value::Null => Value::Null,
        wish => {
            let mut wish = wish.clone();
            wish["name"] = json!(tag);
            wish
        }
    };
    if app
        .store
        .get(&streams(), target.namespace(), &stream)
        .is_none()
    {
        let mut spec = json!({"lookupPolicy": object["lookupPolicy"]});
        if spec["lookupPolicy"].is_null() {
            spec["lookupPolicy"] = json!({"local": false});
        }
        if !wish.is_null() {
            spec["tags"] = json!([wish]);
        }
        if !dry_run {
            app.store.create(
                &streams(),
                target.namespace(),
                json!({"metadata": {"name": stream}, "spec": spec}),
            )?;
        }
    } else if !wish.is_null() && !dry_run {
        app.store
            .update(&streams(), target.namespace(), &stream, |stream| {
                let mut tags = stream["spec"]["tags"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                tags.retain(|known| known["name"] != tag.as_str());
                tags.push(wish.clone());
                stream["spec"]["tags"] = json!(tags);
            })?;
    }
    let mut answer = object;
    let meta = metadata::of(&mut answer)?;
    for field in metadata::SERVER_FIELDS {
        meta.remove(field);
    }
    meta.remove("resourceVersion");
    meta.remove("managedFields");
    meta.insert("namespace".to_owned(), json!(target.namespace()));
    Ok(Answer::created(answer))
}

fn delete_tag(app: &Arc<App>, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let (_, dry_run) = handlers::delete_options(&call.request)?;
    let (stream, name) = split(target, target.name())?;
    let is = |tag: &Value, field: &str| tag[field] == name.as_str();
    let found = app
        .store
        .get(&streams(), target.namespace(), &stream)
        .filter(|stream| {
            let has = |list: &Value, field: &str| {
                list.as_array()
                    .is_some_and(|tags| tags.iter().any(|tag| is(tag, field)))
            };
            has(&stream["status"]["tags"], "tag") || has(&stream["spec"]["tags"], "name")
        });
    if found.is_none() {
        return Err(ApiError::not_found(&target.kind, target.name()));
    }
    if !dry_run {
        let kind = app
            .store
            .catalogue()
            .stored(&streams())
            .ok_or_else(ApiError::no_such_resource)?;
        let write = Write {
            part: Part::Special,
            ..Write::system()
        };
        app.store
            .update_with(&kind, target.namespace(), &stream, &write, |stream| {
                let mut stream = stream.clone();
                for (place, field) in [("status", "tag"), ("spec", "name")] {
                    if let Some(tags) = stream[place]["tags"].as_array_mut() {
                        tags.retain(|tag| !is(tag, field));
                    }
                }
                Ok(stream)
            })?;
    }
    Ok(Answer::json(success(Value::Null)))
}

/// An ImageStreamMapping: the image, and the stream's tag on it.
fn map(app: &Arc<App>, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let dry_run = call.request.dry_run("CreateOptions")?;
    let object = body::object(&target.kind, &call.request)?.object;
    let name = metadata::name(&object).to_owned();
    let image = object["image"].clone();
    let image_name = metadata::name(&image).to_owned();
    let tag = match object["tag"].as_str().unwrap_or_default() {
        "" => "latest".to_owned(),
        tag => tag.to_owned(),
    };
    let mut causes = Vec::new();
    if image_name.is_empty() {
        causes.push(Cause::required("image.metadata.name", ""));
    }
    if image["dockerImageReference"]
        .as_str()
        .unwrap_or_default()
        .is_empty()
    {
        causes.push(Cause::required("image.dockerImageReference", ""));
    }
    if !causes.is_empty() {
        return Err(ApiError::invalid(
            GROUP,
            "ImageStreamMapping",
            &name,
            &causes,
        ));
    }
    let stream = app
        .store
        .get(&streams(), target.namespace(), &name)
        .ok_or_else(|| ApiError::not_found_named(GROUP, "imagestreams", &name))?;
    if !dry_run {
        let images = ResourceId::new(GROUP, "images");
        if app.store.get(&images, None, &image_name).is_none() {
            let mut image = image.clone();
            if let Some(meta) = image["metadata"].as_object_mut() {
                meta.retain(|field, _| matches!(field.as_str(), "name" | "labels" | "annotations"));
            }
            app.store.create(&images, None, image)?;
        }
        tag_image(
            app,
            target.namespace(),
            metadata::name(&stream),
            &tag,
            &image_name,
            image["dockerImageReference"].as_str().unwrap_or_default(),
        )?;
    }
    Ok(Answer::created(success(Value::Null)))
}

fn tag_image(
    app: &App,
    namespace: Option<&str>,
    stream: &str,
    tag: &str,
    image: &str,
    reference: &str,
) -> Result<(), ApiError> {
    app.store
        .tag_image(namespace, stream, tag, image, reference)
}

impl crate::store::Store {
    /// Puts an image first into the history of a stream's tag, as a push to the cluster's registry does.
    /// `image` is the name of an Image object, `sha256:…`; `reference` is where it can be pulled.
    ///
    /// # Errors
    /// 404 if there is no such stream.
    pub fn tag_image(
        &self,
        namespace: Option<&str>,
        stream: &str,
        tag: &str,
        image: &str,
        reference: &str,
    ) -> Result<(), ApiError> {
        self.update_status(&streams(), namespace, stream, |stream| {
            let generation = stream["metadata"]["generation"].clone();
            let item = json!({
                "created": metadata::now(),
                "dockerImageReference": reference,
                "image": image,
                "generation": generation,
            });
            let mut tags = stream["status"]["tags"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            match tags.iter_mut().find(|known| known["tag"] == tag) {
                Some(known) => {
                    if known["items"][0]["image"] != image {
                        let mut items = known["items"].as_array().cloned().unwrap_or_default();
                        items.insert(0, item);
                        known["items"] = json!(items);
                    }
                }
                None => tags.push(json!({"tag": tag, "items": [item]})),
            }
            stream["status"]["tags"] = json!(tags);
        })
        .map(|_| ())
    }
}
