//! The command line. Options of ours stand before the command: whatever follows it belongs to the hook or program, as in
//! `exec python manage.py --help`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;

/// The hidden first word of the process that bash becomes.
pub(crate) const RESUME: &str = "__resume";

/// Stands for all functions, whatever their names.
const ALL: &str = "*";

/// A parsed command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// `argv[0]` and, when the program has other commands besides, the word `image`.
    pub(crate) program: Vec<OsString>,
    /// Everything after that, to be said again when bash becomes the runner.
    pub(crate) words: Vec<OsString>,
    pub(crate) options: Options,
    pub(crate) action: Action,
    pub(crate) resume: Option<Resume>,
}

/// What stands before the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) trace: bool,
    pub(crate) json: bool,
    pub(crate) init: bool,
    pub(crate) refresh: bool,
    /// For the application to answer and `post_deploy` to run, together.
    pub(crate) post_deploy_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            trace: false,
            json: false,
            init: false,
            refresh: false,
            post_deploy_timeout: Duration::from_secs(300),
        }
    }
}

/// Where to go on after bash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resume {
    /// The step that bash has done.
    pub(crate) step: usize,
    /// When it began, in microseconds since the epoch.
    pub(crate) began: u128,
    /// Names of the functions that were exported before a file was evaluated; all others are dropped. None where there was
    /// no file, and all stay.
    pub(crate) functions: Option<Vec<OsString>>,
    /// The status that the file failed with, where the runner is told.
    pub(crate) failed: Option<u8>,
    /// The traps that the file has set for the end of its shell, as text for bash, or nothing.
    pub(crate) traps: OsString,
}

/// The commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Assemble(Vec<OsString>),
    Run(Vec<OsString>),
    Exec(Vec<OsString>),
    Shell,
    Hook(HookAction, Vec<OsString>),
    Jobs(Jobs),
    Check { folder: PathBuf, json: bool },
    Help,
    Version,
}

/// The hooks that are commands of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HookAction {
    Verify,
    Ready,
    Alive,
    Setup,
    Migrate,
}

impl HookAction {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Ready => "ready",
            Self::Alive => "alive",
            Self::Setup => "setup",
            Self::Migrate => "migrate",
        }
    }
}

impl Action {
    /// As it is typed.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Assemble(_) => "assemble",
            Self::Run(_) => "run",
            Self::Exec(_) => "exec",
            Self::Shell => "shell",
            Self::Hook(hook, _) => hook.name(),
            Self::Jobs(_) => "jobs",
            Self::Check { .. } => "check",
            Self::Help => "help",
            Self::Version => "version",
        }
    }
}

/// `jobs` and its options.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Jobs {
    pub(crate) category: String,
    pub(crate) keep_going: bool,
    /// For each job.
    pub(crate) timeout: Option<Duration>,
    pub(crate) lock: Lock,
    pub(crate) line_buffer: LineBuffer,
}

/// What keeps a second run of a category from starting over a first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Lock {
    #[default]
    None,
    /// A file on the application's volume, which other pods see, too; where there is none, the category's own folder, which
    /// needs nothing to be written.
    Usual,
    /// A file, on a volume that several pods share, say.
    File(PathBuf),
}

/// How a job's output comes line by line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum LineBuffer {
    /// `stdbuf` where the image has it, a pseudo-terminal elsewhere.
    #[default]
    Auto,
    Stdbuf,
    Pty,
    Off,
}

/// Parses `argv`.
pub(crate) fn parse(argv: Vec<OsString>) -> Result<Invocation, Error> {
    let mut argv = argv.into_iter();
    let argv0 = argv.next().unwrap_or_else(|| "openshifter-image".into());
    let mut words: Vec<OsString> = argv.collect();
    let mut program = vec![argv0];
    if words.first().is_some_and(|word| word == "image") {
        program.push(words.remove(0));
    } else if crate::is_runner(&program[0])
        && !matches!(
            words.first().and_then(|word| word.to_str()),
            None | Some("--help" | "-h" | "help" | "--version" | "-V")
        )
    {
        return Err(Error::Usage(format!(
            "No such command '{}'; of powershift there is only `powershift image` here",
            words[0].to_string_lossy()
        )));
    }
    let resume = match words.first() {
        Some(word) if word == RESUME => Some(resume(&mut words)?),
        _ => None,
    };
    let mut rest = Words(words.clone().into());
    let (options, action) = match head(&mut rest)? {
        Head::Command(options, name) => {
            let action = action(&name, &mut rest)?;
            check_init(&options, &action)?;
            (options, action)
        }
        Head::Alone(action) => (Options::default(), action),
    };
    Ok(Invocation {
        program,
        words,
        options,
        action,
        resume,
    })
}

