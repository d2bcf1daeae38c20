//! Imports: an ImageStreamImport asks registries what their tags mean, and sets a stream's tags by it.

use futures::StreamExt as _;
use serde_json::{Value, json};

use super::streams::{self, TagEvent};
use super::{GROUP, image_object, image_streams};
use crate::backends::{Registries, RegistryError, RemoteImage, RemoteImageRequest};
use crate::error::{ApiError, Cause};
use crate::metadata;
use crate::store::Store;
use crate::write::{Part, Write};

/// How many images are asked for at the same time.
const AT_ONCE: usize = 4;
/// How many tags of a repository are imported; the others are only named.
const MOST_TAGS: usize = 50;
/// When a stream was last looked at in its registry.
const CHECKED: &str = "openshift.io/image.dockerRepositoryCheck";

/// One image that is asked for.
struct Wanted {
    reference: String,
    /// The tag of the stream that it goes to.
    tag: String,
    /// The rest of the wish: `importPolicy`, `referencePolicy`, `includeManifest`.
    spec: Value,
}

impl Wanted {
    fn policy(&self, field: &str, default: Value) -> Value {
        match &self.spec[field] {
            Value::Null => default,
            policy => policy.clone(),
        }
    }

    /// The stream's wish that remains of it.
    fn wish(&self, generation: i64) -> Value {
        let mut policy = self.policy("importPolicy", json!({}));
        if policy["importMode"].is_null() {
            policy["importMode"] = json!("Legacy");
        }
        json!({
            "name": self.tag,
            "annotations": null,
            "from": {"kind": "DockerImage", "name": self.reference},
            "generation": generation,
            "importPolicy": policy,
            "referencePolicy": self.policy("referencePolicy", json!({"type": "Source"})),
        })
    }
}

/// What came of one image: its status, and the images to keep, the tag's own first.
struct Found {
    wanted: Wanted,
    outcome: Result<Vec<Value>, Value>,
}

/// Carries an ImageStreamImport out and returns it with its status. What the registries refuse is in the
/// status of each image. With `spec.import` the stream is made or changed. Nobody's rights are checked.
///
/// # Errors
/// 422 if it asks for nothing or for what is no image; 501 if no registry can be asked; else as a write
/// of the stream is refused.
pub async fn import_images(
    store: &Store,
    registries: &dyn Registries,
    namespace: &str,
    import: Value,
) -> Result<Value, ApiError> {
    let name = metadata::name(&import).to_owned();
    check(&import, &name)?;
    let wanted = import["spec"]["images"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|spec| {
            let reference = spec["from"]["name"].as_str().unwrap_or_default();
            let tag = match spec["to"]["name"].as_str() {
                Some(tag) if !tag.is_empty() => tag.to_owned(),
                _ => tag_of(reference).to_owned(),
            };
            Wanted {
                reference: reference.to_owned(),
                tag,
                spec: spec.clone(),
            }
        })
        .collect();
    let mut answer = import.clone();
    answer["status"] = json!({});
    let mut all = fetch(registries, namespace, wanted).await?;
    if !all.is_empty() {
        answer["status"]["images"] = all.iter().map(shown).collect();
    }
    let repository = &import["spec"]["repository"];
    if repository.is_object() {
        let (status, more) = fetch_repository(registries, namespace, repository).await?;
        answer["status"]["repository"] = status;
        all.extend(more);
    }
    if import["spec"]["import"] == true {
        answer["status"]["import"] = keep(store, namespace, &name, &all)?;
    }
    Ok(answer)
}

fn check(import: &Value, name: &str) -> Result<(), ApiError> {
    let mut causes = Vec::new();
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", ""));
    }
    let spec = &import["spec"];
    let images = spec["images"].as_array().map(Vec::as_slice).unwrap_or(&[]);
    if images.is_empty() && spec["repository"].is_null() {
        causes.push(Cause::invalid(
            "",
            &Value::Null,
            "you must specify at least one repository or image to import",
        ));
    }
    let places = images
        .iter()
        .enumerate()
        .map(|(at, image)| (format!("spec.images[{at}].from"), &image["from"]))
        .chain(spec["repository"].is_object().then(|| {
            (
                "spec.repository.from".to_owned(),
                &spec["repository"]["from"],
            )
        }));
    for (place, from) in places {
        if from["kind"] != "DockerImage" {
            causes.push(Cause::invalid(
                format!("{place}.kind"),
                &from["kind"],
                "only DockerImage is supported",
            ));
        }
        if from["name"].as_str().unwrap_or_default().is_empty() {
            causes.push(Cause::required(format!("{place}.name"), ""));
        }
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(GROUP, "ImageStreamImport", name, &causes))
}

