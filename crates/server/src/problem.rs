//! What a client is told when something fails: a status, a code from a closed list, and one clear line.

use std::error::Error;
use std::io;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use openshifter_chart::ChartError;
use openshifter_cluster::ClusterError;
use openshifter_migrate::{Failed, ImagesError, MigrateError, RunId, chain};

use crate::codec::CodecError;
use crate::wire::ProblemBody;

/// The code of a problem. The list is part of the service's contract; see `docs/rest.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    BadRequest,
    BadHost,
    MissingToken,
    NotLoggedIn,
    Forbidden,
    ClusterNotAllowed,
    NotFound,
    NoSuchProject,
    MethodNotAllowed,
    Conflict,
    Busy,
    PlanChanged,
    PlanNeeded,
    BadChart,
    TooLarge,
    Refused,
    Incomplete,
    ClusterUnreachable,
    UntrustedCertificate,
    ClusterFailed,
    DiskFull,
    Stopping,
    Internal,
}

impl Code {
    fn text(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::BadHost => "bad-host",
            Self::MissingToken => "missing-token",
            Self::NotLoggedIn => "not-logged-in",
            Self::Forbidden => "forbidden",
            Self::ClusterNotAllowed => "cluster-not-allowed",
            Self::NotFound => "not-found",
            Self::NoSuchProject => "no-such-project",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::Conflict => "conflict",
            Self::Busy => "busy",
            Self::PlanChanged => "plan-changed",
            Self::PlanNeeded => "plan-needed",
            Self::BadChart => "bad-chart",
            Self::TooLarge => "too-large",
            Self::Refused => "refused",
            Self::Incomplete => "incomplete",
            Self::ClusterUnreachable => "cluster-unreachable",
            Self::UntrustedCertificate => "untrusted-certificate",
            Self::ClusterFailed => "cluster-failed",
            Self::DiskFull => "disk-full",
            Self::Stopping => "stopping",
            Self::Internal => "internal",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::MissingToken | Self::NotLoggedIn => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::ClusterNotAllowed => StatusCode::FORBIDDEN,
            Self::NotFound | Self::NoSuchProject => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict | Self::Busy | Self::PlanChanged => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BadHost => StatusCode::MISDIRECTED_REQUEST,
            Self::BadChart | Self::Refused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::PlanNeeded => StatusCode::PRECONDITION_REQUIRED,
            Self::ClusterUnreachable | Self::UntrustedCertificate | Self::ClusterFailed => {
                StatusCode::BAD_GATEWAY
            }
            Self::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
            Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Incomplete | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A failure, as a client sees it.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    /// One line, without credentials.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
    /// The run that failed, when it changed something.
    pub(crate) run: Option<RunId>,
    /// Methods that the route takes, for 405.
    pub(crate) allow: Option<&'static str>,
}

impl Problem {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: one_line(&message.into()),
            hint: None,
            run: None,
            allow: None,
        }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint
            .map(|hint| one_line(&hint))
            // Some messages say it themselves.
            .filter(|hint| !self.message.contains(hint.as_str()));
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    pub(crate) fn not_allowed(allow: &'static str) -> Self {
        Self {
            allow: Some(allow),
            ..Self::new(
                Code::MethodNotAllowed,
                format!("this route takes only {}", allow.replace(", ", " and ")),
            )
        }
    }

    pub(crate) fn stopping() -> Self {
        Self::new(Code::Stopping, "the service is stopping; try again later")
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message)
    }

    /// A failure of this machine's own disk.
    pub(crate) fn local_io(what: &str, error: &io::Error) -> Self {
        if is_full(error) {
            disk_full(&format!("{what}: {error}"))
        } else {
            Self::internal(format!("{what}: {error}"))
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// The line for people.
    pub(crate) fn line(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; {hint}", self.message),
            None => self.message.clone(),
        }
    }

    /// The answer, in the form that the client asked for.
    pub(crate) fn respond(&self, json: bool) -> Response {
        let mut response = if json {
            let body = ProblemBody {
                status: self.status().as_u16(),
                code: self.code.text().to_owned(),
                error: self.message.clone(),
                hint: self.hint.clone(),
                run: self.run.clone(),
            };
            axum::Json(body).into_response()
        } else {
            let line = format!("{}\n", self.line());
            ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], line).into_response()
        };
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if self.code == Code::MissingToken {
            let bearer = HeaderValue::from_static("Bearer realm=\"openshifter\"");
            headers.insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

/// Whether a client asks for JSON rather than text.
pub(crate) fn wants_json(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/json"))
}

/// One line, whatever servers and files put into it.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control())
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn disk_full(what: &str) -> Problem {
    Problem::new(
        Code::DiskFull,
        format!(
            "no space is left: {}",
            what.trim_start_matches("no space is left: ")
        ),
    )
    .hint(Some(
        "free some, or start the service with a state folder on a larger disk".to_owned(),
    ))
}

/// Whether a disk or a quota is full.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Whether somewhere in the chain of causes a disk of this machine is full.
fn caused_by_full_disk(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(is_full) {
            return true;
        }
        cause = error.source();
    }
    false
}

