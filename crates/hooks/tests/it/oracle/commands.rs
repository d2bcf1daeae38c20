//! Each command, with its hooks absent, present, not executable, failing, without `#!`, with Windows line ends, and more.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{
    Bug, Case, before, case, errors_to_stderr, first, right_path, without_pythons_signals,
};
use crate::image::{Image, link};
use crate::seen::Seen;

const ALL: [&str; 10] = [
    "assemble", "run", "exec", "shell", "verify", "ready", "alive", "setup", "migrate", "jobs",
];

/// The words of a command that does something harmless.
fn words(command: &'static str) -> Vec<&'static str> {
    match command {
        "exec" => vec!["exec", "note", "command", "a b", ""],
        "jobs" => vec!["jobs", "hourly"],
        other => vec![other],
    }
}

/// A hook and the command that runs it.
const HOOKS: [(&str, &str); 9] = [
    ("pre_build", "assemble"),
    ("build", "assemble"),
    ("deploy", "run"),
    ("run", "run"),
    ("verify", "verify"),
    ("ready", "ready"),
    ("alive", "alive"),
    ("setup", "setup"),
    ("migrate", "migrate"),
];

/// Whether the banner of a hook names a wrong path.
fn wrong_banner(hook: &str) -> bool {
    matches!(hook, "verify" | "setup" | "migrate")
}

fn source(image: &mut Image, command: &str) {
    if command == "assemble" {
        image.file("tmp/src/app.py", "print()\n");
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for command in ALL {
        cases.push(case(
            format!("{command} without hooks"),
            &words(command),
            move |image| source(image, command),
        ));
        let wrong = case(
            format!("{command} elsewhere"),
            &words(command),
            move |image| {
                source(image, command);
                image.directory = Some("/tmp");
            },
        );
        cases.push(wrong.mends(Bug::B10, errors_to_stderr));
        cases.push(case(
            format!("{command} with deploy_env"),
            &words(command),
            move |image| {
                source(image, command);
                image.env(
                    "deploy_env",
                    "LEVEL=${LEVEL:-1}\nTEXT='two\nlines'\ncd /\nnote deploy_env \"$@\"\n",
                );
            },
        ));
    }
    for (hook, command) in HOOKS {
        cases.extend(one_hook(hook, command));
    }
    cases.extend(oddities());
    cases.extend(nested());
    cases.extend(words_passed_on());
    cases.extend(usage());
    cases
}

fn one_hook(hook: &'static str, command: &'static str) -> Vec<Case> {
    let with = |what: &str, body: &'static str| {
        case(
            format!("{hook}: {what}"),
            &[command],
            move |image: &mut Image| {
                source(image, command);
                image.hook(hook, body);
            },
        )
    };
    let path = |case: Case| {
        if wrong_banner(hook) {
            case.mends(Bug::B10, right_path)
        } else {
            case
        }
    };
    let mut cases = vec![
        path(with(
            "present",
            "note hook \"parent $PPID\"; echo out; echo err >&2",
        )),
        path(with("failing", "note hook; exit 7")),
        path(with("killed", "kill -9 $$")),
        path(with("hiding a failure", "false; note hook")),
    ];
    let raw = |what: &str, content: &'static str, mode: u32| {
        case(
            format!("{hook}: {what}"),
            &[command],
            move |image: &mut Image| {
                source(image, command);
                let name = format!("app/src/.s2i/action_hooks/{hook}");
                image.script(&name, content);
                fs::set_permissions(image.at(&name), fs::Permissions::from_mode(mode)).unwrap();
                // What must not run when the hook cannot.
                image.env("deploy_env", "note deploy_env\n");
            },
        )
    };
    cases.push(path(raw(
        "without #!",
        "note hook \"$0\" \"$BASH_VERSION\"\n",
        0o755,
    )));
    cases.push(path(raw(
        "an empty line before #!",
        "\n#!/bin/nosuch\nnote hook\n",
        0o755,
    )));
    cases.push(path(raw("empty", "", 0o755)));
    cases.push(path(raw(
        "by the group alone",
        "#!/bin/sh\nnote hook\n",
        0o775,
    )));
    let refused = raw("not executable", "#!/bin/sh\nnote hook\n", 0o644);
    cases.push(match hook {
        // The last of these was found before anything but the banner, so it only said so in the wrong place.
        "pre_build" => refused.mends(Bug::B10, errors_to_stderr),
        _ => refused.mends(Bug::B10, move |seen| too_late(seen, command)),
    });
    let windows = raw(
        "with Windows line ends",
        "#!/bin/sh\r\nnote hook\r\n",
        0o755,
    );
    cases.push(windows.mends(Bug::B12, move |seen| {
        seen.stderr.push_str(&format!(
            "ERROR: script /opt/app-root/src/.s2i/action_hooks/{hook} has Windows line ends (CRLF) and cannot be run; \
             convert it: sed -i 's/\\r$//' /opt/app-root/src/.s2i/action_hooks/{hook}\n"
        ));
        only_start(seen, command);
    }));
    cases.push(
        path(raw("Windows line ends and no #!", "note hook\r\n", 0o755)).mends(
            Bug::B12,
            move |seen| {
                seen.stderr = format!(
                    "WARNING: Script /opt/app-root/src/.s2i/action_hooks/{hook} has Windows line ends (CRLF), which bash \
                     takes for part of its words.\n{}",
                    seen.stderr
                );
            },
        ),
    );
    if !matches!(hook, "deploy" | "ready" | "migrate") {
        return cases;
    }
    cases.push(path(case(
        format!("{hook}: a link"),
        &[command],
        move |image: &mut Image| {
            source(image, command);
            image.script("app/src/hook.sh", "#!/bin/sh\nnote hook \"$0\"\n");
            link(
                image,
                "../../hook.sh",
                &format!("app/src/.s2i/action_hooks/{hook}"),
            );
        },
    )));
    cases.push(case(
        format!("{hook}: a link to nothing"),
        &[command],
        move |image: &mut Image| {
            source(image, command);
            link(
                image,
                "nowhere",
                &format!("app/src/.s2i/action_hooks/{hook}"),
            );
        },
    ));
    cases.push(path(case(
        format!("{hook}: a folder"),
        &[command],
        move |image: &mut Image| {
            source(image, command);
            fs::create_dir_all(image.at(&format!("app/src/.s2i/action_hooks/{hook}"))).unwrap();
        },
    )));
    cases
}

