//! `include(…, namespace=…, app_name=…)`.

use crate::findings::{Check, FileContext, Rule, Severity};
use crate::python::Call;

pub(super) const RULE: Rule = Rule {
    id: "include-namespace",
    title: "addresses that are included with a namespace",
    why: "Django 2.0 takes the name of the application from the included addresses, or beside them in a pair, and refuses a namespace without one",
    check: Check::Python {
        needle: r"\bnamespace\s*=|\bapp_name\s*=",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if !file.to_django(2, 0) {
        return;
    }
    let py = file.py;
    for call in file.calls() {
        if call.last() != "include" || call.splat {
            continue;
        }
        let (namespace, app_name) = (call.keyword("namespace"), call.keyword("app_name"));
        let [what] = call.positional.as_slice() else {
            if app_name.is_some() {
                file.add(found(file, call).person(
                    "give the addresses and the name of the application as a pair, as in include(('blog.urls', 'blog'), namespace='blog')",
                ));
            }
            continue;
        };
        if what.kind() == "tuple" || (namespace.is_none() && app_name.is_none()) {
            continue;
        }
        let text = py.text(*what);
        let name = app_name.or(namespace).map(|name| py.text(name));
        match (app_name, name) {
            // Without the argument the included file may say it itself.
            (None, _) if names_itself(file, *what) => {}
            (Some(argument), Some(name)) => {
                let Some((start, end)) = with_comma(file, argument) else {
                    continue;
                };
                file.add(
                    found(file, call)
                        .convert("gives it beside the addresses")
                        .edit(what.start_byte(), what.start_byte(), "(")
                        .edit(what.end_byte(), what.end_byte(), format!(", {name})"))
                        .edit(start, end, ""),
                );
            }
            (None, Some(name)) if of_the_tree(file, *what).is_some() => file.add(
                found(file, call)
                    .convert("gives the namespace as the name of the application, too")
                    .edit(what.start_byte(), what.start_byte(), "(")
                    .edit(what.end_byte(), what.end_byte(), format!(", {name})")),
            ),
            // The addresses of packages name their application nowadays.
            _ if py.string(*what).is_some() || text.contains("admin.site") => {}
            (_, Some(name)) => file.add(found(file, call).person(format!(
                "if the included addresses do not say app_name, write include(({text}, {name}), …)"
            ))),
            _ => {}
        }
    }
}

fn found(file: &FileContext<'_>, call: &Call<'_>) -> crate::findings::Finding {
    file.at(
        &RULE,
        Severity::Blocker,
        file.py.line(call.node),
        "addresses are included with a namespace or the name of an application",
    )
}

/// A keyword argument, with the comma before it.
fn with_comma(file: &FileContext<'_>, value: tree_sitter::Node<'_>) -> Option<(usize, usize)> {
    let argument = value.parent()?;
    let comma = argument.prev_sibling()?;
    (file.py.text(comma) == ",").then(|| (comma.start_byte(), argument.end_byte()))
}

/// The source of the included module, if it is the application's own.
fn of_the_tree(file: &FileContext<'_>, what: tree_sitter::Node<'_>) -> Option<String> {
    let module = file.py.string(what)?.replace('.', "/");
    let ends = [format!("{module}.py"), format!("{module}/__init__.py")];
    let path = file.tree.files().map(|(path, _)| path).find(|path| {
        ends.iter().any(|end| {
            path.strip_suffix(end.as_str())
                .is_some_and(|head| head.is_empty() || head.ends_with('/'))
        })
    })?;
    file.tree.text(path)
}

/// Whether the included addresses say the name of their application.
fn names_itself(file: &FileContext<'_>, what: tree_sitter::Node<'_>) -> bool {
    of_the_tree(file, what).is_some_and(|text| {
        text.lines().any(|line| {
            line.strip_prefix("app_name")
                .is_some_and(|rest| rest.trim_start().starts_with('='))
        })
    })
}
