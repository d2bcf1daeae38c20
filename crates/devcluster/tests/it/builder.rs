//! The scripts of the S2I builder image for Python, with Python, pip and gunicorn that only say how they were called.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/images/s2i-python");

/// Says how it was called; `FAKE_DJANGO` and `FAKE_STATIC` decide what an application's Python would find.
const PYTHON: &str = r#"#!/bin/bash
case "$*" in
    '-c import django') [ -n "$FAKE_DJANGO" ] || exit 1 ;;
    *collectstatic*--dry-run*) [ -n "$FAKE_STATIC" ] || exit 1 ;;
    *setup.py\ --name) echo named ;;
    -m\ venv\ *) mkdir -p "$3/bin"; cp /tmp/app/bin/pip "$3/bin/pip" ;;
    *) echo "python $*${PYTHONPATH:+ with PYTHONPATH=$PYTHONPATH}" ;;
esac
"#;

/// As many workers as there are is a matter of the machine.
const OTHERS: &str = r#"#!/bin/bash
echo "$(basename "$0")${*:+ $*}${PYTHONPATH:+ with PYTHONPATH=$PYTHONPATH}"
"#;

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A builder's file system, as far as its scripts look at it, under `/tmp` of a sandbox.
struct Image {
    folder: tempfile::TempDir,
}

