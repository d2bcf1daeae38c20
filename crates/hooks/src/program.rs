//! Finding programs and making them ready to start, by a shell's rules.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environ::{Environ, SHELL_LEVEL};
use crate::error::Error;
use crate::file;
use crate::script::{self, Start};

/// Where bash is, if anywhere: where the original looked first.
pub(crate) fn bash(environ: &Environ) -> Option<PathBuf> {
    let usual = PathBuf::from("/bin/bash");
    if script::is_executable(&usual) {
        return Some(usual);
    }
    find(OsStr::new("bash"), environ).ok()
}

/// Resolves a command as a shell does: a word with a slash is a path, any other is looked for on `PATH`.
pub(crate) fn find(word: &OsStr, environ: &Environ) -> Result<PathBuf, Error> {
    if word.as_bytes().contains(&b'/') {
        return Ok(PathBuf::from(word));
    }
    let name = || word.to_string_lossy().into_owned();
    let path = environ.get("PATH").ok_or_else(|| Error::NotFound(name()))?;
    let mut refused = None;
    for folder in path.as_bytes().split(|byte| *byte == b':') {
        let folder = if folder.is_empty() { b"." } else { folder };
        let file = Path::new(OsStr::from_bytes(folder)).join(word);
        if !file::is_file(&file) {
            continue;
        }
        if script::is_executable(&file) {
            return Ok(file);
        }
        refused.get_or_insert(file);
    }
    Err(match refused {
        Some(file) => Error::CannotRun {
            program: file.display().to_string(),
            source: io::ErrorKind::PermissionDenied.into(),
        },
        None => Error::NotFound(name()),
    })
}

/// The name by which hooks in the field call the runner.
const FORMER_NAME: &str = "powershift";

/// Sees to it that hooks find the runner by its former name: where nothing on `PATH` has it, and a program beside the runner
/// does, that folder is put at the end. `settled` says where a folder will be when hooks run.
pub(crate) fn bring_former_name(
    environ: &mut Environ,
    argv0: &OsStr,
    settled: impl Fn(&Path) -> PathBuf,
) {
    let Some(path) = environ.get("PATH") else {
        return;
    };
    if find(OsStr::new(FORMER_NAME), environ).is_ok() {
        return;
    }
    // Without /proc there is only what the caller typed.
    let own = std::fs::read_link("/proc/self/exe").unwrap_or_else(|_| PathBuf::from(argv0));
    let Some(folder) = own.parent().filter(|folder| folder.is_absolute()) else {
        return;
    };
    let named = folder.join(FORMER_NAME);
    if file::is_file(&named) && script::is_executable(&named) {
        let mut path = path.to_owned();
        path.push(":");
        path.push(settled(folder));
        environ.set("PATH", path);
    }
}

/// A program ready to start, with this environment and no other.
///
/// A text without `#!` is refused by the kernel, and a shell then runs it itself; applications have such hooks (one that
/// begins with an empty line, say), so bash is put in front of them.
///
/// # Errors
/// [`Error::CarriageReturn`] when the `#!` line ends in one, [`Error::CannotRun`] for a folder.
pub(crate) fn command(
    file: &Path,
    argv0: &OsStr,
    words: &[OsString],
    environ: &Environ,
) -> Result<Command, Error> {
    if file::is_folder(file) {
        return Err(Error::CannotRun {
            program: file.display().to_string(),
            source: io::ErrorKind::IsADirectory.into(),
        });
    }
    let mut command = match script::start_of(file) {
        Start::Interpreter {
            carriage_return: true,
        } => return Err(Error::CarriageReturn(file.to_owned())),
        Start::Text { .. } if script::is_executable(file) => {
            let shell = bash(environ).unwrap_or_else(|| "/bin/sh".into());
            let mut command = Command::new(shell);
            command.arg(file);
            command
        }
        _ => {
            let mut command = Command::new(file);
            command.arg0(argv0);
            command
        }
    };
    command.args(words);
    give(&mut command, environ);
    Ok(command)
}

/// A program that runs below this one, to its end. Shells count themselves for it, and name it in `_`.
///
/// # Errors
/// As [`command`].
pub(crate) fn child(
    file: &Path,
    argv0: &OsStr,
    words: &[OsString],
    environ: &Environ,
) -> Result<Command, Error> {
    let mut command = command(file, argv0, words, environ)?;
    command
        .env(SHELL_LEVEL, (environ.level() + 1).to_string())
        .env("_", file);
    Ok(command)
}

/// Sets exactly this environment.
pub(crate) fn give(command: &mut Command, environ: &Environ) {
    command.env_clear().envs(environ.iter());
}

/// Becomes the program; returns only why that failed.
pub(crate) fn become_it(mut command: Command, program: &str) -> Error {
    let source = command.exec();
    Error::CannotRun {
        program: program.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_search_passes_over_what_cannot_be_run() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, mode) in [
            ("one/tool", 0o644),
            ("two/tool", 0o755),
            ("one/data", 0o644),
        ] {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), "").unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let path = format!("{}:{}", at("one").display(), at("two").display());
        let environ = Environ::from([("PATH", path.as_str())]);
        let status = |word: &str| find(OsStr::new(word), &environ).map_err(|error| error.status());
        assert_eq!(status("tool"), Ok(at("two/tool")));
        assert_eq!(status("data"), Err(126));
        assert_eq!(status("nosuch"), Err(127));
        assert_eq!(status("./nosuch"), Ok(PathBuf::from("./nosuch")));
    }
}
