//! What V2 started, by the order of its control script: `app.py`, `$OPENSHIFT_PYTHON_WSGI_APPLICATION`, `wsgi/application`, `wsgi.py`.

use serde::Serialize;

use crate::V2Error;
use crate::options::Options;
use crate::tree::Tree;

/// How an entry point serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// `python app.py`, which listens by itself.
    SelfServing,
    /// A WSGI script for mod_wsgi.
    Wsgi,
}

/// What V2 started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its path.
    pub path: String,
    /// How it serves.
    pub kind: EntryKind,
    /// Other files that V2 would have started if this one were not there.
    pub passed_over: Vec<String>,
}

/// Finds the entry point; `None` when V2 would not have found one either.
pub(super) fn entry(tree: &Tree, options: &Options) -> Result<Option<Entry>, V2Error> {
    if let Some(named) = &options.entry
        && !tree.is_file(named)
    {
        return Err(V2Error::NoSuchFile {
            option: "--entry",
            path: named.clone(),
        });
    }
    let mut found: Vec<(String, EntryKind)> = Vec::new();
    let named = options.entry.as_deref();
    // A person who names another entry point than app.py means it.
    if tree.is_file("app.py") && named.is_none_or(|named| named == "app.py") {
        found.push(("app.py".to_owned(), EntryKind::SelfServing));
    }
    for path in named
        .into_iter()
        .filter(|named| *named != "app.py")
        .chain(["wsgi/application", "wsgi.py"])
    {
        if tree.is_file(path) && !found.iter().any(|(known, _)| known == path) {
            found.push((path.to_owned(), EntryKind::Wsgi));
        }
    }
    if named.is_some_and(|named| named != "app.py") && tree.is_file("app.py") {
        found.push(("app.py".to_owned(), EntryKind::SelfServing));
    }
    let mut found = found.into_iter();
    Ok(found.next().map(|(path, kind)| Entry {
        path,
        kind,
        passed_over: found.map(|(path, _)| path).collect(),
    }))
}

/// Files that look like an entry point where V2 did not look.
pub(crate) fn candidates(tree: &Tree) -> Vec<String> {
    tree.files()
        .filter(|(path, file)| {
            let name = path.rsplit('/').next().unwrap_or_default();
            (name == "wsgi.py" || name == "application" || name == "app.py")
                && file.content.as_deref().is_some_and(|content| {
                    contains(content, b"application") || contains(content, b"app")
                })
        })
        .map(|(path, _)| path.to_owned())
        .take(5)
        .collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}
