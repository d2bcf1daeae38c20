//! A line that the terminal does not show, for passwords.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

use crate::PromptError;

const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;
const BELL_BACKSPACE: u8 = 8;
const CTRL_U: u8 = 21;
const DELETE: u8 = 127;

/// A terminal that shows nothing, until this is dropped.
struct Hidden<'a> {
    fd: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> Hidden<'a> {
    fn begin(fd: BorrowedFd<'a>) -> io::Result<Self> {
        let before = tcgetattr(fd)?;
        let mut hidden = before.clone();
        // Keys come one by one, and Ctrl-C comes as a key: a signal would end the process before the terminal is as
        // it was.
        hidden.local_modes -= LocalModes::ECHO
            | LocalModes::ECHONL
            | LocalModes::ICANON
            | LocalModes::ISIG
            | LocalModes::IEXTEN;
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        // What was typed ahead stays.
        tcsetattr(fd, OptionalActions::Now, &hidden)?;
        Ok(Self { fd, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(self.fd, OptionalActions::Now, &self.before) {
            tracing::warn!(%error, "the terminal could not be set back; `stty sane` does");
        }
    }
}

/// Reads a line without showing it.
pub(crate) fn hidden(fd: BorrowedFd<'_>) -> Result<String, PromptError> {
    let hidden = Hidden::begin(fd)?;
    let mut line: Vec<u8> = Vec::new();
    loop {
        let mut key = [0];
        match rustix::io::read(hidden.fd, &mut key) {
            Ok(0) if line.is_empty() => return Err(PromptError::Ended),
            Ok(0) => break,
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(io::Error::from(error).into()),
        }
        match key[0] {
            b'\n' | b'\r' => break,
            CTRL_C => return Err(PromptError::Interrupted),
            CTRL_D if line.is_empty() => return Err(PromptError::Ended),
            CTRL_D => break,
            CTRL_U => line.clear(),
            DELETE | BELL_BACKSPACE => {
                // A character may be several bytes; all but its first begin with the bits 10.
                while let Some(byte) = line.pop() {
                    if byte & 0xc0 != 0x80 {
                        break;
                    }
                }
            }
            byte => line.push(byte),
        }
    }
    String::from_utf8(line).map_err(|_| io::Error::other("the password is not UTF-8").into())
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};

    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    fn pair() -> (OwnedFd, OwnedFd) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = rustix::fs::open(
            name.as_c_str(),
            OFlags::RDWR | OFlags::NOCTTY,
            Mode::empty(),
        )
        .unwrap();
        (master, slave)
    }

    /// What the terminal has shown, up to a mark that is written to it now.
    fn shown(master: &OwnedFd, slave: &OwnedFd) -> String {
        rustix::io::write(slave, b"<end>").unwrap();
        let mut shown = Vec::new();
        while !shown.ends_with(b"<end>") {
            let mut piece = [0; 256];
            let read = rustix::io::read(master, &mut piece).unwrap();
            shown.extend_from_slice(&piece[..read]);
        }
        String::from_utf8(shown).unwrap()
    }

    /// Types `keys` once the terminal hides them, and reads the hidden line.
    fn typed(keys: &[u8]) -> (Result<String, PromptError>, String, bool) {
        let (master, slave) = pair();
        let before = tcgetattr(&slave).unwrap();
        let result = std::thread::scope(|scope| {
            let reader = scope.spawn(|| hidden(slave.as_fd()));
            // What is typed before the terminal hides it is shown, as with every program.
            while tcgetattr(&slave)
                .unwrap()
                .local_modes
                .contains(LocalModes::ECHO)
            {
                std::thread::yield_now();
            }
            rustix::io::write(&master, keys).unwrap();
            reader.join().unwrap()
        });
        let after = tcgetattr(&slave).unwrap();
        let restored = before.local_modes == after.local_modes;
        (result, shown(&master, &slave), restored)
    }

    #[test]
    fn a_password_is_read_and_never_shown() {
        let (line, shown, restored) = typed("wrong\u{15}hunteré\u{7f}x\u{7f}2\n".as_bytes());
        assert_eq!(line.unwrap(), "hunter2");
        assert_eq!(shown, "<end>");
        assert!(restored);
    }

    #[test]
    fn ctrl_c_and_ctrl_d_end_it_and_the_terminal_is_as_before() {
        let (line, _, restored) = typed(b"hunt\x03");
        assert!(matches!(line, Err(PromptError::Interrupted)));
        assert!(restored);
        let (line, _, restored) = typed(b"\x04");
        assert!(matches!(line, Err(PromptError::Ended)));
        assert!(restored);
    }
}
