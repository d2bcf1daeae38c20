//! Sources from Git, fetched by the machine's own `git`, which is told to trust nothing.

use std::path::Path;
use std::process::Stdio;

use base64::Engine;
use openshifter_apiserver::Store;
use serde_json::{Value, json};
use tokio::process::Command;

use super::log::Log;
use super::status::Failure;
use crate::node::contents;
use crate::object::{self, resources, text};

/// Clones a repository into `into` and checks the wanted commit out. Returns what was found.
pub(super) async fn fetch(
    store: &Store,
    build: &Value,
    into: &Path,
    log: &Log,
) -> Result<Value, Failure> {
    let uri = text(build, "/spec/source/git/uri");
    let reference = text(build, "/spec/source/git/ref");
    let commit = text(build, "/spec/revision/git/commit");
    if !uri.starts_with("http://") && !uri.starts_with("https://") {
        return Err(Failure::source(format!(
            "cannot fetch {uri:?}: this cluster fetches http://, https:// and, from this machine, file:// alone"
        )));
    }
    for word in [reference, commit] {
        if word.starts_with('-') {
            return Err(Failure::source(format!("{word:?} is not a reference")));
        }
    }
    log.line(&format!("Cloning {:?} ...", without_secrets(uri)));
    let header = credentials(store, build)?;
    let git = |folder: &Path| {
        let mut git = Command::new("git");
        git.current_dir(folder)
            .env_clear()
            .stdin(Stdio::null())
            .kill_on_drop(true);
        // Neither the caller's settings nor a prompt, nor another transport by a redirection or a
        // submodule; and no program that the repository names is run.
        for (name, value) in [
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ALLOW_PROTOCOL", "http:https"),
            ("GIT_LFS_SKIP_SMUDGE", "1"),
            ("HOME", "/nonexistent"),
            ("LC_ALL", "C.UTF-8"),
            ("GIT_CONFIG_COUNT", if header.is_some() { "3" } else { "2" }),
            ("GIT_CONFIG_KEY_0", "core.hooksPath"),
            ("GIT_CONFIG_VALUE_0", "/dev/null"),
            ("GIT_CONFIG_KEY_1", "core.symlinks"),
            ("GIT_CONFIG_VALUE_1", "true"),
        ] {
            git.env(name, value);
        }
        if let Some(header) = &header {
            // In the environment, since everybody may read command lines.
            git.env("GIT_CONFIG_KEY_2", "http.extraHeader");
            git.env("GIT_CONFIG_VALUE_2", header);
        }
        for name in [
            "PATH",
            "http_proxy",
            "https_proxy",
            "no_proxy",
            "HTTPS_PROXY",
            "NO_PROXY",
            "SSL_CERT_FILE",
            "GIT_SSL_CAINFO",
        ] {
            if let Some(value) = std::env::var_os(name) {
                git.env(name, value);
            }
        }
        git
    };
    let run = async |mut command: Command| -> Result<(), Failure> {
        let output = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .await
            .map_err(|error| {
                Failure::source(match error.kind() {
                    std::io::ErrorKind::NotFound => {
                        "git is not installed on this machine".to_owned()
                    }
                    _ => format!("git cannot be started: {error}"),
                })
            })?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Failure::source(format!("error: {}", said.trim())))
    };

    let parent = into.parent().unwrap_or(into);
    let mut clone = git(parent);
    clone.args(["clone", "--quiet", "--no-checkout"]);
    // A commit may be anywhere in the history; a branch's or tag's tip is enough else.
    if commit.is_empty() {
        clone.args(["--depth", "1"]);
        if !reference.is_empty() && !is_commit(reference) {
            clone.args(["--branch", reference]);
        }
    }
    clone.arg("--").arg(uri).arg(into);
    run(clone).await?;
    let wanted = match (commit, reference) {
        ("", reference) if is_commit(reference) => {
            let mut fetch = git(into);
            fetch.args(["fetch", "--quiet", "--depth", "1", "origin", reference]);
            run(fetch).await?;
            reference
        }
        ("", _) => "HEAD",
        (commit, _) => commit,
    };
    let mut checkout = git(into);
    checkout.args(["checkout", "--quiet", "--force", "--detach", wanted]);
    run(checkout).await?;
    describe(git(into), log).await
}

/// What was checked out, as the status and the log of a build say it.
async fn describe(mut show: Command, log: &Log) -> Result<Value, Failure> {
    let output = show
        .args([
            "show",
            "--no-patch",
            "--format=%H%n%an%n%ae%n%cn%n%ce%n%cD%n%s",
            "HEAD",
        ])
        .output()
        .await
        .map_err(|error| Failure::source(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = said.lines();
    let mut next = || lines.next().unwrap_or_default().to_owned();
    let (commit, author, author_mail) = (next(), next(), next());
    let (committer, committer_mail, date, subject) = (next(), next(), next(), next());
    log.line(&format!("\tCommit:\t{commit} ({subject})"));
    log.line(&format!("\tAuthor:\t{author} <{author_mail}>"));
    log.line(&format!("\tDate:\t{date}"));
    Ok(json!({
        "type": "Git",
        "git": {
            "commit": commit,
            "author": {"name": author, "email": author_mail},
            "committer": {"name": committer, "email": committer_mail},
            "message": subject,
        },
    }))
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// An address without what somebody may have put before its host.
fn without_secrets(uri: &str) -> String {
    match uri.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            format!("{scheme}://{host}/{path}")
        }
        None => uri.to_owned(),
    }
}

/// The header that the build's source secret asks for.
fn credentials(store: &Store, build: &Value) -> Result<Option<String>, Failure> {
    let name = text(build, "/spec/source/sourceSecret/name");
    if name.is_empty() {
        return Ok(None);
    }
    let secret = contents(store, &resources::secrets(), object::namespace(build), name)
        .ok_or_else(|| Failure::source(format!("the source secret {name:?} does not exist")))?;
    let part = |key: &str| {
        secret
            .get(key)
            .map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned())
    };
    let (user, password) = (part("username"), part("password").or_else(|| part("token")));
    let Some(password) = password else {
        return Err(Failure::source(format!(
            "the source secret {name:?} has no password: this cluster knows basic authentication alone"
        )));
    };
    let pair = format!(
        "{}:{password}",
        user.unwrap_or_else(|| "builder".to_owned())
    );
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
    Ok(Some(format!("Authorization: Basic {encoded}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_before_a_host_is_not_shown() {
        assert_eq!(
            without_secrets("https://user:secret@git.test/a/b.git"),
            "https://git.test/a/b.git"
        );
        assert_eq!(
            without_secrets("http://git.test/a@b"),
            "http://git.test/a@b"
        );
    }
}
