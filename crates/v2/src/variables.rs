//! The environment: every variable that any file reads, and where it comes from on V3.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tree_sitter::Node;

use crate::facts::{DatabaseKind, Facts, SOURCE_DIR, image_environment};
use crate::findings::Role;
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
        at = parent;
    }
    false
}

/// Collects what files in other languages read: shell by its own rules, all else by V2's names.
pub(crate) fn of_other_files(
    tree: &Tree,
    python: &[(&str, &[u8], Role)],
    reads: &mut BTreeMap<String, Vec<Read>>,
) {
    let Ok(names) = regex::Regex::new(
        r"\b(?:OPENSHIFT_[A-Z0-9_]*[A-Z0-9]|PG(?:HOST|PORT|USER|PASSWORD|DATABASE|DATA))\b",
    ) else {
        return;
    };
    for (path, file) in tree.files() {
        // What a conversion writes is the answer, not the question.
        if python.iter().any(|(known, _, _)| *known == path)
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
        for (at, line) in text.lines().enumerate() {
            for found in names.find_iter(line) {
                reads
                    .entry(found.as_str().to_owned())
                    .or_default()
                    .push(Read {
                        path: path.to_owned(),
                        line: at + 1,
                        access: Access::Mentioned,
                        only_as_host: false,
                    });
            }
        }
    }
}

