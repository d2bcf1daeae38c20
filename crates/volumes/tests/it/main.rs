//! Volumes as real tars make and take them, and as nobody should make them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod commands;
mod full_disk;
mod hostile;
mod real_tar;
mod segments;
mod support;
mod torn;
