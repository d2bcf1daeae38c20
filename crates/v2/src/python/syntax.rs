//! Parsing: text of any ASCII-compatible encoding becomes a syntax tree whose byte offsets are those of the file.

use std::borrow::Cow;
use std::cell::RefCell;

use tree_sitter::{InputEdit, Node, Parser, Point, Tree};

use super::blocks::empty_blocks;
use super::edit::Edit;

/// What ends a file's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Newline {
    /// `\n`
    Unix,
    /// `\r\n`
    Windows,
    /// A lone `\r` somewhere: such a file is not edited.
    Mac,
}

impl Newline {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        if !bytes.contains(&b'\r') {
            return Self::Unix;
        }
        let (mut unix, mut windows) = (0usize, 0usize);
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'\n' if at > 0 && bytes.get(at - 1) == Some(&b'\r') => windows += 1,
                b'\n' => unix += 1,
                b'\r' if bytes.get(at + 1) != Some(&b'\n') => return Self::Mac,
                _ => {}
            }
        }
        // New lines take the ending that most lines have.
        if windows > unix {
            Self::Windows
        } else {
            Self::Unix
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Windows => "\r\n",
            Self::Unix | Self::Mac => "\n",
        }
    }
}

/// What a file's bytes mean, as far as editing needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// UTF-8, or an encoding in which bytes below 0x80 are always ASCII.
    AsciiCompatible,
    /// An encoding in which such a byte may be half of a character: such a file is not edited.
    Other(String),
}

/// Encodings whose second bytes may look like ASCII, or that are not ASCII at all.
const TREACHEROUS: &[&str] = &[
    "shift_jis",
    "shift-jis",
    "sjis",
    "cp932",
    "ms932",
    "gbk",
    "cp936",
    "gb18030",
    "big5",
    "cp950",
    "johab",
    "iso-2022",
    "iso2022",
    "utf-7",
    "utf7",
    "utf-16",
    "utf16",
    "utf-32",
    "utf32",
    "hz",
    "rot13",
    "rot_13",
];

impl Encoding {
    /// Reads the declaration in the first two lines (PEP 263).
    pub(crate) fn of(bytes: &[u8]) -> Self {
        for line in bytes.split(|byte| *byte == b'\n').take(2) {
            let line = String::from_utf8_lossy(line).to_ascii_lowercase();
            let comment = line.trim_start_matches('\u{feff}').trim_start();
            if !comment.starts_with('#') {
                continue;
            }
            if let Some(at) = comment.find("coding") {
                let name: String = comment
                    .get(at + "coding".len()..)
                    .unwrap_or_default()
                    .trim_start_matches([':', '='])
                    .trim_start()
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
                    .collect();
                if TREACHEROUS.iter().any(|bad| name.starts_with(bad)) {
                    return Self::Other(name);
                }
            }
        }
        Self::AsciiCompatible
    }
}

/// A parsed Python file.
pub(crate) struct Py<'a> {
    /// Its path in the tree.
    pub(crate) path: &'a str,
    /// Its bytes.
    pub(crate) bytes: &'a [u8],
    /// The same length in valid UTF-8: what is not UTF-8 reads as `?`.
    text: Cow<'a, str>,
    tree: Tree,
}

impl<'a> Py<'a> {
    /// Parses; `None` only when the parser gives up, which it does for no input that fits into memory.
    pub(crate) fn parse(path: &'a str, bytes: &'a [u8]) -> Option<Self> {
        let text = readable(bytes);
        let tree = parse(text.as_bytes(), None)?;
        Some(Self {
            path,
            bytes,
            text,
            tree,
        })
    }

