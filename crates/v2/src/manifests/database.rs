//! Databases: PostgreSQL beside the application, and the Secrets of others, which are elsewhere.

use serde_json::{Value, json};

use super::draft::{Component, Draft};
use super::model::{Input, InputValue, Stage};
use super::pods::{NO_IMAGE, PULL, Timing, probe, resources, security};
use super::workload::{Follows, Parts, workload};
use crate::Needs;
use crate::facts::DatabaseKind;
use crate::needs::NeedsDatabase;
use crate::variables::{SecretOf, Source};

const PASSWORD_LENGTH: usize = 32;
/// Memory of the database in MiB: what the cluster's own templates give it.
const MEMORY_MB: u32 = 512;

/// Whose variable that is, by V2's names.
fn kind_of(variable: &str) -> DatabaseKind {
    if variable.contains("MYSQL") || variable.contains("MARIADB") {
        DatabaseKind::Mysql
    } else if variable.contains("MONGODB") {
        DatabaseKind::Mongodb
    } else {
        DatabaseKind::Postgresql
    }
}

/// The name of a database's Secret. That of PostgreSQL is called as its Service, as in the cluster's own template.
fn secret_name(needs: &Needs, kind: DatabaseKind) -> String {
    match kind {
        DatabaseKind::Mysql => format!("{}-mysql", needs.name),
        DatabaseKind::Mongodb => format!("{}-mongodb", needs.name),
        _ => "postgresql".to_owned(),
    }
}

/// Where a variable of a database comes from.
pub(super) fn reference(needs: &Needs, variable: &str, key: &str) -> Value {
    let kind = kind_of(variable);
    let mut reference = json!({"name": secret_name(needs, kind), "key": key});
    // A branch for a database that the application does not use any more must not keep it from starting.
    if !needs.databases.iter().any(|one| one.kind == kind) {
        reference["optional"] = json!(true);
    }
    json!({"secretKeyRef": reference})
}

/// Names in PostgreSQL that need no quotes, which is all that images take.
fn identifier(name: &str) -> String {
    let name = name.replace('-', "_");
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
}

/// The name of the database where it is not the application's.
pub(super) fn renamed(needs: &Needs) -> Option<String> {
    needs
        .databases
        .iter()
        .find(|database| database.kind == DatabaseKind::Postgresql)
        .map(|database| identifier(&database.database))
        .filter(|name| *name != needs.name)
}

pub(super) fn add(draft: &mut Draft<'_>) {
    let needs = draft.needs;
    for database in &needs.databases {
        match database.kind {
            DatabaseKind::Postgresql => postgresql(draft, database),
            _ => elsewhere(draft, database),
        }
    }
}

/// The Secret with user, password and name, and the inputs for them.
fn secret(draft: &mut Draft<'_>, database: &NeedsDatabase, name: &str, ours: bool) {
    let component = if ours {
        Component::Database
    } else {
        Component::Application
    };
    let metadata = draft.metadata(name, component);
    let mut data = json!({"database-name": identifier(&database.database)});
    if ours {
        data["database-user"] = json!(identifier(&database.database));
    }
    let at = draft.add(
        Stage::Configuration,
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}),
    );
    let prefix = database.service.to_ascii_uppercase();
    let input = |part: &str, value: InputValue, what: &str| {
        let name = format!("{prefix}_{part}");
        Input::new(
            &name,
            &["secrets", &name],
            value,
            &format!("{what} of the database {}", database.service),
        )
    };
    let preset = || InputValue::Default {
        value: identifier(&database.database),
    };
    let (user, password) = if ours {
        (
            preset(),
            InputValue::Generated {
                length: PASSWORD_LENGTH,
            },
        )
    } else {
        (InputValue::Required, InputValue::Required)
    };
    draft.input(input("USER", user, "User").at(at, "/stringData/database-user"));
    draft.input(
        input("PASSWORD", password, "Password")
            .secret()
            .at(at, "/stringData/database-password"),
    );
    draft.input(input("DATABASE", preset(), "Name").at(at, "/stringData/database-name"));
}

/// A database that is not part of the manifests: only what the application needs to reach it.
fn elsewhere(draft: &mut Draft<'_>, database: &NeedsDatabase) {
    let needs = draft.needs;
    let name = secret_name(needs, database.kind);
    let asks = needs.variables.iter().any(|variable| {
        matches!(
            variable.source,
            Some(Source::Secret {
                of: SecretOf::Database,
                ..
            })
        ) && kind_of(&variable.name) == database.kind
    });
    if asks {
        secret(draft, database, &name, false);
    }
    draft.note(format!(
        "the database is not part of this: a Service called {0} has to lead to it at port {1} (of the type ExternalName, if it is outside of the cluster){2}",
        database.service,
        database.port,
        if asks {
            format!(", and the Secret {name} takes its user and password")
        } else {
            String::new()
        }
    ));
}

