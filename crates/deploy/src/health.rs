//! Whether the application answers: asked through the API server, so that no route, name or firewall is in the way.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::{DeployError, Project};

/// Between two questions.
const PAUSE: Duration = Duration::from_secs(1);

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(30);

impl Project {
    /// Asks a Service for a path until it answers as a healthy application does; gives the status.
    ///
    /// # Errors
    /// [`DeployError::Unhealthy`] when it does not in time; when this user may not forward ports.
    pub async fn healthy(
        &self,
        service: &str,
        port: u16,
        path: &str,
        host: &str,
        within: Duration,
    ) -> Result<u16, DeployError> {
        let deadline = Instant::now() + within;
        loop {
            let why = match self.ask(service, port, path, host).await {
                Ok(Ok(status)) if is_healthy(status) => return Ok(status),
                Ok(Ok(status)) => format!("it says {status}"),
                Ok(Err(why)) => why,
                Err(error) if error.is_forbidden() => return Err(error.into()),
                Err(error) => error.to_string(),
            };
            if Instant::now() >= deadline {
                return Err(DeployError::Unhealthy {
                    cluster: self.cluster.name().to_owned(),
                    namespace: self.namespace.clone(),
                    what: format!("Svc/{service}"),
                    path: path.to_owned(),
                    why,
                });
            }
            sleep(PAUSE).await;
        }
    }

    async fn ask(
        &self,
        service: &str,
        port: u16,
        path: &str,
        host: &str,
    ) -> Result<Result<u16, String>, openshifter_cluster::ClusterError> {
        let forward = self
            .cluster
            .forward_service(&self.namespace, service, port)
            .await?;
        let asked = async {
            let mut tcp = TcpStream::connect(forward.address()).await?;
            // As a router in front of it would ask.
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Proto: https\r\nUser-Agent: openshifter\r\nConnection: close\r\n\r\n"
            );
            tcp.write_all(request.as_bytes()).await?;
            let mut head = Vec::new();
            tcp.take(64).read_to_end(&mut head).await?;
            Ok::<_, std::io::Error>(head)
        };
        let head = match timeout(ANSWER, asked).await {
            Ok(Ok(head)) => head,
            Ok(Err(error)) => return Ok(Err(error.to_string())),
            Err(_) => return Ok(Err(format!("no answer for {} s", ANSWER.as_secs()))),
        };
        Ok(status(&head).ok_or_else(|| {
            forward
                .failure()
                .unwrap_or_else(|| "it does not answer as a web server does".to_owned())
        }))
    }
}

fn status(head: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(head);
    let rest = text.strip_prefix("HTTP/1.")?;
    rest.split(' ').nth(1)?.trim().get(..3)?.parse().ok()
}

/// As the `ready` hook of a converted application has it: it answers, and is not in trouble itself.
fn is_healthy(status: u16) -> bool {
    matches!(status, 200..=399 | 401 | 403 | 404 | 405)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_from_the_first_line() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\nServer: x"), Some(200));
        assert_eq!(status(b"HTTP/1.0 302\r\n"), Some(302));
        assert_eq!(status(b"HTTP/1.1 5"), None);
        assert_eq!(status(b"SSH-2.0"), None);
        assert!(is_healthy(302) && is_healthy(404) && !is_healthy(500) && !is_healthy(400));
    }
}