/// What a command line begins with.
enum Head {
    /// The options, and the command's name.
    Command(Options, String),
    /// Help or version, which are the whole line.
    Alone(Action),
}

struct Words(std::collections::VecDeque<OsString>);

impl Words {
    fn next(&mut self) -> Option<OsString> {
        self.0.pop_front()
    }

    fn rest(&mut self) -> Vec<OsString> {
        self.0.drain(..).collect()
    }

    /// The value of an option, after `=` or as the next word.
    fn value(&mut self, option: &str, attached: Option<&OsStr>) -> Result<String, Error> {
        let value = match attached {
            Some(value) => value.to_owned(),
            None => self
                .next()
                .ok_or_else(|| Error::Usage(format!("{option} needs a value")))?,
        };
        value
            .into_string()
            .map_err(|_| Error::Usage(format!("the value of {option} is no text")))
    }
}

/// Splits `--option=value`.
fn split(word: &OsStr) -> (OsString, Option<OsString>) {
    let bytes = word.as_bytes();
    match bytes.iter().position(|byte| *byte == b'=') {
        Some(at) if bytes.starts_with(b"--") => (
            OsStr::from_bytes(&bytes[..at]).to_owned(),
            Some(OsStr::from_bytes(&bytes[at + 1..]).to_owned()),
        ),
        _ => (word.to_owned(), None),
    }
}

fn head(words: &mut Words) -> Result<Head, Error> {
    let mut options = Options::default();
    loop {
        let Some(word) = words.next() else {
            return Err(Error::Usage("a command is missing".into()));
        };
        let (name, value) = split(&word);
        let Some(name) = name.to_str() else {
            return Err(unknown(&word));
        };
        match (name, &value) {
            ("--trace", None) => options.trace = true,
            ("--init", None) => options.init = true,
            ("--refresh-env", None) => options.refresh = true,
            ("--log", value) => {
                options.json = match words.value(name, value.as_deref())?.as_str() {
                    "json" => true,
                    "text" => false,
                    other => {
                        return Err(Error::Usage(format!(
                            "--log is `text` or `json`, not `{other}`"
                        )));
                    }
                };
            }
            ("--post-deploy-timeout", value) => {
                options.post_deploy_timeout = duration(&words.value(name, value.as_deref())?)?;
            }
            ("--help" | "-h" | "help", None) => return Ok(Head::Alone(Action::Help)),
            ("--version" | "-V", None) => return Ok(Head::Alone(Action::Version)),
            (name, _) if name.starts_with('-') => {
                return Err(Error::Usage(format!("No such option: {name}")));
            }
            _ => {
                let name = word.into_string().map_err(|word| unknown(&word))?;
                return Ok(Head::Command(options, name));
            }
        }
    }
}

fn unknown(word: &OsStr) -> Error {
    Error::Usage(format!("No such command '{}'", word.to_string_lossy()))
}