    pub(crate) fn root(&self) -> Node<'_> {
        self.tree.root_node()
    }

    /// The source of a node.
    pub(crate) fn text(&self, node: Node<'_>) -> &str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    /// All of the source.
    pub(crate) fn source(&self) -> &str {
        &self.text
    }

    pub(crate) fn line(&self, node: Node<'_>) -> usize {
        node.start_position().row + 1
    }

    /// The first line that does not parse.
    pub(crate) fn first_error(&self) -> Option<usize> {
        let root = self.root();
        if !root.has_error() {
            return None;
        }
        let mut first = None;
        visit(root, &mut |node| {
            if first.is_none() && (node.is_error() || node.is_missing()) {
                first = Some(node.start_position().row + 1);
            }
            first.is_none()
        });
        first
    }

    /// Whether the file parses, and `after` does: the text that these edits make of it, which are in order and do not overlap.
    ///
    /// Only what the edits touch is parsed again.
    pub(super) fn parses_after(&self, edits: &[&Edit], after: &[u8], newline: &str) -> bool {
        if self.root().has_error() {
            return false;
        }
        let mut tree = self.tree.clone();
        // From the end: what is before an edit is where it was.
        for edit in edits.iter().rev() {
            let added = if newline == "\n" {
                edit.text.len()
            } else {
                edit.text.len() + edit.text.matches('\n').count() * (newline.len() - 1)
            };
            let start = self.point(edit.start);
            let last = edit.text.rfind('\n');
            let new_end = match last {
                Some(last) => Point::new(
                    start.row + edit.text.matches('\n').count(),
                    edit.text.len() - last - 1,
                ),
                None => Point::new(start.row, start.column + edit.text.len()),
            };
            tree.edit(&InputEdit {
                start_byte: edit.start,
                old_end_byte: edit.end,
                new_end_byte: edit.start + added,
                start_position: start,
                old_end_position: self.point(edit.end),
                new_end_position: new_end,
            });
        }
        let text = readable(after);
        // An edit that made another encoding of the file is looked at as a whole.
        let old = (matches!(text, Cow::Borrowed(_)) == matches!(self.text, Cow::Borrowed(_)))
            .then_some(&tree);
        parse(text.as_bytes(), old).is_some_and(|tree| {
            let root = tree.root_node();
            // A block without a statement is none to Python, and one to the parser.
            !root.has_error() && empty_blocks(root) <= empty_blocks(self.root())
        })
    }

    fn point(&self, byte: usize) -> Point {
        let start = self.line_start(byte);
        let row = self
            .bytes
            .get(..start)
            .map_or(0, |head| head.iter().filter(|byte| **byte == b'\n').count());
        Point::new(row, byte - start)
    }

    /// The lines of a statement, to take it out. A block of which it is the only one is seen to once all edits are known.
    pub(crate) fn lines_of(&self, statement: Node<'_>) -> (usize, usize) {
        (
            self.line_start(statement.start_byte()),
            self.line_end(statement.end_byte().saturating_sub(1)),
        )
    }

    /// The byte after a node's last line, its newline included.
    pub(crate) fn line_end(&self, byte: usize) -> usize {
        self.bytes
            .iter()
            .skip(byte)
            .position(|byte| *byte == b'\n')
            .map_or(self.bytes.len(), |at| byte + at + 1)
    }

    /// The first byte of the line that holds this one.
    pub(crate) fn line_start(&self, byte: usize) -> usize {
        self.bytes
            .get(..byte)
            .and_then(|head| head.iter().rposition(|byte| *byte == b'\n'))
            .map_or(0, |at| at + 1)
    }

    /// Whether a node is all that its lines hold, comments and blanks aside.
    pub(crate) fn alone_on_lines(&self, node: Node<'_>) -> bool {
        let head = self
            .text
            .get(self.line_start(node.start_byte())..node.start_byte());
        let tail = self
            .text
            .get(node.end_byte()..self.line_end(node.end_byte()));
        head.is_some_and(|head| head.trim_start_matches('\u{feff}').trim().is_empty())
            && tail.is_some_and(|tail| {
                let tail = tail.trim();
                tail.is_empty() || tail.starts_with('#')
            })
    }
}

pub(crate) fn line_at(bytes: &[u8], byte: usize) -> usize {
    bytes
        .iter()
        .take(byte)
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// The same number of bytes, in valid UTF-8.
pub(super) fn readable(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    // Not UTF-8 at one place: an 8-bit encoding throughout, so no byte above 0x7f is taken for UTF-8.
    Cow::Owned(ascii(bytes))
}

fn ascii(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| {
            if byte.is_ascii() {
                char::from(*byte)
            } else {
                '?'
            }
        })
        .collect()
}

thread_local! {
    /// One per thread: it keeps its memory from file to file.
    static PARSER: RefCell<Option<Parser>> = RefCell::new(parser());
}

fn parser() -> Option<Parser> {
    let mut parser = Parser::new();
    parser
        .set_language(&tree_sitter_python::LANGUAGE.into())
        .ok()?;
    Some(parser)
}

/// Parses. What `old` knows of the parts of the text that did not change is taken over from it.
pub(super) fn parse(text: &[u8], old: Option<&Tree>) -> Option<Tree> {
    PARSER.with_borrow_mut(|parser| parser.as_mut()?.parse(text, old))
}

/// Visits nodes from the outside in, in the order of the text; `false` leaves out what is below.
pub(crate) fn visit<'t>(root: Node<'t>, see: &mut dyn FnMut(Node<'t>) -> bool) {
    let mut cursor = root.walk();
    loop {
        let down = see(cursor.node()) && cursor.goto_first_child();
        if down {
            continue;
        }
        loop {
            if cursor.node() == root {
                return;
            }
            if cursor.goto_next_sibling() {
                break;
            }
            if !cursor.goto_parent() {
                return;
            }
        }
    }
}
