//! The client with its answers piped in: alone, and with embedded clusters.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where it meets what it does not expect"
)]

mod answered;
mod clusters;
#[expect(dead_code, reason = "the service's tests use more of it")]
// The same clusters as the service's tests have.
#[path = "../../../server/tests/it/devcluster.rs"]
mod devcluster;
mod dialogue;
