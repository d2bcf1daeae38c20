//! Manifests: read for what they point to, kept as the bytes that their digest covers.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::media::{self, ManifestKind};
use crate::{Digest, ImagesError};

/// Longest manifest that is read; registries take no longer ones.
pub(crate) const LIMIT: usize = 4 << 20;

/// What points to a manifest or a blob.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type.
    pub media_type: String,
    /// The digest of the bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

/// What a machine must be to run an image: `linux/amd64`, `linux/arm64/v8`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Platform {
    /// Whether an image for `other` is meant: a variant that was not named may be any.
    fn accepts(&self, other: &Self) -> bool {
        self.os == other.os
            && self.architecture == other.architecture
            && (self.variant.is_none() || self.variant == other.variant)
    }
}

impl FromStr for Platform {
    type Err = ImagesError;

    fn from_str(text: &str) -> Result<Self, ImagesError> {
        let parts: Vec<&str> = text.trim().split('/').collect();
        let fine = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        match parts.as_slice() {
            [os, architecture, rest @ ..] if rest.len() <= 1 && parts.iter().all(fine) => {
                Ok(Self {
                    os: (*os).to_owned(),
                    architecture: (*architecture).to_owned(),
                    variant: rest.first().map(|variant| (*variant).to_owned()),
                })
            }
            _ => Err(ImagesError::BadPlatform {
                text: crate::words::shortened(text, 80),
            }),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// Which images of a multi-platform index are copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Platforms {
    /// All, so that the index keeps its digest.
    #[default]
    All,
    /// One. The image for it is copied without the index, so the digest is that of this image.
    One(Platform),
    /// The first of these that there is.
    FirstOf(Vec<Platform>),
}

impl Platforms {
    /// Those that were asked for, the best first; none where all are copied.
    pub(crate) fn wanted(&self) -> &[Platform] {
        match self {
            Self::All => &[],
            Self::One(platform) => std::slice::from_ref(platform),
            Self::FirstOf(platforms) => platforms,
        }
    }
}

/// One entry of an index.
#[derive(Debug, Clone)]
pub(crate) struct IndexEntry {
    pub(crate) descriptor: Descriptor,
    pub(crate) platform: Option<Platform>,
    /// A statement about another entry (provenance, bill of materials) and no image that runs.
    pub(crate) attestation: bool,
}

/// A manifest with the bytes that its digest covers.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    pub(crate) descriptor: Descriptor,
    pub(crate) bytes: Bytes,
    pub(crate) content: Content,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// Configuration first, then layers from the lowest up.
    Image(Vec<Descriptor>),
    Index(Vec<IndexEntry>),
}

impl Manifest {
    /// Reads a manifest. `said` is the media type that came with it; what the manifest says of itself has to agree.
    pub(crate) fn read(
        image: &str,
        said: Option<&str>,
        bytes: Bytes,
        attestation: bool,
    ) -> Result<Self, ImagesError> {
        let bad = |reason: String| ImagesError::BadManifest {
            image: image.to_owned(),
            reason,
        };
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        let own = value.get("mediaType").and_then(Value::as_str);
        let said = said
            .map(media::essence)
            .filter(|said| said.starts_with("application/vnd."));
        let media_type = match (own, said) {
            (Some(own), Some(said)) if own != said => {
                return Err(bad(format!(
                    "it came as `{}` and calls itself `{}`",
                    crate::words::shortened(said, 100),
                    crate::words::shortened(own, 100)
                )));
            }
            (Some(either), _) | (None, Some(either)) => either.to_owned(),
            // OCI made the field optional.
            (None, None) if value.get("manifests").is_some_and(Value::is_array) => {
                media::OCI_INDEX.to_owned()
            }
            (None, None) if value.get("layers").is_some_and(Value::is_array) => {
                media::OCI_MANIFEST.to_owned()
            }
            (None, None) if value["schemaVersion"] == 1 => {
                "application/vnd.docker.distribution.manifest.v1+json".to_owned()
            }
            (None, None) => "unknown".to_owned(),
        };
        let Some(kind) = media::manifest_kind(&media_type) else {
            return Err(ImagesError::UnsupportedManifest {
                image: image.to_owned(),
                media_type: crate::words::shortened(&media_type, 100),
            });
        };
        if value["schemaVersion"] != 2 {
            return Err(bad("its schemaVersion is not 2".to_owned()));
        }
        let content = match kind {
            ManifestKind::Image => Content::Image(parts(image, &value, attestation)?),
            ManifestKind::Index => {
                let entries = value.get("manifests").and_then(Value::as_array);
                let entries = entries.ok_or_else(|| bad("it lists no manifests".to_owned()))?;
                Content::Index(
                    entries
                        .iter()
                        .map(|entry| index_entry(entry).map_err(&bad))
                        .collect::<Result<_, _>>()?,
                )
            }
        };
        Ok(Self {
            descriptor: Descriptor {
                media_type,
                digest: Digest::of(&bytes),
                size: bytes.len() as u64,
            },
            bytes,
            content,
        })
    }
}

fn descriptor(value: &Value) -> Result<Descriptor, String> {
    let descriptor: Descriptor =
        serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
    // Offsets are signed in some servers, and nobody has blobs of this size.
    if descriptor.size > i64::MAX as u64 {
        return Err(format!("{} cannot be that large", descriptor.digest));
    }
    Ok(descriptor)
}

fn index_entry(value: &Value) -> Result<IndexEntry, String> {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    Ok(IndexEntry {
        descriptor: descriptor(value)?,
        platform: platform(&value["platform"]),
        attestation: text("/annotations/vnd.docker.reference.type") == Some("attestation-manifest"),
    })
}

fn parts(image: &str, value: &Value, attestation: bool) -> Result<Vec<Descriptor>, ImagesError> {
    let bad = |reason: String| ImagesError::BadManifest {
        image: image.to_owned(),
        reason,
    };
    let unsupported = |part: &Descriptor| ImagesError::UnsupportedPart {
        image: image.to_owned(),
        media_type: crate::words::shortened(&part.media_type, 100),
        digest: part.digest,
    };
    let config = descriptor(&value["config"]).map_err(bad)?;
    if !attestation && !media::is_config(&config.media_type) {
        return Err(unsupported(&config));
    }
    let mut parts = vec![config];
    for layer in value
        .get("layers")
        .and_then(Value::as_array)
        .ok_or_else(|| bad("it lists no layers".to_owned()))?
    {
        let elsewhere = layer
            .get("urls")
            .and_then(Value::as_array)
            .is_some_and(|urls| !urls.is_empty());
        let layer = descriptor(layer).map_err(bad)?;
        if elsewhere || media::is_foreign(&layer.media_type) {
            return Err(ImagesError::ForeignLayer {
                image: image.to_owned(),
                media_type: crate::words::shortened(&layer.media_type, 100),
                digest: layer.digest,
            });
        }
        if !attestation && !media::is_layer(&layer.media_type) {
            return Err(unsupported(&layer));
        }
        parts.push(layer);
    }
    Ok(parts)
}

/// The entry for the first of these platforms that there is.
pub(crate) fn choose<'a>(
    image: &str,
    entries: &'a [IndexEntry],
    wanted: &[Platform],
) -> Result<&'a IndexEntry, ImagesError> {
    let running = || entries.iter().filter(|entry| !entry.attestation);
    wanted
        .iter()
        .find_map(|wanted| {
            running().find(|entry| {
                entry
                    .platform
                    .as_ref()
                    .is_some_and(|one| wanted.accepts(one))
            })
        })
        .ok_or_else(|| {
            let available = running().map(|entry| entry.platform.as_ref());
            no_platform(image, wanted, available)
        })
}

