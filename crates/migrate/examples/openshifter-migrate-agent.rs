//! The agent of the embedded cluster's containers, for this crate's tests: `cargo test` builds examples.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The node calls it as `<executable> devcluster-agent …`.
    openshifter_devcluster::agent::main(std::env::args_os().skip(2).collect())
}
