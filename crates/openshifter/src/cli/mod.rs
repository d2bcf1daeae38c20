//! The arguments: types only.

mod chart;
mod clusters;
mod moves;
mod parse;
mod runs;
mod serving;
mod steps;
mod transfer;

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use chart::Chart;
pub(crate) use clusters::{Again, From, FromAgain, Input, Login, Names, To, ToAgain};
pub(crate) use moves::{Delete, Export, Import, Migrate};
pub(crate) use parse::duration;
pub(crate) use runs::{Resume, Runs, Undo};
pub(crate) use serving::{Client, Demo, Devcluster, Serve};
pub(crate) use steps::{
    At, Build, Cp, Exec, Expose, Logs, PortForward, Rsh, Scale, SetVolume, StartBuild, VolumeKind,
};
pub(crate) use transfer::{
    Allow, FromRegistries, Helper, Images, Only, OtherRegistries, Reading, ToRegistry, Writing,
    in_volumes,
};

/// The name under which the embedded cluster's pods call this program.
pub(crate) const AGENT: &str = "devcluster-agent";

/// Where `--help` shows what every command takes.
const GLOBAL: &str = "Global options";

/// Moves applications, with their data, between OpenShift and Kubernetes clusters.
///
/// Exit status: 0 everything is there and was checked; 1 finished with something missing, which is listed;
/// 2 wrong usage; 3 failed, nothing was changed; 4 stopped half-way, `undo` and `resume` are possible.
#[derive(Debug, Parser)]
#[command(
    name = "openshifter",
    version,
    max_term_width = 100,
    propagate_version = true
)]
pub(crate) struct Cli {
    /// How data and reports are written to stdout
    #[arg(long, global = true, help_heading = GLOBAL, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// Say nothing but results and failures
    #[arg(long, short, global = true, help_heading = GLOBAL)]
    pub(crate) quiet: bool,
    /// Log what happens, to stderr; twice for more
    #[arg(long, short, global = true, help_heading = GLOBAL, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show it all: two embedded clusters, an application with data, one migration
    Demo(Demo),
    /// Export an application with its data into a fat chart
    Export(Export),
    /// Import a fat chart, its data verified before the application starts
    Import(Import),
    /// Delete exactly an application's objects
    Delete(Delete),
    /// Export and import in one go, by a policy
    Migrate(Box<Migrate>),
    /// Take back what a run changed
    Undo(Undo),
    /// Go on with an import that stopped half-way
    Resume(Resume),
    /// List the runs that are remembered, or show the report of one
    Runs(Runs),
    /// Look at fat charts
    #[command(subcommand)]
    Chart(Chart),
    /// Analyse and convert source trees written for OpenShift V2
    #[command(subcommand)]
    V2(crate::commands::v2::V2),
    /// Start builds
    #[command(subcommand)]
    Build(Build),
    /// Show the log of a pod, a workload or a build
    Logs(Logs),
    /// Run a command in a container; its exit status is ours
    Exec(Exec),
    /// Open a shell in a container
    Rsh(Rsh),
    /// Copy files and folders to and from containers
    Cp(Cp),
    /// Reach ports of pods and services at ports of this machine
    PortForward(PortForward),
    /// Set how many pods a workload has
    Scale(Scale),
    /// Put a volume into a workload's pods
    SetVolume(Box<SetVolume>),
    /// Make a route to a service
    Expose(Expose),
    /// Serve the REST service
    Serve(Serve),
    /// Migrate in a dialogue
    Client(Client),
    /// Run an embedded OpenShift for development and tests
    Devcluster(Devcluster),
    /// Run an application's action hooks inside its image, as `powershift image` did
    #[command(disable_help_flag = true)]
    Image {
        /// `openshifter image --help` lists them
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "ARGS"
        )]
        args: Vec<std::ffi::OsString>,
    },
    /// Print shell completions
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }
}
