//! How environment files and children end, in the less usual ways.

use super::{Bug, Case, case, right_path};
use crate::image::Image;

const PATH: &str = "/opt/app-root/src/.s2i/action_hooks/deploy_env";

fn said(path: &str, status: i32) -> String {
    format!("ERROR: Script {path} ended with status {status} before its last line was done.\n")
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = exits();
    cases.extend(values());
    cases.extend(signals());
    cases.extend(exported());
    cases
}

/// Spellings of `exit` that no function of that name notices.
fn exits() -> Vec<Case> {
    let mut cases = Vec::new();
    for body in [
        "[ 1 ] && builtin exit 0\n",
        "command exit 0\n",
        "f() { builtin exit 0; }\nf\n",
        "set -o posix; exit 0\n",
        "unset -f exit; exit 0\n",
        "eval 'command exit'\n",
        ". /dev/stdin <<< 'builtin exit 0'\n",
    ] {
        for words in [&["run"][..], &["exec", "note", "command"], &["ready"]] {
            let name = format!("{}: deploy_env ends everything by {body:?}", words[0]);
            cases.push(
                case(name, words, move |image| {
                    image.env("deploy_env", body);
                    image.hook("ready", "note ready");
                })
                .mends(Bug::B4, |seen| {
                    seen.status = Some(1);
                    seen.stderr.push_str(&said(PATH, 0));
                }),
            );
        }
    }
    cases.push(
        case(
            "an exit in an image whose shells are POSIX's",
            &["run"],
            |image| {
                image.env("deploy_env", "A=1\nexit 0\n");
                image.environment.push(("POSIXLY_CORRECT", "1"));
            },
        )
        .mends(Bug::B4, |seen| {
            seen.status = Some(1);
            seen.stderr.push_str(&said(PATH, 0));
        }),
    );
    cases.push(
        case(
            "build_env ends everything by command exit",
            &["assemble"],
            |image| {
                image.upload(&[("build", "note build")]);
                image.file("tmp/src/.s2i/action_hooks/build_env", "command exit 0\n");
            },
        )
        .mends(Bug::B4, |seen| {
            seen.status = Some(1);
            let path = PATH.replace("deploy_env", "build_env");
            seen.stderr.push_str(&said(&path, 0));
        }),
    );
    cases
}

/// Values that cannot be had end bash in the midst of a command.
fn values() -> Vec<Case> {
    let mut cases = Vec::new();
    for body in [
        ": ${NOSUCH:?is missing}\n",
        "readonly R=1\nR=2\n",
        "set -u\nf() { local a=$((NOSUCH + 1)); }\nf\n",
        "shopt -s failglob\necho /nosuch*\n",
    ] {
        cases.push(
            case(
                format!("deploy_env fails by {body:?}"),
                &["ready"],
                move |image| {
                    image.env("deploy_env", body);
                    image.hook("ready", "note ready");
                },
            )
            .mends(Bug::B4, |seen| seen.stderr.push_str(&said(PATH, 1))),
        );
    }
    cases
}

/// Children that a signal ends cannot say so themselves.
fn signals() -> Vec<Case> {
    let mut cases = Vec::new();
    let commands: [(&'static [&'static str], &'static str); 4] = [
        (&["run"], "deploy"),
        (&["ready"], "ready"),
        (&["migrate"], "migrate"),
        (&["assemble"], "build"),
    ];
    for (words, hook) in commands {
        for signal in ["KILL", "TERM", "SEGV", "INT"] {
            let body = format!("kill -{signal} $$");
            let case = case(
                format!("{hook} is ended by {signal}"),
                words,
                move |image: &mut Image| {
                    if hook == "build" {
                        image.upload(&[("build", &body)]);
                    } else {
                        image.hook(hook, &format!("ulimit -c 0; {body}"));
                    }
                },
            );
            cases.push(if hook == "migrate" {
                case.mends(Bug::B10, right_path)
            } else {
                case
            });
        }
    }
    cases
}

/// What `BASH_ENV` names may export functions, as Environment Modules do.
fn exported() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, body) in [("no file", ""), ("a file", "A=$(module)\n")] {
        for words in [&["ready"][..], &["exec", "bash", "-c", "module"], &["run"]] {
            cases.push(case(
                format!(
                    "{}: a function that BASH_ENV exports, with {name}",
                    words[0]
                ),
                words,
                move |image| {
                    image.file(
                        "app/etc/modules",
                        "unset BASH_ENV\nmodule() { echo loaded; }\nexport -f module\n",
                    );
                    image
                        .environment
                        .push(("BASH_ENV", "/opt/app-root/etc/modules"));
                    image.hook("ready", "module");
                    image.script("s2i/run", "#!/bin/bash\nmodule\n");
                    if !body.is_empty() {
                        image.env("deploy_env", body);
                    }
                },
            ));
        }
    }
    cases
}
