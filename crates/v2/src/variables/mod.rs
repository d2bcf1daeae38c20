//! The environment: every variable that any file reads, and where it comes from on V3.

mod foreign;
mod supply;

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use tree_sitter::Node;

use self::supply::supply_of;
use crate::facts::{Facts, image_environment};
use crate::findings::{Finding, Role};
use crate::options::{DatabaseChoice, Options};
use crate::python::{Access, Py};
use crate::shell;
use crate::tree::Tree;

/// One place that reads a variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Read {
    /// The file.
    pub path: String,
    /// The line.
    pub line: usize,
    /// What happens when it is not set.
    pub access: Access,
    /// Whether it is only used as a host in `ALLOWED_HOSTS`.
    #[serde(skip)]
    pub(crate) only_as_host: bool,
}

/// Where a variable comes from on V3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum Supply {
    /// `.s2i/environment`: it is part of the image, so it is never a secret.
    Image {
        /// Its value.
        value: String,
    },
    /// The workload's environment.
    Deployment {
        /// Where the workload has it from.
        source: Source,
    },
    /// The builder image or the shell sets it.
    Platform,
    /// A person has to say it.
    Input {
        /// Whether the application fails without it.
        required: bool,
        /// Whether it belongs into a Secret.
        secret: bool,
    },
    /// Nothing on V3 is like it, and nothing is set.
    Dropped,
}

/// Where a workload has a variable from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Source {
    /// A value, which may hold `$(NAME)` of variables before it.
    Value {
        /// The value.
        value: String,
    },
    /// A field of the pod.
    Field {
        /// Its path, as in `metadata.namespace`.
        path: String,
    },
    /// A key of a Secret.
    Secret {
        /// Which Secret: `database` is that of the database's service, `application` the application's own.
        of: SecretOf,
        /// The key.
        key: String,
        /// Whether it is made when nobody gives it.
        generated: bool,
    },
    /// The host of the Route, which is known once it is admitted.
    RouteHost,
}

/// Whose Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretOf {
    /// The database's service.
    Database,
    /// The application.
    Application,
}

/// A variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub supply: Supply,
    /// Why it does.
    pub why: String,
    /// What happens without it, at the place that minds the most.
    pub access: Access,
    /// Where it is read. Nowhere yet, when only the conversion's own additions read it.
    pub reads: Vec<Read>,
}

/// Whether a node is an element of `ALLOWED_HOSTS`.
pub(crate) fn is_in_allowed_hosts(py: &Py<'_>, node: Node<'_>) -> bool {
    let mut at = node;
    while let Some(parent) = at.parent() {
        if matches!(parent.kind(), "assignment" | "augmented_assignment") {
            return parent
                .child_by_field_name("left")
                .is_some_and(|left| py.text(left) == "ALLOWED_HOSTS");
        }
        // `ALLOWED_HOSTS.append(…)`
        if parent.kind() == "call"
            && parent
                .child_by_field_name("function")
                .is_some_and(|function| py.text(function).starts_with("ALLOWED_HOSTS."))
        {
            return true;
        }
        at = parent;
    }
    false
}

/// Collects what files in other languages read: shell by its own rules, all else by V2's names and by how languages read the environment.
pub(crate) fn of_other_files(
    tree: &Tree,
    python: &[(&str, &[u8], Role)],
    reads: &mut BTreeMap<String, Vec<Read>>,
) {
    let Some(forms) = foreign::Forms::new() else {
        return;
    };
    let python: HashSet<&str> = python.iter().map(|(path, _, _)| *path).collect();
    for (path, file) in tree.files() {
        // What a conversion writes is the answer, not the question.
        if python.contains(path)
            || crate::facts::is_prose(path)
            || path.starts_with(".s2i/")
            || path == "app.sh"
            || path == "openshift_wsgi.py"
        {
            continue;
        }
        let Some(content) = &file.content else {
            continue;
        };
        let text = String::from_utf8_lossy(content);
        let is_shell = path.ends_with(".sh")
            || ((path.starts_with(".openshift/action_hooks/")
                || path.starts_with(".openshift/cron/"))
                && crate::facts::interpreter(&text).is_none()
                && file.executable)
            || text.starts_with("#!/bin/bash")
            || text.starts_with("#!/bin/sh")
            || text.starts_with("#!/usr/bin/env bash");
        if is_shell {
            for (name, access, line) in shell::reads(&text) {
                reads.entry(name).or_default().push(Read {
                    path: path.to_owned(),
                    line,
                    access,
                    only_as_host: false,
                });
            }
            continue;
        }
        for (name, access, line) in forms.reads(path, &text) {
            reads.entry(name).or_default().push(Read {
                path: path.to_owned(),
                line,
                access,
                only_as_host: false,
            });
        }
    }
}

