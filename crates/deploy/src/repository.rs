//! What a Git repository holds by now, asked of it by this machine's git.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

/// How long a repository may take to answer.
const ANSWER: Duration = Duration::from_secs(30);

/// The commit that a build of this configuration would be made of; `None` where git is not to be had or the repository does not
/// answer this machine, as it may well answer the cluster alone.
pub(crate) async fn newest_commit(config: &Value) -> Option<String> {
    let git = &config["spec"]["source"]["git"];
    let uri = git["uri"].as_str()?;
    let reference = git["ref"].as_str().filter(|name| !name.is_empty());
    if let Some(commit) = reference.filter(|name| is_commit(name)) {
        return Some(commit.to_owned());
    }
    let reference = reference.unwrap_or("HEAD");
    // An address that began with `-` would be an option.
    if uri.starts_with('-') || reference.starts_with('-') {
        return None;
    }
    let mut command = Command::new("git");
    command
        .args(["ls-remote", "--", uri, reference])
        .arg(format!("{reference}^{{}}"))
        // Nobody is there to answer.
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "true")
        .env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(ANSWER, command.output()).await.ok()?.ok()?;
    if !output.status.success() {
        tracing::debug!(uri, "the repository does not say what it holds");
        return None;
    }
    chosen(&String::from_utf8_lossy(&output.stdout), reference)
}

fn is_commit(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Takes the commit that a checkout of this name would be: that of a tag, not the tag's own.
fn chosen(listed: &str, reference: &str) -> Option<String> {
    let find = |name: &str| {
        let line = listed.lines().find_map(|line| {
            let (commit, at) = line.split_once('\t')?;
            (at == name).then_some(commit)
        });
        line.filter(|commit| is_commit(commit)).map(str::to_owned)
    };
    find(&format!("refs/heads/{reference}"))
        .or_else(|| find(&format!("refs/tags/{reference}^{{}}")))
        .or_else(|| find(&format!("refs/tags/{reference}")))
        .or_else(|| find(reference))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_of_a_name_is_that_of_its_branch_or_tag_alone() {
        let commit = |digit: &str| digit.repeat(40);
        let listed = format!(
            "{}\trefs/heads/feature/main\n{}\trefs/heads/main\n{}\trefs/tags/v1\n{}\trefs/tags/v1^{{}}\n{}\tHEAD\n",
            commit("0"),
            commit("1"),
            commit("2"),
            commit("3"),
            commit("4"),
        );
        for (reference, expected) in [
            ("main", Some(commit("1"))),
            ("v1", Some(commit("3"))),
            ("HEAD", Some(commit("4"))),
            ("refs/heads/main", Some(commit("1"))),
            ("feature", None),
        ] {
            assert_eq!(chosen(&listed, reference), expected, "{reference}");
        }
        assert_eq!(chosen("fatal\n", "main"), None);
    }
}
