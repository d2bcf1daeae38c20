//! `requirements.txt` and `setup.py`.

use openshifter_v2::{Options, Server};

use crate::support::{World, of_rule};

fn after(requirements: Option<&str>, setup: Option<&str>, options: &Options) -> (String, String) {
    let mut files = vec![
        (".openshift/x", ""),
        ("wsgi.py", "import flask\napplication = 1\n"),
    ];
    if let Some(text) = requirements {
        files.push(("requirements.txt", text));
    }
    if let Some(text) = setup {
        files.push(("setup.py", text));
    }
    let world = World::of(&files);
    let result = world.convert(options);
    let text = result.read("requirements.txt");
    world.write("requirements.txt", &text);
    let again = world.plan(options).expect("it can be converted");
    assert!(
        again
            .actions
            .iter()
            .all(|action| action.path != "requirements.txt"),
        "the second conversion changes it"
    );
    (text, result.read(".s2i/environment"))
}

const SETUP: &str = "from setuptools import setup\nNEEDS = ['Flask>=0.10', \"requests\"]\nsetup(name='x', install_requires=NEEDS, dependency_links=['http://example.com/x'])\n";

#[test]
fn requirements_of_setup_py_are_carried_over() {
    let (text, environment) = after(None, Some(SETUP), &Options::default());
    assert_eq!(text, "Flask>=0.10\nrequests\nmod_wsgi>=5.0\n");
    assert!(environment.contains("DISABLE_SETUP_PY_PROCESSING=1\n"));
    // Both files counted in V2.
    let (text, _) = after(
        Some("# mine\nflask==2.0  # pinned\n"),
        Some(SETUP),
        &Options::default(),
    );
    assert_eq!(
        text,
        "# mine\nflask==2.0  # pinned\nrequests\nmod_wsgi>=5.0\n"
    );
}

#[test]
fn requirements_that_are_worked_out_are_reported() {
    let world = World::of(&[
        (".openshift/x", ""),
        ("wsgi.py", "application = 1\n"),
        (
            "setup.py",
            "from setuptools import setup\nsetup(install_requires=needs())\n",
        ),
    ]);
    let analysis = world.analyze(&Options::default());
    let found = of_rule(&analysis, "setup-py");
    assert!(found[0].what.contains("needs()"), "{}", found[0].what);
}

#[test]
fn packages_of_python_2_become_what_they_are_now() {
    let options = Options {
        server: Server::Gunicorn,
        pins: vec!["Flask>=3".to_owned(), "extra".to_owned()],
        ..Options::default()
    };
    let (text, _) = after(
        Some(
            "Flask==0.10.1\r\nMySQL-python==1.2.5\r\nPIL\r\nargparse\r\ngit+git://github.com/a/x.git\r\n--index-url http://example.com/simple\r\n",
        ),
        None,
        &options,
    );
    assert_eq!(
        text,
        "Flask>=3\r\nmysqlclient>=2.2\r\nPillow\r\ngit+https://github.com/a/x.git\r\n# --index-url http://example.com/simple\r\ngunicorn>=22\r\nwhitenoise>=6.6\r\nextra\r\n"
    );
}

#[test]
fn old_pins_and_the_application_itself_are_left_to_a_person() {
    let world = World::of(&[
        (".openshift/x", ""),
        ("wsgi.py", "application = 1\n"),
        ("requirements.txt", "-e .\nWerkzeug==0.9\n"),
    ]);
    let analysis = world.analyze(&Options::default());
    let found: Vec<_> = of_rule(&analysis, "requirements")
        .iter()
        .map(|finding| (finding.line, finding.severity.title()))
        .collect();
    assert_eq!(found, [(Some(1), "blocker"), (Some(2), "warning")]);
    assert!(
        world
            .convert(&Options::default())
            .read("requirements.txt")
            .starts_with("-e .\nWerkzeug==0.9\n")
    );
}