/// Repository, without tag and digest.
fn repository_of(reference: &str) -> &str {
    let bare = reference.split('@').next().unwrap_or_default();
    match bare.rsplit_once(':') {
        // A colon before the last slash belongs to a port.
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => bare,
    }
}

fn tag_of(reference: &str) -> &str {
    let bare = reference.split('@').next().unwrap_or_default();
    match bare.rsplit_once(':') {
        Some((_, tag)) if !tag.contains('/') => tag,
        _ => "latest",
    }
}

async fn fetch(
    registries: &dyn Registries,
    namespace: &str,
    wanted: Vec<Wanted>,
) -> Result<Vec<Found>, ApiError> {
    let mut results = futures::stream::iter(wanted.into_iter().map(async |wanted| {
        let request = RemoteImageRequest {
            reference: wanted.reference.clone(),
            insecure: wanted.spec["importPolicy"]["insecure"] == true,
            namespace: namespace.to_owned(),
        };
        let remote = registries.image(request).await;
        (wanted, remote)
    }))
    .buffered(AT_ONCE);
    let mut all = Vec::new();
    while let Some((wanted, remote)) = results.next().await {
        let outcome = match remote {
            Ok(remote) => objects(&wanted, remote),
            Err(RegistryError::Unsupported(what)) => return Err(ApiError::not_implemented(&what)),
            Err(error) => Err(error.status(&wanted.reference)),
        };
        all.push(Found { wanted, outcome });
    }
    Ok(all)
}

/// The Images of what a registry has: of an index the one for this machine, unless the whole is wanted.
fn objects(wanted: &Wanted, remote: RemoteImage) -> Result<Vec<Value>, Value> {
    let repository = repository_of(&wanted.reference);
    let object = |remote: &RemoteImage| {
        let reference = format!("{repository}@{}", remote.digest);
        let object = image_object(
            &reference,
            &remote.digest,
            &remote.media_type,
            &remote.manifest,
            &remote.config,
        );
        object
            .map(|mut object| {
                if wanted.spec["includeManifest"] == true {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    object["dockerImageManifest"] = json!(text(&remote.manifest));
                    object["dockerImageConfig"] = json!(text(&remote.config));
                }
                object
            })
            .map_err(|error| RegistryError::Other(error.to_string()).status(&wanted.reference))
    };
    let whole = object(&remote)?;
    if whole["dockerImageManifests"].is_null() {
        return Ok(vec![whole]);
    }
    let parts: Vec<Value> = remote
        .platforms
        .iter()
        .map(object)
        .collect::<Result<_, _>>()?;
    if wanted.spec["importPolicy"]["importMode"] == "PreserveOriginal" {
        return Ok([vec![whole], parts].concat());
    }
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    parts
        .into_iter()
        .find(|part| part["dockerImageMetadata"]["Architecture"] == machine)
        .map(|part| vec![part])
        .ok_or_else(|| {
            let why = format!("the index holds no image for linux/{machine}");
            RegistryError::Other(why).status(&wanted.reference)
        })
}

