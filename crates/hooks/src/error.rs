//! What can end a command, with the exit status that the original had for it.

use std::path::PathBuf;

/// Why a command ended early.
///
/// The text of the first two is a contract: the original printed these very lines, and build logs are searched for them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command was not started in the source folder.
    #[error("Working directory of '{command}' script is not {}.", expected.display())]
    WrongDirectory {
        /// The command's name
        command: &'static str,
        /// `S2I_SOURCE_PATH`
        expected: PathBuf,
    },
    /// A hook or job is there but may not be executed.
    #[error("Script {} not executable.", .0.display())]
    NotExecutable(PathBuf),
    /// The `#!` line ends in a carriage return, so the kernel looks for an interpreter of that name.
    #[error("script {} has Windows line ends (CRLF) and cannot be run; convert it: sed -i 's/\\r$//' {}", .0.display(), .0.display())]
    CarriageReturn(PathBuf),
    /// The process was to become a file with nothing in it.
    #[error("script {} is empty", .0.display())]
    Empty(PathBuf),
    /// A file has to be evaluated by bash, and there is none.
    #[error("{} is evaluated by bash, which this image has not; install bash or remove the file", .0.display())]
    NoBash(PathBuf),
    /// No such program, neither as a path nor on `PATH`.
    #[error("{0}: not found")]
    NotFound(String),
    /// The program is there and does not start.
    #[error("{program}: cannot be run")]
    CannotRun {
        /// Path or name
        program: String,
        /// What the system said
        #[source]
        source: std::io::Error,
    },
    /// A step of our own could not be done.
    #[error("cannot {what} {}", path.display())]
    File {
        /// A verb, as in `move`
        what: &'static str,
        /// Where
        path: PathBuf,
        /// What the system said
        #[source]
        source: std::io::Error,
    },
    /// Signal handling or waiting for a child failed.
    #[error("cannot watch over child processes")]
    Watch(#[source] std::io::Error),
    /// Wrong words on the command line.
    #[error("{0}")]
    Usage(String),
    /// An environment file failed, or called `exit`; bash says the same where nobody reads a log.
    #[error("Script {} ended with status {status} before its last line was done.", path.display())]
    Environment {
        /// The file
        path: PathBuf,
        /// Its status
        status: u8,
    },
    /// A child ended with this status, and has said why itself.
    #[error("status {0}")]
    Status(u8),
    /// A signal asked the command to stop; nothing further was started.
    #[error("stopped by signal {0}")]
    Stopped(i32),
}

impl Error {
    /// The exit status: a shell's where a shell has one for it.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Self::WrongDirectory { .. } | Self::NotExecutable(_) => 1,
            Self::File { .. } | Self::Empty(_) => 1,
            Self::Watch(_) => 1,
            Self::CarriageReturn(_) | Self::NoBash(_) | Self::NotFound(_) => 127,
            Self::CannotRun { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => 127,
                _ => 126,
            },
            Self::Usage(_) => 2,
            // An `exit 0` is no success.
            Self::Environment { status, .. } => (*status).max(1),
            Self::Status(status) => *status,
            Self::Stopped(signal) => u8::try_from(128 + signal).unwrap_or(255),
        }
    }

    /// Whether there is something to print: a child that failed has spoken for itself.
    pub(crate) fn speaks(&self) -> bool {
        !matches!(self, Self::Status(_) | Self::Stopped(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_of_a_shell() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let cannot = |source| Error::CannotRun {
            program: "x".into(),
            source,
        };
        assert_eq!(cannot(missing).status(), 127);
        assert_eq!(cannot(denied).status(), 126);
        assert_eq!(Error::Stopped(15).status(), 143);
        assert_eq!(Error::Usage(String::new()).status(), 2);
    }

    #[test]
    fn the_lines_that_logs_are_searched_for() {
        let wrong = Error::WrongDirectory {
            command: "run",
            expected: "/opt/app-root/src".into(),
        };
        insta::assert_snapshot!(wrong, @"Working directory of 'run' script is not /opt/app-root/src.");
        insta::assert_snapshot!(Error::NotExecutable("/a/deploy".into()), @"Script /a/deploy not executable.");
    }
}
