//! A deploy hook in parts: what collects static files, what migrates, and what stands before and after that. Secrets are made whole.

use crate::findings::tree::secrets_file::{Maker, maker};
use crate::shell::{self, Unit, UnitKind};

/// A hook's parts, each with what all of them stand on.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) build: Option<String>,
    pub(super) before: Option<String>,
    pub(super) migrate: Option<String>,
    pub(super) after: Option<String>,
}

impl Parts {
    /// A hook that is not taken apart. Commands of Django's may need tables, unless they make these themselves.
    fn whole(text: &str) -> Self {
        let lines = shell::whole_lines(text);
        let managing = |of: &[&str]| {
            lines
                .iter()
                .any(|line| shell::manages(line) && of.iter().any(|command| line.contains(command)))
        };
        let needs_tables = lines
            .iter()
            .any(|line| shell::manages(line) && !line.contains("collectstatic"))
            && !managing(&["migrate", "syncdb"])
            && maker(text).is_none();
        let text = Some(text.to_owned());
        if needs_tables {
            Self {
                after: text,
                ..Self::default()
            }
        } else {
            Self {
                before: text,
                ..Self::default()
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Build,
    /// In the deploy hook, before migrations.
    Before,
    Migrate,
    /// In the deploy hook, after migrations.
    After,
}

/// Divides a deploy hook. One that is not understood stays whole.
pub(super) fn divide(text: &str, renames: &[(String, String)]) -> Parts {
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
        return Parts::whole(text);
    };
    if !units.iter().any(|unit| unit.kind == UnitKind::Command) {
        // Another script that is read may do anything.
        return Parts::whole(text);
    }
    let places = places(&units);
    let mut outputs = [Place::Build, Place::Before, Place::Migrate, Place::After]
        .map(|place| (place, String::new(), false));
    let mut waiting = String::new();
    for (unit, place) in units.into_iter().zip(places) {
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
            Place::Before => parts.before = output,
            Place::Migrate => parts.migrate = output,
            Place::After => parts.after = output,
        }
    }
    parts
}

/// Where each statement goes, so that what migrates, and what stands before and after it, keep V2's order.
fn places(units: &[Unit]) -> Vec<Place> {
    let mut places: Vec<Place> = units.iter().map(place).collect();
    let is = |at: usize, wanted: UnitKind| units.get(at).is_some_and(|unit| unit.kind == wanted);
    let makes_secrets = |at: usize| {
        units
            .get(at)
            .is_some_and(|unit| maker(&unit.text).is_some())
    };
    let migrating: Vec<usize> = (0..places.len())
        .filter(|at| is(*at, UnitKind::Command) && places.get(*at) == Some(&Place::Migrate))
        .collect();
    let (first, last) = match (migrating.first(), migrating.last()) {
        (Some(first), Some(last)) => (*first, *last),
        // V2 had its tables already. Here the first start makes them, before the first command that may want one, and
        // after secrets, without which the settings cannot be read.
        _ => {
            let secrets = (0..places.len()).rev().find(|at| makes_secrets(*at));
            let first = (secrets.map_or(0, |at| at + 1)..places.len()).find(|at| {
                is(*at, UnitKind::Command)
                    && places.get(*at) != Some(&Place::Build)
                    && units.get(*at).is_some_and(|unit| is_django(&code(unit)))
            });
            let first = first.unwrap_or(places.len());
            (first, first)
        }
    };
    for (at, place) in places.iter_mut().enumerate() {
        if *place != Place::Before {
            continue;
        }
        if at > last || (at == last && migrating.is_empty()) {
            *place = Place::After;
        } else if at > first && !makes_secrets(at) {
            // It stands between two migrations.
            *place = Place::Migrate;
        }
    }
    places
}

/// A statement without comments and messages.
fn code(unit: &Unit) -> String {
    unit.text
        .lines()
        .filter(|line| {
            let line = line.trim_start();
            let message = line.starts_with("echo") && !line.contains('|');
            !line.starts_with('#') && !message
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_django(code: &str) -> bool {
    code.contains("manage.py") || code.contains("django-admin") || code.contains("manage ")
}

/// Where a command goes. One that does several things stays in the deploy hook.
fn place(unit: &Unit) -> Place {
    let code = code(unit);
    let is_django = is_django(&code);
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
        _ if mentions != 1 || others => Place::Before,
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
