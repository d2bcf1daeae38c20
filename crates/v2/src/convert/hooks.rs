//! `.s2i/action_hooks`: V2's hooks in their new places, and those that V3 has besides.

use super::draft::Draft;
use super::environment::image_variables;
use super::scripts::{carried, quote, unix};
use crate::analysis::Analysis;
use crate::facts::{EntryKind, Facts, Hook, HookState, SOURCE_DIR};
use crate::findings::tree::links::in_old_data;
use crate::findings::tree::secrets_file::{Maker, maker};
use crate::needs::{Health, Migration};
use crate::options::{DatabaseChoice, Options, Version};
use crate::python::Access;
use crate::shell::{self, Unit, UnitKind};
use crate::tree::Leads;
use crate::variables::{Source, Supply};

const FOLDER: &str = ".s2i/action_hooks";
const HEAD: &str = "#!/bin/bash\n";

/// What the conversion does with a hook of V2; `None` when it has no place on V3.
pub(crate) fn hook_target(name: &str) -> Option<&'static str> {
    Some(match name {
        "pre_build" => "carries it over to the pre_build hook, which finds the sources in /tmp/src",
        "build" | "prepare" => "carries it over to the build hook",
        "deploy" => {
            "carries it over to the deploy hook, with what collects static files in the build hook and what migrates in the migrate hook"
        }
        name if name.starts_with("pre_start") => {
            "carries it over: exports to deploy_env, anything else to the deploy hook"
        }
        _ => return None,
    })
}

/// Pieces of the hooks that are put together.
#[derive(Default)]
struct Pieces {
    pre_build: Vec<String>,
    build: Vec<String>,
    deploy: Vec<String>,
    deploy_env: Vec<String>,
    migrate: Vec<String>,
    /// Whether a hook of V2 collected static files or migrated.
    collects: bool,
    migrates: bool,
}

pub(super) fn hooks(draft: &mut Draft<'_>, analysis: &Analysis, renames: &[(String, String)]) {
    let (facts, options) = (&analysis.facts, &analysis.options);
    let mut pieces = Pieces::default();
    for hook in facts
        .hooks
        .iter()
        .filter(|hook| hook.state == HookState::Live)
    {
        carry(draft, &mut pieces, hook, options, renames);
    }
    let manage = manage_command(facts);
    if let Some(manage) = &manage {
        let has_static = facts.project.as_ref().is_some_and(|project| {
            project.static_files.root.is_some() || project.settings.is_empty()
        });
        if !pieces.collects && has_static {
            pieces
                .build
                .push(format!("{manage} collectstatic --noinput || exit $?\n"));
        }
        if !pieces.migrates {
            pieces
                .migrate
                .push(format!("{manage} migrate --noinput || exit $?\n"));
        }
    }
    if !pieces.pre_build.is_empty() {
        let text = format!(
            "{HEAD}# Before the builder installs anything. The sources are still where they were uploaded to.\nexport OPENSHIFT_REPO_DIR=/tmp/src/\n\n{}",
            pieces.pre_build.join("\n")
        );
        draft.create(
            &hook_path("pre_build"),
            text,
            true,
            "what V2's pre_build hook did",
        );
    }
    if !pieces.build.is_empty() {
        let text = format!(
            "{HEAD}# After the builder has installed the requirements: what it leaves is part of the image.\n\n{}",
            pieces.build.join("\n")
        );
        draft.create(
            &hook_path("build"),
            text,
            true,
            "static files are collected once, at build; V2's hook did so at each start, or its platform did",
        );
    }
    build_env(draft, analysis);
    if !pieces.deploy_env.is_empty() {
        let text = format!(
            "# Read by the runner's shell before anything runs in the container; what is set here is exported.\n\n{}",
            pieces.deploy_env.join("\n")
        );
        draft.create(
            &hook_path("deploy_env"),
            text,
            false,
            "what V2's sourced pre_start hook exported",
        );
    }
    let migrate = !pieces.migrate.is_empty();
    if migrate {
        let text = format!(
            "{HEAD}# Brings the database to what the sources expect. Safe to run again.\numask 002\n\n{}",
            pieces.migrate.join("\n")
        );
        draft.create(
            &hook_path("migrate"),
            text,
            true,
            "migrations have a place of their own, so that they run once for all pods",
        );
    }
    deploy(draft, analysis, pieces, migrate);
    if let Some(manage) = &manage {
        let text = if options.django >= Version::new(3, 0) {
            format!(
                "{HEAD}# Run once by a person: makes the first administrator, from DJANGO_SUPERUSER_USERNAME, _EMAIL and _PASSWORD or by asking.\numask 002\nif [ -n \"$DJANGO_SUPERUSER_USERNAME\" ]; then\n    exec {manage} createsuperuser --noinput\nfi\nexec {manage} createsuperuser\n"
            )
        } else {
            format!(
                "{HEAD}# Run once by a person: makes the first administrator, by asking.\numask 002\nexec {manage} createsuperuser\n"
            )
        };
        draft.create(
            &hook_path("setup"),
            text,
            true,
            "the first administrator is made once, by `setup`",
        );
    }
    verify(draft, facts, manage.as_deref());
    let health = Health::of(facts, options);
    draft.create(
        &hook_path("ready"),
        probe(
            "Ready when the application answers.",
            &health,
            "    2?? | 3?? | 401 | 403 | 404 | 405) exit 0 ;;\n",
        ),
        true,
        "a probe that asks the application under a host that it allows",
    );
    draft.create(
        &hook_path("alive"),
        probe(
            "Alive as long as the application answers anything at all.",
            &health,
            "    ???) exit 0 ;;\n",
        ),
        true,
        "a probe that finds out when the application hangs",
    );
}

