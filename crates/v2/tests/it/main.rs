//! Trees of V2, analysed and converted.
//!
//! Needs bash, git and python3, and for the real server bubblewrap and Apache; helm, wheels and the Django that converted trees run on are
//! taken from the folder in `OPENSHIFTER_TEST_TOOLS`, else from `target/test-tools`, where `cargo xtask test` installs them.

mod support;

mod bad_input;
mod checked;
mod compiles;
mod conversion;
mod deploy_order;
mod django;
mod django_names;
mod django_removed;
mod environment;
mod express;
mod fixtures;
mod hooks;
mod manifests;
mod published;
mod random;
mod replay;
mod requirements;
mod settings;
mod sources;
mod told;
mod vendored;
