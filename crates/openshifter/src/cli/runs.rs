//! Runs of the past.

use std::time::Duration;

use clap::Args;
use openshifter_migrate::RunId;

use crate::cli::parse::duration;
use crate::cli::{Again, FromAgain, FromRegistries, Login, Names, ToAgain, ToRegistry};

/// A run that is taken up again; its journal knows what its ends were called.
#[derive(Debug, Args)]
pub(crate) struct Taken {
    /// Id of the run
    pub(crate) run: RunId,
    #[command(flatten)]
    pub(crate) from: FromAgain,
    #[command(flatten)]
    pub(crate) to: ToAgain,
    #[command(flatten)]
    pub(crate) again: Again,
    #[command(flatten)]
    pub(crate) names: Names,
}

impl Taken {
    /// The source's name, where one was given, and how to log in there.
    pub(crate) fn source(&self) -> (Option<&str>, Login) {
        let login = self.again.or(self.from.login());
        (self.from.cluster.as_deref(), login)
    }

    /// The same of the target.
    pub(crate) fn target(&self) -> (Option<&str>, Login) {
        let login = self.again.or(self.to.login());
        (self.to.cluster.as_deref(), login)
    }
}

#[derive(Debug, Args)]
pub(crate) struct Undo {
    #[command(flatten)]
    pub(crate) taken: Taken,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    pub(crate) taken: Taken,
    #[command(flatten)]
    pub(crate) registries: FromRegistries,
    #[command(flatten)]
    pub(crate) to_registry: ToRegistry,
    /// How long the application may take to be ready; as it was said at first, if nothing is
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
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
