//! What `deploy_env` may do, and what comes of it in the application, in hooks and in commands.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::places::{COMMANDS, banners, lively};
use super::{Bug, Case, as_if, case, right_path, without_pythons_signals};
use crate::image::Image;

const PATH: &str = "/opt/app-root/src/.s2i/action_hooks/deploy_env";
const SHOW: [&str; 4] = [
    "exec",
    "sh",
    "-c",
    "umask; ulimit -n; set -- /proc/$$/fd/*; echo $#; grep SigIgn /proc/self/status; note command",
];

fn with(body: &'static str) -> impl Fn(&mut Image) + Send + Sync + Copy + 'static {
    move |image| {
        image.env("deploy_env", body);
    }
}

/// In a command and in a start.
fn same(name: &str, body: &'static str) -> [Case; 2] {
    [
        case(
            format!("deploy_env, a command: {name}"),
            &["exec", "note", "command"],
            with(body),
        ),
        case(format!("deploy_env, a start: {name}"), &["run"], with(body)),
    ]
}

fn said(status: i32) -> String {
    format!("ERROR: Script {PATH} ended with status {status} before its last line was done.\n")
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, body) in [
        (
            "exports",
            "A=1\nexport B=2\nC=${C:-3}\nD=\"a  'b' \\\"c\\\" \\$x\"\nE=$'tab\\tnew\\nline'\n",
        ),
        ("no final newline", "A=1"),
        ("a first line that is none", "#!/usr/bin/env nosuch\nA=1\n"),
        ("unsets", "unset HOME LC_ALL\n"),
        ("an array", "LIST=(a b)\nA=${LIST[1]}\n"),
        ("nothing", ""),
        ("a substitution", "A=$(echo b)\nB=`echo c`\n"),
        ("a shell option", "set -u\nA=${NOSUCH:-x}\n"),
        (
            "an exit in a subshell",
            "A=$(exit 0; echo x)\n( exit 3 ) || B=2\n",
        ),
        ("a return", "A=1\nreturn 0\nB=2\n"),
        ("a trap", "trap 'echo trapped' EXIT\nA=1\n"),
        ("a path", "PATH=/nosuch:$PATH\n"),
        ("its own name", "A=${BASH_SOURCE[0]}\n"),
        ("marked already", "A=${S2I_MARKERS_ENVIRON:+marked}\n"),
        (
            "the paths",
            "A=$S2I_SOURCE_PATH,$S2I_APPLICATION_PATH,$S2I_SCRIPTS_PATH,$PWD\n",
        ),
        (
            "a variable for itself alone",
            "f() { local a=1; A=$a; }\nf\nunset -f f\n",
        ),
        ("errors", "echo oops >&2\n"),
        ("a file that it reads", ". /dev/stdin <<< 'A=1'\n"),
        ("another source path", "S2I_SOURCE_PATH=/opt/app-root\n"),
    ] {
        let [command, start] = same(name, body);
        cases.push(command);
        if matches!(
            name,
            "exports"
                | "unsets"
                | "a trap"
                | "parameters"
                | "another source path"
                | "marked already"
        ) {
            cases.push(start);
        }
    }
    for (name, body) in [
        (
            "a mask, a limit, an ignored signal",
            "umask 027\nulimit -n 99\ntrap '' HUP\n",
        ),
        ("an open file", "exec 7</dev/null\n"),
    ] {
        cases.push(
            case(format!("deploy_env: {name}"), &SHOW, with(body))
                .mends(Bug::B2, without_pythons_signals),
        );
    }
    for (name, body, status) in [
        ("false", "A=1\nfalse\nB=2\n", 1),
        ("a failing pipe", "false | true\n", 1),
        ("an unknown command", "nosuch-command\n", 127),
        ("a return", "return 4\n", 4),
        ("an exit", "exit 3\n", 3),
        ("an unset variable", "set -u\nA=$NOSUCH\n", 1),
        ("its syntax", "if true; then\n", 2),
    ] {
        for mut case in same(&format!("fails by {name}"), body) {
            case = case.mends(Bug::B4, move |seen| {
                seen.stderr.push_str(&said(status));
            });
            cases.push(case);
        }
    }
    for body in [
        "exit 0\n",
        "A=1\nexit\n",
        "trap 'true' EXIT\nexit 0\n",
        "f() { exit 0; }\nf\n",
    ] {
        for case in same(&format!("ends everything by {body:?}"), body) {
            cases.push(case.mends(Bug::B4, |seen| {
                seen.status = Some(1);
                seen.stderr.push_str(&said(0));
            }));
        }
    }
    for words in COMMANDS {
        cases.extend(every(words));
    }
    cases.extend(output());
    cases.push(other(
        "another separator",
        "IFS=/\nA=1\n",
        Bug::B7,
        "IFS=$' \\t\\n'\nA=1\n",
    ));
    cases.push(other(
        "other parameters",
        "A=$#,$1\nset -- x y\nB=$1\n",
        Bug::B11,
        "A=$#,$1\nB=x\n",
    ));
    cases.extend(functions());
    // A shell would put it right before it shows it.
    cases.push(case(
        "deploy_env: the working directory with another source path",
        &["run"],
        |image| {
            image.env("deploy_env", "S2I_SOURCE_PATH=/opt/app-root\n");
            image.script("s2i/run", "#!/usr/bin/printenv PWD\n");
        },
    ));
    cases.push(case(
        "deploy_env: a folder",
        &["exec", "note", "command"],
        |image| {
            fs::create_dir_all(image.at("app/src/.s2i/action_hooks/deploy_env")).unwrap();
        },
    ));
    cases.push(
        case(
            "deploy_env: not readable",
            &["exec", "note", "command"],
            |image| {
                image.env("deploy_env", "A=1\n");
                let path = image.at("app/src/.s2i/action_hooks/deploy_env");
                fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
            },
        )
        .mends(Bug::B4, |seen| {
            seen.stderr = said(1);
        }),
    );
    cases
}

