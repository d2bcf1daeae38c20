//! Names of Django that are elsewhere, or are called something else.

use std::collections::BTreeMap;

use crate::findings::{Check, FileContext, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "moved-names",
    title: "names of Django that moved",
    why: "newer Djangos have it under another name only",
    check: Check::Python {
        needle: r"django\.core\.urlresolvers|django\.utils\.(?:importlib|translation|encoding|http|simplejson)|simplejson|templatetags\.staticfiles|contenttypes|forms\.util\b|SortedDict|django\.utils\.datastructures|django\.core\.cache\.backends|django\.contrib\.admin\.util\b|django\.contrib\.postgres\.fields",
        check,
    },
};

/// Modules that moved as a whole: old, new, and the first Django without the old one.
const MODULES: &[(&str, &str, (u16, u16))] = &[
    ("django.core.urlresolvers", "django.urls", (2, 0)),
    ("django.utils.importlib", "importlib", (1, 9)),
    ("django.utils.simplejson", "json", (1, 7)),
    (
        "django.contrib.staticfiles.templatetags.staticfiles",
        "django.templatetags.static",
        (3, 0),
    ),
    ("django.forms.util", "django.forms.utils", (1, 9)),
    (
        "django.contrib.admin.util",
        "django.contrib.admin.utils",
        (1, 9),
    ),
    (
        "django.db.models.fields.subclassing",
        "django.db.models",
        (99, 0),
    ),
];

/// A name that moved or is called something else: module, name, new module, new name, first Django without the old one.
type Moved = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    (u16, u16),
);

const NAMES: &[Moved] = &[
    ("django.utils", "simplejson", "", "json", (1, 7)),
    (
        "django.utils.translation",
        "ugettext",
        "django.utils.translation",
        "gettext",
        (4, 0),
    ),
    (
        "django.utils.translation",
        "ugettext_lazy",
        "django.utils.translation",
        "gettext_lazy",
        (4, 0),
    ),
    (
        "django.utils.translation",
        "ugettext_noop",
        "django.utils.translation",
        "gettext_noop",
        (4, 0),
    ),
    (
        "django.utils.translation",
        "ungettext",
        "django.utils.translation",
        "ngettext",
        (4, 0),
    ),
    (
        "django.utils.translation",
        "ungettext_lazy",
        "django.utils.translation",
        "ngettext_lazy",
        (4, 0),
    ),
    (
        "django.utils.encoding",
        "force_text",
        "django.utils.encoding",
        "force_str",
        (4, 0),
    ),
    (
        "django.utils.encoding",
        "smart_text",
        "django.utils.encoding",
        "smart_str",
        (4, 0),
    ),
    (
        "django.utils.encoding",
        "force_unicode",
        "django.utils.encoding",
        "force_str",
        (1, 7),
    ),
    (
        "django.utils.encoding",
        "smart_unicode",
        "django.utils.encoding",
        "smart_str",
        (1, 7),
    ),
    (
        "django.utils.http",
        "urlquote",
        "urllib.parse",
        "quote",
        (4, 0),
    ),
    (
        "django.utils.http",
        "urlquote_plus",
        "urllib.parse",
        "quote_plus",
        (4, 0),
    ),
    (
        "django.utils.http",
        "urlunquote",
        "urllib.parse",
        "unquote",
        (4, 0),
    ),
    (
        "django.utils.http",
        "urlunquote_plus",
        "urllib.parse",
        "unquote_plus",
        (4, 0),
    ),
    (
        "django.utils.http",
        "is_safe_url",
        "django.utils.http",
        "url_has_allowed_host_and_scheme",
        (4, 0),
    ),
    (
        "django.utils.datastructures",
        "SortedDict",
        "collections",
        "OrderedDict",
        (1, 9),
    ),
    (
        "django.contrib.postgres.fields",
        "JSONField",
        "django.db.models",
        "JSONField",
        (4, 0),
    ),
    (
        "django.contrib.contenttypes.generic",
        "GenericForeignKey",
        "django.contrib.contenttypes.fields",
        "GenericForeignKey",
        (1, 9),
    ),
    (
        "django.contrib.contenttypes.generic",
        "GenericRelation",
        "django.contrib.contenttypes.fields",
        "GenericRelation",
        (1, 9),
    ),
    (
        "django.contrib.contenttypes.generic",
        "GenericTabularInline",
        "django.contrib.contenttypes.admin",
        "GenericTabularInline",
        (1, 9),
    ),
    (
        "django.contrib.contenttypes.generic",
        "GenericStackedInline",
        "django.contrib.contenttypes.admin",
        "GenericStackedInline",
        (1, 9),
    ),
];

