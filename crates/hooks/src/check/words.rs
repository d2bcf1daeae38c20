//! Commands and variables in shell code that V3 has no more, and what environment files must not do.

use std::path::Path;

use super::Findings;
use super::script::Kind;

/// A command that is gone, and what to do.
const GONE: [(&str, &str); 18] = [
    ("rhc", "is V2's client; use oc from outside"),
    ("rhcsh", "is V2's shell"),
    ("gear", "is V2's; a container is its one process"),
    (
        "ctl_app",
        "is V2's; a container is started and stopped as a whole",
    ),
    (
        "ctl_all",
        "is V2's; a container is started and stopped as a whole",
    ),
    (
        "tail_all",
        "is V2's; write to standard output and use oc logs",
    ),
    ("client_message", "is V2's; use echo"),
    ("client_result", "is V2's; use echo"),
    ("client_error", "is V2's; use echo to standard error"),
    ("oo-ruby", "is V2's; use ruby"),
    ("oo-admin-ctl-gears", "is V2's"),
    ("easy_install", "is gone; use pip"),
    ("pip-2.7", "is gone; use pip"),
    ("pip2", "is gone; use pip"),
    ("python2", "is gone; use python"),
    ("python2.7", "is gone; use python"),
    ("syncdb", "is gone since Django 1.9; use migrate"),
    (
        "sudo",
        "is not to be had in a container that runs as an arbitrary user",
    ),
];

/// Text that shows a way of V2's, and what to do.
const PHRASES: [(&str, &str); 4] = [
    (
        "/virtenv/bin/activate",
        "the virtual environment of V2 is not there; the image's own is active already",
    ),
    (
        "OPENSHIFT_CARTRIDGE_SDK_BASH",
        "V2's functions for cartridges are not there",
    ),
    (
        "/var/lib/openshift/",
        "V2's folders are not there; use /opt/app-root/src/ and the data volume",
    ),
    (
        "/app-root/runtime/",
        "V2's folders are not there; use /opt/app-root/src/",
    ),
];

pub(super) fn check(path: &Path, text: &str, kind: Kind, findings: &mut Findings<'_>) {
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.trim_end_matches('\r'))
        .collect();
    let mut depth = 0_usize;
    // Where a here-document ends, and code goes on.
    let mut goes_on = 0;
    for (at, line) in lines.iter().enumerate() {
        if at < goes_on {
            continue;
        }
        let code = without_comment(line);
        // What only looks like one has no end.
        if let Some(here) = here_document(&code)
            && let Some(length) = lines[at + 1..].iter().position(|line| here.ends_in(line))
        {
            goes_on = at + 1 + length + 1;
        }
        let number = Some(at + 1);
        for (phrase, advice) in PHRASES {
            if code.contains(phrase) {
                findings.warning(path, number, format!("`{phrase}`: {advice}"));
            }
        }
        for name in commands(&code) {
            if let Some((name, advice)) = GONE.iter().find(|(gone, _)| *gone == name) {
                // What is only said does no harm.
                if !only_said(&code, name) {
                    findings.error(path, number, format!("`{name}` {advice}"));
                }
            } else if name == "powershift" && !findings.former_name && !only_said(&code, &name) {
                findings.warning(path, number, "`powershift` is brought by nothing in this tree: the builder image has to have the runner under this name, too");
            }
        }
        if kind == Kind::Environment {
            depth = (depth + code.matches('{').count() + code.matches('(').count())
                .saturating_sub(code.matches('}').count() + code.matches(')').count());
            environment_line(path, number, &code, depth == 0, findings);
        }
    }
}

/// Words before a command that leave it one.
const BEFORE: [&str; 20] = [
    "if", "then", "else", "elif", "do", "while", "until", "!", "{", "time", "exec", "command",
    "builtin", "nohup", "env", "sudo", "xargs", "eval", "nice", "source",
];

