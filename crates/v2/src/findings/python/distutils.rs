//! `distutils`, which Python 3.12 does not have, and the egg cache that it was used for.

use crate::findings::{Check, FileContext, Rule, Severity};
use crate::python::{enclosing_statement, visit};

pub(super) const RULE: Rule = Rule {
    id: "distutils",
    title: "distutils and the egg cache",
    why: "Python 3.12 has no distutils any more, and pip installs no eggs that would need a cache",
    check: Check::Python {
        needle: r"distutils|PYTHON_EGG_CACHE",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if !file.to_python3() {
        return;
    }
    let py = file.py;
    // Statements that set the cache's variable go.
    let mut gone = Vec::new();
    visit(py.root(), &mut |node| {
        if node.kind() == "assignment"
            && let Some(left) = node.child_by_field_name("left")
            && left.kind() == "subscript"
            && left
                .child_by_field_name("subscript")
                .and_then(|key| py.string(key))
                .as_deref()
                == Some("PYTHON_EGG_CACHE")
        {
            gone.push(enclosing_statement(node));
        }
        true
    });
    for statement in &gone {
        let finding = file.at(
            &RULE,
            Severity::Warning,
            py.line(*statement),
            "the folder of the egg cache is set",
        );
        let finding = if !py.alone_on_lines(*statement) {
            finding.convert("puts `pass` in its place").edit(
                statement.start_byte(),
                statement.end_byte(),
                "pass",
            )
        } else {
            finding
                .convert("removes the statement")
                .remove(py, *statement)
        };
        file.add(finding);
    }
    for import in file.imports() {
        let is_sysconfig = import
            .from
            .as_ref()
            .is_some_and(|(module, _)| module == "distutils.sysconfig");
        let is_any = is_sysconfig
            || import
                .from
                .as_ref()
                .is_some_and(|(module, _)| module.split('.').next() == Some("distutils"))
            || import.names.iter().any(|name| {
                import.from.is_none() && name.name.split('.').next() == Some("distutils")
            });
        if !is_any || py.path == "setup.py" {
            continue;
        }
        let finding = file.at(
            &RULE,
            Severity::Blocker,
            py.line(import.statement),
            "distutils is imported",
        );
        let mut except = gone.clone();
        except.push(import.statement);
        let unused = !import.star
            && import.names.iter().all(|name| {
                !py.uses_name(
                    name.known_as().split('.').next().unwrap_or_default(),
                    &except,
                )
            });
        let only_lib = is_sysconfig
            && !import.star
            && matches!(import.names.as_slice(), [only] if only.name == "get_python_lib");
        let own_line = py.alone_on_lines(import.statement)
            && import
                .statement
                .parent()
                .is_some_and(|parent| parent.kind() == "module");
        if unused && own_line {
            file.add(
                finding
                    .convert("removes the import, which nothing uses")
                    .remove(py, import.statement),
            );
        } else if only_lib && let [only] = import.names.as_slice() {
            // `get_python_lib()` without arguments is the folder of pure modules.
            let name = only.known_as().to_owned();
            let calls: Vec<_> = file
                .calls()
                .iter()
                .filter(|call| {
                    call.name == name
                        && !gone
                            .iter()
                            .any(|gone| gone.byte_range().contains(&call.node.start_byte()))
                })
                .collect();
            let plain = calls
                .iter()
                .all(|call| call.positional.is_empty() && call.keywords.is_empty() && !call.splat);
            if plain {
                let mut finding = finding.convert("takes the folder from sysconfig").edit(
                    import.statement.start_byte(),
                    import.statement.end_byte(),
                    "import sysconfig",
                );
                for call in calls {
                    finding = finding.edit(
                        call.node.start_byte(),
                        call.node.end_byte(),
                        "sysconfig.get_path('purelib')",
                    );
                }
                file.add(finding);
            } else {
                file.add(finding.person("take the folder from sysconfig.get_path()"));
            }
        } else {
            file.add(finding.person("use sysconfig, shutil or packaging in its place"));
        }
    }
}