/// Reads in what a conversion writes into Python files. They count at once: the next conversion finds them in the sources.
pub(crate) fn of_edits(findings: &[Finding]) -> Vec<(String, Access)> {
    let Ok(reads) =
        regex::Regex::new(r#"os\.environ(?:\[['"](\w+)['"]\]|\.get\(['"](\w+)['"]\s*(,)?)"#)
    else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for finding in findings {
        let texts = finding
            .edits
            .iter()
            .map(|edit| edit.text.as_str())
            .chain(finding.append.as_deref());
        for text in texts {
            found.extend(reads.captures_iter(text).filter_map(|read| {
                match (read.get(1), read.get(2)) {
                    (Some(name), _) => Some((name.as_str().to_owned(), Access::Required)),
                    (None, Some(name)) if read.get(3).is_some() => {
                        Some((name.as_str().to_owned(), Access::Default))
                    }
                    (None, Some(name)) => Some((name.as_str().to_owned(), Access::Empty)),
                    (None, None) => None,
                }
            }));
        }
    }
    found
}

/// Says for each variable where it comes from. `added` is what the conversion's own additions to files read.
pub(crate) fn supply(
    mut reads: BTreeMap<String, Vec<Read>>,
    facts: &Facts,
    options: &Options,
    added: Vec<(String, Access)>,
) -> Vec<Variable> {
    // What the conversion itself reads, whatever the application does.
    let mut added = added;
    added.extend(always(facts, options));
    for (name, _) in &added {
        reads.entry(name.clone()).or_default();
    }
    let environment = image_environment(&facts.name, &facts.data_dir);
    // A composed variable needs its parts.
    let composed: Vec<String> = reads.keys().cloned().collect();
    for name in composed {
        // Settings that the conversion adds name all of it themselves.
        if name == "PGDATABASE" && options.database == DatabaseChoice::Service {
            continue;
        }
        for part in parts_of(&name) {
            reads.entry(part).or_default();
        }
    }
    let mut variables: Vec<Variable> = reads
        .into_iter()
        .map(|(name, mut reads)| {
            reads.sort_by(|one, other| (&one.path, one.line).cmp(&(&other.path, other.line)));
            let (supply, why) = supply_of(&name, &reads, &environment, facts, options);
            let access = reads
                .iter()
                .map(|read| read.access)
                .chain(
                    added
                        .iter()
                        .filter(|(added, _)| *added == name)
                        .map(|(_, access)| *access),
                )
                .min()
                .unwrap_or(Access::Mentioned);
            Variable {
                access,
                name,
                supply,
                why: why.to_owned(),
                reads,
            }
        })
        .collect();
    // A cluster puts variables together in the order in which they are listed.
    variables.sort_by_key(|variable| {
        let composed = matches!(
            &variable.supply,
            Supply::Deployment { source: Source::Value { value } } if value.contains("$(")
        );
        (composed, variable.name.clone())
    });
    variables
}

/// Variables that a hook exports which the conversion carries over to `deploy_env`: a person may set them, and need not.
pub(crate) fn set_by_hooks(tree: &Tree, facts: &Facts, variables: &mut [Variable]) {
    let hooks = facts.hooks.iter().filter(|hook| {
        hook.state == crate::facts::HookState::Live && hook.name.starts_with("pre_start")
    });
    for hook in hooks {
        let text = tree.text(&hook.path).unwrap_or_default();
        let exported: Vec<&str> = text
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("export ")?.split_once('='))
            .map(|(name, _)| name.trim())
            .collect();
        for variable in variables.iter_mut() {
            if let Supply::Input { required, .. } = &mut variable.supply
                && exported.contains(&variable.name.as_str())
            {
                *required = false;
                variable.why = format!("{} exports it, and deploy_env does now", hook.path);
            }
        }
    }
}

fn always(facts: &Facts, options: &Options) -> Vec<(String, Access)> {
    let mut names = vec![("OPENSHIFT_REPO_DIR", Access::Required)];
    if facts.is_django() && options.database == DatabaseChoice::Service {
        names.extend(
            [
                "OPENSHIFT_POSTGRESQL_DB_HOST",
                "OPENSHIFT_POSTGRESQL_DB_PORT",
                "OPENSHIFT_POSTGRESQL_DB_USERNAME",
                "OPENSHIFT_POSTGRESQL_DB_PASSWORD",
                "PGDATABASE",
                "OPENSHIFT_SECRET_TOKEN",
            ]
            .map(|name| (name, Access::Required)),
        );
    }
    names
        .into_iter()
        .map(|(name, access)| (name.to_owned(), access))
        .collect()
}

/// What belongs to a variable: the parts of an address such as `postgresql://user:password@host:port`.
fn parts_of(name: &str) -> Vec<String> {
    // The client library reads these by itself.
    if name == "PGDATABASE" {
        return ["PGHOST", "PGPORT", "PGUSER", "PGPASSWORD"]
            .map(str::to_owned)
            .to_vec();
    }
    let Some(prefix) = name
        .strip_suffix("_DB_URL")
        .filter(|name| name.starts_with("OPENSHIFT_"))
    else {
        return Vec::new();
    };
    ["HOST", "PORT", "USERNAME", "PASSWORD"]
        .iter()
        .map(|part| format!("{prefix}_DB_{part}"))
        .collect()
}
