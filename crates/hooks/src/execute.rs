//! Takes the steps of a command, or prints them.

mod jobs;
mod takeover;
mod trace;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use signal_hook::consts::signal::{SIGINT, SIGPIPE};

use crate::args::{self, Action, Invocation, Resume};
use crate::environ::{Environ, MARKER, SHELL_LEVEL};
use crate::error::Error;
use crate::layout::Layout;
use crate::plan::{self, Become, Environment, Hook, Step};
use crate::say::{Event, Log};
use crate::script::Presence;
use crate::shell::Wish;
use crate::supervise::{Ended, Signals};
use crate::user::{ContainerUser, Identity};
use crate::{
    assemble, check, clock, file, help, permissions, program, say, script, shell, supervise,
};

/// Runs the program whose words these are, `argv[0]` first, and returns its exit status, unless the process becomes
/// another program. The words may begin with `image`, as in `openshifter image run` and `powershift image run`.
#[must_use]
pub fn main(argv: Vec<OsString>) -> ExitCode {
    let invocation = match args::parse(argv) {
        Ok(invocation) => invocation,
        Err(error) => {
            say::failure(&error);
            say::error("`--help` lists what there is.");
            return ExitCode::from(error.status());
        }
    };
    match &invocation.action {
        Action::Help => {
            say::line(help::TEXT);
            return ExitCode::SUCCESS;
        }
        Action::Version => {
            say::line(concat!("openshifter-image ", env!("CARGO_PKG_VERSION")));
            return ExitCode::SUCCESS;
        }
        Action::Check { folder, json } => return check::command(folder, *json),
        _ => {}
    }
    if invocation.options.json {
        say::as_json();
    }
    match Runner::new(invocation).finish() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            if error.speaks() {
                say::failure(&error);
            }
            if let Error::Stopped(signal) = error
                && !rustix::process::getpid().is_init()
            {
                // Whoever waits for it sees that it was stopped. The kernel lets process 1 end in no such way.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
            ExitCode::from(error.status())
        }
    }
}

struct Runner {
    invocation: Invocation,
    environ: Environ,
    layout: Layout,
    signals: Option<Signals>,
    log: Log,
    /// The working directory as a shell knows it, before it is set to the source folder.
    pwd: Option<OsString>,
    /// Under `--init`: the application has been started, and is what the command ends with.
    took_over: bool,
}

impl Runner {
    fn new(invocation: Invocation) -> Self {
        let mut environ = Environ::of_process();
        if let Some(Resume {
            functions: Some(keep),
            ..
        }) = &invocation.resume
        {
            environ.drop_functions(keep);
        }
        let layout = Layout::of(&environ, file::exists);
        let pwd = environ.get("PWD").map(OsStr::to_owned);
        layout.export(&mut environ);
        // Where bash has been, it has said where this is, by whatever name the file has given to the source folder.
        if invocation.resume.is_none() || pwd.is_none() {
            environ.set("PWD", &layout.source);
        }
        // A build begins before its hooks, and perhaps the runner with them, are where they will be.
        program::bring_former_name(&mut environ, &invocation.program[0], |folder| match folder
            .strip_prefix(&layout.upload)
        {
            Ok(rest) => layout.source.join(rest),
            Err(_) => folder.to_owned(),
        });
        // As a shell that takes over leaves it.
        let level = environ.level();
        environ.set(SHELL_LEVEL, level.to_string());
        Self {
            log: Log {
                json: invocation.options.json,
            },
            invocation,
            environ,
            layout,
            signals: None,
            pwd,
            took_over: false,
        }
    }

    /// Runs the command. When it does not end as another program, what an environment file has trapped is run then.
    fn finish(mut self) -> Result<u8, Error> {
        let ended = self.run();
        let traps = match &self.invocation.resume {
            Some(Resume { traps, .. })
                if !traps.is_empty() && traps != shell::TOO_LARGE && !self.took_over =>
            {
                traps.as_os_str()
            }
            _ => return ended,
        };
        let ended = match ended {
            Ok(status) => Error::Status(status),
            Err(error) => error,
        };
        if ended.speaks() {
            say::failure(&ended);
        }
        // Whatever came before it has ended well.
        Err(shell::become_traps(traps, &ended, &self.environ))
    }

