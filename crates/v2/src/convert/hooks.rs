//! `.s2i/action_hooks`: V2's hooks in their new places, and those that V3 has besides.

use super::carry::{Pieces, carry_all};
use super::draft::Draft;
use super::environment::image_variables;
use super::scripts::{quote, unix};
use crate::analysis::Analysis;
use crate::facts::{EntryKind, Facts};
use crate::findings::tree::links::in_old_data;
use crate::needs::{Health, Migration};
use crate::options::{DatabaseChoice, Options, Version};
use crate::python::Access;
use crate::tree::Leads;
use crate::variables::{Source, Supply};

const FOLDER: &str = ".s2i/action_hooks";

/// A hook that is executed.
fn script(draft: &mut Draft<'_>, name: &str, text: &str, why: &str) {
    let path = format!("{FOLDER}/{name}");
    draft.create(&path, executed(text), true, why);
}

/// A script that ends at its first failure; what it is for stands on top.
fn executed(text: &str) -> String {
    let end = text
        .split_inclusive('\n')
        .take_while(|line| line.starts_with('#'))
        .map(str::len)
        .sum();
    let (about, rest) = text.split_at_checked(end).unwrap_or(("", text));
    format!("#!/bin/bash\n{about}set -eo pipefail\n{rest}")
}

/// A hook that the runner's shell reads.
fn sourced(draft: &mut Draft<'_>, name: &str, text: &str, why: &str) {
    draft.create(&format!("{FOLDER}/{name}"), text, false, why);
}

/// What stands above the pieces of a hook, and why there is one: one line for each hook that is put together of pieces.
const BEFORE_BUILD: &str = "# Before the builder installs anything. The sources are still where they were uploaded to.\nexport OPENSHIFT_REPO_DIR=/tmp/src/\n";
const AFTER_BUILD: &str =
    "# After the builder has installed the requirements: what it leaves is part of the image.\n";
const BEFORE_ANYTHING: &str = "# Read by the runner's shell before anything runs in the container; what is set here is exported.\n";
const MIGRATE: &str =
    "# Brings the database to what the sources expect. Safe to run again.\numask 002\n";

const POST_DEPLOY: &str = "# Called by the runner once the application answers. What fails here is said, and the application goes on.\n";
/// Where the scripts of lifecycle hooks are.
pub(crate) const LIFECYCLE: &str = ".s2i/lifecycle";
const POST_START: &str = "# The workload's postStart hook, which begins as the application does: what fails here ends the container.\n# What it says goes to the container's log, as far as it can be reached.\nif [ -w /proc/1/fd/1 ]; then\n    exec > /proc/1/fd/1 2>&1\nfi\n# V2 called it when the server was started. A minute is enough for that, and nothing is lost by going on.\nfor _ in {1..60}; do\n    if (exec 3<> \"/dev/tcp/127.0.0.1/${PORT:-8080}\") 2> /dev/null; then\n        break\n    fi\n    sleep 1\ndone\n";
const PRE_STOP: &str = "# The workload's preStop hook, before the application is told to end.\nif [ -w /proc/1/fd/1 ]; then\n    exec > /proc/1/fd/1 2>&1\nfi\n";

