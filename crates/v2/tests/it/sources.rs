//! Findings in entry points and in what was written for Python 2.

use openshifter_v2::{EntryKind, Options, Severity, Version};

use crate::support::{World, of_rule};

fn entry(text: &str) -> World {
    World::of(&[
        (".openshift/markers/README.md", "none\n"),
        ("wsgi/application", text),
    ])
}

fn entry_after(text: &str) -> String {
    let world = entry(text);
    let result = world.convert(&Options::default()).read("wsgi/application");
    let again = entry(&result);
    assert_eq!(
        again.convert(&Options::default()).read("wsgi/application"),
        result
    );
    result
}

#[test]
fn a_module_of_the_application_gets_out_of_the_standard_librarys_way() {
    let world = World::of(&[
        (".openshift/markers/README.md", "none\n"),
        ("libs/secrets.py", "KEY = 1\n"),
        (
            "wsgi.py",
            "import os, secrets\nimport secrets as s\nfrom secrets import KEY  # it\nimport sys as secrets2\napplication = secrets\n",
        ),
        (
            ".openshift/cron/daily/renew*",
            "#!/bin/bash\npython $OPENSHIFT_REPO_DIR/libs/secrets.py\n",
        ),
    ]);
    let result = world.convert(&Options::default());
    assert_eq!(
        result.read("wsgi.py"),
        "import os, openshift_secrets as secrets\nimport openshift_secrets as s\nfrom openshift_secrets import KEY  # it\nimport sys as secrets2\napplication = secrets\n"
    );
    assert!(result.has("libs/openshift_secrets.py") && !result.has("libs/secrets.py"));
    assert!(
        result
            .read(".s2i/jobs/daily/renew")
            .contains("libs/openshift_secrets.py")
    );
    // The standard module is not the application's.
    let world = World::of(&[
        (".openshift/x", ""),
        ("wsgi.py", "import secrets\napplication = secrets\n"),
    ]);
    assert!(of_rule(&world.analyze(&Options::default()), "stdlib-name").is_empty());
    // Python 2 has no such module.
    let options = Options {
        python: Version::new(2, 7),
        django: Version::new(1, 8),
        ..Options::default()
    };
    let world = World::of(&[
        (".openshift/x", ""),
        ("libs/secrets.py", ""),
        ("wsgi.py", "import secrets\napplication = secrets\n"),
    ]);
    assert!(world.convert(&options).has("libs/secrets.py"));
}

#[test]
fn distutils_and_the_egg_cache_go() {
    assert_eq!(
        entry_after(
            "import os\nfrom distutils.sysconfig import get_python_lib\nos.environ['PYTHON_EGG_CACHE'] = os.path.join(os.environ['OPENSHIFT_PYTHON_DIR'], 'x')\napplication = 1\n"
        ),
        "import os\napplication = 1\n"
    );
    assert_eq!(
        entry_after(
            "import os\nfrom distutils.sysconfig import get_python_lib\nif 1:\n    os.environ['PYTHON_EGG_CACHE'] = get_python_lib()\nprint(get_python_lib())\napplication = 1\n"
        ),
        "import os\nimport sysconfig\nif 1:\n    pass\nprint(sysconfig.get_path('purelib'))\napplication = 1\n"
    );
}

#[test]
fn the_activation_of_the_old_virtual_environment_becomes_a_comment() {
    let before = "import os\nvirtenv = os.environ['OPENSHIFT_PYTHON_DIR'] + '/virtenv/'\nvirtualenv = os.path.join(virtenv, 'bin/activate_this.py')\ntry:\n    execfile(virtualenv, dict(__file__=virtualenv))\nexcept IOError:\n    pass\n# more\napplication = 1\n";
    assert_eq!(
        entry_after(before),
        "import os\nvirtenv = os.environ['OPENSHIFT_PYTHON_DIR'] + '/virtenv/'\nvirtualenv = os.path.join(virtenv, 'bin/activate_this.py')\n# try:\n#     execfile(virtualenv, dict(__file__=virtualenv))\n# except IOError:\n#     pass\n# more\napplication = 1\n"
    );
    let nested = "import os\nif 'X' in os.environ:\n    activate_this = 'x'\n    execfile(activate_this, dict(__file__=activate_this))\nif 1:\n\texecfile('activate_this.py')\napplication = 1\n";
    assert_eq!(
        entry_after(nested),
        "import os\nif 'X' in os.environ:\n    activate_this = 'x'\n#     execfile(activate_this, dict(__file__=activate_this))\nif 1:\n\tpass\n# \texecfile('activate_this.py')\napplication = 1\n"
    );
    let environment = entry(before)
        .convert(&Options::default())
        .read(".s2i/environment");
    assert!(environment.contains("OPENSHIFT_PYTHON_DIR=/opt/app-root/\n"));
}

