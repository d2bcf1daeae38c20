//! Where a variable of V2 comes from on V3.

use std::collections::BTreeMap;

use super::{Read, SecretOf, Source, Supply};
use crate::facts::{DatabaseKind, Facts, SOURCE_DIR};
use crate::options::{DatabaseChoice, Options};
use crate::python::Access;

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

/// Where a variable comes from, and why.
pub(super) fn supply_of(
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
        "OPENSHIFT_APP_UUID" => (
            deployment(Source::Secret {
                of: SecretOf::Application,
                key: "app-uuid".to_owned(),
                generated: true,
            }),
            "it stays the same as long as the application is there; V2's value (`rhc env`) keeps what was made with it",
        ),
        "OPENSHIFT_GEAR_UUID" => (field("metadata.uid"), "the pod takes the place of the gear"),
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
        "OPENSHIFT_PYTHON_REQUIREMENTS_PATH" => (
            image(
                options
                    .requirements
                    .as_deref()
                    .unwrap_or("requirements.txt"),
            ),
            "the builder reads requirements.txt, which names it where it is another file",
        ),
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
        // The conversion's own, wherever it is read.
        "DJANGO_LOG_LEVEL" => (
            Supply::Input {
                required: false,
                secret: false,
            },
            "the settings' logging takes its level from it, and has one without it",
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
    "NODE_ENV",
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
