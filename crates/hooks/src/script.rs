//! What a hook's file is: there or not, executable, and how it wants to be run.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, FileType};
use rustix::io::Errno;

use crate::error::Error;
use crate::file;

/// What there is under a hook's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Nothing, or no regular file: a folder or a dangling link of that name is no hook.
    Absent,
    /// A folder that may be entered. The original takes one for an executable in the commands named after a hook.
    Folder,
    NotExecutable,
    Executable,
}

/// Looks at a hook, following links.
pub(crate) fn presence(path: &Path) -> Presence {
    match file::stat(path).map(|stat| file::kind(&stat)) {
        Ok(FileType::RegularFile) => {
            if is_executable(path) {
                Presence::Executable
            } else {
                Presence::NotExecutable
            }
        }
        Ok(FileType::Directory) if is_executable(path) => Presence::Folder,
        _ => Presence::Absent,
    }
}

/// By the rights of the effective user, as a shell's `-x`.
pub(crate) fn is_executable(path: &Path) -> bool {
    match rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
        Ok(()) => true,
        // Container engines that do not know the call refuse it so. The older one asks by the rights of the real user, who
        // is the same one unless somebody has made this program a setuid one.
        Err(Errno::PERM | Errno::NOSYS) => {
            rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::empty()).is_ok()
        }
        Err(_) => false,
    }
}

/// Refuses a hook that is there and cannot be run: before anything else has run.
pub(crate) fn check(path: &Path) -> Result<(), Error> {
    match presence(path) {
        Presence::Absent | Presence::Folder => Ok(()),
        Presence::NotExecutable => Err(Error::NotExecutable(path.to_owned())),
        Presence::Executable => match start_of(path) {
            Start::Interpreter {
                carriage_return: true,
            } => Err(Error::CarriageReturn(path.to_owned())),
            _ => Ok(()),
        },
    }
}

/// How a file begins, which decides who runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// `#!`; the kernel cannot find an interpreter whose name ends in a carriage return.
    Interpreter { carriage_return: bool },
    /// A program of the machine, or a file that cannot be read but perhaps run.
    Program,
    /// Anything else: text that a shell runs itself, because the kernel will not.
    Text { carriage_return: bool },
}

/// Reads the beginning of a file.
pub(crate) fn start_of(path: &Path) -> Start {
    let mut bytes = Vec::with_capacity(256);
    match fs::File::open(path).and_then(|file| file.take(256).read_to_end(&mut bytes)) {
        Ok(_) => classify(&bytes),
        Err(_) => Start::Program,
    }
}

fn classify(bytes: &[u8]) -> Start {
    if bytes.starts_with(b"\x7fELF") {
        return Start::Program;
    }
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let carriage_return = line.len() < bytes.len() && line.ends_with(b"\r");
    if bytes.starts_with(b"#!") {
        Start::Interpreter { carriage_return }
    } else {
        Start::Text { carriage_return }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn beginnings() {
        let text = |carriage_return| Start::Text { carriage_return };
        let interpreter = |carriage_return| Start::Interpreter { carriage_return };
        assert_eq!(classify(b"#!/bin/bash\nx\r\n"), interpreter(false));
        assert_eq!(classify(b"#!/bin/bash\r\nx\r\n"), interpreter(true));
        assert_eq!(classify(b"#!/bin/bash"), interpreter(false));
        assert_eq!(classify(b"\n#!/bin/bash\n"), text(false));
        assert_eq!(classify(b"set -e\r\n"), text(true));
        assert_eq!(classify(b""), text(false));
        assert_eq!(classify(b"\x7fELF\x02"), Start::Program);
    }

    #[test]
    fn only_regular_files_are_hooks() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("plain"), "").unwrap();
        fs::create_dir(at("folder")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        symlink("plain", at("link")).unwrap();
        assert_eq!(presence(&at("none")), Presence::Absent);
        assert_eq!(presence(&at("dangling")), Presence::Absent);
        assert_eq!(presence(&at("folder")), Presence::Folder);
        assert_eq!(presence(&at("link")), Presence::NotExecutable);
        fs::set_permissions(at("plain"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(presence(&at("link")), Presence::Executable);
    }
}
