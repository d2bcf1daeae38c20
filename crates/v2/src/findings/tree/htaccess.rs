//! `.htaccess` files, which V2's Apache read.

use crate::findings::{Check, Rule, Severity, TreeContext};

pub(super) const RULE: Rule = Rule {
    id: "htaccess",
    title: "rules in .htaccess",
    why: "V2's Apache followed .htaccess files below wsgi/; mod_wsgi-express and gunicorn do not",
    check: Check::Tree(check),
};

fn check(tree: &TreeContext<'_>) {
    for (path, _) in tree.tree.files() {
        if path.rsplit('/').next() != Some(".htaccess") {
            continue;
        }
        let Some(text) = tree.tree.text(path) else {
            continue;
        };
        for (at, line) in text.lines().enumerate() {
            let rule = line.trim();
            if rule.is_empty()
                || rule.starts_with('#')
                || rule.starts_with('<')
                || rule.starts_with("RewriteEngine")
                || rule.starts_with("RewriteCond")
                || rule.starts_with("RewriteBase")
                || rule.starts_with("Options")
            {
                continue;
            }
            let finding = RULE.finding(
                Severity::Warning,
                Some(path),
                Some(at + 1),
                format!(
                    "this rule is not followed any more: {}",
                    rule.chars().take(100).collect::<String>()
                ),
            );
            tree.add(if rule.contains("https://") && tree.facts.forces_https {
                finding.convert("asks for a Route that redirects http to https")
            } else {
                finding.person("do it in the application, or with --url-alias in app.sh for a file or a folder")
            });
        }
    }
}
