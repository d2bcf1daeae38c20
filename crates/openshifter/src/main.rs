//! `openshifter`: moves applications, with their data, between OpenShift and Kubernetes clusters.
//!
//! This crate holds arguments, prompts, progress and output; the work is done by the libraries.

mod cli;
mod commands;
mod connect;
mod exit;
mod printer;
mod progress;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::printer::Printer;

fn main() -> ExitCode {
    // Inside images: before anything else is set up, since a probe runs every few seconds.
    match openshifter_hooks::main_if_meant() {
        Some(status) => status,
        None => outside_of_images(),
    }
}

/// All that runs on a user's machine. Apart from `main`, whose stack would else be as large as the largest of all, and
/// touched page by page before a probe's first instruction.
#[inline(never)]
fn outside_of_images() -> ExitCode {
    // The embedded cluster's pods run this very program under this name; they take no options of ours.
    let mut args = std::env::args_os();
    if args.nth(1).is_some_and(|first| first == cli::AGENT) {
        return openshifter_devcluster::agent::main(args.collect());
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout and are no failure; a closed pipe is none either.
            let status = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Complete
            };
            let _ = error.print();
            return status.into();
        }
    };
    let printer = Printer::new(cli.output, cli.quiet);
    init_log(cli.verbose);
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        printer.error("a second TLS provider is installed; this is a mistake in this program");
        return Exit::Failed.into();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            printer.error(&format!("cannot start: {error}"));
            return Exit::Failed.into();
        }
    };
    let result = runtime.block_on(commands::run(cli, &printer));
    // A blocking task that still reads from a terminal must not keep the program alive.
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            printer.failure(&error);
            exit::of(&error).into()
        }
    }
}

/// Logs go to stderr; they hold no credentials at any level.
fn init_log(verbose: u8) {
    use tracing_subscriber::EnvFilter;
    let default = match verbose {
        0 => "off",
        1 => "openshifter=info,warn",
        2 => "openshifter=debug,info",
        _ => "openshifter=trace,debug",
    };
    let mut filter =
        EnvFilter::try_from_env("OPENSHIFTER_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    // Further down, these write headers and addresses out, and with them tokens and passwords.
    // Without a log there is nothing to hold down, and naming them would let their errors through.
    let quiet = verbose == 0 && std::env::var_os("OPENSHIFTER_LOG").is_none();
    let libraries = [
        "h2=info",
        "hyper=info",
        "hyper_util=info",
        "rustls=info",
        "tungstenite=info",
    ];
    for library in libraries.iter().filter(|_| !quiet) {
        if let Ok(directive) = library.parse() {
            filter = filter.add_directive(directive);
        }
    }
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
}
