//! Collects the ends of all processes of a container: those it started, and the orphans that
//! process 1 is given.

use std::collections::HashMap;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, wait, waitid};

use super::wire::Outcome;

/// Hands every process's end to who started it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reaper {
    waiting: Arc<Mutex<HashMap<i32, Sender<Outcome>>>>,
}

/// A process that the reaper watches.
#[derive(Debug)]
pub(crate) struct Watched {
    /// Its process id.
    pub(crate) pid: Pid,
    /// Its streams, where they were asked for. Never wait on it: the reaper does.
    pub(crate) child: std::process::Child,
    /// Receives its end.
    pub(crate) end: Receiver<Outcome>,
}

impl Reaper {
    /// Starts a command. No end is collected meanwhile, so none can be missed, and a child that
    /// never became the command is collected by the standard library, which insists on it.
    pub(crate) fn spawn(&self, command: &mut Command) -> std::io::Result<Watched> {
        let mut waiting = self.lock();
        let child = command.spawn()?;
        let pid = i32::try_from(child.id())
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| std::io::Error::other("the process has no id"))?;
        let (sender, end) = channel();
        waiting.insert(pid.as_raw_nonzero().get(), sender);
        Ok(Watched { pid, child, end })
    }

    /// Collects ends until there is no child left.
    pub(crate) fn run(&self) {
        loop {
            // Only looks, so that a spawn in progress keeps its child.
            match waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
            let mut waiting = self.lock();
            while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
                let outcome = match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => Outcome::Exited { code },
                    (None, Some(signal)) => Outcome::Killed { signal },
                    (None, None) => continue,
                };
                if let Some(sender) = waiting.remove(&pid.as_raw_nonzero().get()) {
                    // Nobody waits any more when the session was cut.
                    let _ = sender.send(outcome);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, Sender<Outcome>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