/// The names of the programs that a line runs, as far as one line tells, and of the commands of Django that it names. What
/// stands in an assignment, a URL or another program's words is none.
fn commands(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut starts = true;
    let mut open = 0_usize;
    let mut word = String::new();
    for char in code.chars().chain([' ']) {
        if !(char.is_whitespace() || ";&|()`".contains(char)) {
            // Quotes may hold a whole line, as after `sh -c`.
            if !matches!(char, '"' | '\'') {
                word.push(char);
            }
            continue;
        }
        let name = word.rsplit('/').next().unwrap_or_default().to_owned();
        if word == "-c" {
            starts = true;
        } else if !word.is_empty() && starts {
            let assigns = word.split_once('=').is_some_and(|(name, _)| {
                name.chars()
                    .all(|char| char.is_ascii_alphanumeric() || char == '_')
            });
            starts = assigns || word.starts_with('-') || BEFORE.contains(&word.as_str());
            if !assigns {
                names.push(name);
            }
        } else if word == "syncdb" {
            names.push(name);
        }
        word.clear();
        match char {
            ')' if open > 0 => open -= 1,
            // The end of a pattern in `case`.
            ')' => starts = true,
            '(' => {
                open += 1;
                starts = true;
            }
            ';' | '&' | '|' | '`' => starts = true,
            _ => {}
        }
    }
    names
}

/// Whether a line only prints the word: in quotes, after `echo` or `printf`, and not as a command that is run inside.
fn only_said(code: &str, name: &str) -> bool {
    let mut words = code.split_whitespace();
    let prints = matches!(words.next(), Some("echo" | "printf"));
    if !prints || code.contains("$(") || code.contains('`') {
        return false;
    }
    let (mut quote, mut outside) = (None, String::new());
    for char in code.chars() {
        match quote {
            Some(open) if char == open => quote = None,
            Some(_) => {}
            None if matches!(char, '"' | '\'') => quote = Some(char),
            None => outside.push(char),
        }
    }
    !outside.contains(name)
}

/// A file that bash sources into the runner's own shell.
fn environment_line(
    path: &Path,
    line: Option<usize>,
    code: &str,
    outside: bool,
    findings: &mut Findings<'_>,
) {
    let commands = code
        .split([';', '&', '|'])
        .map(|command| {
            let words = command.split_whitespace();
            words
                .skip_while(|word| {
                    matches!(
                        *word,
                        "then" | "else" | "do" | "{" | "!" | "builtin" | "command"
                    )
                })
                .collect::<Vec<_>>()
        })
        .filter(|words| !words.is_empty());
    for words in commands {
        match words[0] {
            "exit" if outside => findings.error(
                path,
                line,
                "`exit` ends the command as an error; use return",
            ),
            "exec" if outside && words.len() > 1 && !words[1].contains(['<', '>']) => {
                findings.error(
                    path,
                    line,
                    "`exec` replaces the command that is to be started",
                );
            }
            "echo" | "printf" if !code.contains('>') && !code.contains("$(") && outside => {
                findings.warning(path, line, "prints something at each command and probe; better send it to standard error, or leave it out");
            }
            _ => {}
        }
    }
}

/// A here-document.
#[derive(Debug, PartialEq, Eq)]
struct HereDocument {
    /// The line that ends it.
    end: String,
    /// Tabs before that are none of it.
    tabs: bool,
}

impl HereDocument {
    fn ends_in(&self, line: &str) -> bool {
        let line = if self.tabs {
            line.trim_start_matches('\t')
        } else {
            line
        };
        line == self.end
    }
}

/// The here-document that begins in this line, as far as one line tells: outside quotes and arithmetic.
fn here_document(line: &str) -> Option<HereDocument> {
    let mut quote = None;
    let mut arithmetic = false;
    let mut rest = line;
    loop {
        let char = rest.chars().next()?;
        let after = &rest[char.len_utf8()..];
        let mut passed = char.len_utf8();
        match (quote, char) {
            (Some(open), char) if open == char => quote = None,
            (None | Some('"'), '\\') => passed += after.chars().next().map_or(0, char::len_utf8),
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(char),
            (None, '(') if after.starts_with('(') => arithmetic = true,
            (None, ')') if after.starts_with(')') => arithmetic = false,
            (None, '<') if after.starts_with("<<") => passed = 3,
            (None, '<') if after.starts_with('<') && !arithmetic => {
                return here_document_of(&after[1..]);
            }
            _ => {}
        }
        rest = &rest[passed..];
    }
}

