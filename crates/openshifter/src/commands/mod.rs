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
mod undo;

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use openshifter_migrate::{Report, Run, RunId, StateDir};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::cli::{Cli, Command, Existing, Writing};
use crate::exit::Exit;
use crate::printer::Printer;
use crate::progress::Bars;

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
        Command::Serve(args) => serve::serve(args, printer).await,
        Command::Client(args) => serve::client(args).await,
        Command::Devcluster(args) => devcluster::run(args, printer).await,
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

/// A run with bars, stopped by Ctrl-C.
pub(crate) struct Started {
    pub(crate) run: Run,
    bars: Arc<Bars>,
}

impl Started {
    pub(crate) fn new(printer: Printer, id: Option<RunId>) -> Result<Self> {
        let bars = Arc::new(Bars::new(printer));
        let run = match id {
            Some(id) => Run::with_id(state()?, id)?,
            None => Run::begin(state()?)?,
        };
        let run = run
            .with_progress(Arc::clone(&bars) as Arc<dyn openshifter_migrate::Progress>)
            .with_cancel(cancel_on_signal(printer));
        Ok(Self { run, bars })
    }

    /// Writes the report and gives the exit status.
    pub(crate) fn end(
        &self,
        printer: Printer,
        result: &Result<Report, Box<openshifter_migrate::Failed>>,
        stdout_is_taken: bool,
    ) -> Result<Exit> {
        self.bars.finish();
        match result {
            Ok(report) => {
                printer.report(report, stdout_is_taken)?;
                Ok(Exit::of_report(report))
            }
            Err(failed) => {
                if printer.is_json() {
                    printer.report(&failed.report, stdout_is_taken)?;
                } else {
                    // The report says it all, and is for people here.
                    printer.report(&failed.report, true)?;
                }
                Ok(Exit::of_report(&failed.report))
            }
        }
    }
}

/// The first Ctrl-C (or SIGTERM) ends a run in order, the second at once.
pub(crate) fn cancel_on_signal(printer: Printer) -> CancellationToken {
    use tokio::signal::unix::{SignalKind, signal};
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
        ) else {
            return;
        };
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        printer.note("stopping in order; once more to stop at once");
        cancel.cancel();
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        std::process::exit(130);
    });
    token
}

impl Writing {
    /// What of a volume's content is let in.
    pub(crate) fn in_volumes(&self) -> openshifter_migrate::Allow {
        openshifter_migrate::Allow {
            escaping_links: self.allow.contains(&crate::cli::Allow::Links),
            devices: self.allow.contains(&crate::cli::Allow::Devices),
        }
    }

    /// What is put over the chart's own values.
    pub(crate) fn overrides(&self) -> Result<Value> {
        let mut values = Value::Null;
        for path in &self.values {
            let text = fs_err::read_to_string(path)?;
            let more: Value = openshifter_chart::from_yaml(&text)
                .with_context(|| format!("reading {}", path.display()))?;
            merge(&mut values, more);
        }
        for text in &self.set {
            openshifter_migrate::set_value(&mut values, text)?;
        }
        Ok(values)
    }
}

impl From<Existing> for openshifter_migrate::Existing {
    fn from(existing: Existing) -> Self {
        match existing {
            Existing::Fail => Self::Fail,
            Existing::Skip => Self::Skip,
            Existing::Apply => Self::Apply,
        }
    }
}

/// Puts one values file over another, as helm does.
fn merge(into: &mut Value, over: Value) {
    match (into, over) {
        (Value::Object(into), Value::Object(over)) => {
            for (key, value) in over {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (place, value) => *place = value,
    }
}

/// Asks a question that only `yes` answers. Without a terminal there is nobody to ask.
pub(crate) fn confirm(printer: Printer, question: &str) -> Result<bool> {
    use std::io::IsTerminal as _;
    if !std::io::stdin().is_terminal() {
        return Err(crate::exit::Usage(format!(
            "{question} There is no terminal to ask on: pass --yes"
        ))
        .into());
    }
    printer.note(&format!("{question} Type yes to go on:"));
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .context("reading the answer")?;
    Ok(answer.trim() == "yes")
}
