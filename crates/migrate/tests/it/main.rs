//! Migrations between embedded clusters, and what becomes of them when something fails on the way.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where it meets what it does not expect"
)]

mod backups;
mod builds;
#[expect(dead_code, reason = "the service's tests use more of it")]
// The same clusters as the service's tests have.
#[path = "../../../server/tests/it/devcluster.rs"]
mod devcluster;
mod dry_run;
mod faults;
mod rest;
mod support;
