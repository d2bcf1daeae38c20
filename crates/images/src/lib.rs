//! An application's images: which there are, what is to become of each, and how they are copied.
//!
//! ```no_run
//! use openshifter_images::{
//!     CopyOptions, Layout, Platforms, Registry, RegistryCredentials, RegistryEndpoint, RegistryTrust, Wanted, pull_to_layout,
//! };
//! # async fn example() -> Result<(), openshifter_images::ImagesError> {
//! let endpoint = RegistryEndpoint::parse("registry.example.com", RegistryTrust::default())?;
//! let registry = Registry::connect(&endpoint, RegistryCredentials::openshift("dev", "sha256~…".into())).await?;
//! // Everything that stands against a copy is named here, before anything is written.
//! let survey = registry.repository("shop/web")?.survey(&Wanted::tag("latest"), &Platforms::All).await?;
//! let layout = Layout::create("chart/data/images").await?;
//! let copied = pull_to_layout(&survey, &layout, "shop/web:latest", &CopyOptions::default()).await?;
//! println!("{} {}", copied.image, copied.digest);
//! # Ok(())
//! # }
//! ```
//!
//! # The protocol
//!
//! The client of the OCI distribution protocol is our own, over `reqwest`: what a move needs (uploads that go on where
//! they were cut, manifests byte by byte, mounts, streams verified on their way, tokens renewed in the middle of a
//! blob) the client libraries at hand do in part, and all bring dozens of dependencies.
//!
//! A process-wide rustls provider must be installed before the first connection.

mod access;
mod choices;
mod digest;
mod error;
mod inventory;
mod layout;
mod manifest;
mod media;
mod plan;
mod progress;
mod reference;
mod registry;
mod source;
mod survey;
mod transfer;
mod words;

pub use access::{ClusterRegistry, RegistryAccess};
pub use choices::{Choices, Decision};
pub use digest::{BadDigest, Digest};
pub use error::ImagesError;
pub use inventory::{
    BuildSource, Image, Inventory, Origin, StreamTag, Use, UseKind, images_of_pod,
};
pub use layout::{Layout, LayoutImage};
pub use manifest::{Descriptor, Platform, Platforms};
pub use plan::{ImagePlan, PlannedImage};
pub use progress::{BlobWay, Progress, Silent};
pub use reference::{ImageReference, InternalRegistries};
pub use registry::{
    Registry, RegistryCredentials, RegistryEndpoint, RegistryTrust, RegistryTuning, Repository,
};
pub use survey::{Survey, Wanted};
pub use transfer::{Copied, CopyOptions, copy, pull_to_layout, push_from_layout};