/// The check came after other things had run; now it comes first.
fn too_late(seen: &mut Seen, command: &str) {
    errors_to_stderr(seen);
    only_start(seen, command);
    seen.status = Some(1);
}

/// Nothing has run but the first banner.
fn only_start(seen: &mut Seen, command: &str) {
    let banner = matches!(command, "assemble" | "run");
    seen.stdout = first(&seen.stdout, usize::from(banner));
    seen.events = String::new();
    // The source is still where it was uploaded to.
    seen.move_file("app/src/app.py", "tmp/src/app.py");
}

fn oddities() -> Vec<Case> {
    vec![
        case("all hooks of a start, in order", &["run"], |image| {
            image.env("deploy_env", "WHO=deploy_env\n");
            image.hook("deploy", "export LOST=1; note deploy");
            image.hook("run", "note run \"pid $$\"");
        }),
        case(
            "a start fails in deploy and starts nothing",
            &["run"],
            |image| {
                image.hook("deploy", "exit 9");
                image.hook("run", "note run");
            },
        ),
        case(
            "the application's status is the command's",
            &["run"],
            |image| {
                image.hook("run", "exit 42");
            },
        ),
        case(
            "a command that is not there",
            &["exec", "nosuch-command"],
            |_| {},
        ),
        case(
            "a path that is not there",
            &["exec", "/nosuch/command"],
            |_| {},
        ),
        case(
            "a command that may not be run",
            &["exec", "/etc/passwd"],
            |_| {},
        ),
        case("a command that is a folder", &["exec", "/etc"], |_| {}),
        case(
            "a command that fails",
            &["exec", "sh", "-c", "exit 3"],
            |_| {},
        ),
        case(
            "a command that is killed",
            &["exec", "sh", "-c", "kill -9 $$"],
            |_| {},
        ),
        case(
            "a command without #!",
            &["exec", "script", "x y"],
            |image| {
                image.script("local/script", "note script \"$0\" \"$@\"\n");
            },
        ),
        case(
            "a separator before a command",
            &["exec", "--", "note", "a", "--", "b"],
            |_| {},
        ),
        case(
            "a command with options of its own",
            &["exec", "note", "-a", "--bee", "-v"],
            |_| {},
        ),
        case(
            "words that a shell would split",
            &["exec", "note", "a  b", "*", "$HOME", "", "x\ny"],
            |_| {},
        ),
        case(
            "what a command has open",
            &["exec", "sh", "-c", "set -- /proc/$$/fd/*; echo $#"],
            |image| {
                image.env("deploy_env", "A=1\n");
            },
        ),
        case("a shell reads commands", &["shell"], |image| {
            image.env("deploy_env", "A=1\n");
            image.stdin = "note typed \"$A $$\"\nread -r line\nthis is read\necho \"$line\"; exit 3\nnote late\n";
        }),
        case("a command reads what is typed", &["exec", "cat", "-"], |image| {
            image.env("deploy_env", "A=1\n");
            image.stdin = "one\ntwo";
        }),
        case("an application reads what is typed", &["run"], |image| {
            image.env("deploy_env", "A=1\n");
            image.hook("deploy", "true");
            image.hook("run", "exec cat -");
            image.stdin = "one\ntwo";
        }),
        case("a command with Windows line ends", &["exec", "./script"], |image| {
            image.env("deploy_env", "A=1\n");
            image.script("app/src/script", "#!/bin/sh\r\nnote script\r\n");
        })
        .mends(Bug::B12, |seen| {
            seen.stderr.push_str("ERROR: script ./script has Windows line ends (CRLF) and cannot be run; convert it: sed -i 's/\\r$//' ./script\n");
        }),
        // Builders start their `run` under an init of theirs when this is set.
        case("what the builder's run reads", &["run"], |image| {
            image.env("deploy_env", "A=1\n");
            image.environment.push(("ENABLE_INIT_WRAPPER", "true"));
        }),
        case("no builder's run", &["run"], |image| {
            fs::remove_file(image.at("s2i/run")).unwrap();
        }),
        case(
            "signals that are ignored",
            &["exec", "sh", "-c", "grep SigIgn /proc/self/status"],
            |_| {},
        )
        .mends(Bug::B2, without_pythons_signals),
        case("nested commands", &["run"], |image| {
            image.env("deploy_env", "COUNT=$((COUNT+1))\n");
            image.hook("deploy", "powershift image migrate");
            image.hook("migrate", "powershift image exec note innermost");
        })
        .mends(Bug::B10, right_path)
        .mends(Bug::B1, |seen| {
            let banner = " -----> Running /opt/app-root/src/.s2i/action_hooks/deploy_env\n";
            let once = seen.stdout.find(banner).unwrap() + banner.len();
            seen.stdout = format!(
                "{}{}",
                &seen.stdout[..once],
                seen.stdout[once..].replace(banner, "")
            );
            seen.events = seen.events.replace("COUNT=3", "COUNT=1");
        }),
        case(
            "a runner's environment is not evaluated again",
            &["ready"],
            |image| {
                image.env("deploy_env", "note deploy_env\n");
                image.hook("ready", "note ready");
                image.environment.push(("S2I_MARKERS_ENVIRON", "yes"));
            },
        )
        .mends(Bug::B1, |seen| {
            seen.stdout = String::new();
            let ready = before(&seen.events, "ready").len();
            seen.events = seen.events[ready..].replace("OLDPWD=/opt/app-root/src\n", "");
        }),
        case("an empty mark counts as none", &["ready"], |image| {
            image.env("deploy_env", "note deploy_env\n");
            image.environment.push(("S2I_MARKERS_ENVIRON", ""));
        }),
    ]
}

