//! Database engines that have another name now.

use crate::findings::{Check, FileContext, Rule, Severity};
use crate::python::visit;

pub(super) const RULE: Rule = Rule {
    id: "database-engine",
    title: "database engines with another name",
    why: "Django 3.0 removed the old name of the engine",
    check: Check::Python {
        needle: r"postgresql_psycopg2",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if !file.to_django(2, 0) {
        return;
    }
    let py = file.py;
    visit(py.root(), &mut |node| {
        let old = "django.db.backends.postgresql_psycopg2";
        if node.kind() == "string"
            && py.string(node).as_deref() == Some(old)
            && let Some(at) = py.text(node).find("_psycopg2")
        {
            let start = node.start_byte() + at;
            file.add(
                file.at(
                    &RULE,
                    Severity::Blocker,
                    py.line(node),
                    "the engine is postgresql_psycopg2",
                )
                .convert("names it postgresql")
                .edit(start, start + "_psycopg2".len(), ""),
            );
        }
        true
    });
}
