//! Signals to process 1, sent from inside: while a hook or job runs, and after the application has taken over.

use super::{Bug, Case, before, case};
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

/// The application is not started any more.
fn without_start(seen: &mut Seen) {
    let at = seen.stdout.find(" -----> Running builder").unwrap();
    seen.stdout.truncate(at);
}
