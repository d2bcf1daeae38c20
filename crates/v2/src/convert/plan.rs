//! The plan of a conversion.

use serde::Serialize;

use super::draft::{Action, Draft, Reason};
use super::{
    RunnerFile, document, environment, hooks, ignore, jobs, patch, record, runner, server, sources,
};
use crate::V2Error;
use crate::analysis::Analysis;
use crate::facts::{Cartridge, SOURCE_DIR, entry_candidates};
use crate::findings::tree::links::in_old_data;
use crate::needs::Needs;
use crate::tree::{Leads, Node, Tree};

/// What a conversion does to each file, and what the result needs of a cluster.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// The actions, by path. None when the tree is converted already.
    pub actions: Vec<Action>,
    /// What the result needs.
    pub needs: Needs,
    /// The application's folder in its repository, with a `/` at its end; empty where that is the top.
    #[serde(skip)]
    pub(crate) prefix: String,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// The changes as `git apply` reads them, from the top of the repository, binary files included.
    pub fn patch(&self) -> String {
        patch::patch(&self.actions, true, &self.prefix)
    }

    /// The changes for people to read: binary files by their size only.
    pub fn diff(&self) -> String {
        patch::patch(&self.actions, false, "")
    }
}

/// Makes the plan of a conversion. `runner` is the program that [`Runner::Vendored`](crate::Runner::Vendored) puts into the tree.
///
/// # Errors
/// When the application cannot be converted; the error says what is there and what a person would do.
pub fn plan(
    tree: &Tree,
    analysis: &Analysis,
    runner_file: Option<&RunnerFile>,
) -> Result<Plan, V2Error> {
    refuse(tree, analysis)?;
    let (facts, options) = (&analysis.facts, &analysis.options);
    let mut draft = Draft::new(tree);
    let renames = sources::edit(&mut draft, analysis)?;
    sources::requirements(&mut draft, analysis);
    environment::environment(&mut draft, analysis);
    server::server(&mut draft, analysis);
    hooks::hooks(&mut draft, analysis, &renames);
    jobs::jobs(&mut draft, analysis, &renames);
    runner::scripts(&mut draft, options)?;
    if RunnerFile::is_needed(tree, options) {
        let Some(file) = runner_file else {
            return Err(V2Error::NoRunner {
                looked: "--runner-binary, and beside this program".to_owned(),
            });
        };
        draft.create(
            runner::VENDORED,
            file.content().to_owned(),
            true,
            "the program that runs the action hooks, so that a build needs it from nowhere",
        );
    }
    ignore::ignore(&mut draft, analysis);
    if facts.data_dir.needed
        && facts.data_dir.path == format!("{SOURCE_DIR}data/")
        && !tree.is_folder("data")
    {
        draft.create(
            "data/.gitkeep",
            Vec::new(),
            false,
            "the claim is mounted on this folder, which git only keeps with a file in it",
        );
    }
    for (path, link) in tree
        .links()
        .filter(|(_, link)| link.leads == Leads::OldPlatform)
    {
        let text = match in_old_data(&link.target) {
            Some(_) => {
                "it points into the old platform; the deploy hook links to the data directory in its place"
            }
            None => "it points into the old platform, where nothing is any more",
        };
        // The folder of the link stays, as git keeps folders, so that what looks for it finds it as before.
        if let Some((folder, _)) = path.rsplit_once('/')
            && tree.below(folder).all(
                |(_, node)| matches!(node, Node::Link(link) if link.leads == Leads::OldPlatform),
            )
        {
            draft.create(
                &format!("{folder}/.gitkeep"),
                Vec::new(),
                false,
                "git only keeps the folder of the link with a file in it",
            );
        }
        draft.unlink(
            path,
            &link.target,
            Reason {
                rule: "links",
                line: None,
                text: text.to_owned(),
            },
        );
    }
    let needs = Needs::of(analysis);
    if !draft.is_empty() {
        record::record(&mut draft, analysis, &needs);
        document::document(&mut draft, analysis, &needs);
    }
    Ok(Plan {
        actions: draft.finish(),
        needs,
        prefix: tree.prefix(),
    })
}

/// Refuses what cannot be converted, all of a kind in one error.
fn refuse(tree: &Tree, analysis: &Analysis) -> Result<(), V2Error> {
    let facts = &analysis.facts;
    match facts.cartridge {
        Cartridge::Python => {}
        Cartridge::Unknown => return Err(V2Error::UnknownCartridge),
        other => {
            return Err(V2Error::OtherCartridge {
                cartridge: other.name().to_owned(),
                signs: facts.cartridge_signs.join(", "),
                advice: other.advice().to_owned(),
            });
        }
    }
    if facts.entry.is_none() {
        let candidates = entry_candidates(tree);
        let hint = match candidates.first() {
            Some(first) => format!(
                "; {} may be one: name it with --entry {first}",
                candidates.join(" or ")
            ),
            None => "; name it with --entry".to_owned(),
        };
        return Err(V2Error::NoEntryPoint { hint });
    }
    let unreadable: Vec<String> = tree
        .files()
        .filter_map(|(path, file)| {
            let reason = file.unreadable.as_ref()?;
            Some(format!("{path} ({reason})"))
        })
        .chain(
            tree.odd_names()
                .iter()
                .map(|path| format!("{path} (its name is not UTF-8)")),
        )
        .collect();
    if !unreadable.is_empty() {
        return Err(V2Error::Unreadable { files: unreadable });
    }
    let links: Vec<String> = tree
        .links()
        .filter(|(_, link)| link.leads == Leads::Outside)
        .map(|(path, link)| format!("{path} -> {}", link.target))
        .collect();
    if !links.is_empty() {
        return Err(V2Error::EscapingLinks { links });
    }
    // Files that would be edited, or that serve, have to parse.
    let mut broken: Vec<(String, usize)> = Vec::new();
    let mut scrubbed = false;
    for finding in analysis
        .findings
        .iter()
        .filter(|finding| finding.rule == "does-not-parse")
    {
        let Some(path) = &finding.path else {
            continue;
        };
        let is_edited = finding.severity == crate::findings::Severity::Blocker
            || analysis.findings.iter().any(|other| {
                other.path.as_ref() == Some(path)
                    && (!other.edits.is_empty() || other.append.is_some())
            });
        if is_edited {
            broken.push((path.clone(), finding.line.unwrap_or(1)));
            scrubbed |= tree.text(path).is_some_and(|text| text.contains("***"));
        }
    }
    if !broken.is_empty() {
        return Err(V2Error::DoesNotParse {
            files: broken,
            hint: if scrubbed {
                ", by putting `os.environ['NAME']` where a secret was taken out".to_owned()
            } else {
                String::new()
            },
        });
    }
    Ok(())
}
