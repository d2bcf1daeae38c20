//! V2's hooks in their new places: the deploy hook is divided, and an environment is kept apart from what is done.

use super::divide::divide;
use super::draft::Draft;
use super::scripts::carried;
use crate::facts::{Hook, HookState, SOURCE_DIR};
use crate::options::{Options, Version};
use crate::shell::{self, UnitKind};

/// What the conversion does with a hook of V2; `None` when it has no place on V3.
pub(crate) fn hook_target(name: &str) -> Option<&'static str> {
    Some(match name {
        "pre_build" => "carries it over to the pre_build hook, which finds the sources in /tmp/src",
        "build" | "prepare" => "carries it over to the build hook",
        "deploy" => {
            "carries it over to the deploy hook, with what collects static files in the build hook and what migrates in the migrate hook"
        }
        "post_deploy" => {
            "carries it over to the post_deploy hook, which the runner calls once the application answers"
        }
        name if name.starts_with("pre_start") => {
            "carries it over: exports to deploy_env, anything else to the deploy hook"
        }
        name if name.starts_with("post_start") => {
            "carries it over to a postStart hook of the workload's pods"
        }
        name if name.starts_with("pre_stop") => {
            "carries it over to a preStop hook of the workload's pods"
        }
        _ => return None,
    })
}

/// Pieces of the hooks that are put together.
#[derive(Default)]
pub(super) struct Pieces {
    pub(super) pre_build: Vec<String>,
    pub(super) build: Vec<String>,
    /// What the deploy hook does before the database is brought up to date.
    pub(super) before_migrate: Vec<String>,
    /// What it does after that: it may need tables.
    pub(super) after_migrate: Vec<String>,
    pub(super) deploy_env: Vec<String>,
    pub(super) migrate: Vec<String>,
    pub(super) post_deploy: Vec<String>,
    pub(super) post_start: Vec<String>,
    pub(super) pre_stop: Vec<String>,
    /// Whether a hook of V2 collected static files or migrated.
    pub(super) collects: bool,
    pub(super) migrates: bool,
}

/// Carries all hooks over that V2 ran.
pub(super) fn carry_all(
    draft: &mut Draft<'_>,
    hooks: &[Hook],
    options: &Options,
    renames: &[(String, String)],
) -> Pieces {
    let mut pieces = Pieces::default();
    for hook in hooks.iter().filter(|hook| hook.state == HookState::Live) {
        carry(draft, &mut pieces, hook, options, renames);
    }
    pieces
}

fn carry(
    draft: &mut Draft<'_>,
    pieces: &mut Pieces,
    hook: &Hook,
    options: &Options,
    renames: &[(String, String)],
) {
    if hook_target(&hook.name).is_none() {
        return;
    }
    let Some(text) = draft.tree.text(&hook.path) else {
        return;
    };
    let from = format!("# From {}:\n", hook.path);
    // A script in another language stays a file of its own.
    if hook.interpreter.is_some() {
        let copy = format!(".s2i/v2_hooks/{}", hook.name);
        draft.create(
            &copy,
            carried(&text, renames),
            true,
            format!(
                "the hook {} is no shell script: it is called as it is",
                hook.name
            ),
        );
        let place = if hook.name == "pre_build" {
            "/tmp/src/"
        } else {
            SOURCE_DIR
        };
        let call = format!("{from}{place}{copy} || exit $?\n");
        match hook.name.as_str() {
            "pre_build" => pieces.pre_build.push(call),
            "build" | "prepare" => pieces.build.push(call),
            name => pieces.later(name).push(call),
        }
        return;
    }
    let text = beside(&carried(&text, renames), &hook.path);
    let text = text.strip_prefix("#!").map_or(text.as_str(), |rest| {
        rest.split_once('\n').map_or("", |(_, rest)| rest)
    });
    if hook.name.starts_with("pre_start") && is_exports(text) {
        pieces
            .deploy_env
            .push(format!("{from}{}", text.trim_start_matches('\n')));
        return;
    }
    let text = text.trim_start_matches('\n');
    match hook.name.as_str() {
        "pre_build" => pieces.pre_build.push(wrap(&from, text)),
        "build" | "prepare" => {
            pieces.collects |= shell::whole_lines(text)
                .iter()
                .any(|line| shell::manages(line) && line.contains("collectstatic"));
            pieces.build.push(wrap(&from, text));
        }
        name if hook_moment(name) != Moment::Deploy => {
            pieces.later(name).push(wrap(&from, text));
        }
        _ => {
            let parts = divide(text, renames);
            if let Some(build) = parts.build {
                pieces.collects = true;
                pieces.build.push(wrap(&from, &build));
            }
            if let Some(before) = parts.before {
                let piece = wrap(&from, &modern(&before, options));
                pieces.deploying().push(piece);
            }
            if let Some(migrate) = parts.migrate {
                pieces.migrates = true;
                pieces.migrate.push(wrap(&from, &modern(&migrate, options)));
            }
            if let Some(after) = parts.after {
                let piece = wrap(&from, &modern(&after, options));
                pieces.after_migrate.push(piece);
            }
        }
    }
}

