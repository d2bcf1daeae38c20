//! `--init`: the runner stays as process 1. It passes signals on, reaps orphans and, since it is still there when the
//! application answers, runs `post_deploy` then.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::clock;
use crate::environ::Environ;
use crate::error::Error;
use crate::program;
use crate::say::{self, Event, Log};
use crate::script::{self, Presence};
use crate::supervise::{self, Signals};

/// How often the application's port is tried.
const TRY: Duration = Duration::from_millis(100);
/// How long one try may take.
const CONNECT: Duration = Duration::from_millis(200);
/// How long `post_deploy` may take to end after SIGTERM when its time is over.
const GRACE: Duration = Duration::from_secs(10);

/// What is to run once the application answers.
#[derive(Debug, Clone)]
pub(crate) struct PostDeploy {
    pub(crate) path: PathBuf,
    /// For answering and running together.
    pub(crate) limit: Duration,
}

enum Phase {
    /// Nothing to do, or nothing any more.
    Idle,
    Waiting {
        until: Instant,
    },
    Running {
        pid: Pid,
        began: u128,
        until: Instant,
    },
    Ending {
        pid: Pid,
        began: u128,
        until: Instant,
    },
}

/// Runs the application to its end and returns its status.
pub(crate) fn run(
    command: Command,
    program: &str,
    post_deploy: Option<&PostDeploy>,
    environ: &Environ,
    log: Log,
) -> Result<u8, Error> {
    let mut signals = Signals::watch(true)?;
    // Only process 1 gets orphans by itself; elsewhere they have to be asked for.
    if rustix::process::getpid() != Pid::INIT {
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    }
    let app = supervise::spawn(command, program)?;
    let port = port(environ);
    let mut phase = match post_deploy {
        Some(hook) if script::presence(&hook.path) == Presence::Executable => Phase::Waiting {
            until: Instant::now() + hook.limit,
        },
        _ => Phase::Idle,
    };
    let path = post_deploy.map_or(Path::new(""), |hook| &hook.path);
    loop {
        for (pid, ended) in supervise::reap()? {
            let status = supervise::status(ended);
            if pid == app {
                return Ok(status);
            }
            phase = match phase {
                Phase::Running {
                    pid: hook, began, ..
                }
                | Phase::Ending {
                    pid: hook, began, ..
                } if hook == pid => {
                    report(path, began, status, log);
                    Phase::Idle
                }
                other => other,
            };
        }
        for signal in signals.take() {
            supervise::pass_on(signal, app);
            // An application that is to end is not deployed any more.
            if supervise::stops(signal) && matches!(phase, Phase::Waiting { .. }) {
                phase = Phase::Idle;
            }
        }
        phase = step(phase, port, path, environ);
        let limit = match &phase {
            Phase::Idle => None,
            Phase::Waiting { .. } => Some(TRY),
            Phase::Running { until, .. } | Phase::Ending { until, .. } => {
                Some(until.saturating_duration_since(Instant::now()))
            }
        };
        signals.wait(limit)?;
    }
}

fn step(phase: Phase, port: u16, path: &Path, environ: &Environ) -> Phase {
    let now = Instant::now();
    match phase {
        Phase::Waiting { until } if answers(port) => {
            say::banner(&format!("Running {}", path.display()));
            let began = clock::now_micros();
            let name = path.display().to_string();
            let started = program::child(path, path.as_os_str(), &[], environ)
                .and_then(|command| supervise::spawn(command, &name));
            match started {
                Ok(pid) => Phase::Running { pid, began, until },
                Err(error) => {
                    say::failure(&error);
                    Phase::Idle
                }
            }
        }
        Phase::Waiting { until } if until <= now => {
            say::error(&format!(
                "Script {} was not run: nothing answers on port {port} yet.",
                path.display()
            ));
            Phase::Idle
        }
        Phase::Running { pid, began, until } if until <= now => {
            say::error(&format!(
                "Script {} takes too long and is ended.",
                path.display()
            ));
            let _ = rustix::process::kill_process(pid, Signal::TERM);
            let until = now + GRACE;
            Phase::Ending { pid, began, until }
        }
        Phase::Ending { pid, began, until } if until <= now => {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
            let until = now + GRACE;
            Phase::Ending { pid, began, until }
        }
        other => other,
    }
}

fn report(path: &Path, began: u128, status: u8, log: Log) {
    if status != 0 {
        say::error(&format!(
            "Script {} failed with status {status}; the application goes on.",
            path.display()
        ));
    }
    log.event(&Event {
        step: "post_deploy",
        path,
        began,
        status: Some(status),
    });
}

/// Where builders let applications listen.
fn port(environ: &Environ) -> u16 {
    let port = environ
        .get("PORT")
        .and_then(|port| port.to_str()?.trim().parse().ok());
    port.unwrap_or(8080)
}

fn answers(port: u16) -> bool {
    let hosts = [
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
    ];
    hosts
        .iter()
        .any(|host| TcpStream::connect_timeout(host, CONNECT).is_ok())
}
