//! The service as clients see it: alone, and with embedded clusters behind it.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where it meets what it does not expect"
)]

mod clusters;
#[expect(dead_code, reason = "the tests of migrations use more of it")]
mod devcluster;
mod full_disk;
mod routes;
mod support;
