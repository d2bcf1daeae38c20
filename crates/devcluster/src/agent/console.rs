//! Gives a command a controlling terminal: a step of its own, since it has to happen in the
//! command's process before the command is there.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::Done;

/// `console -- COMMAND…`: a new session whose controlling terminal is standard input.
pub(crate) fn run(args: Vec<OsString>) -> Done {
    let mut args = args.into_iter().skip_while(|arg| arg == "--");
    let command = args.next().ok_or("console needs a command")?;
    rustix::process::setsid()?;
    rustix::process::ioctl_tiocsctty(std::io::stdin())?;
    Err(Command::new(command).args(args).exec().into())
}
