//! `--trace`: the steps in words.

use std::path::Path;

use super::Runner;
use crate::args::Action;
use crate::error::Error;
use crate::plan::{Become, Step};
use crate::script::Presence;
use crate::{assemble, file, jobs, program, say, script};

impl Runner {
    /// Prints a step instead of taking it.
    pub(super) fn trace(&self, step: &Step) -> Result<(), Error> {
        let show = |what: &str, path: &Path| say::line(&format!("{what:<18} {}", path.display()));
        let hooks = match self.invocation.action {
            Action::Assemble(_) => assemble::folder(&self.layout.upload, &self.layout.source),
            _ => self.layout.source.join(".s2i"),
        };
        // What can be run is named so, and anything else by what it is.
        let named = |what, presence| match presence {
            Presence::Executable => what,
            Presence::NotExecutable => "not executable",
            Presence::Absent | Presence::Folder => "not found",
        };
        // A hook that is still in the upload is shown where it will be.
        let present = |path: &Path| match path.file_name() {
            Some(name) => script::presence(&hooks.join("action_hooks").join(name)),
            None => Presence::Absent,
        };
        match step {
            // What a hook makes of the next one shows when it has run.
            Step::Banner(_) | Step::Check(_) => {}
            Step::Preflight { hooks } => self.preflight(hooks)?,
            Step::Environment(environment) => {
                if environment.bash_env
                    && let Some(path) = self.environ.get("BASH_ENV")
                {
                    show("evaluate", Path::new(path));
                }
                if let Some(path) = environment
                    .user
                    .as_deref()
                    .filter(|path| file::is_file(path))
                {
                    show("passwd entry", path);
                }
                if let Some(file) = &environment.file {
                    match present(file) {
                        Presence::Absent | Presence::Folder => show("absent", file),
                        _ if environment.once && self.evaluated() => {
                            show("evaluated already", file)
                        }
                        _ => show("evaluate", file),
                    }
                }
            }
            Step::TakeHooks => {
                let from = self.layout.upload.join(".s2i");
                if file::is_folder(&from) {
                    show("move here", &from);
                }
            }
            Step::Hook(hook) => match present(&hook.path) {
                Presence::Absent => show("absent", &hook.path),
                Presence::Folder if !hook.refuse_folder => show("absent", &hook.path),
                _ => show("run", &hook.path),
            },
            Step::Builder { path, .. } => show(named("run", script::presence(path)), path),
            Step::FixPermissions(path) => show("fix permissions", path),
            Step::Jobs(wanted) => {
                for path in self.locks(wanted) {
                    show("lock", &path);
                }
                for folder in self.layout.jobs(&wanted.category) {
                    let mut listed = jobs::list(&folder);
                    jobs::sort_as_shell(&folder, &mut listed, &self.environ);
                    for path in listed {
                        match script::presence(&path) {
                            Presence::Executable => show("run", &path),
                            _ => show("not executable", &path),
                        }
                    }
                }
            }
            Step::Become(Become::Application {
                hook,
                builder,
                post_deploy,
                ..
            }) => {
                let present = script::presence(hook) == Presence::Executable;
                let program = if present { hook } else { builder };
                show(named("become", script::presence(program)), program);
                if self.invocation.options.init
                    && script::presence(post_deploy) == Presence::Executable
                {
                    show("run when it answers", post_deploy);
                }
            }
            Step::Become(Become::Command(words)) => {
                // By the path of now; an environment file may set another.
                let found = words.first().map(|word| program::find(word, &self.environ));
                let what = match found {
                    Some(Ok(program)) if script::is_executable(&program) => "become",
                    Some(Ok(program)) if file::exists(&program) => "not executable",
                    Some(Err(Error::CannotRun { .. })) => "not executable",
                    _ => "not found",
                };
                let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
                say::line(&format!("{what:<18} {}", words.join(" ")));
            }
            Step::Become(Become::Shell) => show("become", Path::new("/bin/bash")),
        }
        Ok(())
    }
}
