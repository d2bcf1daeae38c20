//! SQLite databases outside of the data directory.

use crate::facts::DatabaseKind;
use crate::findings::{Check, FileContext, Rule, Severity};
use crate::options::DatabaseChoice;

pub(super) const RULE: Rule = Rule {
    id: "sqlite-place",
    title: "SQLite databases outside of the data directory",
    why: "what a container writes outside of a volume is gone when its pod ends",
    check: Check::Python {
        needle: r"sqlite3",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if file.options.database == DatabaseChoice::Service {
        return;
    }
    for database in &file.facts.databases {
        if database.path != file.py.path || database.kind != DatabaseKind::Sqlite {
            continue;
        }
        // A file that is used where no OpenShift is may be anywhere.
        let others = file
            .facts
            .databases
            .iter()
            .any(|other| other.kind != DatabaseKind::Sqlite || other.in_data_dir == Some(true));
        let severity = if others {
            Severity::Info
        } else {
            Severity::Warning
        };
        match (database.in_data_dir, &database.file) {
            (Some(true), _) => {}
            (_, Some(place)) => file.add(
                file.at(
                    &RULE,
                    severity,
                    database.line,
                    format!("the database is the file {place}, outside of the data directory"),
                )
                .person("keep it below OPENSHIFT_DATA_DIR, or choose --database service; otherwise each new pod begins with the file of the image"),
            ),
            (_, None) => file.add(
                file.at(
                    &RULE,
                    severity,
                    database.line,
                    "where the database's file is could not be worked out",
                )
                .person("make sure that it is below OPENSHIFT_DATA_DIR"),
            ),
        }
    }
}
