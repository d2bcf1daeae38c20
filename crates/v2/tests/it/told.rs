//! What the conversion says and hands out is true: documents, patches, hooks, variables.

use std::process::Command;

use openshifter_v2::{DatabaseChoice, Options, Runner, Supply, report};

use crate::hooks::said;
use crate::support::{World, of_rule};

#[test]
fn configuration_that_flask_executes_is_python() {
    let world = World::of(&[
        (".openshift/x", ""),
        (
            "flaskapp.py",
            "from flask import Flask\napp = Flask(__name__)\napp.config.from_pyfile('flaskapp.cfg')\n",
        ),
        (
            "flaskapp.cfg",
            "import os\nURI = os.environ['OPENSHIFT_POSTGRESQL_DB_URL'] + '/' + os.environ['PGDATABASE']\n",
        ),
        ("wsgi.py", "from flaskapp import app as application\n"),
    ]);
    let result = world.convert(&Options::default());
    let stand_ins = result.read(".s2i/action_hooks/build_env");
    for name in ["OPENSHIFT_POSTGRESQL_DB_URL=", "PGDATABASE="] {
        assert!(stand_ins.contains(name), "{stand_ins}");
    }
}

#[test]
fn variables_of_files_in_other_languages_are_asked_for() {
    let world = World::of(&[
        (".openshift/x", ""),
        ("wsgi.py", "application = 1\n"),
        ("config.cfg", "import os\nTOKEN=os.environ[\"CFG_TOKEN\"]\n"),
        (
            "supervisor.ini",
            "[program:x]\nenvironment=KEY=%(ENV_INI_KEY)s\nplace = ${INI_PLACE}\n; ${INI_NOT}\n",
        ),
        (
            ".openshift/cron/daily/report*",
            "#!/usr/bin/env ruby\nputs ENV['RUBY_A'] + ENV.fetch('RUBY_B') + ENV.fetch('RUBY_C', 'x')\n",
        ),
        ("tool.pl", "print $ENV{PERL_A};\n"),
        ("tool.php", "<?php echo getenv('PHP_A'), $_ENV['PHP_B'];\n"),
        ("tool.js", "console.log(process.env.NODE_A)\n"),
        ("static/x.js", "process.env.BROWSER\n"),
    ]);
    let analysis = world.analyze(&Options::default());
    let asked: Vec<(&str, bool)> = analysis
        .variables
        .iter()
        .filter_map(|variable| match variable.supply {
            Supply::Input { required, .. } => Some((variable.name.as_str(), required)),
            _ => None,
        })
        .collect();
    assert_eq!(
        asked,
        [
            ("CFG_TOKEN", true),
            ("INI_KEY", true),
            ("INI_PLACE", false),
            ("NODE_A", false),
            ("PERL_A", false),
            ("PHP_A", false),
            ("PHP_B", false),
            ("RUBY_A", false),
            ("RUBY_B", true),
            ("RUBY_C", false),
        ]
    );
}

#[test]
fn a_patch_of_a_folder_applies_from_the_top_of_its_repository() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let git = |args: &[&str]| {
        let done = Command::new("git")
            .arg("-C")
            .arg(folder.path())
            .args(args)
            .output()
            .expect("there is git");
        assert!(done.status.success(), "{}", said(&done));
    };
    git(&["init", "-q"]);
    let world = World::of_fixture("django-starter");
    crate::support::copy(&world.root, &folder.path().join("apps/notes"));
    let nested = World {
        root: folder.path().join("apps/notes"),
        folder: tempfile::tempdir().expect("a folder can be made"),
    };
    let plan = nested.plan(&Options::default()).expect("a plan");
    let patch = nested.folder.path().join("patch");
    std::fs::write(&patch, plan.patch()).expect("it can be written");
    let patch = patch.to_string_lossy();
    git(&["apply", "--check", "--whitespace=nowarn", &patch]);
    git(&["apply", "--whitespace=nowarn", &patch]);
    assert!(folder.path().join("apps/notes/app.sh").is_file());
    assert!(!plan.diff().contains("apps/notes"));
}

