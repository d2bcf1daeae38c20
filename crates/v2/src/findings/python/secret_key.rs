//! Where `SECRET_KEY` comes from.

use crate::findings::{Check, FileContext, Rule, Severity};
use crate::options::DatabaseChoice;
use crate::python::visit;

pub(super) const RULE: Rule = Rule {
    id: "secret-key",
    title: "the secret key",
    why: "whoever knows the key can forge sessions; it belongs neither into the repository nor into an image",
    check: Check::Python {
        needle: r"SECRET_KEY",
        check,
    },
};

/// The start of the text that the conversion adds.
const MARK: &str = "SECRET_KEY = os.environ['OPENSHIFT_SECRET_TOKEN']";

fn check(file: &FileContext<'_>) {
    if !file.is_settings() {
        return;
    }
    let py = file.py;
    let assigned = file.assigned("SECRET_KEY");
    let by_service = file.options.database == DatabaseChoice::Service
        && file.role == crate::findings::Role::Settings;
    let from_token = assigned.iter().any(|assign| {
        assign
            .value
            .is_some_and(|value| py.text(value).contains("OPENSHIFT_SECRET_TOKEN"))
    });
    if by_service && !from_token {
        let line = assigned
            .first()
            .map_or(1, |assign| py.line(assign.statement));
        let import = if imports_os(file) { "" } else { "import os\n" };
        file.add(
            file.at(&RULE, Severity::Blocker, line, "the secret key is kept in the data directory or in the source")
                .convert("takes it from OPENSHIFT_SECRET_TOKEN, which comes from a Secret, so that no claim is needed")
                .append(format!(
                    "\n# The same key in every pod, from a Secret.\n{import}{MARK}\n"
                )),
        );
        return;
    }
    for assign in assigned {
        let Some(value) = assign.value else {
            continue;
        };
        let mut literal = false;
        if py.string(value).is_some_and(|key| !key.is_empty()) {
            literal = true;
        }
        visit(value, &mut |node| {
            if let Some(call) = py.call(node)
                && (call.name.ends_with("environ.get") || call.last() == "getenv")
                && call
                    .positional
                    .get(1)
                    .is_some_and(|node| py.string(*node).is_some_and(|key| !key.is_empty()))
            {
                literal = true;
            }
            true
        });
        if literal {
            file.add(
                file.at(
                    &RULE,
                    Severity::Warning,
                    py.line(assign.statement),
                    "a secret key is written in the source",
                )
                .person("make a new key, read it from a variable, and give that from a Secret; --database service does this"),
            );
        }
    }
}

pub(super) fn imports_os(file: &FileContext<'_>) -> bool {
    file.imports().iter().any(|import| {
        import.from.is_none()
            && import
                .statement
                .parent()
                .is_some_and(|parent| parent.kind() == "module")
            && import.names.iter().any(|name| {
                (name.name == "os" || name.name.starts_with("os.")) && name.alias.is_none()
            })
    })
}
