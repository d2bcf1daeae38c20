//! Migrations as jobs: each has its own run, sessions and progress, and survives in the state folder.

mod routes;
mod store;
mod watch;
mod work;

pub(crate) use routes::{cancel, list, plan, show, start};
pub(crate) use store::Jobs;
