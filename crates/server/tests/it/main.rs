//! The service as clients see it: alone, and with embedded clusters behind it.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where it meets what it does not expect"
)]

mod clusters;
mod devcluster;
mod routes;
mod support;
