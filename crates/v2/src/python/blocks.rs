//! Blocks keep a statement: what edits take out of one until only comments are left gets `pass` in its place.
//!
//! The grammar that files are parsed with takes a block of comments for a whole one, and Python does not. Several rules may take
//! statements out of one block, and none of them knows of the others, so this looks at all edits of a file at once.

use tree_sitter::Node;

use super::edit::Edit;
use super::syntax::{Py, visit};
use super::view::children;

/// Puts `pass` where these edits would leave a block without a statement.
pub(crate) fn keep_a_statement(py: &Py<'_>, edits: &mut [&mut Edit]) {
    let mut blocks: Vec<Node<'_>> = Vec::new();
    for edit in edits.iter().filter(|edit| takes_out(edit)) {
        if let Some(block) = block_of(py, edit)
            && !blocks.contains(&block)
        {
            blocks.push(block);
        }
    }
    // All is decided before the first edit is another one.
    let emptied: Vec<Node<'_>> = blocks
        .into_iter()
        .filter_map(|block| {
            // What is gone as a whole has no blocks that could be empty.
            let mut around = block.parent();
            while let Some(at) = around
                && !is_gone(py, at, edits)
            {
                around = at.parent();
            }
            let statements = children(block);
            let all = statements.iter().all(|one| is_gone(py, *one, edits));
            statements
                .last()
                .copied()
                .filter(|_| all && around.is_none())
        })
        .collect();
    for last in emptied {
        let head = py.line_start(last.start_byte());
        if let Some(edit) = edits.iter_mut().find(|edit| removes(edit, last)) {
            // A comment behind the statement stays where it is.
            edit.start = last.start_byte().max(edit.start);
            edit.end = last.end_byte().min(edit.end);
            edit.text = "pass".to_owned();
        } else if let Some(edit) = edits
            .iter_mut()
            .find(|edit| edit.start == head && comments_out(edit))
        {
            let indent = py.source().get(head..last.start_byte()).unwrap_or_default();
            edit.text = format!("{indent}pass\n{}", edit.text);
        }
    }
}

/// How many blocks hold no statement.
pub(super) fn empty_blocks(root: Node<'_>) -> usize {
    let mut count = 0;
    visit(root, &mut |node| {
        let kind = node.kind();
        if kind == "block" && children(node).is_empty() {
            count += 1;
        }
        // Blocks are in statements that have clauses, and in nothing else.
        matches!(
            kind,
            "module"
                | "block"
                | "if_statement"
                | "for_statement"
                | "while_statement"
                | "try_statement"
                | "with_statement"
                | "match_statement"
                | "function_definition"
                | "class_definition"
                | "decorated_definition"
        ) || kind.ends_with("_clause")
    });
    count
}

/// Whether an edit takes something out and puts nothing in its place.
fn removes_all(edit: &Edit) -> bool {
    edit.start < edit.end && edit.text.trim().is_empty()
}

/// Whether an edit makes a comment of a line.
fn comments_out(edit: &Edit) -> bool {
    edit.start == edit.end && edit.text == "# "
}

fn takes_out(edit: &Edit) -> bool {
    removes_all(edit) || comments_out(edit)
}

fn removes(edit: &Edit, node: Node<'_>) -> bool {
    removes_all(edit) && edit.start <= node.start_byte() && node.end_byte() <= edit.end
}

/// The block of which an edit takes a statement out, if it is one.
fn block_of<'t>(py: &'t Py<'_>, edit: &Edit) -> Option<Node<'t>> {
    let rest = py.source().get(edit.start..)?;
    let start = edit.start + (rest.len() - rest.trim_start().len());
    let mut at = py.root().descendant_for_byte_range(start, start + 1)?;
    // The outermost statement that begins there: what is commented out may be a whole `try`.
    let mut found = None;
    while let Some(parent) = at.parent() {
        if parent.kind() == "block" && at.start_byte() == start {
            found = Some(parent);
        }
        at = parent;
    }
    found
}

/// Whether nothing of a statement is left after these edits.
fn is_gone(py: &Py<'_>, node: Node<'_>, edits: &[&mut Edit]) -> bool {
    if edits.iter().any(|edit| removes(edit, node)) {
        return true;
    }
    let mut at = py.line_start(node.start_byte());
    while at < node.end_byte() {
        let next = py.line_end(at);
        let blank = py
            .source()
            .get(at..next)
            .is_none_or(|line| line.trim().is_empty());
        if !blank
            && !edits
                .iter()
                .any(|edit| edit.start == at && comments_out(edit))
        {
            return false;
        }
        if next <= at {
            break;
        }
        at = next;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::V2Error;
    use crate::python::{applies, apply};

    fn edit(source: &str, gone: &str) -> Edit {
        let start = source.find(gone).unwrap_or_default();
        Edit {
            start,
            end: start + gone.len(),
            text: String::new(),
            rule: "test",
            reason: String::new(),
        }
    }

    fn after(source: &str, gone: &[&str]) -> String {
        let py = Py::parse("a.py", source.as_bytes()).expect("it parses");
        let mut edits: Vec<Edit> = gone.iter().map(|gone| edit(source, gone)).collect();
        keep_a_statement(&py, &mut edits.iter_mut().collect::<Vec<_>>());
        let result = apply("a.py", source.as_bytes(), &edits, false).expect("it applies");
        String::from_utf8(result).expect("it is text")
    }

    #[test]
    fn the_last_statement_of_a_block_becomes_pass() {
        assert_eq!(
            after(
                "try:\n    a() # why\nexcept E:\n    b\n",
                &["    a() # why\n"]
            ),
            "try:\n    pass # why\nexcept E:\n    b\n"
        );
        // Two rules that do not know of each other.
        assert_eq!(
            after(
                "def f():\n    # c\n    a()\n    b()\nx\n",
                &["    a()\n", "    b()\n"]
            ),
            "def f():\n    # c\n    pass\nx\n"
        );
        assert_eq!(
            after("def f():\n    a()\n    b()\nx\n", &["    a()\n"]),
            "def f():\n    b()\nx\n"
        );
        assert_eq!(after("a()\n", &["a()\n"]), "");
    }

    #[test]
    fn an_edit_that_empties_a_block_is_refused() {
        for source in [
            "try:\n    a() # why\nexcept E:\n    b\n",
            "def f():\n    a() # why\n",
            "if x:\n    if y:\n        a() # why\nelse:\n    c\n",
        ] {
            let start = source.find("a()").unwrap_or_default();
            let edits = [Edit {
                start,
                end: start + 3,
                text: String::new(),
                rule: "test",
                reason: String::new(),
            }];
            let py = Py::parse("a.py", source.as_bytes()).expect("it parses");
            assert!(!applies(&py, &edits), "{source}");
            let error = apply("a.py", source.as_bytes(), &edits, false).expect_err("it is refused");
            assert!(matches!(error, V2Error::WouldBreak { .. }), "{error}");
        }
    }
}
