//! The embedded OpenShift as its users meet it: a cluster is started, and asked over HTTPS and HTTP.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where it meets what it does not expect"
)]

mod bare;
mod builder;
mod builds;
mod claims;
mod dockerfiles;
mod elsewhere;
mod exec;
mod git;
mod guestbook;
mod hooks;
mod isolation;
mod node;
mod registry;
mod services;
mod socket;
mod support;
mod template_instances;
mod workloads;
