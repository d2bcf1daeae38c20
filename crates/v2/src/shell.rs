//! Shell scripts, as far as hooks and jobs need: which variables they read, and which statements they are made of.

mod statement;

use std::collections::BTreeSet;

use crate::python::Access;

pub(crate) use statement::is_function;
use statement::kind;

/// A statement at the top of a script: a line with its continuations, or a whole block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    /// Its text, the final newline included.
    pub(crate) text: String,
    /// Its first line in the script.
    pub(crate) line: usize,
    /// What it is.
    pub(crate) kind: UnitKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnitKind {
    /// Blank lines and comments.
    Silent,
    /// `echo` and `printf` to nowhere but the log.
    Message,
    /// Assignments, functions, other scripts that are read, and what changes the shell only: what the rest stands on.
    Setup,
    /// Anything else.
    Command,
}

/// Cuts a script into statements. `None` when it is not understood well enough to be cut.
pub(crate) fn units(text: &str) -> Option<Vec<Unit>> {
    let mut units = Vec::new();
    let mut open = String::new();
    let mut first = 1;
    let mut state = State::default();
    for (at, line) in text.split_inclusive('\n').enumerate() {
        if open.is_empty() {
            first = at + 1;
        }
        open.push_str(line);
        state.line(line);
        if state.depth < 0 {
            return None;
        }
        if state.is_closed() {
            let text = std::mem::take(&mut open);
            let kind = kind(&text);
            units.push(Unit {
                text,
                line: first,
                kind,
            });
        }
    }
    open.is_empty().then_some(units)
}

/// Whether a line is code that calls Django's commands: neither a comment nor a message about one.
pub(crate) fn manages(line: &str) -> bool {
    let line = line.trim_start();
    !line.starts_with('#')
        && !line.starts_with("echo")
        && !line.starts_with("printf")
        && ["manage.py", "django-admin", "manage "]
            .iter()
            .any(|program| line.contains(program))
}

/// A script's lines, each with those that continue it.
pub(crate) fn whole_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.split_inclusive('\n') {
        match lines.last_mut() {
            Some(last) if open => last.push_str(line),
            _ => lines.push(line.to_owned()),
        }
        open = line.trim_end_matches(['\r', '\n']).ends_with('\\')
            && !line.trim_start().starts_with('#');
    }
    lines
}

/// Whether a script does anything at all.
pub(crate) fn does_something(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim();
        !(line.is_empty()
            || line.starts_with('#')
            || line == ":"
            || line == "true"
            || line.starts_with("set -")
            || line == "exit"
            || line == "exit 0")
    })
}

#[derive(Debug, Default)]
struct State {
    depth: i32,
    quote: Option<char>,
    heredocs: Vec<String>,
    continued: bool,
}

impl State {
    fn is_closed(&self) -> bool {
        self.depth == 0 && self.quote.is_none() && self.heredocs.is_empty() && !self.continued
    }

