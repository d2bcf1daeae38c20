//! Trees that cannot be converted: explained, and nothing half-written.

use std::os::unix::fs::PermissionsExt as _;

use openshifter_v2::{
    Limits, Options, Runner, RunnerFile, Tree, V2Error, analyze, apply_in_place, check_in_place,
    plan, write_out,
};

use crate::support::{World, git, of_rule};

fn refused(world: &World) -> String {
    let tree = match Tree::load(&world.root, &Limits::default()) {
        Ok(tree) => tree,
        Err(error) => return error.to_string(),
    };
    let error = analyze(&tree, &Options::default())
        .and_then(|analysis| plan(&tree, &analysis, Some(&crate::support::runner())))
        .expect_err("it is refused");
    error
        .to_string()
        .replace(&tree.root().display().to_string(), "TREE")
}

#[test]
fn a_folder_that_is_not_there() {
    let error = Tree::load(std::path::Path::new("/nowhere/at/all"), &Limits::default())
        .expect_err("it is refused");
    assert_eq!(error.to_string(), "cannot read the folder /nowhere/at/all");
}

#[test]
fn not_a_tree_of_v2() {
    insta::assert_snapshot!(refused(&World::of(&[("main.c", "int main;\n")])), @"TREE is no OpenShift V2 application: there is no .openshift folder, no entry point of a V2 cartridge, and no file reads an OPENSHIFT_* variable");
}

#[test]
fn a_tree_of_v3() {
    insta::assert_snapshot!(refused(&World::of(&[("app.sh*", "#!/bin/bash\n"), (".s2i/environment", "A=1\n"), ("wsgi.py", "application = 1\n")])), @"TREE is an OpenShift V3 source tree already (.s2i/environment, app.sh), and holds nothing of V2 that could be converted");
}

#[test]
fn other_cartridges() {
    for (fixture, said) in [
        ("php", "php"),
        ("ruby", "ruby"),
        ("nodejs", "nodejs"),
        ("perl", "perl"),
        ("jboss", "jboss"),
        ("diy", "diy"),
    ] {
        let world = World::of_fixture(fixture);
        let analysis = world.analyze(&Options::default());
        assert_eq!(analysis.facts.cartridge.name(), said);
        let text = refused(&world);
        assert!(
            text.starts_with(&format!(
                "this is an application for V2's {said} cartridge ("
            )),
            "{text}"
        );
        assert!(text.contains("a person would: "), "{text}");
    }
    // Its jobs and variables are seen all the same.
    let analysis = World::of_fixture("php").analyze(&Options::default());
    assert!(
        analysis
            .variables
            .iter()
            .any(|variable| variable.name == "OPENSHIFT_MYSQL_DB_HOST")
    );
    assert_eq!(analysis.facts.cron[0].jobs, ["tidy"]);
}

#[test]
fn an_unknown_cartridge() {
    insta::assert_snapshot!(refused(&World::of(&[(".openshift/markers/x", "")])), @"nothing tells which cartridge this application was for: say it with --cartridge, as in --cartridge python-2.7");
}

#[test]
fn no_entry_point() {
    insta::assert_snapshot!(refused(&World::of(&[(".openshift/x", ""), ("requirements.txt", "x\n"), ("site/wsgi.py", "application = 1\n")])), @"there is no entry point: V2 started app.py, else $OPENSHIFT_PYTHON_WSGI_APPLICATION, else wsgi/application, else wsgi.py, and none is there; site/wsgi.py may be one: name it with --entry site/wsgi.py");
}

#[test]
fn two_applications() {
    insta::assert_snapshot!(refused(&World::of(&[("one/.openshift/x", ""), ("two/.openshift/x", "")])), @"TREE holds more than one application (one, two): convert each by itself, naming its folder");
    insta::assert_snapshot!(refused(&World::of(&[("one/.openshift/x", ""), ("one/wsgi.py", "")])), @"DIR: the application is in the folder one: name that one");
}

#[test]
fn files_that_no_longer_parse() {
    let world = World::of_fixture("django-starter");
    let settings = world.root.join("wsgi/myproject/myproject/settings.py");
    let text = std::fs::read_to_string(&settings)
        .expect("it can be read")
        .replace(
            "DEBUG = os.environ.get('DEBUG') == 'True'",
            "DEBUG = ***REMOVED***",
        );
    std::fs::write(&settings, text).expect("it can be written");
    insta::assert_snapshot!(refused(&world), @"these files do not parse, so they cannot be edited: wsgi/myproject/myproject/settings.py:22; mend them first, by putting `os.environ['NAME']` where a secret was taken out");
}

#[test]
fn links_out_of_the_tree() {
    let world = World::of_fixture("wsgi");
    for (name, target) in [
        ("passwd", "/etc/passwd"),
        ("up", "../../x"),
        ("fine", "wsgi.py"),
    ] {
        std::os::unix::fs::symlink(target, world.root.join(name)).expect("the link can be made");
    }
    insta::assert_snapshot!(refused(&world), @"these symbolic links lead out of the application: passwd -> /etc/passwd, up -> ../../x; replace them by what they point to, or remove them");
    assert_eq!(
        of_rule(&world.analyze(&Options::default()), "links").len(),
        2
    );
}

