//! Requirements of V2's time, and what they become.

use crate::facts::{EntryKind, Facts};
use crate::facts::{Requirement, normal_name, parse_requirements, requirement};
use crate::findings::{Check, Finding, Rule, Severity, TreeContext};
use crate::options::{DatabaseChoice, Options, Server, Version};
use crate::tree::Tree;

pub(super) const RULE: Rule = Rule {
    id: "requirements",
    title: "requirements of V2's time",
    why: "packages of that time are built into today's Python, have another name, or do not build on it",
    check: Check::Tree(check),
};

/// What a package of Python 2 became: a requirement, or nothing; and why.
const OLD: &[(&str, &str, &str)] = &[
    (
        "mysql-python",
        "mysqlclient>=2.2",
        "MySQL-python is for Python 2 only; mysqlclient has the same module",
    ),
    (
        "pil",
        "Pillow",
        "PIL lives on as Pillow, with the same modules",
    ),
    (
        "psycopg2",
        "psycopg2-binary>=2.9",
        "builder images have no headers of PostgreSQL; this one is compiled already",
    ),
    (
        "pycrypto",
        "pycryptodome",
        "PyCrypto does not build any more; this one has the same modules",
    ),
    ("distribute", "", "distribute was merged into setuptools"),
    ("argparse", "", "it is part of Python"),
    (
        "wsgiref",
        "",
        "it is part of Python, and the package fails to install",
    ),
    ("unittest2", "", "it is part of Python"),
    ("ordereddict", "", "it is part of Python"),
    ("importlib", "", "it is part of Python"),
    ("multiprocessing", "", "it is part of Python"),
    ("uuid", "", "it is part of Python"),
    ("ssl", "", "it is part of Python"),
    ("hashlib", "", "it is part of Python"),
    ("pysqlite", "", "it is part of Python"),
    ("functools32", "", "it is part of Python"),
    ("futures", "", "it is part of Python"),
    (
        "enum34",
        "",
        "it is part of Python, and the package breaks it",
    ),
    (
        "pathlib",
        "",
        "it is part of Python, and the package breaks it",
    ),
    (
        "typing",
        "",
        "it is part of Python, and the package breaks it",
    ),
    (
        "south",
        "",
        "migrations are part of Django since 1.7; those of South have to be made anew",
    ),
];

/// A change of the list.
pub(crate) struct Note {
    pub(crate) finding: Finding,
}

fn check(tree: &TreeContext<'_>) {
    if tree.facts.cartridge != crate::facts::Cartridge::Python {
        return;
    }
    let (_, notes) = rewrite(tree.tree, tree.facts, tree.options);
    for note in notes {
        tree.add(note.finding);
    }
    // A requirement that is only in setup.py cannot be replaced there.
    if !tree.options.python3() {
        return;
    }
    let old: Vec<&Requirement> = tree
        .facts
        .dependencies
        .all()
        .filter(|one| {
            let pinned = one.specifier().starts_with("==");
            let name = normal_name(&one.name);
            pinned
                && name != "django"
                && !OLD.iter().any(|(old, _, _)| *old == name)
                && !tree
                    .options
                    .pins
                    .iter()
                    .any(|pin| normal_name(&requirement(pin, "", 0).name) == name)
        })
        .collect();
    if let Some(first) = old.first() {
        let names: Vec<&str> = old.iter().map(|one| one.text.as_str()).collect();
        tree.add(
            RULE.finding(
                Severity::Warning,
                Some(&first.path),
                Some(first.line),
                format!("releases of V2's time are pinned: {}", names.join(", ")),
            )
            .person(format!(
                "take releases that run on Python {}, with --pin NAME>=VERSION or in the file",
                tree.options.python
            )),
        );
    }
}

/// The text of `requirements.txt` for V3, and what is said about it.
pub(crate) fn rewrite(tree: &Tree, facts: &Facts, options: &Options) -> (String, Vec<Note>) {
    let path = "requirements.txt";
    let before = tree.text(path).unwrap_or_default();
    let newline = if before.contains("\r\n") {
        "\r\n"
    } else {
        "\n"
    };
    let mut lines: Vec<String> = before.lines().map(str::to_owned).collect();
    let mut notes = Vec::new();
    let note = |severity, line: usize, what: String| {
        RULE.finding(severity, Some(path), (line > 0).then_some(line), what)
    };
    let pins: Vec<Requirement> = options
        .pins
        .iter()
        .map(|pin| requirement(pin.trim(), "", 0))
        .collect();
    let pinned = |name: &str| {
        let wanted = normal_name(name);
        pins.iter().find(|pin| normal_name(&pin.name) == wanted)
    };
    let mut removed = Vec::new();
    for one in parse_requirements(&before, path) {
        let Some(place) = one.line.checked_sub(1).filter(|place| *place < lines.len()) else {
            continue;
        };
        let (target, finding) = match change(&one, facts, options, pinned(&one.name)) {
            Some(found) => found,
            None => continue,
        };
        let finding_line = one.line;
        match target {
            Target::Is(text) => {
                if let Some(line) = lines.get_mut(place)
                    && line.trim() != text
                {
                    notes.push(Note {
                        finding: note(finding.0, finding_line, finding.1).convert(
                            if text.is_empty() {
                                "takes it out".to_owned()
                            } else {
                                format!("writes {text}")
                            },
                        ),
                    });
                    if text.is_empty() {
                        removed.push(place);
                    } else {
                        *line = text;
                    }
                }
            }
            Target::Person(advice) => notes.push(Note {
                finding: note(finding.0, finding_line, finding.1).person(advice),
            }),
        }
    }
    for place in removed.into_iter().rev() {
        lines.remove(place);
    }
    let mut add: Vec<String> = Vec::new();
    let has = |lines: &[String], add: &[String], name: &str| {
        let wanted = normal_name(name);
        lines
            .iter()
            .chain(add)
            .any(|line| normal_name(&requirement(line.trim(), "", 0).name) == wanted)
    };
    for one in facts
        .dependencies
        .setup_py
        .iter()
        .flat_map(|setup| &setup.install_requires)
    {
        let text = match change(one, facts, options, pinned(&one.name)) {
            Some((Target::Is(text), _)) => text,
            _ => one.text.clone(),
        };
        let name = requirement(&text, "", 0).name;
        if !text.is_empty() && !has(&lines, &add, &name) && !has(&lines, &add, &one.name) {
            add.push(text);
        }
    }
    for text in needed(facts, options) {
        let name = requirement(&text, "", 0).name;
        let alternative = name == "psycopg" && has(&lines, &add, "psycopg2-binary");
        if !has(&lines, &add, &name) && !alternative {
            add.push(pinned(&name).map_or(text, |pin| pin.text.clone()));
        }
    }
    for pin in &pins {
        if !has(&lines, &add, &pin.name) {
            add.push(pin.text.clone());
        }
    }
    lines.extend(add);
    let mut text = lines.join(newline);
    if !text.is_empty()
        && (before.is_empty()
            || before.ends_with('\n')
            || text.lines().count() != before.lines().count())
    {
        text.push_str(newline);
    }
    (text, notes)
}

