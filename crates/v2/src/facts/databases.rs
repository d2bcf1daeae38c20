//! Which databases the settings name, and whether a file of theirs survives a restart.

use serde::{Deserialize, Serialize};

use crate::python::{Folder, Py, visit};

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatabaseKind {
    /// A file of SQLite.
    Sqlite,
    /// MySQL or MariaDB.
    Mysql,
    /// PostgreSQL.
    Postgresql,
    /// MongoDB.
    Mongodb,
    /// Another one.
    Other,
}

/// A database that the application uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Database {
    /// Its kind.
    pub kind: DatabaseKind,
    /// What says so.
    pub path: String,
    /// The line.
    pub line: usize,
    /// The file of an SQLite database, if it could be worked out: a path in the image.
    pub file: Option<String>,
    /// Whether that file is in the data directory; `None` where that is not known.
    pub in_data_dir: Option<bool>,
}

/// The databases of a settings file.
pub(super) fn of_settings(py: &Py<'_>, folder: &Folder<'_, '_>, data_dir: &str) -> Vec<Database> {
    let mut found = Vec::new();
    visit(py.root(), &mut |node| {
        if node.kind() != "dictionary" {
            return true;
        }
        let Some(engine) = py.entry(node, "ENGINE") else {
            return true;
        };
        let engine_name = py.string(engine).unwrap_or_default();
        let kind = match engine_name.as_str() {
            name if name.ends_with("sqlite3") => DatabaseKind::Sqlite,
            name if name.contains("mysql") => DatabaseKind::Mysql,
            name if name.contains("postgres") || name.contains("postgis") => {
                DatabaseKind::Postgresql
            }
            name if name.contains("mongo") => DatabaseKind::Mongodb,
            _ => DatabaseKind::Other,
        };
        let file = (kind == DatabaseKind::Sqlite)
            .then(|| py.entry(node, "NAME").and_then(|name| folder.fold(name)))
            .flatten()
            .map(|file| crate::python::normal(&file));
        let in_data_dir = file.as_ref().map(|file| file.starts_with(data_dir));
        found.push(Database {
            kind,
            path: py.path.to_owned(),
            line: py.line(engine),
            file,
            in_data_dir,
        });
        false
    });
    found
}
