//! One registry that speaks the OCI distribution protocol (and Docker's registry protocol v2, which it grew from).

mod auth;
mod challenge;
mod client;
mod connector;
mod download;
mod endpoint;
mod failure;
mod pull_secret;
mod repository;
mod upload;

pub use auth::RegistryCredentials;
pub use client::Registry;
pub use endpoint::{RegistryEndpoint, RegistryTrust};
pub use failure::RegistryTuning;
pub use repository::Repository;

pub(crate) use auth::Renew;
pub(crate) use download::{Blob, BlobReader};
