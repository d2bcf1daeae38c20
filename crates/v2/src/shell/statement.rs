//! What one statement of a script is: a message, something that the rest stands on, or something that is done.

use super::UnitKind;

/// Commands that change nothing but the shell that runs them.
const SETUP: &[&str] = &[
    "export", "set", "shopt", "umask", "ulimit", "unset", "declare", "typeset", "readonly", "cd",
    "pushd", "popd", "source", ".", "alias", "unalias", "trap", "hash",
];

/// Commands that only ask, so that what they stand before decides.
const ASKS: &[&str] = &[
    "[", "[[", "test", "true", "false", ":", "command", "type", "which",
];

/// What a unit is.
pub(super) fn kind(text: &str) -> UnitKind {
    if is_function(text) {
        return UnitKind::Setup;
    }
    let Some(segments) = segments(text) else {
        return UnitKind::Command;
    };
    if segments.is_empty() {
        return UnitKind::Silent;
    }
    let (mut sets, mut says) = (false, false);
    // Within the braces of `|| { …; exit 1; }`.
    let mut giving_up = false;
    for segment in &segments {
        let mut words = segment.words.as_slice();
        let mut ends = false;
        while let Some((first, rest)) = words.split_first() {
            match first.as_str() {
                "{" => giving_up |= segment.after_or,
                "}" => ends = true,
                "if" | "elif" | "while" | "until" | "then" | "else" | "do" | "!" | "fi"
                | "done" | "esac" => {}
                _ => break,
            }
            words = rest;
        }
        match of_words(words, segment) {
            Some(UnitKind::Setup) => sets = true,
            Some(UnitKind::Message) => says = true,
            Some(UnitKind::Silent) => {}
            None if words
                .first()
                .is_some_and(|word| matches!(word.as_str(), "exit" | "return"))
                && (segment.after_or || giving_up) => {}
            Some(UnitKind::Command) | None => return UnitKind::Command,
        }
        if ends {
            giving_up = false;
        }
    }
    match (sets, says) {
        (true, _) => UnitKind::Setup,
        (false, true) => UnitKind::Message,
        _ => UnitKind::Command,
    }
}

/// Whether a unit gives a name to a function, and is nothing else.
pub(crate) fn is_function(text: &str) -> bool {
    let mut code = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (Some(first), Some(last)) = (code.clone().next(), code.next_back()) else {
        return false;
    };
    let named = match first.strip_prefix("function ") {
        Some(rest) => rest.trim_start(),
        None => {
            let Some((name, rest)) = first.split_once('(') else {
                return false;
            };
            if !rest.trim_start().starts_with(')') {
                return false;
            }
            name
        }
    };
    let name = named.trim_end().trim_end_matches(['{', ' ', '(', ')']);
    !name.is_empty()
        && name.split_whitespace().next().is_some_and(|name| {
            name.chars()
                .all(|c| c.is_alphanumeric() || "_-.:".contains(c))
        })
        && (last.ends_with('}') || last.ends_with(')'))
}

/// What a simple command is; `Silent` for one that only asks, `None` for one that is not known.
fn of_words(words: &[String], segment: &Segment) -> Option<UnitKind> {
    let Some(first) = words.first() else {
        return Some(UnitKind::Silent);
    };
    let first = first.as_str();
    if matches!(first, "for" | "case" | "select") || ASKS.contains(&first) {
        return Some(UnitKind::Silent);
    }
    if segment.writes {
        return None;
    }
    if matches!(first, "echo" | "printf") {
        // What is worked out for a message is a command of its own.
        return (!words.iter().any(|word| runs(word))).then_some(UnitKind::Message);
    }
    if SETUP.contains(&first) {
        return Some(UnitKind::Setup);
    }
    let assigns = words.iter().all(|word| {
        word.split_once('=').is_some_and(|(name, value)| {
            crate::python::is_env_name(name.trim_end_matches('+')) && !manages(value)
        })
    });
    assigns.then_some(UnitKind::Setup)
}

