//! Signals to process 1, sent from inside: while a hook or job runs, and after the application has taken over.

use super::{Bug, Case, before, case, right_path};
use crate::seen::Seen;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![];
    cases.push(
        case("TERM during deploy", &["run"], |image| {
            image.hook("deploy", "kill -TERM 1; sleep 4; note late");
        })
        .mends(Bug::B3, |seen| {
            seen.status = Some(143);
            without_start(seen);
            seen.events = before(&seen.events, "late");
        }),
    );
    cases.push(
        // Bash itself ends by SIGINT only when its foreground program did, so the hook has to listen.
        case("INT during deploy", &["run"], |image| {
            image.hook(
                "deploy",
                "trap 'note stopped; exit 0' INT; kill -INT 1; for i in {1..80}; do sleep 0.05; done; note late",
            );
        })
        .mends(Bug::B3, |seen| {
            seen.status = Some(130);
            without_start(seen);
            seen.events = before(&seen.events, "builder-run").replace("== late", "== stopped");
        }),
    );
    cases.push(
        case("TERM during a job", &["jobs", "hourly"], |image| {
            image.job("jobs/hourly/a", "kill -TERM 1; sleep 4; note late");
            image.job("jobs/hourly/b", "note b");
        })
        .mends(Bug::B3, |seen| {
            seen.status = Some(143);
            let at = seen
                .stdout
                .find(" -----> Running /opt/app-root/src/.s2i/jobs/hourly/b")
                .unwrap();
            seen.stdout.truncate(at);
            seen.events = String::new();
        }),
    );
    cases.push(
        case("TERM during deploy_env", &["run"], |image| {
            image.env("deploy_env", "kill -TERM 1\n");
        })
        .mends(Bug::B3, |seen| {
            seen.status = Some(143);
            let at = seen.stdout.find(" -----> Running builder").unwrap();
            seen.stdout.truncate(at);
            seen.events = String::new();
        }),
    );
    for (signal, status) in [("TERM", 143), ("INT", 130), ("HUP", 129), ("QUIT", 131)] {
        // Bash, as process 1, hears of it when the program ends that it waits for: not before, but then.
        cases.push(
            case(
                format!("{signal} during a slow deploy_env"),
                &["run"],
                move |image| {
                    // The program that is waited for runs when the signal comes, and until that has been noted.
                    let program =
                        "touch /tmp/w; until [ -e /tmp/sent ]; do sleep 0.02; done";
                    image.env(
                        "deploy_env",
                        &format!(
                            "(until [ -e /tmp/w ]; do sleep 0.02; done; kill -{signal} 1; note sent; \
                             touch /tmp/sent) & sh -c '{program}'\nnote late\n"
                        ),
                    );
                },
            )
            .mends(Bug::B3, move |seen| {
                seen.status = Some(status);
                let at = seen.stdout.find(" -----> Running builder").unwrap();
                seen.stdout.truncate(at);
                seen.events = before(&seen.events, "late");
            }),
        );
    }
    cases.extend(hooks());
    cases.extend(elsewhere());
    cases.extend(builds());
    cases.push(case(
        "TERM after a shell has taken over",
        &["shell"],
        |image| {
            image.env("deploy_env", "A=1\n");
            image.stdin =
                "trap 'echo stopping; exit 7' TERM; echo $$; kill -TERM $$; sleep 2; echo late\n";
        },
    ));
    for (name, hook) in [("the hook run", true), ("the builder's run", false)] {
        cases.push(case(format!("TERM after {name} has taken over"), &["run"], move |image| {
            let body = "trap 'note stopping; exit 7' TERM; note started \"pid $$\"; kill -TERM 1; sleep 4; note late";
            image.env("deploy_env", "A=1\n");
            image.hook("deploy", "note deploy");
            if hook {
                image.hook("run", body);
            } else {
                image.script("s2i/run", &format!("#!/bin/bash\n{body}\n"));
            }
        }));
    }
    cases.push(case(
        "a command as process 1",
        &[
            "exec",
            "bash",
            "-c",
            "trap 'echo stopping; exit 7' TERM; echo $$; kill -TERM 1; sleep 2",
        ],
        |image| {
            image.env("deploy_env", "A=1\n");
        },
    ));
    cases
}

