//! `.s2i/openshifter.json`: what was decided, and what the result needs of a cluster. No secret is in it.

use serde::{Deserialize, Serialize};

use super::draft::{Draft, Reason};
use crate::analysis::Analysis;
use crate::needs::Needs;
use crate::options::Options;
use crate::tree::Tree;

/// Where it is.
pub(crate) const RECORD: &str = ".s2i/openshifter.json";

#[derive(Serialize)]
struct Written<'a> {
    /// Version of this format.
    format: u32,
    options: &'a Options,
    needs: &'a Needs,
}

#[derive(Deserialize)]
struct Seen {
    options: Options,
    needs: Needs,
}

fn seen(tree: &Tree) -> Option<Seen> {
    serde_json::from_slice(tree.content(RECORD)?).ok()
}

/// What an earlier conversion called the application.
pub(crate) fn recorded_name(tree: &Tree) -> Option<String> {
    Some(seen(tree)?.needs.name).filter(|name| crate::options::is_dns_label(name))
}

/// What was decided for an earlier conversion.
pub(crate) fn recorded_options(tree: &Tree) -> Option<Options> {
    Some(seen(tree)?.options)
}

/// What the result of an earlier conversion needs.
pub(crate) fn recorded_needs(tree: &Tree) -> Option<Needs> {
    Some(seen(tree)?.needs)
}

pub(super) fn record(draft: &mut Draft<'_>, analysis: &Analysis, needs: &Needs) {
    let written = Written {
        format: 1,
        options: &analysis.options,
        needs,
    };
    let Ok(mut text) = serde_json::to_string_pretty(&written) else {
        return;
    };
    text.push('\n');
    draft.put(
        RECORD,
        text,
        vec![Reason {
            rule: "convert",
            line: None,
            text: "what was decided and what the result needs of a cluster, for `openshifter v2 deploy`".to_owned(),
        }],
    );
}
