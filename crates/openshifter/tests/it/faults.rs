//! The program is killed, interrupted, cut off, or without room.

use std::path::Path;

use crate::support::{Space, Terminal, Tool, World, describe, fill, same};

/// Large enough that things happen while it is on its way.
const MEGABYTES: usize = 150;

/// Whether a file of more than this many bytes is below a folder.
fn holds_more_than(folder: &Path, bytes: u64, below: &str) -> bool {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() {
                return holds_more_than(&path, bytes, below);
            }
            path.to_string_lossy().contains(below)
                && entry.metadata().is_ok_and(|meta| meta.len() > bytes)
        })
}

/// Whether a first part of a volume is on the disk, in a chart that is not finished.
fn has_segment(tool: &Tool) -> Option<()> {
    holds_more_than(tool.folder(), 0, "/segments/").then_some(())
}

/// Whether a first part of a volume is at the target.
fn is_writing(world: &World) -> Option<()> {
    holds_more_than(&world.path("production/volumes"), 1 << 20, "noise").then_some(())
}

fn export(out: &str) -> [&str; 7] {
    ["export", "--from", "minishift", "-n", "shop", "-o", out]
}

const IMPORT: [&str; 6] = ["import", "chart", "--to", "production", "-n", "shop"];

#[test]
fn an_import_that_was_killed_is_undone_or_resumed() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    fill(&shop, MEGABYTES);
    let before = describe(&shop, "deploy/web");
    let tool = Tool::new(&world);
    tool.run(&export("chart")).ok();
    let killed = || {
        let mut running = tool.start(&IMPORT);
        running.until("the target gets data", || is_writing(&world));
        running.kill();
        tool.last_run()
    };

    let run = killed();
    assert_eq!(there.replicas("deploy", "web"), 0);
    tool.run(&["undo", &run]).ok();
    there.until_gone("deployments,persistentvolumeclaims,pods");
    assert_eq!(there.helpers(), [""; 0]);
    tool.run(&["resume", &run]).ended(3).says("undone");

    let run = killed();
    // What is half-written is nobody's data that one may go on with.
    tool.run(&IMPORT).ended(3);
    tool.run(&["resume", &run]).ok();
    there.ready("deploy/web");
    same(&before, &describe(&there, "deploy/web"));
    assert_eq!(there.helpers(), [""; 0]);

    tool.run(&["undo", &run]).ok();
    there.until_gone("deployments,persistentvolumeclaims,pods");
    tool.run(&IMPORT).ok();
    there.ready("deploy/web");
    same(&before, &describe(&there, "deploy/web"));
}

#[test]
fn an_export_whose_pod_goes_away_fails_and_leaves_nothing() {
    let world = World::small();
    let shop = world.minishift.project("shop");
    fill(&shop, MEGABYTES);
    let tool = Tool::new(&world);
    for out in ["chart", "chart.tgz"] {
        let mut running = tool.start(&export(out));
        running.until("a part of the volume is here", || has_segment(&tool));
        shop.cluster.remove_pods(&shop.name, "web");
        let ran = running.end().ended(3).one_message();
        assert!(ran.stderr.contains("web"), "{ran:?}");
        assert_eq!(tool.files(), [""; 0], "{ran:?}");
        assert!(!holds_more_than(tool.folder(), 0, "/segments/"), "{ran:?}");
        shop.ready("deploy/web");
    }
    assert_eq!(world.minishift.sessions(), 0);
}

#[test]
fn an_interrupt_ends_in_order() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    fill(&shop, MEGABYTES);
    let before = describe(&shop, "deploy/web");
    let tool = Tool::new(&world);
    let quiesced = [&export("chart")[..], &["--quiesce"]].concat();
    let mut running = tool.start(&quiesced);
    running.until("a part of the volume is here", || has_segment(&tool));
    assert_eq!(shop.replicas("deploy", "web"), 0);
    running.interrupt();
    running.end().ended(3).one_message();
    is_as_before(&shop);
    assert_eq!(tool.files(), [""; 0]);

    tool.run(&quiesced).ok();
    is_as_before(&shop);
    let mut running = tool.start(&IMPORT);
    running.until("the target gets data", || is_writing(&world));
    running.interrupt();
    running
        .end()
        .ended(4)
        .says("openshifter undo")
        .says("openshifter resume")
        .one_message();
    assert_eq!(there.helpers(), [""; 0]);
    assert_eq!(there.replicas("deploy", "web"), 0);
    assert_eq!(there.cluster.sessions(), 0);
    tool.run(&["resume", &tool.last_run()]).ok();
    there.ready("deploy/web");
    same(&before, &describe(&there, "deploy/web"));
}