/// The kinds of files, with each command that evaluates one: `build_env` is `assemble`'s.
fn every(words: &'static [&'static str]) -> Vec<Case> {
    let command = words[0];
    let (file, path) = match command {
        "assemble" => (
            "tmp/src/.s2i/action_hooks/build_env",
            PATH.replace("deploy_env", "build_env"),
        ),
        _ => ("app/src/.s2i/action_hooks/deploy_env", PATH.to_owned()),
    };
    let put = move |body: &'static str| {
        move |image: &mut Image| {
            if command == "assemble" {
                image.upload(&[("build", "note hook")]);
            } else {
                lively(image);
            }
            image.file(file, body);
        }
    };
    let with = |what: &str, body: &'static str| {
        case(
            format!("{command}, its environment {what}"),
            words,
            put(body),
        )
    };
    let quiet = matches!(command, "exec" | "shell");
    let said = move |status: i32| {
        format!("ERROR: Script {path} ended with status {status} before its last line was done.\n")
    };
    let (failed, ended) = (said(1), said(0));
    let printed = with("prints", "echo printed\nA=1\n");
    let printed = if quiet {
        printed.mends(Bug::B10, |seen| {
            seen.stdout = seen.stdout.replace("printed\n", "");
            seen.stderr = format!("printed\n{}", seen.stderr);
        })
    } else {
        banners(printed, words)
    };
    let warning = format!(
        "WARNING: Script {} has Windows line ends (CRLF); they are left out.\n",
        match command {
            "assemble" => PATH.replace("deploy_env", "build_env"),
            _ => PATH.to_owned(),
        }
    );
    vec![
        banners(
            with("exports", "A=1\nexport B=$'x\\ny'\nC=${C:-3}\n"),
            words,
        ),
        banners(with("unsets", "unset HOME LC_ALL\n"), words),
        printed,
        with("fails", "A=1\nfalse\n").mends(Bug::B4, move |seen| seen.stderr.push_str(&failed)),
        with("exits", "A=1\nexit 0\n").mends(Bug::B4, move |seen| {
            seen.status = Some(1);
            seen.stderr.push_str(&ended);
        }),
        banners(
            with(
                "has functions",
                "helper() { echo \"$1\"; }\nA=$(helper x)\n",
            ),
            words,
        )
        .mends(Bug::B12, |seen| {
            let lines = seen.events.split_inclusive('\n');
            seen.events = lines
                .filter(|line| !line.starts_with("BASH_FUNC_"))
                .collect();
        }),
        with("has Windows line ends", "A=1\r\nB=2\r\n").mends(Bug::B12, move |seen| {
            let tree = seen.tree.clone();
            *seen = as_if(words, put("A=1\nB=2\n"));
            right_path(seen);
            seen.tree = tree;
            seen.stderr = format!("{warning}{}", seen.stderr);
        }),
    ]
}

