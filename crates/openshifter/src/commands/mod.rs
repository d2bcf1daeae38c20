//! The commands, one file each.

mod chart;
mod delete;
mod demo;
mod devcluster;
mod export;
mod import;
mod migrate;
mod runs;
mod serve;
mod session;
mod steps;
mod undo;
pub(crate) mod v2;

use anyhow::{Result, anyhow};
use openshifter_migrate::StateDir;

use crate::cli::{Cli, Command};
use crate::exit::Exit;
use crate::printer::Printer;

pub(crate) use session::{Session, cancel_on_signal};

/// Carries out what was asked for.
pub(crate) async fn run(cli: Cli, printer: &Printer) -> Result<Exit> {
    let printer = *printer;
    match cli.command {
        Command::Demo(args) => demo::run(args, printer).await,
        Command::Export(args) => export::run(args, printer).await,
        Command::Import(args) => import::run(args, printer).await,
        Command::Delete(args) => delete::run(args, printer).await,
        Command::Migrate(args) => migrate::run(*args, printer).await,
        Command::Undo(args) => undo::undo(args, printer).await,
        Command::Resume(args) => undo::resume(args, printer).await,
        Command::Runs(args) => runs::run(args, printer),
        Command::Chart(args) => chart::run(args, printer).await,
        Command::V2(args) => v2::run(args, printer).await,
        Command::Build(args) => steps::build(args, printer).await,
        Command::Logs(args) => steps::logs(args, printer).await,
        Command::Exec(args) => steps::exec(args, printer).await,
        Command::Rsh(args) => steps::rsh(args, printer).await,
        Command::Cp(args) => steps::cp(args, printer).await,
        Command::PortForward(args) => steps::port_forward(args, printer).await,
        Command::Scale(args) => steps::scale(args, printer).await,
        Command::SetVolume(args) => steps::set_volume(*args, printer).await,
        Command::Expose(args) => steps::expose(args, printer).await,
        Command::Serve(args) => serve::serve(args, printer).await,
        Command::Client(args) => serve::client(args).await,
        Command::Devcluster(args) => devcluster::run(args, printer).await,
        // `main` has given all others to the runner.
        Command::Image { .. } => Err(anyhow!(
            "`image` comes before all options: openshifter image --help"
        )),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            let mut command = <Cli as clap::CommandFactory>::command();
            clap_complete::generate(shell, &mut command, "openshifter", &mut script);
            printer.out(&String::from_utf8_lossy(&script));
            Ok(Exit::Complete)
        }
    }
}

/// The folder of this program's state.
pub(crate) fn state() -> Result<StateDir> {
    StateDir::from_env(|name| std::env::var_os(name))
        .ok_or_else(|| anyhow!("there is no HOME: name a folder with OPENSHIFTER_STATE_DIR"))
}
