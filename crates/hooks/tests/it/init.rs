//! `--init` on real processes.

use crate::image::{Image, Runner};

/// Listens on a port after a moment, notes SIGTERM, and ends then with 9. It does not wait for that for ever.
const SERVER: &str = r#"#!/usr/bin/perl
use strict; use IO::Socket::INET; alarm 60;
$SIG{TERM} = sub { open(my $log, '>>', '/log/events'); print $log "== server stopped\n"; close $log; exit 9 };
open(my $log, '>>', '/log/events'); print $log "== server pid $$ parent ", getppid(), "\n"; close $log;
select(undef, undef, undef, 0.3);
my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ENV{PORT} || 8080, Listen => 5) or die;
while (1) { my $client = $socket->accept(); close $client if $client; }
"#;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn post_deploy_runs_once_when_the_application_answers() {
    let mut image = Image::new();
    image.environment.push(("PORT", "8081"));
    image.env("deploy_env", "LEVEL=3\n");
    image.script("app/src/.s2i/action_hooks/run", SERVER);
    image.hook(
        "post_deploy",
        "exec 3<>/dev/tcp/127.0.0.1/8081\nnote \"post_deploy $LEVEL\"\nkill -TERM 1",
    );
    let output = image.ours(&["--init", "run"]);
    assert_eq!(output.status.code(), Some(9), "{}", text(&output.stderr));
    assert_eq!(
        image.called(),
        ["server pid 2 parent 1", "post_deploy 3", "server stopped"]
    );
    insta::assert_snapshot!(text(&output.stdout), @r"
     -----> Running application run script.
     -----> Running /opt/app-root/src/.s2i/action_hooks/deploy_env
     -----> Running /opt/app-root/src/.s2i/action_hooks/run
     -----> Running /opt/app-root/src/.s2i/action_hooks/post_deploy
    ");
}