impl From<CodecError> for Problem {
    fn from(error: CodecError) -> Self {
        Self::new(Code::BadChart, error.to_string())
    }
}

impl From<ClusterError> for Problem {
    fn from(error: ClusterError) -> Self {
        let code = cluster_code(&error);
        Self::new(code, chain(&error)).hint(error.hint())
    }
}

fn cluster_code(error: &ClusterError) -> Code {
    match error {
        ClusterError::BadBase { .. } | ClusterError::BadName { .. } => Code::BadRequest,
        ClusterError::UntrustedCertificate { .. } => Code::UntrustedCertificate,
        ClusterError::Unreachable { .. } => Code::ClusterUnreachable,
        ClusterError::NoSuchNamespace { .. } => Code::NoSuchProject,
        ClusterError::NamespaceTerminating { .. } => Code::Conflict,
        ClusterError::NamespaceTaken { .. } => Code::Forbidden,
        ClusterError::KindNotServed { .. } => Code::Refused,
        ClusterError::Kubeconfig { .. }
        | ClusterError::NoSuchContext { .. }
        | ClusterError::NoCurrentContext
        | ClusterError::NotInCluster { .. }
        | ClusterError::BadCredentials { .. } => Code::BadRequest,
        error if error.is_login() => Code::NotLoggedIn,
        error => match error.status() {
            Some(401) => Code::NotLoggedIn,
            Some(403) => Code::Forbidden,
            Some(404) => Code::NotFound,
            Some(409) => Code::Conflict,
            Some(400 | 422) => Code::Refused,
            Some(413) => Code::TooLarge,
            _ => Code::ClusterFailed,
        },
    }
}

impl From<MigrateError> for Problem {
    fn from(error: MigrateError) -> Self {
        Self::from(&error)
    }
}

impl From<&MigrateError> for Problem {
    fn from(error: &MigrateError) -> Self {
        if caused_by_full_disk(error) {
            return disk_full(&error.chain());
        }
        let text = match error {
            // The message of the library names options of the command line.
            MigrateError::Exists {
                count,
                first,
                field,
                namespace,
            } => format!(
                "{count} of the chart's objects exist in {namespace} and are not what the chart says, {first} for one ({field}); nothing was changed: delete them first"
            ),
            MigrateError::NoHelper {
                claim,
                namespace,
                tried,
            } => format!(
                "no pod with `tar` could be started in {namespace} to reach claim {claim} ({tried}); name an image that the cluster can pull and that has `sh`, `sleep` and `tar`: start the service with --helper-image (legacy routes) or send helperImage (/v1)"
            ),
            MigrateError::NeedsAllow { what, flag } => {
                let key = if *flag == "crds" {
                    "allowCrds"
                } else {
                    "allowBeyondProject"
                };
                format!(
                    "the chart holds {what}, which reach beyond the project; nothing was changed: look at them, and start the service with --allow {flag} (legacy routes) or send {key} (/v1)"
                )
            }
            // Where the upload is kept is nobody's business.
            MigrateError::OpenChart { source, .. } => chain(source),
            error => error.chain(),
        };
        // A volume at the other end, told by a program there.
        if text.contains("No space left on device") {
            return Self::new(Code::DiskFull, text);
        }
        let code = match error {
            MigrateError::Cluster(source) | MigrateError::Object { source, .. } => {
                cluster_code(source)
            }
            MigrateError::Chart(error) | MigrateError::OpenChart { source: error, .. } => {
                chart_code(error)
            }
            MigrateError::Images(error) => image_code(error),
            MigrateError::ImagesNotHad { first, .. } => image_code(first),
            MigrateError::UnusedChoice { .. } => Code::BadRequest,
            MigrateError::Exists { .. }
            | MigrateError::ClaimHoldsOtherData { .. }
            | MigrateError::ChangedMeanwhile { .. }
            | MigrateError::NotPossible(_) => Code::Conflict,
            MigrateError::Nothing { .. } => Code::NotFound,
            MigrateError::UnknownKinds { .. }
            | MigrateError::NeedsAllow { .. }
            | MigrateError::VolumeAccess { .. }
            | MigrateError::TarFailed { .. }
            | MigrateError::CannotQuiesce { .. }
            | MigrateError::NoHelper { .. }
            | MigrateError::Values(_)
            | MigrateError::Knob(_) => Code::Refused,
            MigrateError::Volume { .. }
            | MigrateError::VolumeDiffers { .. }
            | MigrateError::Build { .. } => Code::ClusterFailed,
            MigrateError::Cancelled => Code::Stopping,
            _ => Code::Internal,
        };
        Self::new(code, text).hint(error.hint())
    }
}

