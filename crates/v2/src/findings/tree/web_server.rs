//! What the server needs of the builder image.

use crate::facts::EntryKind;
use crate::findings::{Check, Rule, Severity, TreeContext};
use crate::options::Server;

pub(super) const RULE: Rule = Rule {
    id: "web-server",
    title: "what the server needs of the builder image",
    why: "mod_wsgi is compiled during the build, and needs apxs and the headers of Apache",
    check: Check::Tree(check),
};

fn check(tree: &TreeContext<'_>) {
    let is_wsgi = tree
        .facts
        .entry
        .as_ref()
        .is_some_and(|entry| entry.kind == EntryKind::Wsgi);
    if !is_wsgi || tree.options.server != Server::ModWsgi {
        return;
    }
    tree.add(
        RULE.finding(
            Severity::Info,
            None,
            None,
            "mod_wsgi-express needs a full builder image; the minimal ones have no Apache",
        )
        .person("choose an image without -minimal in its name, or --server gunicorn"),
    );
}
