//! What a run tells while it works. Libraries report; only the program draws.

/// Hears what a run does. All methods have empty defaults.
pub trait Progress: Send + Sync {
    /// A new stage begins, as in `reading the objects of shop`.
    fn stage(&self, _text: &str) {}
    /// Something worth a line: a warning, a decision.
    fn note(&self, _text: &str) {}
    /// `done` bytes of a volume have passed, of `total` where that is known.
    fn volume(&self, _claim: &str, _done: u64, _total: Option<u64>) {}
    /// The volume is through.
    fn volume_done(&self, _claim: &str) {}
    /// `done` of `total` things of this stage are through.
    fn count(&self, _done: usize, _total: usize) {}
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}
