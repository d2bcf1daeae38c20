//! How the progress of steps is shown: a bar on a terminal, lines elsewhere, logs as they are.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use openshifter_deploy::Progress;

use crate::printer::Printer;

/// Shows what steps tell.
pub(crate) struct Steps {
    printer: Printer,
    bar: Option<ProgressBar>,
    /// Whether logs are what was asked for, and so go to stdout.
    logs_are_data: bool,
}

impl Steps {
    /// Logs go to stderr, with everything else that is for people.
    pub(crate) fn new(printer: Printer) -> Self {
        let terminal = std::io::stderr().is_terminal() && !printer.is_quiet();
        Self {
            printer,
            bar: terminal.then(|| {
                let bar = ProgressBar::new_spinner();
                bar.enable_steady_tick(Duration::from_millis(120));
                bar
            }),
            logs_are_data: false,
        }
    }

    /// Logs go to stdout.
    pub(crate) fn with_logs(printer: Printer) -> Self {
        let mut steps = Self::new(printer);
        steps.logs_are_data = true;
        steps
    }

    /// Takes the bar away, so that what follows stands alone.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.printer.note(text)),
            None => self.printer.note(text),
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.finish();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Progress for Steps {
    fn stage(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_style(style("{spinner} {msg}"));
            bar.set_message(text.to_owned());
        }
        self.line(&format!("- {text}"));
    }

    fn note(&self, text: &str) {
        self.line(&format!("  {text}"));
    }

    fn bytes(&self, done: u64, total: Option<u64>) {
        let Some(bar) = &self.bar else { return };
        match total.filter(|&total| total > 0) {
            Some(total) => {
                bar.set_style(style(
                    "{spinner} {msg} [{bar:30}] {bytes}/{total_bytes} {binary_bytes_per_sec}",
                ));
                bar.set_length(total);
            }
            None => bar.set_style(style("{spinner} {msg} {bytes} {binary_bytes_per_sec}")),
        }
        bar.set_position(done);
    }

    fn log(&self, bytes: &[u8]) {
        let write = || {
            // Nobody is left to be told when the pipe is closed.
            if self.logs_are_data {
                let mut to = std::io::stdout().lock();
                let _ = to.write_all(bytes).and_then(|()| to.flush());
            } else if !self.printer.is_quiet() {
                let mut to = std::io::stderr().lock();
                let _ = to.write_all(bytes).and_then(|()| to.flush());
            }
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}