fn action(name: &str, words: &mut Words) -> Result<Action, Error> {
    // As the first word it is ours, as it was the original's; any later one is the hook's or the builder's.
    let hook = matches!(
        name,
        "assemble" | "run" | "verify" | "ready" | "alive" | "setup" | "migrate"
    );
    if hook && words.0.front().is_some_and(|word| word == "--help") {
        return Ok(Action::Help);
    }
    Ok(match name {
        "assemble" => Action::Assemble(words.rest()),
        "run" => Action::Run(words.rest()),
        "exec" => exec(words)?,
        "shell" => match words.next() {
            None => Action::Shell,
            Some(word) if word == "--help" => Action::Help,
            Some(word) => {
                return Err(Error::Usage(format!(
                    "shell takes no `{}`",
                    word.to_string_lossy()
                )));
            }
        },
        "verify" => Action::Hook(HookAction::Verify, words.rest()),
        "ready" => Action::Hook(HookAction::Ready, words.rest()),
        "alive" => Action::Hook(HookAction::Alive, words.rest()),
        "setup" => Action::Hook(HookAction::Setup, words.rest()),
        "migrate" => Action::Hook(HookAction::Migrate, words.rest()),
        "jobs" => jobs(words)?,
        "check" => check(words)?,
        other => return Err(unknown(OsStr::new(other))),
    })
}

/// The command to run. One `--` before it is a separator, as it was for the original; any later one is the command's.
fn exec(words: &mut Words) -> Result<Action, Error> {
    let mut command = words.rest();
    match command.first() {
        Some(word) if word == "--" => {
            command.remove(0);
        }
        Some(word) if word == "--help" => return Ok(Action::Help),
        _ => {}
    }
    if command.is_empty() {
        return Err(Error::Usage(
            "exec needs a command, as in `exec python manage.py migrate`".into(),
        ));
    }
    Ok(Action::Exec(command))
}

fn jobs(words: &mut Words) -> Result<Action, Error> {
    let mut jobs = Jobs::default();
    let mut category = None;
    let mut options = true;
    while let Some(word) = words.next() {
        let (name, value) = split(&word);
        match (name.to_str().unwrap_or_default(), &value) {
            // As for the original: one ends the options.
            ("--", None) if options => options = false,
            _ if !options && category.is_none() => category = Some(category_name(&word)?),
            ("--keep-going" | "-k", None) => jobs.keep_going = true,
            ("--timeout", value) => {
                jobs.timeout = Some(duration(&words.value("--timeout", value.as_deref())?)?);
            }
            ("--lock", None) => jobs.lock = Lock::Usual,
            ("--lock", Some(file)) => jobs.lock = Lock::File(file.into()),
            ("--line-buffer", value) => {
                jobs.line_buffer = match words.value("--line-buffer", value.as_deref())?.as_str() {
                    "auto" => LineBuffer::Auto,
                    "stdbuf" => LineBuffer::Stdbuf,
                    "pty" => LineBuffer::Pty,
                    "off" => LineBuffer::Off,
                    other => {
                        return Err(Error::Usage(format!(
                            "--line-buffer is auto, stdbuf, pty or off, not `{other}`"
                        )));
                    }
                };
            }
            ("--help", None) => return Ok(Action::Help),
            (option, _) if option.starts_with('-') => {
                return Err(Error::Usage(format!("No such option: {option}")));
            }
            _ if category.is_none() => category = Some(category_name(&word)?),
            _ => {
                return Err(Error::Usage(format!(
                    "jobs takes one category, not `{}` as well",
                    word.to_string_lossy()
                )));
            }
        }
    }
    jobs.category = category
        .ok_or_else(|| Error::Usage("jobs needs a category, as in `jobs hourly`".into()))?;
    Ok(Action::Jobs(jobs))
}

/// A category is one folder's name, never a path.
fn category_name(word: &OsStr) -> Result<String, Error> {
    let refused = || {
        Error::Usage(format!(
            "`{}` is no category: letters, digits, `.`, `_` and `-` are allowed",
            word.to_string_lossy()
        ))
    };
    let name = word.to_str().ok_or_else(refused)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name == "." || name == ".." || !name.bytes().all(allowed) {
        return Err(refused());
    }
    Ok(name.to_owned())
}

fn check(words: &mut Words) -> Result<Action, Error> {
    let mut folder = None;
    let mut json = false;
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--json") => json = true,
            Some("--help") => return Ok(Action::Help),
            Some(option) if option.starts_with('-') => {
                return Err(Error::Usage(format!("No such option: {option}")));
            }
            _ if folder.is_none() => folder = Some(PathBuf::from(word)),
            _ => return Err(Error::Usage("check takes one folder".into())),
        }
    }
    Ok(Action::Check {
        folder: folder.unwrap_or_else(|| ".".into()),
        json,
    })
}

