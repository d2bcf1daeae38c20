//! `.htaccess` files, which V2's Apache read.

use crate::findings::{Check, Rule, Severity, TreeContext};
use crate::options::Server;
use crate::tree::Tree;

pub(super) const RULE: Rule = Rule {
    id: "htaccess",
    title: "rules in .htaccess",
    why: "V2's Apache followed .htaccess files below wsgi/; mod_wsgi-express and gunicorn do not",
    check: Check::Tree(check),
};

/// A file or a folder of the tree that a rule serves under an address.
pub(crate) struct Alias {
    line: usize,
    pub(crate) url: String,
    pub(crate) place: String,
}

/// The folder that Apache served in V2, with a `/` at its end where it is not the root.
fn document_root(tree: &Tree) -> &'static str {
    if tree.is_folder("wsgi") { "wsgi/" } else { "" }
}

/// What the rules for all of the application serve, as far as they name it plainly.
pub(crate) fn aliases(tree: &Tree) -> Vec<Alias> {
    let root = document_root(tree);
    let Some(text) = tree.text(&format!("{root}.htaccess")) else {
        return Vec::new();
    };
    let mut found: Vec<Alias> = Vec::new();
    let mut on_condition = false;
    for (at, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["RewriteBase", base] if *base != "/" => return Vec::new(),
            ["RewriteCond", ..] => on_condition = true,
            ["RewriteRule", pattern, target, flags @ ..] => {
                let plain = flags.iter().all(|flags| {
                    flags
                        .trim_matches(['[', ']'])
                        .split(',')
                        .all(|flag| matches!(flag, "L" | "END" | "PT" | "QSA" | ""))
                });
                if let Some((url, place)) = alias(tree, root, pattern, target)
                    && plain
                    && !std::mem::take(&mut on_condition)
                    && !found.iter().any(|alias| alias.url == url)
                {
                    found.push(Alias {
                        line: at + 1,
                        url,
                        place,
                    });
                }
                on_condition = false;
            }
            _ => {}
        }
    }
    found
}

/// `^robots\.txt$ /static/robots.txt`, and `^media/(.*)$ /static/media/$1`.
fn alias(tree: &Tree, root: &str, pattern: &str, target: &str) -> Option<(String, String)> {
    let pattern = pattern.strip_prefix('^')?;
    let pattern = pattern.strip_suffix('$').unwrap_or(pattern);
    let (from, to) = match pattern.strip_suffix("/(.*)") {
        Some(folder) => (folder, target.strip_suffix("/$1")?),
        None => (pattern, target),
    };
    let plain = |text: &str| {
        !text.is_empty()
            && !text.contains("..")
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c))
    };
    let from = from.replace("\\.", ".");
    let to = to.trim_start_matches('/');
    if !plain(&from) || !plain(to) {
        return None;
    }
    let place = format!("{root}{to}");
    let is_there = if pattern.ends_with("(.*)") {
        tree.is_folder(&place)
    } else {
        tree.is_file(&place)
    };
    is_there.then(|| (format!("/{}", from.trim_start_matches('/')), place))
}

fn check(tree: &TreeContext<'_>) {
    let live = format!("{}.htaccess", document_root(tree.tree));
    let served = aliases(tree.tree);
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
            let is_alias = path == live
                && tree.options.server == Server::ModWsgi
                && served.iter().any(|alias| alias.line == at + 1);
            tree.add(if is_alias {
                finding.convert("serves that file or folder with --url-alias, in app.sh")
            } else if rule.contains("https://") && tree.facts.forces_https {
                finding.convert("asks for a Route that redirects http to https")
            } else {
                finding.person("do it in the application, or with --url-alias in app.sh for a file or a folder")
            });
        }
    }
}
