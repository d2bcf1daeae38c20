//! What starts the application.

use crate::facts::{EntryKind, entry_candidates};
use crate::findings::{Check, Rule, Severity, TreeContext};

pub(super) const RULE: Rule = Rule {
    id: "entry-point",
    title: "what starts the application",
    why: "V2 looked for app.py, $OPENSHIFT_PYTHON_WSGI_APPLICATION, wsgi/application and wsgi.py, in this order; the V3 builder looks for app.sh, app.py and Django's manage.py in the root",
    check: Check::Tree(check),
};

fn check(tree: &TreeContext<'_>) {
    if tree.facts.cartridge != crate::facts::Cartridge::Python {
        return;
    }
    let Some(entry) = &tree.facts.entry else {
        let candidates = entry_candidates(tree.tree);
        let advice = match candidates.first() {
            Some(first) => format!(
                "name it, as in --entry {first} (there is {}); V2 had it in OPENSHIFT_PYTHON_WSGI_APPLICATION then",
                candidates.join(", ")
            ),
            None => "name it with --entry".to_owned(),
        };
        tree.add(
            RULE.finding(
                Severity::Blocker,
                None,
                None,
                "there is no entry point that V2 would have found",
            )
            .person(advice),
        );
        return;
    };
    for other in &entry.passed_over {
        tree.add(
            RULE.finding(
                Severity::Warning,
                Some(other),
                None,
                format!(
                    "{} comes before it, so this file was never started",
                    entry.path
                ),
            )
            .person(format!(
                "if it is the one to be served, name it with --entry {other}"
            )),
        );
    }
    if tree.tree.is_file("gunicorn.conf.py") {
        tree.add(
            RULE.finding(
                Severity::Blocker,
                Some("gunicorn.conf.py"),
                None,
                "the V3 builder starts gunicorn by this file before it looks for app.sh, and V2 did not look at it",
            )
            .person("give it another name, or see that it names the application by itself"),
        );
    }
    if tree.tree.is_file("app.sh") {
        return;
    }
    match entry.kind {
        EntryKind::Wsgi => tree.add(
            RULE.finding(
                Severity::Blocker,
                Some(&entry.path),
                None,
                "the V3 builder does not know this file as an entry point",
            )
            .convert(format!("writes app.sh, which serves it with {}", tree.options.server)),
        ),
        EntryKind::SelfServing => tree.add(
            RULE.finding(
                Severity::Warning,
                Some(&entry.path),
                None,
                "it serves by itself, and as process 1 Python does not end at SIGTERM",
            )
            .convert("keeps it, sets OPENSHIFT_PYTHON_IP and _PORT to 0.0.0.0 and 8080, and ENABLE_INIT_WRAPPER=1"),
        ),
    }
}
