//! The steps of a deployment as commands of their own, each tried on an application that `deploy` has deployed.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::{Space, Terminal, Tool, deployment, run, step, until};

/// What the application serves at its route.
pub(crate) fn page(space: &Space<'_>, host: &str) -> String {
    until("the page", || {
        let (status, body) = space.cluster.page(host, "/");
        (status == 200).then_some(body)
    })
}

/// Every step, on the application `hello` in the project `shop`, which serves this greeting.
pub(crate) fn each_step(tool: &Tool, space: &Space<'_>, greeting: &str) {
    logs_and_commands(tool);
    shell(tool);
    copies(tool);
    ports(tool, greeting);
    objects(tool, space, greeting);
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
