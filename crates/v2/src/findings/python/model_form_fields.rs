//! Forms of models that do not say which fields they have.

use crate::findings::{Check, FileContext, Rule, Severity};
use crate::python::{children, visit};

pub(super) const RULE: Rule = Rule {
    id: "model-form-fields",
    title: "forms of models without a list of fields",
    why: "a form of a model had all fields where it named none, and Django 1.8 refuses that, since a field that is added later would be open to everybody",
    check: Check::Python {
        needle: r"\bModelForm\b",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if !file.to_django(1, 8) {
        return;
    }
    let py = file.py;
    visit(py.root(), &mut |node| {
        if node.kind() != "class_definition" {
            return true;
        }
        let bases = node
            .child_by_field_name("superclasses")
            .map(children)
            .unwrap_or_default();
        // A form that inherits from another may have the fields of that one.
        let of_model = matches!(bases.as_slice(), [only] if py.dotted(*only).is_some_and(|name| name == "ModelForm" || name.ends_with(".ModelForm")));
        let Some(body) = node.child_by_field_name("body").filter(|_| of_model) else {
            return true;
        };
        let meta = children(body).into_iter().find(|inner| {
            inner.kind() == "class_definition"
                && inner
                    .child_by_field_name("name")
                    .is_some_and(|name| py.text(name) == "Meta")
                && inner
                    .child_by_field_name("superclasses")
                    .is_none_or(|bases| {
                        children(bases)
                            .iter()
                            .all(|base| py.text(*base) == "object")
                    })
        });
        if let Some(body) = meta.and_then(|meta| meta.child_by_field_name("body")) {
            of_meta(file, body);
        }
        true
    });
}

fn of_meta(file: &FileContext<'_>, body: tree_sitter::Node<'_>) {
    let py = file.py;
    let mut model = None;
    for statement in children(body) {
        let Some(left) = children(statement)
            .first()
            .filter(|inner| inner.kind() == "assignment")
            .and_then(|assign| assign.child_by_field_name("left"))
        else {
            continue;
        };
        match py.text(left) {
            "fields" | "exclude" => return,
            "model" => model = Some(statement),
            _ => {}
        }
    }
    let Some(statement) = model else {
        return;
    };
    let finding = file.at(
        &RULE,
        Severity::Blocker,
        py.line(statement),
        "a form of a model does not say which fields it has",
    );
    if !py.alone_on_lines(statement) {
        file.add(finding.person("add fields = […] with the fields that people may change"));
        return;
    }
    let start = py.line_start(statement.start_byte());
    let indent = py
        .source()
        .get(start..statement.start_byte())
        .unwrap_or_default()
        .to_owned();
    file.add(finding.convert("gives it all fields, as it had them").edit(
        start,
        start,
        format!("{indent}fields = '__all__'\n"),
    ));
}