/// A command that is called by what another one runs has the environment already.
fn nested() -> Vec<Case> {
    const CALL: &str = "powershift image exec note innermost";
    let once = |seen: &mut Seen| seen.events = seen.events.replace("COUNT=2", "COUNT=1");
    let counting = |image: &mut Image| {
        image.env("deploy_env", "COUNT=$((COUNT+1))\n");
    };
    vec![
        case("a command in a job", &["jobs", "hourly"], move |image| {
            counting(image);
            image.job("jobs/hourly/a", CALL);
        })
        .mends(Bug::B1, once),
        case("a command in setup", &["setup"], move |image| {
            counting(image);
            image.hook("setup", CALL);
        })
        .mends(Bug::B10, right_path)
        .mends(Bug::B1, once),
        case("a command in the hook run", &["run"], move |image| {
            counting(image);
            image.hook("run", &format!("exec {CALL}"));
        })
        .mends(Bug::B1, once),
        case("a command in a shell", &["shell"], move |image| {
            counting(image);
            image.stdin = "powershift image exec note innermost\n";
        })
        .mends(Bug::B1, once),
    ]
}

/// Words after a command, which the original refuses, are its hook's or its builder's.
fn words_passed_on() -> Vec<Case> {
    let noting = |image: &mut Image| {
        image.file("tmp/src/app.py", "");
        image.script("s2i/assemble", "#!/bin/sh\necho \"assembles $*\"\n");
        image.script("s2i/run", "#!/bin/sh\necho \"runs $*\"\n");
        image.script("local/fix-permissions", "#!/bin/sh\n");
        for name in ["verify", "ready", "alive", "setup"] {
            image.hook(name, "echo \"hook $*\"");
        }
    };
    let lines: [(&'static [&'static str], &str); 6] = [
        (
            &["assemble", "x", "-y"],
            " -----> Running application assemble script.\n -----> Running builder assemble script (/usr/libexec/s2i/assemble)\nassembles x -y\n",
        ),
        (
            &["run", "x", "--y"],
            " -----> Running application run script.\n -----> Running builder run script (/usr/libexec/s2i/run)\nruns x --y\n",
        ),
        (
            &["verify", "x"],
            " -----> Running /opt/app-root/src/.s2i/action_hooks/verify\nhook x\n",
        ),
        (&["ready", "--x"], "hook --x\n"),
        (&["alive", "x", "y"], "hook x y\n"),
        (
            &["setup", "x"],
            " -----> Running /opt/app-root/src/.s2i/action_hooks/setup\nhook x\n",
        ),
    ];
    lines
        .into_iter()
        .map(|(words, stdout)| {
            case(format!("words after the command: {words:?}"), words, noting).mends(
                Bug::B11,
                move |seen| {
                    seen.status = Some(0);
                    seen.stdout = stdout.to_owned();
                },
            )
        })
        .collect()
}