/// The original fails over the first body, and should do what it does with the second.
fn other(name: &str, body: &'static str, bug: Bug, like: &'static str) -> Case {
    const NOTE: [&str; 3] = ["exec", "note", "command"];
    case(format!("deploy_env: {name}"), &NOTE, with(body)).mends(bug, move |seen| {
        let tree = seen.tree.clone();
        *seen = as_if(&NOTE, with(like));
        seen.tree = tree;
    })
}

fn output() -> Vec<Case> {
    let body = "echo printed\necho more >&2\n";
    let to_stderr = |seen: &mut crate::seen::Seen| {
        seen.stdout = seen.stdout.replace("printed\n", "");
        seen.stderr = format!("printed\n{}", seen.stderr);
    };
    vec![
        case(
            "what deploy_env prints, before a command",
            &["exec", "note", "command"],
            with(body),
        )
        .mends(Bug::B10, to_stderr),
        case(
            "what deploy_env prints, before a shell",
            &["shell"],
            with(body),
        )
        .mends(Bug::B10, to_stderr),
        case(
            "what deploy_env prints, before a start",
            &["run"],
            with(body),
        ),
        case(
            "what deploy_env prints, before a probe",
            &["ready"],
            with(body),
        ),
        case(
            "output that deploy_env sends elsewhere",
            &["run"],
            with("exec >/log/out\n"),
        ),
    ]
}

fn functions() -> Vec<Case> {
    let lost = |seen: &mut crate::seen::Seen| {
        let kept = seen
            .events
            .lines()
            .filter(|line| !line.starts_with("BASH_FUNC_helper"));
        seen.events = kept.map(|line| format!("{line}\n")).collect();
    };
    let [command, start] = same("a function", "helper() { echo \"$1\"; }\nA=$(helper x)\n");
    let mut cases = vec![command.mends(Bug::B12, lost), start.mends(Bug::B12, lost)];
    cases.push(case(
        "a function that was inherited",
        &["exec", "note", "command"],
        |image| {
            image.env("deploy_env", "A=$(module)\n");
            image
                .environment
                .push(("BASH_FUNC_module%%", "() { echo loaded\n}"));
        },
    ));
    let clean = "A=1\nif true; then\n  B=2\nfi\n";
    let windows = "A=1\r\nif true; then\r\n  B=2\r\nfi\r\n";
    for words in [&["exec", "note", "command"][..], &["run"]] {
        let words: Vec<&'static str> = words.to_vec();
        let again = words.clone();
        cases.push(
            case(
                format!("deploy_env with Windows line ends: {words:?}"),
                &words,
                with(windows),
            )
            .mends(Bug::B12, move |seen| {
                let tree = seen.tree.clone();
                *seen = as_if(&again, with(clean));
                seen.tree = tree;
                seen.stderr = format!(
                    "WARNING: Script {PATH} has Windows line ends (CRLF); they are left out.\n"
                );
            }),
        );
    }
    cases
}
