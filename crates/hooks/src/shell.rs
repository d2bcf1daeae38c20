//! Bash's part: this process becomes bash, which sources what only bash can evaluate, and becomes the runner again.
//!
//! `BASH_ENV` needs no line here: old images enable their software collections by it, and bash itself honours it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FlockOperation, MemfdFlags};
use rustix::io::FdFlags;

use crate::args::{Invocation, Resume, resume_words};
use crate::environ::Environ;
use crate::error::Error;
use crate::{program, say};

/// What bash does between two lives of the runner. The words are, in this order: the runner, its `argv[0]`, a script for
/// the passwd entry or nothing, a descriptor that locks it or nothing, the name and the readable path of the file to
/// evaluate or nothing, its descriptor or nothing, `quiet` or nothing, the mark of an evaluated
/// environment or nothing, the number of words that make up the command, these words, and then
/// the positional parameters that the sourced files shall see.
///
/// - An `exit` in a sourced file would end the process as a success. A trap notices it, and a function of that name does
///   where the file sets a trap of its own. `exit` in a subshell stays what it is.
/// - As process 1, bash would ignore SIGTERM; with a trap it ends instead of starting an application that is to stop.
/// - A failing passwd script is no reason to stop: its folder may be read-only.
const SCRIPT: &str = r#"
__oi=("${@:1:10}"); shift 10
__oi_words=("${@:1:__oi[9]}"); shift "${__oi[9]}"
__oi_file=${__oi[2]}
__oi_end() {
  if [[ -n $__oi_file ]]; then
    printf 'ERROR: Script %s ended with status %s before its last line was done.\n' "$__oi_file" "$1" >&2
    __oi_file=
    [[ $1 != 0 ]] || builtin exit 1
  fi
  builtin exit "$1"
}
[[ -o posix ]] || eval 'exit() {
  local __oi_status=${1-$?}
  if [[ $BASHPID == "$$" ]]; then __oi_end "$__oi_status"; else builtin exit "$__oi_status"; fi
}'
trap '__oi_end "$?"' EXIT
trap '__oi_file=; builtin exit 143' TERM
trap '__oi_file=; builtin exit 130' INT
if [[ -n ${__oi[7]} ]]; then exec {__oi_out}>&1 1>&2; fi
if [[ -n ${__oi[2]} ]]; then
  . "${__oi[2]}" || :
  __oi_lock=${__oi[3]}
  if [[ -n $__oi_lock ]]; then exec {__oi_lock}<&-; fi
fi
if [[ -n ${__oi[8]} ]]; then export S2I_MARKERS_ENVIRON=${__oi[8]}; fi
set -eo pipefail
__oi_file=${__oi[4]}
if [[ -n $__oi_file ]]; then
  if [[ -z ${__oi[7]} ]]; then printf ' -----> Running %s\n' "$__oi_file"; fi
  S2I_SHELL_PWD=$PWD
  set -a
  . "${__oi[5]}"
  set +a
  builtin cd "$S2I_SHELL_PWD"
  if [[ -n ${__oi[6]} ]]; then __oi_memory=${__oi[6]}; exec {__oi_memory}<&-; fi
fi
__oi_file=
if [[ -n ${__oi[7]} ]]; then exec 1>&"$__oi_out" {__oi_out}>&-; fi
builtin trap - EXIT
unset -f exit
exec -a "${__oi[1]}" "${__oi[0]}" "${__oi_words[@]}"
"#;

/// What bash is wanted for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish<'a> {
    /// Sourced for its variables; failing does not matter.
    pub(crate) container_user: Option<&'a Path>,
    /// `deploy_env` or `build_env`.
    pub(crate) file: Option<&'a Path>,
    /// No banner, and nothing of the files' own output on standard output.
    pub(crate) quiet: bool,
    /// Set once the passwd entry is made.
    pub(crate) mark: Option<&'a str>,
    /// What the sourced files see as `$1` and so on.
    pub(crate) parameters: &'a [OsString],
}

/// Becomes bash; returns only why that failed.
pub(crate) fn become_bash(
    invocation: &Invocation,
    resume: &Resume,
    wish: &Wish<'_>,
    environ: &Environ,
) -> Error {
    let Some(bash) = program::bash(environ) else {
        let file = wish.file.or(wish.container_user);
        return Error::NoBash(file.unwrap_or(Path::new("$BASH_ENV")).to_owned());
    };
    // Kept open over the exec: what bash gets by number must not be closed.
    let mut open: Vec<OwnedFd> = Vec::new();
    let own = own_path(&mut open);
    let lock = wish.container_user.and_then(|path| lock(path, &mut open));
    let readable = wish.file.map(|file| readable(file, &mut open));
    let text = |path: Option<&Path>| path.map(OsString::from).unwrap_or_default();
    let (path, number) = match readable {
        Some(Ok(Readable { path, number })) => (path.into_os_string(), number),
        Some(Err(error)) => return error,
        None => (OsString::new(), None),
    };
    let mut words: Vec<OsString> = invocation.program[1..].to_vec();
    words.extend(resume_words(resume));
    words.extend(invocation.words.iter().cloned());
    let mut command = Command::new(&bash);
    command
        .args(["--norc", "-c", SCRIPT])
        .arg(&invocation.program[0])
        .arg(own)
        .arg(&invocation.program[0])
        .arg(text(wish.container_user))
        .arg(lock.map(|fd| fd.to_string()).unwrap_or_default())
        .arg(text(wish.file))
        .arg(path)
        .arg(number.map(|fd| fd.to_string()).unwrap_or_default())
        .arg(if wish.quiet { "quiet" } else { "" })
        .arg(wish.mark.unwrap_or_default())
        .arg(words.len().to_string())
        .args(words)
        .args(wish.parameters);
    program::give(&mut command, &bash, environ);
    let source = command.exec();
    Error::CannotRun {
        program: bash.display().to_string(),
        source,
    }
}

