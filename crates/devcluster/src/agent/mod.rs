//! What runs inside a sandbox: the process that starts a container's command, answers exec and
//! relays connections; and the sample application, so that one executable is all a cluster needs.
//!
//! The agent uses plain threads and blocking calls: it is process 1 of a container and stays small.

mod console;
mod guestbook;
mod identity;
mod init;
mod lookup;
mod reaper;
pub(crate) mod services;
mod session;
pub(crate) mod wire;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// Name of the subcommand under which an executable offers the agent:
/// the node runs `<executable> devcluster-agent …`.
pub const SUBCOMMAND: &str = "devcluster-agent";

/// Where the agent executable is found inside a sandbox.
pub(crate) const PATH_IN_SANDBOX: &str = "/run/devcluster/agent";

/// Runs an agent subcommand; `args` is what follows the subcommand's name.
///
/// | arguments | what it does |
/// | --- | --- |
/// | `init …` | process 1 of a container; its standard input is the socket on which the node calls |
/// | `console -- COMMAND…` | makes its standard input the controlling terminal and becomes COMMAND |
/// | `guestbook` | the sample application |
/// | `pause` | waits until it is ended |
///
/// ```no_run
/// let args = std::env::args_os().skip(2).collect();
/// let _status = openshifter_devcluster::agent::main(args);
/// ```
pub fn main(args: Vec<OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let name = args.next();
    let rest: Vec<OsString> = args.collect();
    let done = match name.as_deref().and_then(|name| name.to_str()) {
        Some("init") => init::run(rest),
        Some("console") => console::run(rest),
        Some("guestbook") => guestbook::run(),
        Some("pause") => loop {
            std::thread::park();
        },
        _ => Err("usage: devcluster-agent init|console|guestbook|pause".into()),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            // The container's log is the only place where this can be read; it may be closed.
            let _ = writeln!(std::io::stderr(), "devcluster-agent: {error}");
            ExitCode::from(125)
        }
    }
}

/// Outcome of an agent subcommand; its error is a line for the container's log.
pub(crate) type Done = Result<ExitCode, Box<dyn std::error::Error + Send + Sync>>;
