//! Jobs: which files are jobs, in which order, and what their failures do.

use std::fs;

use super::{Bug, Case, as_if, case, errors_to_stderr};
use crate::image::{Image, link};

const HOURLY: [&str; 2] = ["jobs", "hourly"];

fn two(image: &mut Image) {
    image.job("jobs/hourly/b", "note b; echo out b");
    image.job("jobs/hourly/a", "note a; echo out a; echo err >&2");
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("jobs in order", &HOURLY, two),
        case("jobs in the order of a locale", &HOURLY, |image| {
            image.sorts_as_people_do();
            for name in ["B", "a", "_c", "D", "e-1", "e_0", "\u{e4}"] {
                image.job(&format!("jobs/hourly/{name}"), &format!("note {name}"));
            }
        }),
        case("jobs in the order of deploy_env's locale", &HOURLY, |image| {
            image.sorts_as_people_do();
            image.env("deploy_env", "LC_ALL=C\n");
            for name in ["B", "a", "_c"] {
                image.job(&format!("jobs/hourly/{name}"), &format!("note {name}"));
            }
        }),
        case("jobs of both folders", &HOURLY, |image| {
            two(image);
            image.job("cron_jobs/hourly/z", "note z");
        }),
        case("jobs with an environment", &HOURLY, |image| {
            two(image);
            image.env("deploy_env", "LEVEL=2\n");
        }),
        case("a category that is not there", &["jobs", "yearly"], two),
        case("a category with a dot", &["jobs", "v1.2_x-y"], |image| {
            image.job("jobs/v1.2_x-y/a", "note a");
        }),
        case("a failing job ends the run", &HOURLY, |image| {
            two(image);
            image.job("jobs/hourly/a", "note a; exit 5");
        }),
        case("a killed job ends the run", &HOURLY, |image| {
            two(image);
            image.job("jobs/hourly/a", "kill -9 $$");
        }),
        case("a job that is not executable", &HOURLY, |image| {
            two(image);
            image.file("app/src/.s2i/jobs/hourly/aa", "#!/bin/sh\n");
        })
        .mends(Bug::B10, |seen| {
            let before = std::mem::take(&mut seen.stderr);
            errors_to_stderr(seen);
            seen.stderr = before + &seen.stderr;
        }),
        case("a job without #!", &HOURLY, |image| {
            image.script("app/src/.s2i/jobs/hourly/a", "note a \"$0\"\n");
        }),
        case("hidden files and folders are no jobs", &HOURLY, |image| {
            two(image);
            image.job("jobs/hourly/.hidden", "note hidden");
            image.job("jobs/hourly/folder/c", "note c");
        }),
        case("a job that is a link", &HOURLY, |image| {
            image.script("app/src/task", "#!/bin/sh\nnote task\n");
            link(image, "../../../task", "app/src/.s2i/jobs/hourly/a");
            link(image, "nowhere", "app/src/.s2i/jobs/hourly/b");
        }),
        case("a job with Windows line ends", &HOURLY, |image| {
            image.script("app/src/.s2i/jobs/hourly/a", "#!/bin/sh\r\nnote a\r\n");
        })
        .mends(Bug::B12, |seen| {
            let path = "/opt/app-root/src/.s2i/jobs/hourly/a";
            seen.stderr = format!("ERROR: script {path} has Windows line ends (CRLF) and cannot be run; convert it: sed -i 's/\\r$//' {path}\n");
        }),
        case("a job with spaces in its name", &HOURLY, |image| {
            two(image);
            image.job("jobs/hourly/a b", "note spaces");
        })
        .mends(Bug::B6, |seen| {
            let tree = seen.tree.clone();
            *seen = as_if(&HOURLY, |image| {
                two(image);
                image.job("jobs/hourly/a_b", "note spaces");
            });
            seen.stdout = seen.stdout.replace("a_b", "a b");
            seen.tree = tree;
        }),
    ];
    for name in ["[", "-n", "\u{e9}\u{20ac}", "a;b", "$HOME", "\"q\""] {
        cases.push(case(
            format!("a job called {name}"),
            &HOURLY,
            move |image| {
                two(image);
                image.job(&format!("jobs/hourly/{name}"), "note odd");
            },
        ));
    }
    for name in ["*", "a\nb", "a*"] {
        // As if its name were an ordinary one, in the same place among the others.
        let plain = if name == "*" { "0" } else { "a0" };
        cases.push(
            case(format!("a job called {name:?}"), &HOURLY, move |image| {
                two(image);
                image.job(&format!("jobs/hourly/{name}"), "note odd");
            })
            .mends(Bug::B6, move |seen| {
                let tree = seen.tree.clone();
                *seen = as_if(&HOURLY, move |image| {
                    two(image);
                    image.job(&format!("jobs/hourly/{plain}"), "note odd");
                });
                let (plain, odd) = (format!("hourly/{plain}\n"), format!("hourly/{name}\n"));
                seen.stdout = seen.stdout.replace(&plain, &odd);
                seen.tree = tree;
            }),
        );
    }
    cases.push(
        case("leftovers", &HOURLY, |image| {
            two(image);
            for name in [
                "a~",
                "b,",
                "c.rpmsave",
                "c.rpmorig",
                "c.rpmnew",
                "c.swp",
                "c.cfsaved",
            ] {
                image.job(&format!("jobs/hourly/{name}"), "note leftover");
            }
        })
        .mends(Bug::B6, |seen| {
            let tree = seen.tree.clone();
            *seen = as_if(&HOURLY, two);
            seen.tree = tree;
        }),
    );
    cases.push(
        case(
            "the weekly folder of V2's template",
            &["jobs", "weekly"],
            |image| {
                image.job("jobs/weekly/chronograph", "note chronograph");
                for (name, content) in [
                    ("README", ""),
                    ("chrono.dat", "1"),
                    ("jobs.allow", "chronograph\n"),
                    ("jobs.deny", "chrono.dat\n"),
                ] {
                    image.file(&format!("app/src/.s2i/jobs/weekly/{name}"), content);
                }
            },
        )
        .mends(Bug::B6, |seen| {
            let tree = seen.tree.clone();
            *seen = as_if(&["jobs", "weekly"], |image| {
                image.job("jobs/weekly/chronograph", "note chronograph");
            });
            seen.tree = tree;
        }),
    );
    for category in ["../action_hooks", "hourly/"] {
        cases.push(
            case(
                format!("a category that is a path, {category}"),
                &["jobs", category],
                |image| {
                    two(image);
                    image.hook("verify", "note verify");
                },
            )
            .mends(Bug::B13, |seen| {
                seen.status = Some(2);
                seen.stdout = String::new();
                seen.stderr = String::new();
                seen.events = String::new();
            }),
        );
    }
    cases.push(case("a job's output is not lost when it is killed", &HOURLY, |image| {
        // Bash prints at once; `tr` keeps what it prints in its own buffer, unless it is told otherwise.
        // It has done with the line when that is gone and it sleeps again.
        let body = "exec 2>/dev/null\nmkfifo /tmp/in\nexec 3<>/tmp/in\ntr a-z A-Z <&3 &\necho line >&3\n\
                    while read -t 0 -u 3 || [[ $(cut -d' ' -f3 /proc/$!/stat) != S ]]; do sleep 0.02; done\n\
                    kill -9 $!\nwait $!";
        image.job("jobs/hourly/a", body);
        fs::create_dir_all(image.at("tmp")).unwrap();
    }));
    cases
}