/// After its `<<`.
fn here_document_of(rest: &str) -> Option<HereDocument> {
    let (tabs, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let ends = |char: char| char.is_whitespace() || ";&|<>()".contains(char);
    let word = rest.trim_start().split(ends).next().unwrap_or_default();
    let end = word.replace(['"', '\'', '\\'], "");
    (!end.is_empty()).then_some(HereDocument { end, tabs })
}

/// Cuts off a comment: a `#` at the beginning of a word, outside quotes as far as one line tells.
fn without_comment(line: &str) -> String {
    let mut quote = None;
    let mut previous = ' ';
    for (at, char) in line.char_indices() {
        match (quote, char) {
            (Some(open), char) if open == char => quote = None,
            (None, '"' | '\'') => quote = Some(char),
            (None, '#') if previous.is_whitespace() || ";&|(".contains(previous) => {
                return line[..at].to_owned();
            }
            _ => {}
        }
        previous = char;
    }
    line.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::findings;

    const ENTRY: [(&str, &str); 2] = [
        (".s2i/bin/assemble", "powershift image assemble"),
        (".s2i/bin/run", "#!/bin/sh\npowershift image run"),
    ];

    #[test]
    fn commands_of_v2() {
        let body = "#!/bin/bash\nset -e\n# rhc is not called here\nsource $OPENSHIFT_HOMEDIR/python/virtenv/bin/activate\n\
                    python manage.py syncdb --noinput # rhc\nif true; then gear restart; fi\ncat <<END\nrhc app show\nEND\necho 'gears'\n";
        let files = [ENTRY[0], ENTRY[1], (".s2i/action_hooks/deploy*", body)];
        insta::assert_snapshot!(findings(&files), @"
        .s2i/action_hooks/deploy:4: warning: `/virtenv/bin/activate`: the virtual environment of V2 is not there; the image's own is active already
        .s2i/action_hooks/deploy:5: error: `syncdb` is gone since Django 1.9; use migrate
        .s2i/action_hooks/deploy:6: error: `gear` is V2's; a container is its one process
        ");
    }

    #[test]
    fn what_is_only_said() {
        let body = "#!/bin/bash\nset -e\necho \"no rhc here\"\necho rhc\nprintf 'gear\\n'\necho \"$(rhc app)\"\n\
                    echo 'sudo' | sudo sh\n";
        let files = [ENTRY[0], ENTRY[1], (".s2i/action_hooks/deploy*", body)];
        insta::assert_snapshot!(findings(&files), @"
        .s2i/action_hooks/deploy:6: error: `rhc` is V2's client; use oc from outside
        .s2i/action_hooks/deploy:7: error: `sudo` is not to be had in a container that runs as an arbitrary user
        ");
    }

    #[test]
    fn names_that_are_no_commands() {
        let body = "#!/bin/bash\nset -e\ngear=1\nexport gear=1 rhc=2\ncurl https://x.example/api/gear\ntouch /tmp/gear sudo\n\
                    A=$gear B=/x/rhc true\nA=1 gear x\nx=$(/usr/bin/gear x)\nsh -c 'rhc x'\ncase $x in\n  y) gear z;;\nesac\n";
        let files = [ENTRY[0], ENTRY[1], (".s2i/action_hooks/deploy*", body)];
        insta::assert_snapshot!(findings(&files), @"
        .s2i/action_hooks/deploy:8: error: `gear` is V2's; a container is its one process
        .s2i/action_hooks/deploy:9: error: `gear` is V2's; a container is its one process
        .s2i/action_hooks/deploy:10: error: `rhc` is V2's client; use oc from outside
        .s2i/action_hooks/deploy:12: error: `gear` is V2's; a container is its one process
        ");
    }

    #[test]
    fn environment_files() {
        let body = "A=1\nif [ -z \"$A\" ]; then exit 1; fi\nexec 2>/dev/null\nexec python\n\
                    f() {\n  echo inside\n  ( exit 3 )\n}\nB=$(echo x)\necho done\necho done >&2\n";
        let files = [ENTRY[0], ENTRY[1], (".s2i/action_hooks/deploy_env", body)];
        insta::assert_snapshot!(findings(&files), @"
        .s2i/action_hooks/deploy_env:2: error: `exit` ends the command as an error; use return
        .s2i/action_hooks/deploy_env:4: error: `exec` replaces the command that is to be started
        .s2i/action_hooks/deploy_env:10: warning: prints something at each command and probe; better send it to standard error, or leave it out
        ");
    }

    #[test]
    fn an_exit_by_whatever_spelling() {
        let body = "builtin exit 0\nif true; then command exit; fi\n[ 1 ] && builtin exit 3\n( command exit 3 )\ncommand -v exit\n";
        let files = [ENTRY[0], ENTRY[1], (".s2i/action_hooks/deploy_env", body)];
        insta::assert_snapshot!(findings(&files), @"
        .s2i/action_hooks/deploy_env:1: error: `exit` ends the command as an error; use return
        .s2i/action_hooks/deploy_env:2: error: `exit` ends the command as an error; use return
        .s2i/action_hooks/deploy_env:3: error: `exit` ends the command as an error; use return
        ");
    }

    #[test]
    fn comments() {
        assert_eq!(without_comment("a # b"), "a ");
        assert_eq!(
            without_comment("a#b ${x#y} '# c' \"# d\""),
            "a#b ${x#y} '# c' \"# d\""
        );
    }

    #[test]
    fn here_documents() {
        let end = |line| here_document(line).map(|here| (here.end, here.tabs));
        let is = |end: &str, tabs| Some((end.to_owned(), tabs));
        assert_eq!(end("cat <<-'EOF' > x"), is("EOF", true));
        assert_eq!(end("cat > x << END-OF-FILE"), is("END-OF-FILE", false));
        assert_eq!(end("cat <<\\END;true"), is("END", false));
        assert_eq!(end("echo \"a\" 'b' <<E"), is("E", false));
        for line in [
            "cat <<< word",
            "echo \"<< Deploying >>\"",
            "echo '<<END' \\<\\<END",
            "X=$((1 << LEVEL))",
            "(( X = 1<<LEVEL ))",
            "cat <<",
        ] {
            assert_eq!(end(line), None, "{line}");
        }
    }

    #[test]
    fn what_only_looks_like_a_here_document_hides_nothing() {
        let body = "#!/bin/bash\nset -e\necho \"<< Deploying >>\"\nlet X=1<<LEVEL\nrhc app show\n\
                    cat <<-END\n\trhc\n\tEND\nrhc app show\n";
        let files = [ENTRY[0], ENTRY[1], (".s2i/action_hooks/deploy*", body)];
        insta::assert_snapshot!(findings(&files), @"
        .s2i/action_hooks/deploy:5: error: `rhc` is V2's client; use oc from outside
        .s2i/action_hooks/deploy:9: error: `rhc` is V2's client; use oc from outside
        ");
    }

    #[test]
    fn the_former_name_has_to_come_from_somewhere() {
        let body = "#!/bin/bash\nset -e\necho 'powershift image'\npowershift image migrate\n";
        let hook = (".s2i/action_hooks/deploy*", body);
        let run = (".s2i/bin/run", "#!/bin/sh\nexec openshifter-image run\n");
        let with = |assemble, more: &[(&str, &str)]| {
            let mut files = vec![(".s2i/bin/assemble", assemble), run, hook];
            files.extend(more);
            findings(&files)
        };
        insta::assert_snapshot!(with("exec openshifter-image assemble\n", &[]), @".s2i/action_hooks/deploy:4: warning: `powershift` is brought by nothing in this tree: the builder image has to have the runner under this name, too");
        for (assemble, more) in [
            (
                "pip install openshifter-image\nexec openshifter-image assemble\n",
                None,
            ),
            ("exec powershift image assemble\n", None),
            (
                "exec openshifter-image assemble\n",
                Some(("requirements.txt", "openshifter-image==0.1\n")),
            ),
            (
                "exec openshifter-image assemble\n",
                Some((".s2i/runner/powershift*", "#!/bin/sh\n")),
            ),
        ] {
            assert_eq!(with(assemble, more.as_slice()), "", "{assemble}");
        }
    }
}
