//! What volumes hold arrives as it was.

use serde_json::json;

use crate::support::{
    Space, Tool, World, archive, claim, deployment, describe, fill, same, settle, stateful_set,
};

const IMAGE: [&str; 2] = ["--helper-image", "openshifter.test/shell:1"];

/// Exports `vol` from the one cluster and imports it into the other.
#[track_caller]
fn moved(tool: &Tool) {
    tool.export("vol", "chart").ok();
    tool.run(&["import", "chart", "--to", "production", "-n", "vol"])
        .ok();
}

/// Every sort of entry, with modes, times and names that are easily lost.
const ODDITIES: &str = r#"
set -e
cd /data
mkdir -p 'sub/a b' empty odd sealed
echo hello > plain; echo "with space" > 'sub/a b/c d'
printf nl > "odd/$(printf 'new\nline')"
printf latin > "odd/$(printf 'n\374ll')"
printf bytes > "odd/$(printf '\377\376')"
printf dash > ./-rf; printf star > 'odd/*'; printf q > "odd/\"quote' \$x \`y\`"
printf utf > 'odd/größe'; printf dots > odd/...; : > odd/nothing; printf back > 'odd/back\slash'
n=a; i=0; while [ $i -lt 7 ]; do n=$n$n; i=$((i+1)); done; printf long > "odd/$n-${n#aaaaaaaaaaaa}"
d=deep; i=0; while [ $i -lt 30 ]; do d=$d/0123456789; i=$((i+1)); done; mkdir -p "$d"; echo deep > "$d/file"
ln plain hard1; ln plain sub/hard2
ln -s plain soft; ln -s ../plain sub/up; ln -s nowhere dangling; ln -s 'sub/a b' folder-link
mkfifo pipe; chmod 640 pipe
echo secret > sealed/inside; chmod 400 sealed/inside
chmod 600 plain; chmod 4755 'sub/a b/c d'; chmod 1777 empty; chmod 770 odd
truncate -s 64M sparse; printf middle | dd of=sparse bs=1 seek=33554432 conv=notrunc 2>/dev/null
touch -d '2001-02-03 04:05:06.789' 'sub/a b/c d'; touch -d '1999-12-31 23:59:59' sub; touch -d '2011-11-11 11:11:11' empty
touch -d '1969-07-20 20:17:40' sealed/inside; chmod 500 sealed
"#;

#[test]
fn every_sort_of_entry_arrives_with_its_name_mode_time_and_links() {
    let world = World::start();
    let (vol, there) = world.pair("vol");
    vol.create(&[claim("data"), deployment("web", Some("data"))]);
    vol.ready("deploy/web");
    vol.shell("deploy/web", ODDITIES);
    settle(&vol, "deploy/web", 1);
    let before = describe(&vol, "deploy/web");
    assert!(before.len() > 60 && before.contains(&"one inode".to_owned()));
    let tool = Tool::new(&world);
    moved(&tool);
    there.ready("deploy/web");
    same(&before, &describe(&there, "deploy/web"));
    // What was sparse did not become 64 MiB of zeroes.
    let used = there.shell("deploy/web", "du -k /data/sparse");
    let used = String::from_utf8_lossy(&used).into_owned();
    let kilobytes = used.split_whitespace().next().expect("du says so");
    assert!(kilobytes.parse::<u64>().expect("a number") < 1024, "{used}");
}

#[test]
fn ten_thousand_small_files_and_a_large_one_arrive() {
    let world = World::start();
    let (vol, there) = world.pair("vol");
    fill(&vol, 100);
    vol.shell(
        "deploy/web",
        "cd /data; for d in 0 1 2 3 4 5 6 7 8 9; do mkdir $d; i=0; while [ $i -lt 1000 ]; do echo $d$i > $d/$i; i=$((i+1)); done; done",
    );
    settle(&vol, "deploy/web", 1);
    let before = describe(&vol, "deploy/web");
    assert!(before.len() > 20_000);
    let tool = Tool::new(&world);
    moved(&tool);
    there.ready("deploy/web");
    same(&before, &describe(&there, "deploy/web"));
}

