//! Taking the last step of `run`, `exec` and `shell`: the process becomes another program.

use std::path::PathBuf;
use std::process::Command;

use super::{Runner, warn_of_carriage_returns};
use crate::error::Error;
use crate::init::PostDeploy;
use crate::plan::Become;
use crate::script::Presence;
use crate::{file, init, program, say, script};

impl Runner {
    /// Whether bash, once it has the environment, can become this command and nothing of ours is left to do: the runner's
    /// second start would take longer than all else. What the runner would have something to say about stays with it, and
    /// so does what bash may not find where it is found now.
    pub(super) fn may_be_bashs(&self, what: &Become) -> bool {
        let options = &self.invocation.options;
        if options.init || options.json || !self.environ.functions().is_empty() {
            return false;
        }
        let file = match what {
            Become::Application { .. } => return false,
            Become::Shell => PathBuf::from("/bin/bash"),
            Become::Command(words) => {
                match words.first().map(|w| program::find(w, &self.environ)) {
                    Some(Ok(file)) => file,
                    _ => return false,
                }
            }
        };
        let starts = matches!(
            script::start_of(&file),
            script::Start::Program
                | script::Start::Interpreter {
                    carriage_return: false
                }
        );
        starts && file::is_file(&file) && script::is_executable(&file)
    }

    pub(super) fn become_it(&mut self, what: &Become) -> Result<u8, Error> {
        let (file, command) = self.target(what)?;
        let program = file.display().to_string();
        // As a hook, such a file does nothing and succeeds; an application that does so is a mistake.
        if file::stat(&file).is_ok_and(|stat| file::kind(&stat).is_file() && stat.st_size == 0) {
            return Err(Error::Empty(file));
        }
        // A signal that came during the last hook must not be lost in the change.
        if let Some(signals) = &mut self.signals
            && let Some(signal) = signals.take_stop()
        {
            return Err(Error::Stopped(signal));
        }
        self.event("become", &file, 0, None);
        if self.invocation.options.init {
            let post_deploy = match what {
                Become::Application { post_deploy, .. } => Some(PostDeploy {
                    path: post_deploy.clone(),
                    limit: self.invocation.options.post_deploy_timeout,
                }),
                _ => None,
            };
            // The watch over the hooks is over; process 1 watches over more.
            self.signals = None;
            self.took_over = true;
            return init::run(
                command,
                &program,
                post_deploy.as_ref(),
                &self.environ,
                self.log,
            );
        }
        Err(program::become_it(command, &program))
    }

    fn target(&self, what: &Become) -> Result<(PathBuf, Command), Error> {
        match what {
            Become::Application {
                hook,
                builder,
                words,
                ..
            } => {
                let file = match script::presence(hook) {
                    Presence::Executable => hook,
                    Presence::NotExecutable => return Err(Error::NotExecutable(hook.clone())),
                    Presence::Absent | Presence::Folder => builder,
                };
                if file == hook {
                    say::banner(&format!("Running {}", file.display()));
                    warn_of_carriage_returns(file);
                } else {
                    say::banner(&format!("Running builder run script ({})", file.display()));
                }
                let command = program::command(file, file.as_os_str(), words, &self.environ)?;
                Ok((file.clone(), command))
            }
            Become::Command(words) => {
                let (word, rest) = words
                    .split_first()
                    .ok_or_else(|| Error::Usage("exec needs a command".into()))?;
                let file = program::find(word, &self.environ)?;
                let command = program::command(&file, word, rest, &self.environ)?;
                Ok((file, command))
            }
            Become::Shell => {
                let file = PathBuf::from("/bin/bash");
                if !file::exists(&file) {
                    return Err(Error::NotFound("/bin/bash".into()));
                }
                let command = program::command(&file, file.as_os_str(), &[], &self.environ)?;
                Ok((file, command))
            }
        }
    }
}
