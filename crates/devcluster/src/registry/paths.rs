//! What a request's path means.

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `/v2/`: whether this is a registry, and whether one is logged in.
    Base,
    /// Names of all repositories.
    Catalog,
    /// Where tokens are had.
    Token,
    /// Whether it is alive.
    Health,
    /// Tags of a repository.
    Tags(Name),
    /// A manifest by tag or digest.
    Manifest(Name, String),
    /// A blob by digest.
    Blob(Name, String),
    /// Where uploads begin.
    Uploads(Name),
    /// An upload by its id.
    Upload(Name, String),
}

/// A repository: project and image stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) namespace: String,
    pub(super) stream: String,
}

/// Why a path means nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Nowhere {
    /// Nothing is there.
    Unknown,
    /// A repository that is not `project/name`.
    Name(String),
}

impl Name {
    /// `project/name`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (namespace, stream) = text.split_once('/')?;
        (is_name(namespace) && is_name(stream)).then(|| Self {
            namespace: namespace.to_owned(),
            stream: stream.to_owned(),
        })
    }

    /// `project/name`.
    pub(super) fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.stream)
    }
}

/// A component of a repository's name: lower case, digits, and separators between them.
fn is_name(part: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    part.len() <= 253
        && part.bytes().next().is_some_and(inner)
        && part.bytes().last().is_some_and(inner)
        && part
            .bytes()
            .all(|b| inner(b) || matches!(b, b'-' | b'_' | b'.'))
        && !part.contains("..")
}

/// Whether it can be a tag.
pub(super) fn is_tag(text: &str) -> bool {
    let first = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(first)
        && text.bytes().all(|b| first(b) || matches!(b, b'.' | b'-'))
}

/// Reads a path.
pub(super) fn place(path: &str) -> Result<Place, Nowhere> {
    match path {
        "/v2" | "/v2/" => return Ok(Place::Base),
        "/v2/_catalog" => return Ok(Place::Catalog),
        "/openshift/token" | "/openshift/token/" => return Ok(Place::Token),
        "/" | "/healthz" => return Ok(Place::Health),
        _ => {}
    }
    let rest = path.strip_prefix("/v2/").ok_or(Nowhere::Unknown)?;
    let named = |name: &str| Name::parse(name).ok_or_else(|| Nowhere::Name(name.to_owned()));
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return Ok(Place::Tags(named(name)?));
    }
    // The last of them counts: a repository may be called like one of these words.
    if let Some((name, id)) = rest.rsplit_once("/blobs/uploads/") {
        return Ok(if id.is_empty() {
            Place::Uploads(named(name)?)
        } else {
            Place::Upload(named(name)?, id.to_owned())
        });
    }
    if let Some(name) = rest.strip_suffix("/blobs/uploads") {
        return Ok(Place::Uploads(named(name)?));
    }
    if let Some((name, digest)) = rest.rsplit_once("/blobs/") {
        return Ok(Place::Blob(named(name)?, digest.to_owned()));
    }
    if let Some((name, reference)) = rest.rsplit_once("/manifests/") {
        return Ok(Place::Manifest(named(name)?, reference.to_owned()));
    }
    Err(Nowhere::Unknown)
}

/// The values of one parameter of a query; percent signs are decoded.
pub(super) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    query?
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| decode(value))
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = bytes
            .get(at + 1..at + 3)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                out.push(code);
                at += 3;
            }
            (b'+', _) => {
                out.push(b' ');
                at += 1;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read() {
        let name = || Name::parse("shop/web").unwrap();
        assert_eq!(place("/v2/"), Ok(Place::Base));
        assert_eq!(place("/v2/shop/web/tags/list"), Ok(Place::Tags(name())));
        assert_eq!(
            place("/v2/shop/web/manifests/latest"),
            Ok(Place::Manifest(name(), "latest".into()))
        );
        assert_eq!(
            place("/v2/shop/web/blobs/sha256:1"),
            Ok(Place::Blob(name(), "sha256:1".into()))
        );
        assert_eq!(
            place("/v2/shop/web/blobs/uploads/"),
            Ok(Place::Uploads(name()))
        );
        assert_eq!(
            place("/v2/shop/web/blobs/uploads/1f"),
            Ok(Place::Upload(name(), "1f".into()))
        );
        // A repository may be called like a word of the protocol.
        assert_eq!(
            place("/v2/blobs/manifests/manifests/latest"),
            Ok(Place::Manifest(
                Name::parse("blobs/manifests").unwrap(),
                "latest".into()
            ))
        );
        assert_eq!(place("/v1/x"), Err(Nowhere::Unknown));
        for bad in ["web", "a/b/c", "../web", "shop/..", "Shop/web", "shop/"] {
            assert!(
                matches!(
                    place(&format!("/v2/{bad}/manifests/latest")),
                    Err(Nowhere::Name(_))
                ),
                "{bad}"
            );
        }
    }

    #[test]
    fn queries_are_decoded() {
        let query = Some("mount=sha256%3Aab&from=shop%2Fweb");
        assert_eq!(parameter(query, "mount").as_deref(), Some("sha256:ab"));
        assert_eq!(parameter(query, "from").as_deref(), Some("shop/web"));
        assert_eq!(parameter(query, "n"), None);
        assert_eq!(parameter(Some("a=%zz%4"), "a").as_deref(), Some("%zz%4"));
    }
}
