//! Edits of byte spans. All bytes outside of them stay as they were; a result that parses worse than the original is refused.

use super::blocks::empty_blocks;
use super::syntax::{Encoding, Newline, Py, line_at, parse, readable, visit};
use crate::V2Error;

/// The bytes from `start` to `end` become `text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// With `\n` for newlines, whatever the file has.
    pub(crate) text: String,
    /// The rule that wants it.
    pub(crate) rule: &'static str,
    /// Why, for a person.
    pub(crate) reason: String,
}

/// Carries out edits of a Python file. The result is parsed, unless [`applies`] has told already that all is well.
///
/// # Errors
/// When the file does not parse, its encoding or line ends do not allow it, edits overlap, or the result would parse worse.
pub(crate) fn apply(
    path: &str,
    source: &[u8],
    edits: &[Edit],
    known_to_apply: bool,
) -> Result<Vec<u8>, V2Error> {
    if edits.is_empty() {
        return Ok(source.to_owned());
    }
    if known_to_apply {
        return splice(path, source, edits);
    }
    let not_editable = |reason: String| V2Error::NotEditable {
        path: path.to_owned(),
        reason,
    };
    if let Encoding::Other(name) = Encoding::of(source) {
        return Err(not_editable(format!(
            "its encoding is {name}, in which a byte of a character may look like a quote; save it as UTF-8 first"
        )));
    }
    if Newline::of(source) == Newline::Mac {
        return Err(not_editable(
            "its lines end in a carriage return alone; save it with Unix line ends first"
                .to_owned(),
        ));
    }
    if let Some(line) = first_error(source) {
        return Err(V2Error::DoesNotParse {
            files: vec![(path.to_owned(), line)],
            hint: String::new(),
        });
    }
    let result = splice(path, source, edits)?;
    // The original parses, so the result has to.
    let broken = first_error(&result).or_else(|| {
        // A block without a statement is none to Python, and one to the parser.
        let empty = |bytes: &[u8]| {
            parse(readable(bytes).as_bytes(), None).map_or(0, |tree| empty_blocks(tree.root_node()))
        };
        (empty(&result) > empty(source)).then(|| {
            let first = edits.iter().map(|edit| edit.start).min();
            line_at(source, first.unwrap_or_default())
        })
    });
    match broken {
        Some(line) => Err(V2Error::WouldBreak {
            path: path.to_owned(),
            line,
        }),
        None => Ok(result),
    }
}

/// Whether the edits can be carried out and their result parses, told from the tree of a file that is parsed already: only what they touch
/// is parsed again. Where this says no, [`apply`] says why.
pub(crate) fn applies(py: &Py<'_>, edits: &[Edit]) -> bool {
    if Encoding::of(py.bytes) != Encoding::AsciiCompatible {
        return false;
    }
    let newline = Newline::of(py.bytes);
    newline != Newline::Mac
        && splice(py.path, py.bytes, edits)
            .is_ok_and(|after| py.parses_after(&ordered(edits), &after, newline.text()))
}

/// Edits from the start of the file to its end, each once.
fn ordered(edits: &[Edit]) -> Vec<&Edit> {
    let mut ordered: Vec<&Edit> = edits.iter().collect();
    ordered.sort_by_key(|edit| (edit.start, edit.end));
    ordered.dedup_by(|one, other| {
        (one.start, one.end, &one.text) == (other.start, other.end, &other.text)
            && one.rule == other.rule
    });
    ordered
}

/// Puts the texts in place.
pub(crate) fn splice(path: &str, source: &[u8], edits: &[Edit]) -> Result<Vec<u8>, V2Error> {
    let newline = Newline::of(source).text();
    let mut result = Vec::with_capacity(source.len() + 256);
    let mut at = 0;
    let mut last: Option<&Edit> = None;
    for edit in ordered(edits) {
        if edit.start > edit.end || edit.end > source.len() || edit.start < at {
            return Err(V2Error::Overlap {
                path: path.to_owned(),
                line: line_at(source, edit.start),
                first: last.map_or("", |last| last.rule).to_owned(),
                second: edit.rule.to_owned(),
            });
        }
        result.extend_from_slice(source.get(at..edit.start).unwrap_or_default());
        if newline == "\n" {
            result.extend_from_slice(edit.text.as_bytes());
        } else {
            result.extend_from_slice(edit.text.replace('\n', newline).as_bytes());
        }
        at = edit.end;
        last = Some(edit);
    }
    result.extend_from_slice(source.get(at..).unwrap_or_default());
    Ok(result)
}

/// The first line that does not parse.
fn first_error(source: &[u8]) -> Option<usize> {
    let Some(tree) = parse(readable(source).as_bytes(), None) else {
        return Some(1);
    };
    if !tree.root_node().has_error() {
        return None;
    }
    let mut first = None;
    visit(tree.root_node(), &mut |node| {
        if first.is_none() && (node.is_error() || node.is_missing()) {
            first = Some(node.start_position().row + 1);
        }
        first.is_none()
    });
    first.or(Some(1))
}