/// When a hook runs, of those that run in the container.
#[derive(Clone, Copy, PartialEq)]
enum Moment {
    Deploy,
    PostDeploy,
    PostStart,
    PreStop,
}

fn hook_moment(name: &str) -> Moment {
    match name {
        "post_deploy" => Moment::PostDeploy,
        name if name.starts_with("post_start") => Moment::PostStart,
        name if name.starts_with("pre_stop") => Moment::PreStop,
        _ => Moment::Deploy,
    }
}

impl Pieces {
    /// Where the next piece of the deploy hook goes, in the order of V2's hooks.
    fn deploying(&mut self) -> &mut Vec<String> {
        if self.migrates || !self.after_migrate.is_empty() {
            &mut self.after_migrate
        } else {
            &mut self.before_migrate
        }
    }

    /// Where a hook goes that runs in the container.
    fn later(&mut self, name: &str) -> &mut Vec<String> {
        match hook_moment(name) {
            Moment::Deploy => self.deploying(),
            Moment::PostDeploy => &mut self.post_deploy,
            Moment::PostStart => &mut self.post_start,
            Moment::PreStop => &mut self.pre_stop,
        }
    }
}

/// Whether the conversion makes lifecycle hooks of V2's: after the start, and before the stop.
pub(crate) fn lifecycle(hooks: &[Hook]) -> (bool, bool) {
    let any = |moment| {
        hooks
            .iter()
            .any(|hook| hook.state == HookState::Live && hook_moment(&hook.name) == moment)
    };
    (any(Moment::PostStart), any(Moment::PreStop))
}

/// A hook that looks for files beside it finds them where they are still: the carried-over part is elsewhere.
fn beside(text: &str, path: &str) -> String {
    let place = format!("${{OPENSHIFT_REPO_DIR}}{path}");
    let folder = place.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut text = text.to_owned();
    for program in ["dirname", "readlink -f", "realpath", "dirname --"] {
        for own in [
            "\"$0\"",
            "\"${0}\"",
            "$0",
            "\"${BASH_SOURCE[0]}\"",
            "${BASH_SOURCE[0]}",
            "\"$BASH_SOURCE\"",
            "$BASH_SOURCE",
        ] {
            text = text.replace(
                &format!("{program} {own}"),
                &format!("{program} \"{place}\""),
            );
        }
    }
    text.replace("${0%/*}", folder)
        .replace("${BASH_SOURCE%/*}", folder)
        .replace("${BASH_SOURCE[0]%/*}", folder)
}

/// A subshell: `exit` within ends the carried part only, and it starts where V2 started hooks, with a shell that goes on after failures until
/// the part itself says otherwise. Nothing may follow it with `||`: bash would pass over its `set -e` then.
fn wrap(from: &str, text: &str) -> String {
    format!(
        "{from}(\nset +eo pipefail\ncd \"${{OPENSHIFT_HOMEDIR:-/opt/app-root/}}\" || exit 1\n{}\n)\n",
        text.trim_end()
    )
}

/// Commands of old Djangos by their new names, in the calls of them and nowhere else.
fn modern(text: &str, options: &Options) -> String {
    if options.django < Version::new(1, 9) {
        return text.to_owned();
    }
    shell::whole_lines(text)
        .iter()
        .flat_map(|line| {
            let is_comment = line.trim_start().starts_with('#');
            line.split_inclusive([';', '&', '|'])
                .map(move |command| {
                    if is_comment || !shell::manages(command) || !command.contains("syncdb") {
                        return command.to_owned();
                    }
                    let mut command = command.replace("syncdb", "migrate --run-syncdb");
                    // Options of South, which Django's own command refuses.
                    for option in ["--migrate", "--all"] {
                        command = without_word(&command, option);
                    }
                    command
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

/// A command without an option, and without the blank before it.
fn without_word(command: &str, word: &str) -> String {
    let mut out = String::new();
    let mut rest = command;
    while let Some(at) = rest.find(word) {
        let (before, after) = (
            rest.get(..at).unwrap_or_default(),
            rest.get(at + word.len()..).unwrap_or_default(),
        );
        let alone = before.ends_with([' ', '\t'])
            && !after.starts_with(|c: char| c.is_alphanumeric() || "-_=".contains(c));
        if alone {
            out.push_str(before.trim_end_matches([' ', '\t']));
        } else {
            out.push_str(before);
            out.push_str(word);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Whether a script only gives values to variables.
fn is_exports(text: &str) -> bool {
    shell::units(text).is_some_and(|units| {
        units
            .iter()
            .all(|unit| matches!(unit.kind, UnitKind::Silent | UnitKind::Setup))
            && units.iter().any(|unit| unit.kind == UnitKind::Setup)
    })
}
