//! The API server as its clients see it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod backends;
mod behaviour;
mod builds;
mod cluster;
mod exchanges;
mod images;
mod kube_client;
mod kubectl;
mod recorded;
mod templates;
