//! How far a copy has come, told to whoever draws it.

use crate::Digest;

/// How a blob came to be at its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BlobWay {
    /// It was there.
    Present,
    /// The registry took it over from another of its repositories.
    Mounted,
    /// Its bytes were copied.
    Copied,
}

/// Is told how far a copy has come, from any task. Nothing may block in here.
pub trait Progress: Send + Sync {
    /// An image of so many bytes in so many blobs is about to be copied.
    fn image(&self, name: &str, blobs: usize, bytes: u64) {
        let _ = (name, blobs, bytes);
    }

    /// So many more bytes have passed. Those that are sent again after a cut count again.
    fn bytes(&self, more: u64) {
        let _ = more;
    }

    /// A blob is at its destination, verified.
    fn blob(&self, digest: Digest, size: u64, way: BlobWay) {
        let _ = (digest, size, way);
    }
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}