#[test]
fn a_chain_of_links_out_of_the_tree() {
    let world = World::of_fixture("wsgi");
    std::fs::create_dir(world.root.join("a")).expect("the folder can be made");
    std::os::unix::fs::symlink("../..", world.root.join("a/b")).expect("the link can be made");
    std::os::unix::fs::symlink("a/b/x", world.root.join("c")).expect("the link can be made");
    assert!(refused(&world).contains("a/b -> ../.."));
}

#[test]
fn files_that_cannot_be_read() {
    let world = World::of_fixture("wsgi");
    // A name that is not UTF-8 stands for all that cannot be read: root reads everything else.
    let name = std::ffi::OsStr::from_encoded_bytes_checked(b"caf\xe9.txt");
    std::fs::write(world.root.join(name), "x").expect("the file can be written");
    assert!(refused(&world).contains("(its name is not UTF-8)"));
    if !rustix_is_root() {
        let world = World::of_fixture("wsgi");
        std::fs::set_permissions(
            world.root.join("wsgi.py"),
            std::fs::Permissions::from_mode(0o000),
        )
        .expect("the mode can be set");
        assert!(refused(&world).contains("wsgi.py"));
    }
}

fn rustix_is_root() -> bool {
    // A file that nobody may read is read by root alone.
    let file = tempfile::NamedTempFile::new().expect("a file can be made");
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o000))
        .expect("the mode can be set");
    std::fs::read(file.path()).is_ok()
}

/// `OsStr` of bytes, on this platform.
trait Bytes {
    fn from_encoded_bytes_checked(bytes: &[u8]) -> &std::ffi::OsStr;
}

impl Bytes for std::ffi::OsStr {
    fn from_encoded_bytes_checked(bytes: &[u8]) -> &std::ffi::OsStr {
        std::os::unix::ffi::OsStrExt::from_bytes(bytes)
    }
}

#[test]
fn no_runner() {
    let world = World::of_fixture("wsgi");
    let tree = world.tree();
    let analysis = world.analyze(&Options::default());
    let error = plan(&tree, &analysis, None)
        .expect_err("it is refused")
        .to_string();
    assert!(error.contains("--runner-binary"), "{error}");
    for runner in [Runner::Pip, Runner::Image] {
        let options = Options {
            runner,
            ..Options::default()
        };
        let analysis = world.analyze(&options);
        assert!(plan(&tree, &analysis, None).is_ok());
    }
    assert!(RunnerFile::new(b"hello".to_vec()).is_err());
    let dynamic = std::fs::read("/bin/ls").expect("there is ls");
    assert!(
        RunnerFile::new(dynamic)
            .expect_err("it is refused")
            .contains("linked dynamically")
    );
}

#[test]
fn options_that_make_no_sense() {
    let world = World::of_fixture("django-starter");
    let tree = world.tree();
    let said = |options: Options| analyze(&tree, &options).expect_err("it is refused");
    let error = said(Options {
        django: "3.1".parse().expect("a version"),
        ..Options::default()
    });
    insta::assert_snapshot!(error.to_string(), @"--django: Django 3.1 is no long-term release that sources can be brought to: choose one of 1.8, 1.11, 2.2, 3.2, 4.2, 5.2, 6.0");
    assert!(error.is_usage());
    let error = said(Options {
        django: "2.2".parse().expect("a version"),
        ..Options::default()
    });
    insta::assert_snapshot!(error.to_string(), @"--django: Django 2.2 runs on Python 3.5 to 3.9, not on 3.12");
    for (option, options) in [
        (
            "--data-dir",
            Options {
                data_dir: Some("data".to_owned()),
                ..Options::default()
            },
        ),
        (
            "--data-dir",
            Options {
                data_dir: Some("/opt/app-root/src/".to_owned()),
                ..Options::default()
            },
        ),
        (
            "--name",
            Options {
                name: Some("My App".to_owned()),
                ..Options::default()
            },
        ),
        (
            "--entry",
            Options {
                entry: Some("nowhere.py".to_owned()),
                ..Options::default()
            },
        ),
        (
            "--manage",
            Options {
                manage: Some("nowhere.py".to_owned()),
                ..Options::default()
            },
        ),
        (
            "--settings",
            Options {
                settings: Some("nowhere".to_owned()),
                ..Options::default()
            },
        ),
        (
            "--health-path",
            Options {
                health_path: Some("$(x)".to_owned()),
                ..Options::default()
            },
        ),
    ] {
        let error = said(options);
        assert!(
            error.is_usage() && error.to_string().starts_with(option),
            "{error}"
        );
    }
}

