//! Requirements by address: repositories, archives and folders, some of which are served or there no more.

use super::Target;
use crate::facts::Requirement;
use crate::findings::Severity;
use crate::tree::Tree;

/// Hosts that serve the same repositories by https.
const HOSTS: &[&str] = &["github.com", "gitlab.com", "bitbucket.org"];

/// What becomes of a requirement that is an address; `None` for one that may stay, or is none.
pub(super) fn change(one: &Requirement, tree: &Tree) -> Option<(Target, (Severity, String))> {
    let text = one.text.as_str();
    let (editable, address) = editable(text);
    // Options have addresses, too.
    if text.starts_with('-') && !editable {
        return None;
    }
    let address = match address.split_once(" @ ") {
        Some((_, address)) => address.trim_start(),
        None => address,
    };
    for scheme in ["git+git://", "git://", "git+http://"] {
        let Some(rest) = address.strip_prefix(scheme) else {
            continue;
        };
        let what = "hosts do not serve repositories by git:// or plain http any more".to_owned();
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        let new = format!("git+https://{rest}");
        return Some(if HOSTS.contains(&host) {
            (
                Target::Is(text.replace(address, &new)),
                (Severity::Blocker, what),
            )
        } else {
            (
                Target::Person(format!(
                    "see whether the host serves it as {new}, or take a release from an index"
                )),
                (Severity::Blocker, format!("{what}: {text}")),
            )
        });
    }
    if address.starts_with("git+ssh://") || address.starts_with("git@") {
        return Some((
            Target::Person(
                "name it by https, or give the build a key (a source secret is for the application's own repository only)"
                    .to_owned(),
            ),
            (
                Severity::Blocker,
                format!("a build has no key for a repository by ssh: {text}"),
            ),
        ));
    }
    if address.starts_with("http://") {
        return Some((
            Target::Person(
                "take it by https or from an index, or put the file into the tree".to_owned(),
            ),
            (
                Severity::Warning,
                format!("what is fetched without TLS can be another file at each build: {text}"),
            ),
        ));
    }
    let path = local(address, editable)?;
    let inside = path
        .strip_prefix("./")
        .unwrap_or(path)
        .trim_end_matches('/');
    if !path.starts_with('/') && (tree.is_file(inside) || tree.is_folder(inside)) {
        return None;
    }
    Some((
        Target::Person(
            "add it to the tree, or take the line out: pip stops here, in the sources' root"
                .to_owned(),
        ),
        (
            Severity::Blocker,
            format!("there is no {path}, which is named here"),
        ),
    ))
}

/// What follows `-e`, and whether it does.
fn editable(text: &str) -> (bool, &str) {
    ["-e ", "-e\t", "--editable ", "--editable="]
        .iter()
        .find_map(|option| text.strip_prefix(option))
        .map_or((false, text), |rest| (true, rest.trim_start()))
}

/// The path of a requirement that is a file or a folder.
fn local(address: &str, editable: bool) -> Option<&str> {
    let path = address
        .split([' ', ';', '#', '['])
        .next()
        .unwrap_or_default();
    let path = path.strip_prefix("file://").unwrap_or(path);
    let path = path.strip_prefix("file:").unwrap_or(path);
    // The application itself has an answer of its own.
    if path.contains("://") || matches!(path, "" | "." | "./") {
        return None;
    }
    let is_archive = [".whl", ".zip", ".tar.gz", ".tar.bz2", ".tgz"]
        .iter()
        .any(|end| path.ends_with(end));
    (editable || is_archive || path.starts_with(['.', '/'])).then_some(path)
}
