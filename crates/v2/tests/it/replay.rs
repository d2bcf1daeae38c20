//! What stops working when the published way from V2 to V3 is walked today: each of these has a test that fails without its fix.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use openshifter_v2::{Options, Remedy, Server, Severity, rules};

use crate::settings::{WHOLE, project};
use crate::support::{World, of_rule, set_executable};

/// What fails, and the tests that fail without its fix, as `module::name`.
const TABLE: &[(&str, &[&str])] = &[
    (
        "`pip install .` finds several packages in a flat tree and refuses",
        &[
            "requirements::requirements_of_setup_py_are_carried_over",
            "express::mod_wsgi_express_serves_the_converted_tree",
        ],
    ),
    (
        "the builder knows neither wsgi/application nor a manage.py below the root",
        &[
            "conversion::the_plan_of_the_starter",
            "express::mod_wsgi_express_serves_the_converted_tree",
        ],
    ),
    (
        "collectstatic and migrate of the builder look for manage.py in the root",
        &[
            "settings::static_files_are_collected_and_served_where_the_settings_say",
            "hooks::the_starters_deploy_hook_is_divided",
        ],
    ),
    (
        "KeyError: OPENSHIFT_REPO_DIR",
        &["environment::folders_end_in_a_slash_as_they_did"],
    ),
    (
        "the standard module `secrets` comes before libs/secrets.py",
        &[
            "sources::a_module_of_the_application_gets_out_of_the_standard_librarys_way",
            "django::the_converted_starter_serves",
        ],
    ),
    (
        "libs/secrets.py, run as a script, hides the standard module from Django",
        &["django::the_converted_starter_serves"],
    ),
    (
        "a failed `> secrets.json` leaves an empty file, which stays for ever",
        &["hooks::secrets_are_whole_or_not_there"],
    ),
    (
        "errors are logged nowhere",
        &[
            "settings::errors_are_logged_where_people_see_them",
            "settings::logs_in_files_go_to_the_console_too",
            "settings::logging_of_a_base_file_is_not_overwritten",
        ],
    ),
    (
        "ALLOWED_HOSTS holds None",
        &[
            "settings::a_host_that_may_be_missing_gets_a_default",
            "settings::hosts_that_need_nothing_are_left_alone",
        ],
    ),
    (
        "no host is known when the image is built",
        &["environment::the_address_is_the_routes_unless_it_is_only_an_allowed_host"],
    ),
    (
        "style sheets of the admin site: 404",
        &[
            "settings::static_files_are_collected_and_served_where_the_settings_say",
            "express::mod_wsgi_express_serves_the_converted_tree",
        ],
    ),
    (
        "the original runner is no command on Python 3.12 and later",
        &[
            "conversion::the_original_runner_is_replaced",
            "conversion::the_runner_comes_in_three_ways",
        ],
    ),
    (
        "forms are refused (403) behind a Route that ends TLS",
        &[
            "settings::requests_through_tls_are_known_as_such",
            "express::mod_wsgi_express_serves_the_converted_tree",
            "django::gunicorn_serves_the_script_and_its_static_files",
        ],
    ),
    (
        "`rollingUpdate` is forbidden beside Recreate",
        &["conversion::the_plan_of_the_starter"],
    ),
    (
        "a Deployment has no mid hook",
        &["settings::a_database_service_needs_no_claim"],
    ),
    (
        "commands of `oc rsh` lack what deploy_env sets",
        &["conversion::what_manifests_need_can_be_read_from_the_result"],
    ),
    (
        "minimal builder images have no Apache",
        &["replay::an_image_with_apache_is_asked_for_only_where_apache_serves"],
    ),
    (
        "distutils is gone",
        &["sources::distutils_and_the_egg_cache_go"],
    ),
    (
        "imp, execfile and has_key are gone",
        &[
            "sources::imp_and_openshiftlibs_are_brought_forward",
            "sources::the_activation_of_the_old_virtual_environment_becomes_a_comment",
            "settings::settings_of_all_shapes_keep_their_bytes",
        ],
    ),
    (
        "print statements, iteritems and the like",
        &["sources::python_2_is_reported_with_its_lines_and_left_to_a_person"],
    ),
    (
        "MIDDLEWARE_CLASSES, SessionAuthenticationMiddleware",
        &["settings::the_middleware_setting_gets_its_new_name"],
    ),
    (
        "django.conf.urls.url, patterns(), include(admin.site.urls)",
        &[
            "django_names::url_functions_are_imported_under_their_old_names",
            "express::mod_wsgi_express_serves_the_converted_tree",
        ],
    ),
    ("syncdb", &["hooks::blocks_stay_whole"]),
    (
        "USE_L10N",
        &["django_names::what_is_gone_is_left_to_a_person"],
    ),
    (
        "dependency_links are passed over",
        &["replay::links_to_dependencies_are_left_to_a_person"],
    ),
    (
        "old addresses of indexes, and git+git:// lines",
        &["requirements::packages_of_python_2_become_what_they_are_now"],
    ),
    (
        "app.sh that is not executable: rc 126",
        &[
            "conversion::what_a_person_wrote_for_v3_stays",
            "replay::an_alias_is_given_only_for_a_folder_that_is_there",
        ],
    ),
    (
        "--url-alias of a folder that is not there answers 403",
        &["replay::an_alias_is_given_only_for_a_folder_that_is_there"],
    ),
    (
        "files of one user id are of no use to the next",
        &[
            "replay::the_database_stays_usable_for_the_group",
            "hooks::secrets_are_whole_or_not_there",
        ],
    ),
    (
        "secrets that cannot be read: the application goes on with the key 'a'",
        &["replay::secrets_that_cannot_be_read_stop_the_start"],
    ),
    (
        "hooks of V2 rely on folders that end in a slash",
        &[
            "environment::folders_end_in_a_slash_as_they_did",
            "hooks::the_starters_deploy_hook_is_divided",
        ],
    ),
    (
        "probes by address are refused (400)",
        &["hooks::probes_ask_under_a_host_that_is_allowed"],
    ),
    (
        "a setting wants OPENSHIFT_SECRET_TOKEN at build",
        &[
            "environment::secrets_and_databases_come_from_the_workload",
            "express::mod_wsgi_express_serves_the_converted_tree",
        ],
    ),
    (
        "`python app.py` as process 1 does not end at SIGTERM",
        &["sources::an_application_that_serves_by_itself_is_kept"],
    ),
];

