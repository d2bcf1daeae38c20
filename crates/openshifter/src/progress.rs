//! Progress on a terminal as bars, elsewhere as lines.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use openshifter_migrate::Progress;

use crate::printer::Printer;

/// Draws bars, or writes lines where there is no terminal.
pub(crate) struct Bars {
    printer: Printer,
    drawing: Option<Drawing>,
}

struct Drawing {
    all: MultiProgress,
    stage: ProgressBar,
    volumes: Mutex<HashMap<String, ProgressBar>>,
}

impl Bars {
    pub(crate) fn new(printer: Printer) -> Self {
        let terminal = std::io::stderr().is_terminal() && !printer.is_quiet();
        let drawing = terminal.then(|| {
            let all = MultiProgress::new();
            let stage = all.add(ProgressBar::new_spinner());
            stage.enable_steady_tick(Duration::from_millis(120));
            Drawing {
                all,
                stage,
                volumes: Mutex::default(),
            }
        });
        Self { printer, drawing }
    }

    /// Takes the bars away, so that what follows stands alone.
    pub(crate) fn finish(&self) {
        if let Some(drawing) = &self.drawing {
            drawing.stage.finish_and_clear();
            let _ = drawing.all.clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Progress for Bars {
    fn stage(&self, text: &str) {
        match &self.drawing {
            Some(drawing) => {
                drawing.stage.set_style(style("{spinner} {msg}"));
                drawing.stage.set_message(text.to_owned());
                let _ = drawing.all.println(format!("- {text}"));
            }
            None => self.printer.note(&format!("- {text}")),
        }
    }

    fn note(&self, text: &str) {
        match &self.drawing {
            Some(drawing) => {
                let _ = drawing.all.println(format!("  {text}"));
            }
            None => self.printer.note(&format!("  {text}")),
        }
    }

    fn count(&self, done: usize, total: usize) {
        if let Some(drawing) = &self.drawing {
            drawing
                .stage
                .set_style(style("{spinner} {msg} {pos}/{len}"));
            drawing.stage.set_length(total as u64);
            drawing.stage.set_position(done as u64);
        }
    }

    fn volume(&self, claim: &str, done: u64, total: Option<u64>) {
        let Some(drawing) = &self.drawing else { return };
        let mut volumes = drawing
            .volumes
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let bar = volumes.entry(claim.to_owned()).or_insert_with(|| {
            let bar = match total {
                Some(total) => ProgressBar::new(total).with_style(style(
                    "  {msg} [{bar:30}] {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}",
                )),
                None => ProgressBar::new_spinner()
                    .with_style(style("  {msg} {bytes} {binary_bytes_per_sec}")),
            };
            drawing.all.add(bar.with_message(claim.to_owned()))
        });
        bar.set_position(done);
    }

    fn volume_done(&self, claim: &str) {
        if let Some(drawing) = &self.drawing {
            let mut volumes = drawing
                .volumes
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some(bar) = volumes.remove(claim) {
                bar.finish_and_clear();
            }
        }
    }
}