pub(super) fn hooks(draft: &mut Draft<'_>, analysis: &Analysis, renames: &[(String, String)]) {
    let (facts, options) = (&analysis.facts, &analysis.options);
    let mut pieces = carry_all(draft, &facts.hooks, options, renames);
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
    type Write = fn(&mut Draft<'_>, &str, &str, &str);
    let of_pieces: [(&str, Write, &str, &[String], &str); 4] = [
        (
            "pre_build",
            script,
            BEFORE_BUILD,
            &pieces.pre_build,
            "what V2's pre_build hook did",
        ),
        (
            "build",
            script,
            AFTER_BUILD,
            &pieces.build,
            "static files are collected once, at build; V2's hook did so at each start, or its platform did",
        ),
        (
            "deploy_env",
            sourced,
            BEFORE_ANYTHING,
            &pieces.deploy_env,
            "what V2's sourced pre_start hook exported",
        ),
        (
            "migrate",
            script,
            MIGRATE,
            &pieces.migrate,
            "migrations have a place of their own, so that they run once for all pods",
        ),
    ];
    for (name, write, head, pieces, why) in of_pieces {
        if !pieces.is_empty() {
            write(draft, name, &format!("{head}\n{}", pieces.join("\n")), why);
        }
    }
    if !pieces.post_deploy.is_empty() {
        script(
            draft,
            "post_deploy",
            &format!("{POST_DEPLOY}\n{}", pieces.post_deploy.join("\n")),
            "what V2's post_deploy hook did once the application was up",
        );
    }
    for (name, head, pieces, why) in [
        (
            "post_start",
            POST_START,
            &pieces.post_start,
            "what V2's post_start hooks did; manifests make a postStart hook of it",
        ),
        (
            "pre_stop",
            PRE_STOP,
            &pieces.pre_stop,
            "what V2's pre_stop hooks did; manifests make a preStop hook of it",
        ),
    ] {
        if !pieces.is_empty() {
            draft.create(
                &format!("{LIFECYCLE}/{name}"),
                executed(&format!("{head}\n{}", pieces.join("\n"))),
                true,
                why,
            );
        }
    }
    build_env(draft, analysis);
    deploy(draft, analysis, &pieces);
    if let Some(manage) = &manage
        && facts.has_users()
    {
        script(
            draft,
            "setup",
            &setup(manage, options),
            "the first administrator is made once, by `setup`",
        );
    }
    verify(draft, facts, manage.as_deref(), options.python3());
    let health = Health::of(facts, options);
    for (name, what, cases, why) in [
        (
            "ready",
            "Ready when the application answers.",
            "    2?? | 3?? | 401 | 403 | 404 | 405) exit 0 ;;\n",
            "a probe that asks the application under a host that it allows",
        ),
        (
            "alive",
            "Alive as long as the application answers anything at all.",
            "    ???) exit 0 ;;\n",
            "a probe that finds out when the application hangs",
        ),
    ] {
        script(draft, name, &probe(what, &health, cases), why);
    }
}

/// What makes the first administrator.
fn setup(manage: &str, options: &Options) -> String {
    if options.django >= Version::new(3, 0) {
        format!(
            "# Run once by a person: makes the first administrator, from DJANGO_SUPERUSER_USERNAME, _EMAIL and _PASSWORD or by asking.\numask 002\nif [ -n \"$DJANGO_SUPERUSER_USERNAME\" ]; then\n    exec {manage} createsuperuser --noinput\nfi\nexec {manage} createsuperuser\n"
        )
    } else {
        format!(
            "# Run once by a person: makes the first administrator, by asking.\numask 002\nexec {manage} createsuperuser\n"
        )
    }
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

/// Links to a place in the data directory. Neither its folder there nor the link's own has to be in the image.
fn link_to_data(path: &str, place: &str) -> String {
    let folder_of = |path: &str| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let is_file = place
        .rsplit('/')
        .next()
        .is_some_and(|name| name.contains('.'));
    let in_data = if is_file {
        folder_of(place)
    } else {
        Some(place.to_owned())
    };
    let mut folders = String::from("\"$OPENSHIFT_DATA_DIR\"");
    folders.push_str(&quote_rest(&in_data.unwrap_or_default()));
    if let Some(folder) = folder_of(path) {
        folders.push_str(" \"$OPENSHIFT_REPO_DIR\"");
        folders.push_str(&quote_rest(&folder));
    }
    format!(
        "mkdir -p {folders} && ln -sfn \"$OPENSHIFT_DATA_DIR\"{} \"$OPENSHIFT_REPO_DIR\"{} || exit $?\n",
        quote_rest(place),
        quote(path)
    )
}

/// What follows a word in quotes; it may be nothing.
fn quote_rest(word: &str) -> String {
    if word.is_empty() {
        String::new()
    } else {
        quote(word)
    }
}

fn deploy(draft: &mut Draft<'_>, analysis: &Analysis, pieces: &Pieces) {
    let facts = &analysis.facts;
    let mut text = String::from(
        "# At each start of a container, before the application. What fails here stops the start.\n# Files on the claim stay usable for the group, whichever user id the next pod has.\numask 002\n",
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
            text.push_str(&link_to_data(path, place));
        }
    }
    let analysis_migration = Migration::of(analysis);
    for piece in &pieces.before_migrate {
        does = true;
        text.push('\n');
        text.push_str(piece);
    }
    if !pieces.migrate.is_empty() && analysis_migration == Migration::DeployHook {
        does = true;
        text.push_str("\n# One pod uses the data at a time, so this is the place to migrate.\n\"$OPENSHIFT_REPO_DIR\".s2i/action_hooks/migrate || exit $?\n");
    }
    // Where migrations run before the container, all of this comes after them.
    for piece in &pieces.after_migrate {
        does = true;
        text.push('\n');
        text.push_str(piece);
    }
    if facts.data_dir.needed {
        for file in facts
            .databases
            .iter()
            .filter_map(|database| database.file.as_deref())
            .filter_map(|file| file.strip_prefix(&facts.data_dir.path))
        {
            does = true;
            text.push_str(&format!(
                "\n# Whatever the umask, only its user may write a file that SQLite makes, and the next pod may have another one.\nif [ -O \"$OPENSHIFT_DATA_DIR\"{file} ]; then\n    chmod g+rw \"$OPENSHIFT_DATA_DIR\"{file} || exit $?\nfi\n",
                file = quote(file)
            ));
        }
    }
    if does {
        script(
            draft,
            "deploy",
            &text,
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
    sourced(
        draft,
        "build_env",
        &format!(
            "# Read by the runner's shell before a build. The settings want these, and only a running pod has them.\n# They do not become part of the image, so a pod without the real ones still fails.\n{lines}"
        ),
        "settings that read what only a running pod has could not be read at build",
    );
}

/// Loading what serves by itself would start the server: it is compiled, and what it imports is looked for and not loaded.
fn compile_only(entry: &str, python3: bool) -> String {
    let entry = quote(entry);
    if !python3 {
        return format!("exec python -m py_compile {entry}\n");
    }
    format!(
        "exec python - {entry} <<'END'\nimport ast\nimport os\nimport sys\nfrom importlib.util import find_spec\nrepo = os.getcwd()\nsys.path[:0] = [repo, os.path.join(repo, 'libs')]\nwith open(sys.argv[1], 'rb') as file:\n    source = file.read()\ntree = ast.parse(source, sys.argv[1])\ncompile(tree, sys.argv[1], 'exec')\nif b'sys.path' in source:\n    # It looks in places of its own.\n    sys.exit(0)\nnames = []\nfor node in tree.body:\n    if isinstance(node, ast.Import):\n        names += [name.name for name in node.names]\n    elif isinstance(node, ast.ImportFrom) and node.level == 0:\n        names.append(node.module)\nnames = {{name.split('.')[0] for name in names}}\nmissing = [name for name in sorted(names) if name not in sys.modules and find_spec(name) is None]\nsys.exit('no module is called ' + ', '.join(missing) if missing else 0)\nEND\n"
    )
}

fn verify(draft: &mut Draft<'_>, facts: &Facts, manage: Option<&str>, python3: bool) {
    let Some(entry) = &facts.entry else {
        return;
    };
    let check = match (manage, entry.kind) {
        (Some(manage), _) => format!("exec {manage} check\n"),
        (None, EntryKind::SelfServing) => compile_only(&entry.path, python3),
        (None, EntryKind::Wsgi) => format!(
            "exec python - {} <<'END'\nimport os\nimport runpy\nimport sys\nrepo = os.getcwd()\nsys.path[:0] = [os.path.join(repo, 'libs'), repo, os.path.join(repo, 'wsgi')]\nentry = runpy.run_path(sys.argv[1], run_name='openshift_verify')\nsys.exit(0 if callable(entry.get('application')) else 'there is no application in ' + sys.argv[1])\nEND\n",
            quote(&entry.path)
        ),
    };
    let text = format!(
        "# Checks an image before it is used, as the build's postCommit hook.\nset -a\nif [ -f .s2i/action_hooks/build_env ]; then\n    . .s2i/action_hooks/build_env\nfi\nset +a\n{check}"
    );
    script(
        draft,
        "verify",
        &text,
        match entry.kind {
            EntryKind::SelfServing if manage.is_none() && python3 => {
                "an image in which the entry point does not compile, or a module that it imports is missing, is not rolled out; it is not loaded, since that would start the server"
            }
            EntryKind::SelfServing if manage.is_none() => {
                "an image in which the entry point does not compile is not rolled out; it is not loaded, since that would start the server"
            }
            _ => "an image that cannot even load the application is not rolled out",
        },
    );
}

/// A probe in bash alone: it runs every few seconds, so it must cost next to nothing.
fn probe(what: &str, health: &Health, cases: &str) -> String {
    unix(&format!(
        "# {what}\nhost=${{OPENSHIFT_APP_DNS:-localhost}}\nif [ \"$host\" = '*' ]; then\n    host=localhost\nfi\nexec 3<> \"/dev/tcp/127.0.0.1/${{PORT:-8080}}\" || exit 1\nprintf 'GET %s HTTP/1.0\\r\\nHost: %s\\r\\nX-Forwarded-Proto: https\\r\\nConnection: close\\r\\n\\r\\n' '{}' \"$host\" >&3\nread -r -t 10 _ status _ <&3 || exit 1\ncase $status in\n{cases}esac\necho \"the application answers $status\" >&2\nexit 1\n",
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
