//! A pseudo-terminal with the program on it, and a person that reads and types.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::until;

/// A program on a terminal. It is killed when the test fails.
pub struct Terminal {
    child: Child,
    /// Ends when nobody can write to the screen any more.
    reading: JoinHandle<()>,
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    /// How much of the screen was answered already.
    read: usize,
}

impl Terminal {
    /// Starts a program on a new terminal.
    pub fn start(mut command: Command) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are pseudo-terminals");
        grantpt(&master).expect("the terminal is ours");
        unlockpt(&master).expect("the terminal is ours");
        let name = ptsname(&master, Vec::new()).expect("it has a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).expect("it opens");
        let again = |fd: &OwnedFd| fd.try_clone().expect("there are descriptors");
        let child = command
            .stdin(again(&slave))
            .stdout(again(&slave))
            .stderr(slave)
            .spawn()
            .expect("the program starts");
        // Else the terminal would never end.
        drop(command);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let shown = Arc::clone(&screen);
        let mut reader = File::from(again(&master));
        let reading = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The other side's end is an error here.
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                shown
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&buffer[..count]);
            }
        });
        Self {
            child,
            reading,
            keyboard: File::from(master),
            screen,
            read: 0,
        }
    }

    /// All that was shown so far.
    pub fn shown(&self) -> String {
        let screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&screen).into_owned()
    }

    /// Waits until this is shown, after what was answered last, and types a line.
    #[track_caller]
    pub fn answer(&mut self, question: &str, answer: &str) {
        self.until_shows(question);
        self.keyboard
            .write_all(format!("{answer}\n").as_bytes())
            .expect("the terminal takes keys");
    }

    /// Waits until this is shown, after what was answered last.
    #[track_caller]
    pub fn until_shows(&mut self, text: &str) {
        let (screen, read) = (Arc::clone(&self.screen), self.read);
        let (child, reading) = (&mut self.child, &self.reading);
        self.read = until(&format!("`{text}` on the terminal"), || {
            // Asked first: when it has ended and nobody else writes, all that it showed is on the screen.
            let ended = child.try_wait().expect("it can be asked").is_some();
            let over = ended && reading.is_finished();
            let shown = {
                let screen = screen.lock().unwrap_or_else(PoisonError::into_inner);
                String::from_utf8_lossy(screen.get(read..).unwrap_or_default()).into_owned()
            };
            if let Some(at) = shown.find(text) {
                return Some(read + at + text.len());
            }
            assert!(!over, "no `{text}`, it ended: {shown}");
            None
        });
    }

    /// Sends the program an interrupt, as Ctrl-C does.
    pub fn interrupt(&self) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .expect("it has an id");
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it still runs");
    }

    /// Waits for the program's end; gives its status and all that was shown.
    #[track_caller]
    pub fn end(mut self) -> (Option<i32>, String) {
        let status = until("the program to end", || {
            self.child.try_wait().expect("it can be asked")
        });
        until("the last of what it showed", || {
            self.reading.is_finished().then_some(())
        });
        (status.code(), self.shown())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
