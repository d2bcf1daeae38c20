//! The crate against a server on this machine that answers as genuine servers were seen to.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod exec;
mod forward;
mod listing;
mod login;
mod namespaces;
mod requests;
mod server;
mod streams;
mod waiting;