/// The path by which bash finds this program again. `assemble` may have replaced the folder that it came from; then an
/// open descriptor is the way.
fn own_path(open: &mut Vec<OwnedFd>) -> PathBuf {
    let link = Path::new("/proc/self/exe");
    let same = |path: &Path| match (fs::metadata(path), fs::metadata(link)) {
        (Ok(one), Ok(other)) => one.dev() == other.dev() && one.ino() == other.ino(),
        _ => false,
    };
    match fs::read_link(link) {
        Ok(path) if same(&path) => path,
        Ok(path) => match File::open(link).map(|file| keep_open(file.into(), open)) {
            Ok(Some(number)) => PathBuf::from(format!("/proc/self/fd/{number}")),
            _ => path,
        },
        // Without /proc there is only what the caller typed.
        Err(_) => std::env::args_os()
            .next()
            .map(PathBuf::from)
            .unwrap_or_default(),
    }
}

struct Readable {
    path: PathBuf,
    number: Option<i32>,
}

/// The file to source. One with Windows line ends is given to bash without the carriage returns, which would otherwise
/// end up in the values.
fn readable(file: &Path, open: &mut Vec<OwnedFd>) -> Result<Readable, Error> {
    let as_it_is = || Readable {
        path: file.to_owned(),
        number: None,
    };
    // Bash says itself what is wrong with a file that cannot be read.
    let Ok(content) = fs::read(file) else {
        return Ok(as_it_is());
    };
    let Some(clean) = without_carriage_returns(&content) else {
        return Ok(as_it_is());
    };
    say::warning(&format!(
        "Script {} has Windows line ends (CRLF); they are left out.",
        file.display()
    ));
    let failed = |source: std::io::Error| Error::File {
        what: "convert",
        path: file.to_owned(),
        source,
    };
    let memory = rustix::fs::memfd_create("env", MemfdFlags::CLOEXEC)
        .map_err(|errno| failed(errno.into()))?;
    let mut memory = File::from(memory);
    memory
        .write_all(&clean)
        .and_then(|()| memory.rewind())
        .map_err(failed)?;
    let number = keep_open(memory.into(), open);
    Ok(Readable {
        path: number.map_or_else(
            || file.to_owned(),
            |number| PathBuf::from(format!("/proc/self/fd/{number}")),
        ),
        number,
    })
}

/// None when there is nothing to convert.
pub(crate) fn without_carriage_returns(content: &[u8]) -> Option<Vec<u8>> {
    content.windows(2).find(|pair| pair == b"\r\n")?;
    let mut clean = Vec::with_capacity(content.len());
    let mut bytes = content.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\r' || bytes.peek() != Some(&b'\n') {
            clean.push(byte);
        }
    }
    Some(clean)
}

/// One at a time writes the passwd entry. Locking the script itself needs nothing to be writable.
fn lock(path: &Path, open: &mut Vec<OwnedFd>) -> Option<i32> {
    let file = File::open(path).ok()?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive).ok()?;
    keep_open(file.into(), open)
}

/// Lets a descriptor survive the exec, and returns its number.
fn keep_open(fd: OwnedFd, open: &mut Vec<OwnedFd>) -> Option<i32> {
    rustix::io::fcntl_setfd(&fd, FdFlags::empty()).ok()?;
    let number = fd.as_raw_fd();
    open.push(fd);
    Some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_line_ends_lose_their_carriage_return() {
        assert_eq!(without_carriage_returns(b"A=1\nB=\r2\n"), None);
        assert_eq!(
            without_carriage_returns(b"A=1\r\nB=\r2\r\r\n\r").as_deref(),
            Some(b"A=1\nB=\r2\r\n\r".as_slice())
        );
    }

    proptest! {
        #[test]
        fn converting_undoes_what_windows_does(text in "[a-z=\n\"$]{0,60}") {
            let windows = text.replace('\n', "\r\n");
            let back = without_carriage_returns(windows.as_bytes());
            prop_assert_eq!(back.unwrap_or_else(|| windows.clone().into_bytes()), text.into_bytes());
        }
    }
}