#[test]
fn each_pod_of_a_stateful_set_gets_its_own_data_back() {
    let world = World::start();
    let (vol, there) = world.pair("vol");
    vol.create(&[stateful_set("db")]);
    vol.ready("statefulset/db");
    for pod in ["db-0", "db-1"] {
        let script = format!("echo {pod} > /data/who; head -c 100000 /dev/urandom > /data/{pod}");
        vol.shell(&format!("pod/{pod}"), &script);
    }
    settle(&vol, "statefulset/db", 2);
    let before = ["pod/db-0", "pod/db-1"].map(|pod| archive(&vol, pod));
    assert!(before[0] != before[1]);
    let tool = Tool::new(&world);
    moved(&tool);
    there.ready("statefulset/db");
    let after = ["pod/db-0", "pod/db-1"].map(|pod| archive(&there, pod));
    assert!(before == after);
    assert_eq!(
        there.names("persistentvolumeclaims"),
        [
            "persistentvolumeclaim/data-db-0",
            "persistentvolumeclaim/data-db-1"
        ]
    );
}

#[test]
fn links_out_of_a_volume_are_refused_until_they_are_allowed() {
    let world = World::start();
    let (vol, there) = world.pair("vol");
    fill(&vol, 1);
    vol.shell(
        "deploy/web",
        "ln -s /etc/hostname /data/absolute; ln -s ../outside /data/up",
    );
    settle(&vol, "deploy/web", 1);
    let before = describe(&vol, "deploy/web");
    let tool = Tool::new(&world);
    tool.export("vol", "chart").ok();
    let import = ["import", "chart", "--to", "production", "-n", "vol"];
    let ran = tool.run(&import).ended(3).says("--allow links");
    assert!(ran.stderr.contains("web-data"), "{}", ran.stderr);
    assert!(!there.exists());

    tool.run(&[&import[..], &["--allow", "links"]].concat())
        .ok();
    there.ready("deploy/web");
    same(&before, &describe(&there, "deploy/web"));
}

/// `web` without a shell and without `tar`, and with something in its volume.
fn bare(space: &Space<'_>) {
    fill(space, 1);
    space.kubectl(&["delete", "deploy/web"]);
    space.until_gone("pods");
    let mut bare = deployment("web", Some("web-data"));
    let container = &mut bare["spec"]["template"]["spec"]["containers"][0];
    container["image"] = json!("openshifter.test/notar:1");
    container["command"].take();
    space.create(&[bare]);
    space.ready("deploy/web");
}

#[test]
fn a_volume_without_tar_beside_it_needs_a_helper_image_or_to_be_skipped() {
    let world = World::start();
    let (vol, there) = world.pair("vol");
    bare(&vol);
    let tool = Tool::new(&world);
    let export = ["export", "--from", "minishift", "-n", "vol", "-o", "chart"];
    tool.run(&export).ended(3).says("--helper-image");
    assert_eq!(tool.files(), [""; 0]);
    assert_eq!(vol.helpers(), [""; 0]);

    tool.run(&[&export[..], &IMAGE].concat()).ok();
    let import = ["import", "chart", "--to", "production", "-n", "vol"];
    tool.run(&[&import[..], &IMAGE].concat()).ok();
    there.ready("deploy/web");
    // Both hold what was written; a second import finds it equal.
    tool.run(&[&import[..], &IMAGE, &["--existing", "skip"]].concat())
        .ok()
        .says("holds the same data already");
    assert_eq!(there.helpers(), [""; 0]);

    let skipped = [
        "export",
        "--from",
        "minishift",
        "-n",
        "vol",
        "-o",
        "without",
        "--skip-volume",
        "web-data",
    ];
    tool.run(&skipped).says("web-data");
    assert!(tool.path("without/Chart.yaml").exists());
}

