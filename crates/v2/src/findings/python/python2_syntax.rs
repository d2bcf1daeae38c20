//! Python 2 syntax and names, which only a person can port.

use std::collections::BTreeMap;

use crate::findings::{Check, FileContext, Rule, Severity};
use crate::python::{children, visit};

pub(super) const RULE: Rule = Rule {
    id: "python2-syntax",
    title: "Python 2 syntax and names",
    why: "Python 2 is not supported any more, and Python 3 refuses this",
    check: Check::Python {
        needle: r"(?m)^\s*print(?:\s+[^\s(=.,)]|\s*>>|\s*$)|except[^:\n]*,|raise\s+[\w.]+\s*,|<>|\bexec\s+[^(\s]|`|\.(?:iteritems|itervalues|iterkeys|has_key)\(|\b(?:basestring|unicode|xrange|raw_input|execfile|reload|long|unichr|cmp)\(|\bisinstance\(.*\bbasestring|\b0[0-7]+\b|\b\d+[lL]\b|\bur['\x22]|import\s+(?:urllib2|urlparse|StringIO|cStringIO|ConfigParser|Queue|cPickle|commands|httplib|HTMLParser|Cookie|cookielib|__builtin__|md5|sets)|from\s+(?:urllib2|urlparse|StringIO|cStringIO|ConfigParser|Queue|cPickle|commands|httplib|HTMLParser|Cookie|cookielib|__builtin__|md5|sets)\b",
        check,
    },
};

/// Modules that have another name in Python 3, and that name.
const MODULES: &[(&str, &str)] = &[
    ("urllib2", "urllib.request"),
    ("urlparse", "urllib.parse"),
    ("StringIO", "io"),
    ("cStringIO", "io"),
    ("ConfigParser", "configparser"),
    ("Queue", "queue"),
    ("cPickle", "pickle"),
    ("commands", "subprocess"),
    ("httplib", "http.client"),
    ("HTMLParser", "html.parser"),
    ("Cookie", "http.cookies"),
    ("cookielib", "http.cookiejar"),
    ("__builtin__", "builtins"),
    ("md5", "hashlib"),
    ("sets", "set"),
];

const NAMES: &[(&str, &str)] = &[
    ("basestring", "str"),
    ("unicode", "str"),
    ("xrange", "range"),
    ("raw_input", "input"),
    ("long", "int"),
    ("unichr", "chr"),
    ("cmp", "a key function"),
    ("reload", "importlib.reload"),
];

const METHODS: &[(&str, &str)] = &[
    ("iteritems", "items"),
    ("itervalues", "values"),
    ("iterkeys", "keys"),
];

fn check(file: &FileContext<'_>) {
    if !file.to_python3() {
        return;
    }
    let py = file.py;
    // Construct, what to write instead, whether the file cannot even be compiled: its lines.
    let mut found: BTreeMap<(String, String, bool), Vec<usize>> = BTreeMap::new();
    let mut add = |what: &str, instead: &str, syntax: bool, line: usize| {
        found
            .entry((what.to_owned(), instead.to_owned(), syntax))
            .or_default()
            .push(line);
    };
    // A file that gives a name a meaning of its own, or catches its absence, knows about both.
    let guarded = |name: &str| {
        py.source().contains("except ImportError")
            || py.source().contains("except NameError")
            || py.source().contains("except (ImportError")
            || py.source().contains("version_info")
            || py.source().contains(&format!("{name} ="))
    };
    visit(py.root(), &mut |node| {
        let line = py.line(node);
        match node.kind() {
            "print_statement" => {
                // `print (x)` and `print(x)` mean the same in both.
                let arguments = children(node);
                let both = matches!(arguments.as_slice(), [only] if only.kind() == "parenthesized_expression")
                    && !py.text(node).trim_end().ends_with(',');
                if !both {
                    add("the print statement", "print(…)", true, line);
                }
            }
            "expression_statement" if py.text(node).trim() == "print" => {
                add("the print statement", "print(…)", true, line);
            }
            "exec_statement" => add("the exec statement", "exec(…)", true, line),
            "except_clause" => {
                let text = py.text(node);
                let head = text.split(':').next().unwrap_or_default();
                let outer: String = strip_parentheses(head);
                if outer.contains(',') {
                    add("`except Error, name`", "`except Error as name`", true, line);
                }
            }
            "raise_statement"
                if children(node)
                    .first()
                    .is_some_and(|value| value.kind() == "expression_list") =>
            {
                add("`raise Error, text`", "`raise Error(text)`", true, line);
            }
            "<>" => add("`<>`", "`!=`", true, line),
            "integer" => {
                let text = py.text(node);
                let digits = text.trim_end_matches(['l', 'L']);
                if digits != text && !text.starts_with("0x") {
                    add("a long literal", "the number without L", true, line);
                } else if digits.len() > 1
                    && digits.starts_with('0')
                    && digits.chars().all(|c| c.is_ascii_digit())
                    && digits.chars().any(|c| c != '0')
                {
                    add("an octal literal without `o`", "0o…", true, line);
                }
            }
            "string_start" if py.text(node).to_ascii_lowercase().starts_with("ur") => {
                add("a ur'' literal", "r''", true, line);
            }
            "tuple_pattern"
                if node.parent().is_some_and(|parent| {
                    parent.kind() == "parameters" || parent.kind() == "lambda_parameters"
                }) =>
            {
                add(
                    "a parameter that is a tuple",
                    "one parameter, taken apart in the body",
                    true,
                    line,
                );
            }
            "call" => {
                if let Some(call) = py.call(node)
                    && let Some((name, instead)) = NAMES.iter().find(|(name, _)| *name == call.name)
                    && !guarded(name)
                {
                    add(&format!("{name}()"), instead, false, line);
                }
            }
            "attribute" => {
                let name = node
                    .child_by_field_name("attribute")
                    .map(|name| py.text(name))
                    .unwrap_or_default();
                if let Some((name, instead)) = METHODS.iter().find(|(method, _)| *method == name) {
                    add(&format!(".{name}()"), &format!(".{instead}()"), false, line);
                }
            }
            "identifier" if py.text(node) == "basestring" && !guarded("basestring") => {
                add("basestring", "str", false, line);
            }
            _ => {}
        }
        true
    });
    for import in file.imports() {
        let names: Vec<&str> = match &import.from {
            Some((module, _)) => vec![module.as_str()],
            None => import.names.iter().map(|name| name.name.as_str()).collect(),
        };
        for name in names {
            if let Some((old, new)) = MODULES.iter().find(|(old, _)| *old == name)
                && !guarded(old)
            {
                add(
                    &format!("the module {old}"),
                    new,
                    false,
                    py.line(import.statement),
                );
            }
        }
    }
    for ((what, instead, syntax), mut lines) in found {
        lines.sort_unstable();
        lines.dedup();
        let first = lines.first().copied().unwrap_or(1);
        let more = match lines.len() {
            1 => String::new(),
            _ => format!(
                " (lines {})",
                lines
                    .iter()
                    .map(usize::to_string)
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        };
        let severity = if syntax {
            Severity::Blocker
        } else {
            Severity::Warning
        };
        file.add(
            file.at(&RULE, severity, first, format!("{what} is Python 2{more}"))
                .person(format!("port it: {instead}")),
        );
    }
}

fn strip_parentheses(text: &str) -> String {
    let mut depth = 0;
    text.chars()
        .filter(|c| {
            match c {
                '(' | '[' => depth += 1,
                ')' | ']' => depth -= 1,
                _ => {}
            }
            depth == 0
        })
        .collect()
}
