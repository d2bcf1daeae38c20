//! What an environment file does to the shell that evaluates it. The original's own script goes on in that shell; ours
//! does not, and takes over what is meant for others: traps for the end.

use super::{Bug, Case, as_if, case, right_path};
use crate::image::Image;
use crate::seen::Seen;

/// Something to run for every command, below this environment file.
fn with(body: &'static str) -> impl Fn(&mut Image) + Send + Sync + Copy + 'static {
    move |image| {
        image.env("deploy_env", body);
        for name in ["deploy", "verify", "ready", "alive", "setup", "migrate"] {
            image.hook(name, "note hook");
        }
        image.job("jobs/hourly/a", "note a");
        image.job("jobs/hourly/b", "note b");
    }
}

/// The same, with a failing hook and job.
fn failing(body: &'static str) -> impl Fn(&mut Image) + Send + Sync + Copy + 'static {
    move |image| {
        with(body)(image);
        for name in ["deploy", "verify", "ready", "setup"] {
            image.hook(name, "exit 7");
        }
        image.job("jobs/hourly/a", "exit 7");
    }
}

/// As if the file did the second thing; files stay as they are.
fn like(
    words: &'static [&'static str],
    image: impl Fn(&mut Image) + Send + Sync + 'static + Copy,
) -> impl Fn(&mut Seen) + Send + Sync {
    move |seen| {
        let tree = seen.tree.clone();
        *seen = as_if(words, image);
        seen.tree = tree;
        right_path(seen);
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = traps();
    let commands: [&'static [&'static str]; 4] =
        [&["run"], &["verify"], &["jobs", "hourly"], &["ready"]];
    for words in commands {
        let name = words[0];
        if name != "ready" {
            cases.push(
                case(
                    format!("{name} goes on after a failure, by set +e"),
                    words,
                    failing("set +e\nA=1\n"),
                )
                .mends(Bug::OwnShell, like(words, failing("A=1\n"))),
            );
        }
        cases.push(
            case(
                format!("{name} without its source path"),
                words,
                with("unset S2I_SOURCE_PATH\n"),
            )
            .mends(Bug::B7, like(words, with(":\n"))),
        );
        // What the file itself prints stays; what the original prints of its own lines is not there.
        cases.push(
            case(format!("{name} with a trace"), words, with("set -x\nA=1\n")).mends(
                Bug::OwnShell,
                move |seen| {
                    seen.stderr = "++ A=1\n".into();
                    right_path(seen);
                },
            ),
        );
    }
    for body in ["set -f\n", "set -o noglob\nA=1\n"] {
        let clean = if body.contains("A=1") { "A=1\n" } else { ":\n" };
        cases.push(
            case(
                format!("no globbing: {body:?}"),
                &["jobs", "hourly"],
                with(body),
            )
            .mends(Bug::B6, like(&["jobs", "hourly"], with(clean))),
        );
    }
    for body in ["set -- other\n", "shift\n"] {
        cases.push(
            case(
                format!("jobs with other parameters: {body:?}"),
                &["jobs", "hourly"],
                with(body),
            )
            .mends(Bug::B11, like(&["jobs", "hourly"], with(":\n"))),
        );
    }
    cases.extend(functions());
    cases
}

/// They are run where the original runs them: at the command's end, not when another program takes over.
fn traps() -> Vec<Case> {
    let mut cases = Vec::new();
    let end = "trap 'note \"trapped $?\" \"$A\"' EXIT\nA='a  b'\n";
    let commands: [&'static [&'static str]; 7] = [
        &["run"],
        &["verify"],
        &["ready"],
        &["setup"],
        &["migrate"],
        &["jobs", "hourly"],
        &["exec", "note", "command"],
    ];
    let right = |case: Case, words: &[&str]| match words[0] {
        "verify" | "setup" | "migrate" => case.mends(Bug::B10, right_path),
        _ => case,
    };
    for words in commands {
        let name = words[0];
        cases.push(right(
            case(format!("{name} with a trap for its end"), words, with(end)),
            words,
        ));
    }
    for words in [&["run"][..], &["verify"], &["ready"], &["jobs", "hourly"]] {
        let name = words[0];
        cases.push(right(
            case(
                format!("{name} with a trap for its end, and fails"),
                words,
                failing(end),
            ),
            words,
        ));
        cases.push(right(
            case(
                format!("{name} with a trap for errors, and fails"),
                words,
                failing("trap 'echo \"failed $?\" >&2' ERR\nA=1\n"),
            ),
            words,
        ));
    }
    cases.push(
        case(
            "a trap that calls a function",
            &["ready"],
            with("ended() { note ended; }\ntrap ended EXIT\n"),
        )
        .mends(Bug::B12, |seen| {
            let (before, after) = seen.events.split_once("== ended").unwrap();
            // The trap's own programs get its functions, as from any shell that exports all.
            seen.events = format!("{}== ended{after}", without_function(before));
        }),
    );
    cases.push(case(
        "a trap that is taken back",
        &["ready"],
        with("trap 'note x' EXIT\ntrap - EXIT\n"),
    ));
    cases.push(case(
        "build_env with a trap for its end",
        &["assemble"],
        |image: &mut Image| {
            image.upload(&[("build", "note build")]);
            image.file(
                "tmp/src/.s2i/action_hooks/build_env",
                "trap 'note \"trapped $?\"' EXIT\n",
            );
        },
    ));
    cases
}

fn without_function(events: &str) -> String {
    let kept = events
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("BASH_FUNC_"));
    kept.collect()
}

/// Functions that are called as what the original calls.
fn functions() -> Vec<Case> {
    const NOTE: [&str; 3] = ["exec", "note", "command"];
    vec![
        case("a function named exec, before a command", &NOTE, with("exec() { echo mine; }\n"))
            .mends(Bug::OwnShell, like(&NOTE, with(":\n"))),
        case("a function named exec, before a start", &["run"], with("exec() { echo mine; }\n"))
            .mends(Bug::OwnShell, like(&["run"], with(":\n"))),
        case(
            "functions named as all that may come after",
            &["jobs", "hourly"],
            with(
                "for name in set cd echo printf export unset trap type compgen shopt read eval; do\n\
                 eval \"$name() { :; }\"\ndone\n",
            ),
        )
        .mends(Bug::OwnShell, |seen| {
            like(&["jobs", "hourly"], with("name=eval\n"))(seen);
        }),
    ]
}
