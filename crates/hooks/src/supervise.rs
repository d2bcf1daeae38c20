//! Children: started, waited for, with the signals of the runner passed on to them. As process 1 the runner gets the
//! orphans of the container, too, and reaps them.

use std::collections::HashSet;
use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use signal_hook::consts::signal::{
    SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN,
    SIGTTOU, SIGURG, SIGUSR1, SIGUSR2, SIGVTALRM, SIGWINCH,
};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::WithRawSiginfo;

use crate::error::Error;
use crate::family;

/// How long a child may take to end after SIGTERM when its time is over.
const GRACE: Duration = Duration::from_secs(10);
/// What ends a command: the signal goes to the child, and nothing further is started.
const STOPPING: [i32; 4] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT];
/// What process 1 passes on besides: all that somebody may send to an application, gunicorn's TTIN and TTOU among them.
/// Those that tell of a mistake in the program itself (SIGSEGV, SIGFPE, SIGXCPU and their like) are nobody else's.
const OTHERS: [i32; 12] = [
    SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH, SIGTTIN, SIGTTOU, SIGTSTP, SIGALRM, SIGVTALRM, SIGPROF,
    SIGIO, SIGURG,
];

/// What the kernel gives as a signal's origin when it has sent it itself, as it does for a terminal: `SI_KERNEL`.
const FROM_KERNEL: i32 = 0x80;

/// A signal that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) signal: i32,
    /// A terminal has sent it: to all in its foreground, so that nobody has to pass it on. What a container engine or a person
    /// sends is for this process alone, whatever terminal it has.
    pub(crate) from_terminal: bool,
}

/// The signals that have arrived. Handlers vanish when the process becomes another program; signals that were ignored
/// when the runner started stay so.
#[derive(Debug)]
pub(crate) struct Signals {
    /// Reads a byte for each signal.
    arrived: SignalDelivery<UnixStream, WithRawSiginfo>,
}

impl Signals {
    /// Begins to watch.
    pub(crate) fn watch(all: bool) -> Result<Self, Error> {
        Self::register(all).map_err(Error::Watch)
    }

    fn register(all: bool) -> io::Result<Self> {
        let (wake, bell) = UnixStream::pair()?;
        let ignored = ignored();
        let others = OTHERS.iter().filter(|_| all);
        let signals = STOPPING.iter().chain(others);
        let heard = signals.filter(|signal| ignored & (1 << (**signal - 1)) == 0);
        let heard = heard.chain(&[SIGCHLD]);
        let arrived = SignalDelivery::with_pipe(wake, bell, WithRawSiginfo, heard)?;
        Ok(Self { arrived })
    }

    /// Takes the signals that have arrived since the last time, but for those of children's ends: whoever waits for children
    /// looks for them after this, so that none is missed.
    pub(crate) fn take(&mut self) -> Vec<Arrived> {
        let taken = self
            .arrived
            .pending()
            .filter(|info| info.si_signo != SIGCHLD);
        let arrived = taken.map(|info| Arrived {
            signal: info.si_signo,
            from_terminal: info.si_code == FROM_KERNEL
                && matches!(info.si_signo, SIGINT | SIGQUIT | SIGWINCH | SIGTSTP),
        });
        arrived.collect()
    }

    /// Takes them, and returns the first one that ends the command.
    pub(crate) fn take_stop(&mut self) -> Option<i32> {
        let mut arrived = self.take().into_iter().map(|arrived| arrived.signal);
        arrived.find(|signal| stops(*signal))
    }

    /// Waits for a signal, a child's end included, for so long at most.
    pub(crate) fn wait(&mut self, limit: Option<Duration>) -> Result<(), Error> {
        // No time at all would mean no limit.
        let limit = limit.map(|limit| limit.max(Duration::from_millis(1)));
        let mut wake = self.arrived.get_read();
        wake.set_read_timeout(limit).map_err(Error::Watch)?;
        match wake.read(&mut [0; 64]) {
            Ok(_) => Ok(()),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock
                        | io::ErrorKind::TimedOut
                        | io::ErrorKind::Interrupted
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(Error::Watch(error)),
        }
    }
}

/// The signals that are ignored, as a mask whose lowest bit is signal 1.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

/// How a child ended, as a shell's `$?`.
pub(crate) fn status(ended: WaitStatus) -> u8 {
    let code = match (ended.exit_status(), ended.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 255,
    };
    u8::try_from(code).unwrap_or(255)
}