    fn line(&mut self, line: &str) {
        let line = line.trim_end_matches(['\n', '\r']);
        if let Some(end) = self.heredocs.first() {
            if line.trim_start_matches('\t') == end {
                self.heredocs.remove(0);
            }
            return;
        }
        self.continued = false;
        let mut word = String::new();
        // Whether the next word is the name of a command.
        let mut command = self.quote.is_none();
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            if let Some(open) = self.quote {
                if c == '\\' && open == '"' {
                    chars.next();
                } else if c == open {
                    self.quote = None;
                }
                continue;
            }
            match c {
                '\\' => {
                    if chars.peek().is_none() {
                        self.continued = true;
                    }
                    chars.next();
                    word.push('x');
                }
                '\'' | '"' => {
                    self.quote = Some(c);
                    word.push('x');
                }
                '#' if word.is_empty() => break,
                '<' if chars.peek() == Some(&'<') => {
                    chars.next();
                    if chars.peek() == Some(&'<') {
                        chars.next();
                        continue;
                    }
                    if chars.peek() == Some(&'-') {
                        chars.next();
                    }
                    while chars.peek().is_some_and(|c| c.is_whitespace()) {
                        chars.next();
                    }
                    let mut end = String::new();
                    while let Some(c) =
                        chars.next_if(|c| !c.is_whitespace() && !";|&)".contains(*c))
                    {
                        if !"'\"\\".contains(c) {
                            end.push(c);
                        }
                    }
                    if !end.is_empty() {
                        self.heredocs.push(end);
                    }
                }
                c if c.is_whitespace() => command = self.word(&mut word, command),
                ';' | '|' | '&' => {
                    self.word(&mut word, command);
                    command = true;
                }
                '(' => {
                    // `name()` and `$(…)` and `(…)`; each closes by itself.
                    self.word(&mut word, command);
                    self.depth += 1;
                    command = true;
                }
                ')' => {
                    self.word(&mut word, command);
                    // A pattern of `case` closes what it did not open.
                    if self.depth > 0
                        && !line.trim_start().starts_with(['*', '"'])
                        && line.matches('(').count() >= line.matches(')').count()
                    {
                        self.depth -= 1;
                    }
                    command = true;
                }
                c => word.push(c),
            }
        }
        self.word(&mut word, command);
        // A line that ends in an operator goes on.
        let tail = line.trim_end();
        if tail.ends_with("&&") || tail.ends_with("||") || (tail.ends_with('|')) {
            self.continued = true;
        }
    }

    /// Ends a word and tells whether the next is a command again.
    fn word(&mut self, word: &mut String, command: bool) -> bool {
        let word = std::mem::take(word);
        if word.is_empty() {
            return command;
        }
        if !command {
            return false;
        }
        match word.as_str() {
            "if" | "while" | "until" => {
                self.depth += 1;
                true
            }
            "for" | "case" | "select" => {
                self.depth += 1;
                false
            }
            "{" => {
                self.depth += 1;
                true
            }
            "fi" | "done" | "esac" | "}" => {
                self.depth -= 1;
                false
            }
            "then" | "else" | "elif" | "do" | "!" | "time" => true,
            // `A=b command`
            word => word.contains('=') && !word.starts_with('='),
        }
    }
}

/// What the shell and the scripts' own callers set.
const SHELLS_OWN: &[&str] = &[
    "HOME",
    "PATH",
    "PWD",
    "OLDPWD",
    "USER",
    "LOGNAME",
    "SHELL",
    "UID",
    "EUID",
    "HOSTNAME",
    "IFS",
    "LANG",
    "LC_ALL",
    "RANDOM",
    "SECONDS",
    "LINENO",
    "PIPESTATUS",
    "BASH_SOURCE",
    "BASH",
    "FUNCNAME",
    "OPTARG",
    "OPTIND",
    "REPLY",
    "PS1",
    "TERM",
    "_",
    "PPID",
    "BASH_VERSION",
    "OSTYPE",
    "SHLVL",
    "EDITOR",
];

/// The variables that a script reads and does not set itself, with the line of each.
pub(crate) fn reads(text: &str) -> Vec<(String, Access, usize)> {
    let set = assigned(text);
    let mut found: Vec<(String, Access, usize)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let mut in_single = false;
        let mut in_double = false;
        let chars: Vec<char> = line.chars().collect();
        let mut i = 0;
        while let Some(c) = chars.get(i).copied() {
            i += 1;
            match c {
                '\\' if !in_single => i += 1,
                '\'' if !in_double => in_single = !in_single,
                '"' if !in_single => in_double = !in_double,
                '#' if !in_single
                    && !in_double
                    && (i == 1 || chars.get(i - 2).is_some_and(|c| c.is_whitespace())) =>
                {
                    break;
                }
                '$' if !in_single => {
                    let braced = chars.get(i) == Some(&'{');
                    if braced {
                        i += 1;
                    }
                    if braced && matches!(chars.get(i), Some('#' | '!')) {
                        i += 1;
                    }
                    let start = i;
                    while chars
                        .get(i)
                        .is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_')
                    {
                        i += 1;
                    }
                    let name: String = chars.get(start..i).unwrap_or_default().iter().collect();
                    if !crate::python::is_env_name(&name)
                        || set.contains(&name)
                        || SHELLS_OWN.contains(&name.as_str())
                    {
                        continue;
                    }
                    let rest: String = chars
                        .get(i..(i + 2).min(chars.len()))
                        .unwrap_or_default()
                        .iter()
                        .collect();
                    let access = match rest.trim_start_matches(':').chars().next() {
                        Some('-' | '=') if braced => Access::Default,
                        Some('?') if braced => Access::Required,
                        Some('+') if braced => Access::Asked,
                        _ => Access::Empty,
                    };
                    found.push((name, access, at + 1));
                }
                _ => {}
            }
        }
    }
    found
}

