//! The action-hook runner inside images: a drop-in for `powershift image`, which applications that came from
//! OpenShift V2 call from `.s2i/bin/assemble`, `.s2i/bin/run`, probes, lifecycle hooks and CronJobs.
//!
//! A command is a fixed list of steps (`plan`); a step either runs a child (`supervise`), hands the process over
//! (`execute`), or lets bash evaluate `deploy_env` or `build_env` (`shell`). Only bash can evaluate those files, and
//! what they set is more than variables: a umask, limits, ignored signals and open files have to reach the application,
//! too. So bash is not asked from outside. The runner becomes bash, which evaluates the file and then becomes the runner
//! again, told at which step to go on: the process id never changes and nothing that the file set gets lost.
//!
//! ```no_run
//! # fn program() -> std::process::ExitCode {
//! openshifter_hooks::main(std::env::args_os().collect())
//! # }
//! ```

mod args;
mod assemble;
mod check;
mod clock;
mod environ;
mod error;
mod execute;
mod family;
mod file;
mod help;
mod init;
mod jobs;
mod layout;
mod line_buffer;
mod permissions;
mod plan;
mod program;
mod say;
mod script;
mod shell;
mod supervise;
mod user;

pub use check::{Finding, Severity, check};
pub use error::Error;
pub use execute::main;

/// Whether a program called under this name (`argv[0]`) is meant to be the runner: the original was `powershift`.
fn is_runner(argv0: &std::ffi::OsStr) -> bool {
    std::path::Path::new(argv0).file_name() == Some(std::ffi::OsStr::new("powershift"))
}

/// Runs the command where this process's words are for the runner, and returns none where they are not: for a program
/// that has other commands besides. The words are looked at here and not by that program, whose code is compiled with
/// less care, and lies far from the runner's.
#[must_use]
pub fn main_if_meant() -> Option<std::process::ExitCode> {
    let argv: Vec<_> = std::env::args_os().collect();
    is_meant(&argv).then(|| main(argv))
}

/// Whether words (`argv[0]` first) are for the runner: `image` comes first, or the program is called `powershift`.
fn is_meant(argv: &[std::ffi::OsString]) -> bool {
    argv.first().is_some_and(|name| is_runner(name))
        || argv.get(1).is_some_and(|first| first == "image")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runner_is_called_by_its_first_word_or_its_old_name() {
        let meant = |line: &str| {
            let argv: Vec<_> = line.split(' ').map(std::ffi::OsString::from).collect();
            is_meant(&argv)
        };
        assert!(meant("openshifter image exec export"));
        assert!(meant("/opt/app-root/bin/powershift image run"));
        assert!(meant("powershift"));
        assert!(!meant("openshifter export image"));
        assert!(!meant("openshifter"));
    }
}
