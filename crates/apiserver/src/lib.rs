//! The API server of the embedded OpenShift: a catalogue of resources as data, one store, one set of
//! handlers, and the few behaviours of single kinds that someone who moves applications meets.
//!
//! What it does not implement it refuses (405, 415, 501).

mod auth;
mod backends;
mod behalf;
mod builds;
mod catalogue;
mod controllers;
mod error;
mod fields;
mod http;
mod identity;
mod images;
mod metadata;
mod node;
mod processing;
mod quantity;
mod rules;
mod selector;
mod server;
mod settings;
mod spdy;
mod state;
mod store;
mod tls;
mod write;

pub use auth::access::{Access, LayersVerb};
pub use backends::{
    Backends, BinarySource, BuildBackend, BuildError, BuildLogRequest, Input, NoBuilds,
    NoRegistries, Registries, RegistryError, RemoteImage, RemoteImageRequest,
};
pub use catalogue::{Catalogue, CustomType, ResourceId, ResourceType};
pub use error::{ApiError, Cause};
pub use images::{ImageObjectError, image_object, import_images};
pub use node::{
    Duplex, ExecRequest, ExecSession, LogRequest, NoNode, NodeBackend, NodeError, TerminalSize,
};
pub use processing::process_template;
pub use server::{ApiServer, ApiServerConfig, StartError, User};
pub use state::{Event, EventKind};
pub use store::{DeleteOptions, EventsLost, Propagation, Store, Subscription};