impl Image {
    /// With programs that only speak; `files` are there by names that begin with `src` (uploaded) or `app` (assembled).
    fn new(programs: &[&str], files: &[&str]) -> Self {
        let image = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for folder in ["src", "app/src"] {
            std::fs::create_dir_all(image.path(folder)).unwrap();
        }
        for script in ["assemble", "run", "init-wrapper"] {
            let text = std::fs::read_to_string(Path::new(SCRIPTS).join(script)).unwrap();
            write(&image.path("scripts").join(script), &text);
        }
        write(&image.path("app/bin/python"), PYTHON);
        write(&image.path("app/bin/python3"), PYTHON);
        for program in programs {
            write(&image.path("app/bin").join(program), OTHERS);
        }
        for file in files {
            let script = "#!/bin/bash\necho \"script $0\"\n";
            write(&image.path(file), script);
        }
        image
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A script in a sandbox.
    fn command(&self, script: &str, variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new("bwrap");
        command
            .args(["--dev-bind", "/", "/", "--tmpfs", "/tmp"])
            .args(["--bind".as_ref(), self.path("src").as_os_str()])
            .arg("/tmp/src")
            .args(["--bind".as_ref(), self.path("app").as_os_str()])
            .arg("/tmp/app")
            .args(["--ro-bind".as_ref(), self.path("scripts").as_os_str()])
            .arg("/tmp/scripts")
            .args(["--chdir", "/tmp/app/src", "--unshare-pid", "--as-pid-1"])
            .args(["bash", &format!("/tmp/scripts/{script}")])
            .env_clear()
            .env("PATH", "/tmp/app/bin:/usr/bin:/bin")
            .env("HOME", "/tmp/app/src")
            .env("APP_ROOT", "/tmp/app")
            .envs(variables.iter().copied());
        command
    }

    /// All that a script says.
    fn says(&self, script: &str, variables: &[(&str, &str)]) -> String {
        let output = self.command(script, variables).output().unwrap();
        let mut said = String::from_utf8(output.stdout).unwrap();
        said.push_str(&String::from_utf8(output.stderr).unwrap());
        match output.status.code() {
            Some(0) => {}
            code => said.push_str(&format!("exit {}\n", code.unwrap_or(-1))),
        }
        said
    }
}

/// One after the other, each under its title.
fn table(cases: &[(&str, String)]) -> String {
    let text: Vec<String> = cases
        .iter()
        .map(|(title, said)| format!("# {title}\n{said}"))
        .collect();
    text.join("\n")
}

const DJANGO: (&str, &str) = ("FAKE_DJANGO", "1");

#[test]
fn a_source_is_assembled_as_it_is_documented() {
    let of = |files: &[&str], variables: &[(&str, &str)]| {
        Image::new(&["pip", "pipenv", "micropipenv"], files).says("assemble", variables)
    };
    insta::assert_snapshot!(table(&[
        ("nothing", of(&["src/app.py"], &[])),
        ("requirements and setup.py", of(&["src/requirements.txt", "src/setup.py"], &[])),
        ("setup.py is not wanted", of(&["src/requirements.txt", "src/setup.py"], &[("DISABLE_SETUP_PY_PROCESSING", "1")])),
        ("pyproject.toml", of(&["src/pyproject.toml"], &[])),
        ("pyproject.toml is not wanted", of(&["src/pyproject.toml"], &[("DISABLE_PYPROJECT_TOML_PROCESSING", "1")])),
        ("newer tools", of(&["src/requirements.txt"], &[("UPGRADE_PIP_TO_LATEST", "1")])),
        ("pipenv", of(&["src/Pipfile"], &[("ENABLE_PIPENV", "1"), ("PIN_PIPENV_VERSION", "2023.1")])),
        ("micropipenv", of(&["src/Pipfile.lock"], &[("ENABLE_MICROPIPENV", "1")])),
        ("both", of(&["src/Pipfile"], &[("ENABLE_PIPENV", "1"), ("ENABLE_MICROPIPENV", "1")])),
        ("static files", of(&["src/manage.py"], &[DJANGO, ("FAKE_STATIC", "1")])),
        ("static files of a folder", of(&["src/deep/down/manage.py"], &[DJANGO, ("FAKE_STATIC", "1"), ("APP_HOME", "deep/down")])),
        ("static files that cannot be collected", of(&["src/manage.py"], &[DJANGO])),
        ("static files are not wanted", of(&["src/manage.py"], &[DJANGO, ("DISABLE_COLLECTSTATIC", "1")])),
        ("Django without manage.py", of(&["src/app.py"], &[DJANGO])),
    ]), @r"
    # nothing
    ---> Installing application source ...

    # requirements and setup.py
    ---> Installing application source ...
    ---> Installing dependencies ...
    pip install -r requirements.txt
    ---> Installing application (via setup.{py,cfg})...
    pip install .

    # setup.py is not wanted
    ---> Installing application source ...
    ---> Installing dependencies ...
    pip install -r requirements.txt

    # pyproject.toml
    ---> Installing application source ...
    ---> Installing application (via pyproject.toml)...
    pip install .

    # pyproject.toml is not wanted
    ---> Installing application source ...

    # newer tools
    ---> Installing application source ...
    ---> Upgrading pip, setuptools and wheel to latest version ...
    pip install -U pip setuptools wheel
    ---> Installing dependencies ...
    pip install -r requirements.txt

    # pipenv
    ---> Installing application source ...
    ---> Installing pipenv packaging tool ...
    pip install -U pipenv==2023.1
    ---> Installing dependencies via pipenv ...
    pipenv install --deploy

    # micropipenv
    ---> Installing application source ...
    ---> Installing micropipenv packaging tool ...
    pip install -U micropipenv[toml]
    ---> Installing dependencies via micropipenv ...
    micropipenv install --deploy

    # both
    ERROR: Pipenv and micropipenv cannot be enabled at the same time!
    exit 3

    # static files
    ---> Installing application source ...
    ---> Collecting Django static files ...
    python ./manage.py collectstatic --noinput with PYTHONPATH=/tmp/app/src

    # static files of a folder
    ---> Installing application source ...
    ---> Collecting Django static files ...
    python ./manage.py collectstatic --noinput with PYTHONPATH=/tmp/app/src

    # static files that cannot be collected
    ---> Installing application source ...
    ---> Collecting Django static files ...
    WARNING: could not run 'manage.py collectstatic'. To debug, run:
        $ python ./manage.py collectstatic --noinput
    Ignore this warning if you're not serving static files with Django.

    # static files are not wanted
    ---> Installing application source ...

    # Django without manage.py
    ---> Installing application source ...
    ---> Collecting Django static files ...
    WARNING: seems that you're using Django, but we could not find a 'manage.py' file.
    'manage.py collectstatic' ignored.
    ");
}

#[test]
fn an_application_is_run_as_it_is_documented() {
    let of = |programs: &[&str], files: &[&str], variables: &[(&str, &str)]| {
        let variables = [&[("WEB_CONCURRENCY", "2")], variables].concat();
        Image::new(programs, files).says("run", &variables)
    };
    let everything = [
        "app/src/app.sh",
        "app/src/app.py",
        "app/src/wsgi.py",
        "app/src/manage.py",
    ];
    insta::assert_snapshot!(table(&[
        ("nothing", of(&[], &[], &[])),
        ("everything", of(&["gunicorn"], &everything, &[DJANGO])),
        ("a configuration of gunicorn and everything", of(&["gunicorn"], &[&everything[..], &["app/src/gunicorn.conf.py"]].concat(), &[])),
        ("a configuration of gunicorn without gunicorn", of(&[], &["app/src/gunicorn.conf.py", "app/src/app.py"], &[])),
        ("no script is wanted", of(&["gunicorn"], &everything, &[("APP_SCRIPT", "")])),
        ("another script", of(&[], &["app/src/bin/start", "app/src/app.sh"], &[("APP_SCRIPT", "bin/start")])),
        ("another script is missing", of(&[], &["app/src/app.sh"], &[("APP_SCRIPT", "bin/start")])),
        ("another file", of(&[], &["app/src/serve.py", "app/src/app.py"], &[("APP_FILE", "serve.py")])),
        ("another file is missing", of(&[], &["app/src/app.py"], &[("APP_FILE", "serve.py")])),
        ("wsgi.py", of(&["gunicorn"], &["app/src/wsgi.py"], &[])),
        ("a module", of(&["gunicorn"], &["app/src/wsgi.py"], &[("APP_MODULE", "shop:app")])),
        ("the module of setup.py", of(&["gunicorn"], &["app/src/setup.py"], &[])),
        ("a configuration", of(&["gunicorn"], &["app/src/wsgi.py"], &[("APP_CONFIG", "conf.py")])),
        ("gunicorn's own variable", of(&["gunicorn"], &["app/src/wsgi.py"], &[("GUNICORN_CMD_ARGS", "--bind=:9000")])),
        ("another port", of(&["gunicorn"], &["app/src/wsgi.py"], &[("PORT", "9000")])),
        ("Django without gunicorn", of(&[], &["app/src/manage.py"], &[DJANGO])),
        ("Django without gunicorn and migrations", of(&[], &["app/src/manage.py"], &[DJANGO, ("DISABLE_MIGRATE", "1")])),
        ("Django without manage.py", of(&[], &[], &[DJANGO])),
        // What a V2 tree of the usual shape comes to without a script of its own.
        ("a project below wsgi/", of(&["gunicorn"], &["app/src/wsgi/myproject/manage.py", "app/src/wsgi/myproject/myproject/wsgi.py"],
            &[DJANGO, ("APP_HOME", "wsgi/myproject"), ("APP_MODULE", "myproject.wsgi")])),
    ]), @r"
    # nothing
    ERROR: don't know how to run your application.
    Please set either APP_MODULE, APP_FILE or APP_SCRIPT environment variables, or create a file 'app.py' to launch your application.
    exit 1

    # everything
    ---> Running application from script (app.sh) ...
    script /tmp/app/src/app.sh

    # a configuration of gunicorn and everything
    ---> Running application with gunicorn (gunicorn.conf.py) ...
    gunicorn

    # a configuration of gunicorn without gunicorn
    ---> Running application from Python script (app.py) ...
    python app.py

    # no script is wanted
    ---> Running application from Python script (app.py) ...
    python app.py

    # another script
    ---> Running application from script (bin/start) ...
    script /tmp/app/src/bin/start

    # another script is missing
    ERROR: file 'bin/start' not found.
    exit 1

    # another file
    ---> Running application from Python script (serve.py) ...
    python serve.py

    # another file is missing
    ERROR: file 'serve.py' not found.
    exit 1

    # wsgi.py
    ---> Serving application with gunicorn (wsgi) ...
    gunicorn wsgi --bind=0.0.0.0:8080 --access-logfile=-

    # a module
    ---> Serving application with gunicorn (shop:app) ...
    gunicorn shop:app --bind=0.0.0.0:8080 --access-logfile=-

    # the module of setup.py
    ---> Serving application with gunicorn (named) ...
    gunicorn named --bind=0.0.0.0:8080 --access-logfile=-

    # a configuration
    ---> Serving application with gunicorn (wsgi) ...
    gunicorn wsgi --config conf.py

    # gunicorn's own variable
    ---> Serving application with gunicorn (wsgi) ...
    gunicorn wsgi

    # another port
    ---> Serving application with gunicorn (wsgi) ...
    gunicorn wsgi --bind=0.0.0.0:9000 --access-logfile=-

    # Django without gunicorn
    ---> Migrating database ...
    python ./manage.py migrate --noinput
    ---> Serving application with 'manage.py runserver 0.0.0.0:8080' ...
    WARNING: this is NOT a recommended way to run you application in production!
    Consider using gunicorn or some other production web server.
    python ./manage.py runserver 0.0.0.0:8080

    # Django without gunicorn and migrations
    ---> Serving application with 'manage.py runserver 0.0.0.0:8080' ...
    WARNING: this is NOT a recommended way to run you application in production!
    Consider using gunicorn or some other production web server.
    python ./manage.py runserver 0.0.0.0:8080

    # Django without manage.py
    WARNING: seems that you're using Django, but we could not find a 'manage.py' file.
    Skipped 'python manage.py migrate'.
    WARNING: seems that you're using Django, but we could not find a 'manage.py' file.
    Skipped 'python manage.py runserver'.
    ERROR: don't know how to run your application.
    Please set either APP_MODULE, APP_FILE or APP_SCRIPT environment variables, or create a file 'app.py' to launch your application.
    exit 1

    # a project below wsgi/
    ---> Migrating database ...
    python ./manage.py migrate --noinput with PYTHONPATH=/tmp/app/src
    ---> Serving application with gunicorn (myproject.wsgi) ...
    gunicorn myproject.wsgi --bind=0.0.0.0:8080 --access-logfile=- with PYTHONPATH=/tmp/app/src
    ");
}

/// Takes a line and gives it back; ends by no signal, since it has no handler for any.
const ECHO: &str = "import sys, time\nprint('up', flush=True)\n\
    for line in sys.stdin: print('still ' + line, end='', flush=True)\n\
    while True: time.sleep(1)\n";

/// The process that is process 1 in a sandbox.
fn first(sandbox: &Child) -> String {
    let id = sandbox.id();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    children.trim().to_owned()
}

#[test]
fn only_a_wrapper_ends_a_program_that_is_process_one() {
    for wrapped in [false, true] {
        let image = Image::new(&[], &[]);
        // The real Python of the machine.
        for name in ["python", "python3"] {
            std::fs::remove_file(image.path("app/bin").join(name)).unwrap();
        }
        std::os::unix::fs::symlink("/usr/bin/python3", image.path("app/bin/python")).unwrap();
        std::fs::write(image.path("app/src/app.py"), ECHO).unwrap();
        let variables: &[(&str, &str)] = if wrapped {
            &[("ENABLE_INIT_WRAPPER", "1")]
        } else {
            &[]
        };
        let mut sandbox = image
            .command("run", variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(sandbox.stdout.take().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().starts_with("---> Running"));
        assert_eq!(lines.next().unwrap().unwrap(), "up");
        let mut stdin = sandbox.stdin.take().unwrap();
        let process = first(&sandbox);
        let send = |signal: &str| {
            let sent = Command::new("kill")
                .args([signal, &process])
                .status()
                .unwrap();
            assert!(sent.success());
        };
        send("-TERM");
        if !wrapped {
            writeln!(stdin, "there").unwrap();
            assert_eq!(lines.next().unwrap().unwrap(), "still there");
            send("-KILL");
        }
        let code = sandbox.wait().unwrap().code();
        assert_eq!(code, Some(if wrapped { 143 } else { 137 }));
    }
}
