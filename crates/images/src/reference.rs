//! References to images, as workloads and people write them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use openshifter_objects::InternalImage;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Digest, ImagesError};

const DOCKER_HUB: &str = "docker.io";

/// A reference to an image: registry, repository, and a tag, a digest, or both.
///
/// What is left out is filled in as container runtimes do: `docker.io`, `library/`, and the tag `latest`.
///
/// ```
/// use openshifter_images::ImageReference;
/// let image: ImageReference = "python:3.11".parse()?;
/// assert_eq!(image.to_string(), "docker.io/library/python:3.11");
/// # Ok::<(), openshifter_images::ImagesError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl ImageReference {
    /// Names an image.
    ///
    /// # Errors
    /// When a part cannot be one.
    pub fn new(
        registry: &str,
        repository: &str,
        tag: Option<&str>,
        digest: Option<Digest>,
    ) -> Result<Self, ImagesError> {
        let text = format!("{registry}/{repository}");
        let fail = |reason: &'static str| ImagesError::BadReference {
            text: crate::words::shortened(&text, 200),
            reason: reason.to_owned(),
        };
        if !is_host(registry) {
            return Err(fail("its registry is no host name"));
        }
        if !is_repository(repository) {
            return Err(fail(
                "its repository may hold lower-case letters, digits, and single `.`, `_`, `-` and `/` between them",
            ));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(fail(
                "its tag may hold 128 letters, digits, `_`, `.` and `-`",
            ));
        }
        Ok(Self {
            registry: registry.to_ascii_lowercase(),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }

    /// The registry's host, with its port where one was written.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository: `shop/web`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same repository at this digest, without a tag.
    pub fn at(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }
}

impl FromStr for ImageReference {
    type Err = ImagesError;

    fn from_str(text: &str) -> Result<Self, ImagesError> {
        let text = text.trim();
        // A status names the runtime in front.
        let bare = ["docker-pullable://", "docker://"]
            .iter()
            .find_map(|prefix| text.strip_prefix(prefix))
            .unwrap_or(text);
        let fail = |reason: String| ImagesError::BadReference {
            text: crate::words::shortened(text, 200),
            reason,
        };
        if bare.is_empty() {
            return Err(fail("it is empty".to_owned()));
        }
        let (name, digest) = match bare.split_once('@') {
            Some((name, digest)) => {
                let digest = digest
                    .parse()
                    .map_err(|error: crate::BadDigest| fail(error.to_string()))?;
                (name, Some(digest))
            }
            None => (bare, None),
        };
        let (path, tag) = match name.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
            _ => (name, None),
        };
        let (registry, repository) = match path.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => {
                (host, rest.to_owned())
            }
            _ => (DOCKER_HUB, path.to_owned()),
        };
        let (registry, repository) = match registry {
            DOCKER_HUB | "index.docker.io" | "registry-1.docker.io"
                if !repository.contains('/') =>
            {
                (DOCKER_HUB, format!("library/{repository}"))
            }
            "index.docker.io" | "registry-1.docker.io" => (DOCKER_HUB, repository),
            other => (other, repository),
        };
        let tag = tag.or(if digest.is_none() {
            Some("latest")
        } else {
            None
        });
        Self::new(registry, &repository, tag, digest).map_err(|error| match error {
            ImagesError::BadReference { reason, .. } => fail(reason),
            other => other,
        })
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl Serialize for ImageReference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ImageReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !text.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let named = match name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
    {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !name.is_empty()
                && name.split('.').all(|label| {
                    !label.is_empty()
                        && !label.starts_with('-')
                        && label
                            .bytes()
                            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
                })
        }
    };
    named && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// Whether a repository's name is one that registries take. No such name leaves its place in a URL.
pub(crate) fn is_repository(text: &str) -> bool {
    let component = |text: &str| {
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let bytes = text.as_bytes();
        edge(bytes.first().copied())
            && edge(bytes.last().copied())
            && bytes.iter().all(|b| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-')
            })
            && !text.contains("..")
    };
    text.len() <= 255 && text.split('/').all(component)
}

pub(crate) fn is_tag(text: &str) -> bool {
    text.len() <= 128
        && text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// Tells a cluster's own registry from others, by the names that OpenShift's generations gave it and by those under
/// which this very cluster says that it is exposed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InternalRegistries {
    exposed: BTreeSet<String>,
    names: BTreeSet<String>,
}

impl InternalRegistries {
    /// Adds a host under which the cluster's registry is exposed, as `status.publicDockerImageRepository` of an
    /// ImageStream or a route names it.
    pub fn expose(&mut self, host: &str) {
        self.exposed.insert(host.to_ascii_lowercase());
    }

    /// Adds a name that the registry has within the cluster, as `status.dockerImageRepository` of an ImageStream tells.
    pub fn name(&mut self, host: &str) {
        self.names.insert(host.to_ascii_lowercase());
    }

    /// What the registry is called within the cluster: as an ImageStream told, else as OpenShift 4 calls it.
    pub(crate) fn internal_host(&self) -> &str {
        self.names.iter().next().map_or(
            "image-registry.openshift-image-registry.svc:5000",
            String::as_str,
        )
    }

    /// Hosts under which it is exposed.
    pub fn exposed(&self) -> impl Iterator<Item = &str> {
        self.exposed.iter().map(String::as_str)
    }

