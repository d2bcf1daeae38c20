//! Findings in settings, each with what a conversion makes of it.

use openshifter_v2::{DatabaseChoice, Options, Server, Severity};

use crate::support::{World, of_rule};

/// A Django project with these settings.
pub(crate) fn project(settings: &str) -> World {
    World::of(&[
        (".openshift/markers/README.md", "none\n"),
        ("requirements.txt", "Django==1.8.4\n"),
        (
            "wsgi/application",
            "import os\nimport sys\nsys.path.append(os.path.join(os.environ['OPENSHIFT_REPO_DIR'], 'wsgi', 'shop'))\nos.environ['DJANGO_SETTINGS_MODULE'] = 'shop.settings'\nfrom django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
        ),
        (
            "wsgi/shop/manage.py",
            "import os\nimport sys\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\nfrom django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n",
        ),
        ("wsgi/shop/shop/__init__.py", ""),
        ("wsgi/shop/shop/settings.py", settings),
    ])
}

/// Settings that nothing is wrong with, apart from what a test adds.
pub(crate) const WHOLE: &str = "import os\nALLOWED_HOSTS = ['*']\nINSTALLED_APPS = ()\nTEMPLATES = []\nUSE_TZ = True\nDEFAULT_AUTO_FIELD = 'django.db.models.AutoField'\nLOGGING = {'version': 1, 'handlers': {'console': {'class': 'logging.StreamHandler'}}}\n";

/// The same without a word about hosts.
const OPEN: &str = "import os\nINSTALLED_APPS = ()\nTEMPLATES = []\nUSE_TZ = True\nDEFAULT_AUTO_FIELD = 'django.db.models.AutoField'\nLOGGING = {'version': 1, 'handlers': {'console': {'class': 'logging.StreamHandler'}}}\n";

fn settings_after(text: &str, options: &Options) -> String {
    let world = project(text);
    let result = world.convert(options).read("wsgi/shop/shop/settings.py");
    // Whatever a conversion writes, converting it again must leave alone.
    assert_eq!(
        settings_again(&result, options),
        result,
        "the second conversion changes something"
    );
    result
}

fn settings_again(text: &str, options: &Options) -> String {
    let world = project(text);
    let plan = world.plan(options).expect("it can be converted");
    if plan
        .actions
        .iter()
        .all(|action| action.path != "wsgi/shop/shop/settings.py")
    {
        return text.to_owned();
    }
    world.convert(options).read("wsgi/shop/shop/settings.py")
}

/// What is different, without context.
fn changed(before: &str, after: &str) -> String {
    let mut out = String::new();
    let old: Vec<&str> = before.lines().collect();
    let new: Vec<&str> = after.lines().collect();
    for line in &old {
        if !new.contains(line) {
            out.push_str(format!("- {line}").trim_end());
            out.push('\n');
        }
    }
    for line in &new {
        if !old.contains(line) {
            out.push_str(format!("+ {line}").trim_end());
            out.push('\n');
        }
    }
    out
}

fn change(text: &str) -> String {
    let before = format!("{WHOLE}{text}");
    let after = settings_after(&before, &Options::default());
    changed(&before, &after)
}