#[test]
fn each_finding_has_its_tests() {
    let modules = [
        ("conversion", include_str!("conversion.rs")),
        ("django", include_str!("django.rs")),
        ("django_names", include_str!("django_names.rs")),
        ("environment", include_str!("environment.rs")),
        ("express", include_str!("express.rs")),
        ("hooks", include_str!("hooks.rs")),
        ("replay", include_str!("replay.rs")),
        ("requirements", include_str!("requirements.rs")),
        ("settings", include_str!("settings.rs")),
        ("sources", include_str!("sources.rs")),
    ];
    for (finding, tests) in TABLE {
        assert!(!tests.is_empty(), "{finding}");
        for test in *tests {
            let (module, name) = test.split_once("::").expect("a module and a name");
            let text = modules
                .iter()
                .find(|(known, _)| *known == module)
                .map(|(_, text)| *text);
            assert!(
                text.is_some_and(|text| text.contains(&format!("#[test]\nfn {name}()"))),
                "{finding}: there is no test {test}"
            );
        }
    }
}

#[test]
fn each_rule_finds_something() {
    let old_settings = "from openshiftlibs import openshift_secure\nimport os\nimport imp\nINSTALLED_APPS = ('django.contrib.staticfiles', 'south')\nON = os.environ.has_key('OPENSHIFT_REPO_DIR')\nDEBUG = True\nALLOWED_HOSTS = [os.environ.get('OPENSHIFT_APP_DNS')]\nSECRET_KEY = 'hunter2'\nuse_keys = openshift_secure({'SECRET_KEY': 'x'})\nMIDDLEWARE_CLASSES = ()\nTEMPLATE_DIRS = ()\nTEMPLATE_CONTEXT_PROCESSORS = ('django.core.context_processors.static',)\nDATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql_psycopg2', 'HOST': '/var/lib/x.sock'}, 'more': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': '/srv/db.sqlite3'}}\nSESSION_SERIALIZER = 'django.contrib.sessions.serializers.PickleSerializer'\nSTATIC_URL = '/static/'\nSTATIC_ROOT = somewhere()\nMEDIA_ROOT = '/srv/media'\n";
    let first = project(old_settings);
    for (path, text) in [
        (
            "wsgi/shop/shop/settings_dev.py",
            "from .settings import *\n",
        ),
        (
            "wsgi/shop/urls.py",
            "from django.conf.urls import patterns, url\nurlpatterns = patterns('', url('^admin/', include(admin.site.urls)))\n",
        ),
        (
            "wsgi/shop/models.py",
            "from django.core.urlresolvers import reverse\nfrom django.shortcuts import render_to_response\nfrom django.utils.encoding import python_2_unicode_compatible\nfrom django.db import models\n@python_2_unicode_compatible\nclass A(models.Model):\n    b = models.ForeignKey('B')\nprint 'x'\n",
        ),
        (
            "wsgi/shop/start.py",
            "import django.core.handlers.wsgi\nimport distutils.core\nexecfile('activate_this.py')\napplication = django.core.handlers.wsgi.WSGIHandler()\nimport secrets\n",
        ),
        (
            "wsgi/old/manage.py",
            "from django.core.management import execute_manager\nexecute_manager(1)\n",
        ),
        (
            "wsgi/shop/views.py",
            "from django.http import HttpResponse\n@register.assignment_tag\ndef v(request):\n    return request.is_ajax() and HttpResponse('', mimetype='x')\n",
        ),
        (
            "wsgi/shop/forms.py",
            "class F(forms.ModelForm):\n    class Meta:\n        model = X\n        ip = models.IPAddressField()\ninclude('x.urls', namespace='x', app_name='x')\n",
        ),
        ("libs/secrets.py", ""),
        ("libs/broken.py", "X = ***REMOVED***\n"),
        (
            "libs/templates/a.html",
            "{% load staticfiles %}{% url a-b %}\n",
        ),
        (
            "setup.py",
            "from setuptools import setup\nsetup(install_requires=['x'])\n",
        ),
        ("data/keep.txt", "x"),
        (".openshift/markers/hot_deploy", ""),
        (".openshift/cron/daily/job*", "#!/bin/bash\nrun\n"),
        (
            ".openshift/action_hooks/deploy*",
            "#!/bin/bash\npython $OPENSHIFT_REPO_DIR/libs/secrets.py > $OPENSHIFT_DATA_DIR/secrets.json\n",
        ),
        (".openshift/action_hooks/post_deploy*", "#!/bin/bash\nrun\n"),
        ("wsgi/.htaccess", "RewriteEngine On\nRewriteRule ^a b\n"),
        ("README.md", "    rhc app create x\n"),
        ("x.cfg", "log = /var/lib/openshift/x/log\n"),
        (
            "app.sh",
            "#!/bin/bash\nexec mod_wsgi-express start-server wsgi/application\n",
        ),
        (".s2i/bin/run*", "#!/bin/bash\nexec powershift image run\n"),
    ] {
        first.write(path, text);
    }
    std::os::unix::fs::symlink("/var/lib/openshift/x/app-root/data", first.root.join("old"))
        .expect("the link can be made");
    let odd: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"caf\xe9.txt".as_slice());
    std::fs::write(first.root.join(odd), "x").expect("the file can be written");
    let second = project(
        "import os\nINSTALLED_APPS = ()\nLOGGING = {'handlers': {'a': {'class': 'logging.FileHandler'}}, 'loggers': {}}\n",
    );
    second.write(
        "wsgi/shop/manage.py",
        "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.other')\n",
    );
    let service = Options {
        database: openshifter_v2::DatabaseChoice::Service,
        ..Options::default()
    };
    let mut found: BTreeSet<&str> = BTreeSet::new();
    for (world, options) in [
        (&first, Options::default()),
        (&second, service),
        (&World::of_fixture("django-starter"), Options::default()),
    ] {
        found.extend(
            world
                .analyze(&options)
                .findings
                .iter()
                .map(|finding| finding.rule),
        );
    }
    let silent: Vec<&str> = rules()
        .map(|rule| rule.id)
        .filter(|id| !found.contains(id))
        .collect();
    assert!(
        silent.is_empty(),
        "nothing makes these rules find anything: {silent:?}"
    );
}

