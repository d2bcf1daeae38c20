//! Probes: asking a container whether it has started, is ready, is alive.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::calls::{self, Sockets};
use super::exec::{Exec, exec};
use crate::agent::wire::{Outcome, Request};
use crate::object::{list, number, text};

/// Answers are read this far.
const MAX_ANSWER: usize = 64 << 10;

/// A probe with its times.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    action: Action,
    pub(crate) initial_delay: Duration,
    pub(crate) period: Duration,
    timeout: Duration,
    pub(crate) success_threshold: i64,
    pub(crate) failure_threshold: i64,
}

#[derive(Debug, Clone)]
enum Action {
    Http {
        port: u16,
        head: String,
    },
    Tcp {
        port: u16,
    },
    Exec {
        command: Vec<String>,
    },
    /// Something the node does not do; the probe fails with these words.
    Unsupported(&'static str),
}

impl Probe {
    /// Reads a probe of a container; `None` if it has none.
    pub(crate) fn of(container: &Value, kind: &str) -> Option<Self> {
        let probe = container.get(kind).filter(|probe| !probe.is_null())?;
        let seconds = |field: &str, default: i64| {
            let seconds = number(probe, &format!("/{field}")).unwrap_or(default);
            Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
        };
        let at_least_one = |field: &str, default| {
            number(probe, &format!("/{field}"))
                .unwrap_or(default)
                .max(1)
        };
        Some(Self {
            action: Action::of(container, probe),
            initial_delay: seconds("initialDelaySeconds", 0),
            period: seconds("periodSeconds", 10).max(Duration::from_secs(1)),
            timeout: seconds("timeoutSeconds", 1).max(Duration::from_secs(1)),
            success_threshold: at_least_one("successThreshold", 1),
            failure_threshold: at_least_one("failureThreshold", 3),
        })
    }

    /// Asks once.
    pub(crate) async fn ask(&self, sockets: &Sockets, target: &Target) -> Result<(), String> {
        match tokio::time::timeout(self.timeout, self.action.ask(sockets, target)).await {
            Ok(answer) => answer,
            Err(_) => Err("timed out".to_owned()),
        }
    }
}

/// Runs a lifecycle hook of a container, if it has it.
pub(crate) async fn hook(
    container: &Value,
    kind: &str,
    sockets: &Sockets,
    target: &Target,
) -> Result<(), String> {
    let hook = &container["lifecycle"][kind];
    if hook.is_null() {
        return Ok(());
    }
    if let Some(seconds) = number(hook, "/sleep/seconds") {
        tokio::time::sleep(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))).await;
        return Ok(());
    }
    // The field is there for old objects alone.
    if !hook["tcpSocket"].is_null() {
        return Err("invalid handler: tcpSocket".to_owned());
    }
    Action::of(container, hook).ask(sockets, target).await
}

/// Whom to ask.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) container: String,
    pub(crate) socket: String,
    /// The machine's port that stands for the container's, without a sandbox.
    pub(crate) port_map: Vec<(u16, u16)>,
    /// Mounts by which words are rewritten, without a sandbox.
    pub(crate) rewrites: super::bare::Rewrites,
    /// Ports that the application is said to listen on.
    pub(crate) own_ports: Vec<u16>,
}

impl Target {
    pub(crate) fn port(&self, port: u16) -> u16 {
        self.port_map
            .iter()
            .find(|(inner, _)| *inner == port)
            .map_or(port, |(_, outer)| *outer)
    }
}

impl Action {
    fn of(container: &Value, probe: &Value) -> Self {
        if let Some(http) = probe.get("httpGet").filter(|v| !v.is_null()) {
            if text(http, "/scheme") == "HTTPS" {
                return Self::Unsupported("the node does not implement HTTPS requests");
            }
            let Some(port) = port(container, &http["port"]) else {
                return Self::Unsupported("the port is not one of the container");
            };
            let path = match text(http, "/path") {
                "" => "/",
                path => path,
            };
            let mut head = format!("GET {path} HTTP/1.1\r\n");
            let headers = list(http, "/httpHeaders");
            let is_host = |header: &&Value| text(header, "/name").eq_ignore_ascii_case("host");
            if !headers.iter().any(|header| is_host(&header)) {
                head.push_str(&format!("Host: localhost:{port}\r\n"));
            }
            for header in headers {
                head.push_str(&format!(
                    "{}: {}\r\n",
                    text(header, "/name"),
                    text(header, "/value")
                ));
            }
            head.push_str(
                "User-Agent: kube-probe/1.36\r\nAccept: */*\r\nConnection: close\r\n\r\n",
            );
            return Self::Http { port, head };
        }
        if let Some(tcp) = probe.get("tcpSocket").filter(|v| !v.is_null()) {
            return match port(container, &tcp["port"]) {
                Some(port) => Self::Tcp { port },
                None => Self::Unsupported("the port is not one of the container"),
            };
        }
        if !probe["exec"].is_null() {
            return Self::Exec {
                command: crate::object::texts(probe, "/exec/command"),
            };
        }
        Self::Unsupported("the node does not implement this kind of action")
    }

