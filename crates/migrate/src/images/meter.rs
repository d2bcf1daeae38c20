//! How far an image has come, in the words of a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Progress;

/// Tells a run's progress of one image.
pub(crate) struct Meter {
    progress: Arc<dyn Progress>,
    /// As its bar is called.
    name: String,
    total: u64,
    done: AtomicU64,
}

impl Meter {
    pub(crate) fn new(progress: &Arc<dyn Progress>, image: &str, total: u64) -> Self {
        Self {
            progress: Arc::clone(progress),
            name: format!("image {image}"),
            total,
            done: AtomicU64::new(0),
        }
    }
}

impl openshifter_images::Progress for Meter {
    fn bytes(&self, more: u64) {
        // What is sent again after a cut counts again.
        let done = self.done.fetch_add(more, Ordering::Relaxed) + more;
        let done = done.min(self.total);
        self.progress.volume(&self.name, done, Some(self.total));
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.done.load(Ordering::Relaxed) > 0 {
            self.progress.volume_done(&self.name);
        }
    }
}