#[test]
fn an_application_that_does_not_answer_in_time_goes_on() {
    let image = Image::new();
    image.hook("post_deploy", "note post_deploy");
    image.hook("run", "sleep 4; note application");
    let output = image.ours(&["--init", "--post-deploy-timeout", "1s", "run"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(image.called(), ["application"]);
    insta::assert_snapshot!(text(&output.stderr), @"ERROR: Script /opt/app-root/src/.s2i/action_hooks/post_deploy was not run: nothing answers on port 8080 yet.");
}

#[test]
fn a_post_deploy_that_fails_or_hangs_does_not_end_the_application() {
    let image = Image::new();
    image.script("app/src/.s2i/action_hooks/run", SERVER);
    image.hook(
        "post_deploy",
        // The hook's process is there until the runner knows of its end.
        "(while kill -0 $$; do sleep 0.05; done; kill -TERM 1) >/dev/null 2>&1 & exit 4",
    );
    let output = image.ours(&["--init", "run"]);
    assert_eq!(output.status.code(), Some(9));
    insta::assert_snapshot!(text(&output.stderr), @"ERROR: Script /opt/app-root/src/.s2i/action_hooks/post_deploy failed with status 4; the application goes on.");
    image.hook(
        "post_deploy",
        "trap 'note ended; kill -TERM 1; exit' TERM; while :; do sleep 0.05; done",
    );
    // Time for the application to answer, and for the hook to get as far as its trap.
    let output = image.ours(&["--init", "--post-deploy-timeout=3", "run"]);
    assert_eq!(output.status.code(), Some(9), "{}", text(&output.stderr));
    assert!(text(&output.stderr).starts_with("ERROR: Script /opt/app-root/src/.s2i/action_hooks/post_deploy takes too long and is ended.\n"));
    assert!(image.called().contains(&"ended".to_owned()));
}

#[test]
fn a_post_deploy_that_cannot_be_run_is_refused_before_the_start() {
    let image = Image::new();
    image.file("app/src/.s2i/action_hooks/post_deploy", "#!/bin/sh\n");
    let output = image.ours(&["--init", "run"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(image.events(), "");
    // Without --init it is not looked at.
    assert_eq!(image.ours(&["run"]).status.code(), Some(0));
}

#[test]
fn orphans_are_reaped_and_all_signals_passed_on() {
    let image = Image::new();
    // The orphan's parent ends at once; the orphan itself ends a little later, and must not stay as a zombie.
    let body = "trap 'echo usr1' USR1\n( (sleep 0.2; echo orphan > /log/orphan) & )\nuntil [ -e /log/orphan ]; do sleep 0.02; done\nkill -USR1 1\n\
                tries=0\nwhile grep -qs '^State:.Z' /proc/[0-9]*/status && [ $tries -lt 200 ]; do sleep 0.05; tries=$((tries+1)); done\n\
                grep -l '^State:.Z' /proc/[0-9]*/status\nkill -9 $$";
    image.script("local/app", &format!("#!/bin/bash\n{body}\n"));
    let output = image.run(
        Runner::Ours,
        &["openshifter-image", "--init", "exec", "app"],
    );
    assert_eq!(output.status.code(), Some(137), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "usr1\n");
}

#[test]
fn a_runner_that_is_not_process_1_gets_the_orphans_as_well() {
    let image = Image::new();
    let body = "( (echo $BASHPID > /log/pid; sleep 60) & )\nuntil [ -s /log/pid ]; do sleep 0.02; done\nread -r pid < /log/pid\n\
                until [ \"$(awk '/^PPid/ {print $2}' /proc/$pid/status)\" = $PPID ]; do sleep 0.02; done\necho adopted; kill $pid";
    image.script("local/app", &format!("#!/bin/bash\n{body}\n"));
    let output = image.run(
        Runner::Ours,
        &["bash", "-c", "openshifter-image --init exec app; echo $?"],
    );
    assert_eq!(text(&output.stdout), "adopted\n0\n");
}

#[test]
fn signals_that_servers_are_steered_by_are_passed_on() {
    let image = Image::new();
    // One after the other: the next is sent when the last has been heard.
    let body = "for name in TTIN TTOU ALRM TSTP USR2 URG; do trap \"heard=$name\" $name; done\n\
                for name in TTIN TTOU ALRM TSTP USR2 URG; do\n  heard=\n  kill -$name 1\n  \
                until [ -n \"$heard\" ]; do sleep 0.02; done\n  echo $heard\ndone";
    image.script("local/app", &format!("#!/bin/bash\n{body}\n"));
    let words = ["openshifter-image", "--init", "exec", "app"];
    let output = image.run(Runner::Ours, &words);
    assert_eq!(text(&output.stdout), "TTIN\nTTOU\nALRM\nTSTP\nUSR2\nURG\n");
}

#[test]
fn a_stop_while_waiting_for_the_port_is_not_a_deploy() {
    let image = Image::new();
    image.hook("post_deploy", "note post_deploy");
    image.hook(
        "run",
        "trap 'note stopped; exit 5' TERM; kill -TERM 1; while :; do sleep 0.05; done",
    );
    let output = image.ours(&["--init", "run"]);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
    assert_eq!(image.called(), ["stopped"]);
    insta::assert_snapshot!(text(&output.stderr), @"WARNING: Script /opt/app-root/src/.s2i/action_hooks/post_deploy is not run: the application has been asked to stop before it answered (signal 15).");
}

#[test]
fn an_application_that_reads_its_files_again_is_still_deployed() {
    let image = Image::new();
    let server = SERVER.replace(
        "select(undef",
        "$SIG{HUP} = sub { $SIG{HUP} = 'IGNORE' }; kill 'HUP', 1; select(undef, undef, undef, 0.2);\nselect(undef",
    );
    image.script("app/src/.s2i/action_hooks/run", &server);
    image.hook("post_deploy", "note post_deploy; kill -TERM 1");
    let output = image.ours(&["--init", "run"]);
    assert_eq!(output.status.code(), Some(9), "{}", text(&output.stderr));
    assert_eq!(
        image.called(),
        ["server pid 2 parent 1", "post_deploy", "server stopped"]
    );
}

#[test]
fn what_post_deploy_has_started_ends_with_it() {
    let image = Image::new();
    image.script("local/server", SERVER);
    image.hook(
        "post_deploy",
        "trap '' TERM\nsetsid bash -c 'trap \"\" TERM; while :; do sleep 0.05; done' >/dev/null 2>&1 &\n\
         ( trap '' TERM; while :; do sleep 0.05; done ) >/dev/null 2>&1 &\n\
         jobs -p > /log/pids; touch /log/there; wait",
    );
    image.hook(
        "run",
        "server & until [ -e /log/there ]; do kill -0 $! || exit; sleep 0.02; done\n\
         for pid in $(cat /log/pids); do while kill -0 $pid 2>/dev/null; do sleep 0.05; done; done\n\
         kill -0 $! && note alone; kill -KILL $!",
    );
    let output = image.ours(&["--init", "--post-deploy-timeout=3", "run"]);
    assert_eq!(
        image.called(),
        ["server pid 3 parent 2", "alone"],
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn an_application_that_ends_before_it_answers() {
    let image = Image::new();
    image.hook("post_deploy", "note post_deploy");
    image.hook("run", "exit 3");
    let output = image.ours(&["--init", "run"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(image.events(), "");
}

#[test]
fn a_post_deploy_that_does_not_listen_is_killed() {
    let image = Image::new();
    image.script("local/server", SERVER);
    // The application ends when the hook has.
    image.hook(
        "run",
        "server & until [ -s /log/pid ]; do kill -0 $! || exit; sleep 0.02; done; read -r pid < /log/pid\n\
         while kill -0 $pid 2>/dev/null; do sleep 0.05; done; sleep 0.5; kill -TERM $!; wait $!",
    );
    image.hook(
        "post_deploy",
        "trap '' TERM\necho $$ > /log/pid\nwhile :; do sleep 0.05; done",
    );
    let output = image.ours(&["--init", "--post-deploy-timeout=3", "run"]);
    assert_eq!(output.status.code(), Some(9), "{}", text(&output.stderr));
    insta::assert_snapshot!(text(&output.stderr), @r"
    ERROR: Script /opt/app-root/src/.s2i/action_hooks/post_deploy takes too long and is ended.
    ERROR: Script /opt/app-root/src/.s2i/action_hooks/post_deploy failed with status 137; the application goes on.
    ");
}
