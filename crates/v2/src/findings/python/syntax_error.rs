//! Files that do not parse, as those that were scrubbed of secrets.

use crate::findings::{Check, FileContext, Role, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "does-not-parse",
    title: "files that do not parse",
    why: "a file that does not parse is no program, and edits of it could not be checked",
    check: Check::Python {
        needle: r"\*\*\*|<<<<<<<|>>>>>>>",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    let Some(line) = file.py.first_error() else {
        return;
    };
    let text = file.py.source().lines().nth(line - 1).unwrap_or_default();
    let hint = if text.contains("***") {
        "a secret was taken out of it; put a value there that is read from the environment"
    } else {
        "mend it by hand, then analyse again"
    };
    let severity = if file.role == Role::Other {
        Severity::Warning
    } else {
        Severity::Blocker
    };
    file.add(
        file.at(&RULE, severity, line, "the file does not parse from here")
            .person(hint),
    );
}
