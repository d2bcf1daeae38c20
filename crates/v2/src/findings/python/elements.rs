//! Elements that are taken out of a list or tuple.

use tree_sitter::Node;

use crate::findings::{FileContext, Finding};
use crate::python::children;

/// Takes elements out. What stays of a tuple stays a tuple.
pub(super) fn remove(
    file: &FileContext<'_>,
    mut finding: Finding,
    list: Node<'_>,
    gone: &[usize],
) -> Finding {
    if gone.is_empty() {
        return finding;
    }
    let items = children(list);
    for at in gone {
        let (start, end) = element(file, &items, *at);
        finding = finding.edit(start, end, "");
    }
    let mut left = items
        .iter()
        .enumerate()
        .filter(|(at, _)| !gone.contains(at))
        .map(|(_, item)| *item);
    // `('a')` is no tuple: a single element needs its comma.
    if list.kind() == "tuple"
        && let (Some(only), None) = (left.next(), left.next())
        && !has_comma(file, only)
    {
        finding = finding.edit(only.end_byte(), only.end_byte(), ",");
    }
    finding
}

/// Whether a comma follows, comments aside.
fn has_comma(file: &FileContext<'_>, item: Node<'_>) -> bool {
    let mut at = item.next_sibling();
    while let Some(next) = at {
        match next.kind() {
            "comment" => at = next.next_sibling(),
            _ => return file.py.text(next) == ",",
        }
    }
    false
}

/// The bytes of one element of a list, with its comma and, if it has them for itself, its lines.
fn element(file: &FileContext<'_>, items: &[tree_sitter::Node<'_>], at: usize) -> (usize, usize) {
    let py = file.py;
    let Some(item) = items.get(at) else {
        return (0, 0);
    };
    let source = py.source();
    let mut end = item.end_byte();
    let rest = source.get(end..).unwrap_or_default();
    let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    if rest.get(blanks..).is_some_and(|rest| rest.starts_with(',')) {
        end += blanks + 1;
    }
    let line_start = py.line_start(item.start_byte());
    let line_end = py.line_end(end);
    let alone = source
        .get(line_start..item.start_byte())
        .is_some_and(|head| head.trim().is_empty())
        && source.get(end..line_end).is_some_and(|tail| {
            let tail = tail.trim();
            tail.is_empty() || tail.starts_with('#')
        });
    if alone {
        (line_start, line_end)
    } else {
        (item.start_byte(), end)
    }
}
