//! The REST service: the seven routes that existing users script against, and jobs for everything new.
//!
//! Requests share nothing but the disk: each has its own login, its own run, its own spool, and is logged out
//! when it ends. Charts stream through; none is ever held in memory.
//!
//! ```no_run
//! use openshifter_migrate::StateDir;
//! use openshifter_server::{Server, ServerConfig};
//! # async fn example() -> Result<(), openshifter_server::ServerError> {
//! let server = Server::start(ServerConfig::new(StateDir::new("/var/lib/openshifter"))).await?;
//! println!("{}", server.url());
//! server.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! A process-wide rustls provider must be installed before the first request to a cluster.

mod app;
mod clusters;
mod codec;
mod config;
mod error;
mod guard;
mod hosts;
mod jobs;
mod legacy;
mod locks;
mod place;
mod private;
mod problem;
mod server;
mod tls;
mod token;
mod wire;

pub use config::{Leave, ServerConfig, Tls};
pub use error::ServerError;
pub use server::Server;
pub use token::token_path;
pub use wire::{
    CountBody, EndpointSpec, JobBody, JobState, MigrationRequest, PlanBody, ProblemBody,
    RequestError, VolumeBody, WhatExists,
};