fn hook_path(name: &str) -> String {
    format!("{FOLDER}/{name}")
}

/// How management commands are called.
fn manage_command(facts: &Facts) -> Option<String> {
    let project = facts.project.as_ref()?;
    match &project.manage {
        Some(manage) => Some(format!("python \"$OPENSHIFT_REPO_DIR\"{}", quote(manage))),
        None => project
            .settings_module
            .as_ref()
            .map(|_| "python -m django".to_owned()),
    }
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
            _ => pieces.deploy.push(call),
        }
        return;
    }
    let text = carried(&text, renames);
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
            pieces.collects |= text.contains("collectstatic");
            pieces.build.push(wrap(&from, text));
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

/// A subshell: `exit` within ends the carried part only, and it starts where V2 started hooks.
fn wrap(from: &str, text: &str) -> String {
    format!(
        "{from}(\ncd \"${{OPENSHIFT_HOMEDIR:-/opt/app-root/}}\" || exit 1\n{}\n) || exit $?\n",
        text.trim_end()
    )
}

/// Commands of old Djangos by their new names.
fn modern(text: &str, options: &Options) -> String {
    if options.django >= Version::new(1, 9) {
        text.replace("syncdb", "migrate --run-syncdb")
    } else {
        text.to_owned()
    }
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
    let Some(units) = shell::units(text) else {
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
                    Some(maker) => secrets(&maker, renames),
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

fn deploy(draft: &mut Draft<'_>, analysis: &Analysis, pieces: Pieces, migrate: bool) {
    let facts = &analysis.facts;
    let mut text = format!(
        "{HEAD}# At each start of a container, before the application. What fails here stops the start.\n# Files on the claim stay usable for the group, whichever user id the next pod has.\numask 002\n"
    );
    let mut does = false;
    if facts.data_dir.needed {
        does = true;
        text.push_str("\nmkdir -p \"$OPENSHIFT_DATA_DIR\" || exit $?\n");
        if let Some(root) = facts
            .project
            .as_ref()
            .and_then(|project| project.media.as_ref())
            .filter(|media| media.in_data_dir)
            .and_then(|media| media.root.as_deref())
        {
            text.push_str(&format!("mkdir -p {} || exit $?\n", quote(root)));
        }
    }
    for (path, link) in draft
        .tree
        .links()
        .filter(|(_, link)| link.leads == Leads::OldPlatform)
    {
        if let Some(place) = in_old_data(&link.target) {
            does = true;
            let to = quote(path);
            text.push_str(&format!(
                "mkdir -p \"$OPENSHIFT_DATA_DIR\"{place} && ln -sfn \"$OPENSHIFT_DATA_DIR\"{place} \"$OPENSHIFT_REPO_DIR\"{to} || exit $?\n",
                place = quote(place)
            ));
        }
    }
    let analysis_migration = Migration::of(analysis);
    for piece in pieces.deploy {
        does = true;
        text.push('\n');
        text.push_str(&piece);
    }
    if migrate && analysis_migration == Migration::DeployHook {
        does = true;
        text.push_str("\n# One pod uses the data at a time, so this is the place to migrate.\n\"$OPENSHIFT_REPO_DIR\".s2i/action_hooks/migrate || exit $?\n");
    }
    if does {
        draft.create(
            &hook_path("deploy"),
            text,
            true,
            "what has to be in place before the application starts",
        );
    }
}

/// Stand-ins for what only a running pod has, so that the settings can be read at build.
fn build_env(draft: &mut Draft<'_>, analysis: &Analysis) {
    let image = image_variables(analysis);
    let mut lines = String::new();
    for variable in &analysis.variables {
        let required = variable.access == Access::Required;
        if !required || image.contains_key(&variable.name) {
            continue;
        }
        let value = match &variable.supply {
            Supply::Deployment { source } => match source {
                Source::Value { value } if value.contains("$(") => {
                    // Its parts have stand-ins of their own, or none.
                    value.split("$(").next().unwrap_or_default().to_owned()
                        + "build:build@build.invalid:1/"
                }
                Source::Value { value } => value.clone(),
                Source::Secret { .. } => "not-the-secret-only-a-stand-in-for-the-build".to_owned(),
                Source::Field { .. } => "build".to_owned(),
                Source::RouteHost => "build.invalid".to_owned(),
            },
            Supply::Input { .. } => "a-stand-in-for-the-build".to_owned(),
            _ => continue,
        };
        lines.push_str(&format!(
            "{name}=\"${{{name}:-{value}}}\"\n",
            name = variable.name
        ));
    }
    if lines.is_empty() {
        return;
    }
    draft.create(
        &hook_path("build_env"),
        format!(
            "# Read by the runner's shell before a build. The settings want these, and only a running pod has them.\n# They do not become part of the image, so a pod without the real ones still fails.\n{lines}"
        ),
        false,
        "settings that read what only a running pod has could not be read at build",
    );
}

fn verify(draft: &mut Draft<'_>, facts: &Facts, manage: Option<&str>) {
    let Some(entry) = &facts.entry else {
        return;
    };
    let check = match (manage, entry.kind) {
        (Some(manage), _) => format!("exec {manage} check\n"),
        (None, EntryKind::SelfServing) => {
            format!("exec python -m py_compile {}\n", quote(&entry.path))
        }
        (None, EntryKind::Wsgi) => format!(
            "exec python - {} <<'END'\nimport os\nimport runpy\nimport sys\nrepo = os.getcwd()\nsys.path[:0] = [os.path.join(repo, 'libs'), repo, os.path.join(repo, 'wsgi')]\nentry = runpy.run_path(sys.argv[1], run_name='openshift_verify')\nsys.exit(0 if callable(entry.get('application')) else 'there is no application in ' + sys.argv[1])\nEND\n",
            quote(&entry.path)
        ),
    };
    let text = format!(
        "{HEAD}# Checks an image before it is used, as the build's postCommit hook.\nset -a\nif [ -f .s2i/action_hooks/build_env ]; then\n    . .s2i/action_hooks/build_env\nfi\nset +a\n{check}"
    );
    draft.create(
        &hook_path("verify"),
        text,
        true,
        "an image that cannot even load the application is not rolled out",
    );
}

/// A probe in bash alone: it runs every few seconds, so it must cost next to nothing.
fn probe(what: &str, health: &Health, cases: &str) -> String {
    unix(&format!(
        "{HEAD}# {what}\nhost=${{OPENSHIFT_APP_DNS:-localhost}}\nif [ \"$host\" = '*' ]; then\n    host=localhost\nfi\nexec 3<> \"/dev/tcp/127.0.0.1/${{PORT:-8080}}\" || exit 1\nprintf 'GET %s HTTP/1.0\\r\\nHost: %s\\r\\nX-Forwarded-Proto: https\\r\\nConnection: close\\r\\n\\r\\n' '{}' \"$host\" >&3\nread -r -t 10 _ status _ <&3 || exit 1\ncase $status in\n{cases}esac\necho \"the application answers $status\" >&2\nexit 1\n",
        health.path
    ))
}

impl Migration {
    /// Where migrations run.
    pub(crate) fn of(analysis: &Analysis) -> Self {
        let facts = &analysis.facts;
        if !facts.is_django() {
            return Self::None;
        }
        if analysis.options.database == DatabaseChoice::Service || facts.scaled {
            return Self::InitContainer;
        }
        Self::DeployHook
    }
}