#[test]
fn a_claim_with_other_data_is_refused_and_backed_up_when_it_is_overwritten() {
    let world = World::start();
    let (vol, there) = world.pair("vol");
    fill(&vol, 1);
    let before = describe(&vol, "deploy/web");
    let tool = Tool::new(&world);
    moved(&tool);
    there.ready("deploy/web");
    there.shell(
        "deploy/web",
        "echo changed > /data/plain; echo mine > /data/mine",
    );
    settle(&there, "deploy/web", 1);
    let mine = describe(&there, "deploy/web");
    let picture = there.picture();

    let import = [
        "import",
        "chart",
        "--to",
        "production",
        "-n",
        "vol",
        "--existing",
        "skip",
    ];
    let ran = tool.run(&import).ended(3).says("--overwrite-data");
    assert!(ran.stderr.contains("web-data"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("plain") || ran.stderr.contains("mine"),
        "{}",
        ran.stderr
    );
    assert_eq!(there.picture(), picture);
    same(&mine, &describe(&there, "deploy/web"));

    tool.run(&[&import[..], &["--overwrite-data"]].concat())
        .ok()
        .says("what was there first");
    there.ready("deploy/web");
    same(&before, &describe(&there, "deploy/web"));
    // What was there comes back.
    let backup = std::fs::read_dir(tool.state().join("charts"))
        .expect("there is a backup")
        .flatten()
        .next()
        .expect("there is a backup")
        .path();
    let backup = backup.to_string_lossy().into_owned();
    let back = [
        "import",
        &backup,
        "--to",
        "production",
        "-n",
        "vol",
        "--existing",
        "skip",
    ];
    tool.run(&[&back[..], &IMAGE, &["--overwrite-data"]].concat())
        .ok();
    there.ready("deploy/web");
    same(&mine, &describe(&there, "deploy/web"));

    // Backups stay for as long as somebody says.
    let charts = || {
        let folder = tool.state().join("charts");
        std::fs::read_dir(folder).expect("it is there").count()
    };
    assert_eq!(charts(), 2);
    tool.run(&["runs", "--prune", "1d"])
        .ok()
        .says("not old enough");
    let dry = ["runs", "--prune", "0s", "--dry-run"];
    tool.run(&dry).ok().says("would be removed");
    assert_eq!(charts(), 2);
    tool.run(&["runs", "--prune", "0s"]).ok();
    assert_eq!(charts(), 0);
    tool.run(&["undo", &tool.last_run()])
        .ended(1)
        .says("is not there any more");
}

#[test]
fn a_cluster_administrator_reads_what_belongs_to_a_projects_own_group() {
    let world = World::start();
    let (vol, there) = world.pair("vol");
    fill(&vol, 1);
    let before = describe(&vol, "deploy/web");
    vol.shell(
        "deploy/web",
        "echo own > /data/private; chmod 600 /data/private",
    );
    let tool = Tool::new(&world);
    // Nothing runs that the volume could be read by, and a helper pod is the administrator's own: it gets neither the
    // project's user nor its group by itself.
    let admin = world.minishift.admin_kubeconfig();
    let export = [
        "export",
        "--input",
        &tool.arg("none.json"),
        "--kubeconfig",
        &admin,
        "--from",
        "minishift",
        "--quiesce",
        "-n",
        "vol",
        "-o",
        "chart",
    ];
    tool.write("none.json", r#"{"credentials": {}}"#);
    tool.run(&export).ok();
    tool.run(&["import", "chart", "--to", "production", "-n", "vol"])
        .ok();
    there.ready("deploy/web");
    // The node gives the pod's group its share of what it mounts, as genuine ones do.
    let mut after = describe(&there, "deploy/web");
    after.retain(|entry| !entry.ends_with("./private"));
    same(&before, &after);
    assert_eq!(there.shell("deploy/web", "cat /data/private"), b"own\n");
}
