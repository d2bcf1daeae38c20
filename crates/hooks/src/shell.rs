//! Bash's part: this process becomes bash, which sources what only bash can evaluate, and becomes the runner again.
//!
//! `BASH_ENV` needs no line here: old images enable their software collections by it, and bash itself honours it.

mod lines;
mod plain;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, MemfdFlags};
use rustix::io::{Errno, FdFlags};
use rustix::process::Pid;

use crate::args::{Invocation, Resume, resume_words};
use crate::environ::Environ;
use crate::error::Error;
use crate::plan::Become;
use crate::{clock, file, program, say};
use lines::{Direct, Lines};

/// How long another probe may take to make the passwd entry.
const LOCK: Duration = Duration::from_secs(10);

/// Stands for traps that are too large to be handed on.
pub(crate) const TOO_LARGE: &str = "!";

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
    /// `BASH_ENV` is to be sourced; otherwise that has been done.
    pub(crate) bash_env: bool,
    /// What the sourced files see as `$1` and so on.
    pub(crate) parameters: &'a [OsString],
    /// Bash may become this itself, without a second start of the runner, where the environment needs nothing more.
    pub(crate) command: Option<&'a Become>,
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
    let readable = readable.unwrap_or_default();
    let first_process = rustix::process::getpid() == Pid::INIT;
    let plain = readable.plain.as_ref().is_some_and(|plain| {
        // Where the command was found before, it still is.
        let finds = wish.command.is_none() || !plain.sets_path;
        finds && wish.container_user.is_none() && !first_process && environ.leaves_bash_alone()
    });
    let mut words: Vec<OsString> = invocation.program[1..].to_vec();
    words.extend(resume_words(resume));
    // The last of them are for what only bash knows. A command that takes over takes no traps along.
    let watched = wish.file.is_some() && !plain;
    let failed = (watched && invocation.options.json).then(|| words.len() - 2);
    let traps = (watched && wish.command.is_none()).then(|| words.len() - 1);
    let memory = traps
        .and_then(|_| memory("traps"))
        .and_then(|memory| keep_open(memory, &mut open));
    words.extend(invocation.words.iter().cloned());
    let redirects = (readable.redirects && wish.quiet && !plain)
        .then(|| rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 0).ok())
        .flatten()
        .and_then(|stderr| keep_open(stderr, &mut open));
    let bash_env = environ.get("BASH_ENV").filter(|_| !wish.bash_env);
    // Bash sources it before its lines.
    let sources = wish.bash_env && environ.get("BASH_ENV").is_some();
    let functions = (wish.file.is_some() && sources).then(|| invocation.program.len() + 2);
    let lines = Lines {
        first_process,
        quiet: wish.quiet,
        user: wish.container_user.is_some(),
        lock,
        bash_env: bash_env.is_some(),
        mark: wish.mark.is_some(),
        file: wish.file.is_some(),
        open: readable.number,
        copy: readable.copy,
        redirects,
        failed,
        functions,
        traps,
        memory,
        direct: match wish.command {
            Some(Become::Command(_)) => Some(Direct::Parameters),
            Some(Become::Shell) => Some(Direct::Shell),
            Some(Become::Application { .. }) | None => None,
        },
        plain: plain.then_some(words.len()),
    };
    let mut command = Command::new(&bash);
    command
        .args(lines.options())
        .arg(lines.text())
        .arg(&invocation.program[0])
        .arg(own)
        .arg(&invocation.program[0])
        .arg(text(wish.container_user))
        .arg(text(wish.file))
        .arg(readable.path)
        .arg(wish.mark.unwrap_or_default())
        .arg(memory.map(by_number).unwrap_or_default())
        .arg(bash_env.unwrap_or_default())
        .arg(words.len().to_string())
        .args(words)
        .args(wish.parameters);
    if plain {
        let mut environ = environ.clone();
        environ.set_for_plain(wish.mark);
        program::give(&mut command, &environ);
    } else {
        program::give(&mut command, environ);
    }
    if bash_env.is_some() {
        command.env_remove("BASH_ENV");
    }
    let source = command.exec();
    Error::CannotRun {
        program: bash.display().to_string(),
        source,
    }
}

