//! Requirements of V2's time, and what they become.

mod lines;
mod sources;

use crate::facts::{DatabaseKind, EntryKind, Facts};
use crate::facts::{REQUIREMENTS, Requirement, named_file, normal_name, requirement};
use crate::findings::{Check, Finding, Rule, Severity, TreeContext};
use crate::options::{DatabaseChoice, Options, Server, Version};
use crate::tree::Tree;

use lines::Lines;

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
    files(tree);
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

/// Files of requirements that are named and missing, or there and not named.
fn files(tree: &TreeContext<'_>) {
    let known = &tree.facts.dependencies;
    for one in known.requirements.iter().chain(&known.constraints) {
        if let Some((file, _)) = named_file(one)
            && tree.tree.node(&file).is_none()
        {
            tree.add(
                RULE.finding(
                    Severity::Blocker,
                    Some(&one.path),
                    Some(one.line),
                    format!("there is no {file}, which is named here"),
                )
                .person("take the line out, or add the file: pip stops here"),
            );
        }
    }
    if let Some(file) = &tree.options.requirements {
        let is_named = file == REQUIREMENTS
            || known.requirements.iter().any(|one| {
                named_file(one).is_some_and(|(named, constrains)| named == *file && !constrains)
            });
        if known.requirements_file.is_some() && !is_named {
            tree.add(
                RULE.finding(
                    Severity::Blocker,
                    Some(REQUIREMENTS),
                    None,
                    format!("V2 read {file} in its place, and the builder reads this one"),
                )
                .person(format!(
                    "see which of its lines are wanted, and add -r {file}"
                )),
            );
        }
    } else if known.requirements_file.is_none() {
        let others: Vec<&str> = tree
            .tree
            .files()
            .map(|(path, _)| path)
            .filter(|path| {
                path.ends_with(".txt")
                    && (path.starts_with("requirements") || path.starts_with("reqs"))
            })
            .take(4)
            .collect();
        if let Some(first) = others.first() {
            tree.add(
                RULE.finding(
                    Severity::Warning,
                    Some(first),
                    None,
                    format!(
                        "there is no requirements.txt, but {}",
                        others.join(", ")
                    ),
                )
                .person(
                    "if OPENSHIFT_PYTHON_REQUIREMENTS_PATH named one of them in V2, say so with --requirements FILE",
                ),
            );
        }
    }
}

/// The texts of the files of requirements for V3, the builder's own file first, and what is said about them.
pub(crate) fn rewrite(
    tree: &Tree,
    facts: &Facts,
    options: &Options,
) -> (Vec<(String, String)>, Vec<Note>) {
    let pins: Vec<Requirement> = options
        .pins
        .iter()
        .map(|pin| requirement(pin.trim(), "", 0))
        .collect();
    let pinned = |name: &str| {
        let wanted = normal_name(name);
        pins.iter().find(|pin| normal_name(&pin.name) == wanted)
    };
    let known = &facts.dependencies;
    let mut notes = Vec::new();
    let mut root = Lines::of(tree, REQUIREMENTS);
    let mut others: Vec<Lines> = known
        .files
        .iter()
        .filter(|path| path.as_str() != REQUIREMENTS)
        .map(|path| Lines::of(tree, path))
        .collect();
    for lines in std::iter::once(&mut root).chain(&mut others) {
        lines.change(&mut notes, |one| {
            change(tree, one, facts, options, pinned(&one.name))
        });
    }
    let mut required: Vec<String> = Vec::new();
    for lines in std::iter::once(&root).chain(&others) {
        let constrains = known.constraints.iter().any(|one| one.path == lines.path);
        if !constrains {
            required.extend(lines.requirements().map(|one| normal_name(&one.name)));
        }
    }
    let mut add: Vec<String> = Vec::new();
    if let Some(file) = &options.requirements
        && root.before.is_empty()
        && file != REQUIREMENTS
    {
        add.push(format!("-r {file}"));
    }
    for one in facts
        .dependencies
        .setup_py
        .iter()
        .flat_map(|setup| &setup.install_requires)
    {
        let text = match change(tree, one, facts, options, pinned(&one.name)) {
            Some((Target::Is(text), _)) => text,
            _ => one.text.clone(),
        };
        let name = name_in(&text);
        if !text.is_empty()
            && !required.contains(&name)
            && !required.contains(&normal_name(&one.name))
        {
            required.push(name);
            add.push(text);
        }
    }
    for need in needed(facts, options) {
        let name = name_in(&need.text);
        let is_there =
            |known: &String| *known == name || need.or.iter().any(|other| known.starts_with(other));
        if required.iter().any(is_there) {
            continue;
        }
        let text = pinned(&name).map_or(need.text, |pin| pin.text.clone());
        if let Some(finding) = need.finding {
            notes.push(Note {
                finding: finding.convert(format!("adds {text} to requirements.txt")),
            });
        }
        required.push(name);
        add.push(text);
    }
    for pin in &pins {
        let name = normal_name(&pin.name);
        if !required.contains(&name) {
            required.push(name);
            add.push(pin.text.clone());
        }
    }
    root.add(add);
    let hashes = std::iter::once(&root)
        .chain(&others)
        .map(Lines::hashes)
        .fold((false, false), |all, one| (all.0 || one.0, all.1 || one.1));
    if hashes == (true, true) {
        for lines in std::iter::once(&mut root).chain(&mut others) {
            lines.drop_hashes(&mut notes);
        }
    }
    let texts = std::iter::once(root)
        .chain(others)
        .map(|lines| (lines.path.clone(), lines.text()))
        .collect();
    (texts, notes)
}

