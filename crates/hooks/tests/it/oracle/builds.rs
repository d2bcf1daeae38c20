//! Builds: what is uploaded, where it goes, and in which order things run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{Bug, Case, as_if, before, case, errors_to_stderr};
use crate::image::{BUILDER, Image};

const WORDS: [&str; 1] = ["assemble"];

fn full(image: &mut Image) {
    image.uid = BUILDER;
    image.upload(&[
        ("pre_build", "note pre_build; ls -A /tmp/src . | sort"),
        ("build", "note build; ls -A . | sort; echo built > built"),
    ]);
    image.file(
        "tmp/src/.s2i/action_hooks/build_env",
        "FOR_BUILD=yes\ncd /tmp\nnote build_env\n",
    );
    image.file("tmp/src/.s2i/environment", "A=1\n");
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("a whole build", &WORDS, full),
        case("a build without hooks", &WORDS, |image| {
            image.upload(&[]);
        }),
        case(
            "a pre_build that makes the others executable",
            &WORDS,
            |image| {
                full(image);
                image.upload(&[("pre_build", "note pre_build; chmod +x .s2i/action_hooks/*")]);
                let build = image.at("tmp/src/.s2i/action_hooks/build");
                fs::set_permissions(build, fs::Permissions::from_mode(0o644)).unwrap();
            },
        ),
        case(
            "a pre_build that leaves the next one as it is",
            &WORDS,
            |image| {
                full(image);
                let build = image.at("tmp/src/.s2i/action_hooks/build");
                fs::set_permissions(build, fs::Permissions::from_mode(0o644)).unwrap();
            },
        )
        .mends(Bug::B10, |seen| {
            errors_to_stderr(seen);
            // The builder had run before it was found out.
            let end = seen
                .stdout
                .find(" -----> Running /opt/app-root/src/.s2i/action_hooks/build_env")
                .unwrap();
            seen.stdout.truncate(end);
            seen.events = before(&seen.events, "build_env");
            seen.move_file("app/src/app.py", "tmp/src/app.py");
        }),
        case("a failing builder", &WORDS, |image| {
            full(image);
            image.script("s2i/assemble", "#!/bin/sh\nexit 5\n");
        }),
        case("no builder", &WORDS, |image| {
            full(image);
            fs::remove_file(image.at("s2i/assemble")).unwrap();
        }),
        case("permissions that cannot be fixed", &WORDS, |image| {
            full(image);
            image.script("local/fix-permissions", "#!/bin/sh\nexit 6\n");
        }),
        case(
            "a source that is not directly below the application",
            &WORDS,
            |image| {
                full(image);
                image.environment.push(("S2I_APPLICATION_PATH", "/opt"));
                image
                    .environment
                    .push(("S2I_SOURCE_PATH", "/opt/app-root/src"));
            },
        ),
        case("a builder elsewhere", &WORDS, |image| {
            full(image);
            image.script("local/assemble", "#!/bin/sh\nnote other-assemble\n");
            image
                .environment
                .push(("S2I_SCRIPTS_PATH", "/usr/local/bin"));
        }),
        case("an empty folder of hooks in the image", &WORDS, |image| {
            full(image);
            fs::create_dir_all(image.at("app/src/.s2i")).unwrap();
        }),
        case("hooks of the image alone", &WORDS, |image| {
            image.file("tmp/src/app.py", "");
            image.hook("build", "note build");
        }),
        case("a build in an image with BASH_ENV", &WORDS, |image| {
            full(image);
            image.file("app/etc/each_bash", "export COUNT=$((COUNT+1))\n");
            image
                .environment
                .push(("BASH_ENV", "/opt/app-root/etc/each_bash"));
        }),
        case("a second build over the first", &WORDS, |image| {
            full(image);
            image.file("app/src/.s2i/action_hooks/deploy", "old");
            image.file("app/src/old.py", "");
        })
        .mends(Bug::B5, |seen| {
            *seen = as_if(&WORDS, |image| {
                full(image);
                image.file("app/src/old.py", "");
            });
        }),
        case("a source of hooks alone", &WORDS, |image| {
            full(image);
            fs::remove_file(image.at("tmp/src/app.py")).unwrap();
        })
        .mends(Bug::B5, |seen| {
            *seen = as_if(&WORDS, full);
            seen.without_file("app/src/app.py");
            // A placeholder is there for the builder's `mv`, and gone after that.
            seen.stdout = seen
                .stdout
                .replacen("app.py", "s2i-empty-source", 1)
                .replacen("app.py\n", "", 1);
        }),
    ];
    for (what, body) in [
        ("false", "false\n"),
        ("an unknown command", "nosuch-command\n"),
        ("a return", "return 4\n"),
        ("an exit", "exit 3\n"),
    ] {
        let status = if body.contains("nosuch") { 127 } else { 0 };
        cases.push(
            case(format!("build_env fails: {what}"), &WORDS, move |image| {
                image.upload(&[("build", "note build")]);
                image.file("tmp/src/.s2i/action_hooks/build_env", body);
            })
            .mends(Bug::B4, move |seen| {
                let status = if status == 127 { 127 } else { seen.status.unwrap() };
                seen.stderr.push_str(&format!(
                    "ERROR: Script /opt/app-root/src/.s2i/action_hooks/build_env ended with status {status} before its last line was done.\n"
                ));
            }),
        );
    }
    cases.push(
        case("build_env exits as if all were well", &WORDS, |image| {
            image.upload(&[]);
            image.file("tmp/src/.s2i/action_hooks/build_env", "exit 0\n");
        })
        .mends(Bug::B4, |seen| {
            seen.status = Some(1);
            seen.stderr.push_str(
                "ERROR: Script /opt/app-root/src/.s2i/action_hooks/build_env ended with status 0 before its last line was done.\n",
            );
        }),
    );
    cases.push(
        case("an image without which", &WORDS, |image| {
            full(image);
            image.without.push("which");
        })
        .mends(Bug::B8, |seen| *seen = as_if(&WORDS, full)),
    );
    cases
}
