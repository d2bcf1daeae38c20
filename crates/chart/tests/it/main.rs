//! Charts as helm, tar and people take them, and as nobody should make them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod archive;
mod builder;
mod helm;
mod legacy;
mod support;
mod tamper;
