//! Segments: consecutive parts of a tar stream, each a zstd frame of its own in a file named by its SHA-256.

mod reader;
mod writer;

pub(crate) use reader::SegmentReader;
pub(crate) use writer::SegmentWriter;

/// The folder of the segments in a volume's folder.
pub(crate) const FOLDER: &str = "segments";

/// No segment may hold more of the tar than this, whoever wrote it: what a reader has to be ready for.
pub(crate) const MAX_TAR_SIZE: u64 = 256 << 20;

/// Names sort as text in the order of the segments, so their numbers have a fixed width.
const DIGITS: usize = 6;

/// Most segments of one volume.
pub(crate) const MAX_SEGMENTS: usize = 999_999;

/// The file name of a segment.
pub(crate) fn name(index: usize, sha256: &str) -> String {
    format!("{index:0DIGITS$}-{sha256}.tar.zst")
}
