//! The files in `.s2i/action_hooks`, by name.

use std::path::Path;

use super::{Findings, script, sorted};
use crate::file;

const HOOKS: [&str; 9] = [
    "pre_build",
    "build",
    "deploy",
    "run",
    "verify",
    "ready",
    "alive",
    "setup",
    "migrate",
];
const ENVIRONMENTS: [&str; 2] = ["build_env", "deploy_env"];

/// Checks them all, and says whether there is any that is run.
pub(super) fn check(folder: &Path, findings: &mut Findings<'_>) -> bool {
    let mut any = false;
    for path in sorted(folder) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            findings.warning(&path, None, "no hook has such a name; it is never run");
            continue;
        };
        let hook = HOOKS.contains(&name) || name == "post_deploy";
        let environment = ENVIRONMENTS.contains(&name);
        if (hook || environment) && !file::is_file(&path) {
            let what = if file::exists(&path) {
                "is no file"
            } else {
                "is a link to nothing"
            };
            findings.warning(&path, None, format!("{what}, so there is no such hook"));
        } else if hook {
            any = true;
            script::check(&path, script::Kind::Hook, findings);
            if name == "post_deploy" && !super::stays(findings.root) {
                findings.warning(&path, None, "is run under `--init` only, once the application answers: `exec powershift image --init run`");
            }
        } else if environment {
            any = true;
            script::check(&path, script::Kind::Environment, findings);
        } else if !matches!(name, "README" | "README.md" | ".gitkeep") {
            findings.warning(&path, None, advice(name));
        }
    }
    any
}

/// What has become of a name of V2's that today's hooks do not have.
pub(super) fn former(name: &str) -> Option<&'static str> {
    // V2 had these for each cartridge, too, as in `post_start_python-2.7`.
    let begins = |start: &str| {
        name.strip_prefix(start)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    if begins("pre_start") {
        return Some("has no place in V3; put exports into deploy_env, and commands into deploy");
    }
    if begins("post_start") {
        return Some(
            "has no place in V3; make it post_deploy (run under `--init`) or a postStart hook of the Deployment",
        );
    }
    if begins("pre_stop") {
        return Some("has no place in V3; make it a preStop hook of the Deployment");
    }
    let others = [
        "post_stop",
        "pre_restart",
        "post_restart",
        "pre_reload",
        "post_reload",
        "pre_repo_archive",
    ];
    others
        .iter()
        .any(|old| begins(old))
        .then_some("has no place in V3, where containers are replaced instead")
}

/// What has become of a name, or what was probably meant.
fn advice(name: &str) -> String {
    if let Some(former) = former(name) {
        return former.into();
    }
    let stem = name
        .split_once('.')
        .map_or(name, |(stem, _)| stem)
        .replace('-', "_");
    let meant = HOOKS
        .iter()
        .chain(&ENVIRONMENTS)
        .chain(&["post_deploy"])
        .find(|hook| **hook == stem);
    match meant {
        Some(meant) => format!("no hook has this name, so it is never run; was `{meant}` meant?"),
        None => "no hook has this name, so it is never run by itself".into(),
    }
}

#[cfg(test)]
mod tests {
    use crate::check::tests::findings;

    const ENTRY: [(&str, &str); 2] = [
        (".s2i/bin/assemble", "powershift image assemble"),
        (".s2i/bin/run", "#!/bin/sh\npowershift image run"),
    ];

    #[test]
    fn names_without_a_home() {
        let body = "#!/bin/bash\nset -e\n";
        let mut files = ENTRY.to_vec();
        for name in [
            "pre_start_python-2.7",
            "post_start",
            "pre_stop",
            "post_stop_cron",
            "pre-build",
            "deploy.sh",
            "lib",
            "post_deploy*",
        ] {
            files.push((
                Box::leak(format!(".s2i/action_hooks/{name}").into_boxed_str()),
                body,
            ));
        }
        insta::assert_snapshot!(findings(&files), @"
        .s2i/action_hooks/deploy.sh: warning: no hook has this name, so it is never run; was `deploy` meant?
        .s2i/action_hooks/lib: warning: no hook has this name, so it is never run by itself
        .s2i/action_hooks/post_deploy: warning: is run under `--init` only, once the application answers: `exec powershift image --init run`
        .s2i/action_hooks/post_start: warning: has no place in V3; make it post_deploy (run under `--init`) or a postStart hook of the Deployment
        .s2i/action_hooks/post_stop_cron: warning: has no place in V3, where containers are replaced instead
        .s2i/action_hooks/pre-build: warning: no hook has this name, so it is never run; was `pre_build` meant?
        .s2i/action_hooks/pre_start_python-2.7: warning: has no place in V3; put exports into deploy_env, and commands into deploy
        .s2i/action_hooks/pre_stop: warning: has no place in V3; make it a preStop hook of the Deployment
        ");
    }

    #[test]
    fn a_folder_is_no_hook() {
        let files = [(".s2i/action_hooks/deploy/x", "")];
        insta::assert_snapshot!(findings(&files), @".s2i/action_hooks/deploy: warning: is no file, so there is no such hook");
    }
}