#[test]
fn a_host_that_may_be_missing_gets_a_default() {
    insta::assert_snapshot!(change("from socket import gethostname\nALLOWED_HOSTS = [\n    gethostname(), # here\n    os.environ.get('OPENSHIFT_APP_DNS'), # there\n    #'example.com',\n]\n"), @r"
    -     os.environ.get('OPENSHIFT_APP_DNS'), # there
    +     os.environ.get('OPENSHIFT_APP_DNS', '*'), # there
    ");
    insta::assert_snapshot!(change("ALLOWED_HOSTS = [os.getenv(\"OPENSHIFT_APP_DNS\")]\n"), @r#"
    - ALLOWED_HOSTS = [os.getenv("OPENSHIFT_APP_DNS")]
    + ALLOWED_HOSTS = [os.getenv("OPENSHIFT_APP_DNS", '*')]
    "#);
}

#[test]
fn hosts_that_need_nothing_are_left_alone() {
    // A subscript takes what `.s2i/environment` gives; rewritten lists and `*` are right already.
    for hosts in [
        "ALLOWED_HOSTS = [os.environ['OPENSHIFT_APP_DNS']]\n",
        "ALLOWED_HOSTS = [os.environ.get('OPENSHIFT_APP_DNS'), '*']\n",
        "ALLOWED_HOSTS = ['*']\n",
        "ALLOWED_HOSTS = []\nif ON:\n    ALLOWED_HOSTS.append(os.environ['OPENSHIFT_APP_DNS'])\n",
        "DNS = os.environ['OPENSHIFT_APP_DNS']\nALLOWED_HOSTS = [DNS]\n",
    ] {
        assert_eq!(change(hosts), "", "{hosts}");
    }
}

#[test]
fn hosts_that_are_written_out_get_the_routes() {
    for hosts in [
        "ALLOWED_HOSTS = []\n",
        "ALLOWED_HOSTS = ['www.example.com']\n",
        "ALLOWED_HOSTS = ['myapp-dom.rhcloud.com', gethostname()]\n",
    ] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(change(hosts), @r"
            +
            + # The Route's host. The router lets no other through.
            + ALLOWED_HOSTS = list(ALLOWED_HOSTS) + [os.environ.get('OPENSHIFT_APP_DNS', '*')]
            ");
        }
    }
    // Both branches, in a file of which nobody knows whether it sets them otherwise.
    let text = settings_after(
        &format!(
            "{OPEN}if DEBUG:\n    ALLOWED_HOSTS = []\nelse:\n    ALLOWED_HOSTS = ['www.example.com']\n"
        ),
        &Options::default(),
    );
    assert!(
        text.ends_with("\nALLOWED_HOSTS = list(globals().get('ALLOWED_HOSTS', ())) + [os.environ.get('OPENSHIFT_APP_DNS', '*')]\n"),
        "{text}"
    );
    let text = settings_after(OPEN, &Options::default());
    assert!(
        text.ends_with("\nALLOWED_HOSTS = [os.environ.get('OPENSHIFT_APP_DNS', '*')]\n"),
        "{text}"
    );
}

#[test]
fn hosts_of_a_base_file_are_kept() {
    let world = project("from .base import *\n");
    world.write(
        "wsgi/shop/shop/base.py",
        format!("{OPEN}ALLOWED_HOSTS = ['www.example.com']\n"),
    );
    let result = world.convert(&Options::default());
    assert!(
        result
            .read("wsgi/shop/shop/settings.py")
            .contains("\nimport os\nALLOWED_HOSTS = list(globals().get('ALLOWED_HOSTS', ())) + [os.environ.get('OPENSHIFT_APP_DNS', '*')]\n")
    );
    world.write(
        "wsgi/shop/shop/base.py",
        format!("{OPEN}ALLOWED_HOSTS = [os.environ['OPENSHIFT_APP_DNS']]\n"),
    );
    assert!(of_rule(&world.analyze(&Options::default()), "allowed-hosts").is_empty());
}

#[test]
fn hosts_from_elsewhere_are_left_to_a_person() {
    let world = project(&format!(
        "{WHOLE}ALLOWED_HOSTS = os.environ.get('HOSTS', '').split(',')\n"
    ));
    let analysis = world.analyze(&Options::default());
    let found = of_rule(&analysis, "allowed-hosts");
    assert_eq!(found.len(), 1);
    assert!(matches!(
        found.first().map(|finding| &finding.remedy),
        Some(openshifter_v2::Remedy::Person(_))
    ));
}

#[test]
fn the_address_is_set_where_something_reads_it() {
    // Nothing does: the line would say what is not so.
    let result = project(WHOLE).convert(&Options::default());
    assert!(
        !result
            .read(".s2i/environment")
            .contains("OPENSHIFT_APP_DNS")
    );
    // The conversion's own edit does.
    let result = project(OPEN).convert(&Options::default());
    assert!(
        result
            .read(".s2i/environment")
            .contains("OPENSHIFT_APP_DNS=*\n")
    );
}

#[test]
fn what_the_conversion_reads_has_a_stand_in_at_build() {
    let world = project(&format!(
        "{WHOLE}import openshiftlibs\nuse_keys = openshiftlibs.openshift_secure({{'SECRET_KEY': 'x'}})\nSECRET_KEY = use_keys['SECRET_KEY']\n"
    ));
    let result = world.convert(&Options::default());
    assert!(
        result
            .read(".s2i/action_hooks/build_env")
            .contains("OPENSHIFT_SECRET_TOKEN=")
    );
    assert!(
        result
            .read("CONVERSION.md")
            .contains("`OPENSHIFT_SECRET_TOKEN`")
    );
    let after = World {
        folder: tempfile::tempdir().expect("a folder can be made"),
        root: result.root.clone(),
    };
    let again = after
        .plan(&Options::default())
        .expect("it can be converted");
    assert!(again.actions.is_empty(), "{:?}", again.actions);
}

#[test]
fn errors_are_logged_where_people_see_them() {
    let before = "import os\nALLOWED_HOSTS = ['*']\nINSTALLED_APPS = ()\nTEMPLATES = []\nUSE_TZ = True\nDEFAULT_AUTO_FIELD = 'django.db.models.AutoField'";
    let after = settings_after(before, &Options::default());
    assert!(
        after.starts_with(&format!("{before}\n\n# Errors are logged")),
        "{after}"
    );
    assert!(after.contains("logging.StreamHandler"));
}

#[test]
fn logging_of_a_base_file_is_not_overwritten() {
    let world = project("from .base import *\nDEBUG = False\n");
    world.write("wsgi/shop/shop/base.py", WHOLE);
    let analysis = world.analyze(&Options::default());
    assert!(of_rule(&analysis, "logging-console").is_empty());
    let without = WHOLE.replace("LOGGING", "OTHER");
    world.write("wsgi/shop/shop/base.py", without);
    let analysis = world.analyze(&Options::default());
    assert_eq!(of_rule(&analysis, "logging-console").len(), 1);
}

#[test]
fn logs_that_are_only_mailed_go_to_the_console_too() {
    // What Django 1.3 to 1.5 wrote into new settings.
    let head = WHOLE.split("LOGGING").next().expect("it has a head");
    let mailed = format!(
        "{head}LOGGING = {{\n    'version': 1,\n    'disable_existing_loggers': False,\n    'handlers': {{\n        'mail_admins': {{\n            'level': 'ERROR',\n            'class': 'django.utils.log.AdminEmailHandler'\n        }}\n    }},\n    'loggers': {{\n        'django.request': {{\n            'handlers': ['mail_admins'],\n            'level': 'ERROR',\n            'propagate': True,\n        }},\n    }}\n}}\n"
    );
    insta::assert_snapshot!(changed(&mailed, &settings_after(&mailed, &Options::default())), @r"
    +
    + # What is logged is seen with `oc logs`, too.
    + LOGGING['handlers']['console'] = {'class': 'logging.StreamHandler'}
    + for openshift_logger in LOGGING['loggers'].values():
    +     openshift_logger['handlers'] = list(openshift_logger.get('handlers', ())) + ['console']
    ");
    // Where no logger has the errors of requests, one gets them.
    let other = mailed.replace("'django.request'", "'shop'");
    assert!(settings_after(&other, &Options::default()).contains(
        "\nLOGGING['loggers']['django.request'] = {'level': 'ERROR'}\nfor openshift_logger in"
    ));
    // What has no place for a handler is left to a person.
    let world = project(&format!("{head}LOGGING = {{}}\n"));
    let analysis = world.analyze(&Options::default());
    assert!(
        of_rule(&analysis, "log-files")
            .iter()
            .any(|finding| matches!(finding.remedy, openshifter_v2::Remedy::Person(_)))
    );
}

#[test]
fn logs_in_files_go_to_the_console_too() {
    let before = "import os\nALLOWED_HOSTS = ['*']\nINSTALLED_APPS = ()\nTEMPLATES = []\nUSE_TZ = True\nDEFAULT_AUTO_FIELD = 'x'\nLOGGING = {\n    'version': 1,\n    'handlers': {\n        'file': {\n            'class': 'logging.FileHandler',\n            'filename': os.path.join(os.environ['OPENSHIFT_LOG_DIR'], 'app.log'),\n        },\n    },\n    'loggers': {'django': {'handlers': ['file']}},\n}\n";
    let after = settings_after(before, &Options::default());
    insta::assert_snapshot!(changed(before, &after), @r"
    +
    + # What is logged is seen with `oc logs`, too.
    + LOGGING['handlers']['console'] = {'class': 'logging.StreamHandler'}
    + for openshift_logger in LOGGING['loggers'].values():
    +     openshift_logger['handlers'] = list(openshift_logger.get('handlers', ())) + ['console']
    ");
    let environment = project(before)
        .convert(&Options::default())
        .read(".s2i/environment");
    assert!(
        environment.contains("OPENSHIFT_LOG_DIR=/tmp/\n"),
        "{environment}"
    );
}

#[test]
fn the_middleware_setting_gets_its_new_name() {
    insta::assert_snapshot!(change("MIDDLEWARE_CLASSES = (\n    'django.middleware.common.CommonMiddleware',\n    # of 1.7\n    'django.contrib.auth.middleware.SessionAuthenticationMiddleware',\n    'shop.middleware.Own',\n)\nMIDDLEWARE_CLASSES += ('a.B',)\n"), @r"
    - MIDDLEWARE_CLASSES = (
    -     'django.contrib.auth.middleware.SessionAuthenticationMiddleware',
    - MIDDLEWARE_CLASSES += ('a.B',)
    + MIDDLEWARE = (
    + MIDDLEWARE += ('a.B',)
    ");
    insta::assert_snapshot!(change("MIDDLEWARE_CLASSES = ('a.A', 'django.contrib.auth.middleware.SessionAuthenticationMiddleware', 'b.B')\n"), @r"
    - MIDDLEWARE_CLASSES = ('a.A', 'django.contrib.auth.middleware.SessionAuthenticationMiddleware', 'b.B')
    + MIDDLEWARE = ('a.A',  'b.B')
    ");
}

#[test]
fn templates_are_set_up_as_django_reads_it_now() {
    let before = "import os\nALLOWED_HOSTS = ['*']\nINSTALLED_APPS = ()\nUSE_TZ = True\nDEFAULT_AUTO_FIELD = 'x'\nLOGGING = {'handlers': {'console': {}}}\nTEMPLATE_DIRS = (os.path.join('x', 'templates'),)\nTEMPLATE_CONTEXT_PROCESSORS = (\n    'django.core.context_processors.static',\n    'django.contrib.auth.context_processors.auth',\n    'shop.processors.cart',\n)\n";
    let after = settings_after(before, &Options::default());
    insta::assert_snapshot!(changed(before, &after), @r"
    -     'django.core.context_processors.static',
    +     'django.template.context_processors.static',
    +
    + # What the TEMPLATE_* settings were, as Django reads it now.
    + TEMPLATES = [
    +     {
    +         'BACKEND': 'django.template.backends.django.DjangoTemplates',
    +         'DIRS': list(TEMPLATE_DIRS),
    +         'APP_DIRS': True,
    +         'OPTIONS': {
    +             'context_processors': [
    +                 'django.template.context_processors.debug',
    +                 'django.template.context_processors.request',
    +                 'django.contrib.auth.context_processors.auth',
    +                 'django.contrib.messages.context_processors.messages',
    +                 'django.template.context_processors.static',
    +                 'shop.processors.cart',
    +             ],
    +         },
    +     },
    + ]
    ");
}

#[test]
fn defaults_that_changed_are_kept() {
    let before = WHOLE
        .replace("USE_TZ = True\n", "")
        .replace("DEFAULT_AUTO_FIELD = 'django.db.models.AutoField'\n", "");
    let after = settings_after(&before, &Options::default());
    assert!(after.contains("\nUSE_TZ = False\n"), "{after}");
    assert!(
        after.contains("\nDEFAULT_AUTO_FIELD = 'django.db.models.AutoField'\n"),
        "{after}"
    );
}

#[test]
fn the_postgresql_engine_gets_its_new_name() {
    insta::assert_snapshot!(change("if 'x':\n     DATABASES = {'default': {'ENGINE': \"django.db.backends.postgresql_psycopg2\", 'NAME': os.environ['OPENSHIFT_APP_NAME']}}\nelif 'y':\n     DATABASES = {'default': {'ENGINE': 'django.db.backends.mysql'}}\n"), @r#"
    -      DATABASES = {'default': {'ENGINE': "django.db.backends.postgresql_psycopg2", 'NAME': os.environ['OPENSHIFT_APP_NAME']}}
    +      DATABASES = {'default': {'ENGINE': "django.db.backends.postgresql", 'NAME': os.environ['OPENSHIFT_APP_NAME']}}
    "#);
}

#[test]
fn a_database_outside_of_the_data_directory_is_reported() {
    let world = project(&format!(
        "{WHOLE}BASE = os.path.dirname(__file__)\nDATABASES = {{'default': {{'ENGINE': 'django.db.backends.sqlite3', 'NAME': os.path.join(BASE, 'db.sqlite3')}}}}\n"
    ));
    let analysis = world.analyze(&Options::default());
    let found = of_rule(&analysis, "sqlite-place");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].severity, Severity::Warning);
    assert!(
        found[0]
            .what
            .contains("/opt/app-root/src/wsgi/shop/shop/db.sqlite3"),
        "{}",
        found[0].what
    );
    let world = project(&format!(
        "{WHOLE}DATABASES = {{'default': {{'ENGINE': 'django.db.backends.sqlite3', 'NAME': os.path.join(os.environ['OPENSHIFT_DATA_DIR'], 'db.sqlite3')}}}}\n"
    ));
    let analysis = world.analyze(&Options::default());
    assert!(of_rule(&analysis, "sqlite-place").is_empty());
}

#[test]
fn databases_behind_sockets_are_reported() {
    let world = project(&format!(
        "{WHOLE}DATABASES = {{'default': {{'ENGINE': 'django.db.backends.mysql', 'HOST': '/var/lib/mysql/mysql.sock'}}}}\n"
    ));
    let analysis = world.analyze(&Options::default());
    assert_eq!(
        of_rule(&analysis, "database-socket")[0].severity,
        Severity::Blocker
    );
    let world = project(&format!(
        "{WHOLE}DATABASES = {{'default': {{'ENGINE': 'django.db.backends.postgresql', 'NAME': os.environ['PGDATABASE']}}}}\n"
    ));
    let analysis = world.analyze(&Options::default());
    assert_eq!(of_rule(&analysis, "database-socket").len(), 1);
    for name in ["PGHOST", "PGPORT", "PGUSER", "PGPASSWORD"] {
        assert!(
            analysis
                .variables
                .iter()
                .any(|variable| variable.name == name),
            "{name}"
        );
    }
}

#[test]
fn a_key_in_the_source_is_reported_and_not_shown() {
    for key in [
        "SECRET_KEY = 'hunter2hunter2'\n",
        "SECRET_KEY = os.environ.get('OPENSHIFT_SECRET_TOKEN', 'hunter2hunter2')\n",
    ] {
        let world = project(&format!("{WHOLE}{key}"));
        let analysis = world.analyze(&Options::default());
        assert_eq!(of_rule(&analysis, "secret-key").len(), 1, "{key}");
        let report = openshifter_v2::report::text(&analysis);
        assert!(!report.contains("hunter2"), "{report}");
        assert!(
            !serde_json::to_string(&analysis)
                .expect("it serializes")
                .contains("hunter2")
        );
    }
    let world = project(&format!(
        "{WHOLE}SECRET_KEY = os.environ['OPENSHIFT_SECRET_TOKEN']\n"
    ));
    assert!(of_rule(&world.analyze(&Options::default()), "secret-key").is_empty());
}

#[test]
fn a_database_service_needs_no_claim() {
    let options = Options {
        database: DatabaseChoice::Service,
        ..Options::default()
    };
    let before = format!(
        "{WHOLE}SECRET_KEY = 'x'\nDATABASES = {{'default': {{'ENGINE': 'django.db.backends.sqlite3', 'NAME': os.path.join(os.environ['OPENSHIFT_DATA_DIR'], 'db')}}}}\n"
    );
    let after = settings_after(&before, &options);
    insta::assert_snapshot!(changed(&before, &after), @r"
    +
    + # The same key in every pod, from a Secret.
    + SECRET_KEY = os.environ['OPENSHIFT_SECRET_TOKEN']
    +
    + # PostgreSQL beside the application.
    + if os.environ.get('OPENSHIFT_POSTGRESQL_DB_HOST'):
    +     DATABASES = {
    +         'default': {
    +             'ENGINE': 'django.db.backends.postgresql',
    +             'HOST': os.environ['OPENSHIFT_POSTGRESQL_DB_HOST'],
    +             'PORT': os.environ['OPENSHIFT_POSTGRESQL_DB_PORT'],
    +             'USER': os.environ['OPENSHIFT_POSTGRESQL_DB_USERNAME'],
    +             'PASSWORD': os.environ['OPENSHIFT_POSTGRESQL_DB_PASSWORD'],
    +             'NAME': os.environ['PGDATABASE'],
    +         }
    +     }
    ");
    let world = project(&before);
    let result = world.convert(&options);
    assert!(result.plan.needs.claim.is_none());
    assert_eq!(result.plan.needs.databases[0].service, "postgresql");
    assert!(
        !result.has(".s2i/action_hooks/deploy"),
        "migrations are the rollout's"
    );
    assert!(result.read("requirements.txt").contains("psycopg[binary]"));
    assert!(!result.read(".s2i/environment").contains("PASSWORD"));
}

#[test]
fn requests_through_tls_are_known_as_such() {
    let options = Options {
        server: Server::Gunicorn,
        ..Options::default()
    };
    let after = settings_after(WHOLE, &options);
    assert!(
        after.contains("SECURE_PROXY_SSL_HEADER = ('HTTP_X_FORWARDED_PROTO', 'https')"),
        "{after}"
    );
    assert_eq!(settings_after(WHOLE, &Options::default()), WHOLE);
    let world = project(WHOLE);
    assert_eq!(
        of_rule(&world.analyze(&Options::default()), "proxy-header").len(),
        1
    );
    let script = world.convert(&Options::default()).read("app.sh");
    for header in ["X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto"] {
        assert!(
            script.contains(&format!("--trust-proxy-header {header}\n")),
            "{script}"
        );
    }
}

#[test]
fn static_files_are_collected_and_served_where_the_settings_say() {
    let world = project(&format!(
        "{WHOLE}WSGI = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))\nSTATIC_URL = '/files/'\nSTATIC_ROOT = os.path.join(WSGI, 'collected')\n"
    ));
    let result = world.convert(&Options::default());
    let script = result.read("app.sh");
    assert!(
        script.contains(
            "if [ -d wsgi/collected ]; then\n    args+=(--url-alias /files wsgi/collected)\nfi\n"
        ),
        "{script}"
    );
    let build = result.read(".s2i/action_hooks/build");
    assert!(
        build.contains("wsgi/shop/manage.py collectstatic --noinput || exit $?"),
        "{build}"
    );
    let environment = result.read(".s2i/environment");
    assert!(
        environment.contains("DISABLE_COLLECTSTATIC=1\nDISABLE_MIGRATE=1\n"),
        "{environment}"
    );
    assert!(result.read(".gitignore").contains("/wsgi/collected/*"));
}

#[test]
fn a_static_root_that_cannot_be_worked_out_is_asked_for() {
    let world = project(&format!(
        "{WHOLE}STATIC_URL = '/static/'\nSTATIC_ROOT = somewhere('x')\n"
    ));
    assert_eq!(
        of_rule(&world.analyze(&Options::default()), "static-root").len(),
        1
    );
    let script = world.convert(&Options::default()).read("app.sh");
    assert!(script.contains("print(settings.STATIC_ROOT"), "{script}");
}

#[test]
fn uploads_in_the_data_directory_are_served() {
    let world = project(&format!(
        "{WHOLE}MEDIA_URL = '/media/'\nMEDIA_ROOT = os.path.join(os.environ['OPENSHIFT_DATA_DIR'], 'media')\n"
    ));
    let script = world.convert(&Options::default()).read("app.sh");
    assert!(script.contains("--url-alias /media data/media"), "{script}");
    let world = project(&format!("{WHOLE}MEDIA_ROOT = '/srv/media'\n"));
    assert_eq!(
        of_rule(&world.analyze(&Options::default()), "media-files")[0].severity,
        Severity::Warning
    );
}

#[test]
fn settings_of_all_shapes_keep_their_bytes() {
    // Tabs, five blanks, CRLF, no final newline, other languages, Python 2.
    let before = "# -*- coding: utf-8 -*-\r\nimport os\r\nif os.environ.has_key('OPENSHIFT_REPO_DIR'):\r\n\tON = True\r\nelse:\r\n     ON = False  # \u{43d}\u{435}\u{442}\r\nINSTALLED_APPS = ()\r\nprint 'x'";
    let world = project(before);
    let after = world
        .convert(&Options::default())
        .read("wsgi/shop/shop/settings.py");
    let kept = before.replace(
        "os.environ.has_key('OPENSHIFT_REPO_DIR')",
        "('OPENSHIFT_REPO_DIR' in os.environ)",
    );
    assert!(after.starts_with(&format!("{kept}\r\n")), "{after:?}");
    assert!(!after.replace("\r\n", "").contains('\n'));
}