/// Runs the traps that an environment file had set for the end of its shell, as that shell would have done; returns only
/// why they cannot be run.
pub(crate) fn become_traps(traps: &OsStr, end: &Error, environ: &Environ) -> Error {
    let status = end.status();
    let mut text = traps.to_owned();
    text.push(match end {
        // A program that fails concerns a trap for errors, too.
        Error::Status(_) => format!("\n(exit {status})\n"),
        _ => format!("\nexit {status}\n"),
    });
    let bash = program::bash(environ).unwrap_or_else(|| "bash".into());
    let mut command = Command::new(&bash);
    command.args(["--norc", "-c"]).arg(text).arg("bash");
    program::give(&mut command, environ);
    // Its enabling of software collections has been done.
    command.env_remove("BASH_ENV");
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
    match fs::read_link(link) {
        Ok(path) if file::same(&path, link) => path,
        Ok(path) => match File::open(link).map(|file| keep_open(file.into(), open)) {
            Ok(Some(number)) => by_number(number),
            _ => path,
        },
        // Without /proc there is only what the caller typed.
        Err(_) => std::env::args_os()
            .next()
            .map(PathBuf::from)
            .unwrap_or_default(),
    }
}

#[derive(Default)]
struct Readable {
    path: PathBuf,
    number: Option<i32>,
    /// The path is that of a copy, to be removed.
    copy: bool,
    /// Where it does nothing but set variables.
    plain: Option<Plain>,
    /// It says `exec`, by which a shell's own descriptors are redirected.
    redirects: bool,
}

struct Plain {
    sets_path: bool,
}

/// The file to source. One with Windows line ends is given to bash without the carriage returns, which would otherwise
/// end up in the values.
fn readable(file: &Path, open: &mut Vec<OwnedFd>) -> Readable {
    let as_it_is = Readable {
        path: file.to_owned(),
        ..Readable::default()
    };
    // Bash says itself what is wrong with a file that cannot be read.
    let Ok(content) = fs::read(file) else {
        return as_it_is;
    };
    let redirects = content.windows(4).any(|word| word == b"exec");
    let Some(clean) = without_carriage_returns(&content) else {
        return Readable {
            plain: plain::names(&content).map(|names| Plain {
                sets_path: names.contains(&b"PATH".as_slice()),
            }),
            redirects,
            ..as_it_is
        };
    };
    let written = |mut file: File| file.write_all(&clean).is_ok().then_some(file);
    let memory = memory("env").and_then(|memory| written(memory.into()));
    let readable = if let Some(number) = memory.and_then(|memory| keep_open(memory.into(), open)) {
        Readable {
            path: by_number(number),
            number: Some(number),
            redirects,
            ..as_it_is
        }
    } else if let Some(path) = copy(&clean) {
        Readable {
            path,
            copy: true,
            redirects,
            ..as_it_is
        }
    } else {
        say::warning(&format!(
            "Script {} has Windows line ends (CRLF), which become part of its values: there is no place for a copy without them.",
            file.display()
        ));
        return Readable {
            redirects,
            ..as_it_is
        };
    };
    say::warning(&format!(
        "Script {} has Windows line ends (CRLF); they are left out.",
        file.display()
    ));
    readable
}

/// Writes a file that nobody else can have put there, wherever one can be written.
fn copy(content: &[u8]) -> Option<PathBuf> {
    let folders = std::env::var_os("TMPDIR").map(PathBuf::from).into_iter();
    let folders = folders.chain(["/tmp", "/dev/shm", "/var/tmp"].map(PathBuf::from));
    let name = format!("env.{}.{}", std::process::id(), clock::now_micros());
    folders.map(|folder| folder.join(&name)).find_map(|path| {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .ok()?;
        if file.write_all(content).is_ok() {
            return Some(path);
        }
        let _ = fs::remove_file(&path);
        None
    })
}

/// A file in memory that can be opened by a path, where the kernel has such and there is a /proc.
fn memory(name: &str) -> Option<OwnedFd> {
    let memory = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC).ok()?;
    file::exists(Path::new("/proc/self/fd")).then_some(memory)
}

fn by_number(number: i32) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{number}"))
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

/// One at a time writes the passwd entry. Locking the script itself needs nothing to be writable. Whoever keeps the lock
/// for so long is no reason to wait any longer.
fn lock(path: &Path, open: &mut Vec<OwnedFd>) -> Option<i32> {
    let file = File::open(path).ok()?;
    let began = Instant::now();
    while let Err(errno) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if errno != Errno::WOULDBLOCK || began.elapsed() > LOCK {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    keep_open(file.into(), open)
}

/// Lets a descriptor survive the exec, and returns its number: one that no file counts on, if there is one. Scripts number
/// theirs from 3.
fn keep_open(fd: OwnedFd, open: &mut Vec<OwnedFd>) -> Option<i32> {
    let fd = [230, 50, 10]
        .into_iter()
        .find_map(|least| rustix::io::fcntl_dupfd_cloexec(&fd, least).ok())
        .unwrap_or(fd);
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
