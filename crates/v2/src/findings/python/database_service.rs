//! PostgreSQL beside the application, when that was chosen.

use crate::findings::{Check, FileContext, Role, Rule, Severity};
use crate::options::DatabaseChoice;

pub(super) const RULE: Rule = Rule {
    id: "database-service",
    title: "the database as a service",
    why: "a file on a ReadWriteOnce claim ties the application to one pod, which cannot be scaled nor rolled",
    check: Check::Python {
        needle: r"DATABASES",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if file.options.database != DatabaseChoice::Service || file.role != Role::Settings {
        return;
    }
    let py = file.py;
    // Ours, or one that reads the same variables already.
    if py.source().contains("OPENSHIFT_POSTGRESQL_DB_HOST")
        || py.source().contains("OPENSHIFT_POSTGRESQL_DB_URL")
    {
        return;
    }
    let line = file
        .assigned("DATABASES")
        .first()
        .map_or(1, |assign| py.line(assign.statement));
    let import = if super::secret_key::imports_os(file) {
        ""
    } else {
        "import os\n"
    };
    file.add(
        file.at(&RULE, Severity::Blocker, line, "the database is not the service that was chosen")
            .convert("adds settings for PostgreSQL, which count where its host is known; without it the others count")
            .append(format!(
                "\n# PostgreSQL beside the application.\n{import}if os.environ.get('OPENSHIFT_POSTGRESQL_DB_HOST'):\n    DATABASES = {{\n        'default': {{\n            'ENGINE': 'django.db.backends.postgresql',\n            'HOST': os.environ['OPENSHIFT_POSTGRESQL_DB_HOST'],\n            'PORT': os.environ['OPENSHIFT_POSTGRESQL_DB_PORT'],\n            'USER': os.environ['OPENSHIFT_POSTGRESQL_DB_USERNAME'],\n            'PASSWORD': os.environ['OPENSHIFT_POSTGRESQL_DB_PASSWORD'],\n            'NAME': os.environ['PGDATABASE'],\n        }}\n    }}\n"
            )),
    );
}