/// Whether a word holds the output of a command.
fn runs(word: &str) -> bool {
    word.contains("$(") || word.contains('`')
}

/// Whether the command in a word is one that has a place of its own.
fn manages(word: &str) -> bool {
    runs(word)
        && ["collectstatic", "migrate", "syncdb"]
            .iter()
            .any(|command| word.contains(command))
}

/// A simple command.
#[derive(Debug, Default)]
struct Segment {
    words: Vec<String>,
    /// Whether it runs when the one before fails.
    after_or: bool,
    /// Whether its output goes to a file.
    writes: bool,
    /// Whether `|` stands before it.
    piped: bool,
}

/// The simple commands of a statement; `None` if there is more in it than that.
fn segments(text: &str) -> Option<Vec<Segment>> {
    let mut cut = Cut::default();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                // The line goes on.
                Some('\n') | None => cut.end_word(),
                Some(next) => {
                    cut.word.push(c);
                    cut.word.push(next);
                }
            },
            '\'' => {
                cut.word.push(c);
                for c in chars.by_ref() {
                    cut.word.push(c);
                    if c == '\'' {
                        break;
                    }
                }
            }
            '"' | '`' => {
                cut.word.push(c);
                quoted(&mut chars, &mut cut.word, c)?;
            }
            '$' if matches!(chars.peek(), Some('(' | '{')) => {
                let open = chars.next()?;
                cut.word.extend([c, open]);
                quoted(
                    &mut chars,
                    &mut cut.word,
                    if open == '(' { ')' } else { '}' },
                )?;
            }
            '#' if cut.word.is_empty() => while chars.next_if(|c| *c != '\n').is_some() {},
            '(' if cut.word.ends_with('=') => {
                cut.word.push(c);
                quoted(&mut chars, &mut cut.word, ')')?;
            }
            // A subshell, or arithmetic.
            '(' => return None,
            ')' => cut.end_pattern(),
            '\n' | ';' => cut.end(false, false),
            '&' if chars.peek() == Some(&'&') => {
                chars.next();
                cut.end(false, false);
            }
            '&' if chars.peek() != Some(&'>') => return None,
            '&' => {}
            '|' if chars.peek() == Some(&'|') => {
                chars.next();
                cut.end(true, false);
            }
            '|' => cut.end(false, true),
            '<' if matches!(chars.peek(), Some('<' | '(')) => return None,
            '<' | '>' => {
                if cut.word.chars().all(|c| c.is_ascii_digit()) {
                    cut.word.clear();
                }
                cut.end_word();
                chars.next_if_eq(&'>');
                let mut target = String::new();
                while chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !";|)".contains(*c)) {
                    target.push(c);
                }
                let nowhere = target.starts_with('&') || target == "/dev/null";
                cut.open.writes |= c == '>' && !nowhere;
            }
            c if c.is_whitespace() => cut.end_word(),
            c => cut.word.push(c),
        }
    }
    cut.end(false, false);
    (!cut.done.iter().any(|segment| segment.piped)).then_some(cut.done)
}

#[derive(Default)]
struct Cut {
    done: Vec<Segment>,
    open: Segment,
    word: String,
}

impl Cut {
    fn end_word(&mut self) {
        if !self.word.is_empty() {
            self.open.words.push(std::mem::take(&mut self.word));
        }
    }

    fn end(&mut self, after_or: bool, piped: bool) {
        self.end_word();
        let next = Segment {
            after_or,
            piped,
            ..Segment::default()
        };
        let ended = std::mem::replace(&mut self.open, next);
        if !ended.words.is_empty() {
            self.done.push(ended);
        }
    }

    /// What stood before was a pattern of `case`, and no command.
    fn end_pattern(&mut self) {
        self.word.clear();
        while self.open.piped {
            self.open = self.done.pop().unwrap_or_default();
        }
        let is_head = self.open.words.first().is_some_and(|word| word == "case");
        if !is_head {
            self.open.words.clear();
        }
        self.end(false, false);
    }
}