fn usage() -> Vec<Case> {
    let quiet = |words: &[&'static str]| case(format!("usage: {words:?}"), words, |_| {});
    vec![
        quiet(&["nosuch"]),
        quiet(&["exec"]),
        quiet(&["jobs"]),
        quiet(&["--nosuch", "run"]),
        quiet(&[]),
        quiet(&["--help"]),
        quiet(&["exec", "--help"]),
        quiet(&["jobs", "--help"]),
        quiet(&["assemble", "--help"]),
        quiet(&["run", "--help"]),
        quiet(&["verify", "--help"]),
        quiet(&["ready", "--help"]),
        quiet(&["alive", "--help"]),
        quiet(&["setup", "--help"]),
        quiet(&["migrate", "--help"]),
        quiet(&["shell", "--help"]),
        quiet(&["jobs", "a", "b"]),
        quiet(&["shell", "x"]),
        case(
            "help of the command's own program",
            &["exec", "printf", "%s", "--help"],
            |_| {},
        )
        .mends(Bug::B11, |seen| seen.stdout = "--help".into()),
        case(
            "a later separator",
            &["exec", "printf", "%s,", "a", "--", "b"],
            |_| {},
        )
        .mends(Bug::B11, |seen| seen.stdout = "a,--,b,".into()),
        case(
            "a separator before a category",
            &["jobs", "--", "hourly"],
            |image| {
                image.job("jobs/hourly/a", "note a");
            },
        ),
        case("words for a hook", &["migrate", "--fake", "-h"], |image| {
            image.hook("migrate", "echo \"$@\"");
        })
        .mends(Bug::B11, |seen| {
            seen.status = Some(0);
            seen.stdout =
                " -----> Running /opt/app-root/src/.s2i/action_hooks/migrate\n--fake -h\n".into();
        }),
    ]
}
