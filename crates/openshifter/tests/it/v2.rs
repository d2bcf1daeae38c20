//! `openshifter v2`: trees of V2 analysed and converted, and manifests that clusters accept.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Tool, World, copy, run, tools, until};

/// A source tree of the crate that knows them.
fn tree(tool: &Tool, fixture: &str, name: &str) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../v2/tests/fixtures")
        .join(fixture);
    let to = tool.path(name);
    copy(&from, &to);
    to
}

fn git(folder: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command
        .args(["-c", "user.name=me", "-c", "user.email=me@example.test"])
        .args(args)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    run(&mut command, b"")
}

/// A tree that git could take back.
fn committed(tool: &Tool, fixture: &str, name: &str) -> PathBuf {
    let root = tree(tool, fixture, name);
    git(&root, &["init", "--quiet"]);
    git(&root, &["add", "--all", "--force"]);
    git(&root, &["commit", "--quiet", "--message", "as it was"]);
    root
}

/// What git would keep of a folder: files and links, with what they hold and whether they can be executed.
fn picture(folder: &Path) -> BTreeMap<PathBuf, (bool, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(&at).expect("the folder can be listed") {
            let path = entry.expect("the folder can be listed").path();
            let meta = path.symlink_metadata().expect("it is there");
            let name = path.strip_prefix(folder).expect("it is in the folder");
            if meta.is_dir() {
                if name != Path::new(".git") {
                    folders.push(path);
                }
                continue;
            }
            let content = if meta.is_symlink() {
                let target = std::fs::read_link(&path).expect("it is a link");
                target.into_os_string().into_encoded_bytes()
            } else {
                std::fs::read(&path).expect("it can be read")
            };
            let executable = meta.is_file() && meta.permissions().mode() & 0o100 != 0;
            all.insert(name.to_owned(), (executable, content));
        }
    }
    all
}

/// The arguments that a line stands for.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder can be listed")
        .map(|entry| {
            let entry = entry.expect("the folder can be listed");
            entry.file_name().to_string_lossy().into_owned()
        })
        .filter(|name| !name.ends_with(".stdout") && !name.ends_with(".stderr"))
        .collect();
    names.sort();
    names
}

#[test]
fn an_analysis_tells_what_it_is_in_three_forms() {
    let tool = Tool::alone();
    let root = tree(&tool, "django-starter", "notes");
    let before = picture(&root);
    let text = tool.run(&["v2", "analyze", "notes"]).ok();
    assert!(
        text.stdout
            .starts_with("notes: an OpenShift V2 application"),
        "{}",
        text.stdout
    );
    let said = tool.run(&words("v2 analyze notes --output json")).ok();
    let analysis: Value = serde_json::from_str(&said.stdout).expect("it is JSON");
    assert_eq!(analysis["facts"]["framework"], "django");
    let findings = analysis["findings"].as_array().expect("there are some");
    assert!(findings.len() > 10);
    tool.run(&words("v2 analyze notes --html report.html")).ok();
    let page = std::fs::read_to_string(tool.path("report.html")).expect("it is written");
    assert!(page.starts_with("<!DOCTYPE html>") || page.starts_with("<!doctype html>"));
    assert_eq!(picture(&root), before);
}

