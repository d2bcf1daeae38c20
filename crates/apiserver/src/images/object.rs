//! The Image object that stands for a manifest and its config.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// Media types of manifests of one platform.
const MANIFESTS: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
];
/// Media types of lists of such.
const INDEXES: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
];

/// The fields of a container's config that an Image shows; there are more in the wild.
const CONFIG_FIELDS: [&str; 22] = [
    "Hostname",
    "Domainname",
    "User",
    "Memory",
    "MemorySwap",
    "CpuShares",
    "Cpuset",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "ExposedPorts",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "Env",
    "Cmd",
    "Image",
    "Volumes",
    "WorkingDir",
    "Entrypoint",
    "OnBuild",
    "Labels",
];

/// Why a manifest is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageObjectError {
    /// The manifest is another than the digest names.
    #[error("the manifest has not the digest {0}")]
    Digest(String),
    /// A form that is not read, the old schema 1 for one.
    #[error("manifests of type {0:?} are not supported")]
    MediaType(String),
    /// The manifest or the config is no JSON.
    #[error("the {what} of image {digest} cannot be read")]
    Malformed {
        /// `manifest` or `config`.
        what: &'static str,
        /// The image.
        digest: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// The Image object (`image.openshift.io/v1`) of a manifest or index and the config that it names, as the
/// cluster keeps it after a push or an import: without the manifest itself. `reference` is where it can
/// be pulled, by digest.
///
/// # Errors
/// When the manifest is not what the digest names, or is none.
pub fn image_object(
    reference: &str,
    digest: &str,
    media_type: &str,
    manifest: &[u8],
    config: &[u8],
) -> Result<Value, ImageObjectError> {
    if let Some(hex) = digest.strip_prefix("sha256:")
        && hex != hex_digest(manifest)
    {
        return Err(ImageObjectError::Digest(digest.to_owned()));
    }
    let parse = |what: &'static str, bytes: &[u8]| {
        serde_json::from_slice::<Value>(bytes).map_err(|source| ImageObjectError::Malformed {
            what,
            digest: digest.to_owned(),
            source,
        })
    };
    let manifest = parse("manifest", manifest)?;
    let mut image = json!({
        "kind": "Image",
        "apiVersion": "image.openshift.io/v1",
        "metadata": {
            "name": digest,
            "annotations": {"image.openshift.io/dockerLayersOrder": "ascending"},
        },
        "dockerImageReference": reference,
        "dockerImageMetadataVersion": "1.0",
        "dockerImageManifestMediaType": media_type,
    });
    if INDEXES.contains(&media_type) {
        image["dockerImageMetadata"] = docker_image(&Value::Null, "", 0);
        image["dockerImageManifests"] = entries(&manifest["manifests"])
            .map(|one| {
                let platform = &one["platform"];
                let mut entry = json!({
                    "digest": one["digest"],
                    "mediaType": one["mediaType"],
                    "manifestSize": one["size"],
                    "architecture": platform["architecture"],
                    "os": platform["os"],
                });
                if platform["variant"].is_string() {
                    entry["variant"] = platform["variant"].clone();
                }
                entry
            })
            .collect();
        return Ok(image);
    }
    if !MANIFESTS.contains(&media_type) {
        return Err(ImageObjectError::MediaType(media_type.to_owned()));
    }
    let layers: Vec<Value> = entries(&manifest["layers"])
        .map(|layer| {
            json!({
                "name": layer["digest"],
                "size": layer["size"],
                "mediaType": layer["mediaType"],
            })
        })
        .collect();
    let size: i64 = layers
        .iter()
        .chain([&manifest["config"]])
        .filter_map(|part| part["size"].as_i64())
        .sum();
    let config = if config.is_empty() {
        Value::Null
    } else {
        parse("config", config)?
    };
    let id = manifest["config"]["digest"].as_str().unwrap_or_default();
    image["dockerImageMetadata"] = docker_image(&config, id, size);
    image["dockerImageLayers"] = json!(layers);
    Ok(image)
}

