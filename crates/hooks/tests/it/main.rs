//! The real binary as real processes, in a bubblewrap root laid out like an image made by source-to-image; beside it the
//! original, `powershift image`, in the same root.
//!
//! Needs bubblewrap, python3 and no root. The original is taken from the folder in `OPENSHIFTER_TEST_TOOLS`, else from
//! `target/test-tools`; `cargo xtask test` installs it. With `OPENSHIFTER_IMAGE_RUNNER`, that program is tested instead of
//! the one that cargo has built: the static one of `scripts/build-image-runner`, say.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails by panicking"
)]

mod command_line;
mod evaluation;
mod former_name;
mod image;
mod init;
mod jobs;
mod life;
mod locks;
mod oracle;
mod seen;
mod speed;
mod terminal;
mod traces;
mod wheel;

/// The runner that is tested.
fn program() -> std::path::PathBuf {
    let chosen = std::env::var_os("OPENSHIFTER_IMAGE_RUNNER");
    chosen
        .unwrap_or_else(|| env!("CARGO_BIN_EXE_openshifter-image").into())
        .into()
}