/// Names that a script gives values to.
fn assigned(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in text.lines() {
        let mut words = line.split(|c: char| c.is_whitespace() || ";&|(".contains(c));
        while let Some(word) = words.next() {
            if let Some((name, _)) = word.split_once('=')
                && crate::python::is_env_name(name.trim_end_matches('+'))
            {
                // `X=${X:-y}` and `X=$X:/more` read what they set.
                let own = [format!("${name}"), format!("${{{name}")];
                if !own.iter().any(|read| line.contains(read.as_str())) {
                    names.insert(name.trim_end_matches('+').to_owned());
                }
            }
            if matches!(word, "for" | "read" | "select" | "local")
                && let Some(name) = words.next()
            {
                names.insert(name.to_owned());
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Option<Vec<(usize, UnitKind)>> {
        Some(
            units(text)?
                .into_iter()
                .map(|unit| (unit.line, unit.kind))
                .collect(),
        )
    }

    #[test]
    fn a_script_is_cut_between_statements() {
        use UnitKind::{Command, Message, Setup, Silent};
        let text = "# why\n\nexport A=1\nB=2\nC=3 run it\necho done\nif [ -f x ]; then\n    for i in a b; do\n        run $i\n    done\nfi\nlong \\\n  line\ncat <<END\nif\nEND\nf() {\n  run\n}\ncase $x in\n  a) run ;;\n  *) other ;;\nesac\nx=\"two\nlines\"\n(cd y && run)\n";
        assert_eq!(
            kinds(text),
            Some(vec![
                (1, Silent),
                (2, Silent),
                (3, Setup),
                (4, Setup),
                (5, Command),
                (6, Message),
                (7, Command),
                (12, Command),
                (14, Command),
                (17, Setup),
                (20, Command),
                (24, Setup),
                (26, Command),
            ])
        );
    }

    #[test]
    fn a_script_that_does_not_close_is_not_cut() {
        assert_eq!(kinds("if true; then\n run\n"), None);
        assert_eq!(kinds("fi\n"), None);
    }

    #[test]
    fn all_of_a_script_is_in_its_units() {
        let text = "a\nif x; then\n b\nfi\n\nc";
        let joined: String = units(text)
            .expect("it is cut")
            .into_iter()
            .map(|unit| unit.text)
            .collect();
        assert_eq!(joined, text);
    }

    #[test]
    fn variables_that_a_script_reads_are_found() {
        let text = "A=1\necho $A ${B} \"$C\" '$NO' \\$NO ${D:-x} ${E?} # $NO\nF=${F:-y}\nfor G in 1; do echo $G; done\nPATH=$PATH:x $1 $@ $HOME\n";
        let found: Vec<String> = reads(text)
            .into_iter()
            .map(|(name, access, line)| format!("{name} {access:?} {line}"))
            .collect();
        assert_eq!(
            found,
            [
                "B Empty 2",
                "C Empty 2",
                "D Default 2",
                "E Required 2",
                "F Default 3"
            ]
        );
    }

    #[test]
    fn comments_do_nothing() {
        assert!(!does_something("#!/bin/bash\n# x\n\nexit 0\n"));
        assert!(does_something("#!/bin/bash\nrun\n"));
    }
}
