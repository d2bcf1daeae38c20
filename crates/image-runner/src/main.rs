//! `openshifter-image` for images: the same as `openshifter_hooks`' own program, over Eyra instead of a C library.

extern crate eyra;

use std::process::ExitCode;

fn main() -> ExitCode {
    openshifter_hooks::main(std::env::args_os().collect())
}