#[test]
fn files_that_requirements_name_are_followed_and_edited() {
    let world = World::of_fixture("django-starter");
    world.write(
        "requirements.txt",
        "-r requirements/base.txt\n-c requirements/versions.txt\n",
    );
    world.write(
        "requirements/base.txt",
        "Django==1.8.4\n-r more.txt\n--requirement=../requirements.txt\n-r ../../outside.txt\n",
    );
    world.write("requirements/more.txt", "PIL==1.1.7\nargparse\r\n");
    world.write(
        "requirements/versions.txt",
        "Django==1.8.4\nmod_wsgi==4.4\n",
    );
    let result = world.convert(&Options::default());
    assert_eq!(
        result.read("requirements.txt"),
        "-r requirements/base.txt\n-c requirements/versions.txt\nmod_wsgi>=5.0\n",
        "a constraint requires nothing"
    );
    assert_eq!(
        result.read("requirements/base.txt"),
        "Django>=5.2,<5.3\n-r more.txt\n--requirement=../requirements.txt\n-r ../../outside.txt\n"
    );
    assert!(result.read("requirements/more.txt").starts_with("Pillow"));
    assert!(
        result
            .read("requirements/versions.txt")
            .starts_with("Django>=5.2,<5.3\n")
    );
    let analysis = world.analyze(&Options::default());
    let paths: Vec<_> = of_rule(&analysis, "requirements")
        .iter()
        .filter_map(|finding| finding.path.clone())
        .collect();
    assert!(
        paths.contains(&"requirements/base.txt".to_owned())
            && paths.contains(&"requirements/more.txt".to_owned()),
        "{paths:?}"
    );
    assert_eq!(
        analysis.facts.dependencies.files,
        [
            "requirements.txt",
            "requirements/base.txt",
            "requirements/more.txt",
            "requirements/versions.txt"
        ]
    );
}

#[test]
fn a_file_of_requirements_that_is_missing_is_told() {
    let world = World::of_fixture("django-starter");
    world.write(
        "requirements.txt",
        "-r gone.txt\n-r http://example.com/x.txt\n",
    );
    let analysis = world.analyze(&Options::default());
    let found: Vec<_> = of_rule(&analysis, "requirements")
        .into_iter()
        .filter(|finding| finding.what.contains("gone.txt"))
        .collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].line, Some(1));
}

#[test]
fn the_file_that_v2_was_told_of_is_named_by_the_builders() {
    let world = World::of_fixture("django-starter");
    world.write("deps/live.txt", "Django==1.8.4\nPIL\n");
    let options = Options {
        requirements: Some("deps/live.txt".to_owned()),
        ..Options::default()
    };
    let result = world.convert(&options);
    assert_eq!(
        result.read("requirements.txt"),
        "-r deps/live.txt\nmod_wsgi>=5.0\n"
    );
    assert_eq!(result.read("deps/live.txt"), "Django>=5.2,<5.3\nPillow\n");
    let again = World {
        folder: tempfile::tempdir().expect("a folder can be made"),
        root: result.root.clone(),
    };
    assert!(again.plan(&options).expect("it can be planned").is_empty());
    // One beside it was not read by V2, and is read by the builder.
    world.write("requirements.txt", "other\n");
    let analysis = world.analyze(&options);
    assert!(
        of_rule(&analysis, "requirements")
            .iter()
            .any(|finding| finding.what.contains("V2 read deps/live.txt in its place"))
    );
    let missing = Options {
        requirements: Some("deps/gone.txt".to_owned()),
        ..Options::default()
    };
    let error = world.plan(&missing).expect_err("there is no such file");
    assert!(error.is_usage(), "{error}");
    // Nobody said it.
    std::fs::rename(
        world.root.join("requirements.txt"),
        world.root.join("requirements-live.txt"),
    )
    .expect("it can be renamed");
    assert!(
        of_rule(&world.analyze(&Options::default()), "requirements")
            .iter()
            .any(|finding| finding.what.contains("but requirements-live.txt"))
    );
}

#[test]
fn clients_of_kept_databases_are_required() {
    let settings = |engine: &str| {
        format!(
            "import os\nDATABASES = {{'default': {{'ENGINE': '{engine}', 'NAME': os.environ['OPENSHIFT_APP_NAME'], 'HOST': os.environ['OPENSHIFT_MYSQL_DB_HOST']}}}}\n"
        )
    };
    let after = |engine: &str, requirements: &str, cartridges: &[&str]| {
        let world = World::of_fixture("django-starter");
        world.write("wsgi/myproject/myproject/settings.py", settings(engine));
        world.write("requirements.txt", requirements);
        let options = Options {
            cartridges: cartridges.iter().map(|name| (*name).to_owned()).collect(),
            ..Options::default()
        };
        let told = of_rule(&world.analyze(&options), "requirements")
            .iter()
            .any(|finding| finding.what.contains("nothing requires a client"));
        let text = world.convert(&options).read("requirements.txt");
        let added: Vec<String> = text
            .lines()
            .filter(|line| line.starts_with("mysqlclient") || line.starts_with("psycopg"))
            .map(str::to_owned)
            .collect();
        (told, added.join(" "))
    };
    let (mysql, postgresql) = (
        "django.db.backends.mysql",
        "django.db.backends.postgresql_psycopg2",
    );
    assert_eq!(after(mysql, "", &[]), (true, "mysqlclient>=2.2".to_owned()));
    assert_eq!(after(mysql, "PyMySQL\n", &[]), (false, String::new()));
    assert_eq!(
        after("mysql.connector.django", "mysql-connector-python>=8\n", &[]),
        (false, String::new())
    );
    assert_eq!(
        after(mysql, "MySQL-python==1.2\n", &[]),
        (false, "mysqlclient>=2.2".to_owned())
    );
    assert_eq!(
        after(mysql, "", &["python-2.7", "postgresql-9.2"]),
        (false, String::new())
    );
    assert_eq!(
        after(postgresql, "", &["python-2.7", "postgresql-9.2"]),
        (true, "psycopg[binary]>=3.1.18".to_owned())
    );
    assert_eq!(
        after(postgresql, "psycopg2==2.5\n", &[]),
        (false, "psycopg2-binary>=2.9".to_owned())
    );
}

