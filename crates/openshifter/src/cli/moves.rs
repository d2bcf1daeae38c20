//! The commands that move applications.

use std::path::PathBuf;

use clap::Args;
use openshifter_migrate::Policy;

use crate::cli::{From, Helper, Images, Names, Only, OtherRegistries, Reading, To, Writing};

#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) from: From,
    /// The project
    #[arg(long, short = 'n', value_name = "PROJECT")]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Stop what writes to the volumes for the time of the copy
    #[arg(long)]
    pub(crate) quiesce: bool,
    #[command(flatten)]
    pub(crate) images: Images,
    #[command(flatten)]
    pub(crate) helper: Helper,
    /// A folder, a file that ends in .tgz, or `-` for an archive on stdout [default: PROJECT-chart]
    #[arg(long = "out", short = 'o', value_name = "PATH")]
    pub(crate) out: Option<PathBuf>,
    /// Only say what would be exported
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) names: Names,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The chart: a folder or an archive, ours or the 2019 prototype's
    pub(crate) chart: PathBuf,
    #[command(flatten)]
    pub(crate) to: To,
    /// The project; it is created if it is missing and allowed
    #[arg(long, short = 'n', value_name = "PROJECT")]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) writing: Writing,
    /// Do not restore this claim's data: the application starts with what it holds; may be given more than once
    #[arg(long, value_name = "CLAIM")]
    pub(crate) skip_volume: Vec<String>,
    #[command(flatten)]
    pub(crate) images: Images,
    #[command(flatten)]
    pub(crate) registries: OtherRegistries,
    #[command(flatten)]
    pub(crate) helper: Helper,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) names: Names,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    pub(crate) from: From,
    /// The project
    #[arg(long, short = 'n', value_name = "PROJECT")]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) only: Only,
    /// Delete the claims too, with their data
    #[arg(long)]
    pub(crate) with_data: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Only say what would be deleted
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) names: Names,
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    pub(crate) from: From,
    /// The project at the source
    #[arg(long, short = 'n', value_name = "PROJECT")]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) to: To,
    /// The project at the target [default: as at the source]
    #[arg(long, value_name = "PROJECT")]
    pub(crate) to_namespace: Option<String>,
    /// copy deletes nothing; move deletes the source's objects; ping-pong the target's present ones
    #[arg(long, default_value = "copy", value_name = "POLICY")]
    pub(crate) policy: Policy,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Stop what writes to the volumes for the time of the copy; a move always does
    #[arg(long)]
    pub(crate) quiesce: bool,
    #[command(flatten)]
    pub(crate) writing: Writing,
    #[command(flatten)]
    pub(crate) images: Images,
    #[command(flatten)]
    pub(crate) helper: Helper,
    /// Claims are deleted with the objects
    #[arg(long)]
    pub(crate) with_data: bool,
    /// Keep the chart in this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) keep_chart: Option<PathBuf>,
    /// Do not ask before anything is deleted
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) names: Names,
}
