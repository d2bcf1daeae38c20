//! References to container images, parsed, never searched as text.

use std::fmt;

/// An image reference that points into the registry built into an OpenShift cluster.
///
/// The registry keeps a repository `<namespace>/<image stream>` for each image stream, so such a
/// reference names a namespace of its own cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InternalImage {
    /// The registry, with its port: `image-registry.openshift-image-registry.svc:5000`.
    pub registry: String,
    /// The namespace of the image stream.
    pub namespace: String,
    /// The image stream.
    pub stream: String,
    /// `:tag`, `@digest`, both, or nothing, as it was written.
    pub suffix: String,
}

impl InternalImage {
    /// Reads a reference; `None` when it points anywhere else.
    ///
    /// Known are the names and addresses that the generations of OpenShift gave their registry:
    /// `172.30.x.y:5000` (the default service network; OpenShift 3, Minishift),
    /// `docker-registry.default.svc:5000` (3.x) and
    /// `image-registry.openshift-image-registry.svc:5000` (4.x), the last two also with `.cluster.local`.
    ///
    /// ```
    /// use openshifter_objects::InternalImage;
    /// let image = InternalImage::parse("172.30.1.1:5000/shop/web:1").expect("an internal image");
    /// assert_eq!((image.namespace.as_str(), image.stream.as_str()), ("shop", "web"));
    /// assert_eq!(InternalImage::parse("registry.example.com/shop/web:1"), None);
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let (registry, repository) = text.split_once('/')?;
        if !is_internal_registry(registry) {
            return None;
        }
        let (namespace, rest) = repository.split_once('/')?;
        let end = rest.find([':', '@']).unwrap_or(rest.len());
        let (stream, suffix) = rest.split_at(end);
        let named = |part: &str| !part.is_empty() && !part.contains('/');
        (named(namespace) && named(stream)).then(|| Self {
            registry: registry.to_owned(),
            namespace: namespace.to_owned(),
            stream: stream.to_owned(),
            suffix: suffix.to_owned(),
        })
    }
}

impl fmt::Display for InternalImage {
    /// Writes the reference as it was read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}/{}{}",
            self.registry, self.namespace, self.stream, self.suffix
        )
    }
}

fn is_internal_registry(host: &str) -> bool {
    let Some(name) = host.strip_suffix(":5000") else {
        return false;
    };
    let name = name.strip_suffix(".cluster.local").unwrap_or(name);
    if matches!(
        name,
        "docker-registry.default.svc" | "image-registry.openshift-image-registry.svc"
    ) {
        return true;
    }
    name.parse::<std::net::Ipv4Addr>()
        .is_ok_and(|address| address.octets()[..2] == [172, 30])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generation_of_the_registry_is_known() {
        for text in [
            "172.30.1.1:5000/shop/web",
            "172.30.254.17:5000/shop/web:latest",
            "docker-registry.default.svc:5000/shop/web@sha256:00",
            "docker-registry.default.svc.cluster.local:5000/shop/web",
            "image-registry.openshift-image-registry.svc:5000/shop/web:1@sha256:00",
        ] {
            let image = InternalImage::parse(text).unwrap();
            assert_eq!(
                (image.namespace.as_str(), image.stream.as_str()),
                ("shop", "web")
            );
            assert_eq!(image.to_string(), text);
        }
    }

    #[test]
    fn what_only_looks_like_it_is_not() {
        for text in [
            "shop/web:1",
            "172.31.1.1:5000/shop/web",
            "172.30.1.1:5001/shop/web",
            "my-docker-registry.default.svc:5000/shop/web",
            "172.30.1.1:5000/web",
            "172.30.1.1:5000/shop/team/web",
            "172.30.1.1:5000//web",
            "172.30.1.1:5000/shop/:1",
            "",
        ] {
            assert_eq!(InternalImage::parse(text), None, "{text}");
        }
    }
}
