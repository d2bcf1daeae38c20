//! What failed, whether it is worth another try, and after how long.

use std::error::Error as StdError;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use crate::ImagesError;
use crate::words::{chain, shortened};

/// Time limits, numbers of attempts and sizes. The defaults suit real registries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistryTuning {
    /// Until a connection stands.
    pub connect_timeout: Duration,
    /// Until an answer begins.
    pub answer_timeout: Duration,
    /// Until a registry has put a whole blob in its place: some read it once more.
    pub commit_timeout: Duration,
    /// Between two pieces of a blob.
    pub idle_timeout: Duration,
    /// Attempts without progress, the first included.
    pub attempts: u32,
    /// Delay after the first failure; it doubles from there on.
    pub first_delay: Duration,
    /// The longest delay, also of those that a registry asks for.
    pub longest_delay: Duration,
    /// Bytes of an upload per request: what may have to be sent again after a cut.
    pub chunk: u64,
}

impl Default for RegistryTuning {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(60),
            commit_timeout: Duration::from_secs(600),
            idle_timeout: Duration::from_secs(60),
            attempts: 6,
            first_delay: Duration::from_millis(250),
            longest_delay: Duration::from_secs(60),
            chunk: 256 << 20,
        }
    }
}

/// One attempt that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: ImagesError,
    pub(crate) again: bool,
    retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn last(error: ImagesError) -> Self {
        Self {
            error,
            again: false,
            retry_after: None,
        }
    }

    pub(crate) fn passing(error: ImagesError) -> Self {
        Self {
            error,
            again: true,
            retry_after: None,
        }
    }
}

/// The course of the attempts at one thing.
#[derive(Debug)]
pub(crate) struct Attempts {
    tuning: RegistryTuning,
    made: u32,
}

impl Attempts {
    pub(crate) fn new(tuning: RegistryTuning) -> Self {
        Self { tuning, made: 0 }
    }

    /// There was progress: what fails next is a new failure.
    pub(crate) fn progressed(&mut self) {
        self.made = 0;
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// The failure, when it is final or there were enough attempts.
    pub(crate) async fn pause(&mut self, failure: Failure) -> Result<(), ImagesError> {
        self.made += 1;
        if !failure.again || self.made >= self.tuning.attempts {
            return Err(failure.error);
        }
        let delay = failure
            .retry_after
            .unwrap_or_else(|| self.backoff())
            .min(self.tuning.longest_delay);
        tracing::debug!(error = %failure.error, delay_ms = delay.as_millis() as u64, "trying again");
        tokio::time::sleep(delay).await;
        Ok(())
    }

    /// Doubles, and is spread so that blobs copied in parallel do not come back all at once.
    fn backoff(&self) -> Duration {
        let doubled = self
            .tuning
            .first_delay
            .saturating_mul(1 << self.made.saturating_sub(1).min(16));
        let spread = RandomState::new().build_hasher().finish() % 50;
        doubled.mul_f64(0.75 + spread as f64 / 100.0)
    }
}

/// A redirect that our policy refused; its address, without a query.
#[derive(Debug, thiserror::Error)]
#[error("it redirects to plain http")]
pub(crate) struct PlainRedirect(pub(crate) String);

/// What a failed connection means.
pub(crate) fn transport(registry: &str, action: &str, error: &reqwest::Error) -> Failure {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(PlainRedirect(url)) = error.downcast_ref() {
            return Failure::last(ImagesError::PlainHttp {
                registry: registry.to_owned(),
                url: url.clone(),
            });
        }
        match error.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(reason)) => {
                return Failure::last(ImagesError::Untrusted {
                    registry: registry.to_owned(),
                    reason: certificate_text(reason),
                });
            }
            // What a TLS client makes of an answer in plain http.
            Some(rustls::Error::InvalidMessage(_)) => {
                return Failure::last(ImagesError::PlainHttp {
                    registry: registry.to_owned(),
                    url: format!("http://{registry}/"),
                });
            }
            _ => {}
        }
        // The error within an `io::Error` is not its source but itself.
        next = match error.downcast_ref::<std::io::Error>() {
            Some(io) if io.get_ref().is_some() => {
                io.get_ref().map(|inner| inner as &(dyn StdError + 'static))
            }
            _ => error.source(),
        };
    }
    // A redirect's address may hold a signature that is as good as a password.
    let reason = error
        .source()
        .map_or_else(|| "the connection broke".to_owned(), chain);
    Failure::passing(if error.is_connect() {
        ImagesError::Unreachable {
            registry: registry.to_owned(),
            reason,
        }
    } else {
        ImagesError::Lost {
            registry: registry.to_owned(),
            action: action.to_owned(),
            reason,
        }
    })
}