/// Looks whether an image that has no index is made for one of these platforms, as its configuration says.
pub(crate) fn check_platform(
    image: &str,
    config: &[u8],
    wanted: &[Platform],
) -> Result<(), ImagesError> {
    let value: Value =
        serde_json::from_slice(config).map_err(|error| ImagesError::BadManifest {
            image: image.to_owned(),
            reason: format!("its configuration: {error}"),
        })?;
    let platform = platform(&value);
    let accepted = platform
        .as_ref()
        .is_some_and(|made_for| wanted.iter().any(|wanted| wanted.accepts(made_for)));
    if accepted {
        return Ok(());
    }
    Err(no_platform(image, wanted, [platform.as_ref()]))
}

fn no_platform<'a>(
    image: &str,
    wanted: &[Platform],
    available: impl IntoIterator<Item = Option<&'a Platform>>,
) -> ImagesError {
    let wanted: Vec<String> = wanted.iter().map(Platform::to_string).collect();
    ImagesError::NoPlatform {
        image: image.to_owned(),
        platform: wanted.join(" or "),
        available: available
            .into_iter()
            .map(|one| one.map_or("no platform".to_owned(), Platform::to_string))
            .collect(),
    }
}

/// The platform that an index's entry or a configuration names.
fn platform(value: &Value) -> Option<Platform> {
    let text = |key: &str| value[key].as_str().filter(|text| !text.is_empty());
    Some(Platform {
        os: text("os")?.to_owned(),
        architecture: text("architecture")?.to_owned(),
        variant: text("variant").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(said: Option<&str>, value: &Value) -> Result<Manifest, ImagesError> {
        Manifest::read("quay.io/a/b:1", said, Bytes::from(value.to_string()), false)
    }

    fn image(layer: &Value) -> Value {
        json!({"schemaVersion": 2, "mediaType": media::OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(b"c"), "size": 1},
            "layers": [layer]})
    }

    fn layer(media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": Digest::of(b"l"), "size": 1})
    }

    #[test]
    fn what_cannot_be_copied_is_refused_by_name() {
        let mut with_urls = layer("application/vnd.oci.image.layer.v1.tar+gzip");
        with_urls["urls"] = json!(["https://elsewhere.example/layer"]);
        let mut other_config = image(&layer("application/vnd.oci.image.layer.v1.tar"));
        other_config["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json".into();
        let cases = [
            json!({"schemaVersion": 1, "name": "a", "fsLayers": []}),
            json!({"schemaVersion": 2, "mediaType": "application/vnd.example+json"}),
            image(&layer(
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            )),
            image(&layer(
                "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
            )),
            image(&with_urls),
            image(&layer("application/vnd.wasm.content.layer.v1+wasm")),
            other_config,
            image(&json!({"mediaType": "x", "digest": "sha256:0", "size": 1})),
            json!([]),
        ];
        let shown: Vec<String> = cases
            .iter()
            .map(|value| read(None, value).unwrap_err().to_string())
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn types_that_disagree_are_refused() {
        let value = image(&layer("application/vnd.oci.image.layer.v1.tar+zstd"));
        assert!(matches!(
            read(Some(media::OCI_INDEX), &value),
            Err(ImagesError::BadManifest { .. })
        ));
        let manifest = read(
            Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8"),
            &value,
        )
        .unwrap();
        assert_eq!(
            manifest.descriptor.digest,
            Digest::of(value.to_string().as_bytes())
        );
    }

    #[test]
    fn a_platform_is_chosen_by_what_was_asked() {
        let entry = |architecture: &str, variant: Option<&str>| {
            let mut value = json!({"mediaType": media::OCI_MANIFEST, "digest": Digest::of(architecture.as_bytes()), "size": 1,
                "platform": {"os": "linux", "architecture": architecture}});
            if let Some(variant) = variant {
                value["platform"]["variant"] = variant.into();
            }
            value
        };
        let value = json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX,
            "manifests": [entry("amd64", None), entry("arm64", Some("v8"))]});
        let Content::Index(entries) = read(None, &value).unwrap().content else {
            panic!("an index");
        };
        let chosen = |text: &str| {
            choose("a:1", &entries, &[text.parse().unwrap()]).map(|entry| entry.descriptor.digest)
        };
        assert_eq!(chosen("linux/arm64").unwrap(), Digest::of(b"arm64"));
        assert_eq!(chosen("linux/arm64/v8").unwrap(), Digest::of(b"arm64"));
        assert_eq!(
            chosen("linux/s390x").unwrap_err().to_string(),
            "the image a:1 is not there for linux/s390x, only for linux/amd64, linux/arm64/v8"
        );
        assert!("linux".parse::<Platform>().is_err());
        assert!("linux/a/b/c".parse::<Platform>().is_err());
    }
}
