//! A job's output, line by line: what a job had printed before it was killed must not be lost in its buffers.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, OutputModes};

use crate::args::LineBuffer;
use crate::environ::Environ;
use crate::error::Error;
use crate::program;

/// How long the last lines may take after the job's end, when something that it left behind keeps the terminal open.
const DRAIN: Duration = Duration::from_secs(1);

/// Copies what a job prints on a pseudo-terminal.
#[derive(Debug)]
pub(crate) struct Relay {
    done: mpsc::Receiver<()>,
}

impl Relay {
    /// Waits for the last lines.
    pub(crate) fn finish(self) {
        let _ = self.done.recv_timeout(DRAIN);
    }
}

/// A job ready to start.
pub(crate) fn job(
    path: &Path,
    how: LineBuffer,
    environ: &Environ,
) -> Result<(Command, Option<Relay>), Error> {
    let stdbuf = match how {
        LineBuffer::Auto | LineBuffer::Stdbuf => program::find(OsStr::new("stdbuf"), environ),
        LineBuffer::Pty | LineBuffer::Off => Err(Error::NotFound("stdbuf".into())),
    };
    // Refuses what cannot be started before stdbuf would, and with a better reason.
    let plain = program::child(path, path.as_os_str(), &[], environ)?;
    match (how, stdbuf) {
        (_, Ok(stdbuf)) => {
            let words = [OsString::from("-oL"), path.into()];
            let command = program::child(&stdbuf, OsStr::new("stdbuf"), &words, environ)?;
            Ok((command, None))
        }
        (LineBuffer::Stdbuf, Err(error)) => Err(error),
        (LineBuffer::Off, _) => Ok((plain, None)),
        // An image without /dev/pts can still run its jobs.
        (_, Err(_)) => match on_terminal() {
            Ok((terminal, relay)) => {
                let mut command = plain;
                command.stdout(Stdio::from(terminal));
                Ok((command, Some(relay)))
            }
            Err(_) => Ok((plain, None)),
        },
    }
}

/// A pseudo-terminal that changes nothing of what is written to it.
fn on_terminal() -> io::Result<(OwnedFd, Relay)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = rustix::pty::openpt(flags)?;
    rustix::pty::grantpt(&ours)?;
    rustix::pty::unlockpt(&ours)?;
    let name = rustix::pty::ptsname(&ours, Vec::new())?;
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
    let theirs = rustix::fs::open(name.as_c_str(), flags, rustix::fs::Mode::empty())?;
    let mut modes = rustix::termios::tcgetattr(&theirs)?;
    modes.output_modes.remove(OutputModes::OPOST);
    rustix::termios::tcsetattr(&theirs, OptionalActions::Now, &modes)?;
    let (sender, done) = mpsc::channel();
    std::thread::spawn(move || {
        copy(File::from(ours));
        let _ = sender.send(());
    });
    Ok((theirs, Relay { done }))
}

/// Until nobody has the terminal open any more, which reads as an error.
fn copy(mut from: File) {
    let mut buffer = [0; 4096];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                let mut out = io::stdout();
                let _ = out.write_all(&buffer[..count]).and_then(|()| out.flush());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
