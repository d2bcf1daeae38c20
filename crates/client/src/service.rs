//! Migrations by the REST service: a plan, then a job that is watched.

use std::error::Error as _;
use std::time::Duration;

use fs_err as fs;
use openshifter_migrate::Report;
use openshifter_server::{JobBody, MigrationRequest, PlanBody, ProblemBody, token_path};
use reqwest::{Certificate, Client, Method, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{ClientError, ClientOptions, Happening, Output};

/// Planning lists two projects; a plain answer comes long before.
const TIMEOUT: Duration = Duration::from_secs(180);

/// How often in a row a job may not be asked for before it counts as lost.
const LOST_AFTER: u32 = 10;

/// A service that does the work.
pub(crate) struct Service {
    url: Url,
    client: Client,
    token: Option<SecretString>,
}

impl Service {
    pub(crate) fn new(url: Url, options: &ClientOptions) -> Result<Self, ClientError> {
        let here = is_here(&url);
        let mut builder = Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .timeout(TIMEOUT)
            // What carries credentials goes nowhere but where it was sent.
            .redirect(reqwest::redirect::Policy::none());
        if here {
            builder = builder.no_proxy();
        }
        let own_ca = options.state.path().join("service").join("ca.pem");
        if options.insecure || url.scheme() == "http" {
            builder = builder.tls_danger_accept_invalid_certs(true);
        } else if let Some(path) = &options.ca {
            let pem = fs::read(path).map_err(|error| ClientError::ServiceCa {
                path: path.clone(),
                reason: error.to_string(),
            })?;
            builder = builder.tls_certs_only(certificates(&pem).ok_or_else(|| {
                ClientError::ServiceCa {
                    path: path.clone(),
                    reason: "it holds no certificate in PEM form".to_owned(),
                }
            })?);
        } else if here && let Some(known) = fs::read(own_ca).ok().and_then(|pem| certificates(&pem))
        {
            // A service of the same user on this machine: its certificate is known.
            builder = builder.tls_certs_only(known);
        }
        let client = builder
            .build()
            .map_err(|error| unreachable_error(&url, &error))?;
        let token = options.token.clone().or_else(|| {
            // Another machine's service has another token, and must not learn ours.
            let text = here.then(|| fs::read_to_string(token_path(&options.state)).ok())??;
            Some(text.trim().to_owned().into())
        });
        Ok(Self { url, client, token })
    }

    /// Uses another token.
    pub(crate) fn set_token(&mut self, token: SecretString) {
        self.token = Some(token);
    }

    /// Finds out what would be done.
    pub(crate) async fn plan(&self, request: &MigrationRequest) -> Result<PlanBody, ClientError> {
        self.post("v1/plans", request).await
    }

    /// Has it done, and tells what happens meanwhile.
    pub(crate) async fn migrate(
        &self,
        request: &MigrationRequest,
        cancel: CancellationToken,
        output: &mut dyn Output,
    ) -> Result<Report, ClientError> {
        let mut job: JobBody = self.post("v1/migrations", request).await?;
        let path = format!("v1/jobs/{}", job.id);
        tell(None, &job, output);
        let mut failures = 0;
        let mut asked_to_stop = false;
        while job.state.is_running() {
            let next = tokio::select! {
                next = self.watch(&path, job.revision) => next,
                () = cancel.cancelled(), if !asked_to_stop => {
                    asked_to_stop = true;
                    self.send::<()>(Method::DELETE, &path, None).await.map(drop)?;
                    continue;
                }
            };
            match next {
                Ok(next) => {
                    failures = 0;
                    tell(Some(&job), &next, output);
                    job = next;
                }
                Err(ClientError::Unreachable { reason, .. }) => {
                    failures += 1;
                    if failures == LOST_AFTER {
                        return Err(ClientError::Lost {
                            service: self.url.to_string(),
                            job: job.id.to_string(),
                            reason,
                        });
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => return Err(error),
            }
        }
        job.report.ok_or_else(|| ClientError::Lost {
            service: self.url.to_string(),
            job: job.id.to_string(),
            reason: "it was stopped while it worked".to_owned(),
        })
    }

    async fn watch(&self, path: &str, revision: u64) -> Result<JobBody, ClientError> {
        let response = self
            .send::<()>(Method::GET, &format!("{path}?after={revision}"), None)
            .await?;
        self.read(response).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let response = self.send(Method::POST, path, Some(body)).await?;
        self.read(response).await
    }

    /// Sends a request. An answer that is no success is an error.
    async fn send<B: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<Response, ClientError> {
        let url = self
            .url
            .join(path)
            .map_err(|error| self.strange(error.to_string()))?;
        let mut request = self.client.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request
            .send()
            .await
            .map_err(|error| unreachable_error(&self.url, &error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response
            .bytes()
            .await
            .map_err(|error| unreachable_error(&self.url, &error))?;
        match serde_json::from_slice::<ProblemBody>(&text) {
            Ok(problem) => Err(ClientError::Refused(Box::new(problem))),
            Err(_) => Err(self.strange(format!("it answered {status}"))),
        }
    }

    async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, ClientError> {
        let status = response.status();
        let text = response
            .bytes()
            .await
            .map_err(|error| unreachable_error(&self.url, &error))?;
        serde_json::from_slice(&text).map_err(|error| match status {
            StatusCode::OK | StatusCode::ACCEPTED => self.strange(error.to_string()),
            other => self.strange(format!("it answered {other}")),
        })
    }

    fn strange(&self, reason: String) -> ClientError {
        ClientError::NotAService {
            service: self.url.to_string(),
            reason,
        }
    }
}

fn certificates(pem: &[u8]) -> Option<Vec<Certificate>> {
    Certificate::from_pem_bundle(pem)
        .ok()
        .filter(|certificates| !certificates.is_empty())
}

/// Whether a service is on this machine.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn unreachable_error(url: &Url, error: &reqwest::Error) -> ClientError {
    // The outermost text only repeats the URL.
    let mut reason = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !reason.contains(&text) {
            if !reason.is_empty() {
                reason.push_str(": ");
            }
            reason.push_str(&text);
        }
        cause = error.source();
    }
    if reason.is_empty() {
        reason = if error.is_timeout() {
            "no answer in time".to_owned()
        } else {
            error.to_string()
        };
    }
    ClientError::Unreachable {
        service: url.to_string(),
        reason,
    }
}

/// Tells what has changed between two looks at a job.
fn tell(before: Option<&JobBody>, now: &JobBody, output: &mut dyn Output) {
    let stage = before.and_then(|job| job.stage.as_ref());
    if let Some(text) = &now.stage
        && stage != Some(text)
    {
        output.progress(&Happening::Stage(text.clone()));
    }
    let known = before.map(|job| job.notes.as_slice()).unwrap_or_default();
    // Only the newest notes are kept, so the old ones are not simply a beginning of the new ones.
    let new = (0..=known.len().min(now.notes.len()))
        .rev()
        .find(|overlap| known.ends_with(&now.notes[..*overlap]))
        .unwrap_or(0);
    for note in &now.notes[new..] {
        output.progress(&Happening::Note(note.clone()));
    }
    if let Some(count) = now.count
        && before.is_none_or(|job| job.count != Some(count))
    {
        output.progress(&Happening::Count {
            done: count.done,
            total: count.total,
        });
    }
    for (claim, volume) in &now.volumes {
        if before.and_then(|job| job.volumes.get(claim)) == Some(volume) {
            continue;
        }
        output.progress(&Happening::Volume {
            claim: claim.clone(),
            done: volume.done,
            total: volume.total,
        });
        if volume.finished {
            output.progress(&Happening::VolumeDone {
                claim: claim.clone(),
            });
        }
    }
}
