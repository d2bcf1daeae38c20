//! Paths, users, and roots that cannot be written.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{Bug, Case, as_if, case, right_path};
use crate::image::{BUILDER, Image, link};

/// What Python's builder images have.
pub(crate) const CONTAINER_USER: &str = r#"
USER_ID=$(id -u)
GROUP_ID=$(id -g)
if [ x"$USER_ID" != x"0" -a x"$USER_ID" != x"1001" ]; then
    NSS_WRAPPER_PASSWD=/opt/app-root/etc/passwd
    NSS_WRAPPER_GROUP=/etc/group
    cat /etc/passwd | sed -e 's/^default:/builder:/' > $NSS_WRAPPER_PASSWD
    echo "default:x:${USER_ID}:${GROUP_ID}:Application:${HOME}:/sbin/nologin" >> $NSS_WRAPPER_PASSWD
    export NSS_WRAPPER_PASSWD
    export NSS_WRAPPER_GROUP
    LD_PRELOAD=libnss_wrapper.so
    export LD_PRELOAD
fi
"#;

/// What those for Node.js have.
pub(crate) fn nodejs_user() -> String {
    CONTAINER_USER.replace(
        "    LD_PRELOAD=libnss_wrapper.so\n    export LD_PRELOAD\n",
        "    export LD_PRELOAD=libnss_wrapper.so\n",
    )
}

pub(super) const COMMANDS: [&[&str]; 10] = [
    &["run"],
    &["exec", "note", "command"],
    &["shell"],
    &["verify"],
    &["ready"],
    &["alive"],
    &["setup"],
    &["migrate"],
    &["jobs", "hourly"],
    &["assemble"],
];

/// Something to run for every command.
pub(super) fn lively(image: &mut Image) {
    image.file("tmp/src/app.py", "");
    for name in [
        "build", "deploy", "verify", "ready", "alive", "setup", "migrate",
    ] {
        image.hook(name, "note hook");
    }
    image.job("jobs/hourly/a", "note job");
    image.env("deploy_env", "LEVEL=1\n");
    image.stdin = "note typed\n";
}

fn with_user(image: &mut Image) {
    lively(image);
    image.file("app/etc/generate_container_user", CONTAINER_USER);
}

/// `verify`, `setup` and `migrate` name a wrong path.
pub(super) fn banners(case: Case, words: &[&str]) -> Case {
    if matches!(words[0], "verify" | "setup" | "migrate") {
        case.mends(Bug::B10, right_path)
    } else {
        case
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for words in COMMANDS {
        let name = words[0];
        if name != "assemble" {
            // `verify` makes no entry.
            let read_only = banners(
                case(format!("{name} on a read-only root"), words, |image| {
                    with_user(image);
                    image.read_only = true;
                }),
                words,
            );
            cases.push(if name == "verify" {
                read_only
            } else {
                unwritable(read_only, words)
            });
        }
        cases.push(spaces(words));
        cases.push(banners(
            case(
                format!("{name} where only S2I's places can be written"),
                words,
                |image| {
                    with_user(image);
                    image.sealed = true;
                },
            ),
            words,
        ));
        cases.push(banners(
            case(format!("{name} without /proc"), words, |image| {
                with_user(image);
                image.without_proc = true;
            }),
            words,
        ));
        cases.push(banners(
            case(format!("{name} as root"), words, |image| {
                with_user(image);
                image.uid = 0;
            }),
            words,
        ));
        cases.push(banners(
            case(format!("{name} with a passwd entry"), words, with_user),
            words,
        ));
        cases.push(banners(
            case(format!("{name} in an old image"), words, |image| {
                with_user(image);
                image.file(
                    "app/etc/scl_enable",
                    "unset BASH_ENV\nexport PATH=/opt/collection/bin:$PATH COLLECTION=on\n",
                );
                image
                    .environment
                    .push(("BASH_ENV", "/opt/app-root/etc/scl_enable"));
            }),
            words,
        ));
    }
    cases.extend(users());
    cases.extend(paths());
    cases
}

/// Without an entry that cannot be made, as if there were none to make.
fn unwritable(case: Case, words: &'static [&'static str]) -> Case {
    let case = Case {
        mended: vec![],
        ..case
    };
    case.mends(Bug::B9, move |seen| {
        let tree = seen.tree.clone();
        *seen = as_if(words, lively);
        right_path(seen);
        seen.tree = tree;
    })
}

fn spaces(words: &'static [&'static str]) -> Case {
    let name = words[0];
    case(format!("{name} in a folder with a space"), words, |image| {
        lively(image);
        image.root = "/opt/my app";
        image
            .environment
            .push(("S2I_APPLICATION_PATH", "/opt/my app"));
    })
    .mends(Bug::B7, move |seen| {
        *seen = as_if(words, lively);
        right_path(seen);
        for text in [&mut seen.stdout, &mut seen.stderr, &mut seen.events] {
            *text = text.replace("/opt/app-root", "/opt/my app");
        }
    })
}

