//! `openshifter v2 deploy`, and each of its steps as a command of its own, on an embedded cluster: a tree of V2 is
//! converted, built, rolled out and reached. Its application needs nothing but Python, so no package is fetched.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use openshifter_testing::GitServer;
use serde_json::{Value, json};

use crate::support::{Space, Terminal, Tool, World, deployment, keep_secret, run, until};

/// An application that serves itself, as V2 had it, and keeps names in its data directory.
const APP: &str = r#"#!/usr/bin/env python
import os
import signal
import sys
from wsgiref.simple_server import make_server

DATA = os.environ['OPENSHIFT_DATA_DIR']


def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    path = os.path.join(DATA, 'admins')
    admins = open(path).read() if os.path.exists(path) else ''
    return [('hello\n' + admins).encode('utf-8')]


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *ignored: os._exit(0))
    sys.stdout.write('serving\n')
    sys.stdout.flush()
    ip = os.environ['OPENSHIFT_PYTHON_IP']
    port = int(os.environ['OPENSHIFT_PYTHON_PORT'])
    make_server(ip, port, application).serve_forever()
"#;

/// What the runner does, as far as these tests take it.
const RUNNER: &str = r#"#!/bin/bash
set -e
hooks=/opt/app-root/src/.s2i/action_hooks
read_env() { set -a; [ ! -f "$hooks/$1" ] || . "$hooks/$1"; set +a; }
hook() { [ ! -f "$hooks/$1" ] || "$hooks/$1"; }
case $1 in
    assemble) bash /usr/libexec/s2i/assemble; read_env build_env; hook build ;;
    jobs) read_env deploy_env; for job in "$hooks/../jobs/$2"/*; do "$job"; done ;;
    run) read_env deploy_env; hook deploy; exec bash /usr/libexec/s2i/run ;;
    *) read_env deploy_env; hook "$1" ;;
esac
"#;

/// Notes who was made an administrator, and with which password by its length alone.
const SETUP: &str = r#"#!/bin/bash
set -e
umask 002
echo "$DJANGO_SUPERUSER_USERNAME ${#DJANGO_SUPERUSER_PASSWORD}" >> "${OPENSHIFT_DATA_DIR%/}/admins"
"#;

const PASSWORD: &str = "correct horse battery staple";

fn script(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the file can be written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
        .expect("its mode can be set");
}

/// A tree of V2, converted, with a setup hook as Django's has.
fn converted(tool: &Tool, name: &str) -> PathBuf {
    converted_of(tool, name, APP, &[])
}

/// The same of another program, and with more files.
fn converted_of(tool: &Tool, name: &str, app: &str, scripts: &[(&str, &str)]) -> PathBuf {
    let tree = tool.path(name);
    std::fs::create_dir_all(tree.join(".openshift/action_hooks")).expect("there is room");
    std::fs::write(tree.join(".openshift/action_hooks/README.md"), "none\n")
        .expect("there is room");
    std::fs::write(tree.join("requirements.txt"), "").expect("there is room");
    script(&tree.join("app.py"), app);
    for (path, text) in scripts {
        let path = tree.join(path);
        std::fs::create_dir_all(path.parent().expect("it is in a folder")).expect("there is room");
        script(&path, text);
    }
    script(&tool.path("runner"), RUNNER);
    let out = format!("{name}-v3");
    tool.run(&[
        "v2",
        "convert",
        name,
        "--runner-binary",
        "runner",
        "--name",
        name,
        "--out",
        &out,
    ])
    .ok();
    let tree = tool.path(&out);
    std::fs::create_dir_all(tree.join(".s2i/action_hooks")).expect("there is room");
    script(&tree.join(".s2i/action_hooks/setup"), SETUP);
    let record = tree.join(".s2i/openshifter.json");
    let text = std::fs::read_to_string(&record).expect("it is recorded");
    let mut value: Value = serde_json::from_str(&text).expect("it is JSON");
    let hooks = value["needs"]["hooks"].as_array_mut().expect("a list");
    hooks.push(json!("setup"));
    std::fs::write(&record, value.to_string()).expect("there is room");
    tree
}

/// Arguments of a deployment of a tree.
fn deploy<'a>(tree: &'a str, project: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![
        "v2",
        "deploy",
        tree,
        "--to",
        "minishift",
        "-n",
        project,
        "--builder",
        "python:latest",
    ];
    args.extend(more);
    args
}

/// Arguments of a step in a project.
fn step<'a>(project: &'a str, command: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let mut args = command.to_vec();
    args.extend(["--at", "minishift", "-n", project]);
    args.extend(more);
    args
}

/// What the application serves at its route.
fn page(space: &Space<'_>, host: &str) -> String {
    until("the page", || {
        let (status, body) = space.cluster.page(host, "/");
        (status == 200).then_some(body)
    })
}

#[test]
fn a_converted_tree_is_deployed_and_each_step_is_a_command() {
    keep_secret(PASSWORD);
    let world = World::small();
    let tool = Tool::new(&world);
    converted(&tool, "hello");
    let space = world.minishift.absent("shop");

    // What would be done is said, and nothing is.
    let planned = tool
        .run(&deploy("hello-v3", "shop", &["--dry-run"]))
        .ok()
        .says("project shop, which is made")
        .says("create     BuildConfig.build.openshift.io/hello")
        .says("upload");
    assert!(planned.stdout.contains("setup      make"), "{planned:?}");
    assert!(!space.exists());

    // Nobody said who the administrator is, and there is nobody to ask.
    tool.run(&deploy("hello-v3", "shop", &[]))
        .ended(2)
        .one_message()
        .says("--admin-user");

    let mut command = tool.command(&deploy(
        "hello-v3",
        "shop",
        &["--admin-user", "ada", "--output", "json"],
    ));
    command.env("DJANGO_SUPERUSER_PASSWORD", PASSWORD);
    let ran = tool.spawn(command).end().ok();
    let report = ran.report();
    assert_eq!(report["complete"], true, "{report:#}");
    assert_eq!(report["projectCreated"], true);
    assert_eq!(report["built"], true);
    assert_eq!(report["setup"], "run");
    assert_eq!(report["health"], 200);
    let address = report["address"].as_str().expect("it has an address");
    let host = address
        .split_once("://")
        .and_then(|(_, rest)| rest.split('/').next())
        .expect("it has a host")
        .to_owned();
    let greeting = format!("hello\nada {}\n", PASSWORD.len());
    assert_eq!(page(&space, &host), greeting);

    // Again: nothing is built, made or set up.
    let before = space.picture();
    let again = tool
        .run(&deploy("hello-v3", "shop", &["--output", "json"]))
        .ok()
        .report();
    assert_eq!(again["built"], false, "{again:#}");
    assert_eq!(again["setup"], "done");
    assert_eq!(again["build"], report["build"]);
    for object in again["objects"].as_array().expect("a list") {
        let action = object["action"].as_str().expect("it has one");
        assert!(matches!(action, "unchanged" | "keep"), "{object}");
    }
    assert_eq!(space.picture(), before);
    assert_eq!(page(&space, &host), greeting);

    logs_and_commands(&tool);
    shell(&tool);
    copies(&tool);
    ports(&tool, &greeting);
    objects(&tool, &space, &greeting);

    // A build by hand rolls out by its trigger, and the data stays.
    let built = tool
        .run(&step(
            "shop",
            &["build", "start", "hello", "--from-dir=hello-v3", "--follow"],
            &[],
        ))
        .ok();
    assert!(built.stdout.contains("Push successful"), "{built:?}");
    assert!(built.stderr.contains("started"), "{built:?}");
    tool.run(&step("shop", &["logs", "bc/hello"], &[]))
        .ok()
        .says("Push successful");
    assert_eq!(page(&space, &host), greeting);
}

fn logs_and_commands(tool: &Tool) {
    let log = tool
        .run(&step("shop", &["logs", "deployment/hello"], &[]))
        .ok();
    assert!(log.stdout.contains("serving\n"), "{log:?}");
    let last = tool
        .run(&step(
            "shop",
            &["logs", "deployment/hello", "--tail=1"],
            &[],
        ))
        .ok();
    assert_eq!(last.stdout.lines().count(), 1, "{last:?}");
    tool.run(&step("shop", &["logs", "deployment/nothing"], &[]))
        .ended(3)
        .one_message()
        .says("there is no Deployment/nothing in shop");

    // A command's streams and its exit status are ours.
    let both = "echo out; echo err >&2; exit 7";
    let ran = tool
        .run(&step(
            "shop",
            &["exec", "deployment/hello"],
            &["--", "sh", "-c", both],
        ))
        .ended(7);
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("out\n", "err\n")
    );
    let mut command = tool.command(&step(
        "shop",
        &["exec", "-i", "deployment/hello"],
        &["--", "sh", "-c", "tr a-z A-Z; exit 5"],
    ));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(b"shout\n").expect("it is read");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "SHOUT\n");
    tool.run(&step(
        "shop",
        &["exec", "deployment/hello", "-c", "none"],
        &["--", "true"],
    ))
    .ended(2)
    .one_message()
    .says("has no container `none`");
}

fn shell(tool: &Tool) {
    let args = ["rsh", "--at", "minishift", "-n", "shop", "deployment/hello"];
    let mut terminal = Terminal::start(tool.command(&args));
    // Our own terminal echoes nothing: what is shown comes from the container's.
    terminal.answer("$", "test -t 0 && echo terminal $((6 * 7))");
    terminal.until_shows("terminal 42");
    terminal.answer("", "exit 9");
    let (status, shown) = terminal.end();
    assert_eq!(status, Some(9), "{shown}");
    let ran = tool
        .run(&[&args[..], &["sh", "-c", "echo plain; exit 4"]].concat())
        .ended(4);
    assert_eq!(ran.stdout, "plain\n");
}

/// Every file of a folder with its content.
fn picture(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(&at).expect("the folder can be listed") {
            let path = entry.expect("the folder can be listed").path();
            let name = path.strip_prefix(folder).expect("it is in it").to_owned();
            let meta = path.symlink_metadata().expect("it is there");
            if meta.is_dir() {
                folders.push(path);
            } else if meta.is_symlink() {
                let to = std::fs::read_link(&path).expect("it is a link");
                all.insert(name, to.into_os_string().into_encoded_bytes());
            } else {
                all.insert(name, std::fs::read(&path).expect("it can be read"));
            }
        }
    }
    all
}

fn copies(tool: &Tool) {
    let odd = tool.path("odd");
    std::fs::create_dir_all(odd.join("-deep/er")).expect("there is room");
    for (name, size) in [
        ("a b", 3),
        ("-n", 10),
        ("new\nline", 1),
        ("ünïcödé", 4),
        ("-deep/er/'quoted\"", 70_000),
        ("empty", 0),
        ("*", 2),
    ] {
        let bytes: Vec<u8> = (0..size).map(|n: usize| (n % 251) as u8).collect();
        std::fs::write(odd.join(name), bytes).expect("there is room");
    }
    std::os::unix::fs::symlink("../nowhere", odd.join("link")).expect("there is room");
    let to = "deployment/hello:/tmp/odd here";
    tool.run(&step("shop", &["cp", "odd", to], &[]))
        .ok()
        .says("7 files")
        .says_nothing_of("not compared");
    tool.run(&step("shop", &["cp", to, "back"], &[])).ok();
    assert_eq!(picture(&tool.path("back")), picture(&odd));
    // Into a folder that is there, under its own name.
    tool.run(&step("shop", &["cp", "odd/a b", to], &[])).ok();
    tool.run(&step(
        "shop",
        &["cp", "odd/-n", "deployment/hello:/tmp/odd here/other"],
        &[],
    ))
    .ok();
    tool.run(&step(
        "shop",
        &["cp", "deployment/hello:/tmp/odd here/other", "."],
        &[],
    ))
    .ok();
    assert_eq!(
        std::fs::read(tool.path("other"))
            .expect("it is there")
            .len(),
        10
    );
    for (args, status, says) in [
        (
            ["cp", "deployment/hello:/none", "x"],
            3,
            "there is no such file",
        ),
        (["cp", to, "back"], 3, "exists"),
        (["cp", "odd", "deployment/hello:/none/x"], 3, "none"),
        (
            ["cp", "nothing", "deployment/hello:/tmp"],
            3,
            "cannot read nothing",
        ),
        (["cp", "odd", "back"], 2, "POD:PATH"),
    ] {
        // The second one names a folder that is in `back` as well after a first copy into it.
        let args = step("shop", &args, &[]);
        if args[2] == "back" && args[1] == to {
            tool.run(&args).ok();
        }
        tool.run(&args).ended(status).one_message().says(says);
    }
    // Nothing is left of what did not come.
    let left: Vec<_> = std::fs::read_dir(tool.folder())
        .expect("the folder can be listed")
        .map(|entry| {
            entry
                .expect("it can")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name.starts_with(".openshifter-") || name == "x")
        .collect();
    assert_eq!(left, [""; 0]);
}

fn ports(tool: &Tool, greeting: &str) {
    let args = step("shop", &["port-forward", "svc/hello", ":8080"], &[]);
    let mut forward = tool.start(&args);
    forward.until_line();
    let line = forward.stdout();
    let (address, remote) = line.trim().split_once(" -> ").expect("it says where");
    assert_eq!(remote, "8080");
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--noproxy", "*"])
        .arg(format!("http://{address}/"));
    assert_eq!(run(&mut curl, b""), greeting);
    forward.interrupt();
    forward.end().ok();
    tool.run(&step("shop", &["port-forward", "svc/hello", "no"], &[]))
        .ended(2)
        .one_message()
        .says("LOCAL:REMOTE");
}

fn objects(tool: &Tool, space: &Space<'_>, greeting: &str) {
    let pods = ["-l", "app.kubernetes.io/name=hello", "-o", "name"];
    let running = || space.kubectl(&[&["get", "pods"], &pods[..]].concat());
    for (replicas, count) in [("0", 0), ("1", 1)] {
        let replicas = format!("--replicas={replicas}");
        tool.run(&step(
            "shop",
            &["scale", "deployment/hello", &replicas, "--timeout=180s"],
            &[],
        ))
        .ok();
        until("the pods", || {
            (running().lines().count() == count).then_some(())
        });
    }
    tool.run(&step("shop", &["scale", "hello", "--replicas=2"], &[]))
        .ended(2)
        .one_message()
        .says("deployment/hello");

    let host = "extra.example.test";
    let exposed = tool
        .run(&step(
            "shop",
            &["expose", "svc/hello", "--name=extra", "--hostname", host],
            &[],
        ))
        .ok();
    assert_eq!(exposed.stdout, format!("{host}\n"));
    assert_eq!(page(space, host), greeting);

    space.create(&[deployment("web", None)]);
    tool.run(&step(
        "shop",
        &[
            "set-volume",
            "deployment/web",
            "--add",
            "--name=data",
            "--type=pvc",
            "--claim-name=web-data",
            "--claim-size=1Gi",
            "--claim-mode=rwo",
            "--mount-path=/data",
        ],
        &[],
    ))
    .ok()
    .says("web-data created");
    let claim = space.must("persistentvolumeclaim", "web-data");
    assert_eq!(claim["spec"]["accessModes"], json!(["ReadWriteOnce"]));
    space.ready("deploy/web");
    tool.run(&step(
        "shop",
        &["exec", "deployment/web"],
        &["--", "sh", "-c", "echo kept > /data/file && cat /data/file"],
    ))
    .ok()
    .says("kept");
    volumes(tool, space);
}

/// A claim's mount moves, and the claim is taken out and put back: its data are those that were there.
fn volumes(tool: &Tool, space: &Space<'_>) {
    let set = |more: &[&str]| {
        let args = step("shop", &["set-volume", "deployment/web"], more);
        tool.run(&args)
    };
    let kept = |path: &str| {
        until("the data at its path", || {
            let command = ["--", "cat", path];
            let args = step("shop", &["exec", "deployment/web"], &command);
            (tool.run(&args).stdout == "kept\n").then_some(())
        });
    };
    let move_it = [
        "--add",
        "--name=data",
        "-m",
        "/other",
        "--overwrite",
        "--dry-run",
    ];
    let before = space.must("deployment", "web");
    set(&move_it).ok().says("would have the volume data");
    assert_eq!(space.must("deployment", "web")["spec"], before["spec"]);
    set(&move_it[..5]).ok().says_nothing_of("stays with");
    let listed = set(&[]).ok();
    assert_eq!(
        listed.stdout,
        "Deployment/web\n  claim web-data as data\n    mounted at /other in main\n"
    );
    kept("/other/file");

    set(&["--remove"]).ended(2).one_message().says("confirm");
    set(&["--remove", "--name=data", "--containers=*"])
        .ok()
        .says("the claim web-data stays with its data");
    let listed = set(&["--list", "--output", "json"]).ok();
    assert_eq!(listed.report(), json!([]));
    assert!(space.get("persistentvolumeclaim", "web-data").is_some());
    set(&["--add", "--claim-name=web-data", "-m", "/again"])
        .ok()
        .says("has the volume volume-1");
    kept("/again/file");
    set(&["--add", "--source={\"nfs\": 1}"])
        .ended(2)
        .one_message()
        .says("an object of one field");
}

#[test]
fn a_build_that_fails_says_why_and_the_same_command_goes_on() {
    keep_secret(PASSWORD);
    let world = World::small();
    let tool = Tool::new(&world);
    tool.write("password", format!("{PASSWORD}\n"));

    // Before anybody logs in.
    std::fs::create_dir(tool.path("plain")).expect("there is room");
    std::fs::write(tool.path("plain/app.py"), APP).expect("there is room");
    tool.run(&deploy("plain", "shop", &[]))
        .ended(3)
        .one_message()
        .says("openshifter v2 convert");

    let tree = converted(&tool, "hello");
    let admin = ["--admin-user", "ada", "--admin-password-file", "password"];
    let mut args = deploy("hello-v3", "shop", &admin);
    let builder = args.iter().position(|arg| *arg == "python:latest");
    let builder = builder.expect("it is named");
    args[builder] = "python:0.1";
    tool.run(&args)
        .ended(2)
        .says("no builder image python:0.1")
        .says("python:latest");
    let space = world.minishift.absent("shop");
    assert!(!space.exists());

    let hook = tree.join(".s2i/action_hooks/build");
    let good = std::fs::read_to_string(&hook).ok();
    script(&hook, "#!/bin/bash\necho 'the tests say no'\nexit 1\n");
    let failed = tool.run(&deploy("hello-v3", "shop", &admin)).ended(4);
    // The log was shown as it came, and its end is part of the message.
    failed
        .says("\nthe tests say no")
        .says("error: minishift: Build/hello-1 in shop failed")
        .says("| the tests say no")
        .says("hint: mend what the log names");
    let by_hand = step(
        "shop",
        &[
            "build",
            "start",
            "bc/hello",
            "--from-dir=hello-v3",
            "--wait",
        ],
        &[],
    );
    tool.run(&by_hand)
        .ended(3)
        .says("Build/hello-2 in shop failed")
        .says("| the tests say no");

    // What was made stays, and the mended source goes the rest of the way.
    let secrets = |kind: &str| space.names(kind);
    let before = secrets("secrets");
    match good {
        Some(good) => script(&hook, &good),
        None => std::fs::remove_file(&hook).expect("it is there"),
    }
    // Stopped in the middle of its build, which goes on by itself: the next one takes it up.
    let args = deploy("hello-v3", "shop", &admin);
    let mut running = tool.start(&args);
    running.until_says("- building hello-3");
    running.interrupt();
    running
        .end()
        .ended(4)
        .one_message()
        .says("run the same again");
    tool.run(&args)
        .ok()
        .says("hello-3")
        .says("the first administrator was made");
    assert_eq!(space.names("builds.build.openshift.io").len(), 3);
    assert_eq!(secrets("secrets"), before);
}

/// What it was told by its surroundings, and what its job left.
const TOLD: &str = r#"import os
import signal
from wsgiref.simple_server import make_server

KEY = os.environ['API_KEY']
DNS = os.environ['OPENSHIFT_APP_DNS']


def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    text = 'key of %d at %s\n' % (len(KEY), DNS)
    for name in ('admins', 'ticks'):
        path = os.path.join(os.environ['OPENSHIFT_DATA_DIR'], name)
        if os.path.exists(path):
            text += open(path).read()
    return [text.encode('utf-8')]


signal.signal(signal.SIGTERM, lambda *ignored: os._exit(0))
port = int(os.environ['OPENSHIFT_PYTHON_PORT'])
make_server(os.environ['OPENSHIFT_PYTHON_IP'], port, application).serve_forever()
"#;

const TICK: &str = "#!/bin/bash\necho tick > \"${OPENSHIFT_DATA_DIR%/}/ticks\"\n";

const KEY: &str = "a key of an API, 1885";

#[test]
fn what_only_a_person_knows_is_asked_for_or_comes_from_where_it_was_said() {
    for secret in [PASSWORD, KEY] {
        keep_secret(secret);
    }
    let world = World::small();
    let tool = Tool::new(&world);
    let job = [(".openshift/cron/minutely/tick", TICK)];
    converted_of(&tool, "told", TOLD, &job);
    let space = world.minishift.absent("shop");
    tool.run(&deploy("told-v3", "shop", &["--skip-setup"]))
        .ended(2)
        .one_message()
        .says("API_KEY");

    // A person is asked for what nobody said.
    let args = deploy("told-v3", "shop", &["--dry-run"]);
    let mut terminal = Terminal::start(tool.command(&args));
    terminal.answer("API_KEY", KEY);
    let (status, shown) = terminal.end();
    assert_eq!(status, Some(0), "{shown}");
    assert!(shown.contains("make the first administrator"), "{shown}");
    tool.write("values", format!("API_KEY={KEY}\n"));
    let args = deploy("told-v3", "shop", &["--values", "values"]);
    let mut terminal = Terminal::start(tool.command(&args));
    terminal.answer("Name of the first administrator", "ada");
    terminal.answer("Address of the first administrator", "ada@example.test");
    terminal.answer("Password of the first administrator", PASSWORD);
    terminal.answer("Confirmation", PASSWORD);
    terminal.until_shows("the first administrator was made");
    let (status, shown) = terminal.end();
    assert_eq!(status, Some(0), "{shown}");
    assert!(!shown.contains("API_KEY"), "{shown}");
    let route = space.must("route", "told");
    let host = route["spec"]["host"].as_str().expect("it has a host");
    let told = |key: &str| format!("key of {} at {host}\n", key.len());
    let first = told(KEY) + &format!("ada {}\n", PASSWORD.len());
    assert!(page(&space, host).starts_with(&first));

    // The administrator of a Secret, for data that nobody set up.
    space.create(&[json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "chief"},
        "stringData": {"username": "grace", "password": PASSWORD},
    })]);
    let claims = space.names("persistentvolumeclaims");
    let claim = claims.first().expect("its data are on a claim");
    space.kubectl(&["annotate", claim, "openshifter.dev/setup-"]);
    // A strategy that somebody changed comes back, and what is of the other one goes.
    let rolling =
        r#"{"spec":{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1}}}}"#;
    space.kubectl(&["patch", "deployment", "told", "--type=merge", "-p", rolling]);
    let more = ["--admin-from-secret", "chief", "--rebuild"];
    tool.run(&deploy("told-v3", "shop", &more))
        .ok()
        .says("built by told-2")
        .says("the first administrator was made");
    let strategy = &space.must("deployment", "told")["spec"]["strategy"];
    assert_eq!(*strategy, json!({"type": "Recreate"}));
    let second = first.clone() + &format!("grace {}\n", PASSWORD.len());

    // By now its job was due.
    until("the job to have run", || {
        (page(&space, host) == format!("{second}tick\n")).then_some(())
    });
}

#[test]
fn a_repository_is_built_once_for_each_of_its_commits() {
    keep_secret(PASSWORD);
    let world = World::small();
    let tool = Tool::new(&world);
    let tree = converted(&tool, "hello");
    let repository = GitServer::start();
    repository.commit("hello", &tree, "as it was converted");
    let url = repository.url("hello");
    let more = ["--git", &url, "--skip-setup", "--workload"];
    let more = [&more[..], &["deployment-config"]].concat();
    let args = deploy("hello-v3", "shop", &more);
    let space = world.minishift.absent("shop");
    let builds = || space.names("builds.build.openshift.io").len();
    // The configuration starts its first build itself.
    tool.run(&args).ok().says("built by hello-1");
    assert_eq!(builds(), 1);
    tool.run(&args).ok().says("not built again: hello-1");
    assert_eq!(builds(), 1);
    std::fs::write(tree.join("more.txt"), "more\n").expect("there is room");
    repository.commit("hello", &tree, "more");
    tool.run(&args).ok().says("built by hello-2");
    assert_eq!(builds(), 2);

    // Somebody's hook fails, and the roll-out with it: the next one says what the hook says.
    let patch = |mid: Value, round: &str| {
        let patch = json!({"spec": {
            "strategy": {"recreateParams": {"mid": mid}},
            "template": {"metadata": {"annotations": {"round": round}}},
        }});
        let patch = patch.to_string();
        space.kubectl(&["patch", "dc", "hello", "--type=merge", "-p", &patch]);
    };
    let says_no = json!({"failurePolicy": "Abort", "execNewPod": {
        "containerName": "hello", "command": ["sh", "-c", "echo the hook says no; exit 1"]}});
    patch(says_no, "1");
    let phase = |version: u32| {
        let rc = space.get("replicationcontroller", &format!("hello-{version}"))?;
        let phase = &rc["metadata"]["annotations"]["openshift.io/deployment.phase"];
        phase.as_str().map(str::to_owned)
    };
    until("the roll-out to fail", || {
        (phase(3)? == "Failed").then_some(())
    });
    tool.run(&args)
        .ended(4)
        .says("its last roll-out had failed")
        .says("Pod/hello-4-hook-mid")
        .says("| the hook says no");
    // Mended, but nothing begins it anew: the same command does.
    patch(Value::Null, "1");
    tool.run(&args).ok().says("not built again: hello-2");
    assert_eq!(phase(5).as_deref(), Some("Complete"));
}
