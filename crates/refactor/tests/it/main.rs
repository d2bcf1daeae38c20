//! Tests over genuine objects and over arbitrary ones.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod defaults;
mod fixtures;
mod properties;
mod recreated;
mod renamed;
mod shop;