/// In each hook that is a command of its own, and each signal that asks to stop.
fn hooks() -> Vec<Case> {
    let hooks: [(&'static str, &'static str, i32); 7] = [
        ("verify", "TERM", 143),
        ("ready", "TERM", 143),
        ("alive", "TERM", 143),
        ("setup", "TERM", 143),
        ("migrate", "TERM", 143),
        ("setup", "HUP", 129),
        ("migrate", "QUIT", 131),
    ];
    let mut cases = Vec::new();
    for (hook, signal, status) in hooks {
        let case = case(format!("{signal} during {hook}"), &[hook], move |image| {
            // Bash itself does not hear SIGQUIT.
            let listen = if signal == "QUIT" {
                "trap 'exit 0' QUIT; "
            } else {
                ""
            };
            image.hook(
                hook,
                &format!("{listen}kill -{signal} 1; sleep 2; note late"),
            );
        })
        .mends(Bug::B3, move |seen| {
            seen.status = Some(status);
            seen.events = before(&seen.events, "late");
        });
        cases.push(if matches!(hook, "ready" | "alive") {
            case
        } else {
            case.mends(Bug::B10, right_path)
        });
    }
    cases
}

/// Where the runner is not process 1: what is below it has no time left, since its world ends with process 1.
fn elsewhere() -> Vec<Case> {
    let mut cases = Vec::new();
    for (command, hook) in [
        (&["run"][..], "deploy"),
        (&["ready"], "ready"),
        (&["verify"], "verify"),
    ] {
        for signal in ["TERM", "HUP"] {
            let name = format!("{signal} during {hook} of a runner that is not process 1");
            let case = case(name, command, move |image| {
                image.below = Some("\"$@\" & wait $!; echo ended with $?");
                image.hook(hook, &format!("kill -{signal} $PPID; sleep 5; note late"));
            });
            cases.push(if hook == "verify" {
                case.mends(Bug::B10, right_path)
            } else {
                case
            });
        }
    }
    cases
}

/// In what a build runs: what comes after it is not run, and the upload stays where it is.
fn builds() -> Vec<Case> {
    let mut cases = Vec::new();
    for (step, last) in [
        ("pre_build", "action_hooks/pre_build\n"),
        ("build_env", "action_hooks/build_env\n"),
        ("the builder", "(/usr/libexec/s2i/assemble)\n"),
        ("build", "action_hooks/build\n"),
    ] {
        cases.push(
            case(
                format!("TERM during {step} of a build"),
                &["assemble"],
                move |image| {
                    let stop = "kill -TERM 1; sleep 2; note late";
                    let body = |name: &str| if name == step { stop } else { "true" };
                    image.upload(&[("pre_build", body("pre_build")), ("build", body("build"))]);
                    image.file("tmp/src/.s2i/action_hooks/build_env", body("build_env"));
                    image.script("local/fix-permissions", "#!/bin/sh\nnote fix-permissions\n");
                    // It moves nothing, so that the files are the same however far it has come.
                    let builder = if step == "the builder" {
                        stop
                    } else {
                        "note built"
                    };
                    image.script("s2i/assemble", &format!("#!/bin/bash\n{builder}\n"));
                },
            )
            .mends(Bug::B3, move |seen| {
                seen.status = Some(143);
                let end = seen.stdout.find(last).unwrap() + last.len();
                seen.stdout.truncate(end);
                seen.events = before(&before(&seen.events, "late"), "fix-permissions");
            }),
        );
    }
    cases
}

/// The application is not started any more.
fn without_start(seen: &mut Seen) {
    let at = seen.stdout.find(" -----> Running builder").unwrap();
    seen.stdout.truncate(at);
}