#[test]
fn without_users_nobody_is_asked_for_an_administrator() {
    let world = World::of_fixture("django-starter");
    let path = "wsgi/myproject/myproject/settings.py";
    let settings = std::fs::read_to_string(world.root.join(path)).expect("it can be read");
    assert!(
        world
            .convert(&Options::default())
            .has(".s2i/action_hooks/setup")
    );
    let less: String = settings
        .lines()
        .filter(|line| !line.contains("'django.contrib.auth',"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_ne!(less, settings);
    world.write(path, less);
    let result = world.convert(&Options::default());
    assert!(!result.has(".s2i/action_hooks/setup"));
    assert!(!result.plan.needs.hooks.contains(&"setup".to_owned()));
    assert!(!result.read("CONVERSION.md").contains("administrator"));
}

#[test]
fn the_steps_by_hand_are_all_of_them() {
    let world = World::of_fixture("django-starter");
    let text = world
        .convert(&Options {
            database: DatabaseChoice::Service,
            ..Options::default()
        })
        .read("CONVERSION.md");
    for part in [
        "openshifter v2 manifests . --generate --save-values ../django-starter.values | oc apply -f -\noc start-build django-starter --from-dir=. --follow\n",
        "- PostgreSQL: Secret, claim, Service and workload, all called `postgresql`\n",
        "- an init container that runs migrations",
        "- a CronJob for the hourly jobs, at `",
        "the hook `verify` runs in the new image",
    ] {
        assert!(text.contains(part), "{part}{text}");
    }
    // What a person has to give is named where it is given.
    let text = World::of_fixture("flask")
        .convert(&Options::default())
        .read("CONVERSION.md");
    assert!(
        text.contains("given.values, outside of this folder or ignored by git: GUESTBOOK_ADMIN\n")
            && text.contains("--values given.values --generate"),
        "{text}"
    );
    assert!(text.contains("**you** make a Service `mysql` lead to the database"));
}

#[test]
fn python_2_is_not_denied_above_findings_of_it() {
    let of = |code: &str| {
        let world = World::of(&[(".openshift/x", ""), ("wsgi.py", "application = 1\n")]);
        world.write("more.py", code);
        report::text(&world.analyze(&Options::default()))
    };
    assert!(of("x = 1\n").contains("nothing found that is Python 2 only"));
    for code in [
        "for k in {}.iteritems(): pass\n",
        "import imp\nimp.load_source('a', 'b')\n",
        "execfile('x')\n",
    ] {
        let text = of(code);
        assert!(
            !text.contains("nothing found that is Python 2 only") && text.contains("(see below)"),
            "{code}{text}"
        );
    }
}

#[test]
fn variables_are_from_where_they_are_said_to_be() {
    let analysis = World::of_fixture("django-starter").analyze(&Options::default());
    let level = analysis
        .variables
        .iter()
        .find(|variable| variable.name == "DJANGO_LOG_LEVEL")
        .expect("the conversion's logging reads it");
    assert!(!level.why.contains("rhc"), "{}", level.why);
    let world = World::of(&[
        (".openshift/x", ""),
        (
            "wsgi.py",
            "import os\nvirtenv = os.environ['APPDIR'] + '/virtenv/'\napplication = 1\n",
        ),
    ]);
    let result = world.convert(&Options::default());
    assert!(
        result
            .read(".s2i/environment")
            .contains("APPDIR=/opt/app-root/\n")
    );
}

#[test]
fn what_serves_by_itself_is_compiled_and_its_imports_are_looked_for() {
    let world = World::of_fixture("app-py");
    let verify = |code: &str| {
        world.write("app.py", code);
        let result = world.convert(&Options::default());
        assert!(
            result
                .read("CONVERSION.md")
                .contains("it is not loaded, since that would start the server")
        );
        let bin = result.root.parent().expect("it has a parent").join("bin");
        std::fs::create_dir_all(&bin).expect("a folder can be made");
        let python = bin.join("python");
        std::fs::write(&python, "#!/bin/bash\nexec python3 \"$@\"\n").expect("it can be written");
        crate::support::set_executable(&python);
        Command::new(result.root.join(".s2i/action_hooks/verify"))
            .current_dir(&result.root)
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .output()
            .expect("it can be started")
    };
    let good = verify("import os\nimport helper\nraise SystemExit('it was loaded')\n");
    assert!(!good.status.success() && said(&good).contains("no module is called helper"));
    world.write("helper.py", "");
    let good = verify("import os\nimport helper\nraise SystemExit('it was loaded')\n");
    assert!(good.status.success(), "{}", said(&good));
    // It may have places of its own to look in.
    let own = verify("import sys\nsys.path.append('more')\nimport elsewhere\n");
    assert!(own.status.success(), "{}", said(&own));
    let bad = verify("import os\nreturn 1\n");
    assert!(!bad.status.success());
}

#[test]
fn the_documents_scripts_are_those_that_are_written() {
    let document = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/image-runner.md"),
    )
    .expect("it can be read");
    for runner in [Runner::Vendored, Runner::Pip, Runner::Image] {
        let result = World::of_fixture("wsgi").convert(&Options {
            runner,
            ..Options::default()
        });
        for name in ["assemble", "run"] {
            let script: String = result
                .read(&format!(".s2i/bin/{name}"))
                .lines()
                .map(|line| match line {
                    "" => "\n".to_owned(),
                    line => format!("    {line}\n"),
                })
                .collect();
            assert!(document.contains(&script), "{runner:?}: {script}");
        }
    }
}

#[test]
fn requirements_that_setup_py_works_out_are_not_said_to_be_carried_over() {
    for (code, what) in [
        (
            "needs = ['Django==1.8']\nif True:\n    needs.append('MySQL-python')\nneeds += ['x']\n",
            "changes (line 4, 5)",
        ),
        ("needs = ['a']\nif True:\n    needs = ['b']\n", "changes"),
    ] {
        let world = World::of(&[(".openshift/x", ""), ("wsgi.py", "application = 1\n")]);
        world.write(
            "setup.py",
            format!("from setuptools import setup\n{code}setup(install_requires=needs)\n"),
        );
        let analysis = world.analyze(&Options::default());
        let found = of_rule(&analysis, "setup-py");
        assert!(
            found.iter().any(|finding| finding.what.contains(what)),
            "{found:?}"
        );
        let text = world.convert(&Options::default()).read("CONVERSION.md");
        assert!(
            text.contains("what it adds to them is not")
                && !text.contains("was a list of requirements"),
            "{text}"
        );
    }
}