#[test]
fn imp_and_openshiftlibs_are_brought_forward() {
    assert_eq!(
        entry_after(
            "import imp\nimport os\ndefault_keys = {'SECRET_KEY': 'x'}\nuse_keys = default_keys\nif os.environ.has_key('OPENSHIFT_REPO_DIR'):\n    imp.find_module('openshiftlibs')\n    import openshiftlibs\n    use_keys = openshiftlibs.openshift_secure(default_keys)\napplication = 1\n"
        ),
        "import os\ndefault_keys = {'SECRET_KEY': 'x'}\nuse_keys = default_keys\nif ('OPENSHIFT_REPO_DIR' in os.environ):\n    import openshiftlibs\n    use_keys = {'SECRET_KEY': os.environ['OPENSHIFT_SECRET_TOKEN']}\napplication = 1\n"
    );
    let world = entry("import imp\napplication = imp.load_source('a', 'b')\n");
    let analysis = world.analyze(&Options::default());
    assert!(matches!(
        of_rule(&analysis, "imp-module")[0].remedy,
        openshifter_v2::Remedy::Person(_)
    ));
}

#[test]
fn python_2_is_reported_with_its_lines_and_left_to_a_person() {
    let text = "import urllib2\nprint 'x'\nprint 'y'\ntry:\n    pass\nexcept (A, B), e:\n    raise E, 'text'\nx = 0777\nfor k, v in {}.iteritems():\n    pass\nprint ('fine')\ntry:\n    pass\nexcept (A, B):\n    pass\napplication = 1\n";
    let world = entry(text);
    let analysis = world.analyze(&Options::default());
    let found: Vec<String> = of_rule(&analysis, "python2-syntax")
        .iter()
        .map(|finding| {
            format!(
                "{} {}: {}",
                finding.severity.title(),
                finding.line.unwrap_or(0),
                finding.what
            )
        })
        .collect();
    insta::assert_debug_snapshot!(found, @r#"
    [
        "blocker 2: the print statement is Python 2 (lines 2, 3)",
        "blocker 6: `except Error, name` is Python 2",
        "blocker 7: `raise Error, text` is Python 2",
        "blocker 8: an octal literal without `o` is Python 2",
        "warning 1: the module urllib2 is Python 2",
        "warning 9: .iteritems() is Python 2",
    ]
    "#);
    assert_eq!(
        world.convert(&Options::default()).read("wsgi/application"),
        text
    );
    let old = Options {
        python: Version::new(2, 7),
        django: Version::new(1, 8),
        ..Options::default()
    };
    assert!(of_rule(&world.analyze(&old), "python2-syntax").is_empty());
}

#[test]
fn sources_for_both_pythons_are_not_reported() {
    let world = entry(
        "try:\n    from urlparse import urljoin\nexcept ImportError:\n    from urllib.parse import urljoin\napplication = 1\n",
    );
    assert!(of_rule(&world.analyze(&Options::default()), "python2-syntax").is_empty());
}

#[test]
fn the_entry_point_is_the_one_that_v2_took() {
    let entry_of = |files: &[(&str, &str)], options: &Options| {
        let mut all = vec![(".openshift/x", "")];
        all.extend_from_slice(files);
        World::of(&all)
            .analyze(options)
            .facts
            .entry
            .expect("there is one")
    };
    let all = [
        ("app.py", "x"),
        ("wsgi/application", "x"),
        ("wsgi.py", "x"),
        ("wsgi/wsgi.py", "x"),
    ];
    let found = entry_of(&all, &Options::default());
    assert_eq!(
        (found.path.as_str(), found.kind),
        ("app.py", EntryKind::SelfServing)
    );
    assert_eq!(found.passed_over, ["wsgi/application", "wsgi.py"]);
    assert_eq!(
        entry_of(&all[1..], &Options::default()).path,
        "wsgi/application"
    );
    assert_eq!(entry_of(&all[2..], &Options::default()).path, "wsgi.py");
    let named = Options {
        entry: Some("wsgi/wsgi.py".to_owned()),
        ..Options::default()
    };
    assert_eq!(entry_of(&all, &named).path, "wsgi/wsgi.py");
    assert_eq!(
        entry_of(
            &[("app.py.disabled", "x"), ("wsgi.py", "x")],
            &Options::default()
        )
        .path,
        "wsgi.py"
    );
}

#[test]
fn an_application_that_serves_by_itself_is_kept() {
    let world = World::of_fixture("app-py");
    let analysis = world.analyze(&Options::default());
    let over = of_rule(&analysis, "entry-point");
    assert!(
        over.iter()
            .any(|finding| finding.severity == Severity::Warning
                && finding.path.as_deref() == Some("wsgi/application"))
    );
    let result = world.convert(&Options::default());
    assert!(!result.has("app.sh"));
    insta::assert_snapshot!(result.read(".s2i/environment"), @r"
    ENABLE_INIT_WRAPPER=1
    OPENSHIFT_PYTHON_IP=0.0.0.0
    OPENSHIFT_PYTHON_PORT=8080
    OPENSHIFT_REPO_DIR=/opt/app-root/src/
    ");
}

#[test]
fn a_file_that_was_scrubbed_of_secrets_is_reported() {
    let world = World::of(&[
        (".openshift/x", ""),
        ("wsgi.py", "application = 1\n"),
        ("tools/mail.py", "a = 1\nPASSWORD = ***REMOVED***\n"),
    ]);
    let analysis = world.analyze(&Options::default());
    let found = of_rule(&analysis, "does-not-parse");
    assert_eq!(
        (found[0].path.as_deref(), found[0].line, found[0].severity),
        (Some("tools/mail.py"), Some(2), Severity::Warning)
    );
    assert!(
        world.plan(&Options::default()).is_ok(),
        "it is not edited, so it does not stand in the way"
    );
}
