//! Runs of the past.

use std::time::Duration;

use clap::Args;
use openshifter_migrate::RunId;

use crate::cli::parse::duration;
use crate::cli::{Again, FromRegistries, Names, ToRegistry};

/// A run that is taken up again; its journal knows what its ends were called.
#[derive(Debug, Args)]
pub(crate) struct Taken {
    /// Id of the run
    pub(crate) run: RunId,
    /// The target cluster [default: as in the run]
    #[arg(long, value_name = "CLUSTER")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) again: Again,
    #[command(flatten)]
    pub(crate) names: Names,
}

#[derive(Debug, Args)]
pub(crate) struct Undo {
    /// The source cluster, if the run changed something there [default: as in the run]
    #[arg(long, value_name = "CLUSTER")]
    pub(crate) from: Option<String>,
    #[command(flatten)]
    pub(crate) taken: Taken,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// The source cluster, if images go straight from its registry to the target's [default: as in the run]
    #[arg(long, value_name = "CLUSTER")]
    pub(crate) from: Option<String>,
    #[command(flatten)]
    pub(crate) taken: Taken,
    #[command(flatten)]
    pub(crate) registries: FromRegistries,
    #[command(flatten)]
    pub(crate) to_registry: ToRegistry,
}

#[derive(Debug, Args)]
pub(crate) struct Runs {
    /// Show the report of this run
    pub(crate) run: Option<RunId>,
    /// Remove backup charts of runs that came through at least this long ago, as 30d; those of other runs stay
    #[arg(long, value_name = "AGE", value_parser = duration, conflicts_with = "run")]
    pub(crate) prune: Option<Duration>,
    /// Only say which backup charts would be removed
    #[arg(long, requires = "prune")]
    pub(crate) dry_run: bool,
}
