//! Static files: collected at build, served beside the application.

use crate::convert::published;
use crate::findings::{Check, Rule, Severity, TreeContext};

pub(super) const RULE: Rule = Rule {
    id: "static-files",
    title: "static files",
    why: "V2's Apache served wsgi/static under /static by itself; the V3 builder collects only where manage.py is in a place that it knows, and its servers serve no files",
    check: Check::Tree(check),
};

fn check(tree: &TreeContext<'_>) {
    let Some(entry) = &tree.facts.entry else {
        return;
    };
    if tree.tree.is_file("app.sh") || entry.kind == crate::facts::EntryKind::SelfServing {
        return;
    }
    if let Some(project) = &tree.facts.project
        && let Some(root) = &project.static_files.root
        && let Some(what) = published(tree.tree, tree.facts, root)
    {
        tree.add(
            RULE.finding(
                Severity::Blocker,
                project.settings.first().map(|file| file.path.as_str()),
                None,
                format!("STATIC_ROOT is {root}, and whoever serves that folder publishes {what}"),
            )
            .person("give static files a folder of their own, as in STATIC_ROOT = os.path.join(REPO_DIR, 'wsgi', 'static'); until then they are not served"),
        );
        return;
    }
    let has_folder = tree.tree.is_folder("wsgi/static");
    if let Some(project) = &tree.facts.project {
        if let (Some(manage), Some(_)) = (&project.manage, &project.static_files.root) {
            tree.add(
                RULE.finding(
                    Severity::Blocker,
                    Some(manage),
                    None,
                    "static files would be neither collected nor served, and pages come without their styles",
                )
                .convert("collects them in the build hook, serves them beside the application where the folder exists, and sets DISABLE_COLLECTSTATIC=1 and DISABLE_MIGRATE=1"),
            );
        }
    } else if has_folder {
        tree.add(
            RULE.finding(
                Severity::Blocker,
                Some("wsgi/static"),
                None,
                "the files in wsgi/static would not be served",
            )
            .convert("serves them under /static beside the application"),
        );
    }
}
