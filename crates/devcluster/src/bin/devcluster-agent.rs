//! The agent on its own, for this crate's tests and for programs that embed the crate without
//! offering the `devcluster-agent` subcommand themselves.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args: Vec<_> = std::env::args_os().skip(1).collect();
    // The node calls every agent executable as `<executable> devcluster-agent …`.
    if args
        .first()
        .is_some_and(|first| first == openshifter_devcluster::agent::SUBCOMMAND)
    {
        args.remove(0);
    }
    openshifter_devcluster::agent::main(args)
}