#[test]
fn the_result_is_never_written_over_anything() {
    let world = World::of_fixture("wsgi");
    let (tree, plan) = (
        world.tree(),
        world
            .plan(&Options::default())
            .expect("it can be converted"),
    );
    let taken = world.folder.path().join("taken");
    std::fs::create_dir(&taken).expect("the folder can be made");
    assert!(matches!(
        write_out(&tree, &plan, &taken),
        Err(V2Error::OutExists { .. })
    ));
    assert!(matches!(
        write_out(&tree, &plan, &world.root.join("inside")),
        Err(V2Error::OutInside { .. })
    ));
    assert!(matches!(
        write_out(&tree, &plan, std::path::Path::new("/nowhere/at/all")),
        Err(V2Error::Write { .. })
    ));
    // Nothing of a failed try is left.
    assert_eq!(
        std::fs::read_dir(world.folder.path())
            .expect("it can be listed")
            .count(),
        2
    );
}

#[test]
fn a_file_that_disappears_leaves_no_result() {
    let world = World::of_fixture("wsgi");
    world.write("picture.png", b"\x89PNG\0");
    let (tree, plan) = (
        world.tree(),
        world
            .plan(&Options::default())
            .expect("it can be converted"),
    );
    std::fs::remove_file(world.root.join("picture.png")).expect("it can be removed");
    let out = world.folder.path().join("out");
    assert!(write_out(&tree, &plan, &out).is_err());
    assert!(!out.exists());
    assert_eq!(
        std::fs::read_dir(world.folder.path())
            .expect("it can be listed")
            .count(),
        1
    );
}

#[test]
fn an_unclean_tree_is_not_changed_in_place() {
    let world = World::of_fixture("wsgi");
    let error = check_in_place(&world.tree(), false)
        .expect_err("it is refused")
        .to_string();
    assert!(error.contains("no git tree"), "{error}");
    let git = |args: &[&str]| git(&world.root, args);
    git(&["init", "-q"]);
    let error = check_in_place(&world.tree(), false)
        .expect_err("it is refused")
        .to_string();
    assert!(error.contains("is not committed"), "{error}");
    git(&["add", "-A"]);
    git(&["commit", "-qm", "x"]);
    check_in_place(&world.tree(), false).expect("it is clean");
    world.write("wsgi.py", "application = 2\n");
    assert!(check_in_place(&world.tree(), false).is_err());
    check_in_place(&world.tree(), true).expect("it is forced");
}

#[test]
fn a_failure_in_place_is_taken_back() {
    let world = World::of_fixture("flask");
    let (tree, plan) = (
        world.tree(),
        world
            .plan(&Options::default())
            .expect("it can be converted"),
    );
    // Someone writes a file that the plan wants to create.
    world.write("app.sh", "mine\n");
    let before = listing(&world.root);
    apply_in_place(&tree, &plan).expect_err("it is refused");
    assert_eq!(listing(&world.root), before);
    std::fs::remove_file(world.root.join("app.sh")).expect("it can be removed");
    // A folder in the place of a file: the renames before it are undone.
    std::fs::remove_file(world.root.join("wsgi.py")).expect("it can be removed");
    std::fs::create_dir(world.root.join("wsgi.py")).expect("it can be made");
    let before = listing(&world.root);
    apply_in_place(&tree, &plan).expect_err("it is refused");
    assert_eq!(listing(&world.root), before);
}

pub(crate) fn listing(root: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut todo = vec![root.to_owned()];
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(&folder)
            .expect("the folder can be listed")
            .flatten()
        {
            let path = entry.path();
            let name = path
                .strip_prefix(root)
                .expect("it is below")
                .display()
                .to_string();
            if entry.file_type().expect("it has a type").is_dir() {
                if entry.file_name() != ".git" {
                    todo.push(path);
                    found.push((name, b"folder".to_vec()));
                }
            } else if let Ok(target) = std::fs::read_link(&path) {
                found.push((name, target.display().to_string().into_bytes()));
            } else {
                let mode = std::fs::metadata(&path)
                    .expect("it is there")
                    .permissions()
                    .mode()
                    & 0o100;
                let mut content = std::fs::read(&path).expect("it can be read");
                content.push(if mode == 0 { b'-' } else { b'x' });
                found.push((name, content));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_database_service_is_for_django() {
    let options = Options {
        database: openshifter_v2::DatabaseChoice::Service,
        ..Options::default()
    };
    let error = World::of_fixture("flask")
        .plan(&options)
        .expect_err("there are no settings to rewrite");
    assert!(
        error.is_usage() && error.to_string().starts_with("--database: "),
        "{error}"
    );
}

#[test]
fn names_that_begin_with_a_digit_are_made_ones_that_services_may_have() {
    let world = World::of(&[(".openshift/x", ""), ("wsgi.py", "application = 1\n")]);
    let root = world.root.with_file_name("2048");
    std::fs::rename(&world.root, &root).expect("it can be renamed");
    let world = World { root, ..world };
    assert_eq!(world.analyze(&Options::default()).facts.name, "app-2048");
    let options = Options {
        name: Some("2048".to_owned()),
        ..Options::default()
    };
    assert!(world.plan(&options).is_err());
}
