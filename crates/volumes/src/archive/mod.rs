//! The tar format: a reader that takes what GNU tar, BusyBox tar and bsdtar write and refuses what it does
//! not know, and a writer of the plain form that all of them read.
//!
//! The reader does not guess: an archive is complete only with its end marker (two zero blocks), and nothing
//! but zeros may follow it. Both work on blocking input and output.

mod header;
mod pax;
mod reader;
mod sparse;
mod writer;

pub use reader::{Chunk, Member, Reader};
pub use writer::Writer;

/// Size of a tar block.
pub(crate) const BLOCK: usize = 512;

/// `size` rounded up to whole blocks; saturating.
pub(crate) fn padded(size: u64) -> u64 {
    size.checked_next_multiple_of(BLOCK as u64)
        .unwrap_or(u64::MAX)
}
