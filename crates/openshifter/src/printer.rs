//! The one place that writes: stdout is data, stderr is for people. A closed pipe is no failure.

use anyhow::Result;
use openshifter_migrate::Report;
use serde::Serialize;

use crate::cli::Format;

/// Writes what the program has to say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    format: Format,
    quiet: bool,
}

impl Printer {
    pub(crate) fn new(format: Format, quiet: bool) -> Self {
        Self { format, quiet }
    }

    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    pub(crate) fn is_quiet(self) -> bool {
        self.quiet
    }

    /// Data: what was asked for.
    pub(crate) fn out(self, text: &str) {
        write_all(&mut std::io::stdout().lock(), text);
    }

    /// Data as JSON, or what `text` makes of it.
    pub(crate) fn data<T: Serialize>(
        self,
        data: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<()> {
        if self.is_json() {
            self.out(&format!("{}\n", serde_json::to_string_pretty(data)?));
        } else {
            self.out(&text(data));
        }
        Ok(())
    }

    /// The report of a run. When stdout carries the chart itself it goes to stderr.
    pub(crate) fn report(self, report: &Report, stdout_is_taken: bool) -> Result<()> {
        let text = if self.is_json() {
            format!("{}\n", serde_json::to_string_pretty(report)?)
        } else {
            report.text()
        };
        if stdout_is_taken {
            write_all(&mut std::io::stderr().lock(), &text)
        } else {
            self.out(&text)
        }
        Ok(())
    }

    /// A line for a person.
    pub(crate) fn note(self, text: &str) {
        if !self.quiet {
            write_all(&mut std::io::stderr().lock(), &format!("{text}\n"));
        }
    }

    /// A failure, in one line.
    pub(crate) fn error(self, text: &str) {
        write_all(&mut std::io::stderr().lock(), &format!("error: {text}\n"));
    }

    /// A failure with its causes and what to do next.
    pub(crate) fn failure(self, error: &anyhow::Error) {
        let mut text = String::new();
        for cause in error.chain() {
            let cause = cause.to_string();
            // Transparent errors repeat what their cause says.
            if !text.contains(&cause) {
                if !text.is_empty() {
                    text.push_str(": ");
                }
                text.push_str(&cause);
            }
        }
        self.error(&text);
        let hint = error.chain().find_map(|cause| {
            cause
                .downcast_ref::<openshifter_cluster::ClusterError>()
                .and_then(|error| error.hint())
                .or_else(|| {
                    cause
                        .downcast_ref::<openshifter_migrate::MigrateError>()
                        .and_then(|error| error.hint())
                })
                .or_else(|| {
                    cause
                        .downcast_ref::<openshifter_deploy::DeployError>()
                        .and_then(|error| error.hint())
                })
                .or_else(|| {
                    cause
                        .downcast_ref::<openshifter_client::ClientError>()
                        .and_then(|error| error.hint())
                })
        });
        if let Some(hint) = hint {
            write_all(&mut std::io::stderr().lock(), &format!("hint: {hint}\n"));
        }
    }
}

fn write_all(to: &mut impl std::io::Write, text: &str) {
    // Nobody is left to be told: `openshifter … | head` is fine.
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}
