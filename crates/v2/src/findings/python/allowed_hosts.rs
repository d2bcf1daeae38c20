//! `ALLOWED_HOSTS` with the application's address from the environment.

use crate::findings::{Check, FileContext, Rule, Severity};
use crate::python::{children, visit};

pub(super) const RULE: Rule = Rule {
    id: "allowed-hosts",
    title: "allowed hosts from the environment",
    why: "V3 does not set OPENSHIFT_APP_DNS, and no container knows its Route; the router lets no other host through than the Route's",
    check: Check::Python {
        needle: r"ALLOWED_HOSTS",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    let py = file.py;
    let mut seen = Vec::new();
    for assign in file.assigned("ALLOWED_HOSTS") {
        let Some(value) = assign.value else {
            continue;
        };
        let open = children(value)
            .into_iter()
            .any(|item| py.string(item).as_deref() == Some("*"));
        visit(value, &mut |node| {
            let Some(call) = py.call(node) else {
                return true;
            };
            let is_get = call.name.ends_with("environ.get") || call.last() == "getenv";
            let named = call.positional.first().copied();
            if is_get
                && let [name] = call.positional.as_slice()
                && call.keywords.is_empty()
                && py
                    .string(*name)
                    .is_some_and(|name| name == "OPENSHIFT_APP_DNS" || name == "OPENSHIFT_GEAR_DNS")
                && !seen.contains(&node.start_byte())
            {
                seen.push(node.start_byte());
                let finding = file.at(
                    &RULE,
                    if open {
                        Severity::Info
                    } else {
                        Severity::Blocker
                    },
                    py.line(node),
                    "the allowed host is None where the variable is not set",
                );
                if open {
                    return false;
                }
                let end = named.map_or(node.end_byte(), |name| name.end_byte());
                file.add(
                    finding
                        .convert(
                            "allows every host where the variable is not set, and sets it to *",
                        )
                        .edit(end, end, ", '*'"),
                );
            }
            true
        });
    }
    // Hosts that are written out are the old platform's or the application's own.
    for assign in file.assigned("ALLOWED_HOSTS") {
        let Some(value) = assign.value else {
            continue;
        };
        let items = crate::facts::strings(py, value);
        let old: Vec<&String> = items
            .iter()
            .filter(|host| host.contains("rhcloud.com"))
            .collect();
        if !old.is_empty() && !items.iter().any(|host| host == "*") && seen.is_empty() {
            file.add(
                file.at(
                    &RULE,
                    Severity::Blocker,
                    py.line(value),
                    "the only allowed hosts are the old platform's or written out",
                )
                .person("add the Route's host, or '*'"),
            );
        }
    }
}