    /// Namespace and image stream, when the reference points into the cluster's registry.
    pub fn stream<'a>(&self, reference: &'a ImageReference) -> Option<(&'a str, &'a str)> {
        if !self.is_internal(&reference.registry) {
            return None;
        }
        let (namespace, stream) = reference.repository.split_once('/')?;
        (!stream.contains('/')).then_some((namespace, stream))
    }

    /// Whether a host is the cluster's own registry.
    ///
    /// The exposed hosts of other clusters look alike (`default-route-openshift-image-registry.apps.…`), so the names
    /// of routes count only when they were added, or when no host was: then the usual names of the two routes do.
    pub fn is_internal(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        if self.exposed.contains(&host) || self.names.contains(&host) {
            return true;
        }
        let with_port = if host.contains(':') {
            host.clone()
        } else {
            format!("{host}:5000")
        };
        if InternalImage::parse(&format!("{with_port}/n/s")).is_some() {
            return true;
        }
        // Within its own project a name may be shorter.
        if matches!(
            with_port.as_str(),
            "image-registry.openshift-image-registry:5000" | "docker-registry.default:5000"
        ) {
            return true;
        }
        self.exposed.is_empty()
            && [
                "default-route-openshift-image-registry.",
                "docker-registry-default.",
            ]
            .iter()
            .any(|route| host.starts_with(route))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match text.parse::<ImageReference>() {
            Ok(image) => image.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let digest = Digest::of(b"");
        for (text, full) in [
            ("python", "docker.io/library/python:latest"),
            ("grafana/loki:2", "docker.io/grafana/loki:2"),
            ("index.docker.io/python", "docker.io/library/python:latest"),
            ("localhost/a", "localhost/a:latest"),
            ("LOCALHOST:5000/a/b/c:x", "localhost:5000/a/b/c:x"),
            ("127.0.0.1:41/a", "127.0.0.1:41/a:latest"),
            ("[::1]:5000/a", "[::1]:5000/a:latest"),
        ] {
            assert_eq!(shown(text), full, "{text}");
        }
        assert_eq!(
            shown(&format!("docker-pullable://quay.io/a/b@{digest}")),
            format!("quay.io/a/b@{digest}")
        );
        assert_eq!(
            shown(&format!("quay.io/a/b:1@{digest}")),
            format!("quay.io/a/b:1@{digest}")
        );
    }

    #[test]
    fn what_is_no_reference_is_named() {
        let texts = [
            " ",
            "a b",
            "quay.io/A",
            "quay.io/../x",
            "quay.io/a:-",
            "quay.io/a@sha256:0",
            "a.b:99999/x",
        ];
        insta::assert_snapshot!(texts.map(shown).join("\n"), @r"
        `` is no image: it is empty
        `a b` is no image: its repository may hold lower-case letters, digits, and single `.`, `_`, `-` and `/` between them
        `quay.io/A` is no image: its repository may hold lower-case letters, digits, and single `.`, `_`, `-` and `/` between them
        `quay.io/../x` is no image: its repository may hold lower-case letters, digits, and single `.`, `_`, `-` and `/` between them
        `quay.io/a:-` is no image: its tag may hold 128 letters, digits, `_`, `.` and `-`
        `quay.io/a@sha256:0` is no image: `sha256:0` is no digest that can be verified: it has to be `sha256:` and 64 lower-case hexadecimal digits
        `a.b:99999/x` is no image: its registry is no host name
        ");
    }

    #[test]
    fn every_generation_of_the_internal_registry_is_known() {
        let known = InternalRegistries::default();
        let stream = |text: &str| {
            let image: ImageReference = text.parse().unwrap();
            known
                .stream(&image)
                .map(|(namespace, stream)| format!("{namespace}/{stream}"))
        };
        for host in [
            "172.30.1.1:5000",
            "docker-registry.default.svc:5000",
            "docker-registry.default.svc",
            "docker-registry.default.svc.cluster.local:5000",
            "image-registry.openshift-image-registry.svc:5000",
            "image-registry.openshift-image-registry.svc.cluster.local:5000",
            "default-route-openshift-image-registry.apps.example.com",
            "docker-registry-default.apps.example.com",
        ] {
            assert_eq!(
                stream(&format!("{host}/shop/web:1")).as_deref(),
                Some("shop/web"),
                "{host}"
            );
        }
        for text in [
            "quay.io/shop/web",
            "172.31.1.1:5000/a/b",
            "172.30.1.1:5001/a/b",
            "172.30.1.1:5000/a",
        ] {
            assert_eq!(stream(text), None, "{text}");
        }
    }

    #[test]
    fn the_route_of_another_cluster_is_external_once_ours_is_known() {
        let mut known = InternalRegistries::default();
        known.expose("Images.apps.here.example");
        assert!(known.is_internal("images.apps.here.example"));
        assert!(!known.is_internal("default-route-openshift-image-registry.apps.there.example"));
    }

    proptest::proptest! {
        #[test]
        fn a_reference_is_read_as_it_was_written(
            host in "[a-z0-9]{1,8}\\.[a-z]{2,3}(:[1-9][0-9]{1,3})?", path in "[a-z0-9]{1,9}(/[a-z0-9]{1,9}(-[a-z0-9]{1,3})?){0,3}",
            tag in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"), hashed: bool,
        ) {
            let digest = (hashed || tag.is_none()).then(|| Digest::of(path.as_bytes()));
            let image = ImageReference::new(&host, &path, tag.as_deref(), digest).unwrap();
            proptest::prop_assert_eq!(image.to_string().parse::<ImageReference>().unwrap(), image);
        }

        /// References come from charts that anybody may have written.
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,60}") {
            let _ = text.parse::<ImageReference>();
        }
    }
}
