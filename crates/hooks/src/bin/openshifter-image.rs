//! `openshifter-image`: the action-hook runner alone, for images. The work is the library's.

use std::process::ExitCode;

fn main() -> ExitCode {
    openshifter_hooks::main(std::env::args_os().collect())
}
