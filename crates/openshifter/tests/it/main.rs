//! End to end: the real program and the real `curl`, `kubectl` and `helm` against embedded clusters.
//!
//! Needs bubblewrap and no root. `kubectl` and `helm` are taken from the folder in `OPENSHIFTER_TEST_TOOLS`, else from
//! `target/test-tools`; `cargo xtask test` installs them.

mod bad_input;
mod builds;
mod builds_again;
mod catalogue;
mod client;
mod demo;
mod deploy;
mod deploy_plain;
mod deploy_steps;
mod faults;
mod grand;
mod helm;
mod hostile;
mod image;
mod images;
mod images_accounts;
mod images_again;
mod images_bad;
mod images_elsewhere;
mod images_followed;
mod images_login;
mod images_moved;
mod images_platform;
mod images_straight;
mod kinds;
mod kubectl;
mod lifecycle;
mod memory;
mod secrets;
mod service;
mod support;
mod unchanged;
mod uploads;
mod v2;
mod volumes;
mod walkthrough;