    async fn ask(&self, sockets: &Sockets, target: &Target) -> Result<(), String> {
        match self {
            Self::Unsupported(why) => Err((*why).to_owned()),
            Self::Tcp { port } => connect(sockets, target, *port).await.map(drop),
            Self::Http { port, head } => {
                let mut stream = connect(sockets, target, *port).await?;
                stream
                    .write_all(head.as_bytes())
                    .await
                    .map_err(|e| e.to_string())?;
                let mut answer = Vec::new();
                stream
                    .take(MAX_ANSWER as u64)
                    .read_to_end(&mut answer)
                    .await
                    .map_err(|e| e.to_string())?;
                match http_status(&answer) {
                    Some(200..=399) => Ok(()),
                    Some(status) => Err(format!("HTTP probe failed with statuscode: {status}")),
                    None => Err("the answer is not HTTP".to_owned()),
                }
            }
            Self::Exec { command } => {
                let what = Exec {
                    command: target.rewrites.words(command),
                    stdin: false,
                    stdout: false,
                    stderr: false,
                    tty: false,
                };
                let session = exec(sockets, &target.socket, &target.container, what)
                    .await
                    .map_err(|e| e.to_string())?;
                match session.exit.await.map_err(|e| e.to_string())? {
                    0 => Ok(()),
                    code => Err(format!("command terminated with exit code {code}")),
                }
            }
        }
    }
}

/// Connects to a port inside the container.
pub(crate) async fn connect(
    sockets: &Sockets,
    target: &Target,
    port: u16,
) -> Result<tokio::net::UnixStream, String> {
    let request = Request::Port {
        port: target.port(port),
    };
    let mut stream = sockets
        .call(&target.socket, &request)
        .await
        .map_err(|e| e.to_string())?;
    match calls::outcome(&mut stream)
        .await
        .map_err(|e| e.to_string())?
    {
        Outcome::Started => Ok(stream),
        Outcome::Refused { message, .. } => Err(message),
        other => Err(format!("the agent answered {other:?}")),
    }
}

fn http_status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|b| *b == b'\r' || *b == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split(' ');
    words
        .next()?
        .starts_with("HTTP/1.")
        .then(|| words.next()?.parse().ok())
        .flatten()
}

/// A port by number or by its name in the container.
pub(crate) fn port(container: &Value, port: &Value) -> Option<u16> {
    let number = match (port.as_i64(), port.as_str()) {
        (Some(number), _) => Some(number),
        (None, Some(name)) => name.parse().ok().or_else(|| {
            list(container, "/ports")
                .iter()
                .find(|port| port["name"] == name)
                .and_then(|port| number(port, "/containerPort"))
        }),
        (None, None) => None,
    };
    number.and_then(|number| u16::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_probe_is_read_with_its_defaults() {
        let container = json!({
            "ports": [{"name": "web", "containerPort": 8080}],
            "readinessProbe": {"httpGet": {"port": "web", "path": "/healthz"}, "periodSeconds": 2}
        });
        let probe = Probe::of(&container, "readinessProbe").unwrap();
        assert_eq!(
            (probe.period, probe.failure_threshold),
            (Duration::from_secs(2), 3)
        );
        assert!(
            matches!(probe.action, Action::Http { port: 8080, ref head } if head.starts_with("GET /healthz HTTP/1.1\r\nHost: "))
        );
        assert!(Probe::of(&container, "livenessProbe").is_none());
    }

    #[test]
    fn the_status_is_read_from_the_first_line() {
        assert_eq!(http_status(b"HTTP/1.1 204 No Content\r\n\r\n"), Some(204));
        assert_eq!(http_status(b"HTTP/1.0 500\n"), Some(500));
        assert_eq!(http_status(b"SSH-2.0-x\r\n"), None);
        assert_eq!(http_status(b""), None);
    }
}
