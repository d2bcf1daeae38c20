//! Settings of the server and settings of the commands.

use crate::findings::{Check, Rule, Severity, TreeContext};

pub(super) const RULE: Rule = Rule {
    id: "settings-module",
    title: "the settings module",
    why: "migrations and collected files are only right with the settings that serve",
    check: Check::Tree(check),
};

fn check(tree: &TreeContext<'_>) {
    let Some(project) = &tree.facts.project else {
        return;
    };
    if project.settings.is_empty() {
        tree.add(
            RULE.finding(
                Severity::Blocker,
                project.manage.as_deref(),
                None,
                "no settings module could be found",
            )
            .person("name it with --settings, as in --settings myproject.settings"),
        );
    }
    if project.manage.is_none() {
        tree.add(
            RULE.finding(Severity::Warning, None, None, "there is no manage.py")
                .convert("calls `python -m django` with the settings module in its place"),
        );
        return;
    }
    let Some(manage) = &project.manage else {
        return;
    };
    let others: Vec<&str> = tree
        .tree
        .files()
        .map(|(path, _)| path)
        .filter(|path| path.rsplit('/').next() == Some("manage.py") && path != manage)
        .collect();
    if !others.is_empty() && tree.options.manage.is_none() {
        tree.add(
            RULE.finding(
                Severity::Warning,
                Some(manage),
                None,
                format!(
                    "there is more than one manage.py; this one is used, and not {}",
                    others.join(", ")
                ),
            )
            .person("name the right one with --manage"),
        );
    }
    if let (Some(module), Some(text)) = (&project.settings_module, tree.tree.text(manage))
        && !text.contains(module.as_str())
        && text.contains("DJANGO_SETTINGS_MODULE")
    {
        tree.add(
            RULE.finding(
                Severity::Warning,
                Some(manage),
                None,
                format!("manage.py has other settings than the server, which has {module}"),
            )
            .convert("sets DJANGO_SETTINGS_MODULE in .s2i/environment to the server's"),
        );
    }
}
