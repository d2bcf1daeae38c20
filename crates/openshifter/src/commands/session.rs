//! What commands share: a person who may stop them, clusters to connect to, and runs.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use openshifter_chart::Chart;
use openshifter_migrate::{Allow, Failed, Progress, Report, Run, RunId, Spool, open_chart};
use tokio_util::sync::CancellationToken;

use crate::cli::{Login, Names};
use crate::commands::state;
use crate::connect::Connected;
use crate::exit::{Exit, Interrupted, Usage};
use crate::printer::Printer;
use crate::progress::Bars;

/// How long a login that was stopped may take to be known, so that it can be taken back.
const LAST_MOMENT: Duration = Duration::from_secs(3);

/// One call of the program, stopped by Ctrl-C.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) printer: Printer,
    pub(crate) cancel: CancellationToken,
}

impl Session {
    pub(crate) fn new(printer: Printer) -> Self {
        Self {
            printer,
            cancel: cancel_on_signal(printer),
        }
    }

    /// Does what changes nothing, and gives it up at Ctrl-C.
    pub(crate) async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Interrupted.into()),
            result = work => result,
        }
    }

    /// Connects to a cluster by what the user called it. The caller ends the login.
    pub(crate) async fn connect(
        &self,
        names: &Names,
        name: &str,
        login: Login,
    ) -> Result<Connected> {
        let (names, name) = (names.clone(), name.to_owned());
        let mut connecting = tokio::spawn(async move { names.connect(&name, login).await });
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => {}
            result = &mut connecting => return result.context("connecting")?,
        }
        if let Ok(Ok(Ok(connected))) = tokio::time::timeout(LAST_MOMENT, connecting).await {
            connected.logout().await;
        }
        Err(Interrupted.into())
    }

    /// Opens a chart and checks all of it. What was unpacked lies in the spool.
    pub(crate) async fn open(&self, path: &Path, spool: Spool, allow: Allow) -> Result<Opened> {
        let opening = open_chart(path, spool.path(), allow);
        match self.unless_stopped(async { Ok(opening.await?) }).await {
            Ok(chart) => Ok(Opened {
                chart,
                _spool: spool,
            }),
            Err(error) => {
                clear(spool.keep()).await;
                Err(error)
            }
        }
    }

    /// Asks a question that only `yes` answers. Without a terminal there is nobody to ask.
    pub(crate) async fn confirm(&self, question: &str) -> Result<bool> {
        use std::io::IsTerminal as _;
        if !std::io::stdin().is_terminal() {
            return Err(Usage(format!(
                "{question} There is no terminal to ask on: pass --yes"
            ))
            .into());
        }
        self.printer.note(&format!("{question} Type yes to go on:"));
        let reading = tokio::task::spawn_blocking(|| {
            let mut answer = String::new();
            std::io::stdin().read_line(&mut answer)?;
            Ok::<_, std::io::Error>(answer)
        });
        self.unless_stopped(async {
            let answer = reading.await?.context("reading the answer")?;
            Ok(answer.trim() == "yes")
        })
        .await
    }

    /// Begins a run.
    pub(crate) fn begin(&self) -> Result<Started> {
        if self.cancel.is_cancelled() {
            return Err(Interrupted.into());
        }
        self.started(Run::begin(state()?)?)
    }

    /// Takes up a run of the past.
    pub(crate) fn take_up(&self, id: &RunId) -> Result<Started> {
        let state = state()?;
        // Else a wrong id would become a run.
        if !state.runs()?.contains(id) {
            return Err(anyhow!("nothing is known of a run {id}"));
        }
        self.started(Run::with_id(state, id.clone())?)
    }

    fn started(&self, run: Run) -> Result<Started> {
        let bars = Arc::new(Bars::new(self.printer));
        let run = run
            .with_progress(Arc::clone(&bars) as Arc<dyn Progress>)
            .with_cancel(self.cancel.clone());
        Ok(Started { run, bars })
    }
}

/// A chart with the folder that it may have been unpacked into.
pub(crate) struct Opened {
    pub(crate) chart: Chart,
    _spool: Spool,
}

/// Removes a folder that a thread which cannot be stopped may still write to: it fails as soon as its folder is gone.
pub(crate) async fn clear(path: PathBuf) {
    for _ in 0..100 {
        // What was not there is gone, too.
        let _ = fs_err::tokio::remove_dir_all(&path).await;
        if !path.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tracing::warn!(path = %path.display(), "a folder could not be removed");
}

/// A run with bars.
pub(crate) struct Started {
    pub(crate) run: Run,
    bars: Arc<Bars>,
}

impl Started {
    /// Writes the report and gives the exit status.
    pub(crate) fn end(
        &self,
        printer: Printer,
        result: &Result<Report, Box<Failed>>,
        stdout_is_taken: bool,
    ) -> Result<Exit> {
        self.bars.finish();
        match result {
            Ok(report) => {
                printer.report(report, stdout_is_taken)?;
                Ok(Exit::of_report(report))
            }
            // Nothing was done, and nothing has to be told but what is wrong with the call.
            Err(failed) if failed.error.is_usage() => Err(Usage(failed.error.to_string()).into()),
            Err(failed) => {
                // For people the report goes to stderr: it says what went wrong.
                let to_stderr = stdout_is_taken || !printer.is_json();
                printer.report(&failed.report, to_stderr)?;
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
    // Taken before anything is begun: one that comes before a task has run would end the program at once.
    let signals = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    tokio::spawn(async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
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
