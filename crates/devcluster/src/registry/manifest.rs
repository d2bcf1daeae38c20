//! Manifests: what they are, and what they refer to.

use serde::Deserialize;

use super::digest::Digest;

/// OCI image manifest.
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker manifest, schema 2.
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// OCI image configuration.
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// A layer of an OCI image, compressed with gzip.
pub(crate) const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Manifests are at most this long, as the protocol recommends.
pub(crate) const MAX_MANIFEST: usize = 4 << 20;

/// Content that a manifest refers to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    /// Where else its bytes are, for a layer that registries do not hold.
    #[serde(default)]
    pub(crate) urls: Vec<String>,
    /// What it runs on, for an image of an index.
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

/// A manifest of a kind that is kept here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Manifest {
    /// One image.
    Image {
        config: Descriptor,
        layers: Vec<Descriptor>,
    },
    /// One image for each platform.
    Index { manifests: Vec<Descriptor> },
}

/// Why something is no manifest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    /// Not JSON, or not of its type's form.
    #[error("it is not a manifest of its type")]
    Form(#[from] serde_json::Error),
    /// A type that is not kept here.
    #[error("manifests of type {0:?} are not supported: OCI and Docker schema 2 are")]
    Type(String),
    /// Header and content contradict each other.
    #[error("it says that it is {inside:?} and was sent as {sent:?}")]
    Contradiction {
        /// Its own `mediaType`.
        inside: String,
        /// The header.
        sent: String,
    },
    /// A reference that is none.
    #[error(transparent)]
    Digest(#[from] super::digest::NoDigest),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Form {
    schema_version: u8,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Option<Vec<Descriptor>>,
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
}

impl Descriptor {
    /// Its digest.
    pub(crate) fn digest(&self) -> Result<Digest, super::digest::NoDigest> {
        self.digest.parse()
    }

    /// Whether it is an image for this platform.
    pub(crate) fn is_for(&self, os: &str, architecture: &str) -> bool {
        self.platform
            .as_ref()
            .is_some_and(|platform| platform.os == os && platform.architecture == architecture)
    }

    /// Whether registries need not hold it.
    pub(crate) fn is_foreign(&self) -> bool {
        !self.urls.is_empty()
            || self.media_type.contains("nondistributable")
            || self.media_type.contains(".foreign.")
    }
}

impl Manifest {
    /// Reads a manifest; its type is the header's, or what it says of itself.
    pub(crate) fn parse(bytes: &[u8], sent_as: &str) -> Result<(Self, String), ManifestError> {
        let form: Form = serde_json::from_slice(bytes)?;
        let inside = form.media_type.unwrap_or_default();
        if !inside.is_empty() && !sent_as.is_empty() && inside != sent_as {
            return Err(ManifestError::Contradiction {
                inside,
                sent: sent_as.to_owned(),
            });
        }
        let media_type = match (sent_as, inside.as_str()) {
            ("" | "application/json", "") if form.manifests.is_some() => OCI_INDEX,
            ("" | "application/json", "") => OCI_MANIFEST,
            ("", inside) => inside,
            (sent, _) => sent,
        };
        let manifest = match (media_type, form.schema_version) {
            (OCI_MANIFEST | DOCKER_MANIFEST, 2) => match (form.config, form.layers) {
                (Some(config), Some(layers)) => Self::Image { config, layers },
                _ => return Err(missing("config or layers")),
            },
            (OCI_INDEX | DOCKER_LIST, 2) => match form.manifests {
                Some(manifests) => Self::Index { manifests },
                None => return Err(missing("manifests")),
            },
            _ => return Err(ManifestError::Type(media_type.to_owned())),
        };
        for descriptor in manifest.references() {
            descriptor.digest()?;
        }
        Ok((manifest, media_type.to_owned()))
    }

    /// Everything that it refers to.
    pub(crate) fn references(&self) -> Vec<&Descriptor> {
        match self {
            Self::Image { config, layers } => std::iter::once(config).chain(layers).collect(),
            Self::Index { manifests } => manifests.iter().collect(),
        }
    }
}

fn missing(what: &str) -> ManifestError {
    serde::de::Error::custom(format!("it has no {what}"))
}

impl serde::de::Error for ManifestError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Form(serde::de::Error::custom(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn descriptor(of: &str) -> serde_json::Value {
        json!({"mediaType": "x", "digest": Digest::of(of.as_bytes()).as_str(), "size": 1})
    }

    #[test]
    fn both_families_are_read_and_others_refused() {
        let parse = |value: serde_json::Value, sent: &str| {
            Manifest::parse(value.to_string().as_bytes(), sent)
                .map(|(manifest, kind)| (manifest.references().len(), kind))
                .map_err(|error| error.to_string())
        };
        let image =
            json!({"schemaVersion": 2, "config": descriptor("c"), "layers": [descriptor("l")]});
        assert_eq!(
            parse(image.clone(), OCI_MANIFEST),
            Ok((2, OCI_MANIFEST.to_owned()))
        );
        assert_eq!(
            parse(image.clone(), DOCKER_MANIFEST),
            Ok((2, DOCKER_MANIFEST.to_owned()))
        );
        assert_eq!(parse(image.clone(), ""), Ok((2, OCI_MANIFEST.to_owned())));
        let list =
            json!({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [descriptor("m")]});
        assert_eq!(
            parse(list.clone(), DOCKER_LIST),
            Ok((1, DOCKER_LIST.to_owned()))
        );
        insta::assert_snapshot!(parse(list, OCI_INDEX).unwrap_err(), @r#"it says that it is "application/vnd.docker.distribution.manifest.list.v2+json" and was sent as "application/vnd.oci.image.index.v1+json""#);
        insta::assert_snapshot!(parse(image, "application/vnd.docker.distribution.manifest.v1+prettyjws").unwrap_err(), @r#"manifests of type "application/vnd.docker.distribution.manifest.v1+prettyjws" are not supported: OCI and Docker schema 2 are"#);
        assert!(parse(json!({"schemaVersion": 2, "layers": []}), OCI_MANIFEST).is_err());
        let bad = json!({"schemaVersion": 2, "config": {"digest": "sha256:../x", "size": 1}, "layers": []});
        assert!(parse(bad, OCI_MANIFEST).is_err());
    }
}