#[test]
fn what_cannot_be_analysed_or_converted_is_one_message_and_nothing_is_written() {
    let tool = Tool::alone();
    tree(&tool, "django-starter", "notes");
    tree(&tool, "php", "php");
    tool.write("text", "nothing");
    std::fs::create_dir(tool.path("empty")).expect("a folder can be made");
    std::fs::create_dir(tool.path("taken")).expect("a folder can be made");
    let before = names(tool.folder());
    let runner = ["--runner", "pip"];
    for (args, status, says) in [
        (words("analyze absent"), 3, "cannot read the folder"),
        (words("analyze empty"), 3, "no OpenShift V2 application"),
        (words("analyze notes --python 3"), 2, "3.12"),
        (words("analyze notes --django 1.7"), 2, "1.8"),
        (words("analyze notes --entry none.py"), 2, "none.py"),
        (
            [&["convert", "php"], &runner[..]].concat(),
            3,
            "a person would",
        ),
        (
            [&words("convert notes --out taken")[..], &runner[..]].concat(),
            2,
            "exists already",
        ),
        (
            [&words("convert notes --out notes/v3")[..], &runner[..]].concat(),
            2,
            "lies within",
        ),
        (
            words("convert notes --runner-binary text --out v3"),
            3,
            "no Linux program",
        ),
        (
            words("convert notes --in-place --patch"),
            2,
            "cannot be used with",
        ),
        (words("manifests notes"), 3, "v2 convert"),
        (words("manifests absent"), 3, "cannot read the folder"),
    ] {
        let args = [&["v2"], &args[..]].concat();
        let ran = tool.run(&args);
        assert_eq!(ran.status, Some(status), "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(says), "{args:?}: {ran:?}");
        assert_eq!(ran.stdout, "", "{args:?}");
        assert_eq!(names(tool.folder()), before, "{args:?}");
    }
}

#[test]
fn a_dry_run_a_patch_and_a_result_are_the_same_changes() {
    let tool = Tool::alone();
    let root = committed(&tool, "django-starter", "notes");
    let before = picture(&root);
    tool.write("runner", "#!/bin/sh\n\0");
    let how = ["--runner-binary", "runner", "--name", "notes"];

    let dry = tool
        .run(&[&words("v2 convert notes --dry-run")[..], &how[..]].concat())
        .ok();
    assert!(dry.stdout.contains("+++ b/app.sh") || dry.stdout.contains("app.sh"));
    let plan = tool
        .run(
            &[
                &words("v2 convert notes --dry-run --output json")[..],
                &how[..],
            ]
            .concat(),
        )
        .ok();
    let plan: Value = serde_json::from_str(&plan.stdout).expect("it is JSON");
    assert!(plan["actions"].as_array().is_some_and(|all| all.len() > 10));
    let patch = tool
        .run(&[&words("v2 convert notes --patch")[..], &how[..]].concat())
        .ok();
    assert_eq!(picture(&root), before);
    assert!(!tool.path("notes-v3").exists());

    // The result appears beside, and is what the patch makes of the sources.
    tool.run(&[&["v2", "convert", "notes"], &how[..]].concat())
        .ok()
        .says("converted to");
    assert_eq!(picture(&root), before);
    tool.write("changes", &patch.stdout);
    git(&root, &["apply", "--binary", "../changes"]);
    assert_eq!(picture(&root), picture(&tool.path("notes-v3")));

    // Again, there is nothing to do.
    let again = tool.run(&words("v2 convert notes-v3 --dry-run")).ok();
    assert_eq!(again.stdout, "nothing to do: it is converted already\n");
}

#[test]
fn in_place_only_where_git_could_take_it_back() {
    let tool = Tool::alone();
    let root = committed(&tool, "flask", "guestbook");
    let convert = words("v2 convert guestbook --in-place --runner pip");
    std::fs::write(root.join("wsgi.py.orig"), "not committed\n").expect("it can be written");
    let before = picture(&root);
    tool.run(&convert).ended(3).says("--force").one_message();
    assert_eq!(picture(&root), before);

    std::fs::remove_file(root.join("wsgi.py.orig")).expect("it can be removed");
    tool.run(&convert).ok();
    assert!(root.join(".s2i/openshifter.json").is_file());
    assert!(git(&root, &["status", "--porcelain"]).contains("app.sh"));

    let loose = tree(&tool, "flask", "loose");
    let convert = words("v2 convert loose --in-place --runner pip");
    tool.run(&convert).ended(3).says("--force");
    tool.run(&[&convert[..], &["--force"]].concat()).ok();
    assert!(loose.join(".s2i/openshifter.json").is_file());
}

/// Converted trees: one with a claim and jobs, and one with PostgreSQL beside it.
fn converted(tool: &Tool) {
    tree(tool, "django-starter", "notes");
    for (out, database) in [("claim", "keep"), ("service", "service")] {
        let line = format!("v2 convert notes --out {out} --runner pip --database {database}");
        tool.run(&words(&line)).ok();
    }
}

#[test]
fn manifests_are_written_whole_or_not_at_all_and_secrets_for_their_owner() {
    let tool = Tool::alone();
    converted(&tool);
    let before = names(tool.folder());
    for (args, says) in [
        (words("--format chart"), "--out DIR"),
        (words("--format template --generate"), "plain"),
        (words("--format template --out folder"), "one file"),
        (words("--out claim"), "exists already"),
        (words("--claim-size much"), "1Gi"),
        (words("--git https://a:b@git.example.test/x"), "password"),
    ] {
        let args = [&["v2", "manifests", "service"], &args[..]].concat();
        tool.run(&args).ended(2).says(says).one_message();
        assert_eq!(names(tool.folder()), before, "{args:?}");
    }

    let modes = |path: &Path| {
        let mode = |path: &Path| {
            let meta = std::fs::metadata(path).expect("it is there");
            meta.permissions().mode() & 0o777
        };
        let first = std::fs::read_dir(path)
            .expect("it can be listed")
            .next()
            .expect("it has files")
            .expect("it can be listed");
        (mode(path), mode(&first.path()))
    };
    tool.run(&words("v2 manifests service --out open"))
        .ok()
        .says("to be given: SECRET_TOKEN");
    assert_ne!(modes(&tool.path("open")).1 & 0o044, 0);
    tool.write("values", "SECRET_TOKEN=from-v2-and-kept\n");
    let said = tool
        .run(&words(
            "v2 manifests service --out own --values values --generate --output json",
        ))
        .ok();
    assert_eq!(modes(&tool.path("own")), (0o700, 0o600));
    let wrote: Value = serde_json::from_str(&said.stdout).expect("it is JSON");
    assert_eq!(wrote["missing"], json!([]));
    assert!(!said.stdout.contains("from-v2-and-kept") && !said.stderr.contains("kept"));
    let secret = tool.path("own/03-secret-notes-environment.yaml");
    let secret = std::fs::read_to_string(secret).expect("it is written");
    assert!(
        secret.contains("secret-token: from-v2-and-kept"),
        "{secret}"
    );
}

#[test]
fn a_cluster_accepts_the_manifests_in_all_forms() {
    let world = World::small();
    let shop = world.minishift.project("shop");
    let tool = Tool::alone();
    converted(&tool);
    let dry = |text: &str| {
        let mut command = world.minishift.command(&words(
            "-n shop create --dry-run=server --validate=strict -o name -f -",
        ));
        let said = run(&mut command, text.as_bytes());
        let mut names: Vec<String> = said.lines().map(str::to_owned).collect();
        names.sort();
        names
    };
    let git = ["--git", "https://git.example.test/notes.git#main"];
    let config = ["--workload", "deployment-config"];
    for application in ["claim", "service"] {
        let manifests = ["v2", "manifests", application];
        for more in [&[][..], &git, &config] {
            let plain = tool
                .run(&[&manifests[..], &["--generate"], more].concat())
                .ok();
            let accepted = dry(&plain.stdout);
            assert!(accepted.len() > 5, "{accepted:?}");
            // What a Template is processed to is accepted, too, and is as much.
            let template = tool
                .run(
                    &[
                        &manifests[..],
                        &words("--format template --output json")[..],
                        more,
                    ]
                    .concat(),
                )
                .ok();
            dry(&template.stdout);
            let processed = {
                let path = "/apis/template.openshift.io/v1/namespaces/shop/processedtemplates";
                let mut command = world
                    .minishift
                    .command(&["create", "--raw", path, "-f", "-"]);
                run(&mut command, template.stdout.as_bytes())
            };
            let processed: Value = serde_json::from_str(&processed).expect("it is JSON");
            let list = json!({"apiVersion": "v1", "kind": "List", "items": processed["objects"]});
            assert_eq!(dry(&list.to_string()), accepted);
        }
    }
    // For real: nothing is refused, and the Route is admitted.
    let plain = tool
        .run(&words("v2 manifests service --generate --output json"))
        .ok();
    let list: Value = serde_json::from_str(&plain.stdout).expect("it is JSON");
    let objects = list["items"].as_array().expect("there are objects");
    shop.create(objects);
    let host = shop.must("route", "notes")["spec"]["host"].clone();
    assert!(host.as_str().is_some_and(|host| !host.is_empty()), "{host}");
    // No pod of it ever asks a registry for an image that nobody has built.
    let deployment = shop.must("deployment", "notes");
    assert_eq!(
        deployment["spec"]["template"]["spec"]["containers"][0]["image"],
        " "
    );
}

#[test]
fn helm_installs_the_chart_and_an_upgrade_keeps_its_secrets() {
    let world = World::small();
    let tool = Tool::alone();
    converted(&tool);
    for (workload, kind) in [
        ("deployment", "deployments"),
        ("deployment-config", "deploymentconfigs.apps.openshift.io"),
    ] {
        let shop = world.minishift.project(workload);
        let line =
            format!("v2 manifests service --format chart --out {workload} --workload {workload}");
        tool.run(&words(&line)).ok();
        let helm = |args: &[&str]| {
            let release = ["notes", workload, "--namespace", workload];
            let mut command = tool.wrapped(tools().join("helm"), &[args, &release].concat());
            command.env("KUBECONFIG", world.minishift.kubeconfig());
            run(&mut command, b"")
        };
        helm(&["install"]);
        let secrets = || {
            ["postgresql", "notes-environment"]
                .map(|name| shop.must("secret", name)["data"].clone())
        };
        let before = secrets();
        assert!(
            before[0]["database-password"].is_string() && before[1]["secret-token"].is_string()
        );
        // What controllers have written since is nobody's conflict.
        let image = || {
            let database = shop.must(kind, "postgresql");
            database["spec"]["template"]["spec"]["containers"][0]["image"].clone()
        };
        until("the image of PostgreSQL", || (image() != " ").then_some(()));
        let found = image();
        helm(&["upgrade", "--set", "replicas=2"]);
        assert_eq!(shop.must(kind, "notes")["spec"]["replicas"], 2);
        assert_eq!((secrets(), image()), (before.clone(), found));
        helm(&["upgrade", "--set", "secrets.SECRET_TOKEN=as-it-was-in-V2"]);
        let after = secrets();
        assert_eq!(after[0], before[0]);
        assert_eq!(after[1]["secret-token"], "YXMtaXQtd2FzLWluLVYy");
    }
}

#[test]
fn plain_manifests_may_be_applied_again() {
    let world = World::small();
    let tool = Tool::new(&world);
    converted(&tool);
    for (workload, kind) in [
        ("deployment", "deployments"),
        ("deployment-config", "deploymentconfigs.apps.openshift.io"),
    ] {
        let project = format!("again-{workload}");
        let shop = world.minishift.project(&project);
        let made = |more: &[&str]| {
            let line = format!(
                "v2 manifests service --workload {workload} --generate --save-values {workload}.values"
            );
            tool.run(&[&words(&line)[..], more].concat()).ok().stdout
        };
        let apply = |text: &str| {
            let mut command = world
                .minishift
                .command(&["-n", &project, "apply", "-f", "-"]);
            run(&mut command, text.as_bytes())
        };
        let first = made(&[]);
        apply(&first);
        let image = || {
            let database = shop.must(kind, "postgresql");
            let image = &database["spec"]["template"]["spec"]["containers"][0]["image"];
            image.as_str().unwrap_or_default().to_owned()
        };
        let digest = until("the image of PostgreSQL", || {
            Some(image()).filter(|image| image.contains("@sha256:"))
        });
        let kept = || {
            let secrets = ["postgresql", "notes-environment"]
                .map(|name| shop.must("secret", name)["data"].clone());
            let claim = shop.must("pvc", "postgresql")["metadata"]["uid"].clone();
            (secrets, claim)
        };
        let rolled = || {
            let database = shop.must(kind, "postgresql");
            match workload {
                "deployment" => {
                    database["metadata"]["annotations"]["deployment.kubernetes.io/revision"].clone()
                }
                _ => database["status"]["latestVersion"].clone(),
            }
        };
        let before = kept();
        let roll = until("the first roll-out", || {
            Some(rolled()).filter(|roll| !roll.is_null())
        });
        let generation = shop.must(kind, "postgresql")["metadata"]["generation"].clone();
        let spec = shop.must(kind, "postgresql")["spec"].clone();
        // What is live is taken over: nothing changes, so nothing is rolled out.
        let second = made(&["--at", "minishift", "-n", &project]);
        assert!(second.contains(&digest), "{second}");
        apply(&second);
        assert_eq!(kept(), before, "{workload}");
        assert_eq!(shop.must(kind, "postgresql")["spec"], spec, "{workload}");
        assert_eq!((image(), rolled()), (digest.clone(), roll), "{workload}");
        assert_eq!(
            shop.must(kind, "postgresql")["metadata"]["generation"],
            generation,
            "{workload}"
        );
        // The first file again takes the image away, and the trigger puts it back.
        let again = made(&[]);
        assert_eq!(again, first, "what was made up is kept");
        apply(&again);
        until("the image is there again", || {
            (image() == digest).then_some(())
        });
        assert_eq!(kept(), before, "{workload}");
        let values = tool.path(&format!("{workload}.values"));
        let meta = std::fs::metadata(&values).expect("it is written");
        assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    }
}
