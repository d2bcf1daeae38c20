//! `{% url name %}` without quotes, as it was written before Django 1.5.

use std::collections::BTreeSet;

use super::template_tags::is_template;
use crate::findings::{Check, Rule, Severity, TreeContext};
use crate::options::Version;
use crate::python::line_at;

pub(super) const RULE: Rule = Rule {
    id: "template-urls",
    title: "names of addresses without quotes",
    why: "since Django 1.5 a name without quotes is a variable, which is empty as a rule, and the page fails",
    check: Check::Tree(check),
};

/// The first Django that takes a name without quotes for a variable.
const QUOTED: Version = Version::new(1, 5);

fn check(tree: &TreeContext<'_>) {
    if !tree.facts.is_django() || tree.options.django < QUOTED {
        return;
    }
    let (Ok(tags), Ok(future)) = (
        regex::bytes::Regex::new(r#"\{%-?\s*url\s+([^\s'"%]+)([^%]*)%\}"#),
        regex::bytes::Regex::new(r"\{%\s*load\s+url\s+from\s+future\s*%\}"),
    ) else {
        return;
    };
    let was = tree
        .facts
        .project
        .as_ref()
        .and_then(|project| project.django);
    let mut names = None;
    for (path, file) in tree.tree.files() {
        let Some(content) = file
            .content
            .as_deref()
            .filter(|_| is_template(path))
            .filter(|content| content.windows(4).any(|window| window == b"url "))
        else {
            continue;
        };
        // There a name without quotes was a variable already.
        if future.is_match(content) {
            continue;
        }
        for found in tags.captures_iter(content) {
            let (Some(name), Some(rest)) = (found.get(1), found.get(2)) else {
                continue;
            };
            let text = String::from_utf8_lossy(name.as_bytes()).into_owned();
            // `{% url some.variable|filter %}` has nothing to do with names of before.
            if text.contains(['|', '{', '=']) {
                continue;
            }
            let names = names.get_or_insert_with(|| names_of_addresses(tree));
            let known = names.contains(text.rsplit(':').next().unwrap_or_default());
            // No variable is called like this.
            let never_a_variable = text.contains(['-', ':', '/']);
            let dotted = text.contains('.');
            let old = was.is_some_and(|was| was < QUOTED);
            let finding = RULE.finding(
                Severity::Blocker,
                Some(path),
                Some(line_at(content, name.start())),
                format!("the address {text} is named without quotes"),
            );
            if dotted && (old || was.is_none()) {
                tree.add(finding.person(
                    "give the address a name, and write that in quotes: newer Djangos find no view by its path",
                ));
            } else if !dotted && (never_a_variable || (known && (old || was.is_none()))) {
                let comma = rest.as_bytes().contains(&b',');
                tree.add(if comma {
                    finding.person("write the name in quotes, and blanks in place of the commas")
                } else {
                    finding
                        .convert("writes it in quotes")
                        .edit(name.start(), name.start(), "'")
                        .edit(name.end(), name.end(), "'")
                });
            } else if old || known {
                tree.add(finding.person("write it in quotes, if it is the name of an address"));
            }
        }
    }
}

/// The names that files of addresses give.
fn names_of_addresses(tree: &TreeContext<'_>) -> BTreeSet<String> {
    let Ok(names) = regex::bytes::Regex::new(r#"\bname\s*=\s*[ur]?['"]([^'"]+)['"]"#) else {
        return BTreeSet::new();
    };
    tree.tree
        .files()
        .filter(|(path, _)| path.ends_with(".py") && path.contains("urls"))
        .filter_map(|(_, file)| file.content.as_deref())
        .flat_map(|content| names.captures_iter(content))
        .filter_map(|found| Some(String::from_utf8_lossy(found.get(1)?.as_bytes()).into_owned()))
        .collect()
}