/// The children that have ended; orphans that came to process 1 among them.
pub(crate) fn reap() -> Result<Vec<(Pid, WaitStatus)>, Error> {
    let mut ended = Vec::new();
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some(one)) => ended.push(one),
            Ok(None) | Err(rustix::io::Errno::CHILD) => return Ok(ended),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Error::Watch(errno.into())),
        }
    }
}

/// Starts a child and returns its id.
pub(crate) fn spawn(mut command: Command, program: &str) -> Result<Pid, Error> {
    let child = command.spawn().map_err(|source| Error::CannotRun {
        program: program.to_owned(),
        source,
    })?;
    Ok(Pid::from_child(&child))
}

/// Passes a signal on, unless a terminal has done so.
pub(crate) fn pass_on(arrived: Arrived, to: Pid) {
    if !arrived.from_terminal {
        kill(arrived.signal, to, false);
    }
}

pub(crate) fn kill(signal: i32, to: Pid, group: bool) {
    if let Some(signal) = Signal::from_named_raw(signal) {
        // It may just have ended.
        let _ = if group {
            rustix::process::kill_process_group(to, signal)
        } else {
            rustix::process::kill_process(to, signal)
        };
    }
}

fn in_foreground() -> bool {
    let streams = [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ];
    // Its own group is asked for last: one from outside of a container has no number, which only shows with the terminal's.
    streams.iter().any(|stream| {
        rustix::termios::tcgetpgrp(stream).is_ok_and(|group| group == rustix::process::getpgrp())
    })
}

/// Whether a signal ends the command.
pub(crate) fn stops(signal: i32) -> bool {
    STOPPING.contains(&signal)
}

/// What came of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) status: u8,
    /// What ended it, where that was a signal.
    pub(crate) signal: Option<i32>,
    /// It was ended because its time was over.
    pub(crate) timed_out: bool,
}

/// Runs a child to its end.
///
/// With a time limit it gets a process group of its own, and what it has started ends with it when the time is over: the
/// group, and, as far as /proc shows it, what has left the group. On a terminal it stays in the group of this process,
/// since no other may read what is typed; then there is /proc alone.
///
/// # Errors
/// [`Error::Stopped`] when a signal asked for that: it was passed on, and the child has ended.
pub(crate) fn run(
    mut command: Command,
    program: &str,
    signals: &mut Signals,
    timeout: Option<Duration>,
) -> Result<Ended, Error> {
    if let Some(signal) = signals.take_stop() {
        return Err(Error::Stopped(signal));
    }
    let group = timeout.is_some() && !in_foreground();
    let mut others = HashSet::new();
    if group {
        command.process_group(0);
    }
    if timeout.is_some() {
        // What loses its parent comes here, where it can still be seen whose it was.
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
        others = family::below(&HashSet::new());
    }
    let child = spawn(command, program)?;
    let mut stopped = None;
    let mut timed_out = false;
    let mut done = None;
    let mut deadline = timeout.map(|timeout| Instant::now() + timeout);
    loop {
        let arrived = signals.take();
        for (pid, ended) in reap()? {
            if pid == child {
                done = Some(ended);
            }
        }
        for arrived in arrived {
            if stops(arrived.signal) {
                stopped.get_or_insert(arrived.signal);
            }
            if done.is_none() && group {
                kill(arrived.signal, child, true);
            } else if done.is_none() {
                pass_on(arrived, child);
            }
        }
        let left = match done {
            Some(_) if timed_out => family::below(&others),
            _ => HashSet::new(),
        };
        if let Some(ended) = done
            && left.is_empty()
        {
            if timed_out {
                // Whoever ended after the children were waited for is none of `left`, but has its number until it is waited for,
                // so that what runs next would find it.
                reap()?;
            }
            return match stopped {
                Some(signal) => Err(Error::Stopped(signal)),
                None if timed_out => Ok(Ended {
                    status: 124,
                    signal: None,
                    timed_out,
                }),
                None => Ok(Ended {
                    status: status(ended),
                    signal: ended.terminating_signal(),
                    timed_out,
                }),
            };
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            let signal = if timed_out {
                Signal::KILL
            } else {
                Signal::TERM
            };
            if done.is_none() {
                kill(signal.as_raw(), child, group);
            }
            for pid in family::below(&others) {
                kill(signal.as_raw(), pid, false);
            }
            deadline = Some(now + GRACE);
            timed_out = true;
        }
        signals.wait(deadline.map(|deadline| deadline.saturating_duration_since(now)))?;
    }
}
