//! Trees of V2, analysed and converted.
//!
//! Needs bash, git and python3; the Django that converted trees run on is taken from the folder in `OPENSHIFTER_TEST_TOOLS`, else from
//! `target/test-tools`, where `cargo xtask test` installs it.

mod support;

mod bad_input;
mod conversion;
mod django;
mod django_names;
mod environment;
mod fixtures;
mod hooks;
mod requirements;
mod settings;
mod sources;
