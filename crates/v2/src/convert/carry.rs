//! V2's hooks in their new places: the deploy hook is divided, an environment is kept apart from what is done, and secrets are made whole.

use super::draft::Draft;
use super::scripts::carried;
use crate::facts::{Hook, HookState, SOURCE_DIR};
use crate::findings::tree::secrets_file::{Maker, maker};
use crate::options::{Options, Version};
use crate::shell::{self, Unit, UnitKind};

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
    pub(super) deploy: Vec<String>,
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
            if let Some(migrate) = parts.migrate {
                pieces.migrates = true;
                pieces.migrate.push(wrap(&from, &modern(&migrate, options)));
            }
            if let Some(deploy) = parts.deploy {
                pieces.deploy.push(wrap(&from, &modern(&deploy, options)));
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
    /// Where a hook goes that runs in the container.
    fn later(&mut self, name: &str) -> &mut Vec<String> {
        match hook_moment(name) {
            Moment::Deploy => &mut self.deploy,
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

/// A subshell: `exit` within ends the carried part only, and it starts where V2 started hooks.
fn wrap(from: &str, text: &str) -> String {
    format!(
        "{from}(\ncd \"${{OPENSHIFT_HOMEDIR:-/opt/app-root/}}\" || exit 1\n{}\n) || exit $?\n",
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

#[derive(Default)]
struct Parts {
    build: Option<String>,
    migrate: Option<String>,
    deploy: Option<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Build,
    Migrate,
    Deploy,
}

/// Divides a deploy hook. One that is not understood stays whole.
fn divide(text: &str, renames: &[(String, String)]) -> Parts {
    // A function that does what has a place of its own cannot be called from there without the rest.
    let divisible = |units: &Vec<Unit>| {
        !units.iter().any(|unit| {
            shell::is_function(&unit.text)
                && unit.text.lines().any(|line| {
                    shell::manages(line)
                        && ["collectstatic", "migrate", "syncdb"]
                            .iter()
                            .any(|command| line.contains(command))
                })
        })
    };
    let Some(units) = shell::units(text).filter(divisible) else {
        return Parts {
            deploy: Some(text.to_owned()),
            ..Parts::default()
        };
    };
    let mut outputs: [(Place, String, bool); 3] = [
        (Place::Build, String::new(), false),
        (Place::Migrate, String::new(), false),
        (Place::Deploy, String::new(), false),
    ];
    if !units.iter().any(|unit| unit.kind == UnitKind::Command) {
        // Another script that is read may do anything.
        return Parts {
            deploy: Some(text.to_owned()),
            ..Parts::default()
        };
    }
    let mut waiting = String::new();
    for unit in units {
        match unit.kind {
            // What stands before a command belongs to it.
            UnitKind::Silent | UnitKind::Message => waiting.push_str(&unit.text),
            UnitKind::Setup => {
                for (_, output, _) in &mut outputs {
                    output.push_str(&waiting);
                    output.push_str(&unit.text);
                }
                waiting.clear();
            }
            UnitKind::Command => {
                let place = place(&unit);
                let text = match maker(&unit.text) {
                    Some(maker) => with_secrets(&unit.text, &maker, &secrets(&maker, renames)),
                    None => unit.text.clone(),
                };
                for (which, output, used) in &mut outputs {
                    if *which == place {
                        output.push_str(&waiting);
                        output.push_str(&text);
                        *used = true;
                    }
                }
                waiting.clear();
            }
        }
    }
    let mut parts = Parts::default();
    for (place, output, used) in outputs {
        let output = used.then_some(output);
        match place {
            Place::Build => parts.build = output,
            Place::Migrate => parts.migrate = output,
            Place::Deploy => parts.deploy = output,
        }
    }
    parts
}

/// Where a command goes. One that does several things stays in the deploy hook.
fn place(unit: &Unit) -> Place {
    let code: String = unit
        .text
        .lines()
        .filter(|line| {
            let line = line.trim_start();
            !line.starts_with('#') && !line.starts_with("echo")
        })
        .collect::<Vec<_>>()
        .join("\n");
    let is_django =
        code.contains("manage.py") || code.contains("django-admin") || code.contains("manage ");
    let collects = is_django && code.contains("collectstatic");
    let migrates = is_django && (code.contains("migrate") || code.contains("syncdb"));
    let commands = code.matches("manage.py").count() + code.matches("django-admin").count();
    let mentions = usize::from(collects) + usize::from(migrates);
    let others = code.contains("manage.py")
        && commands
            > code.matches("collectstatic").count()
                + code.matches("migrate").count()
                + code.matches("syncdb").count()
                + code.matches("-f ").count()
                + code.matches("-e ").count();
    match (collects, migrates) {
        _ if mentions != 1 || others => Place::Deploy,
        (true, _) => Place::Build,
        _ => Place::Migrate,
    }
}

/// A statement that makes secrets, with the making of them as it is now. What else it does stays.
fn with_secrets(text: &str, maker: &Maker, secrets: &str) -> String {
    let is_frame = |line: &str| {
        let line = line.trim().trim_start_matches([';', ' ']);
        let line = line.strip_suffix("||").unwrap_or(line).trim_end();
        let word = line.split([' ', ';']).next().unwrap_or_default();
        line.is_empty()
            || line.starts_with('#')
            || matches!(
                word,
                "if" | "then" | "fi" | "[" | "[[" | "test" | "echo" | "printf"
            ) && !line.contains("&&")
                && !line.contains("||")
    };
    let exits = maker
        .after
        .strip_prefix("||")
        .is_some_and(|rest| matches!(rest.split_whitespace().next(), Some("exit" | "true" | ":")));
    let only = is_frame(&maker.before)
        && (is_frame(&maker.after) || exits)
        && text
            .lines()
            .enumerate()
            .all(|(at, line)| at + 1 == maker.line || is_frame(line));
    if only {
        return secrets.to_owned();
    }
    // In braces, so that what stands around the command on its line stands around all of this.
    let in_place = match (maker.before.as_str(), maker.after.as_str()) {
        ("", "") => secrets.to_owned(),
        (before, after) => format!("{before} {{\n{secrets}}} {after}\n"),
    };
    text.split_inclusive('\n')
        .enumerate()
        .map(|(at, line)| match at + 1 == maker.line {
            true => in_place.as_str(),
            false => line,
        })
        .collect()
}

/// Secrets that are made once, whole or not at all, and that have to be readable.
fn secrets(maker: &Maker, renames: &[(String, String)]) -> String {
    let mut command = maker.command.clone();
    for (old, new) in renames {
        command = command.replace(old.as_str(), new);
    }
    let file = &maker.file;
    format!(
        "secrets={file}\nmkdir -p \"$(dirname \"$secrets\")\"\nif [ ! -s \"$secrets\" ]; then\n    echo \"Making $secrets\"\n    # Beside it first: a failure must not leave a file that looks like secrets.\n    if ! (umask 007 && {command} > \"$secrets.$$\") || [ ! -s \"$secrets.$$\" ]; then\n        rm -f \"$secrets.$$\"\n        echo \"ERROR: $secrets could not be made.\" >&2\n        exit 1\n    fi\n    mv -f \"$secrets.$$\" \"$secrets\" || exit 1\nfi\n# Without it the application would go on with a key that everybody knows.\nif [ ! -r \"$secrets\" ]; then\n    echo \"ERROR: $secrets cannot be read by $(id -u).\" >&2\n    exit 1\nfi\n"
    )
}
