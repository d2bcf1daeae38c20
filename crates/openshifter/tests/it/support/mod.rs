//! What all tests stand on: embedded clusters, and the program under test that knows them.

mod app;
mod browser;
mod cluster;
mod converted;
mod messages;
mod service;
mod space;
mod tool;
mod tree;
mod world;

pub(crate) use app::{claim, config, deployment, fill, guestbook, settle, stateful_set};
pub(crate) use browser::{ADMIN, Browser, NAME, PASSWORD};
pub(crate) use cluster::{Dev, token_name};
pub(crate) use converted::{copy, deploy, runner, script, step, with_wheels};
pub(crate) use messages::{filters, show, shows};
pub(crate) use openshifter_testing::{
    Ran, Running, Terminal, closed_port, keep_secret, nothing_leaked, run, secrets_in_files, tools,
    until,
};
pub(crate) use service::Service;
pub(crate) use space::{Space, is_clean};
pub(crate) use tool::Tool;
pub(crate) use tree::{archive, describe, same};
pub(crate) use world::World;
