//! Action hooks: where each goes, and which have no place.

use crate::facts::HookState;
use crate::findings::{Check, Rule, Severity, TreeContext};

pub(super) const RULE: Rule = Rule {
    id: "action-hooks",
    title: "action hooks",
    why: "V3 calls no hooks by itself; the runner that the conversion adds calls those of its own moments",
    check: Check::Tree(check),
};

fn check(tree: &TreeContext<'_>) {
    let converted = tree.tree.is_folder(".s2i/action_hooks");
    for hook in &tree.facts.hooks {
        let path = Some(hook.path.as_str());
        let text = tree.tree.text(&hook.path).unwrap_or_default();
        if hook.state == HookState::Empty {
            if !converted {
                tree.add(
                    RULE.finding(
                        Severity::Info,
                        path,
                        None,
                        format!("the hook {} does nothing", hook.name),
                    )
                    .convert("leaves it out"),
                );
            }
            continue;
        }
        if text.contains("\r\n") {
            tree.add(
                RULE.finding(
                    Severity::Blocker,
                    path,
                    Some(1),
                    format!(
                        "the hook {} has Windows line ends, so its `#!` names no program",
                        hook.name
                    ),
                )
                .convert("writes the carried-over hook with Unix line ends"),
            );
        }
        secrets(tree, path, &text);
        if !is_moment(&hook.name) {
            // It is no hook, whatever it is: it lies beside them.
            tree.add(
                RULE.finding(
                    Severity::Info,
                    path,
                    None,
                    format!("{} lies beside the hooks, and is none", hook.name),
                )
                .convert("leaves it where it is; carried-over hooks find it there"),
            );
            continue;
        }
        if hook.state == HookState::NotExecutable {
            tree.add(
                RULE.finding(
                    Severity::Warning,
                    path,
                    None,
                    format!(
                        "the hook {} was not executable, so V2 never ran it",
                        hook.name
                    ),
                )
                .person("if it is wanted after all, make it executable and convert again"),
            );
            continue;
        }
        if converted {
            continue;
        }
        if let Some(line) = text
            .lines()
            .position(|line| is_activation(line) || without_activation(line) != line)
        {
            tree.add(
                RULE.finding(
                    Severity::Warning,
                    path,
                    Some(line + 1),
                    "V2's virtual environment is activated, which is nowhere now",
                )
                .convert("takes the line out of the carried-over hook"),
            );
        }
        let finding = RULE.finding(
            Severity::Warning,
            path,
            None,
            format!("V3 does not call the hook {}", hook.name),
        );
        tree.add(match crate::convert::hook_target(&hook.name) {
            Some(target) => finding.convert(target),
            None => finding.person(no_place(&hook.name)),
        });
    }
}

/// Passwords that a hook gives to variables.
fn secrets(tree: &TreeContext<'_>, path: Option<&str>, text: &str) {
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        let Some((name, value)) = line.strip_prefix("export ").unwrap_or(line).split_once('=')
        else {
            continue;
        };
        let upper = name.to_ascii_uppercase();
        let is_secret = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "API_KEY"]
            .iter()
            .any(|word| upper.contains(word));
        let value = value.trim_matches(['"', '\'']);
        if is_secret
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !value.is_empty()
            && !value.starts_with(['$', '`'])
        {
            tree.add(
                RULE.finding(
                    Severity::Warning,
                    path,
                    Some(at + 1),
                    format!(
                        "the hook gives {name} a value that everybody who has the source can read"
                    ),
                )
                .person(format!(
                    "change the secret, take the line out, and give {name} from a Secret"
                )),
            );
        }
    }
}

/// `source …/virtenv/bin/activate` and the like.
pub(crate) fn is_activation(line: &str) -> bool {
    let line = line.trim();
    let word = line.split_whitespace().next().unwrap_or_default();
    matches!(word, "source" | ".")
        && (line.contains("bin/activate")
            || line.contains("virtenv")
            || line.contains("virtualenv"))
        && !line.contains("&&")
        && !line.contains(';')
}

/// A line without an activation that stands before a command, as in `source …/bin/activate && run`.
pub(crate) fn without_activation(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    let (blank, code) = line.split_at(indent);
    let Some((first, rest)) = code.split_once("&&").or_else(|| code.split_once(';')) else {
        return line.to_owned();
    };
    if is_activation(first) && first.split_whitespace().count() == 2 {
        format!("{blank}{}", rest.trim_start_matches([' ', '\t']))
    } else {
        line.to_owned()
    }
}

/// Whether V2 called hooks of that name.
fn is_moment(name: &str) -> bool {
    matches!(name, "build" | "deploy" | "prepare" | "start" | "stop")
        || ["pre_", "post_", "control", "threaddump", "tidy"]
            .iter()
            .any(|begin| name.starts_with(begin))
}

fn no_place(name: &str) -> &'static str {
    match name {
        name if name.starts_with("post_stop") => {
            "nothing runs once a pod has stopped: do it in a preStop hook, or in the next deploy hook"
        }
        name if name.contains("restart") || name.contains("reload") => {
            "pods are replaced, not restarted: see whether it is still needed"
        }
        name if name.contains("tidy") => "make it a job in .s2i/jobs, or leave it out",
        "start" | "stop" => "these belong to the diy cartridge",
        _ => "see whether it is still needed",
    }
}