fn certificate_text(error: &rustls::CertificateError) -> String {
    use rustls::CertificateError as E;
    match error {
        E::UnknownIssuer | E::BadSignature => "it is signed by an unknown authority".into(),
        E::Expired | E::ExpiredContext { .. } => "it has expired".into(),
        E::NotValidYet | E::NotValidYetContext { .. } => "it is not valid yet".into(),
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            "it is made out to another name".into()
        }
        other => shortened(&other.to_string(), 200),
    }
}

/// What an error answer means.
pub(crate) fn refusal(
    registry: &str,
    action: &str,
    had_credentials: bool,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Failure {
    let detail = detail(status, body);
    let (registry, action) = (registry.to_owned(), action.to_owned());
    let lower = detail.to_ascii_lowercase();
    let no_room = [
        "no space left",
        "disk quota exceeded",
        "exceeded quota",
        "quota exceeded",
        "insufficient storage",
    ]
    .iter()
    .any(|words| lower.contains(words));
    if no_room || status == StatusCode::INSUFFICIENT_STORAGE {
        return Failure::last(ImagesError::Full {
            registry,
            action,
            detail,
        });
    }
    let code = status.as_u16();
    match code {
        401 => Failure::last(ImagesError::Unauthorized {
            registry,
            action,
            had_credentials,
            detail,
        }),
        403 => Failure::last(ImagesError::Denied {
            registry,
            action,
            detail,
        }),
        _ => Failure {
            again: matches!(code, 408 | 429 | 500 | 502 | 503 | 504),
            retry_after: retry_after(headers),
            error: ImagesError::Refused {
                registry,
                action,
                status: code,
                detail,
            },
        },
    }
}

/// Seconds, or a date (RFC 9110).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let left = until.duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(left).unwrap_or_default())
}

/// The registry's own words: `{"errors": [{"code", "message", "detail"}]}`, else text.
fn detail(status: StatusCode, body: &[u8]) -> String {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let said: Vec<String> = json
        .as_ref()
        .and_then(|json| json["errors"].as_array())
        .into_iter()
        .flatten()
        .map(|error| {
            let text = |field: &str| error[field].as_str().unwrap_or_default().to_owned();
            let detail = match &error["detail"] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                // Distribution tells an error of its storage in here.
                Value::Object(map) => match map.get("Err").or_else(|| map.get("message")) {
                    Some(Value::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                    None => String::new(),
                },
                _ => String::new(),
            };
            [text("code"), text("message"), detail]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(": ")
        })
        .collect();
    if !said.is_empty() {
        return shortened(&said.join("; "), 300);
    }
    let text = json
        .as_ref()
        .and_then(|json| json["message"].as_str().or(json["details"].as_str()))
        .map(str::to_owned)
        .or_else(|| {
            let text = String::from_utf8_lossy(body);
            // A page of a proxy says nothing.
            (!text.trim_start().starts_with('<')).then(|| text.into_owned())
        })
        .filter(|text| !text.trim().is_empty());
    shortened(
        &text.unwrap_or_else(|| {
            status
                .canonical_reason()
                .unwrap_or("no reason given")
                .to_owned()
        }),
        300,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str) -> Failure {
        let status = StatusCode::from_u16(status).unwrap();
        refusal(
            "r:5000",
            "write the blob sha256:00",
            true,
            status,
            &HeaderMap::new(),
            body.as_bytes(),
        )
    }

    #[test]
    fn a_full_registry_is_told_from_one_in_trouble() {
        let full = r#"{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":{"DriverName":"filesystem","Enclosed":{},"Err":"write /x: no space left on device"}}]}"#;
        let shown: Vec<String> = [(500, full), (507, ""), (503, "<html>"), (403, r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#), (401, "")]
            .into_iter()
            .map(|(status, body)| {
                let failure = refused(status, body);
                format!("{} ({})", failure.error, if failure.again { "again" } else { "last" })
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        r:5000: no room left to write the blob sha256:00: UNKNOWN: unknown error: write /x: no space left on device (last)
        r:5000: no room left to write the blob sha256:00: Insufficient Storage (last)
        r:5000: cannot write the blob sha256:00: Service Unavailable (503) (again)
        r:5000: may not write the blob sha256:00: DENIED: requested access to the resource is denied (last)
        r:5000: cannot write the blob sha256:00: the credentials are not accepted: Unauthorized (last)
        ");
    }

    #[test]
    fn a_registry_says_how_long_to_wait() {
        let after = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("soon"), None);
    }
}
