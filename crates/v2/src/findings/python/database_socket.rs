//! Databases that were reached through V2's sockets.

use crate::findings::{Check, FileContext, Rule, Severity};
use crate::python::visit;

pub(super) const RULE: Rule = Rule {
    id: "database-socket",
    title: "databases reached through a socket",
    why: "a database is a service of its own on V3 and is reached by host and port",
    check: Check::Python {
        needle: r"/var/|PGDATABASE",
        check,
    },
};

fn check(file: &FileContext<'_>) {
    if !file.is_settings() {
        return;
    }
    let py = file.py;
    visit(py.root(), &mut |node| {
        if node.kind() != "dictionary" {
            return true;
        }
        if py.entry(node, "ENGINE").is_none() {
            return true;
        }
        let host = py.entry(node, "HOST");
        if let Some(host) = host
            && py.string(host).is_some_and(|host| host.contains("/var/"))
        {
            file.add(
                file.at(
                    &RULE,
                    Severity::Blocker,
                    py.line(host),
                    "the database's host is a path",
                )
                .person(
                    "read the host from OPENSHIFT_POSTGRESQL_DB_HOST or OPENSHIFT_MYSQL_DB_HOST",
                ),
            );
        }
        if let Some(name) = py.entry(node, "NAME")
            && py.text(name).contains("PGDATABASE")
            && host.is_none_or(|host| py.string(host).is_some_and(|host| host.is_empty()))
        {
            file.add(
                file.at(
                    &RULE,
                    Severity::Info,
                    py.line(name),
                    "the database is reached without a host",
                )
                .convert(
                    "gives PGHOST, PGPORT, PGUSER and PGPASSWORD, which the client library reads",
                ),
            );
        }
        false
    });
}