    fn run(&mut self) -> Result<u8, Error> {
        let steps = plan::steps(
            &self.invocation.action,
            &self.layout,
            self.invocation.options.init,
        );
        let first = match &self.invocation.resume {
            Some(resume) => {
                let done = resume.step;
                if let Some(Step::Environment(Environment {
                    file: Some(file), ..
                })) = steps.get(done)
                    && file::is_file(file)
                {
                    let status = resume.failed;
                    self.event("environment", file, resume.began, Some(status.unwrap_or(0)));
                    if resume.traps == shell::TOO_LARGE {
                        say::warning(&format!(
                            "Script {} has traps, which are left out: its functions take more than 128 KiB.",
                            file.display()
                        ));
                    }
                    if let Some(status) = status {
                        let path = file.clone();
                        return Err(Error::Environment { path, status });
                    }
                }
                done + 1
            }
            None => 0,
        };
        for (number, step) in steps.iter().enumerate().skip(first) {
            if self.invocation.options.trace {
                self.trace(step)?;
                continue;
            }
            if let Some(status) = self.step(number, step, steps.get(number + 1))? {
                return Ok(status);
            }
        }
        Ok(0)
    }

    /// Takes one step; a status ends the command.
    fn step(
        &mut self,
        number: usize,
        step: &Step,
        next: Option<&Step>,
    ) -> Result<Option<u8>, Error> {
        match step {
            Step::Banner(text) => say::banner(text),
            Step::Preflight { hooks } => self.preflight(hooks)?,
            Step::Check(hook) => self.check_hook(hook)?,
            Step::Environment(environment) => {
                let command = match next {
                    Some(Step::Become(what)) if self.may_be_bashs(what) => Some(what),
                    _ => None,
                };
                self.environment(number, environment, command)?;
            }
            Step::TakeHooks => assemble::take(&self.layout.upload, &self.layout.source)?,
            Step::Hook(hook) => self.hook(hook)?,
            Step::Builder { path, words } => {
                let ended = self.child("builder", path, words);
                assemble::clear(&self.layout.upload, &self.layout.source);
                ended?;
            }
            Step::FixPermissions(path) => self.fix_permissions(path)?,
            Step::Jobs(jobs) => self.jobs(jobs)?,
            Step::Become(what) => return self.become_it(what).map(Some),
        }
        Ok(None)
    }

    fn preflight(&self, hooks: &[&str]) -> Result<(), Error> {
        let action = &self.invocation.action;
        self.layout
            .check_directory(action.name(), self.pwd.as_deref())?;
        let folder = match action {
            Action::Assemble(_) => assemble::folder(&self.layout.upload, &self.layout.source),
            _ => self.layout.source.join(".s2i"),
        };
        let hooks_folder = folder.join("action_hooks");
        for hook in hooks {
            // Named by where it will be, which is what the author of the hook knows.
            match script::check(&hooks_folder.join(hook)) {
                Err(Error::NotExecutable(_)) => {
                    return Err(Error::NotExecutable(self.layout.hook(hook)));
                }
                Err(Error::CarriageReturn(_)) => {
                    return Err(Error::CarriageReturn(self.layout.hook(hook)));
                }
                other => other?,
            }
            // Some make the others executable, which a checkout on Windows does not keep. They are looked at after it.
            if *hook == "pre_build"
                && script::presence(&hooks_folder.join(hook)) == Presence::Executable
            {
                break;
            }
        }
        Ok(())
    }

    fn check_hook(&self, hook: &str) -> Result<(), Error> {
        script::check(&self.layout.hook(hook))
    }

    /// Completes the environment. Where bash is needed for it, the process becomes bash, and this does not return.
    /// `command` is what follows, where bash may become that itself.
    fn environment(
        &mut self,
        number: usize,
        step: &Environment,
        command: Option<&Become>,
    ) -> Result<(), Error> {
        let done = step.once && self.evaluated();
        let began = clock::now_micros();
        let mark = (step.once && !done).then(|| clock::as_date(began));
        let user = step.user.as_deref().and_then(|path| self.user(path));
        let file = step
            .file
            .as_deref()
            .filter(|file| !done && file::is_file(file));
        let bash_env = step.bash_env && self.environ.get("BASH_ENV").is_some();
        if user.is_none() && file.is_none() && !bash_env {
            if let Some(mark) = mark {
                self.environ.set(MARKER, mark);
            }
            return Ok(());
        }
        let resume = Resume {
            step: number,
            began,
            functions: file.is_some().then(|| self.environ.functions()),
            failed: None,
            traps: OsString::new(),
        };
        let wish = Wish {
            container_user: user,
            file,
            quiet: step.quiet,
            mark: mark.as_deref(),
            bash_env: step.bash_env,
            parameters: &step.parameters,
            command,
        };
        Err(shell::become_bash(
            &self.invocation,
            &resume,
            &wish,
            &self.environ,
        ))
    }

