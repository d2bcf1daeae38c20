//! The first command of a newcomer.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::Tool;

/// Whether a process of the machine works in this folder.
fn is_worked_in(folder: &Path) -> bool {
    let folder = folder.to_string_lossy();
    std::fs::read_dir("/proc")
        .expect("there is /proc")
        .flatten()
        .any(|process| {
            // Sandboxes are told on their command lines what they may see.
            std::fs::read(process.path().join("cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&*folder))
        })
}

#[test]
fn the_demo_comes_through_in_a_minute_and_leaves_nothing_behind() {
    let tool = Tool::alone();
    let folder = tool.path("temporary");
    std::fs::create_dir(&folder).expect("there is room");
    let began = Instant::now();
    let mut command = tool.command(&["demo"]);
    command.env("TMPDIR", &folder);
    let mut running = tool.spawn(command);
    running.until("a container of the demo", || {
        is_worked_in(&folder).then_some(())
    });
    let ran = running.end().ok();
    assert!(began.elapsed() < Duration::from_secs(60));

    let ran = ran
        .says("complete: everything is there and was checked")
        .says("the same page from http://guestbook-guestbook.apps.production.test")
        .says("compared one by one by their SHA-256");
    assert!(ran.stderr.contains("try next:"), "{}", ran.stderr);
    assert!(!is_worked_in(&folder), "a process is left");
    let left: Vec<_> = std::fs::read_dir(&folder)
        .expect("it is there")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(tool.runs().is_empty());
}

#[test]
fn a_kept_demo_prints_lines_that_work_and_ends_with_an_interrupt() {
    let tool = Tool::alone();
    let folder = tool.path("temporary");
    std::fs::create_dir(&folder).expect("there is room");
    let mut command = tool.command(&["demo", "--keep"]);
    command.env("TMPDIR", &folder);
    let mut running = tool.spawn(command);
    running.until_says("Host: guestbook-guestbook.apps.production.test");
    let text = running.stderr();
    let from = text.find("\nM=$(").expect("it prints lines");
    let script = format!("set -e\n{}", &text[from..]);

    // As a person does who copies the whole of it into a shell.
    let output = tool
        .wrapped("sh", &["-c", &script])
        .env("no_proxy", "127.0.0.1")
        .output()
        .expect("sh starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{script}: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("It moved, and nothing was lost."), "{said}");

    running.interrupt();
    running.end().ok();
    assert!(!is_worked_in(&folder), "a process is left");
    let left = std::fs::read_dir(&folder).expect("it is there").count();
    assert_eq!(left, 0);
}
