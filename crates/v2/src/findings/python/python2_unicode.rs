//! The decorator `python_2_unicode_compatible`.

use crate::findings::{Check, FileContext, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "python2-unicode",
    title: "the decorator python_2_unicode_compatible",
    why: "Django 3.0 removed it, and on Python 3 it did nothing",
    check: Check::Python {
        needle: r"python_2_unicode_compatible",
        check,
    },
};

const NAME: &str = "python_2_unicode_compatible";

fn check(file: &FileContext<'_>) {
    if !file.to_django(3, 0) {
        return;
    }
    let py = file.py;
    let mut finding: Option<crate::findings::Finding> = None;
    let begin = |line: usize| {
        file.at(
            &RULE,
            Severity::Blocker,
            line,
            "python_2_unicode_compatible is used",
        )
        .convert("removes it")
    };
    let mut decorators = Vec::new();
    crate::python::visit(py.root(), &mut |node| {
        if node.kind() == "decorator"
            && node
                .named_child(0)
                .and_then(|name| py.dotted(name))
                .is_some_and(|name| name == NAME)
        {
            decorators.push(node);
        }
        true
    });
    for node in &decorators {
        finding = Some(finding.unwrap_or_else(|| begin(py.line(*node))).edit(
            py.line_start(node.start_byte()),
            py.line_end(node.start_byte()),
            "",
        ));
    }
    for import in file.imports() {
        let is_encoding = import.from.as_ref().is_some_and(|(module, _)| {
            module == "django.utils.encoding" || module == "django.utils.six"
        });
        let Some(at) = import.names.iter().position(|name| name.name == NAME) else {
            continue;
        };
        if !is_encoding
            || import
                .names
                .get(at)
                .is_some_and(|name| name.alias.is_some())
        {
            continue;
        }
        let others: Vec<&str> = import
            .names
            .iter()
            .filter(|name| name.name != NAME)
            .map(|name| py.text(name.whole))
            .collect();
        let start = finding.unwrap_or_else(|| begin(py.line(import.statement)));
        if others.is_empty() && py.alone_on_lines(import.statement) {
            finding = Some(start.remove(py, import.statement));
        } else if others.is_empty() {
            finding = Some(start.edit(
                import.statement.start_byte(),
                import.statement.end_byte(),
                "pass",
            ));
        } else if let Some((start_byte, end)) = import.span_of(at) {
            finding = Some(start.edit(start_byte, end, ""));
        } else {
            finding = Some(start);
        }
    }
    if let Some(finding) = finding {
        file.add(finding);
    }
}