    /// Whether somebody above has evaluated `deploy_env`, and once is enough.
    fn evaluated(&self) -> bool {
        self.environ.get(MARKER).is_some() && !self.invocation.options.refresh
    }

    /// Makes the passwd entry, or returns the script that only bash can make it by.
    fn user<'a>(&mut self, path: &'a Path) -> Option<&'a Path> {
        let content = match std::fs::read(path) {
            Ok(content) => content,
            Err(_) => return file::is_file(path).then_some(path),
        };
        let understood = std::str::from_utf8(&content)
            .ok()
            .and_then(ContainerUser::understand);
        let Some(user) = understood else {
            return Some(path);
        };
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        let identity = Identity {
            uid: uid.as_raw(),
            gid: gid.as_raw(),
            passwd: Path::new("/etc/passwd"),
        };
        (!user.apply(&mut self.environ, identity)).then_some(path)
    }

    fn hook(&mut self, hook: &Hook) -> Result<(), Error> {
        match script::presence(&hook.path) {
            Presence::Absent => return Ok(()),
            Presence::Folder if !hook.refuse_folder => return Ok(()),
            Presence::NotExecutable => return Err(Error::NotExecutable(hook.path.clone())),
            Presence::Folder | Presence::Executable => {}
        }
        if hook.banner {
            say::banner(&format!("Running {}", hook.path.display()));
        }
        warn_of_carriage_returns(&hook.path);
        self.child("hook", &hook.path, &hook.words)
    }

    /// Runs a program to its end; failing ends the command with its status.
    fn child(&mut self, step: &'static str, path: &Path, words: &[OsString]) -> Result<(), Error> {
        let command = program::child(path, path.as_os_str(), words, &self.environ)?;
        let began = clock::now_micros();
        let ended = supervise::run(command, &path.display().to_string(), self.signals()?, None);
        let status = match &ended {
            Ok(ended) => ended.status,
            Err(error) => error.status(),
        };
        self.event(step, path, began, Some(status));
        let ended = ended?;
        say_signal(path, ended);
        match ended.status {
            0 => Ok(()),
            status => Err(Error::Status(status)),
        }
    }

    fn signals(&mut self) -> Result<&mut Signals, Error> {
        if self.signals.is_none() {
            self.signals = Some(Signals::watch(false)?);
        }
        self.signals
            .as_mut()
            .ok_or_else(|| Error::Watch(std::io::ErrorKind::Other.into()))
    }

    fn fix_permissions(&mut self, path: &Path) -> Result<(), Error> {
        match program::find(OsStr::new("fix-permissions"), &self.environ) {
            Ok(program) => self.child("fix-permissions", &program, &[path.into()]),
            Err(Error::NotFound(_)) => {
                let began = clock::now_micros();
                permissions::fix(path);
                self.event("fix-permissions", path, began, Some(0));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn event(&self, step: &'static str, path: &Path, began: u128, status: Option<u8>) {
        self.log.event(&Event {
            step,
            path,
            began,
            status,
        });
    }
}

/// Says what ended a child that could not say so itself, as a shell does: of all signals but these two, which are somebody's
/// wish.
fn say_signal(path: &Path, ended: Ended) {
    if let Some(signal) = ended.signal
        && !matches!(signal, SIGINT | SIGPIPE)
    {
        let name = signal_hook::low_level::signal_name(signal);
        let name = name.map_or_else(String::new, |name| format!(" ({name})"));
        say::error(&format!(
            "Script {} was ended by signal {signal}{name}.",
            path.display()
        ));
    }
}

fn warn_of_carriage_returns(path: &Path) {
    if let script::Start::Text {
        carriage_return: true,
    } = script::start_of(path)
    {
        say::warning(&format!(
            "Script {} has Windows line ends (CRLF), which bash takes for part of its words.",
            path.display()
        ));
    }
}