#[test]
fn an_image_with_apache_is_asked_for_only_where_apache_serves() {
    let world = World::of_fixture("django-starter");
    let gunicorn = Options {
        server: Server::Gunicorn,
        ..Options::default()
    };
    assert_eq!(
        of_rule(&world.analyze(&Options::default()), "web-server").len(),
        1
    );
    assert!(of_rule(&world.analyze(&gunicorn), "web-server").is_empty());
    assert!(
        world
            .plan(&Options::default())
            .expect("a plan")
            .needs
            .full_builder
    );
    assert!(!world.plan(&gunicorn).expect("a plan").needs.full_builder);
}

#[test]
fn links_to_dependencies_are_left_to_a_person() {
    let world = World::of(&[
        (".openshift/x", ""),
        ("wsgi.py", "application = 1\n"),
        (
            "setup.py",
            "from setuptools import setup\nsetup(\n    install_requires=['x'],\n    dependency_links=['http://example.com/x'],\n)\n",
        ),
    ]);
    let analysis = world.analyze(&Options::default());
    let links: Vec<_> = of_rule(&analysis, "setup-py")
        .into_iter()
        .filter(|finding| finding.line == Some(4))
        .collect();
    assert_eq!(links[0].severity, Severity::Warning);
    assert!(matches!(links[0].remedy, Remedy::Person(_)));
}

