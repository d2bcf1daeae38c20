//! The converted starter with real Django: settings are read, static files collected, the database made, people log in.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use openshifter_v2::{DatabaseChoice, Options, Server};

use crate::support::{Converted, World, tools};

/// Folder of the virtual environment with the Django that sources are brought to.
fn venv() -> PathBuf {
    let venv = tools().join("django-5.2");
    assert!(
        venv.join("bin/python").exists(),
        "there is no {}: run `cargo xtask test`, which installs it",
        venv.display()
    );
    venv
}

/// A program in the converted tree, with the environment of a container.
fn command(result: &Converted, program: &str) -> Command {
    let slash = |path: &Path| format!("{}/", path.display());
    let mut command = Command::new(program);
    command
        .current_dir(&result.root)
        .env_clear()
        .env(
            "PATH",
            format!("{}:/usr/bin:/bin", venv().join("bin").display()),
        )
        .env("HOME", &result.root)
        .env("OPENSHIFT_REPO_DIR", slash(&result.root))
        .env(
            "OPENSHIFT_HOMEDIR",
            slash(result.root.parent().expect("it has a parent")),
        )
        .env("OPENSHIFT_DATA_DIR", slash(&result.root.join("data")))
        .env("OPENSHIFT_APP_DNS", "*")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn succeeds(command: &mut Command) -> String {
    let output: Output = command.output().expect("it can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}",
        output.status
    );
    text
}

fn hook(result: &Converted, name: &str) -> Command {
    command(
        result,
        &result
            .root
            .join(".s2i/action_hooks")
            .join(name)
            .display()
            .to_string(),
    )
}

#[test]
fn the_starter_is_what_django_of_its_day_was() {
    // Without the conversion nothing of it works: what the other tests see is the conversion's doing.
    let world = World::of_fixture("django-starter");
    let before = Converted {
        _folder: tempfile::tempdir().expect("a folder can be made"),
        root: world.root.clone(),
        plan: world.plan(&Options::default()).expect("a plan"),
    };
    let output = command(&before, "python")
        .args(["wsgi/myproject/manage.py", "check"])
        .output()
        .expect("it can be started");
    assert!(!output.status.success());
}

#[test]
fn the_converted_starter_serves() {
    let result = World::of_fixture("django-starter").convert(&Options::default());
    let collected = succeeds(&mut hook(&result, "build"));
    assert!(collected.contains("static files copied to"), "{collected}");
    assert!(
        result.has("wsgi/static/admin/css/base.css") && result.has("wsgi/static/notes/notes.css")
    );
    let migrated = succeeds(&mut hook(&result, "deploy"));
    assert!(
        migrated.contains("Applying notes.0001_initial... OK"),
        "{migrated}"
    );
    assert!(result.read("data/secrets.json").contains("secret_key"));
    succeeds(
        hook(&result, "setup")
            .env("DJANGO_SUPERUSER_USERNAME", "admin")
            .env("DJANGO_SUPERUSER_EMAIL", "a@example.com")
            .env("DJANGO_SUPERUSER_PASSWORD", "correct horse"),
    );
    let checked = succeeds(&mut hook(&result, "verify"));
    assert!(checked.contains("no issues"), "{checked}");
    // Nothing is to be migrated because of the conversion, and jobs run.
    let missing = succeeds(command(&result, "python").args([
        "wsgi/myproject/manage.py",
        "makemigrations",
        "--check",
        "--dry-run",
    ]));
    assert!(missing.contains("No changes detected"), "{missing}");
    succeeds(&mut command(
        &result,
        &result
            .root
            .join(".s2i/jobs/hourly/clear_sessions")
            .display()
            .to_string(),
    ));
    assert!(
        succeeds(&mut command(
            &result,
            &result
                .root
                .join(".s2i/jobs/weekly/report")
                .display()
                .to_string()
        ))
        .contains("everybody")
    );

    // The application as the server loads it: a script that is no module.
    let text = succeeds(command(&result, "python").args(["-c", r#"
import os, runpy, sys
sys.path[:0] = [os.path.abspath('libs'), os.path.abspath('.'), os.path.abspath('wsgi')]
application = runpy.run_path('wsgi/application')['application']
from django.test import Client
client = Client(enforce_csrf_checks=True, headers={'host': 'notes.example.com'})
page = client.get('/admin/login/', secure=True)
assert page.status_code == 200, page.status_code
token = client.cookies['csrftoken'].value
done = client.post('/admin/login/', {'username': 'admin', 'password': 'correct horse', 'csrfmiddlewaretoken': token},
                   secure=True, headers={'origin': 'https://notes.example.com', 'referer': 'https://notes.example.com/admin/login/'})
assert done.status_code == 302, done.content
token = client.cookies['csrftoken'].value
saved = client.post('/admin/notes/notebook/add/', {'title': 'First', 'notes-TOTAL_FORMS': '0', 'notes-INITIAL_FORMS': '0', 'csrfmiddlewaretoken': token},
                    secure=True, headers={'origin': 'https://notes.example.com', 'referer': 'https://notes.example.com/'})
assert saved.status_code == 302, saved.content
listed = client.get('/notes/', secure=True)
assert b'First' in listed.content and b'/static/notes/notes.css' in listed.content, listed.content
print('served')
"#]));
    assert!(text.contains("served"), "{text}");
    // A second start finds what the first one left.
    let secrets = result.read("data/secrets.json");
    succeeds(&mut hook(&result, "deploy"));
    assert_eq!(result.read("data/secrets.json"), secrets);
}

#[test]
fn gunicorn_serves_the_script_and_its_static_files() {
    let result = World::of_fixture("django-starter").convert(&Options {
        server: Server::Gunicorn,
        ..Options::default()
    });
    succeeds(&mut hook(&result, "build"));
    succeeds(&mut hook(&result, "deploy"));
    let text = succeeds(command(&result, "python").args(["-c", r#"
from wsgiref.util import setup_testing_defaults
from openshift_wsgi import application
def get(path, **more):
    environ = {'PATH_INFO': path, 'HTTP_HOST': 'notes.example.com', **more}
    setup_testing_defaults(environ)
    seen = []
    body = application(environ, lambda status, headers, info=None: seen.append((status, dict(headers))))
    return seen[0][0], seen[0][1].get('Content-Type'), b''.join(body)
status, kind, body = get('/static/admin/css/base.css')
assert status == '200 OK' and kind.startswith('text/css') and len(body) > 1000, (status, kind)
status, kind, body = get('/admin/login/', HTTP_X_FORWARDED_PROTO='https')
assert status == '200 OK' and b'csrfmiddlewaretoken' in body, status
from django.conf import settings
assert settings.SECURE_PROXY_SSL_HEADER == ('HTTP_X_FORWARDED_PROTO', 'https')
print('served')
"#]));
    assert!(text.contains("served"), "{text}");
    let checked = succeeds(
        command(&result, "gunicorn").args(["--check-config", "openshift_wsgi:application"]),
    );
    assert!(!checked.contains("Error"), "{checked}");
}

#[test]
fn a_database_service_takes_its_secrets_from_the_environment() {
    let result = World::of_fixture("django-starter").convert(&Options {
        database: DatabaseChoice::Service,
        ..Options::default()
    });
    // At build there are stand-ins, by the runner's build_env; without them and without the Secret nothing starts.
    let without = command(&result, "python")
        .args(["wsgi/myproject/manage.py", "check"])
        .output()
        .expect("it can be started");
    assert!(String::from_utf8_lossy(&without.stderr).contains("OPENSHIFT_SECRET_TOKEN"));
    let text = succeeds(command(&result, "bash").args(["-c", "set -a; . .s2i/action_hooks/build_env; unset OPENSHIFT_POSTGRESQL_DB_HOST; set +a; python wsgi/myproject/manage.py collectstatic --noinput"]));
    assert!(text.contains("static files copied"), "{text}");
}

#[test]
fn python_of_the_machine_compiles_all_that_was_edited() {
    let world = World::of_fixture("flask");
    let result = world.convert(&Options {
        server: Server::Gunicorn,
        ..Options::default()
    });
    succeeds(command(&result, "python").args(["-m", "py_compile", "wsgi.py", "openshift_wsgi.py"]));
}
