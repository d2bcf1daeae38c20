//! `--init`: the runner stays as process 1. It passes signals on, reaps orphans and, since it is still there when the
//! application answers, runs `post_deploy` then.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use signal_hook::consts::signal::SIGHUP;

use crate::clock;
use crate::environ::Environ;
use crate::error::Error;
use crate::family;
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
    /// The hook has been told to end, and what it has started with it: its group, and what has left that.
    Ending {
        pid: Pid,
        began: u128,
        until: Instant,
        family: HashSet<Pid>,
        /// It has ended itself.
        ended: bool,
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
        let arrived = signals.take();
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
                    match phase {
                        Phase::Ending { until, family, .. } => Phase::Ending {
                            pid,
                            began,
                            until,
                            family,
                            ended: true,
                        },
                        _ => Phase::Idle,
                    }
                }
                other => other,
            };
        }
        for arrived in arrived {
            let signal = arrived.signal;
            supervise::pass_on(arrived, app);
            match phase {
                // An application that is to end is not deployed any more. By SIGHUP it is told to read its files again.
                Phase::Waiting { .. } if supervise::stops(signal) && signal != SIGHUP => {
                    say::warning(&format!(
                        "Script {} is not run: the application has been asked to stop before it answered (signal {signal}).",
                        path.display()
                    ));
                    phase = Phase::Idle;
                }
                // A terminal gives its signals to one group alone.
                Phase::Running { pid, .. } if arrived.from_terminal => {
                    supervise::kill(signal, pid, true);
                }
                _ => {}
            }
        }
        phase = step(phase, port, path, environ);
        let limit = match &phase {
            Phase::Idle => None,
            Phase::Waiting { .. } | Phase::Ending { ended: true, .. } => Some(TRY),
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
            let started =
                program::child(path, path.as_os_str(), &[], environ).and_then(|mut command| {
                    command.process_group(0);
                    supervise::spawn(command, &name)
                });
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
            let family = family::of(pid);
            end(pid, &family, Signal::TERM);
            Phase::Ending {
                pid,
                began,
                until: now + GRACE,
                family,
                ended: false,
            }
        }
        Phase::Ending {
            ended: true,
            pid,
            ref family,
            ..
        } if !is_left(pid, family) => Phase::Idle,
        Phase::Ending {
            pid,
            began,
            until,
            family,
            ended,
        } if until <= now => {
            end(pid, &family, Signal::KILL);
            Phase::Ending {
                pid,
                began,
                until: now + GRACE,
                family,
                ended,
            }
        }
        other => other,
    }
}

/// Sends a signal to the hook's group, and to those of its family that have left it and are still below this process.
fn end(hook: Pid, family: &HashSet<Pid>, signal: Signal) {
    let _ = rustix::process::kill_process_group(hook, signal);
    let present = family::below(&HashSet::new());
    for pid in family.intersection(&present) {
        supervise::kill(signal.as_raw(), *pid, false);
    }
}

/// Whether anything of the hook's is left.
fn is_left(hook: Pid, family: &HashSet<Pid>) -> bool {
    rustix::process::test_kill_process_group(hook).is_ok()
        || !family.is_disjoint(&family::below(&HashSet::new()))
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
