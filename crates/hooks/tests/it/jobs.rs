//! Options of `jobs` on real processes.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use openshifter_testing::until;

use crate::image::{Image, Runner, start, terminal};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn keeping_on_lists_all_failures() {
    let image = Image::new();
    image.job("jobs/hourly/a", "note a; exit 3");
    image.file("app/src/.s2i/jobs/hourly/b", "#!/bin/sh\n");
    image.job("jobs/hourly/c", "note c; exit 4");
    image.job("jobs/hourly/d", "note d");
    let output = image.ours(&["jobs", "--keep-going", "hourly"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(image.called(), ["a", "c", "d"]);
    insta::assert_snapshot!(text(&output.stderr), @r"
    ERROR: Script /opt/app-root/src/.s2i/jobs/hourly/b not executable.
    ERROR: Job /opt/app-root/src/.s2i/jobs/hourly/a failed with status 3.
    ERROR: Job /opt/app-root/src/.s2i/jobs/hourly/b failed with status 1.
    ERROR: Job /opt/app-root/src/.s2i/jobs/hourly/c failed with status 4.
    ");
}

#[test]
fn a_job_that_takes_too_long_is_ended_with_what_it_started() {
    let image = Image::new();
    image.job("jobs/hourly/a", "sleep 300 & echo $! > /log/pid; wait");
    image.job(
        "jobs/hourly/b",
        "note b; read -r pid < /log/pid; kill -0 $pid 2>/dev/null && note alive; true",
    );
    let began = Instant::now();
    let output = image.ours(&["jobs", "hourly", "--timeout", "1s", "-k"]);
    assert!(began.elapsed() < Duration::from_secs(120));
    assert_eq!(output.status.code(), Some(124));
    assert_eq!(image.called(), ["b"]);
    assert!(text(&output.stderr).contains("hourly/a took too long and was ended"));
}

#[test]
fn a_job_with_a_time_limit_may_read_from_a_terminal() {
    let image = Image::new();
    image.job(
        "jobs/hourly/a",
        "read -r line; echo \"read-$line\"; setsid sleep 300 >/dev/null 2>&1 & echo $! > /log/pid; sleep 300",
    );
    image.job(
        "jobs/hourly/b",
        "read -r pid < /log/pid; kill -0 $pid 2>/dev/null || echo all-gone",
    );
    // The terminal is to be its session's own, as in a container that has one.
    let words = [
        "setsid",
        "--ctty",
        "--wait",
        "powershift",
        "image",
        "jobs",
        "hourly",
        "--timeout",
        "8s",
        "-k",
    ];
    let mut terminal = terminal(image.command(Runner::Ours, &words));
    terminal.answer("hourly/a", "typed");
    terminal.until_shows("read-typed");
    terminal.until_shows("all-gone");
    assert_eq!(terminal.end().0, Some(124));
}

#[test]
fn a_time_limit_of_nothing_is_none_and_refused() {
    let image = Image::new();
    image.job("jobs/hourly/a", "note a");
    let output = image.ours(&["jobs", "hourly", "--timeout", "0"]);
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(text(&output.stderr), @r"
    ERROR: `0` is no time at all; without the option there is no limit of this kind
    ERROR: `--help` lists what there is.
    ");
    let output = image.ours(&["jobs", "hourly", "--timeout", "99999999999h"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(image.called(), ["a"]);
}

#[test]
fn a_second_run_does_not_start_over_a_first() {
    for lock in ["--lock", "--lock=/log/lock"] {
        let image = Image::new();
        image.job(
            "jobs/hourly/a",
            "note a; until [ -e /log/go ]; do sleep 0.02; done",
        );
        let words = ["powershift", "image", "jobs", lock, "hourly"];
        let first = start(image.command(Runner::Ours, &words).stdout(Stdio::null()));
        until("the first job", || {
            image.events().contains("== a").then_some(())
        });
        let second = image.ours(&["jobs", lock, "hourly"]);
        assert_eq!(second.status.code(), Some(0));
        assert!(
            text(&second.stdout).contains(" -----> Jobs (hourly) are still running, skipped: ")
        );
        image.file("log/go", "");
        assert!(first.wait_with_output().unwrap().status.success());
        assert_eq!(image.called(), ["a"]);
        let third = image.ours(&["jobs", lock, "hourly"]);
        assert!(text(&third.stdout).contains("hourly/a"));
        assert_eq!(image.called(), ["a", "a"]);
    }
}

/// What is left of a program's line when the program is killed with the line still in its buffer, or not.
fn killed(how: &str, without_stdbuf: bool, kept: bool) -> String {
    let mut image = Image::new();
    if without_stdbuf {
        image.without.push("stdbuf");
    }
    let body = "mkfifo /tmp/in\ntr a-z A-Z < /tmp/in &\nexec 3>/tmp/in\necho line >&3\n\
                touch /log/written\nuntil [ -e /log/go ]; do sleep 0.02; done\nkill -9 $!";
    image.job("jobs/hourly/a", body);
    let words = [
        "powershift",
        "image",
        "jobs",
        "--line-buffer",
        how,
        "hourly",
    ];
    let mut command = image.command(Runner::Ours, &words);
    let mut child = start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut lines = String::new();
    // Two banners, and the line where it comes before the program's end.
    for _ in 0..if kept { 3 } else { 2 } {
        output.read_line(&mut lines).unwrap();
    }
    until("the line", || {
        image.at("log/written").exists().then_some(())
    });
    if !kept {
        // Nothing shows that it was read; when it was not, it is as lost.
        thread::sleep(Duration::from_millis(500));
    }
    image.file("log/go", "");
    output.read_to_string(&mut lines).unwrap();
    child.wait().unwrap();
    lines
        .lines()
        .skip(2)
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn lines_of_a_killed_job_are_kept() {
    assert_eq!(killed("auto", false, true), "LINE\n");
    assert_eq!(killed("auto", true, true), "LINE\n");
    assert_eq!(killed("pty", false, true), "LINE\n");
    assert_eq!(killed("off", false, false), "");
}

#[test]
fn signals_end_the_run() {
    let image = Image::new();
    image.job(
        "jobs/hourly/a",
        "trap 'note stopped; exit 0' TERM; kill -TERM 1; while :; do sleep 0.05; done",
    );
    image.job("jobs/hourly/b", "note b");
    let output = image.ours(&["jobs", "--keep-going", "hourly"]);
    assert_eq!(output.status.code(), Some(143));
    assert_eq!(image.called(), ["stopped"]);
}

#[test]
fn what_a_job_has_put_into_a_session_of_its_own_ends_with_it() {
    let image = Image::new();
    image.env("deploy_env", "sleep 300 >/dev/null 2>&1 &\nHELPER=$!\n");
    image.job(
        "jobs/hourly/a",
        "setsid bash -c 'setsid sleep 300 & echo $! > /log/pid; exit' >/dev/null 2>&1\nsleep 300",
    );
    image.job(
        "jobs/hourly/b",
        "read -r pid < /log/pid; kill -0 $pid 2>/dev/null && note alive; kill -0 $HELPER && note helper; true",
    );
    let output = image.ours(&["jobs", "hourly", "--timeout", "1s", "-k"]);
    assert_eq!(output.status.code(), Some(124));
    // What the environment had started before is not the job's.
    assert_eq!(image.called(), ["helper"]);
}

#[test]
fn a_job_that_does_not_listen_is_killed_with_all_that_does_not() {
    let image = Image::new();
    image.job(
        "jobs/hourly/a",
        "trap '' TERM\nsetsid bash -c 'while :; do sleep 0.05; done' >/dev/null 2>&1 &\necho $! > /log/pid\n\
         while :; do sleep 0.05; done",
    );
    image.job(
        "jobs/hourly/b",
        "note b; read -r pid < /log/pid; kill -0 $pid 2>/dev/null && note alive; true",
    );
    let began = Instant::now();
    // The job has to be as far as its trap by then.
    let output = image.ours(&["jobs", "hourly", "--timeout", "3s", "-k"]);
    assert!(began.elapsed() > Duration::from_secs(10), "no time to end");
    assert_eq!(output.status.code(), Some(124));
    assert_eq!(image.called(), ["b"]);
}
