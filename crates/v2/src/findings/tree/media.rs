//! Uploaded files.

use crate::convert::{published, url_path};
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
    let is_served = media.url.as_deref().and_then(url_path).is_some();
    if let Some(what) = media
        .root
        .as_deref()
        .filter(|_| is_served)
        .and_then(|root| published(tree.tree, tree.facts, root))
    {
        tree.add(
            RULE.finding(
                Severity::Warning,
                settings,
                None,
                format!("uploads go to {place}, and whoever serves that folder publishes {what}"),
            )
            .person("give uploads a folder of their own, as in MEDIA_ROOT = os.path.join(DATA_DIR, 'media'), and move the files there; until then they are not served"),
        );
        return;
    }
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
    if !is_served {
        tree.add(RULE.finding(
            Severity::Info,
            settings,
            None,
            format!("uploads are kept in {place}, and MEDIA_URL names no path of this host that they would be served under"),
        ));
        return;
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
