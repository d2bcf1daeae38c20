//! What a running container answers: commands to run in it, and connections to its ports.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::reaper::Reaper;
use super::services::Services;
use super::wire::{self, CHUNK, Frame, Kind, Outcome, Refusal, Request};
use super::{SUBCOMMAND, lookup};

/// What commands of a container have in common.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) reaper: Reaper,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) cwd: String,
    pub(crate) services: Services,
}

/// The sending side of a session, shared by the threads that copy its streams.
type Sender = Arc<Mutex<UnixStream>>;

/// Answers one connection. A cut connection is no error worth a log line.
pub(crate) fn serve(container: &Container, mut connection: UnixStream) {
    let Ok(Some(frame)) = wire::read(&mut connection) else {
        return;
    };
    let _ = match frame.parse() {
        Ok(Request::Exec {
            command,
            stdin,
            tty: false,
        }) => exec(container, connection, &command, stdin),
        Ok(Request::Exec {
            command, tty: true, ..
        }) => exec_tty(container, connection, &command),
        Ok(Request::Port { port }) => relay(connection, port),
        Ok(Request::Services { addresses }) => {
            container.services.offer(&addresses);
            Ok(())
        }
        Ok(Request::Start(_)) | Err(_) => Ok(()),
    };
}

/// A command as the container starts it: its environment, its folder, its path looked up.
pub(crate) fn prepare(
    env: &[(String, String)],
    cwd: &str,
    words: &[String],
) -> Result<Command, (Refusal, String)> {
    let (name, args) = words
        .split_first()
        .ok_or_else(|| (Refusal::Other, "no command specified".to_owned()))?;
    let path = env
        .iter()
        .rev()
        .find(|(name, _)| name == "PATH")
        .map_or(crate::images::DEFAULT_PATH, |(_, value)| value.as_str());
    let cwd = Path::new(if cwd.is_empty() { "/" } else { cwd });
    let program = lookup::find(name, path, cwd)?;
    let mut command = Command::new(program);
    std::os::unix::process::CommandExt::arg0(&mut command, name);
    command
        .args(args)
        .env_clear()
        .envs(env.iter().cloned())
        .current_dir(cwd);
    Ok(command)
}

