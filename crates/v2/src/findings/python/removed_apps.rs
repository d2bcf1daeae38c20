//! Applications that Django does not have any more, in `INSTALLED_APPS` and in imports of South.

use super::elements;
use crate::findings::{Check, FileContext, Rule, Severity};
use crate::python::{children, enclosing_statement, visit};

pub(super) const RULE: Rule = Rule {
    id: "removed-apps",
    title: "applications that Django does not have any more",
    why: "an application in INSTALLED_APPS that cannot be imported keeps everything from starting",
    check: Check::Python {
        needle: r"INSTALLED_APPS|\bsouth\b",
        check,
    },
};

/// An application, what to do, and the first Django without it.
type Gone = (&'static str, &'static str, (u16, u16));

const GONE: &[Gone] = &[
    (
        "django.contrib.comments",
        "install django-contrib-comments and name it django_comments, or take it out",
        (1, 8),
    ),
    (
        "django.contrib.formtools",
        "install django-formtools and name it formtools, or take it out",
        (1, 8),
    ),
    (
        "django.contrib.localflavor",
        "install django-localflavor and name it localflavor, or take it out",
        (1, 6),
    ),
    (
        "django.contrib.markup",
        "install django-markup, whose filters are other ones, or take it out",
        (1, 6),
    ),
    (
        "django.contrib.webdesign",
        "take it out: the lorem tag is built in",
        (1, 10),
    ),
    (
        "django.contrib.databrowse",
        "take it out: there is nothing like it",
        (1, 5),
    ),
    (
        "django.contrib.csrf",
        "take it out: CsrfViewMiddleware does it",
        (1, 4),
    ),
];

fn check(file: &FileContext<'_>) {
    // What takes South's place came with 1.7.
    if !file.to_django(1, 7) {
        return;
    }
    if file.is_settings() {
        settings(file);
    }
    south(file);
}

fn settings(file: &FileContext<'_>) {
    let py = file.py;
    let mut lists = Vec::new();
    for assign in file.assigned("INSTALLED_APPS") {
        let Some(value) = assign.value else {
            continue;
        };
        // Also the parts of `COMMON_APPS + ('south',)`.
        visit(value, &mut |node| {
            if matches!(node.kind(), "list" | "tuple") && !lists.contains(&node) {
                lists.push(node);
            }
            true
        });
    }
    for list in lists {
        let mut gone = Vec::new();
        let mut line = 0;
        for (at, item) in children(list).into_iter().enumerate() {
            let Some(app) = py.string(item) else {
                continue;
            };
            if app == "south" {
                gone.push(at);
                line = py.line(item);
            } else {
                name(file, &app, py.line(item));
            }
        }
        if !gone.is_empty() {
            let finding = without_south(file, line);
            file.add(elements::remove(file, finding, list, &gone));
        }
    }
    for call in file.calls() {
        let [only] = call.positional.as_slice() else {
            continue;
        };
        if call.name != "INSTALLED_APPS.append" {
            continue;
        }
        match py.string(*only) {
            Some(app) if app == "south" => {
                let finding = without_south(file, py.line(call.node));
                let statement = enclosing_statement(call.node);
                file.add(if py.alone_on_lines(statement) {
                    finding.remove(py, statement)
                } else {
                    finding.edit(call.node.start_byte(), call.node.end_byte(), "None")
                });
            }
            Some(app) => name(file, &app, py.line(call.node)),
            None => {}
        }
    }
}

fn without_south(file: &FileContext<'_>, line: usize) -> crate::findings::Finding {
    file.at(&RULE, Severity::Blocker, line, "south is in INSTALLED_APPS")
        .convert("takes it out: migrations are Django's own now")
}

/// An application that a person has to decide about.
fn name(file: &FileContext<'_>, app: &str, line: usize) {
    if let Some((app, instead, gone)) = GONE.iter().find(|(gone, _, _)| *gone == app)
        && file.to_django(gone.0, gone.1)
    {
        file.add(
            file.at(
                &RULE,
                Severity::Blocker,
                line,
                format!("{app} is in INSTALLED_APPS, and Django does not have it any more"),
            )
            .person(*instead),
        );
    }
}

/// What imports South: its migrations above all.
fn south(file: &FileContext<'_>) {
    for import in file.imports() {
        let of_south = |module: &str| module == "south" || module.starts_with("south.");
        let is_south = match &import.from {
            Some((module, _)) => of_south(module),
            None => import.names.iter().any(|name| of_south(&name.name)),
        };
        if !is_south {
            continue;
        }
        let is_migration = file.py.path.contains("migrations/");
        let finding = file.at(
            &RULE,
            Severity::Blocker,
            file.py.line(import.statement),
            if is_migration {
                "a migration of South"
            } else {
                "South is imported"
            },
        );
        file.add(finding.person(if is_migration {
            "move South's migrations away and have makemigrations write Django's own; where the tables are there, `migrate --fake-initial` takes them over"
        } else {
            "take out what is said to South: Django's own migrations need no introspection rules"
        }));
    }
}
