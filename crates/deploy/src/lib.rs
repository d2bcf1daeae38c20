//! Builds source trees in a cluster, deploys them, and has each step of it as a command of its own, as `oc` has them:
//! builds, logs, copies, scaling, volumes, routes.
//!
//! All steps are methods of [`Project`], a project of a connected cluster. Nothing here prints: what goes on is told to a
//! [`Progress`].
//!
//! ```no_run
//! use std::path::Path;
//! use std::time::Duration;
//! use openshifter_deploy::{BuildSource, Project, Silent, SourceTree};
//! # async fn example(cluster: openshifter_cluster::Cluster) -> Result<(), openshifter_deploy::DeployError> {
//! let project = Project::new(cluster, "shop");
//! let source = SourceTree::of_build(Path::new("."))?;
//! let build = project.start_build("web", BuildSource::Folder(source), &Silent).await?;
//! project.follow_build(build.name(), Duration::from_secs(1800), &Silent).await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Project::prepare_deploy`] reads a converted tree and says what is still to be asked for, [`Prepared::plan`] what is to be done,
//! and [`Project::deploy`] carries that very plan out. It may be stopped at any time and run again: what is there is left as it is.

mod apply;
mod build;
mod copy;
mod deploy;
mod error;
mod expose;
mod health;
mod ignore;
mod logs;
mod plan;
mod progress;
mod project;
mod repository;
mod rollout;
mod scale;
mod setup;
mod source;
mod tail;
mod target;
mod volume;

pub use apply::Action;
pub use build::BuildSource;
pub use copy::{Copied, copy_place};
pub use deploy::{DeployReport, DeployedObject, Failed, SetupOutcome};
pub use error::DeployError;
pub use expose::ExposeOptions;
pub use ignore::Ignore;
pub use plan::{
    DeployOptions, DeployPlan, MissingValue, PlannedBuild, PlannedObject, PlannedSetup, Prepared,
};
pub use progress::{Progress, Silent};
pub use project::{Place, Project};
pub use setup::{Admin, AdminSource};
pub use source::SourceTree;
pub use target::{Target, TargetKind};
pub use volume::{RemoveVolume, VolumeChange, VolumeMount, VolumeOptions, VolumeRow, VolumeSource};
