//! `.gitignore`: what builds and runs leave behind.

use super::draft::{Draft, Reason};
use crate::analysis::Analysis;
use crate::facts::{SOURCE_DIR, in_tree};
use crate::tree::{Leads, Node};

pub(super) fn ignore(draft: &mut Draft<'_>, analysis: &Analysis) {
    let path = ".gitignore";
    let before = draft.tree.text(path).unwrap_or_default();
    let newline = if before.contains("\r\n") {
        "\r\n"
    } else {
        "\n"
    };
    let mut wanted = vec!["*.pyc".to_owned(), "__pycache__/".to_owned()];
    let data = &analysis.facts.data_dir;
    if data.needed && data.path == format!("{SOURCE_DIR}data/") {
        wanted.extend(["/data/*".to_owned(), "!/data/.gitkeep".to_owned()]);
    }
    let collected = analysis
        .facts
        .project
        .as_ref()
        .and_then(|project| project.static_files.root.as_deref())
        .and_then(in_tree)
        .filter(|folder| !folder.is_empty());
    if let Some(folder) = collected {
        // Files of the application's own in there stay tracked.
        let own = draft.tree.below(folder).any(|(path, node)| {
            // A link into the old platform goes, so that it must not count the first time only.
            let goes = matches!(node, Node::Link(link) if link.leads == Leads::OldPlatform);
            !goes
                && !matches!(
                    path.rsplit('/').next(),
                    Some(".gitkeep" | ".gitignore" | ".keep")
                )
        });
        if !own {
            wanted.extend([format!("/{folder}/*"), format!("!/{folder}/.gitkeep")]);
        }
    }
    let missing: Vec<String> = wanted
        .into_iter()
        .filter(|line| {
            let plain = line.trim_matches('/');
            !before
                .lines()
                .any(|known| known.trim() == line || known.trim().trim_matches('/') == plain)
        })
        .collect();
    if missing.is_empty() {
        return;
    }
    let mut text = before.clone();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str(newline);
    }
    for line in &missing {
        text.push_str(line);
        text.push_str(newline);
    }
    draft.put(
        path,
        text,
        vec![Reason {
            rule: "convert",
            line: None,
            text: "what Python, a build and a running application leave is no source".to_owned(),
        }],
    );
}
