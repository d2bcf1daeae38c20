//! The lines of a file of requirements, as pip puts them together: a line with its continuations is changed as one.

use super::{Note, RULE, Target};
use crate::facts::{Logical, Requirement, logical_lines, requirement};
use crate::findings::Severity;
use crate::tree::Tree;

/// One logical line.
struct Line {
    /// The lines of the file that it is made of.
    raw: Vec<String>,
    known: Logical,
}

impl Line {
    fn new(text: String) -> Self {
        Self {
            known: Logical {
                first: 0,
                lines: 1,
                code: text.clone(),
                comment: String::new(),
                hashed: false,
            },
            raw: vec![text],
        }
    }

    /// Another requirement in its place; what was said about it stays beside it.
    fn replace(&mut self, text: &str) {
        let comment = match self.known.comment.as_str() {
            "" => String::new(),
            comment => format!("  {comment}"),
        };
        self.raw = vec![format!("{text}{comment}")];
        text.clone_into(&mut self.known.code);
        self.known.hashed = false;
    }

    /// Whether pip would ask for a hash of it.
    fn is_requirement(&self) -> bool {
        let code = &self.known.code;
        !code.is_empty() && (!code.starts_with('-') || code.starts_with("-e"))
    }
}

/// The lines of one file.
pub(super) struct Lines {
    pub(super) path: String,
    pub(super) before: String,
    lines: Vec<Line>,
}

impl Lines {
    pub(super) fn of(tree: &Tree, path: &str) -> Self {
        let before = tree.text(path).unwrap_or_default();
        let raw: Vec<&str> = before.lines().collect();
        let lines = logical_lines(&before)
            .into_iter()
            .map(|known| Line {
                raw: raw
                    .iter()
                    .skip(known.first.saturating_sub(1))
                    .take(known.lines)
                    .map(|line| (*line).to_owned())
                    .collect(),
                known,
            })
            .collect();
        Self {
            path: path.to_owned(),
            before,
            lines,
        }
    }

    /// The requirements as they are by now.
    pub(super) fn requirements(&self) -> impl Iterator<Item = Requirement> {
        self.lines
            .iter()
            .filter(|line| !line.known.code.is_empty())
            .map(|line| requirement(&line.known.code, &self.path, line.known.first))
    }

    pub(super) fn add(&mut self, lines: impl IntoIterator<Item = String>) {
        // A continuation at the end of the file would go on in what is added.
        if let Some(line) = self.lines.last_mut()
            && !line.known.code.is_empty()
            && let Some(raw) = line.raw.last_mut()
        {
            raw.truncate(raw.trim_end_matches('\\').trim_end().len());
        }
        self.lines.extend(lines.into_iter().map(Line::new));
    }

    /// Makes of each requirement what it is to become.
    pub(super) fn change(
        &mut self,
        notes: &mut Vec<Note>,
        change: impl Fn(&Requirement) -> Option<(Target, (Severity, String))>,
    ) {
        let path = self.path.clone();
        self.lines.retain_mut(|line| {
            if line.known.code.is_empty() {
                return true;
            }
            let one = requirement(&line.known.code, &path, line.known.first);
            let Some((target, (severity, what))) = change(&one) else {
                return true;
            };
            let finding = RULE.finding(severity, Some(&path), Some(one.line), what);
            match target {
                Target::Is(text) if text == line.known.code => true,
                Target::Is(text) => {
                    notes.push(Note {
                        finding: finding.convert(if text.is_empty() {
                            "takes it out".to_owned()
                        } else {
                            format!("writes {text}")
                        }),
                    });
                    let stays = !text.is_empty();
                    if stays {
                        line.replace(&text);
                    }
                    stays
                }
                Target::Person(advice) => {
                    notes.push(Note {
                        finding: finding.person(advice),
                    });
                    true
                }
            }
        });
    }

    /// Whether some lines have hashes, and whether some have none.
    pub(super) fn hashes(&self) -> (bool, bool) {
        let any = |hashed: bool| {
            self.lines
                .iter()
                .any(|line| line.is_requirement() && line.known.hashed == hashed)
        };
        (any(true) || self.wants_hashes().is_some(), any(false))
    }

    fn wants_hashes(&self) -> Option<usize> {
        self.lines
            .iter()
            .find(|line| line.known.code == "--require-hashes")
            .map(|line| line.known.first)
    }

    /// Takes out all hashes, and says so.
    pub(super) fn drop_hashes(&mut self, notes: &mut Vec<Note>) {
        let hashed = self.lines.iter().filter(|line| line.known.hashed);
        let first = hashed
            .clone()
            .map(|line| line.known.first)
            .chain(self.wants_hashes())
            .min();
        let count = hashed.count();
        let Some(first) = first else {
            return;
        };
        self.lines
            .retain(|line| line.known.code != "--require-hashes");
        for line in self.lines.iter_mut().filter(|line| line.known.hashed) {
            let code = line.known.code.clone();
            line.replace(&code);
        }
        notes.push(Note {
            finding: RULE
                .finding(
                    Severity::Blocker,
                    Some(&self.path),
                    Some(first),
                    "pip refuses requirements with hashes beside others without, and those that change or are added have none",
                )
                .convert(format!(
                    "takes the hashes of {count} out; make them again for the list as it is now, as with pip-compile --generate-hashes"
                )),
        });
    }

    pub(super) fn text(&self) -> String {
        let before = &self.before;
        let newline = if before.contains("\r\n") {
            "\r\n"
        } else {
            "\n"
        };
        let raw: Vec<&str> = self
            .lines
            .iter()
            .flat_map(|line| line.raw.iter().map(String::as_str))
            .collect();
        let mut text = raw.join(newline);
        if !text.is_empty()
            && (before.is_empty() || before.ends_with('\n') || raw.len() != before.lines().count())
        {
            text.push_str(newline);
        }
        text
    }
}
