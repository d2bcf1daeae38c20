//! What is made of image streams besides the streams themselves: mappings, imports, and the images that
//! a stream holds. Their tags are in `image_tags`.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::request::{Target, Verb};
use super::respond::{Answer, success};
use super::{App, Call, body, handlers, image_tags, list};
use crate::auth::rbac;
use crate::catalogue::ResourceId;
use crate::error::{ApiError, Cause};
use crate::images::{self, GROUP, image_streams, streams};
use crate::metadata;

/// Answers for what is not stored as it is; none for what is.
pub(crate) async fn handle(
    app: &Arc<App>,
    call: &Call,
    target: &Target,
    verb: Verb,
) -> Result<Option<Answer>, ApiError> {
    if target.kind.group != GROUP {
        return Ok(None);
    }
    let subresource = target.subresource.as_deref();
    Ok(Some(
        match (target.kind.plural.as_str(), subresource, verb) {
            ("imagestreamimports", None, Verb::Create) => import(app, call, target).await?,
            ("imagestreammappings", None, Verb::Create) => map(app, call, target)?,
            ("imagestreamimages", None, Verb::Get) => stream_image(app, call, target)?,
            ("imagestreams", Some("layers"), Verb::Get) => layers(app, target)?,
            ("imagestreams", Some("secrets"), Verb::Get) => secrets(app, call, target)?,
            ("imagestreamtags" | "imagetags", None, _) => {
                image_tags::handle(app, call, target, verb)?
            }
            _ => return Ok(None),
        },
    ))
}