fn check(file: &FileContext<'_>) {
    if !file.to_django(1, 7) {
        return;
    }
    let py = file.py;
    for import in file.imports() {
        let line = py.line(import.statement);
        let Some((module, node)) = &import.from else {
            for name in &import.names {
                if let Some((old, new, _)) = module_moved(file, &name.name) {
                    let finding =
                        file.at(&RULE, Severity::Blocker, line, format!("{old} is imported"));
                    // `import a.b` is used as `a.b.c`, all over the file.
                    file.add(if name.alias.is_some() {
                        finding.convert(format!("imports {new}")).edit(
                            name.node.start_byte(),
                            name.node.end_byte(),
                            new,
                        )
                    } else {
                        finding.person(format!("import {new}, and use it by that name"))
                    });
                }
            }
            continue;
        };
        if let Some((old, new, _)) = module_moved(file, module) {
            file.add(
                file.at(&RULE, Severity::Blocker, line, format!("{old} is imported"))
                    .convert(format!("imports from {new}"))
                    .edit(node.start_byte(), node.end_byte(), new),
            );
            continue;
        }
        let moved = |name: &str| {
            NAMES.iter().find(|(from, old, _, _, gone)| {
                from == module && *old == name && file.to_django(gone.0, gone.1)
            })
        };
        let old: Vec<&str> = import
            .names
            .iter()
            .filter(|name| moved(&name.name).is_some())
            .map(|name| name.name.as_str())
            .collect();
        if old.is_empty() {
            continue;
        }
        let finding = file.at(
            &RULE,
            Severity::Blocker,
            line,
            format!("{} of {module} is imported", old.join(", ")),
        );
        // Within one module each name is edited by itself: rules that take other names out of the statement do not meet these edits.
        let stays = import
            .names
            .iter()
            .filter_map(|name| moved(&name.name))
            .all(|(_, _, target, _, _)| target == module);
        if stays {
            let mut finding =
                finding.convert("imports it under its new name, and calls it as before");
            for name in &import.names {
                if let Some((_, _, _, new, _)) = moved(&name.name) {
                    let text = renamed(new, name.known_as());
                    finding = finding.edit(name.whole.start_byte(), name.whole.end_byte(), text);
                }
            }
            file.add(finding);
            continue;
        }
        if py.text(import.statement).contains('#') {
            file.add(finding.person("import it under its new name"));
            continue;
        }
        // New modules in the order in which their names come.
        let mut order: Vec<&str> = Vec::new();
        let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for name in &import.names {
            let (target, new) = match moved(&name.name) {
                Some((_, _, target, new, _)) => (*target, *new),
                None => (module.as_str(), name.name.as_str()),
            };
            let text = renamed(new, name.known_as());
            if !order.contains(&target) {
                order.push(target);
            }
            groups.entry(target).or_default().push(text);
        }
        let indent = py
            .source()
            .get(py.line_start(import.statement.start_byte())..import.statement.start_byte())
            .unwrap_or_default()
            .trim_start_matches('\u{feff}')
            .to_owned();
        let text: Vec<String> = order
            .iter()
            .map(|target| {
                let names = groups
                    .get(target)
                    .map(|names| names.join(", "))
                    .unwrap_or_default();
                match *target {
                    "" => format!("import {names}"),
                    target => format!("from {target} import {names}"),
                }
            })
            .collect();
        if py.alone_on_lines(import.statement) || text.len() == 1 {
            file.add(
                finding
                    .convert("imports it under its new name, and calls it as before")
                    .edit(
                        import.statement.start_byte(),
                        import.statement.end_byte(),
                        text.join(&format!("\n{indent}")),
                    ),
            );
        } else {
            file.add(finding.person("import it under its new name"));
        }
    }
}

/// A name in an import statement, under the name that the file knows.
fn renamed(new: &str, known_as: &str) -> String {
    if new == known_as {
        new.to_owned()
    } else {
        format!("{new} as {known_as}")
    }
}

fn module_moved(
    file: &FileContext<'_>,
    name: &str,
) -> Option<(&'static str, &'static str, (u16, u16))> {
    MODULES
        .iter()
        .find(|(old, _, gone)| *old == name && file.to_django(gone.0, gone.1))
        .copied()
}
