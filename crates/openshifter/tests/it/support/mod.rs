//! What all tests stand on: embedded clusters, the program under test, and the real tools beside it.

mod app;
mod cluster;
mod service;
mod space;
mod terminal;
mod tool;
mod tree;
mod wait;
mod watch;
mod world;

pub(crate) use app::{claim, config, deployment, fill, guestbook, settle, stateful_set};
pub(crate) use cluster::{Dev, tools};
pub(crate) use service::Service;
pub(crate) use space::Space;
pub(crate) use terminal::Terminal;
pub(crate) use tool::{Ran, Running, Tool, run};
pub(crate) use tree::{archive, describe, same};
pub(crate) use wait::until;
pub(crate) use watch::{keep_secret, nothing_leaked, secrets_in_files};
pub(crate) use world::World;
