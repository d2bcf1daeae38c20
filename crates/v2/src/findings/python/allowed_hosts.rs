//! `ALLOWED_HOSTS` with the application's address from the environment.

use tree_sitter::Node;

use crate::findings::{Check, FileContext, Role, Rule, Severity};
use crate::python::{Call, Py, children, visit};

pub(super) const RULE: Rule = Rule {
    id: "allowed-hosts",
    title: "allowed hosts from the environment",
    why: "V3 does not set OPENSHIFT_APP_DNS, and no container knows its Route; the router lets no other host through than the Route's",
    check: Check::Python {
        needle: r"ALLOWED_HOSTS|INSTALLED_APPS",
        check,
    },
};

/// What the settings allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hosts {
    /// Nothing: they do not say.
    Unsaid,
    /// Hosts that are written out, or none.
    Fixed,
    /// Hosts that come from somewhere else, as from a variable of the application's own.
    Unknown,
    /// Every host, or the one in `OPENSHIFT_APP_DNS`.
    Open,
}

fn check(file: &FileContext<'_>) {
    for call in reads_that_may_be_none(file) {
        let [name] = call.positional.as_slice() else {
            continue;
        };
        let end = name.end_byte();
        let finding = file.at(
            &RULE,
            Severity::Blocker,
            file.py.line(call.node),
            "the allowed host is None where the variable is not set",
        );
        file.add(
            finding
                .convert("allows every host where the variable is not set, and sets it to *")
                .edit(end, end, ", '*'"),
        );
    }
    if file.role == Role::Settings && file.facts.is_django() {
        whole(file);
    }
}

/// What all the files of the settings come to.
fn whole(file: &FileContext<'_>) {
    let py = file.py;
    // Base files come first, and what this file says counts for more.
    let mut hosts = Hosts::Unsaid;
    let mut elsewhere = false;
    let others = file
        .facts
        .project
        .iter()
        .flat_map(|project| &project.settings);
    for other in others.filter(|other| other.path != py.path) {
        let parsed = file
            .tree
            .content(&other.path)
            .filter(|content| content.windows(13).any(|window| window == b"ALLOWED_HOSTS"))
            .and_then(|content| Py::parse(&other.path, content));
        if let Some(other) = parsed {
            hosts = after(&other, hosts);
            elsewhere = true;
        }
    }
    hosts = after(py, hosts);
    let assigned = file.assigned("ALLOWED_HOSTS");
    let line = assigned
        .last()
        .map_or(1, |assign| py.line(assign.statement));
    let what = match hosts {
        Hosts::Open => return,
        Hosts::Unknown => {
            file.add(
                file.at(
                    &RULE,
                    Severity::Warning,
                    line,
                    "where the allowed hosts come from cannot be told",
                )
                .person("see that they hold the Route's host and localhost, which the readiness probe asks for"),
            );
            return;
        }
        Hosts::Unsaid => "no host is allowed, so each request is answered 400",
        Hosts::Fixed => {
            "the allowed hosts are written out, so requests for the Route's host and of the readiness probe are answered 400"
        }
    };
    let always = assigned
        .iter()
        .any(|assign| !assign.nested && !assign.augmented);
    // A module that the settings take all names from may be one that is only there at run time.
    let star = file.imports().iter().any(|import| import.star);
    let before = if always {
        "list(ALLOWED_HOSTS) + "
    } else if elsewhere || star || !assigned.is_empty() {
        "list(globals().get('ALLOWED_HOSTS', ())) + "
    } else {
        ""
    };
    let import = if super::secret_key::imports_os(file) {
        ""
    } else {
        "import os\n"
    };
    file.add(
        file.at(&RULE, Severity::Blocker, line, what)
            .convert("allows the host in OPENSHIFT_APP_DNS, and every host where the variable is not set or *")
            .append(format!(
                "\n# The Route's host. The router lets no other through.\n{import}ALLOWED_HOSTS = {before}[os.environ.get('OPENSHIFT_APP_DNS', '*')]\n"
            )),
    );
}