/// Says for each variable where it comes from. `logs` tells that the conversion adds a setting that reads the level of logs.
pub(crate) fn supply(
    mut reads: BTreeMap<String, Vec<Read>>,
    facts: &Facts,
    options: &Options,
    logs: bool,
) -> Vec<Variable> {
    // What the conversion itself reads, whatever the application does.
    let added = always(facts, options, logs);
    for (name, _) in &added {
        reads.entry((*name).to_owned()).or_default();
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

fn always(facts: &Facts, options: &Options, logs: bool) -> Vec<(&'static str, Access)> {
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
    if facts.is_django() {
        names.push(("OPENSHIFT_APP_DNS", Access::Empty));
    }
    if logs {
        names.push(("DJANGO_LOG_LEVEL", Access::Default));
    }
    names
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

const SECRET_WORDS: &[&str] = &[
    "PASSWORD",
    "PASSWD",
    "SECRET",
    "TOKEN",
    "API_KEY",
    "PRIVATE",
    "ACCESS_KEY",
    "CREDENTIAL",
];

fn supply_of(
    name: &str,
    reads: &[Read],
    environment: &BTreeMap<String, String>,
    facts: &Facts,
    options: &Options,
) -> (Supply, &'static str) {
    let image = |value: &str| Supply::Image {
        value: value.to_owned(),
    };
    let deployment = |source: Source| Supply::Deployment { source };
    let field = |path: &str| {
        deployment(Source::Field {
            path: path.to_owned(),
        })
    };
    if let Some(value) = environment.get(name) {
        return (
            image(value),
            "V2 set it; every folder ends in / as it did there",
        );
    }
    if let Some(found) = of_database(name, facts, options) {
        return found;
    }
    match name {
        "OPENSHIFT_APP_DNS" | "OPENSHIFT_GEAR_DNS" => {
            if reads
                .iter()
                .all(|read| read.only_as_host || read.path.is_empty())
            {
                (
                    image("*"),
                    "it is only used as an allowed host, and the router lets no other host through than the Route's",
                )
            } else {
                (
                    deployment(Source::RouteHost),
                    "it is the application's address, which the Route has",
                )
            }
        }
        "OPENSHIFT_SECRET_TOKEN" => (
            deployment(Source::Secret {
                of: SecretOf::Application,
                key: "secret-token".to_owned(),
                generated: true,
            }),
            "it is a secret; V2's value (`rhc env`) keeps sessions valid, another one is generated",
        ),
        "OPENSHIFT_NAMESPACE" => (
            field("metadata.namespace"),
            "the project takes the place of V2's domain",
        ),
        "OPENSHIFT_GEAR_NAME" => (
            field("metadata.name"),
            "the pod takes the place of the gear",
        ),
        "OPENSHIFT_GEAR_UUID" | "OPENSHIFT_APP_UUID" => {
            (field("metadata.uid"), "the pod takes the place of the gear")
        }
        "OPENSHIFT_GEAR_MEMORY_MB" => (
            image(&options.gear_mb.to_string()),
            "the memory limit takes the place of the gear's size",
        ),
        "OPENSHIFT_PYTHON_WSGI_APPLICATION" => (
            image(
                facts
                    .entry
                    .as_ref()
                    .map_or("wsgi/application", |entry| entry.path.as_str()),
            ),
            "app.sh starts that entry point",
        ),
        "OPENSHIFT_PYTHON_REQUIREMENTS_PATH" => {
            (image("requirements.txt"), "the builder reads that file")
        }
        "OPENSHIFT_PYTHON_VERSION" => (
            image(&options.python.to_string()),
            "the builder image's tag decides",
        ),
        "PYTHON_EGG_CACHE" => (
            image("/tmp/"),
            "it has to be a folder that can be written to",
        ),
        "OPENSHIFT_CLOUD_DOMAIN" | "OPENSHIFT_BROKER_HOST" | "OPENSHIFT_CLOUD_PROVIDER" => {
            (Supply::Dropped, "it was the old platform's own")
        }
        "OPENSHIFT_DEPENDENCIES_DIR"
        | "OPENSHIFT_BUILD_DEPENDENCIES_DIR"
        | "OPENSHIFT_DEPLOYMENTS_DIR"
        | "OPENSHIFT_KEEP_DEPLOYMENTS"
        | "OPENSHIFT_DEPLOYMENT_BRANCH"
        | "OPENSHIFT_AUTO_DEPLOY"
        | "OPENSHIFT_DEPLOYMENT_TYPE"
        | "OPENSHIFT_PRIMARY_CARTRIDGE_DIR"
        | "OPENSHIFT_UMASK" => (
            Supply::Dropped,
            "images take the place of V2's deployments: a BuildConfig's source and triggers decide",
        ),
        "OPENSHIFT_PYPI_MIRROR_URL" => (
            Supply::Dropped,
            "a build takes PIP_INDEX_URL where a mirror is wanted",
        ),
        "OPENSHIFT_PYTHON_PATH_ELEMENT" | "OPENSHIFT_PYTHON_LD_LIBRARY_PATH_ELEMENT" => (
            Supply::Dropped,
            "the builder image has its programs on PATH",
        ),
        "VIRTUAL_ENV" => (
            image("/opt/app-root"),
            "the builder image's virtual environment is there",
        ),
        "PORT" => (
            Supply::Platform,
            "the application listens on 8080 unless it is set",
        ),
        "TMPDIR" | "TMP" | "TEMP" => (image("/tmp/"), "V2 set it"),
        _ if PLATFORM.contains(&name)
            || name.starts_with("S2I_")
            || name.starts_with("DISABLE_") =>
        {
            (
                Supply::Platform,
                "the builder image, the shell or the application sets it",
            )
        }
        _ if name.starts_with("OPENSHIFT_HAPROXY") => (Supply::Dropped, "the Service balances now"),
        _ if name.starts_with("OPENSHIFT_")
            && (name.ends_with("_IP") || name.ends_with("_HOST") && !name.contains("_DB_")) =>
        {
            (image("0.0.0.0"), "containers listen on all their addresses")
        }
        _ if name.starts_with("OPENSHIFT_")
            && (name.ends_with("_PORT") && !name.contains("_DB_")) =>
        {
            (image("8080"), "containers listen on 8080")
        }
        _ if name.starts_with("OPENSHIFT_") && name.ends_with("_LOG_DIR") => (
            image("/tmp/"),
            "logs go to standard output; files of them are gone with the pod",
        ),
        _ if name.starts_with("OPENSHIFT_") && name.ends_with("_DIR") => (
            image(SOURCE_DIR),
            "the source directory takes the place of cartridges' folders",
        ),
        _ => {
            let required = reads.iter().any(|read| read.access == Access::Required)
                || (name.starts_with("OPENSHIFT_")
                    && reads
                        .iter()
                        .any(|read| matches!(read.access, Access::Empty | Access::Mentioned)));
            let upper = name.to_ascii_uppercase();
            let secret = SECRET_WORDS.iter().any(|word| upper.contains(word));
            (
                Supply::Input { required, secret },
                if name.starts_with("OPENSHIFT_") {
                    "V2 or a cartridge set it, and nothing on V3 does"
                } else {
                    "a person set it with `rhc env set`, which is not part of the source"
                },
            )
        }
    }
}

const PLATFORM: &[&str] = &[
    "HOME",
    "PATH",
    "USER",
    "USERNAME",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "LANGUAGE",
    "PWD",
    "SHELL",
    "TERM",
    "HOSTNAME",
    "TZ",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONUNBUFFERED",
    "DJANGO_SETTINGS_MODULE",
    "LD_LIBRARY_PATH",
    "COLUMNS",
    "LINES",
    "UID",
    "PYTHONDONTWRITEBYTECODE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "REQUEST_METHOD",
    "PATH_INFO",
    "QUERY_STRING",
    "RUN_MAIN",
    "CI",
];

/// Variables of database cartridges.
fn of_database(name: &str, facts: &Facts, options: &Options) -> Option<(Supply, &'static str)> {
    let secret = |key: &str| Supply::Deployment {
        source: Source::Secret {
            of: SecretOf::Database,
            key: key.to_owned(),
            generated: true,
        },
    };
    let value = |text: &str| Supply::Deployment {
        source: Source::Value {
            value: text.to_owned(),
        },
    };
    let why = "the cartridge set it; the database's service and its Secret do now";
    let is_postgres = options.database == DatabaseChoice::Service
        || facts
            .databases
            .iter()
            .any(|database| database.kind == DatabaseKind::Postgresql);
    match name {
        "PGHOST" => return Some((value("postgresql"), why)),
        "PGPORT" => return Some((value("5432"), why)),
        "PGUSER" => return Some((secret("database-user"), why)),
        "PGPASSWORD" => return Some((secret("database-password"), why)),
        "PGDATABASE" => return Some((secret("database-name"), why)),
        "PGDATA" => {
            return Some((
                Supply::Dropped,
                "the database's files are its service's own",
            ));
        }
        "OPENSHIFT_APP_NAME" if is_postgres => return None,
        _ => {}
    }
    let (prefix, part) = name.strip_prefix("OPENSHIFT_")?.split_once("_DB_")?;
    let (service, port, scheme) = match prefix {
        "MYSQL" | "MYSQLDB" | "MARIADB" => ("mysql", "3306", "mysql"),
        "POSTGRESQL" => ("postgresql", "5432", "postgresql"),
        "MONGODB" => ("mongodb", "27017", "mongodb"),
        _ => return None,
    };
    Some(match part {
        "HOST" | "GEAR_DNS" => (value(service), why),
        "PORT" | "PROXY_PORT" => (value(port), why),
        "USERNAME" => (secret("database-user"), why),
        "PASSWORD" => (secret("database-password"), why),
        "URL" => {
            let p = format!("OPENSHIFT_{prefix}_DB_");
            let end = if service == "mysql" { "/" } else { "" };
            (
                value(&format!(
                    "{scheme}://$({p}USERNAME):$({p}PASSWORD)@$({p}HOST):$({p}PORT){end}"
                )),
                why,
            )
        }
        "LOG_DIR" => (value("/tmp/"), "the database's logs are its service's own"),
        _ => (
            Supply::Dropped,
            "sockets and gears of the database are out of reach: it is a service of its own",
        ),
    })
}
