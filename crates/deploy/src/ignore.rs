//! What of a source is not uploaded: Git's folder, and what `.s2iignore` names.
//!
//! The file's lines are patterns of whole paths from the root, as S2I reads them: `*` and `?` do not match a `/`, `[a-z]`
//! is one of these characters, a leading `!` takes back what was named before, `#` begins a comment.

use std::path::Path;

/// Says of each path of a source whether it is left out.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    git: bool,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    pattern: Vec<char>,
    keeps: bool,
}

impl Ignore {
    /// Leaves out nothing.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Leaves out `.git` everywhere, and what a `.s2iignore` of this text names.
    pub fn of_source(s2iignore: &str) -> Self {
        let rules = s2iignore
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| {
                let (keeps, line) = match line.strip_prefix('!') {
                    Some(rest) => (true, rest),
                    None => (false, line),
                };
                let line = line.trim_start_matches("./").trim_start_matches('/');
                Rule {
                    pattern: line.trim_end_matches('/').chars().collect(),
                    keeps,
                }
            })
            .collect();
        Self { git: true, rules }
    }

    /// Whether a path, relative to the root, is left out; what is within a folder that is left out is not asked about.
    pub fn leaves_out(&self, path: &Path) -> bool {
        if self.git && path.file_name().is_some_and(|name| name == ".git") {
            return true;
        }
        if self.rules.is_empty() {
            return false;
        }
        let text: Vec<char> = path.to_string_lossy().chars().collect();
        self.rules
            .iter()
            .rev()
            .find(|rule| matches(&rule.pattern, &text))
            .is_some_and(|rule| !rule.keeps)
    }
}

/// Whether a pattern matches a whole path.
fn matches(pattern: &[char], path: &[char]) -> bool {
    // Where the last `*` stands, and how much of the path it has taken.
    let (mut at, mut pos) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        if at < pattern.len() && pattern[at] == '*' {
            star = Some((at + 1, pos));
            at += 1;
            continue;
        }
        let step = match path.get(pos) {
            Some(&next) => one(&pattern[at..], next),
            None if at == pattern.len() => return true,
            None => None,
        };
        if let Some(used) = step {
            at += used;
            pos += 1;
            continue;
        }
        // The last `*` takes one more, if it may.
        match star {
            Some((after, taken)) if path.get(taken).is_some_and(|&next| next != '/') => {
                star = Some((after, taken + 1));
                at = after;
                pos = taken + 1;
            }
            _ => return false,
        }
    }
}

/// How much of the pattern matches one character, if it does.
fn one(pattern: &[char], next: char) -> Option<usize> {
    match pattern.first()? {
        '?' => (next != '/').then_some(1),
        '\\' => (pattern.get(1) == Some(&next)).then_some(2),
        '[' => class(pattern, next),
        first => (*first == next).then_some(1),
    }
}

/// `[a-z]` or `[^a-z]`.
fn class(pattern: &[char], next: char) -> Option<usize> {
    let negated = pattern.get(1) == Some(&'^');
    let mut at = 1 + usize::from(negated);
    let (mut found, mut first) = (false, true);
    loop {
        let mut low = *pattern.get(at)?;
        if low == ']' && !first {
            at += 1;
            break;
        }
        first = false;
        if low == '\\' {
            at += 1;
            low = *pattern.get(at)?;
        }
        at += 1;
        let mut high = low;
        if pattern.get(at) == Some(&'-') && pattern.get(at + 1).is_some_and(|&c| c != ']') {
            high = pattern[at + 1];
            at += 2;
        }
        found |= (low..=high).contains(&next);
    }
    (found != negated && next != '/').then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(pattern: &str, path: &str) -> bool {
        let of = |text: &str| text.chars().collect::<Vec<_>>();
        matches(&of(pattern), &of(path))
    }

    #[test]
    fn patterns_are_those_of_s2i() {
        for (pattern, path, expected) in [
            ("*.md", "README.md", true),
            ("*.md", "docs/README.md", false),
            ("docs/*", "docs/a", true),
            ("docs/*", "docs/a/b", false),
            ("*/*.pyc", "wsgi/a.pyc", true),
            ("data?", "data1", true),
            ("data?", "data", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("[", "[", false),
            ("", "", true),
            ("*", "a b", true),
        ] {
            assert_eq!(matched(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn the_last_rule_decides() {
        let ignore = Ignore::of_source("# build\n*.md\n!README.md\n/docs/\n\n");
        let out = |path: &str| ignore.leaves_out(Path::new(path));
        assert!(out("NOTES.md") && out("docs") && out(".git") && out("sub/.git"));
        assert!(!out("README.md") && !out("app.py") && !out(".gitignore"));
        assert!(!Ignore::nothing().leaves_out(Path::new(".git")));
    }

    proptest::proptest! {
        /// Lines come from whoever wrote the tree.
        #[test]
        fn any_pattern_comes_to_an_end(pattern in "[a\\[\\]^*?/\\\\-]{0,12}", path in "[a/\\]-]{0,12}") {
            let _ = matched(&pattern, &path);
        }
    }
}
