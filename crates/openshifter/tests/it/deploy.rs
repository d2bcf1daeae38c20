//! `openshifter v2 deploy` on an embedded cluster: a tree of V2 is converted, built, rolled out and reached. Its application needs nothing but Python, so no package is fetched.

use std::path::PathBuf;

use openshifter_testing::GitServer;
use serde_json::{Value, json};

use crate::deploy_steps::{each_step, page};
use crate::support::{Terminal, Tool, World, deploy, keep_secret, script, step, until};

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

    each_step(&tool, &space, &greeting);

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
    // It is known what it was made of.
    tool.run(&deploy("hello-v3", "shop", &[]))
        .ok()
        .says("not built again: hello-2");
    assert_eq!(space.names("builds.build.openshift.io").len(), 2);
}

#[test]
fn a_roll_out_that_was_given_up_is_waited_for_anew() {
    let world = World::small();
    let tool = Tool::new(&world);
    converted(&tool, "hello");
    let space = world.minishift.absent("shop");
    // Its claim waits for storage.
    let more = ["--skip-setup", "--storage-class", "later"];
    let args = deploy("hello-v3", "shop", &more);
    let within = |seconds: u32| {
        let patch = json!({"spec": {"progressDeadlineSeconds": seconds}}).to_string();
        space.kubectl(&["patch", "deployment", "hello", "--type=merge", "-p", &patch]);
    };
    let mut deploying = tool.start(&args);
    deploying.until_says("rolling out Deployment/hello");
    within(1);
    deploying.end().ended(4).says("ProgressDeadlineExceeded");

    // The controller goes on to say so, until there is storage.
    within(600);
    let mut deploying = tool.start(&args);
    deploying.until_says("0 of 1 pods available");
    let deployment = space.must("deployment", "hello");
    let conditions = deployment["status"]["conditions"].to_string();
    assert!(
        conditions.contains("ProgressDeadlineExceeded"),
        "{conditions}"
    );
    world.minishift.storage_class("later");
    deploying.end().ok().says("not built again: hello-1");
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
