//! Uploaded files.

use crate::findings::{Check, Rule, Severity, TreeContext};
use crate::options::{DatabaseChoice, Server};

pub(super) const RULE: Rule = Rule {
    id: "media-files",
    title: "uploaded files",
    why: "uploads have to be on the claim, and the server has to be told where they are",
    check: Check::Tree(check),
};

fn check(tree: &TreeContext<'_>) {
    let Some(media) = tree
        .facts
        .project
        .as_ref()
        .and_then(|project| project.media.as_ref())
    else {
        return;
    };
    let place = media.root.as_deref().unwrap_or("an unknown place");
    let settings = tree
        .facts
        .project
        .as_ref()
        .and_then(|project| project.settings.first())
        .map(|file| file.path.as_str());
    if !media.in_data_dir {
        tree.add(
            RULE.finding(
                Severity::Warning,
                settings,
                None,
                format!("uploads go to {place}, outside of the data directory"),
            )
            .person("keep them below OPENSHIFT_DATA_DIR; otherwise they are gone with each pod"),
        );
        return;
    }
    if tree.options.database == DatabaseChoice::Service {
        tree.add(
            RULE.finding(
                Severity::Warning,
                settings,
                None,
                format!("uploads are kept in {place}, which needs a claim although the database is a service"),
            )
            .person("with the claim it runs in one pod; to scale it, keep uploads in a store of objects"),
        );
    }
    match tree.options.server {
        Server::ModWsgi => tree.add(
            RULE.finding(
                Severity::Info,
                settings,
                None,
                format!("uploads are kept in {place}"),
            )
            .convert("serves them beside the application, in app.sh"),
        ),
        Server::Gunicorn => tree.add(
            RULE.finding(
                Severity::Warning,
                settings,
                None,
                format!(
                    "uploads are kept in {place}, and WhiteNoise does not serve files that change"
                ),
            )
            .person("serve them by an address of the application's, or choose --server mod-wsgi"),
        ),
    }
}
