//! Foreign keys without `on_delete`.

use crate::findings::{Check, FileContext, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "on-delete",
    title: "foreign keys without on_delete",
    why: "Django 2.0 wants to be told what becomes of rows whose target is deleted; before, they were deleted as well",
    check: Check::Python {
        needle: r"ForeignKey|OneToOneField",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if !file.to_django(2, 0) {
        return;
    }
    let py = file.py;
    for call in file.calls() {
        if !matches!(call.last(), "ForeignKey" | "OneToOneField")
            || call.keyword("on_delete").is_some()
            || call.positional.len() > 1
            || call.splat
        {
            continue;
        }
        // Forms and other packages have fields of that name, too.
        if call.positional.is_empty() && call.keyword("to").is_none() {
            continue;
        }
        let finding = file.at(
            &RULE,
            Severity::Blocker,
            py.line(call.node),
            format!("a {} does not say on_delete", call.last()),
        );
        let Some((module, _)) = call.name.rsplit_once('.') else {
            file.add(finding.person("add on_delete=models.CASCADE, which is what it was"));
            continue;
        };
        let imports_models = file.imports().iter().any(|import| {
            import
                .from
                .as_ref()
                .is_some_and(|(from, _)| from == "django.db" || from == "django.contrib.gis.db")
                && import.names.iter().any(|name| name.known_as() == module)
        });
        if !imports_models && module != "models" {
            continue;
        }
        let Some(last) = call
            .positional
            .iter()
            .copied()
            .chain(call.keywords.iter().map(|(_, value)| *value))
            .max_by_key(tree_sitter::Node::end_byte)
        else {
            continue;
        };
        // After the last argument; a comma that is there already stays the last one.
        let text = format!(", on_delete={module}.CASCADE");
        let at = last.end_byte();
        file.add(
            finding
                .convert("says CASCADE, which is what it was")
                .edit(at, at, text),
        );
    }
}