fn image_code(error: &ImagesError) -> Code {
    match error {
        ImagesError::BadChoice { .. }
        | ImagesError::BadReference { .. }
        | ImagesError::BadRegistry { .. } => Code::BadRequest,
        ImagesError::Cluster(error) => cluster_code(error),
        ImagesError::TagMoved { .. } => Code::PlanChanged,
        ImagesError::Untrusted { .. } => Code::UntrustedCertificate,
        ImagesError::Unreachable { .. } | ImagesError::Lost { .. } | ImagesError::NoWay { .. } => {
            Code::ClusterUnreachable
        }
        ImagesError::Unauthorized { .. } | ImagesError::Denied { .. } => Code::Forbidden,
        ImagesError::BadLayout { .. } | ImagesError::NotInLayout { .. } => Code::BadChart,
        ImagesError::Io { .. } => Code::Internal,
        ImagesError::Full { .. } | ImagesError::Refused { .. } | ImagesError::BadAnswer { .. } => {
            Code::ClusterFailed
        }
        _ => Code::Refused,
    }
}

fn chart_code(error: &ChartError) -> Code {
    match error {
        ChartError::TooLarge { .. } => Code::TooLarge,
        ChartError::NoRoom { .. } => Code::DiskFull,
        ChartError::File { .. }
        | ChartError::Exists(_)
        | ChartError::Send { .. }
        | ChartError::Worker => Code::Internal,
        _ => Code::BadChart,
    }
}

impl From<Failed> for Problem {
    fn from(failed: Failed) -> Self {
        let mut problem = Self::from(&failed.error);
        if failed.report.exit_status() == 4 {
            problem.hint = Some(format!(
                "stopped half-way: `openshifter undo {0}` takes back what was done, `openshifter resume {0}` goes on",
                failed.report.run
            ));
            problem.run = Some(failed.report.run);
        }
        problem
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn each_failure_has_its_status() {
        let problems: Vec<Problem> = vec![
            ClusterError::WrongPassword {
                cluster: "h:1".into(),
                username: "dev".into(),
            }
            .into(),
            ClusterError::Unreachable {
                cluster: "h:1".into(),
                host: "h:1".into(),
                reason: "refused".into(),
            }
            .into(),
            ClusterError::UntrustedCertificate {
                cluster: "h:1".into(),
                host: "h:1".into(),
                oauth: false,
                reason: "unknown issuer".into(),
            }
            .into(),
            ClusterError::NoSuchNamespace {
                cluster: "h:1".into(),
                namespace: "shop".into(),
                hidden: true,
            }
            .into(),
            MigrateError::Chart(ChartError::Torn {
                what: "no end".into(),
            })
            .into(),
            MigrateError::Chart(ChartError::Refused {
                path: "../x".into(),
                why: "leaves the chart".into(),
            })
            .into(),
            MigrateError::Chart(ChartError::TooLarge {
                what: "a bomb".into(),
            })
            .into(),
            MigrateError::Chart(ChartError::NoRoom { bytes: 9, free: 8 }).into(),
            MigrateError::Nothing {
                namespace: "shop".into(),
                selected: String::new(),
            }
            .into(),
            MigrateError::File {
                path: PathBuf::from("/spool/x"),
                source: io::Error::from(io::ErrorKind::StorageFull),
            }
            .into(),
            MigrateError::ClaimHoldsOtherData {
                claim: "data".into(),
                differences: "a is new".into(),
            }
            .into(),
            MigrateError::Cancelled.into(),
        ];
        let lines: Vec<String> = problems
            .iter()
            .map(|problem| format!("{} {}", problem.status().as_u16(), problem.line()))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        401 h:1: wrong user name or password for `dev`; check both; an account may also be locked after many attempts
        502 h:1: cannot reach h:1: refused; check the address, the network, and whether the cluster is up
        502 h:1: the certificate of h:1 is not trusted: unknown issuer; give the CA certificate that signed it, or allow this one cluster to be insecure
        404 h:1: there is no namespace `shop`, or this user may not see it; check the spelling, or ask for access to it with a role such as `view` or `admin`
        422 the archive is torn or broken: no end
        422 refused the archive: `../x` leaves the chart
        413 refused the archive: a bomb
        507 there is no room for the archive: it has 9 bytes or more, and 8 are free
        404 nothing to move: shop holds no objects of an application
        507 no space is left: cannot use /spool/x: no storage space; free some, or start the service with a state folder on a larger disk
        409 claim data exists and holds other data: a is new; --overwrite-data replaces it, and keeps a backup of it first
        503 stopped on request
        ");
    }

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(
            Problem::internal("a\nb\r\n\tc\u{1b}[0m").message,
            "a b c [0m"
        );
    }
}
