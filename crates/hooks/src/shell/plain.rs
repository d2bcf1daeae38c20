//! Recognises the files that do nothing but set variables, as most do: bash still evaluates them, but nothing has to be
//! watched or tidied up after them.

/// Variables that change how bash goes on, or that it reads in a way of their own (as numbers, say). So do those that begin
/// with `BASH`; what begins with an underscore may be ours.
const SPECIAL: [&str; 25] = [
    "DIRSTACK",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "EUID",
    "EXECIGNORE",
    "FUNCNAME",
    "GLOBIGNORE",
    "GROUPS",
    "HISTCMD",
    "IFS",
    "LINENO",
    "OLDPWD",
    "OPTERR",
    "OPTIND",
    "POSIXLY_CORRECT",
    "PPID",
    "PS4",
    "PWD",
    "RANDOM",
    "S2I_SHELL_PWD",
    "SECONDS",
    "SHELLOPTS",
    "SHLVL",
    "SRANDOM",
    "UID",
];

/// The names of the variables that a file sets, when that is all it does: comments, and assignments (also exported ones) of
/// literal text and of other variables, each on a line of its own. None where there is anything else, or what looks like
/// it; nothing is evaluated to find out.
pub(super) fn names(content: &[u8]) -> Option<Vec<&[u8]>> {
    let mut names = Vec::new();
    for line in content.split(|byte| *byte == b'\n') {
        let line = after_blanks(line);
        if line.is_empty() || line[0] == b'#' {
            continue;
        }
        let line = match line.strip_prefix(b"export") {
            Some(rest) if rest.first().is_some_and(|byte| is_blank(*byte)) => after_blanks(rest),
            _ => line,
        };
        let (name, rest) = name(line)?;
        let rest = value(rest.strip_prefix(b"=")?)?;
        let after = after_blanks(rest);
        let ends = after.is_empty() || (after[0] == b'#' && after.len() < rest.len());
        if !ends {
            return None;
        }
        names.push(name);
    }
    Some(names)
}

fn after_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
    &text[blanks..]
}

/// Splits off the name of a variable that is like any other.
fn name(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let end = text
        .iter()
        .position(|byte| !is_part(byte))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let starts = name.first().is_some_and(u8::is_ascii_alphabetic);
    let special = name.starts_with(b"BASH") || SPECIAL.iter().any(|other| other.as_bytes() == name);
    (starts && !special).then_some((name, rest))
}

/// Passes over a word, and returns what follows it.
fn value(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        text = match text.first() {
            None => return Some(text),
            Some(byte) if is_blank(*byte) => return Some(text),
            Some(b'\'') => {
                let end = text[1..].iter().position(|byte| *byte == b'\'')?;
                &text[end + 2..]
            }
            Some(b'"') => quoted(&text[1..])?,
            Some(b'$') => variable(&text[1..])?,
            Some(byte) if is_literal(*byte) => &text[1..],
            Some(_) => return None,
        };
    }
}

/// Passes over the rest of a word in double quotes.
fn quoted(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        text = match text.first()? {
            b'"' => return Some(&text[1..]),
            b'$' => variable(&text[1..])?,
            b'\\' | b'`' => return None,
            _ => &text[1..],
        };
    }
}

/// Passes over a variable, after its dollar sign: `NAME`, `{NAME}`, or `{NAME:-text}`.
fn variable(text: &[u8]) -> Option<&[u8]> {
    let Some(braced) = text.strip_prefix(b"{") else {
        return name(text).map(|(_, rest)| rest);
    };
    let (_, rest) = name(braced)?;
    let rest = match rest.strip_prefix(b":").unwrap_or(rest).strip_prefix(b"-") {
        Some(default) => {
            let end = default.iter().position(|byte| !is_literal(*byte))?;
            &default[end..]
        }
        None => rest,
    };
    rest.strip_prefix(b"}")
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Means itself wherever it stands in a value.
fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-./:,@%+=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> Option<usize> {
        names(text.as_bytes()).map(|names| names.len())
    }

    #[test]
    fn assignments_and_comments_are_plain() {
        assert_eq!(count(""), Some(0));
        assert_eq!(count("# A comment; $(with) `anything`\n\n"), Some(0));
        for plain in [
            "A=1",
            "A=",
            "  export A=1  # why",
            "export\tA='$(literally) \\ `so`'",
            "A=\"$HOME/x; y ${B} ${B:-1}${B-}\"",
            "A=$HOME/${B:-/data}:/x",
            "LD_LIBRARY_PATH=/lib:$LD_LIBRARY_PATH",
            "A=\u{e4}",
        ] {
            let wanted = if plain.is_ascii() { Some(1) } else { None };
            assert_eq!(count(plain), wanted, "{plain}");
        }
        assert_eq!(
            names(b"PATH=/x:$PATH\nA=1\n"),
            Some(vec![b"PATH".as_slice(), b"A"])
        );
    }

    #[test]
    fn anything_else_is_not() {
        for other in [
            "exit 1",
            "A=1; exit",
            "A=1 true",
            "A=1 B=2",
            "A=$(exit 1)",
            "A=`true`",
            "A=\"$(true)\"",
            "A=\"`true`\"",
            "A=${B:?}",
            "A=${B:=x}",
            "A=${B:-$(true)}",
            "A=${!B}",
            "A=$((1+1))",
            "A=$1",
            "A=$@",
            "A=~",
            "A=a*",
            "A=(1 2)",
            "A[0]=1",
            "A+=1",
            "A=a\\\nexit",
            "A='two\nlines'",
            "A=\"two\nlines\"",
            "A='open",
            "A=\"open",
            "A=$'x'",
            "A=a#b",
            "A= true",
            "1A=1",
            "=1",
            "A",
            "export A",
            "export -n A=1",
            "exportA",
            "set -x",
            "trap 'true' EXIT",
            "f() { true; }",
            "UID=1",
            "BASH_ENV=/x",
            "SHELLOPTS=posix",
            "PWD=/",
            "__oi=1",
            "A=1\r",
            "\u{c}A=1",
            "A=$_",
            "A=${BASH_COMMAND}",
            "A=$SHELLOPTS",
            "A=a\u{b}b",
            "A=1&",
            "A=<x",
            "A={1,2}",
            "A=1\0",
        ] {
            assert_eq!(count(other), None, "{other:?}");
        }
    }
}