fn entries(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn hex_digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// `dockerImageMetadata`: what the config says, in the words of Docker's old API.
fn docker_image(config: &Value, id: &str, size: i64) -> Value {
    let mut image = json!({
        "kind": "DockerImage",
        "apiVersion": "image.openshift.io/1.0",
        "Id": id,
        "Created": config["created"],
        "ContainerConfig": known(&config["container_config"]),
    });
    for (field, from) in [
        ("DockerVersion", "docker_version"),
        ("Author", "author"),
        ("Architecture", "architecture"),
    ] {
        if config[from].is_string() {
            image[field] = config[from].clone();
        }
    }
    if config["config"].is_object() {
        image["Config"] = Value::Object(known(&config["config"]));
    }
    if size > 0 {
        image["Size"] = json!(size);
    }
    image
}

fn known(config: &Value) -> Map<String, Value> {
    config
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(field, value)| CONFIG_FIELDS.contains(&field.as_str()) && !value.is_null())
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest_of(bytes: &[u8]) -> String {
        format!("sha256:{}", hex_digest(bytes))
    }

    #[test]
    fn a_manifest_is_described_by_its_config() {
        let manifest = json!({
            "schemaVersion": 2,
            "config": {"digest": "sha256:c", "size": 100, "mediaType": "application/vnd.oci.image.config.v1+json"},
            "layers": [{"digest": "sha256:l", "size": 2000, "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"}],
        })
        .to_string();
        let config = json!({
            "created": "2026-01-01T00:00:00Z",
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/bin/sh"], "Labels": {"a": "b"}, "ArgsEscaped": true},
            "rootfs": {"type": "layers"},
        })
        .to_string();
        let digest = digest_of(manifest.as_bytes());
        let mut image = image_object(
            "registry.test/shop/web@sha256:m",
            &digest,
            MANIFESTS[1],
            manifest.as_bytes(),
            config.as_bytes(),
        )
        .unwrap();
        assert_eq!(image["metadata"]["name"], digest.as_str());
        image["metadata"]["name"] = json!("sha256:m");
        insta::assert_json_snapshot!(image, @r#"
        {
          "apiVersion": "image.openshift.io/v1",
          "dockerImageLayers": [
            {
              "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
              "name": "sha256:l",
              "size": 2000
            }
          ],
          "dockerImageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
          "dockerImageMetadata": {
            "Architecture": "amd64",
            "Config": {
              "Cmd": [
                "/bin/sh"
              ],
              "Labels": {
                "a": "b"
              }
            },
            "ContainerConfig": {},
            "Created": "2026-01-01T00:00:00Z",
            "Id": "sha256:c",
            "Size": 2100,
            "apiVersion": "image.openshift.io/1.0",
            "kind": "DockerImage"
          },
          "dockerImageMetadataVersion": "1.0",
          "dockerImageReference": "registry.test/shop/web@sha256:m",
          "kind": "Image",
          "metadata": {
            "annotations": {
              "image.openshift.io/dockerLayersOrder": "ascending"
            },
            "name": "sha256:m"
          }
        }
        "#);
    }

    #[test]
    fn an_index_names_its_images() {
        let index = json!({"schemaVersion": 2, "manifests": [
            {"digest": "sha256:a", "size": 5, "mediaType": MANIFESTS[1],
             "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
        ]})
        .to_string();
        let digest = digest_of(index.as_bytes());
        let image = image_object("r@d", &digest, INDEXES[1], index.as_bytes(), b"").unwrap();
        assert_eq!(
            image["dockerImageManifests"],
            json!([{"digest": "sha256:a", "mediaType": MANIFESTS[1], "manifestSize": 5,
                    "architecture": "arm64", "os": "linux", "variant": "v8"}])
        );
    }

    #[test]
    fn what_is_no_image_is_refused() {
        let refused = |digest: &str, media_type: &str, manifest: &[u8], config: &[u8]| {
            image_object("r@d", digest, media_type, manifest, config)
                .unwrap_err()
                .to_string()
        };
        let good = |bytes: &[u8]| digest_of(bytes);
        assert_eq!(
            refused("sha256:00", MANIFESTS[0], b"{}", b""),
            "the manifest has not the digest sha256:00"
        );
        assert_eq!(
            refused(&good(b"{}"), "text/html", b"{}", b""),
            "manifests of type \"text/html\" are not supported"
        );
        assert!(refused(&good(b"<"), MANIFESTS[0], b"<", b"").starts_with("the manifest of image"));
        assert!(
            refused(&good(b"{}"), MANIFESTS[0], b"{}", b"<").starts_with("the config of image")
        );
    }
}
