//! Open files: what an environment file opens, closes and redirects is the application's, and what is ours is nobody's.

use super::places::lively;
use super::{Bug, Case, as_if, case};
use crate::image::Image;

fn with(body: &'static str) -> impl Fn(&mut Image) + Send + Sync + Copy + 'static {
    move |image| {
        lively(image);
        image.env("deploy_env", body);
        for name in ["deploy", "ready"] {
            image.hook(
                name,
                "set -- /proc/$$/fd/*; echo $# open; echo hook >&3; note hook",
            );
        }
        image.job(
            "jobs/hourly/a",
            "set -- /proc/$$/fd/*; echo $# open; echo job >&3",
        );
        image.script(
            "s2i/run",
            "#!/bin/bash\nset -- /proc/$$/fd/*; echo $# open; echo application >&3; note started\n",
        );
    }
}

const COMMANDS: [&[&str]; 4] = [
    &["run"],
    &["ready"],
    &["jobs", "hourly"],
    &[
        "exec",
        "sh",
        "-c",
        "set -- /proc/$$/fd/*; echo $# open; echo command >&3",
    ],
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for words in COMMANDS {
        let name = words[0];
        for (what, body) in [
            ("reads by 3", "exec 3</etc/passwd\n"),
            ("closes 3", "exec 3>&-\n"),
            ("takes many", "exec 3>/tmp/x 8>&3 9>&3 40>&3 200>/tmp/y\n"),
            ("takes 10", "exec 3>/tmp/x 10>/tmp/y\n"),
            ("writes by 3", "exec 3>/tmp/x\necho first >&3\n"),
            (
                "closes all that it finds",
                "for fd in /proc/self/fd/*; do fd=${fd##*/}; if [ \"$fd\" -gt 2 ]; then eval \"exec $fd>&-\"; fi; done\nunset fd\n",
            ),
        ] {
            // A command's own output is then one of them, and bash keeps it as 10.
            if name == "exec" && matches!(what, "closes all that it finds" | "takes 10") {
                continue;
            }
            cases.push(case(
                format!("{name}, its environment {what}"),
                words,
                with(body),
            ));
        }
    }
    for words in [&["run"][..], &["exec", "note", "command"], &["ready"]] {
        let name = words[0];
        cases.push(
            case(
                format!("{name} with three open files at most"),
                words,
                |image: &mut Image| {
                    image.env("deploy_env", "ulimit -n 4\n");
                    image.script("local/note", "#!/bin/sh\necho \"$*\" >> /tmp/noted\n");
                    image.script("s2i/run", "#!/bin/sh\necho started\n");
                },
            )
            .within(|seen| {
                // Bash cannot put standard error aside then, and says so.
                let kept = seen
                    .stderr
                    .lines()
                    .filter(|line| !line.contains("open files"));
                seen.stderr = kept.map(|line| format!("{line}\n")).collect();
            }),
        );
    }
    cases.extend(redirected());
    cases.extend(left_behind());
    cases.extend(converted());
    cases
}

/// What the file does to the command's own standard streams.
fn redirected() -> Vec<Case> {
    let command: &[&str] = &["exec", "sh", "-c", "echo out; echo err >&2"];
    let mut cases = Vec::new();
    for body in [
        "exec >/tmp/out\n",
        "exec >/tmp/out 2>&1\necho printed\n",
        "exec 2>/tmp/err\n",
        "exec >&-\n",
        "exec 2>/tmp/err >&2\n",
        "exec </dev/null\n",
        "exec() { builtin exec \"$@\"; }\nunset -f exec\n",
    ] {
        for words in [command, &["run"]] {
            // The original ends then, since it cannot say what it does next.
            if words[0] == "run" && body.contains(">&-") {
                continue;
            }
            cases.push(case(
                format!("{} redirected: {body:?}", words[0]),
                words,
                move |image: &mut Image| {
                    image.env("deploy_env", body);
                    image.script("s2i/run", "#!/bin/sh\necho out; echo err >&2\n");
                },
            ));
        }
    }
    cases
}

/// Whoever waits for a command's output does not wait for what the file has left in the background.
fn left_behind() -> Vec<Case> {
    const WAIT: &str = "x=$(\"$@\"); echo \"$x\"; [ $SECONDS -lt 60 ] && echo at once";
    const TWICE: &str = "\"$@\"; \"$@\"; [ $SECONDS -lt 60 ] && echo at once";
    vec![
        case(
            "a command whose environment goes on in the background",
            &["exec", "echo", "hi"],
            |image: &mut Image| {
                image.below = Some(WAIT);
                image.env("deploy_env", "sleep 200 >/dev/null 2>&1 </dev/null &\n");
            },
        ),
        case(
            "a passwd script that leaves something in the background",
            &["ready"],
            |image: &mut Image| {
                image.below = Some(TWICE);
                image.hook("ready", "echo ready");
                image.file(
                    "app/etc/generate_container_user",
                    "sleep 200 >/dev/null 2>&1 </dev/null &\n",
                );
            },
        ),
    ]
}

/// Windows line ends, where there is no /proc to hand the text over by.
fn converted() -> Vec<Case> {
    let windows = "A=1\r\nif true; then\r\n  B=2\r\nfi\r\n";
    let clean = "A=1\nif true; then\n  B=2\nfi\n";
    let mut cases = Vec::new();
    let put = |body: &'static str| {
        move |image: &mut Image| {
            image.env("deploy_env", body);
            image.hook("ready", "note hook");
            image.without_proc = true;
        }
    };
    let many = "exec 3>/tmp/x\necho first >&3\nB=2\n";
    for words in [&["exec", "note", "command"][..], &["run"], &["ready"]] {
        let again = words.to_vec();
        let put = |body: &'static str| {
            move |image: &mut Image| {
                image.env("deploy_env", body);
                image.hook("ready", "echo hook >&3; note hook");
            }
        };
        cases.push(
            case(
                format!("{} with Windows line ends and a descriptor 3", words[0]),
                words,
                put("exec 3>/tmp/x\r\necho first >&3\r\nB=2\r\n"),
            )
            .mends(Bug::B12, move |seen| {
                let script = seen.tree.lines().filter(|line| line.contains("/deploy_env ")).map(str::to_owned).collect::<Vec<_>>();
                *seen = as_if(&again, put(many));
                let others = seen.tree.lines().filter(|line| !line.contains("/deploy_env ")).map(str::to_owned);
                let mut lines: Vec<String> = others.chain(script).collect();
                lines.sort();
                seen.tree = lines.join("\n");
                seen.stderr = "WARNING: Script /opt/app-root/src/.s2i/action_hooks/deploy_env has Windows line ends (CRLF); they are left out.\n".into();
            }),
        );
    }
    let commands: [&'static [&'static str]; 3] =
        [&["exec", "note", "command"], &["run"], &["ready"]];
    for words in commands {
        cases.push(
            case(
                format!("{} with Windows line ends and without /proc", words[0]),
                words,
                put(windows),
            )
            .mends(Bug::B12, move |seen| {
                let tree = seen.tree.clone();
                *seen = as_if(words, put(clean));
                seen.tree = tree;
                seen.stderr = "WARNING: Script /opt/app-root/src/.s2i/action_hooks/deploy_env has Windows line ends (CRLF); they are left out.\n".into();
            }),
        );
    }
    cases
}
