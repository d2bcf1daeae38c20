//! Exit statuses: a contract with scripts.

use std::process::ExitCode;

use openshifter_migrate::PlannedImages;

use crate::printer::Printer;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: everything that was asked for is there and was checked.
    Complete,
    /// 1: finished with something missing, listed.
    Incomplete,
    /// 2: wrong usage.
    Usage,
    /// 3: failed, nothing was changed.
    Failed,
    /// 4: stopped half-way; `undo` and `resume` are possible.
    Stopped,
    /// The exit status of a command that ran in a container.
    Command(u8),
}

impl Exit {
    /// The status of a report.
    pub(crate) fn of_report(report: &openshifter_migrate::Report) -> Self {
        Self::of_status(report.exit_status()).unwrap_or(Self::Failed)
    }

    /// The status of a run that was only planned: what it would be, as far as its images tell.
    pub(crate) fn of_images(images: &PlannedImages, migrates: bool, printer: Printer) -> Self {
        let Some((image, refused)) = images.against(migrates) else {
            return Self::Complete;
        };
        let problem = image.problem.as_deref().unwrap_or_default();
        let (would, exit) = match refused {
            true => ("nothing would be done", Self::Failed),
            false => ("something would be missing", Self::Incomplete),
        };
        printer.note(&format!("{would}: image {}: {problem}", image.image.name));
        exit
    }

    /// The status of that number.
    pub(crate) fn of_status(status: u8) -> Option<Self> {
        Some(match status {
            0 => Self::Complete,
            1 => Self::Incomplete,
            2 => Self::Usage,
            3 => Self::Failed,
            4 => Self::Stopped,
            _ => return None,
        })
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Complete => 0,
            Exit::Incomplete => 1,
            Exit::Usage => 2,
            Exit::Failed => 3,
            Exit::Stopped => 4,
            Exit::Command(status) => status,
        })
    }
}

/// A mistake in how the program was called.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Stopped by Ctrl-C before the first change.
#[derive(Debug, thiserror::Error)]
#[error("stopped on request; nothing was changed")]
pub(crate) struct Interrupted;

/// The status of an error that reached `main`. Runs report for themselves.
pub(crate) fn of(error: &anyhow::Error) -> Exit {
    use openshifter_migrate::EndpointError;
    if error.downcast_ref::<Usage>().is_some() {
        return Exit::Usage;
    }
    if let Some(error) = error.downcast_ref::<openshifter_client::ClientError>() {
        return Exit::of_status(error.exit_status()).unwrap_or(Exit::Failed);
    }
    if error
        .downcast_ref::<openshifter_migrate::MigrateError>()
        .is_some_and(openshifter_migrate::MigrateError::is_usage)
    {
        return Exit::Usage;
    }
    match error.downcast_ref::<EndpointError>() {
        // The cluster answered, or did not: nobody typed that.
        None | Some(EndpointError::Cluster(_)) => Exit::Failed,
        Some(_) => Exit::Usage,
    }
}