async fn fetch_repository(
    registries: &dyn Registries,
    namespace: &str,
    spec: &Value,
) -> Result<(Value, Vec<Found>), ApiError> {
    let name = spec["from"]["name"].as_str().unwrap_or_default();
    let repository = repository_of(name).to_owned();
    let insecure = spec["importPolicy"]["insecure"] == true;
    let tags = registries
        .tags(repository.clone(), insecure, namespace.to_owned())
        .await;
    let mut tags = match tags {
        Ok(tags) => tags,
        Err(RegistryError::Unsupported(what)) => return Err(ApiError::not_implemented(&what)),
        Err(error) => return Ok((json!({"status": error.status(name)}), Vec::new())),
    };
    // The newest are worth most: `latest`, then by falling names.
    tags.sort_by(|a, b| (*b == "latest").cmp(&(*a == "latest")).then(b.cmp(a)));
    let rest = tags.split_off(tags.len().min(MOST_TAGS));
    let wanted = tags
        .into_iter()
        .map(|tag| Wanted {
            reference: format!("{repository}:{tag}"),
            tag,
            spec: spec.clone(),
        })
        .collect();
    let all = fetch(registries, namespace, wanted).await?;
    let mut status =
        json!({"status": success(), "images": all.iter().map(shown).collect::<Vec<_>>()});
    if !rest.is_empty() {
        status["additionalTags"] = json!(rest);
    }
    Ok((status, all))
}

fn success() -> Value {
    json!({"metadata": {}, "status": "Success"})
}

/// An entry of `status.images`.
fn shown(found: &Found) -> Value {
    let mut entry = match &found.outcome {
        Ok(images) => json!({"status": success(), "image": images.first()}),
        Err(status) => json!({ "status": status }),
    };
    entry["tag"] = json!(found.wanted.tag);
    if let Ok([_, parts @ ..]) = found.outcome.as_deref()
        && !parts.is_empty()
    {
        entry["manifests"] = json!(parts);
    }
    entry
}

/// Writes images and tags; the stream as it is then.
fn keep(store: &Store, namespace: &str, name: &str, all: &[Found]) -> Result<Value, ApiError> {
    let resource = image_streams();
    if store.get(&resource, Some(namespace), name).is_none() {
        let empty = json!({"metadata": {"name": name}, "spec": {"lookupPolicy": {"local": false}}});
        match store.create(&resource, Some(namespace), empty) {
            Err(error) if error.reason() == "AlreadyExists" => {}
            made => drop(made?),
        }
    }
    for image in all.iter().flat_map(|found| found.outcome.iter().flatten()) {
        let mut image = image.clone();
        for field in ["dockerImageManifest", "dockerImageConfig"] {
            crate::write::set(&mut image, field, None);
        }
        store.keep_image(image)?;
    }
    let kind = store
        .catalogue()
        .stored(&resource)
        .ok_or_else(ApiError::no_such_resource)?;
    let write = Write {
        part: Part::Special,
        ..Write::system()
    };
    let stream = store.update_with(&kind, Some(namespace), name, &write, |current| {
        let mut stream = current.clone();
        // The change of the wishes below begins this generation.
        let generation = current["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        if !stream["metadata"]["annotations"].is_object() {
            stream["metadata"]["annotations"] = json!({});
        }
        stream["metadata"]["annotations"][CHECKED] = json!(metadata::now());
        for found in all {
            let tag = &found.wanted.tag;
            streams::set_wish(&mut stream, tag, found.wanted.wish(generation));
            match &found.outcome {
                Ok(images) => {
                    let Some(image) = images.first() else {
                        continue;
                    };
                    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                    let event = TagEvent {
                        image: metadata::name(image).to_owned(),
                        reference: text(&image["dockerImageReference"]),
                        generation: json!(generation),
                    };
                    streams::add(&mut stream, tag, &event);
                    streams::track(&mut stream, tag, &event);
                }
                Err(status) => streams::failed(&mut stream, tag, generation, status),
            }
        }
        Ok(stream)
    })?;
    Ok(Value::clone(&stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart() {
        for (reference, repository, tag) in [
            ("nginx", "nginx", "latest"),
            ("quay.io/a/b:1", "quay.io/a/b", "1"),
            ("localhost:5000/a/b", "localhost:5000/a/b", "latest"),
            ("localhost:5000/a/b:2@sha256:00", "localhost:5000/a/b", "2"),
            ("quay.io/a/b@sha256:00", "quay.io/a/b", "latest"),
        ] {
            assert_eq!(
                (repository_of(reference), tag_of(reference)),
                (repository, tag)
            );
        }
    }
}
