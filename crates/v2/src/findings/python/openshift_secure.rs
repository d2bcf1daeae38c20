//! The helper library of old starters that made secrets from `OPENSHIFT_SECRET_TOKEN`.

use crate::findings::{Check, FileContext, Rule, Severity};
use crate::python::enclosing_statement;

pub(super) const RULE: Rule = Rule {
    id: "openshift-secure",
    title: "secrets made by openshiftlibs",
    why: "openshift_secure() stands on Python 2's hash() of strings, which is another one in each process of Python 3",
    check: Check::Python {
        needle: r"openshift_secure",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if !file.to_python3() || file.py.path.ends_with("openshiftlibs.py") {
        return;
    }
    let py = file.py;
    for call in file.calls() {
        if call.last() != "openshift_secure" {
            continue;
        }
        let finding = file.at(
            &RULE,
            Severity::Blocker,
            py.line(call.node),
            "keys are made by openshift_secure()",
        );
        // One that comes later, as with what a conversion puts at the end of the file, does not help here.
        let imports_os = file.imports().iter().any(|import| {
            import.from.is_none()
                && import.statement.start_byte() < call.node.start_byte()
                && import
                    .statement
                    .parent()
                    .is_some_and(|parent| parent.kind() == "module")
                && import
                    .names
                    .iter()
                    .any(|name| name.name == "os" && name.alias.is_none())
        });
        let statement = enclosing_statement(call.node);
        let start = py.line_start(statement.start_byte());
        let indent = py
            .source()
            .get(start..statement.start_byte())
            .unwrap_or_default()
            .trim_start_matches('\u{feff}');
        let own_line = indent.trim().is_empty();
        // Its argument names the keys that are wanted.
        let keys = call
            .positional
            .first()
            .and_then(|argument| keys_of(file, *argument));
        match keys {
            Some(keys) if keys == ["SECRET_KEY"] && (imports_os || own_line) => {
                let finding = if imports_os {
                    finding
                } else {
                    let at = statement.start_byte();
                    finding.edit(at, at, format!("import os\n{indent}"))
                };
                file.add(
                    finding
                        .convert("takes the secret key from OPENSHIFT_SECRET_TOKEN itself, which comes from a Secret; sessions that were signed with the old one end")
                        .edit(
                            call.node.start_byte(),
                            call.node.end_byte(),
                            "{'SECRET_KEY': os.environ['OPENSHIFT_SECRET_TOKEN']}",
                        ),
                );
            }
            _ => file.add(
                finding.person("read each key from the environment, and give it from a Secret"),
            ),
        }
    }
}

fn keys_of(file: &FileContext<'_>, node: tree_sitter::Node<'_>) -> Option<Vec<String>> {
    let py = file.py;
    let mut node = node;
    if node.kind() == "identifier" {
        let name = py.text(node);
        let value = file
            .assigned(name)
            .iter()
            .rev()
            .find_map(|assign| assign.value)?;
        // The syntax tree is one, whichever way a node was found.
        node = py
            .root()
            .descendant_for_byte_range(value.start_byte(), value.end_byte())?;
        return keys_in(file, node);
    }
    keys_in(file, node)
}

fn keys_in(file: &FileContext<'_>, node: tree_sitter::Node<'_>) -> Option<Vec<String>> {
    (node.kind() == "dictionary").then(|| {
        crate::python::children(node)
            .into_iter()
            .filter_map(|pair| file.py.string(pair.child_by_field_name("key")?))
            .collect()
    })
}