#[test]
fn an_interrupt_before_the_first_change_takes_the_logins_back() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    fill(&shop, 1);
    let picture = shop.picture();
    let tool = Tool::with_projects(&world, "shop", "shop");
    for (command, question) in [
        (
            &["delete", "--from", "minishift"][..],
            "Delete this 1 object?",
        ),
        (
            &[
                "migrate",
                "--from",
                "minishift",
                "--to",
                "production",
                "--policy",
                "move",
            ],
            "Type yes to go on",
        ),
    ] {
        let mut terminal = Terminal::start(tool.command(command));
        terminal.until_shows(question);
        terminal.interrupt();
        let (status, shown) = terminal.end();
        assert_eq!(status, Some(3), "{shown}");
        assert!(shown.contains("nothing was changed"), "{shown}");
        assert_eq!(shop.cluster.sessions(), 0, "{command:?}");
        assert_eq!(there.cluster.sessions(), 0, "{command:?}");
    }
    assert_eq!(shop.picture(), picture);
    assert!(!there.exists());
    assert_eq!(tool.runs(), [""; 0]);

    // A cluster that takes the connection and says nothing.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = mute.local_addr().expect("it has one").to_string();
    tool.write("token", "none");
    let from = ["--from", &address, "--from-token-file", "token"];
    let running = tool.start(&[&["export", "-n", "shop"], &from[..]].concat());
    let connection = mute.accept().expect("the program connects");
    running.interrupt();
    running
        .end()
        .ended(3)
        .says("stopped on request")
        .one_message();
    drop(connection);
}

#[test]
fn an_interrupt_while_a_chart_is_looked_at_leaves_no_part_of_it() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    fill(&shop, MEGABYTES);
    let tool = Tool::new(&world);
    tool.run(&export("chart.tgz")).ok();
    for command in [
        &["chart", "verify", "chart.tgz"][..],
        &["chart", "unpack", "chart.tgz", "folder"],
        &["import", "chart.tgz", "--to", "production", "-n", "shop"],
    ] {
        let mut running = tool.start(command);
        running.until("a part of the chart is unpacked", || has_segment(&tool));
        running.interrupt();
        running
            .end()
            .ended(3)
            .says("stopped on request")
            .one_message();
        assert_eq!(tool.files(), ["chart.tgz"], "{command:?}");
        assert_eq!(tool.spool(), [""; 0], "{command:?}");
    }
    assert!(!there.exists());
}

#[test]
fn a_move_that_is_interrupted_deletes_nothing_and_is_undone() {
    let world = World::start();
    let (shop, there) = world.pair("shop");
    fill(&shop, MEGABYTES);
    let before = describe(&shop, "deploy/web");
    let tool = Tool::new(&world);
    let migrate = [
        "migrate",
        "--from",
        "minishift",
        "-n",
        "shop",
        "--to",
        "production",
        "--to-namespace",
        "shop",
        "--policy",
        "move",
        "--yes",
    ];
    let mut running = tool.start(&migrate);
    running.until("a part of the volume is here", || has_segment(&tool));
    running.interrupt();
    running.end().ended(3).one_message();
    is_as_before(&shop);
    assert!(!there.exists());

    let mut running = tool.start(&migrate);
    running.until("the target gets data", || is_writing(&world));
    running.interrupt();
    running
        .end()
        .ended(4)
        .says("openshifter undo")
        .one_message();
    is_as_before(&shop);
    assert_eq!(there.replicas("deploy", "web"), 0);
    assert_eq!(there.cluster.sessions(), 0);
    tool.run(&["undo", &tool.last_run()]).ok();
    there.until_gone("deployments,persistentvolumeclaims,pods");
    same(&before, &describe(&shop, "deploy/web"));
    assert_eq!(tool.spool(), [""; 0]);
}

/// The application runs, and nothing of an export is left.
#[track_caller]
fn is_as_before(shop: &Space<'_>) {
    assert_eq!(shop.replicas("deploy", "web"), 1);
    assert_eq!(shop.helpers(), [""; 0]);
    assert_eq!(shop.cluster.sessions(), 0);
    shop.ready("deploy/web");
}

#[test]
fn a_disk_that_is_full_is_said_to_be_so() {
    let world = World::small();
    let shop = world.minishift.project("shop");
    fill(&shop, 20);
    let tool = Tool::new(&world);
    let small = tool.path("small");
    std::fs::create_dir(&small).expect("there is room");
    // The program sees a disk of 8 MB at that folder.
    let in_small = |args: &[&str]| {
        let small = small.to_string_lossy().into_owned();
        let mut all = vec![
            "--dev-bind",
            "/",
            "/",
            "--size",
            "8000000",
            "--tmpfs",
            &small,
        ];
        all.push(env!("CARGO_BIN_EXE_openshifter"));
        all.extend(args);
        tool.wrapped("bwrap", &all)
    };
    for out in ["small/chart", "small/chart.tgz"] {
        let ran = tool
            .spawn(in_small(&export(out)))
            .end()
            .ended(3)
            .one_message();
        assert!(ran.stderr.contains("No space left on device"), "{ran:?}");
        assert!(ran.stderr.contains("small"), "{ran:?}");
    }
    // The spool, where archives are unpacked.
    tool.run(&export("chart.tgz")).ok();
    let mut import = in_small(&["import", "chart.tgz", "--to", "minishift", "-n", "there"]);
    import.env("OPENSHIFTER_STATE_DIR", small.join("state"));
    tool.spawn(import).end().ended(3).one_message();
    assert!(!world.minishift.absent("there").exists());
    is_as_before(&shop);
}
