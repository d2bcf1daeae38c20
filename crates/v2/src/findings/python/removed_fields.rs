//! Fields of models that are left for old migrations only.

use crate::findings::{Check, FileContext, Rule, Severity};
use crate::python::visit;

pub(super) const RULE: Rule = Rule {
    id: "removed-fields",
    title: "fields of models that are gone",
    why: "Django keeps it for old migrations only, and refuses to start with a model that has it",
    check: Check::Python {
        needle: r"\bIPAddressField\b|\bCommaSeparatedIntegerField\b",
        check,
    },
};

const GONE: &[(&str, &str, (u16, u16))] = &[
    (
        "models.IPAddressField",
        "use GenericIPAddressField, with a migration",
        (1, 9),
    ),
    (
        "models.CommaSeparatedIntegerField",
        "use CharField with validate_comma_separated_integer_list, with a migration",
        (2, 0),
    ),
];

fn check(file: &FileContext<'_>) {
    let py = file.py;
    if py.path.contains("migrations/") {
        return;
    }
    visit(py.root(), &mut |node| {
        if node.kind() == "attribute"
            && let Some(name) = py.dotted(node)
            && let Some((field, instead, gone)) = GONE.iter().find(|(field, _, _)| *field == name)
            && file.to_django(gone.0, gone.1)
        {
            file.add(
                file.at(
                    &RULE,
                    Severity::Blocker,
                    py.line(node),
                    format!("a model has a {field}"),
                )
                .person(*instead),
            );
        }
        true
    });
}
