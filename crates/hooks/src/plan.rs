//! The steps of each command. They are fixed, so that their numbers mean the same before and after bash; what is absent is
//! found out when a step's turn comes. `--trace` prints the very steps that a run takes.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::args::{Action, HookAction, Jobs};
use crate::layout::Layout;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A line on standard output.
    Banner(String),
    /// Refuses the wrong folder, and hooks that are there and cannot be run: before anything has run.
    Preflight {
        hooks: Vec<&'static str>,
    },
    /// Refuses a hook that cannot be run, now that a hook before it had the opportunity to see to that.
    Check(&'static str),
    /// Everything that the environment gets from elsewhere.
    Environment(Environment),
    /// `assemble` takes `.s2i` out of the uploaded source.
    TakeHooks,
    /// A hook, absent or run to its end.
    Hook(Hook),
    /// The builder's `assemble`.
    Builder {
        path: PathBuf,
        words: Vec<OsString>,
    },
    /// Makes a folder usable for whatever uid the image will run under.
    FixPermissions(PathBuf),
    Jobs(Jobs),
    /// The process becomes this.
    Become(Become),
}

/// The environment step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Environment {
    /// `deploy_env` or `build_env`.
    pub(crate) file: Option<PathBuf>,
    /// The passwd entry for an arbitrary uid.
    pub(crate) user: Option<PathBuf>,
    /// Evaluated once per process tree, and marked so.
    pub(crate) once: bool,
    /// Nothing on standard output: it belongs to the command.
    pub(crate) quiet: bool,
    /// Honours `BASH_ENV`, by which old images enable their software collections: each command does so once.
    pub(crate) bash_env: bool,
    /// What the file sees as `$1` and so on.
    pub(crate) parameters: Vec<OsString>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hook {
    pub(crate) path: PathBuf,
    pub(crate) words: Vec<OsString>,
    pub(crate) banner: bool,
    /// A folder of the hook's name counts as one that cannot be run.
    pub(crate) refuse_folder: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Become {
    /// The `run` hook, else the builder's `run`.
    Application {
        hook: PathBuf,
        builder: PathBuf,
        words: Vec<OsString>,
        /// Run once the application answers, under `--init`.
        post_deploy: PathBuf,
    },
    Command(Vec<OsString>),
    Shell,
}

/// The steps of a command, none for those that have no part in an image's life.
pub(crate) fn steps(action: &Action, layout: &Layout, init: bool) -> Vec<Step> {
    match action {
        Action::Assemble(words) => assemble(words, layout),
        Action::Run(words) => run(words, layout, init),
        Action::Exec(words) => vec![
            Step::Preflight { hooks: vec![] },
            deploy_env(layout, true, words),
            Step::Become(Become::Command(words.clone())),
        ],
        Action::Shell => vec![
            Step::Preflight { hooks: vec![] },
            deploy_env(layout, true, &[]),
            Step::Become(Become::Shell),
        ],
        Action::Hook(hook, words) => one_hook(*hook, words, layout),
        Action::Jobs(jobs) => vec![
            Step::Preflight { hooks: vec![] },
            deploy_env(layout, false, &[OsString::from(&jobs.category)]),
            Step::Banner(format!("Executing jobs ({})", jobs.category)),
            Step::Jobs(jobs.clone()),
        ],
        Action::Check { .. } | Action::Help | Action::Version => vec![],
    }
}

fn assemble(words: &[OsString], layout: &Layout) -> Vec<Step> {
    let path = layout.builder("assemble");
    let mut steps = vec![
        Step::Banner("Running application assemble script.".into()),
        Step::Preflight {
            hooks: vec!["pre_build", "build"],
        },
        // `pre_build` shall have the software collections of an old image, too.
        Step::Environment(Environment {
            bash_env: true,
            ..Environment::default()
        }),
        Step::TakeHooks,
        hook(layout, "pre_build"),
        Step::Check("build"),
        Step::Environment(Environment {
            file: Some(layout.hook("build_env")),
            ..Environment::default()
        }),
        Step::Banner(format!(
            "Running builder assemble script ({})",
            path.display()
        )),
        Step::Builder {
            path,
            words: words.to_vec(),
        },
        hook(layout, "build"),
        Step::FixPermissions(layout.source.clone()),
    ];
    if layout.source.parent() != Some(&layout.application) {
        steps.push(Step::FixPermissions(layout.application.clone()));
    }
    steps
}

fn run(words: &[OsString], layout: &Layout, init: bool) -> Vec<Step> {
    let mut hooks = vec!["deploy", "run"];
    hooks.extend(init.then_some("post_deploy"));
    vec![
        Step::Banner("Running application run script.".into()),
        Step::Preflight { hooks },
        deploy_env(layout, false, &[]),
        hook(layout, "deploy"),
        Step::Become(Become::Application {
            hook: layout.hook("run"),
            builder: layout.builder("run"),
            words: words.to_vec(),
            post_deploy: layout.hook("post_deploy"),
        }),
    ]
}

fn one_hook(hook: HookAction, words: &[OsString], layout: &Layout) -> Vec<Step> {
    let mut environment = environment(layout, false, &[]);
    if hook == HookAction::Verify {
        // As the original: it runs in a build, whose user has an entry.
        environment.user = None;
    }
    vec![
        Step::Preflight {
            hooks: vec![hook.name()],
        },
        Step::Environment(environment),
        Step::Hook(Hook {
            path: layout.hook(hook.name()),
            words: words.to_vec(),
            // Probes run every few seconds and say nothing.
            banner: !matches!(hook, HookAction::Ready | HookAction::Alive),
            refuse_folder: true,
        }),
    ]
}

fn hook(layout: &Layout, name: &str) -> Step {
    Step::Hook(Hook {
        path: layout.hook(name),
        words: vec![],
        banner: true,
        refuse_folder: false,
    })
}

fn deploy_env(layout: &Layout, quiet: bool, parameters: &[OsString]) -> Step {
    Step::Environment(environment(layout, quiet, parameters))
}

fn environment(layout: &Layout, quiet: bool, parameters: &[OsString]) -> Environment {
    Environment {
        file: Some(layout.hook("deploy_env")),
        user: Some(layout.container_user()),
        once: true,
        quiet,
        bash_env: true,
        parameters: parameters.to_vec(),
    }
}
