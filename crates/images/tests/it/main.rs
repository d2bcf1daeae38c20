//! The crate against Debian's `docker-registry`, with `skopeo` as an independent reader and writer, and a proxy between
//! that spoils what passes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod access;
mod copying;
mod credentials;
mod faults;
mod images;
mod inspect;
mod proxy;
mod refused;
mod server;
