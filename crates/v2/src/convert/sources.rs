//! Edits of the application's own files: Python, templates, requirements, and modules that get another name.

use std::collections::BTreeMap;

use super::draft::{Draft, Reason};
use crate::V2Error;
use crate::analysis::Analysis;
use crate::facts::REQUIREMENTS;
use crate::findings::python::stdlib_shadow;
use crate::findings::tree::requirements::rewrite;
use crate::findings::{Finding, Remedy, edits_of, in_order};
use crate::python;
use crate::tree::Tree;

/// Edits files, and returns what was renamed, old to new.
pub(super) fn edit(
    draft: &mut Draft<'_>,
    analysis: &Analysis,
) -> Result<Vec<(String, String)>, V2Error> {
    let mut by_file: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in &analysis.findings {
        if let Some(path) = &finding.path {
            by_file.entry(path).or_default().push(finding);
        }
    }
    let tree = draft.tree;
    let files: Vec<(&str, Vec<&Finding>)> = by_file
        .into_iter()
        .map(|(path, findings)| (path, in_order(findings.into_iter())))
        .filter(|(_, findings)| !findings.is_empty())
        .collect();
    let edited = crate::analysis::in_parallel(&files, |(path, findings)| {
        edit_file(tree, analysis, path, findings)
    });
    for ((path, findings), after) in files.into_iter().zip(edited) {
        let reasons = findings
            .iter()
            .map(|finding| Reason {
                rule: finding.rule,
                line: finding.line.filter(|_| finding.append.is_none()),
                text: reason(finding),
            })
            .collect();
        draft.put(path, after?, reasons);
    }
    let mut renames = Vec::new();
    if analysis.options.python3() {
        for module in stdlib_shadow::NEWER {
            let is_imported = analysis.findings.iter().any(|finding| {
                finding.rule == "stdlib-name" && finding.what.starts_with(&format!("`{module}`"))
            });
            if let Some((old, new)) = stdlib_shadow::shadowing(draft.tree, module)
                && is_imported
            {
                draft.rename(
                    &old,
                    &new,
                    Reason {
                        rule: "stdlib-name",
                        line: None,
                        text: format!(
                            "the standard library has a module {module}, which would come first"
                        ),
                    },
                );
                renames.push((old, new));
            }
        }
    }
    for finding in &analysis.findings {
        if finding.rule == "kept-files" && matches!(finding.remedy, Remedy::Convert(_)) {
            draft.make_executable(
                "app.sh",
                Reason {
                    rule: "kept-files",
                    line: None,
                    text: "the builder executes it".to_owned(),
                },
            );
        }
    }
    Ok(renames)
}

/// The content of one file after its edits.
fn edit_file(
    tree: &Tree,
    analysis: &Analysis,
    path: &str,
    findings: &[&Finding],
) -> Result<Vec<u8>, V2Error> {
    let Some(source) = tree.content(path) else {
        return Err(V2Error::NotEditable {
            path: path.to_owned(),
            reason: "it is too large, or no text".to_owned(),
        });
    };
    let edits = edits_of(findings, source);
    let is_entry = analysis
        .facts
        .entry
        .as_ref()
        .is_some_and(|entry| entry.path == path);
    let is_python = is_entry
        || analysis.executed.contains(path)
        || path.ends_with(".py")
        || !path.rsplit('/').next().unwrap_or_default().contains('.');
    if is_python {
        python::apply(path, source, &edits, analysis.applies.contains(path))
    } else {
        python::splice(path, source, &edits)
    }
}

fn reason(finding: &Finding) -> String {
    match &finding.remedy {
        Remedy::Convert(does) => format!("{does}: {}", finding.why),
        _ => finding.why.to_owned(),
    }
}

/// `requirements.txt`, and the files that it names.
pub(super) fn requirements(draft: &mut Draft<'_>, analysis: &Analysis) {
    let (texts, notes) = rewrite(draft.tree, &analysis.facts, &analysis.options);
    for (path, text) in texts {
        let is_root = path == REQUIREMENTS;
        if text.is_empty() && !draft.tree.is_file(&path) {
            continue;
        }
        let mut reasons: Vec<Reason> = notes
            .iter()
            .filter_map(|note| {
                let Remedy::Convert(does) = &note.finding.remedy else {
                    return None;
                };
                let of_file = note.finding.path.as_deref() == Some(path.as_str());
                // What is said of another file is done here, where all is added.
                let elsewhere = is_root
                    && !analysis
                        .facts
                        .dependencies
                        .files
                        .iter()
                        .any(|file| note.finding.path.as_deref() == Some(file.as_str()));
                (of_file || elsewhere).then(|| Reason {
                    rule: "requirements",
                    line: note.finding.line.filter(|_| of_file),
                    text: format!("{}: {does}", note.finding.what),
                })
            })
            .collect();
        if is_root {
            let before = draft.tree.text(&path).unwrap_or_default();
            let added: Vec<&str> = text
                .lines()
                .filter(|line| !before.lines().any(|old| old == *line))
                .collect();
            reasons.push(Reason {
                rule: "requirements",
                line: None,
                text: format!("what the builder installs: {}", added.join(", ")),
            });
        }
        draft.put(&path, text, reasons);
    }
}
