//! What the client tells: lines, and how far the work is.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Something that happened while the work goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// A new stage begins.
    Stage(String),
    /// A warning or a decision.
    Note(String),
    /// Bytes of a volume have passed.
    Volume {
        /// The claim.
        claim: String,
        /// So many.
        done: u64,
        /// Of so many, where that is known.
        total: Option<u64>,
    },
    /// A volume is through.
    VolumeDone {
        /// The claim.
        claim: String,
    },
    /// Things of this stage are through.
    Count {
        /// So many.
        done: usize,
        /// Of so many.
        total: usize,
    },
}

/// Shows what the client tells.
pub trait Output: Send {
    /// Shows a line, or several.
    fn line(&mut self, text: &str);

    /// Shows how far the work is.
    fn progress(&mut self, happening: &Happening);

    /// The work is over: bars go.
    fn end_progress(&mut self);
}

/// Writes lines, and draws bars when it writes to a terminal.
pub struct TerminalOutput {
    writer: Box<dyn Write + Send>,
    bars: Option<Bars>,
}

struct Bars {
    all: MultiProgress,
    stage: Option<ProgressBar>,
    volumes: HashMap<String, ProgressBar>,
}

impl TerminalOutput {
    /// Writes to the standard error output, with bars if that is a terminal.
    pub fn stderr() -> Self {
        let draw = io::stderr().is_terminal();
        Self {
            writer: Box::new(io::stderr()),
            bars: draw.then(|| Bars {
                all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
                stage: None,
                volumes: HashMap::new(),
            }),
        }
    }

    /// Writes lines to anything, without bars.
    pub fn plain(writer: Box<dyn Write + Send>) -> Self {
        Self { writer, bars: None }
    }
}

impl Output for TerminalOutput {
    fn line(&mut self, text: &str) {
        // Nobody reads any more: the work goes on all the same.
        let mut write = || {
            let _ = writeln!(self.writer, "{}", text.trim_end_matches('\n'));
            let _ = self.writer.flush();
        };
        match &self.bars {
            Some(bars) => bars.all.suspend(write),
            None => write(),
        }
    }

    fn progress(&mut self, happening: &Happening) {
        if let Some(bars) = &mut self.bars {
            bars.draw(happening);
        }
        match happening {
            Happening::Stage(text) => self.line(&format!("- {text}")),
            Happening::Note(text) => self.line(&format!("  note: {text}")),
            _ => {}
        }
    }

    fn end_progress(&mut self) {
        if let Some(bars) = &mut self.bars {
            bars.stage = None;
            bars.volumes.clear();
            // Nothing is left to draw when this fails.
            let _ = bars.all.clear();
        }
    }
}

impl Bars {
    fn draw(&mut self, happening: &Happening) {
        match happening {
            Happening::Stage(_) => {
                if let Some(bar) = self.stage.take() {
                    bar.finish_and_clear();
                }
            }
            Happening::Note(_) => {}
            Happening::Count { done, total } => {
                let bar = self.stage.get_or_insert_with(|| {
                    self.all
                        .add(bar(*total as u64, "  {bar:30} {pos} of {len}"))
                });
                bar.set_length(*total as u64);
                bar.set_position(*done as u64);
            }
            Happening::Volume { claim, done, total } => {
                let bar = self.volumes.entry(claim.clone()).or_insert_with(|| {
                    let bar = self.all.add(match total {
                        Some(total) => bar(
                            *total,
                            "  {msg} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}",
                        ),
                        None => bar(0, "  {msg} {spinner} {bytes}, {bytes_per_sec}"),
                    });
                    bar.set_message(claim.clone());
                    bar.enable_steady_tick(Duration::from_millis(200));
                    bar
                });
                if let Some(total) = total {
                    bar.set_length(*total);
                }
                bar.set_position(*done);
            }
            Happening::VolumeDone { claim } => {
                if let Some(bar) = self.volumes.remove(claim) {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

fn bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    ProgressBar::new(length).with_style(style)
}