fn check_init(options: &Options, action: &Action) -> Result<(), Error> {
    if options.init && !matches!(action, Action::Run(_) | Action::Exec(_)) {
        return Err(Error::Usage(
            "--init is for `run` and `exec`, which end in a program that stays".into(),
        ));
    }
    Ok(())
}

fn resume(words: &mut Vec<OsString>) -> Result<Resume, Error> {
    let broken = || Error::Usage(format!("{RESUME} is for this program's own use"));
    if words.len() < 6 {
        return Err(broken());
    }
    let number = |at: usize| words[at].to_str().map(str::to_owned).ok_or_else(broken);
    let step = number(1)?.parse().map_err(|_| broken())?;
    let began = number(2)?.parse().map_err(|_| broken())?;
    // Bash adds whole lines, as in `declare -fx name`.
    let name = |line: &[u8]| {
        let name = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
        (!name.is_empty()).then(|| OsStr::from_bytes(name).to_owned())
    };
    let functions = (words[3] != ALL).then(|| {
        let lines = words[3].as_bytes().split(|byte| *byte == b'\n');
        lines.filter_map(name).collect()
    });
    let failed = match number(4)?.as_str() {
        "" => None,
        status => Some(status.parse().map_err(|_| broken())?),
    };
    let traps = words[5].clone();
    words.drain(..6);
    Ok(Resume {
        step,
        began,
        functions,
        failed,
        traps,
    })
}

/// The words with which bash becomes the runner again. The last two are for bash: what the file failed with, and traps.
pub(crate) fn resume_words(resume: &Resume) -> [OsString; 6] {
    let mut functions = OsString::new();
    match &resume.functions {
        Some(names) => {
            for name in names {
                functions.push(name);
                functions.push("\n");
            }
        }
        None => functions.push(ALL),
    }
    [
        RESUME.into(),
        resume.step.to_string().into(),
        resume.began.to_string().into(),
        functions,
        resume
            .failed
            .map(|status| status.to_string())
            .unwrap_or_default()
            .into(),
        resume.traps.clone(),
    ]
}

/// Some thirty years: a clock can add it to the present time.
const FOREVER: Duration = Duration::from_secs(1_000_000_000);