#[test]
fn an_alias_is_given_only_for_a_folder_that_is_there() {
    let world = project(&format!(
        "{WHOLE}HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))\nSTATIC_URL = '/static/'\nSTATIC_ROOT = os.path.join(HERE, 'static')\n"
    ));
    let result = world.convert(&Options::default());
    let bin = result.root.join("bin");
    std::fs::create_dir(&bin).expect("a folder can be made");
    let server = bin.join("mod_wsgi-express");
    std::fs::write(&server, "#!/bin/bash\necho \"$@\"\numask\n").expect("it can be written");
    set_executable(&server);
    // As the builder starts it: the file itself, so it has to be executable.
    let start = || {
        let output = Command::new(result.root.join("app.sh"))
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .current_dir("/")
            .output()
            .expect("app.sh can be started");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let without = start();
    assert!(
        without.starts_with("start-server --log-to-terminal --port 8080 "),
        "{without}"
    );
    assert!(!without.contains("--url-alias"), "{without}");
    assert!(without.ends_with(" wsgi/application\n0002\n"), "{without}");
    std::fs::create_dir(result.root.join("wsgi/static")).expect("a folder can be made");
    let with = start();
    assert!(
        with.contains("--url-alias /static wsgi/static wsgi/application"),
        "{with}"
    );
}

/// Runs the deploy hook with this `python`, as a user who is not root.
fn deploy(result: &crate::support::Converted, python: &str) -> std::process::Output {
    let bin = result.root.join("bin");
    std::fs::create_dir_all(&bin).expect("a folder can be made");
    std::fs::write(bin.join("python"), format!("#!/bin/bash\n{python}\n"))
        .expect("it can be written");
    set_executable(&bin.join("python"));
    let root = format!("{}/", result.root.display());
    Command::new("bwrap")
        .args(["--unshare-user", "--uid", "1000660000", "--gid", "0"])
        .args(["--dev-bind", "/", "/", "--"])
        .arg(result.root.join(".s2i/action_hooks/deploy"))
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .env("OPENSHIFT_REPO_DIR", &root)
        .env("OPENSHIFT_HOMEDIR", &root)
        .env("OPENSHIFT_DATA_DIR", format!("{root}data/"))
        .current_dir(&result.root)
        .output()
        .expect("bubblewrap can be started; install it: apt-get install bubblewrap")
}

const MAKES_SECRETS: &str = "[[ \"$*\" == *secrets.py* ]] && echo '{\"secret_key\": \"x\"}'";

#[test]
fn the_database_stays_usable_for_the_group() {
    let result = World::of_fixture("django-starter").convert(&Options::default());
    // SQLite makes its file like this, whatever the umask.
    let python = format!(
        "{MAKES_SECRETS}\nif [[ \"$*\" == *migrate* ]]; then\n    db=\"$OPENSHIFT_DATA_DIR\"db.sqlite3\n    touch \"$db\" && chmod 644 \"$db\"\nfi\nexit 0"
    );
    let output = deploy(&result, &python);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mode = std::fs::metadata(result.root.join("data/db.sqlite3"))
        .expect("there is a database")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o664);
}

#[test]
fn secrets_that_cannot_be_read_stop_the_start() {
    let result = World::of_fixture("django-starter").convert(&Options::default());
    let file = result.root.join("data/secrets.json");
    std::fs::write(&file, "{}").expect("it can be written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000))
        .expect("the mode can be set");
    let output = deploy(&result, MAKES_SECRETS);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("secrets.json cannot be read by 1000660000."),
        "{text}"
    );
}
