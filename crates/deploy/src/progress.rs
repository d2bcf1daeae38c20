//! What the steps tell while they work. Libraries report; only the program draws.

/// Hears what a step does. All methods have empty defaults.
pub trait Progress: Send + Sync {
    /// A new stage begins, as in `building django`.
    fn stage(&self, _text: &str) {}
    /// Something worth a line.
    fn note(&self, _text: &str) {}
    /// `done` bytes are through, of `total` where that is known.
    fn bytes(&self, _done: u64, _total: Option<u64>) {}
    /// The next bytes of the log that is followed, as they came.
    fn log(&self, _bytes: &[u8]) {}
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}