/// `90s`, `10m`, `1h`, or plain seconds.
fn duration(text: &str) -> Result<Duration, Error> {
    let wrong = || Error::Usage(format!("`{text}` is no time, as 90s or 10m"));
    let (number, unit) = match text.find(|char: char| !char.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    if number == 0 {
        return Err(Error::Usage(format!(
            "`{text}` is no time at all; without the option there is no limit of this kind"
        )));
    }
    Ok(Duration::from_secs(number.saturating_mul(factor)).min(FOREVER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Invocation, String> {
        let words = line.split(' ').map(OsString::from).collect();
        parse(words).map_err(|error| error.to_string())
    }

    #[test]
    fn help_is_the_first_word_after_the_command() {
        for command in [
            "assemble", "run", "exec", "shell", "verify", "ready", "alive", "setup", "migrate",
            "jobs", "check",
        ] {
            let line = format!("openshifter-image {command} --help");
            assert_eq!(parsed(&line).unwrap().action, Action::Help, "{line}");
        }
        let passed = parsed("openshifter-image migrate app --help").unwrap();
        let words = vec!["app".into(), "--help".into()];
        assert_eq!(passed.action, Action::Hook(HookAction::Migrate, words));
    }

    #[test]
    fn times_that_are_none_and_times_without_end() {
        assert!(duration("0").is_err() && duration("0m").is_err() && duration("1d").is_err());
        assert_eq!(duration("2m").unwrap(), Duration::from_secs(120));
        for long in ["18446744073709551615h", "99999999999"] {
            let long = duration(long).unwrap();
            assert!(std::time::Instant::now().checked_add(long).is_some());
        }
    }

    fn exec_of(line: &str) -> Vec<OsString> {
        match parsed(line).unwrap().action {
            Action::Exec(command) => command,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_names_of_the_program() {
        for line in [
            "openshifter image ready",
            "openshifter-image ready",
            "/opt/app-root/bin/powershift image ready",
        ] {
            let invocation = parsed(line).unwrap();
            assert_eq!(
                invocation.action,
                Action::Hook(HookAction::Ready, vec![]),
                "{line}"
            );
        }
        insta::assert_snapshot!(
            parsed("powershift cluster up").unwrap_err(),
            @"No such command 'cluster'; of powershift there is only `powershift image` here"
        );
    }

    #[test]
    fn what_follows_the_command_is_not_ours() {
        assert_eq!(exec_of("x exec git log --help"), ["git", "log", "--help"]);
        assert_eq!(exec_of("x exec -- git log -- a"), ["git", "log", "--", "a"]);
        assert_eq!(exec_of("x --log json exec --init"), ["--init"]);
        let hook = parsed("x migrate --fake -h").unwrap().action;
        assert_eq!(
            hook,
            Action::Hook(HookAction::Migrate, vec!["--fake".into(), "-h".into()])
        );
    }

    #[test]
    fn a_category_is_a_name() {
        for category in ["hourly", "a.b-c_D9", "..."] {
            assert!(parsed(&format!("x jobs {category}")).is_ok(), "{category}");
        }
        for category in ["../action_hooks", "hourly/", ".", "..", "a*"] {
            assert!(parsed(&format!("x jobs {category}")).is_err(), "{category}");
        }
    }

    #[test]
    fn options_of_jobs_stand_anywhere() {
        let jobs = parsed("x jobs hourly --keep-going --timeout=20m --lock=/data/l").unwrap();
        assert_eq!(
            jobs.action,
            Action::Jobs(Jobs {
                category: "hourly".into(),
                keep_going: true,
                timeout: Some(Duration::from_secs(1200)),
                lock: Lock::File("/data/l".into()),
                line_buffer: LineBuffer::Auto,
            })
        );
    }

    #[test]
    fn two_dashes_end_the_options_of_jobs() {
        let category = |line| match parsed(line)?.action {
            Action::Jobs(jobs) => Ok::<_, String>((jobs.category, jobs.keep_going)),
            other => panic!("{other:?}"),
        };
        let hourly = |keep_going| Ok(("hourly".to_owned(), keep_going));
        assert_eq!(category("x jobs -- hourly"), hourly(false));
        assert_eq!(category("x jobs -k -- hourly"), hourly(true));
        assert!(category("x jobs -- hourly -- -k").is_err());
        assert_eq!(category("x jobs -- -k"), Ok(("-k".to_owned(), false)));
    }

    #[test]
    fn refusals_name_the_word() {
        let said = |line| parsed(line).unwrap_err();
        insta::assert_snapshot!(said("x nosuch"), @"No such command 'nosuch'");
        insta::assert_snapshot!(said("x --nosuch run"), @"No such option: --nosuch");
        insta::assert_snapshot!(said("x exec"), @"exec needs a command, as in `exec python manage.py migrate`");
        insta::assert_snapshot!(said("x --init ready"), @"--init is for `run` and `exec`, which end in a program that stays");
        insta::assert_snapshot!(said("x jobs a b"), @"jobs takes one category, not `b` as well");
        insta::assert_snapshot!(said("x __resume 1"), @"__resume is for this program's own use");
    }

    #[test]
    fn resuming_says_the_same_words_again() {
        let first = parsed("powershift image --log json exec a b").unwrap();
        let resume = Resume {
            step: 2,
            began: 7,
            functions: Some(vec!["m".into()]),
            failed: Some(3),
            traps: "trap -- 'x' EXIT".into(),
        };
        let mut again = first.program.clone();
        again.extend(resume_words(&resume));
        again.extend(first.words.clone());
        let second = parse(again).unwrap();
        assert_eq!(second.resume, Some(resume));
        assert_eq!((second.action, second.words), (first.action, first.words));
    }
}