/// What is allowed once this file has run.
fn after(py: &Py<'_>, before: Hosts) -> Hosts {
    let mut hosts = before;
    visit(py.root(), &mut |node| {
        match node.kind() {
            "function_definition" | "class_definition" | "lambda" => return false,
            "assignment" | "augmented_assignment" => {
                let is_hosts = node
                    .child_by_field_name("left")
                    .is_some_and(|left| py.text(left) == "ALLOWED_HOSTS");
                if let Some(value) = node.child_by_field_name("right").filter(|_| is_hosts) {
                    let found = of_value(py, value);
                    let replaces = node.kind() == "assignment"
                        && crate::python::enclosing_statement(node).parent() == Some(py.root())
                        && !py.text(value).contains("ALLOWED_HOSTS");
                    hosts = if replaces { found } else { more(hosts, found) };
                }
            }
            "call" => {
                if let Some(call) = py.call(node).filter(is_addition) {
                    for value in &call.positional {
                        hosts = more(hosts, of_value(py, *value));
                    }
                }
            }
            _ => {}
        }
        true
    });
    hosts
}

/// The one that allows more.
fn more(one: Hosts, other: Hosts) -> Hosts {
    let rank = |hosts| match hosts {
        Hosts::Unsaid => 0,
        Hosts::Fixed => 1,
        Hosts::Unknown => 2,
        Hosts::Open => 3,
    };
    if rank(other) > rank(one) { other } else { one }
}

fn of_value(py: &Py<'_>, value: Node<'_>) -> Hosts {
    let mut hosts = Hosts::Fixed;
    visit(value, &mut |node| {
        match node.kind() {
            "string" => {
                if let Some(text) = py.string(node)
                    && (text == "*" || is_dns(&text))
                {
                    hosts = Hosts::Open;
                }
                return false;
            }
            "call" => {
                let name = py.call(node).map(|call| call.name).unwrap_or_default();
                // The pod's own name, which nobody asks for.
                if name.ends_with("gethostname") || name.ends_with("getfqdn") {
                    return false;
                }
            }
            // A name may stand for anything, and often for what was read from the environment.
            "identifier" if !["list", "tuple", "set", "ALLOWED_HOSTS"].contains(&py.text(node)) => {
                let dns = assigned_text(py, py.text(node)).is_some_and(is_dns);
                hosts = more(hosts, if dns { Hosts::Open } else { Hosts::Unknown });
            }
            _ => {}
        }
        true
    });
    hosts
}

fn is_dns(text: &str) -> bool {
    text.contains("OPENSHIFT_APP_DNS") || text.contains("OPENSHIFT_GEAR_DNS")
}

/// The source of what a name of the module is assigned.
fn assigned_text<'p>(py: &'p Py<'_>, name: &str) -> Option<&'p str> {
    py.assigned(name)
        .last()
        .and_then(|assign| assign.value)
        .map(|value| py.text(value))
}

/// `ALLOWED_HOSTS.append(…)` and the like.
fn is_addition(call: &Call<'_>) -> bool {
    matches!(
        call.name.as_str(),
        "ALLOWED_HOSTS.append" | "ALLOWED_HOSTS.extend" | "ALLOWED_HOSTS.insert"
    )
}

/// Reads of the old address without a default, in lists that do not allow every host anyway.
fn reads_that_may_be_none<'a>(file: &FileContext<'a>) -> Vec<Call<'a>> {
    let py = file.py;
    let mut values: Vec<Node<'a>> = file
        .assigned("ALLOWED_HOSTS")
        .iter()
        .filter_map(|assign| assign.value)
        .collect();
    values.extend(
        file.calls()
            .iter()
            .filter(|call| is_addition(call))
            .map(|call| call.arguments),
    );
    let mut found: Vec<Call<'a>> = Vec::new();
    for value in values {
        let open = children(value)
            .into_iter()
            .any(|item| py.string(item).as_deref() == Some("*"));
        if open {
            continue;
        }
        visit(value, &mut |node| {
            if let Some(call) = py.call(node)
                && (call.name.ends_with("environ.get") || call.last() == "getenv")
                && let [name] = call.positional.as_slice()
                && call.keywords.is_empty()
                && py
                    .string(*name)
                    .is_some_and(|name| name == "OPENSHIFT_APP_DNS" || name == "OPENSHIFT_GEAR_DNS")
                && !found.iter().any(|known| known.node == node)
            {
                found.push(call);
            }
            true
        });
    }
    found
}