fn users() -> Vec<Case> {
    const READY: [&str; 1] = ["ready"];
    vec![
        case("the builder's user needs no entry", &READY, |image| {
            with_user(image);
            image.uid = BUILDER;
        }),
        case("the script of Node.js images", &READY, |image| {
            with_user(image);
            image.file("app/etc/generate_container_user", &nodejs_user());
        }),
        case(
            "the script of Node.js images on a read-only root",
            &READY,
            |image| {
                with_user(image);
                image.file("app/etc/generate_container_user", &nodejs_user());
                image.read_only = true;
            },
        )
        .mends(Bug::B9, |seen| {
            let tree = seen.tree.clone();
            *seen = as_if(&READY, lively);
            seen.tree = tree;
        }),
        case("a passwd file in a folder that is not writable", &READY, |image| {
            with_user(image);
            image.file("app/etc/passwd", "old:x:1:1::/a/longer/line/than/there/will/be/so/that/it/has/to/be/cut:/bin/sh\n");
            fs::set_permissions(image.at("app/etc"), fs::Permissions::from_mode(0o555)).unwrap();
        }),
        case("a passwd file that is a link", &READY, |image| {
            with_user(image);
            image.file("tmp/entries", "old");
            link(image, "/tmp/entries", "app/etc/passwd");
        }),
        case("a passwd file in another encoding", &READY, |image| {
            with_user(image);
            image.hook("ready", "grep -c root: $NSS_WRAPPER_PASSWD; grep -c default:x:$UID: $NSS_WRAPPER_PASSWD");
            let name = b"root:x:0:0:Ren\xe9:/root:/bin/bash\n";
            fs::write(image.at("etc/passwd"), name).unwrap();
        }),
        case("a script of one's own whose file cannot be made", &READY, |image| {
            lively(image);
            image.file(
                "app/etc/generate_container_user",
                "export NSS_WRAPPER_PASSWD=/nosuch/passwd NSS_WRAPPER_GROUP=/etc/group\ntrue && cat /etc/passwd > $NSS_WRAPPER_PASSWD\n",
            );
        })
        .mends(Bug::B9, |seen| {
            let tree = seen.tree.clone();
            *seen = as_if(&READY, lively);
            seen.tree = tree;
            seen.stderr = "/opt/app-root/etc/generate_container_user: line 2: /nosuch/passwd: No such file or directory\n".into();
        }),
        case("a script of one's own for the entry", &READY, |image| {
            lively(image);
            image.file(
                "app/etc/generate_container_user",
                "echo making\nUSER_ID=$(id -u)\nexport OWN=$USER_ID\nnote user \"$@\"\n",
            );
        }),
        case("a file of an earlier user", &READY, |image| {
            with_user(image);
            image.file("app/etc/passwd", "default:x:7:0::/:/bin/sh\n");
            fs::set_permissions(
                image.at("app/etc/passwd"),
                fs::Permissions::from_mode(0o444),
            )
            .unwrap();
        })
        .mends(Bug::B9, |seen| *seen = as_if(&READY, with_user)),
        case("a script of one's own that fails", &READY, |image| {
            lively(image);
            image.file(
                "app/etc/generate_container_user",
                "export OWN=1\nfalse\nexport MORE=1\n",
            );
        })
        .mends(Bug::B9, |seen| {
            let tree = seen.tree.clone();
            *seen = as_if(&READY, |image| {
                lively(image);
                image.file(
                    "app/etc/generate_container_user",
                    "export OWN=1\nexport MORE=1\n",
                );
            });
            seen.tree = tree;
        }),
        case(
            "an image without date",
            &["exec", "note", "command"],
            |image| {
                image.env("deploy_env", "A=1\n");
                image.without.push("date");
            },
        )
        .mends(Bug::B8, |seen| {
            *seen = as_if(&["exec", "note", "command"], |image| {
                image.env("deploy_env", "A=1\n");
            });
        }),
    ]
}

fn paths() -> Vec<Case> {
    const NOTE: [&str; 3] = ["exec", "note", "command"];
    let set = |name: &'static str, value: &'static str| {
        case(
            format!("{name}={value}"),
            &NOTE,
            move |image: &mut Image| {
                image.environment.push((name, value));
            },
        )
    };
    vec![
        set("S2I_SOURCE_PATH", "/opt/app-root/src"),
        set("S2I_APPLICATION_PATH", ""),
        set("S2I_SCRIPTS_PATH", "/somewhere"),
        set("SHLVL", "7"),
        set("odd.name", "kept"),
        set("S2I_SOURCE_PATH", "/opt/app-root/src/").mends(Bug::B10, super::errors_to_stderr),
        set("S2I_APPLICATION_PATH", "/opt/app-root/").mends(Bug::B10, super::errors_to_stderr),
        case("a link to the source, known as such", &NOTE, |image| {
            link(image, "src", "app/current");
            image.directory = Some("/opt/app-root/current");
            image
                .environment
                .push(("S2I_SOURCE_PATH", "/opt/app-root/current"));
            image.environment.push(("PWD", "/opt/app-root/current"));
        }),
    ]
}