enum Target {
    /// The line's new text; empty to take it out.
    Is(String),
    /// A person has to see to it.
    Person(String),
}

/// What becomes of one requirement, and how bad it is.
fn change(
    one: &Requirement,
    facts: &Facts,
    options: &Options,
    pin: Option<&Requirement>,
) -> Option<(Target, (Severity, String))> {
    let text = &one.text;
    if one.name.is_empty() {
        let option = text.split(['=', ' ']).next().unwrap_or_default();
        if matches!(
            option,
            "-i" | "--index-url" | "--extra-index-url" | "-f" | "--find-links"
        ) && text.contains("http://")
        {
            return Some((
                Target::Is(format!("# {text}")),
                (
                    Severity::Blocker,
                    format!("pip refuses addresses without TLS: {text}"),
                ),
            ));
        }
        if text == "." || text == "-e ." || text == "-e ./" || text == "--editable ." {
            return Some((
                Target::Person("name what setup.py requires in its place; V2's folder is on sys.path anyway".to_owned()),
                (Severity::Blocker, "the application itself is installed, which setup.py does not allow without naming its packages".to_owned()),
            ));
        }
    }
    if text.contains("git+git://") || text.contains("git+http://") {
        let fixed = text
            .replace("git+git://", "git+https://")
            .replace("git+http://", "git+https://");
        return Some((
            Target::Is(fixed),
            (
                Severity::Blocker,
                "hosts do not serve repositories by git:// any more".to_owned(),
            ),
        ));
    }
    if one.name.is_empty() {
        return None;
    }
    if let Some(pin) = pin {
        return Some((
            Target::Is(pin.text.clone()),
            (Severity::Info, format!("{} was pinned otherwise", one.name)),
        ));
    }
    let name = normal_name(&one.name);
    if name == "django" && facts.is_django() {
        let within = one.version().and_then(Version::of_prefix) == Some(options.django);
        if within {
            return None;
        }
        return Some((
            Target::Is(django(options.django)),
            (
                Severity::Blocker,
                format!("{text} does not run on Python {}", options.python),
            ),
        ));
    }
    if !options.python3() {
        return None;
    }
    let (_, new, why) = OLD.iter().find(|(old, _, _)| *old == name)?;
    Some((
        Target::Is((*new).to_owned()),
        (Severity::Blocker, format!("{text}: {why}")),
    ))
}

fn django(version: Version) -> String {
    let next = Version::new(version.major, version.minor + 1);
    let end = if version.minor == 2 && version.major >= 2 {
        Version::new(version.major, 3)
    } else {
        next
    };
    format!("Django>={version},<{end}")
}

/// What the result needs, whatever the application said.
fn needed(facts: &Facts, options: &Options) -> Vec<String> {
    let mut needed = Vec::new();
    if facts.is_django() {
        needed.push(django(options.django));
    }
    let is_wsgi = facts
        .entry
        .as_ref()
        .is_some_and(|entry| entry.kind == EntryKind::Wsgi);
    if is_wsgi {
        let python3 = options.python3();
        match (options.server, python3) {
            (Server::ModWsgi, true) => needed.push("mod_wsgi>=5.0".to_owned()),
            (Server::ModWsgi, false) => needed.push("mod_wsgi<5".to_owned()),
            (Server::Gunicorn, true) => {
                needed.extend(["gunicorn>=22".to_owned(), "whitenoise>=6.6".to_owned()]);
            }
            (Server::Gunicorn, false) => {
                needed.extend(["gunicorn<20".to_owned(), "whitenoise<5".to_owned()]);
            }
        }
    }
    if options.database == DatabaseChoice::Service && facts.is_django() {
        needed.push(if options.django >= Version::new(4, 2) {
            "psycopg[binary]>=3.1.18".to_owned()
        } else {
            "psycopg2-binary>=2.8.6,<2.9".to_owned()
        });
    }
    needed
}