/// PostgreSQL beside the application, on a claim of its own.
fn postgresql(draft: &mut Draft<'_>, database: &NeedsDatabase) {
    let (needs, options) = (draft.needs, draft.options);
    let name = database.service.as_str();
    secret(draft, database, name, true);

    claim(
        draft,
        Stage::Database,
        name,
        Component::Database,
        ("DATABASE_VOLUME_CAPACITY", &["database", "size"]),
    );
    let selector = draft.selector(name, Component::Database);
    let labels = draft.labels(name, Component::Database);
    let metadata = draft.metadata(name, Component::Database);
    draft.add(
        Stage::Database,
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {
                "ports": [{"name": "postgresql", "port": database.port, "protocol": "TCP", "targetPort": "postgresql"}],
                "selector": selector,
            },
        }),
    );
    let env: Vec<Value> = [
        ("POSTGRESQL_USER", "database-user"),
        ("POSTGRESQL_PASSWORD", "database-password"),
        ("POSTGRESQL_DATABASE", "database-name"),
    ]
    .iter()
    .map(|(variable, key)| {
        json!({"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}})
    })
    .collect();
    let check = "/usr/libexec/check-container";
    let ready = Timing {
        delay: 5,
        timeout: 5,
        period: 10,
        failures: 3,
    };
    let alive = Timing {
        delay: 120,
        timeout: 10,
        period: 20,
        failures: 3,
    };
    let template = json!({
        "metadata": {"labels": labels},
        "spec": {
            "automountServiceAccountToken": false,
            "containers": [{
                "name": "postgresql",
                "image": NO_IMAGE,
                "imagePullPolicy": PULL,
                "env": env,
                "ports": [{"name": "postgresql", "containerPort": 5432, "protocol": "TCP"}],
                "readinessProbe": probe(&[check], ready),
                "livenessProbe": probe(&[check, "--live"], alive),
                "resources": resources(MEMORY_MB),
                "securityContext": security(options),
                "volumeMounts": [{"name": "data", "mountPath": "/var/lib/pgsql/data"}],
            }],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}],
        },
    });
    let metadata = draft.metadata(name, Component::Database);
    let object = workload(
        options.workload,
        Parts {
            metadata,
            selector,
            replicas: 1,
            recreate: true,
            follows: Follows {
                tag: &options.postgresql,
                namespace: Some("openshift"),
            },
            template,
            hook: None,
        },
    );
    draft.add(Stage::Database, object);
    draft.note(format!(
        "PostgreSQL is the tag {} of the project openshift; the Django of today wants PostgreSQL 14 or later",
        options.postgresql
    ));
    let uses_name = needs.databases.iter().any(|one| one.kind == database.kind)
        && !needs
            .variables
            .iter()
            .any(|variable| variable.name == "PGDATABASE");
    if uses_name && identifier(&database.database) != database.database {
        draft.note(format!(
            "V2 called the database {}, and PostgreSQL's image only takes {}: settings that name it after OPENSHIFT_APP_NAME have to be told",
            database.database,
            identifier(&database.database)
        ));
    }
}

/// A claim that one node at a time can have.
pub(super) fn claim(
    draft: &mut Draft<'_>,
    stage: Stage,
    name: &str,
    component: Component,
    (input, path): (&str, &[&str]),
) {
    let options = draft.options;
    let mut spec = json!({
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": options.claim_size}},
    });
    if let Some(class) = &options.storage_class {
        spec["storageClassName"] = json!(class);
    }
    let metadata = draft.metadata(name, component);
    let at = draft.add(
        stage,
        json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": metadata,
            "spec": spec,
        }),
    );
    draft.input(
        Input::preset(
            input,
            path,
            &options.claim_size,
            &format!("Size of the claim {name}"),
        )
        .at(at, "/spec/resources/requests/storage"),
    );
    let description = "Storage class of the claims; the cluster's default otherwise";
    let path = &["storageClass"];
    let input = match &options.storage_class {
        Some(class) => Input::preset("STORAGE_CLASS", path, class, description),
        // The empty string would be a class of its own: none.
        None => Input::new("STORAGE_CLASS", path, InputValue::Optional, description),
    };
    draft.input(input.at(at, "/spec/storageClassName"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_images_take() {
        assert_eq!(identifier("notes"), "notes");
        assert_eq!(identifier("my-notes"), "my_notes");
        assert_eq!(identifier("2048"), "_2048");
    }

    #[test]
    fn variables_tell_whose_they_are() {
        for (variable, kind) in [
            ("OPENSHIFT_MYSQL_DB_HOST", DatabaseKind::Mysql),
            ("OPENSHIFT_MARIADB_DB_URL", DatabaseKind::Mysql),
            ("OPENSHIFT_MONGODB_DB_URL", DatabaseKind::Mongodb),
            ("OPENSHIFT_POSTGRESQL_DB_URL", DatabaseKind::Postgresql),
            ("PGPASSWORD", DatabaseKind::Postgresql),
        ] {
            assert_eq!(kind_of(variable), kind, "{variable}");
        }
    }
}