/// The name of what a line requires, in its normal form.
fn name_in(line: &str) -> String {
    normal_name(&requirement(line.trim(), "", 0).name)
}

enum Target {
    /// The line's new text; empty to take it out.
    Is(String),
    /// A person has to see to it.
    Person(String),
}

/// What becomes of one requirement, and how bad it is.
fn change(
    tree: &Tree,
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
    if let Some(changed) = sources::change(one, tree) {
        return Some(changed);
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
struct Need {
    text: String,
    /// Beginnings of names that will do, too.
    or: &'static [&'static str],
    /// What is said when it is missing.
    finding: Option<Finding>,
}

fn needed(facts: &Facts, options: &Options) -> Vec<Need> {
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
    let mut needed: Vec<Need> = needed
        .into_iter()
        .map(|text| Need {
            text,
            or: &[],
            finding: None,
        })
        .collect();
    needed.extend(clients(facts, options));
    needed
}

/// Clients of databases. V2's image had them, so that many applications required none.
fn clients(facts: &Facts, options: &Options) -> Vec<Need> {
    if !facts.is_django() {
        return Vec::new();
    }
    let psycopg = |finding| Need {
        text: if options.django >= Version::new(4, 2) {
            "psycopg[binary]>=3.1.18".to_owned()
        } else {
            "psycopg2-binary>=2.8.6,<2.9".to_owned()
        },
        or: &["psycopg"],
        finding,
    };
    if options.database == DatabaseChoice::Service {
        return vec![psycopg(None)];
    }
    // Settings name all that they were ready for; cartridges, where they are known, tell what was there.
    let had = |kind: &str| {
        let named = |what: &str| {
            options
                .cartridges
                .iter()
                .any(|cartridge| cartridge.starts_with(what))
        };
        let any = ["mysql", "mariadb", "postgresql"]
            .iter()
            .any(|kind| named(kind));
        !any || named(kind) || (kind == "mysql" && named("mariadb"))
    };
    let missing = |kind: DatabaseKind, what: &str, note: &str| {
        let database = facts
            .databases
            .iter()
            .find(|database| database.kind == kind)?;
        Some(RULE.finding(
            Severity::Blocker,
            Some(&database.path),
            Some(database.line),
            format!("the settings name {what}, and nothing requires a client for it{note}"),
        ))
    };
    let mut found = Vec::new();
    if had("postgresql")
        && let Some(finding) = missing(DatabaseKind::Postgresql, "PostgreSQL", "")
    {
        found.push(psycopg(Some(finding)));
    }
    if had("mysql")
        && let Some(finding) = missing(
            DatabaseKind::Mysql,
            "MySQL",
            "; it is compiled by the build, with headers of MySQL that full builder images have",
        )
    {
        found.push(Need {
            text: if options.python3() {
                "mysqlclient>=2.2"
            } else {
                "mysqlclient<2"
            }
            .to_owned(),
            or: &["pymysql", "mysql-connector", "mysql-python"],
            finding: Some(finding),
        });
    }
    found
}
