//! Why the client ends early. Nothing was changed then, unless the variant says otherwise.

use std::path::PathBuf;

use openshifter_migrate::{EndpointError, MigrateError};
use openshifter_server::{ProblemBody, RequestError};

use crate::PromptError;

/// Why the client ends early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// `input.json` or a cluster in it cannot be used.
    #[error(transparent)]
    Input(#[from] EndpointError),
    /// `input.json` names no cluster.
    #[error("{} names no cluster under `credentials`", .0.display())]
    Empty(PathBuf),
    /// The dialogue did not come to its end.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// A cluster said no, or a migration like this is not possible.
    #[error("{}", .0.chain())]
    Migrate(Box<MigrateError>),
    /// What was asked for cannot be a request.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The service refused.
    #[error("{0}")]
    Refused(Box<ProblemBody>),
    /// The address of the service cannot be one.
    #[error("`{text}` is no address of a service: {reason}; write it as `https://host:8443`")]
    BadService {
        /// What was given.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// The CA file for the service cannot be used.
    #[error("cannot use {} to verify the service: {reason}", path.display())]
    ServiceCa {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The service cannot be talked to.
    #[error("cannot reach the service at {service}: {reason}")]
    Unreachable {
        /// Its address.
        service: String,
        /// Why.
        reason: String,
    },
    /// The connection to the service was lost while it worked.
    #[error(
        "the service at {service} does not answer any more ({reason}); the migration may go on there: GET {service}v1/jobs/{job} tells"
    )]
    Lost {
        /// Its address.
        service: String,
        /// The job.
        job: String,
        /// Why.
        reason: String,
    },
    /// The service answered with something else than it should.
    #[error("{service} is not an openshifter service, or another version of it: {reason}")]
    NotAService {
        /// Its address.
        service: String,
        /// What was wrong.
        reason: String,
    },
    /// The person did not agree.
    #[error("not confirmed; nothing was changed")]
    NotConfirmed,
}

impl ClientError {
    /// The exit status for it: 2 for wrong input, 4 when work may be half done, else 3.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Input(_)
            | Self::Empty(_)
            | Self::Prompt(_)
            | Self::Request(_)
            | Self::BadService { .. }
            | Self::ServiceCa { .. } => 2,
            Self::Lost { .. } => 4,
            _ => 3,
        }
    }

    /// The message with its causes, in one line.
    pub fn chain(&self) -> String {
        openshifter_migrate::chain(self)
    }

    /// What to do next, where there is more to say than the message does.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Migrate(error) => error.hint(),
            Self::Input(EndpointError::Cluster(error)) | Self::Request(RequestError::Cluster(error)) => error.hint(),
            Self::Unreachable { reason, .. } if reason.contains("certificate") => Some(
                "give the file that verifies it (ca.pem in the service's folder), or allow it to be insecure".to_owned(),
            ),
            Self::Unreachable { .. } => {
                Some("is it started? `openshifter serve` does; plain http has to be said: http://host:port".to_owned())
            }
            _ => None,
        }
    }
}

impl From<MigrateError> for ClientError {
    fn from(error: MigrateError) -> Self {
        Self::Migrate(Box::new(error))
    }
}