/// An ImageStreamMapping: the image, and the stream's tag on it.
fn map(app: &Arc<App>, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let dry_run = call.request.dry_run("CreateOptions")?;
    let object = body::object(&target.kind, &call.request)?.object;
    let name = metadata::name(&object).to_owned();
    let image = object["image"].clone();
    let tag = match object["tag"].as_str().unwrap_or_default() {
        "" => "latest".to_owned(),
        tag => tag.to_owned(),
    };
    let mut causes = Vec::new();
    if metadata::name(&image).is_empty() {
        causes.push(Cause::required("image.metadata.name", ""));
    }
    let reference = image["dockerImageReference"].as_str().unwrap_or_default();
    if reference.is_empty() {
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
    let namespace = target.namespace().unwrap_or_default();
    if app
        .store
        .get(&image_streams(), Some(namespace), &name)
        .is_none()
    {
        return Err(ApiError::not_found_named(GROUP, "imagestreams", &name));
    }
    if !dry_run {
        app.store.map_image(namespace, &name, &tag, image)?;
    }
    Ok(Answer::created(success(Value::Null)))
}

/// An ImageStreamImport. Whoever has it written needs the right to write the stream, too.
async fn import(app: &Arc<App>, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    if call.request.dry_run("CreateOptions")? {
        return Err(ApiError::not_implemented(
            "imports in a dry run; leave spec.import out to look at images alone",
        ));
    }
    let mut object = body::object(&target.kind, &call.request)?.object;
    let namespace = target.namespace().unwrap_or_default();
    handlers::require_place(target, &object)?;
    if app
        .store
        .get(&ResourceId::core("namespaces"), None, namespace)
        .is_none()
    {
        return Err(ApiError::not_found_named("", "namespaces", namespace));
    }
    let name = metadata::name(&object).to_owned();
    if object["spec"]["import"] == true {
        let exists = app.store.get(&image_streams(), Some(namespace), &name);
        let attributes = rbac::Attributes {
            verb: if exists.is_some() { "update" } else { "create" },
            group: GROUP,
            resource: "imagestreams",
            subresource: None,
            namespace: Some(namespace),
            name: Some(&name),
        };
        rbac::require(&app.store.state(), &call.user, &attributes)?;
    }
    object["kind"] = json!(target.kind.kind);
    object["apiVersion"] = json!(target.kind.api_version());
    object["metadata"]["namespace"] = json!(namespace);
    object["metadata"]["creationTimestamp"] = Value::Null;
    let answer = images::import_images(&app.store, &*app.registries, namespace, object).await?;
    Ok(Answer::created(answer))
}

/// One image of a stream's histories, `stream@sha256:…`; the digest may be cut short.
fn stream_image(app: &App, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let name = target.name();
    let (stream_name, image) = name
        .split_once('@')
        .filter(|(stream, image)| !stream.is_empty() && !image.is_empty())
        .ok_or_else(|| {
            ApiError::bad_request("ImageStreamImages must be retrieved with <name>@<id>")
        })?;
    let stream = app
        .store
        .get(&image_streams(), target.namespace(), stream_name)
        .ok_or_else(|| ApiError::not_found_named(GROUP, "imagestreams", stream_name))?;
    let missing = || ApiError::not_found_named(GROUP, "imagestreamimages", image);
    let item = match streams::images(&stream, image).as_slice() {
        [] => return Err(missing()),
        [one] => Value::clone(one),
        many => {
            let names: Vec<&str> = many
                .iter()
                .filter_map(|item| item["image"].as_str())
                .collect();
            return Err(ApiError::conflict(
                GROUP,
                "imagestreams",
                image,
                &format!(
                    "multiple images match the prefix {image:?}: {}",
                    names.join(", ")
                ),
            ));
        }
    };
    let full = item["image"].as_str().unwrap_or_default();
    let image = app
        .store
        .get(&images::images(), None, full)
        .ok_or_else(|| ApiError::not_found_named(GROUP, "images", full))?;
    let mut object = json!({
        "kind": target.kind.kind,
        "apiVersion": target.kind.api_version(),
        "metadata": {
            "name": format!("{stream_name}@{full}"),
            "namespace": target.namespace(),
            "creationTimestamp": image["metadata"]["creationTimestamp"],
        },
        "image": image_tags::embedded(image, &item),
    });
    if stream["metadata"]["annotations"].is_object() {
        object["metadata"]["annotations"] = stream["metadata"]["annotations"].clone();
    }
    Ok(Answer::json(handlers::shaped(call, &target.kind, &object)))
}

fn stream_of(app: &App, target: &Target) -> Result<Value, ApiError> {
    app.store
        .get(&image_streams(), target.namespace(), target.name())
        .ok_or_else(|| ApiError::not_found(&target.kind, target.name()))
}

/// The blobs of all images of a stream.
fn layers(app: &App, target: &Target) -> Result<Answer, ApiError> {
    let stream = stream_of(app, target)?;
    let (mut blobs, mut all) = (Map::new(), Map::new());
    for item in streams::images(&stream, "") {
        let name = item["image"].as_str().unwrap_or_default();
        let Some(image) = app.store.get(&images::images(), None, name) else {
            all.insert(name.to_owned(), json!({"layers": [], "imageMissing": true}));
            continue;
        };
        let mut names = Vec::new();
        for layer in image["dockerImageLayers"].as_array().into_iter().flatten() {
            let digest = layer["name"].as_str().unwrap_or_default();
            names.push(digest);
            blobs.insert(
                digest.to_owned(),
                json!({"size": layer["size"], "mediaType": layer["mediaType"]}),
            );
        }
        let mut entry = json!({ "layers": names });
        let config = image["dockerImageMetadata"]["Id"].as_str();
        if let Some(config) = config.filter(|config| config.starts_with("sha256:")) {
            entry["config"] = json!(config);
            blobs.insert(
                config.to_owned(),
                json!({"mediaType": "application/vnd.docker.container.image.v1+json"}),
            );
        }
        let parts: Vec<&str> = image["dockerImageManifests"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|part| part["digest"].as_str())
            .collect();
        if !parts.is_empty() {
            entry["manifests"] = json!(parts);
        }
        all.insert(name.to_owned(), entry);
    }
    let meta = &stream["metadata"];
    Ok(Answer::json(json!({
        "kind": "ImageStreamLayers",
        "apiVersion": target.kind.api_version(),
        "metadata": {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
            "creationTimestamp": meta["creationTimestamp"],
        },
        "blobs": blobs,
        "images": all,
    })))
}

/// The secrets with which images may be pulled into a stream's namespace.
fn secrets(app: &App, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    stream_of(app, target)?;
    let kind = app
        .store
        .catalogue()
        .find("", "v1", "secrets")
        .ok_or_else(ApiError::no_such_resource)?;
    let items = app
        .store
        .list(&kind.id(), target.namespace())
        .into_iter()
        .filter(|secret| {
            matches!(
                secret["type"].as_str(),
                Some("kubernetes.io/dockercfg" | "kubernetes.io/dockerconfigjson")
            )
        })
        .collect();
    let revision = json!({"resourceVersion": app.store.revision().to_string()});
    Ok(Answer::json(list::document(
        app, call, &kind, items, revision,
    )))
}
