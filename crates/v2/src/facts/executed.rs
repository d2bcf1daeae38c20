//! Files of Python that are not called so: configuration that Flask or the application executes.

use std::collections::BTreeSet;

use crate::tree::Tree;

/// What executes a file that it is given the name of.
const EXECUTES: &[&str] = &["from_pyfile(", "execfile(", "exec(open("];

/// The files that Python files execute by a name that is written out, other than those called `.py`.
pub(crate) fn executed(tree: &Tree) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, file) in tree.files().filter(|(path, _)| path.ends_with(".py")) {
        let Some(content) = file.content.as_deref() else {
            continue;
        };
        let text = String::from_utf8_lossy(content);
        if !EXECUTES.iter().any(|call| text.contains(call)) {
            continue;
        }
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for line in text.lines() {
            let Some(rest) = EXECUTES
                .iter()
                .find_map(|call| line.split_once(call).map(|(_, rest)| rest))
            else {
                continue;
            };
            for name in quoted(rest) {
                let name = name.trim_start_matches("./");
                // Beside the file, in the folder of what is particular to a place, or in the root.
                let places = [
                    format!("{folder}/{name}"),
                    format!("{folder}/instance/{name}"),
                    name.to_owned(),
                    format!("instance/{name}"),
                ];
                let place = places
                    .into_iter()
                    .map(|place| place.trim_start_matches('/').to_owned())
                    .find(|place| tree.is_file(place));
                found.extend(place.filter(|place| !place.ends_with(".py")));
            }
        }
    }
    found
}

/// The texts in quotes of a line.
fn quoted(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find(['\'', '"']) {
        let quote = rest.get(start..=start).unwrap_or("'");
        let Some((text, after)) = rest
            .get(start + 1..)
            .and_then(|inner| inner.split_once(quote))
        else {
            break;
        };
        if !text.is_empty() {
            found.push(text);
        }
        rest = after;
    }
    found
}
