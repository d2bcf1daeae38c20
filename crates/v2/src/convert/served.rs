//! Which folders may be served under an address: none that has the database, secrets, sources or all of the data in it.

use crate::facts::{Facts, SOURCE_DIR, in_tree};
use crate::findings::tree::secrets_file::maker;
use crate::tree::Tree;

/// What would be published with a folder; `None` when it may be served.
pub(crate) fn published(tree: &Tree, facts: &Facts, folder: &str) -> Option<&'static str> {
    let folder = folder.trim_end_matches('/');
    let root = if folder.starts_with('/') {
        format!("{folder}/")
    } else {
        format!("{SOURCE_DIR}{folder}/")
    };
    let holds = |path: &str| path.starts_with(&root);
    if holds(&facts.data_dir.path) {
        return Some("all of the data directory");
    }
    if holds(SOURCE_DIR) {
        return Some("the sources");
    }
    if facts
        .databases
        .iter()
        .filter_map(|database| database.file.as_deref())
        .any(holds)
    {
        return Some("the database");
    }
    let secrets = facts
        .hooks
        .iter()
        .filter_map(|hook| maker(&tree.text(&hook.path)?))
        .map(|maker| in_image(&maker.file, facts));
    if secrets.into_iter().any(|file| holds(&file)) {
        return Some("the file of secrets");
    }
    let place = in_tree(&root)?;
    // Django's own static files had one script among them, which is no secret.
    let has_sources = tree
        .below(place)
        .any(|(path, _)| path.ends_with(".py") && !path.ends_with("/compress.py"));
    let entry = facts.entry.iter().any(|entry| {
        entry
            .path
            .strip_prefix(place)
            .is_some_and(|rest| rest.starts_with('/'))
    });
    (has_sources || entry).then_some("the sources")
}

/// A file of a hook as a path in the image, as far as V2's folders are all that has to be filled in.
fn in_image(file: &str, facts: &Facts) -> String {
    let mut path: String = file.chars().filter(|c| !"\"'".contains(*c)).collect();
    for (name, value) in [
        ("OPENSHIFT_DATA_DIR", facts.data_dir.path.as_str()),
        ("OPENSHIFT_REPO_DIR", SOURCE_DIR),
    ] {
        path = path
            .replace(&format!("${{{name}}}"), value)
            .replace(&format!("${name}"), value);
    }
    crate::python::normal(&path)
}