#[test]
fn a_line_with_its_continuations_is_one() {
    let (text, _) = after(
        Some(
            "PIL==1.1.7 \\\n    ; python_version > '2' # pictures\nargparse \\\n  # via x\nsix\nMySQL-python==1.2.5  # the database\n# all of it \\\nflask \\",
        ),
        None,
        &Options::default(),
    );
    assert_eq!(
        text,
        "Pillow  # pictures\nsix\nmysqlclient>=2.2  # the database\n# all of it \\\nflask \\\nmod_wsgi>=5.0\n"
            .replace("flask \\\n", "flask\n")
    );
}

#[test]
fn hashes_go_as_a_whole_and_it_is_said() {
    let hashed = "PIL==1.1.7 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nsix==1.17.0 --hash=sha256:cc  # kept\n--require-hashes\n";
    let (text, _) = after(Some(hashed), None, &Options::default());
    assert_eq!(text, "Pillow\nsix==1.17.0  # kept\nmod_wsgi>=5.0\n");
    let world = World::of(&[
        (".openshift/x", ""),
        ("wsgi.py", "application = 1\n"),
        ("requirements.txt", hashed),
    ]);
    let analysis = world.analyze(&Options::default());
    assert!(
        of_rule(&analysis, "requirements").iter().any(|finding| {
            matches!(&finding.remedy, openshifter_v2::Remedy::Convert(does) if does.contains("hashes of"))
        }),
        "nothing is said of it"
    );
    assert!(
        of_rule(&analysis, "requirements")
            .iter()
            .all(|finding| !finding.what.contains("sha256"))
    );
    // A list that has all its hashes, the server's too, stays.
    let whole = "six==1.17.0 \\\n    --hash=sha256:cc\nmod_wsgi==5.0.2 \\\n    --hash=sha256:dd\n";
    assert_eq!(after(Some(whole), None, &Options::default()).0, whole);
}

#[test]
fn addresses_that_do_not_serve_any_more_are_mended_or_reported() {
    let world = World::of(&[
        (".openshift/x", ""),
        ("wsgi.py", "application = 1\n"),
        ("libs/there/setup.py", ""),
        (
            "requirements.txt",
            "git+https://github.com/x/y.git@abc#egg=y\n-e git://github.com/a/b.git#egg=b\ngit+git://example.com/c.git\nhttp://x.org/z.zip\n./libs/pkg\n-e libs/there\nd @ git+git://github.com/d/d.git\ngit+ssh://git@github.com/e/e.git\n",
        ),
    ]);
    let result = world.convert(&Options::default());
    assert_eq!(
        result.read("requirements.txt"),
        "git+https://github.com/x/y.git@abc#egg=y\n-e git+https://github.com/a/b.git#egg=b\ngit+git://example.com/c.git\nhttp://x.org/z.zip\n./libs/pkg\n-e libs/there\nd @ git+https://github.com/d/d.git\ngit+ssh://git@github.com/e/e.git\nmod_wsgi>=5.0\n"
    );
    let analysis = world.analyze(&Options::default());
    let left: Vec<_> = of_rule(&analysis, "requirements")
        .iter()
        .filter(|finding| matches!(finding.remedy, openshifter_v2::Remedy::Person(_)))
        .filter_map(|finding| Some((finding.line?, finding.severity.title())))
        .collect();
    assert_eq!(
        left,
        [
            (3, "blocker"),
            (5, "blocker"),
            (8, "blocker"),
            (4, "warning")
        ]
    );
}
