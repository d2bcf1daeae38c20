//! Process 1 of a container: starts its command and answers the node until it ends.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::Done;
use super::identity::Identity;
use super::reaper::Reaper;
use super::services::Services;
use super::session::{self, Container};
use super::wire::{self, Frame, Kind, Outcome, Process, Refusal, Request};

/// How long the node may take to call. It calls at once; this is for the case that it died.
const FIRST_CALL: Duration = Duration::from_secs(30);

/// `init [--uid N --gid N --group N…]`: standard input is the listening socket; standard output
/// and standard error are the container's log.
pub(crate) fn run(args: Vec<OsString>) -> Done {
    Identity::parse(&args)?.take_on()?;
    if rustix::process::getpid() == Pid::INIT {
        // Taking on another user has cleared what bubblewrap had set.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    } else {
        // Process 1 is given orphans anyway; without a sandbox this makes it so. The node's death is
        // noticed by the end of its connection: a signal would leave no time to end the others.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    }

    let listener = UnixListener::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let called = Arc::new(AtomicBool::new(false));
    {
        let called = Arc::clone(&called);
        std::thread::spawn(move || {
            std::thread::sleep(FIRST_CALL);
            if !called.load(Ordering::SeqCst) {
                std::process::exit(124);
            }
        });
    }
    let (control, _) = listener.accept()?;
    called.store(true, Ordering::SeqCst);
    // The first connection's end is the container's end, however the node ends.
    let outcome = serve(listener, control);
    end_everything();
    outcome?;
    Ok(ExitCode::SUCCESS)
}

fn serve(listener: UnixListener, mut control: UnixStream) -> std::io::Result<()> {
    let bad = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned());
    let Some(frame) = wire::read(&mut control)? else {
        return Ok(());
    };
    let Request::Start(process) = frame.parse()? else {
        return Err(bad("the first request is not a start"));
    };
    let reaper = Reaper::default();
    let services = Services::default();
    services.offer(&process.services);
    let main = match start(&reaper, &process) {
        Ok(main) => main,
        Err((reason, message)) => {
            return answer(&mut control, &Outcome::Refused { reason, message });
        }
    };
    answer(&mut control, &Outcome::Started)?;
    {
        let reaper = reaper.clone();
        std::thread::spawn(move || reaper.run());
    }
    {
        let container = Arc::new(Container {
            reaper,
            env: process.env,
            cwd: process.cwd,
            services,
        });
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let container = Arc::clone(&container);
                std::thread::spawn(move || session::serve(&container, connection));
            }
        });
    }
    let pid = main.pid;
    let commands = control.try_clone()?;
    std::thread::spawn(move || obey(commands, pid));
    if let Ok(outcome) = main.end.recv() {
        answer(&mut control, &outcome)?;
    }
    Ok(())
}

/// Passes signals on until the node is gone; then the container goes too.
fn obey(mut commands: UnixStream, main: Pid) {
    while let Ok(Some(frame)) = wire::read(&mut commands) {
        if let (Kind::Signal, Some(number)) = (frame.kind, frame.payload.first())
            && let Some(signal) = Signal::from_named_raw(i32::from(*number))
        {
            // It may have ended meanwhile, which is what was wanted.
            let _ = kill_process(main, signal);
        }
    }
    end_everything();
    std::process::exit(0);
}

fn start(reaper: &Reaper, process: &Process) -> Result<super::reaper::Watched, (Refusal, String)> {
    let mut command = session::prepare(&process.env, &process.cwd, &process.command)?;
    command.stdin(Stdio::null());
    reaper
        .spawn(&mut command)
        .map_err(|e| (Refusal::Other, format!("cannot start: {e}")))
}

fn answer(control: &mut UnixStream, outcome: &Outcome) -> std::io::Result<()> {
    let Frame { kind, payload } = Frame::json(Kind::Outcome, outcome)?;
    wire::write(control, kind, &payload)
}

/// Ends whatever still runs. In a sandbox the end of process 1 does that; without one the
/// descendants are found by their parents.
fn end_everything() {
    if rustix::process::getpid() == Pid::INIT {
        return;
    }
    let own = rustix::process::getpid().as_raw_nonzero().get();
    // Processes may be born meanwhile, so again until none is left.
    for _ in 0..100 {
        let descendants = descendants(own);
        if descendants.is_empty() {
            return;
        }
        for pid in descendants.into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Living processes below `root`.
fn descendants(root: i32) -> Vec<i32> {
    let Ok(folder) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let parents: Vec<(i32, i32)> = folder
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name, in brackets, may hold anything; state and parent come after it.
            let mut after = stat.rsplit_once(')')?.1.split_whitespace();
            let state = after.next()?;
            let parent = after.next()?.parse().ok()?;
            (state != "Z").then_some((pid, parent))
        })
        .collect();
    let mut found = vec![root];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        found.extend(
            parents
                .iter()
                .filter(|(_, p)| *p == parent)
                .map(|(pid, _)| *pid),
        );
        at += 1;
    }
    found.split_off(1)
}
