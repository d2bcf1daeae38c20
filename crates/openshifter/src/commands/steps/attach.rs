//! `openshifter exec` and `openshifter rsh`: commands in containers, at this terminal.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use openshifter_cluster::{ExecOptions, ExecResize};
use openshifter_deploy::{Project, Target, TargetKind};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Exec, Rsh};
use crate::commands::Session;
use crate::commands::steps::{usage, within};
use crate::exit::Exit;
use crate::printer::Printer;

/// A command for a container.
struct Wanted<'a> {
    target: Target,
    container: Option<&'a str>,
    command: Vec<String>,
    stdin: bool,
    tty: bool,
}

pub(crate) async fn exec(args: Exec, printer: Printer) -> Result<Exit> {
    let target = Target::parse(&args.target, TargetKind::Pod).map_err(usage)?;
    let tty = args.tty && std::io::stdin().is_terminal();
    if args.tty && !tty {
        printer.note("no terminal is given to the command: there is none here");
    }
    let wanted = Wanted {
        target,
        container: args.container.as_deref(),
        command: args.command.clone(),
        stdin: args.stdin,
        tty,
    };
    let session = Session::new(printer);
    within!(args.at, session, |project| attach(project, &wanted).await)
}

pub(crate) async fn rsh(args: Rsh, printer: Printer) -> Result<Exit> {
    let target = Target::parse(&args.target, TargetKind::Pod).map_err(usage)?;
    let tty = !args.no_tty && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let mut command = args.command.clone();
    if command.is_empty() {
        command.push(args.shell.clone());
    }
    if tty {
        // Editors and pagers ask for the kind of terminal that is here.
        let term = std::env::var("TERM").unwrap_or_else(|_| "xterm".to_owned());
        let set = "TERM=$1; export TERM; shift; exec \"$@\"";
        let mut within: Vec<String> = [args.shell.as_str(), "-c", set, "sh", &term]
            .map(str::to_owned)
            .to_vec();
        within.append(&mut command);
        command = within;
    }
    let wanted = Wanted {
        target,
        container: args.container.as_deref(),
        command,
        stdin: true,
        tty,
    };
    let session = Session::new(printer);
    within!(args.at, session, |project| attach(project, &wanted).await)
}

/// Runs it with our own streams; its exit status is ours.
async fn attach(project: &Project, wanted: &Wanted<'_>) -> Result<Exit> {
    let place = project
        .place(&wanted.target, wanted.container)
        .await
        .map_err(usage)?;
    let options = ExecOptions {
        stdin: wanted.stdin,
        tty: wanted.tty,
        stderr: !wanted.tty,
        // A person may think for as long as a person likes.
        stall: Some(Duration::MAX),
    };
    let mut exec = project
        .cluster()
        .exec_with(
            project.namespace(),
            &place.pod,
            Some(&place.container),
            &wanted.command,
            &options,
        )
        .await?;
    let raw = wanted.tty.then(Raw::enter).transpose()?;
    let sizes = exec
        .resizer()
        .map(|resize| tokio::spawn(follow_size(resize)));
    let input = exec.stdin().map(|mut stdin| {
        tokio::spawn(async move {
            // A command that takes no more has ended, or soon will.
            let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut stdin).await;
            let _ = stdin.shutdown().await;
        })
    });
    let output = pass(exec.stdout(), tokio::io::stdout());
    let errors = pass(exec.stderr(), tokio::io::stderr());
    tokio::join!(output, errors);
    let outcome = exec.finish().await;
    // The terminal is a person's again before anything is said.
    drop(raw);
    for task in [input, sizes].into_iter().flatten() {
        task.abort();
    }
    let status = u8::try_from(outcome?.exit_code.rem_euclid(256)).unwrap_or(1);
    Ok(Exit::Command(status))
}

/// Passes on what comes, as it comes.
async fn pass(from: Option<impl AsyncRead + Unpin>, mut to: impl AsyncWrite + Unpin) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; 64 << 10];
    // A torn connection shows in how the command ends; a closed pipe of ours is no failure.
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let written = to.write_all(&buffer[..count]).await;
        if written.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

/// Tells the size of our terminal, now and whenever it changes.
async fn follow_size(resize: ExecResize) {
    let Ok(mut changes) = signal(SignalKind::window_change()) else {
        return;
    };
    loop {
        if let Ok(size) =
            tcgetwinsize(std::io::stdout()).or_else(|_| tcgetwinsize(std::io::stdin()))
            && size.ws_col > 0
        {
            resize.resize(size.ws_col, size.ws_row);
        }
        if changes.recv().await.is_none() {
            return;
        }
    }
}

/// Our terminal, whose keys all go to the command for as long as this lives.
struct Raw(Termios);

impl Raw {
    fn enter() -> Result<Self> {
        let before = tcgetattr(std::io::stdin()).context("asking the terminal")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).context("setting the terminal")?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing could be done about it.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &self.0);
    }
}
