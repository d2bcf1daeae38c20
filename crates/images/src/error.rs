//! What can go wrong with images, in words for the person who asked.

use std::io;
use std::path::PathBuf;

use crate::Digest;

/// Why an image could not be inventoried, decided about, or copied.
///
/// The text names the registry, the image and the part; [`ImagesError::hint`] says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImagesError {
    /// Text that is no reference to an image.
    #[error("`{text}` is no image: {reason}")]
    BadReference {
        /// What was read, shortened.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A choice that cannot be understood.
    #[error("`{text}` says nothing about images: {reason}")]
    BadChoice {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An address of a registry that cannot be one.
    #[error("`{text}` is no address of a registry: {reason}")]
    BadRegistry {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The registry, or what it points to, speaks plain http, and nobody gave leave for that.
    #[error("{registry}: plain http would show credentials and images to the network ({url})")]
    PlainHttp {
        /// The registry.
        registry: String,
        /// The address, without a query.
        url: String,
    },
    /// The certificate was not believed.
    #[error("{registry}: its certificate is not trusted: {reason}")]
    Untrusted {
        /// The registry.
        registry: String,
        /// What verification said.
        reason: String,
    },
    /// No connection came about.
    #[error("{registry}: cannot be reached: {reason}")]
    Unreachable {
        /// The registry.
        registry: String,
        /// What the system said.
        reason: String,
    },
    /// The connection broke, or nothing came in time, and trying again did not help.
    #[error("{registry}: no answer when trying to {action}: {reason}")]
    Lost {
        /// The registry.
        registry: String,
        /// What was tried.
        action: String,
        /// What happened.
        reason: String,
    },
    /// The registry does not take the credentials, or wants some.
    #[error("{registry}: cannot {action}: {}", credentials_text(*.had_credentials, .detail))]
    Unauthorized {
        /// The registry.
        registry: String,
        /// What was tried.
        action: String,
        /// Whether credentials were sent.
        had_credentials: bool,
        /// What the registry said.
        detail: String,
    },
    /// The registry knows who we are and does not let us.
    #[error("{registry}: may not {action}: {detail}")]
    Denied {
        /// The registry.
        registry: String,
        /// What was tried.
        action: String,
        /// What the registry said.
        detail: String,
    },
    /// The registry has no room left.
    #[error("{registry}: no room left to {action}: {detail}")]
    Full {
        /// The registry.
        registry: String,
        /// What was tried.
        action: String,
        /// What the registry said.
        detail: String,
    },
    /// Any other error answer.
    #[error("{registry}: cannot {action}: {detail} ({status})")]
    Refused {
        /// The registry.
        registry: String,
        /// What was tried.
        action: String,
        /// HTTP status.
        status: u16,
        /// What the registry said.
        detail: String,
    },
    /// An answer that makes no sense.
    #[error("{registry}: the answer when trying to {action} makes no sense: {reason}")]
    BadAnswer {
        /// The registry.
        registry: String,
        /// What was tried.
        action: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The image is not in the registry (any more).
    #[error("the image {image} is not there")]
    ImageGone {
        /// The image, or the manifest within it.
        image: String,
    },
    /// A tag names another image than the plan saw.
    #[error("the tag of {image} has moved: it was {planned} in the plan and is {now} now")]
    TagMoved {
        /// The image by its tag.
        image: String,
        /// What the plan says.
        planned: Digest,
        /// What the registry says.
        now: Digest,
    },
    /// A manifest of a kind that cannot be copied byte by byte.
    #[error("the image {image} cannot be copied: its manifest is of type `{media_type}`{}", if .media_type.contains("manifest.v1+") { " (schema 1, whose digest covers no bytes that can be kept)" } else { "" })]
    UnsupportedManifest {
        /// The image.
        image: String,
        /// Its media type.
        media_type: String,
    },
    /// A configuration or layer that is no part of a container image.
    #[error("the image {image} cannot be copied: its part {digest} is of type `{media_type}`")]
    UnsupportedPart {
        /// The image.
        image: String,
        /// The part's media type.
        media_type: String,
        /// The part.
        digest: Digest,
    },
    /// A layer that the registry does not hold and whose licence forbids to hand it on.
    #[error(
        "the image {image} cannot be copied: its layer {digest} is foreign (`{media_type}`): it lies outside of the registry and may not be handed on"
    )]
    ForeignLayer {
        /// The image.
        image: String,
        /// The layer's media type.
        media_type: String,
        /// The layer.
        digest: Digest,
    },
    /// A manifest that cannot be read.
    #[error("the image {image} cannot be copied: its manifest makes no sense: {reason}")]
    BadManifest {
        /// The image.
        image: String,
        /// What is wrong.
        reason: String,
    },
    /// The image is not made for the platform that was asked for.
    #[error("the image {image} is not there for {platform}, only for {}", .available.join(", "))]
    NoPlatform {
        /// The image.
        image: String,
        /// What was asked for.
        platform: String,
        /// What there is.
        available: Vec<String>,
    },
    /// Text that names no platform.
    #[error("`{text}` is no platform: write it as `linux/amd64` or `linux/arm64/v8`")]
    BadPlatform {
        /// What was given.
        text: String,
    },
    /// A layer or configuration that the manifest names is missing.
    #[error("{place}: the blob {digest} of {image} is missing")]
    BlobGone {
        /// The registry or folder.
        place: String,
        /// The image.
        image: String,
        /// The blob.
        digest: Digest,
    },
    /// Bytes that are not what their name says.
    #[error("{place}: {what} is damaged: its bytes have the digest {actual}, not {expected}")]
    WrongDigest {
        /// The registry or folder.
        place: String,
        /// What was read.
        what: String,
        /// What it should have been.
        expected: Digest,
        /// What it is.
        actual: Digest,
    },
    /// A length that is not what the manifest says.
    #[error("{place}: {what} is damaged: it has {actual} bytes, not {expected}")]
    WrongSize {
        /// The registry or folder.
        place: String,
        /// What was read.
        what: String,
        /// What it should have been.
        expected: u64,
        /// What it is, or more than that.
        actual: u64,
    },
    /// A file of an image layout could not be read or written.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried, as in `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A folder that is no OCI image layout.
    #[error("{} is no OCI image layout: {reason}", .path.display())]
    BadLayout {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The layout holds no image of that name.
    #[error("{} holds no image `{name}`", .path.display())]
    NotInLayout {
        /// The layout's folder.
        path: PathBuf,
        /// What was asked for.
        name: String,
    },
    /// The cluster's own registry cannot be found or reached.
    #[error("{cluster}: there is no way to its registry: {reason}")]
    NoWay {
        /// The cluster.
        cluster: String,
        /// Each way that was tried, and why it is none.
        reason: String,
    },
    /// The cluster could not be asked.
    #[error(transparent)]
    Cluster(#[from] openshifter_cluster::ClusterError),
}

fn credentials_text(had: bool, detail: &str) -> String {
    let start = if had {
        "the credentials are not accepted"
    } else {
        "it wants credentials"
    };
    if detail.is_empty() {
        start.to_owned()
    } else {
        format!("{start}: {detail}")
    }
}

impl ImagesError {
    /// What to do next, where there is something sensible to say.
    pub fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::PlainHttp { .. } => "allow plain http for this registry if the network is yours alone",
                Self::Untrusted { .. } => "give the CA that signed it, or accept any certificate of this registry",
                Self::Unreachable { .. } => "check the address and the network, or use another way to the registry",
                Self::Lost { .. } => "run it again: what has arrived is kept and not copied twice",
                Self::Unauthorized { .. } => "log in again, or give credentials for this registry",
                Self::Denied { .. } => {
                    "on OpenShift reading needs the role `system:image-puller` in the project, writing `system:image-builder`"
                }
                Self::Full { .. } => "make room (prune old images, or give the registry more storage), then run it again",
                Self::Refused { status: 500.., .. } => {
                    "the registry is in trouble: its storage may be full; ask its administrator if it stays"
                }
                Self::ImageGone { .. } | Self::BlobGone { .. } => {
                    "push it again at the source, rebuild it at the target, or map it to an image that exists"
                }
                Self::TagMoved { .. } => {
                    "make the plan again, to see what is to be copied now; where pods still run the former image, restart them first, or leave the image where it is (`--images external`)"
                }
                Self::UnsupportedManifest { .. } => "push it again with a tool of this decade, which makes schema 2",
                Self::ForeignLayer { .. } | Self::UnsupportedPart { .. } => {
                    "leave it where it is (`external`), or map it to an image that the target can pull"
                }
                Self::NoPlatform { .. } => "ask for one that there is, or for all, by leaving `--platform` out",
                Self::NoWay { .. } => {
                    "have it exposed by a route, or ask for the right to read its service and to forward ports of its pods"
                }
                Self::WrongDigest { .. } | Self::WrongSize { .. } => {
                    "run it again; when it stays, the place it was read from is damaged"
                }
                _ => return None,
            }
            .to_owned(),
        )
    }
}
