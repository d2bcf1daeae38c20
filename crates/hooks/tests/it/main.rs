//! The real binary as real processes, in a bubblewrap root laid out like an image made by source-to-image; beside it the
//! original, `powershift image`, in the same root.
//!
//! Needs bubblewrap, python3 and no root. The original is taken from the folder in `OPENSHIFTER_TEST_TOOLS`, else from
//! `target/test-tools`; `cargo xtask test` installs it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails by panicking"
)]

mod command_line;
mod image;
mod init;
mod jobs;
mod life;
mod oracle;
mod seen;
mod speed;
mod wheel;
