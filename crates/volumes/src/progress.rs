//! How far a stream has come, told to whoever draws it.

use std::{fmt, sync::Arc};

/// Is called with the number of bytes that have passed since the last call.
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<dyn Fn(u64) + Send + Sync>>);

impl Progress {
    /// Tells nobody.
    pub fn none() -> Self {
        Self(None)
    }

    /// Calls `each` with every further number of bytes, from any thread. It must not block.
    pub fn new(each: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(each)))
    }

    /// Tells of so many bytes more.
    pub fn add(&self, bytes: u64) {
        if let Some(each) = &self.0 {
            each(bytes);
        }
    }
}

impl From<Arc<dyn Fn(u64) + Send + Sync>> for Progress {
    fn from(each: Arc<dyn Fn(u64) + Send + Sync>) -> Self {
        Self(Some(each))
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Progress(…)"
        } else {
            "Progress::none()"
        })
    }
}