fn exec(
    container: &Container,
    mut connection: UnixStream,
    words: &[String],
    stdin: bool,
) -> std::io::Result<()> {
    let started = prepare(&container.env, &container.cwd, words).and_then(|mut command| {
        command
            .stdin(if stdin { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        container
            .reaper
            .spawn(&mut command)
            .map_err(|e| (Refusal::Other, e.to_string()))
    });
    let mut process = match started {
        Ok(process) => process,
        Err((reason, message)) => {
            return answer(&mut connection, &Outcome::Refused { reason, message });
        }
    };
    answer(&mut connection, &Outcome::Started)?;
    let sender: Sender = Arc::new(Mutex::new(connection.try_clone()?));
    let outputs: Vec<JoinHandle<()>> = [
        process
            .child
            .stdout
            .take()
            .map(|from| copy(from, Kind::Stdout, &sender)),
        process
            .child
            .stderr
            .take()
            .map(|from| copy(from, Kind::Stderr, &sender)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut input = process.child.stdin.take();
    let over = Arc::new(AtomicBool::new(false));
    let (pid, done) = (process.pid, Arc::clone(&over));
    thread::spawn(move || {
        while let Ok(Some(frame)) = wire::read(&mut connection) {
            if frame.kind != Kind::Stdin {
                continue;
            }
            // An empty frame is the end of input; a command that reads no more ends it as well.
            if frame.payload.is_empty()
                || input
                    .as_mut()
                    .is_some_and(|to| to.write_all(&frame.payload).is_err())
            {
                input = None;
            }
        }
        // The client is gone. Without this a command that was cut off could run on for ever.
        if !done.load(Ordering::SeqCst) {
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    finish(&process.end, &over, outputs, &sender)
}

fn exec_tty(
    container: &Container,
    mut connection: UnixStream,
    words: &[String],
) -> std::io::Result<()> {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&terminal)?;
    unlockpt(&terminal)?;
    let name = ptsname(&terminal, Vec::new())?;
    // The agent leads a session: without the flag it would be given the terminal itself.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let open = || Ok(rustix::fs::open(&name, flags, Mode::empty())?);
    let started = prepare(&container.env, &container.cwd, words).and_then(|command| {
        let other = |e: std::io::Error| (Refusal::Other, e.to_string());
        let mut console = Command::new(std::env::current_exe().map_err(other)?);
        console
            .args([SUBCOMMAND, "console", "--"])
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .envs(container.env.iter().cloned())
            .env("TERM", "xterm")
            .current_dir(command.get_current_dir().unwrap_or(Path::new("/")))
            .stdin(open().map_err(other)?)
            .stdout(open().map_err(other)?)
            .stderr(open().map_err(other)?);
        container.reaper.spawn(&mut console).map_err(other)
    });
    let process = match started {
        Ok(process) => process,
        Err((reason, message)) => {
            return answer(&mut connection, &Outcome::Refused { reason, message });
        }
    };
    answer(&mut connection, &Outcome::Started)?;
    let sender: Sender = Arc::new(Mutex::new(connection.try_clone()?));
    let terminal = std::fs::File::from(terminal);
    let output = copy(terminal.try_clone()?, Kind::Stdout, &sender);
    let over = Arc::new(AtomicBool::new(false));
    let (pid, done) = (process.pid, Arc::clone(&over));
    thread::spawn(move || {
        let mut terminal = terminal;
        while let Ok(Some(frame)) = wire::read(&mut connection) {
            match (frame.kind, frame.payload.as_slice()) {
                // End of input, as it is typed.
                (Kind::Stdin, []) => drop(terminal.write_all(&[4])),
                (Kind::Stdin, bytes) => drop(terminal.write_all(bytes)),
                (Kind::Resize, &[r1, r0, c1, c0]) => {
                    let size = Winsize {
                        ws_row: u16::from_be_bytes([r1, r0]),
                        ws_col: u16::from_be_bytes([c1, c0]),
                        ws_xpixel: 0,
                        ws_ypixel: 0,
                    };
                    let _ = tcsetwinsize(&terminal, size);
                }
                _ => {}
            }
        }
        // The terminal is gone with the client.
        if !done.load(Ordering::SeqCst) {
            let _ = kill_process(pid, Signal::HUP);
        }
    });
    finish(&process.end, &over, vec![output], &sender)
}

/// Waits for a command's end and the end of its output, and reports.
fn finish(
    end: &std::sync::mpsc::Receiver<Outcome>,
    over: &AtomicBool,
    outputs: Vec<JoinHandle<()>>,
    sender: &Sender,
) -> std::io::Result<()> {
    let outcome = end.recv().unwrap_or(Outcome::Killed { signal: 9 });
    over.store(true, Ordering::SeqCst);
    for output in outputs {
        let _ = output.join();
    }
    let mut to = sender.lock().unwrap_or_else(PoisonError::into_inner);
    answer(&mut to, &outcome)?;
    to.shutdown(Shutdown::Both)
}

/// Sends a stream in frames until it ends. When the client is gone the rest is read and dropped,
/// as a genuine runtime does, so that the command is not ended by its output.
fn copy(mut from: impl Read + Send + 'static, kind: Kind, sender: &Sender) -> JoinHandle<()> {
    let sender = Arc::clone(sender);
    thread::spawn(move || {
        let mut buffer = vec![0; CHUNK];
        let mut gone = false;
        loop {
            match from.read(&mut buffer) {
                // A terminal answers EIO when its last user has closed it.
                Ok(0) => return,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return,
                Ok(_) if gone => {}
                Ok(n) => {
                    let mut to = sender.lock().unwrap_or_else(PoisonError::into_inner);
                    gone = wire::write(&mut *to, kind, &buffer[..n]).is_err();
                }
            }
        }
    })
}

fn relay(mut connection: UnixStream, port: u16) -> std::io::Result<()> {
    let reached =
        TcpStream::connect(("127.0.0.1", port)).or_else(|_| TcpStream::connect(("::1", port)));
    let inner = match reached {
        Ok(inner) => inner,
        Err(e) => {
            let message = format!("cannot connect to port {port}: {e}");
            return answer(
                &mut connection,
                &Outcome::Refused {
                    reason: Refusal::Other,
                    message,
                },
            );
        }
    };
    let _ = inner.set_nodelay(true);
    answer(&mut connection, &Outcome::Started)?;
    let (mut from, mut to) = (connection.try_clone()?, inner.try_clone()?);
    let upward = thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut &inner, &mut connection);
    let _ = connection.shutdown(Shutdown::Write);
    let _ = upward.join();
    Ok(())
}

fn answer(to: &mut UnixStream, outcome: &Outcome) -> std::io::Result<()> {
    let Frame { kind, payload } = Frame::json(Kind::Outcome, outcome)?;
    wire::write(to, kind, &payload)
}