/// Reads to the end of what a quote or a bracket opened.
fn quoted(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    word: &mut String,
    end: char,
) -> Option<()> {
    let mut open = vec![end];
    while let Some(c) = chars.next() {
        word.push(c);
        let within = *open.last()?;
        match c {
            '\\' => word.extend(chars.next()),
            c if c == within => {
                open.pop();
                if open.is_empty() {
                    return Some(());
                }
            }
            '$' if matches!(chars.peek(), Some('(' | '{')) => {
                let bracket = chars.next()?;
                word.push(bracket);
                open.push(if bracket == '(' { ')' } else { '}' });
            }
            '(' if within == ')' => open.push(')'),
            '"' | '`' => open.push(c),
            '\'' if within != '"' => open.push(c),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_apart() {
        use UnitKind::{Command, Message, Setup, Silent};
        for (text, expected) in [
            ("\n", Silent),
            ("# python manage.py migrate\n", Silent),
            ("echo \"Collecting (all) files; now\"\n", Message),
            ("echo failed >&2\n", Message),
            ("echo x > $OPENSHIFT_DATA_DIR/marker\n", Command),
            ("echo $(python manage.py migrate)\n", Command),
            ("A=1 B=\"two words\" # why\n", Setup),
            ("A=1 run\n", Command),
            ("DIR=$(dirname \"$0\")\n", Setup),
            (
                "DIR=\"$(cd \"$(dirname \"${BASH_SOURCE[0]}\")\" && pwd)\"\n",
                Setup,
            ),
            ("DIR=`dirname $0`\n", Setup),
            ("FILES=(a \"b c\")\n", Setup),
            ("OUT=$(python manage.py migrate)\n", Command),
            ("PATH+=:/opt/x\n", Setup),
            ("export A=$(date)\n", Setup),
            ("set -e; python manage.py migrate\n", Command),
            (". common.sh\n", Setup),
            ("source \"$DIR/common.sh\" || exit 1\n", Setup),
            ("cd wsgi || { echo \"no wsgi\" >&2; exit 1; }\n", Setup),
            ("cd wsgi && python manage.py migrate\n", Command),
            ("pushd wsgi > /dev/null\n", Setup),
            ("popd\n", Setup),
            ("alias python=python3\n", Setup),
            ("trap 'rm -f \"$tmp\"' EXIT\n", Setup),
            ("manage() {\n    python manage.py \"$@\"\n}\n", Setup),
            ("function manage {\n    python manage.py \"$@\"\n}\n", Setup),
            ("manage() { python manage.py \"$@\"; }\n", Setup),
            (
                "manage() { python manage.py \"$@\"; }; manage migrate\n",
                Command,
            ),
            ("if [ -n \"$X\" ]; then export A=1; fi\n", Setup),
            (
                "if [ -f x ] && [[ $A == b* ]]; then\n    . x\nelse\n    echo none\n    A=2\nfi\n",
                Setup,
            ),
            ("if [ -f x ]; then\n    echo there\nfi\n", Message),
            ("if [ -f x ]; then\n    A=1\n    run\nfi\n", Command),
            ("if ps | grep x; then A=1; fi\n", Command),
            ("[ -f x ] && . x\n", Setup),
            ("[ -f x ] || exit 1\n", Command),
            ("exit 0\n", Command),
            (
                "case $NAME in\n    a|b) A=1 ;;\n    *)\n        export A=2\n        ;;\nesac\n",
                Setup,
            ),
            ("case $NAME in a) A=1;; esac\n", Setup),
            ("case $NAME in a) run;; esac\n", Command),
            ("for f in a b; do . $f; done\n", Setup),
            ("while read x; do A=$x; done < file\n", Command),
            ("(cd y && A=1)\n", Command),
            ("cat <<END\nA=1\nEND\n", Command),
            ("run &\n", Command),
            ("A=1 \\\n    B=2\n", Setup),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }
}
