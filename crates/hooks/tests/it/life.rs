//! What only ours does, and what a comparison cannot show: probes at the same time, a moving binary, a terminal.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use openshifter_testing::until;

use crate::image::{Image, Runner, output, start, terminal, writing};
use crate::oracle::{CONTAINER_USER, nodejs_user};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_shell_on_a_terminal() {
    let image = Image::new();
    image.env("deploy_env", "LEVEL=seven\n");
    let mut terminal = terminal(image.command(Runner::Ours, &["powershift", "image", "shell"]));
    terminal.answer(
        "$ ",
        "echo \"pid $$ level $LEVEL\"; [ -t 0 ] && [ -t 1 ] && echo terminal-$((6*7))",
    );
    terminal.until_shows("pid 1 level seven");
    terminal.until_shows("terminal-42");
    terminal.answer("$ ", "exit 5");
    assert_eq!(terminal.end().0, Some(5));
}

#[test]
fn an_arbitrary_user_has_a_name() {
    for runner in [Runner::Original, Runner::Ours] {
        let image = Image::new();
        image.file("app/etc/generate_container_user", CONTAINER_USER);
        image.env("deploy_env", "NAMED=$(whoami)\n");
        image.hook(
            "ready",
            "echo \"$NAMED $(whoami) $(id -gn)\"; echo ~default",
        );
        let output = image.run(runner, &["powershift", "image", "ready"]);
        let stderr = text(&output.stderr);
        assert!(
            !stderr.contains("cannot be preloaded"),
            "this test needs nss_wrapper: apt-get install libnss-wrapper, or `cargo xtask test`\n{stderr}"
        );
        let stdout = text(&output.stdout);
        assert!(
            stdout.ends_with("\ndefault default root\n/opt/app-root/src\n"),
            "{runner:?}: {stdout}{stderr}"
        );
    }
}

#[test]
fn probes_at_the_same_time_all_know_who_they_are() {
    for script in [CONTAINER_USER.to_owned(), nodejs_user()] {
        probes_know_who_they_are(&script);
    }
}

fn probes_know_who_they_are(script: &str) {
    let image = Image::new();
    image.file("app/etc/generate_container_user", script);
    let body = "set -e\ntest -n \"$LD_PRELOAD\"\ngrep -q \"^default:x:$UID:0:\" \"$NSS_WRAPPER_PASSWD\"\ngrep -q ^builder: \"$NSS_WRAPPER_PASSWD\"";
    image.hook("ready", body);
    // An earlier uid's entry: all of them find that it has to be made anew.
    image.file("app/etc/passwd", "default:x:7:0::/:/bin/sh\n");
    let probe = |_| image.command(Runner::Ours, &["powershift", "image", "ready"]);
    let probes: Vec<_> = (0..24).map(probe).collect();
    thread::scope(|scope| {
        for mut command in probes {
            scope.spawn(move || {
                let output = output(&mut command);
                assert!(output.status.success(), "{}", text(&output.stderr));
            });
        }
    });
    let left: Vec<_> = fs::read_dir(image.at("app/etc"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_binary_that_lies_in_the_folder_that_it_moves() {
    let mut image = Image::new();
    image.upload(&[("build", "note build")]);
    image.file("tmp/src/.s2i/action_hooks/build_env", "FOR_BUILD=yes\n");
    // An earlier build left another one there.
    image.file("app/src/.s2i/bin/openshifter-image", "old");
    fs::create_dir_all(image.at("tmp/src/.s2i/bin")).unwrap();
    {
        let _whole = writing();
        let to = image.at("tmp/src/.s2i/bin/openshifter-image");
        fs::copy(crate::program(), to).unwrap();
    }
    let output = image.run(
        Runner::Ours,
        &["/tmp/src/.s2i/bin/openshifter-image", "assemble"],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(
        image.called(),
        [
            "builder-assemble",
            "build",
            "fix-permissions /opt/app-root/src"
        ]
    );
    assert!(image.events().contains("FOR_BUILD=yes"));
    // And again, from where it is now, replaced by a new upload.
    image.upload(&[("build", "note again")]);
    image.file("tmp/src/.s2i/action_hooks/build_env", "FOR_BUILD=again\n");
    image.environment.push(("OLD", "1"));
    let output = image.run(
        Runner::Ours,
        &["/opt/app-root/src/.s2i/bin/openshifter-image", "assemble"],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(image.events().contains("FOR_BUILD=again"));
}

#[test]
fn a_signal_to_a_runner_that_is_not_process_1() {
    let image = Image::new();
    let body = "trap 'note stopped; exit 0' TERM\ntouch /log/there\nwhile :; do sleep 0.05; done";
    image.hook("deploy", body);
    let words = [
        "bash",
        "-c",
        "powershift image run & runner=$!; until [ -e /log/there ]; do sleep 0.02; done; kill -TERM $runner; wait $runner; echo $?",
    ];
    let output = image.run(Runner::Ours, &words);
    assert!(
        text(&output.stdout).ends_with("\n143\n"),
        "{}",
        text(&output.stdout)
    );
    assert_eq!(image.called(), ["stopped"]);
}

#[test]
fn a_signal_ends_a_slow_environment_at_once_where_bash_is_not_process_1() {
    for signal in ["TERM", "HUP"] {
        let seen = [Runner::Original, Runner::Ours].map(|runner| {
            let image = Image::new();
            image.env("deploy_env", "touch /log/there\nsleep 300\nnote late\n");
            let line = format!(
                "powershift image run & runner=$!; until [ -e /log/there ]; do sleep 0.02; done; \
                 kill -{signal} $runner; wait $runner; echo $?"
            );
            let began = Instant::now();
            let output = image.run(runner, &["bash", "-c", &line]);
            assert!(
                began.elapsed() < Duration::from_secs(100),
                "{runner:?} {signal}"
            );
            assert_eq!(image.events(), "", "{runner:?} {signal}");
            text(&output.stdout)
        });
        assert_eq!(seen[0], seen[1], "{signal}");
    }
}

#[test]
fn a_signal_that_was_ignored_stays_so_in_hooks_and_application() {
    let image = Image::new();
    image.env("deploy_env", "A=1\n");
    let show = "grep SigIgn /proc/self/status";
    image.hook("deploy", show);
    image.hook("run", show);
    let words = ["bash", "-c", "trap '' HUP; exec powershift image run"];
    let stdout = text(&image.run(Runner::Ours, &words).stdout);
    let masks: Vec<u64> = stdout
        .lines()
        .filter_map(|line| line.strip_prefix("SigIgn:\t"))
        .map(|mask| u64::from_str_radix(mask, 16).unwrap())
        .collect();
    assert_eq!(masks.len(), 2, "{stdout}");
    assert!(masks.iter().all(|mask| mask & 1 == 1), "{stdout}");
}

#[test]
fn standard_input_belongs_to_the_command() {
    let image = Image::new();
    image.env("deploy_env", "A=1\n");
    let mut command = image.command(Runner::Ours, &["powershift", "image", "exec", "cat"]);
    let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"a\nb").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output.stdout), "a\nb");
}

#[test]
fn without_bash_the_reason_is_said() {
    let mut image = Image::new();
    image.without.push("bash");
    image.script("app/src/.s2i/action_hooks/ready", "#!/bin/sh\necho ready\n");
    let output = image.ours(&["ready"]);
    assert_eq!(
        text(&output.stdout),
        "ready\n",
        "no bash is needed without a file for it"
    );
    image.env("deploy_env", "A=1\n");
    let output = image.ours(&["ready"]);
    assert_eq!(output.status.code(), Some(127));
    insta::assert_snapshot!(text(&output.stderr), @"ERROR: /opt/app-root/src/.s2i/action_hooks/deploy_env is evaluated by bash, which this image has not; install bash or remove the file");
}

#[test]
fn refreshing_and_other_builders() {
    let mut image = Image::new();
    image.env("deploy_env", "COUNT=$((COUNT+1))\n");
    image.hook(
        "ready",
        "powershift image --refresh-env exec sh -c 'echo $COUNT'",
    );
    assert_eq!(
        text(&image.ours(&["ready"]).stdout).lines().last(),
        Some("2")
    );
    // Scripts in another place, as the image's variable has it; no fix-permissions.
    fs::remove_file(image.at("s2i/run")).unwrap();
    fs::remove_file(image.at("s2i/assemble")).unwrap();
    fs::remove_file(image.at("local/fix-permissions")).unwrap();
    image.script(
        "app/scripts/assemble",
        "#!/bin/sh\ncp -r /tmp/src/. .\nmkdir -m 700 made\n",
    );
    image
        .environment
        .push(("STI_SCRIPTS_URL", "image:///opt/app-root/scripts"));
    image.upload(&[]);
    let output = image.ours(&["assemble"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mode =
        std::os::unix::fs::MetadataExt::mode(&fs::metadata(image.at("app/src/made")).unwrap());
    assert_eq!(mode & 0o777, 0o770);
}

#[test]
fn tracing_runs_nothing() {
    let mut image = Image::new();
    image.env("deploy_env", "note deploy_env\n");
    image.hook("deploy", "note deploy");
    let output = image.ours(&["--trace", "run"]);
    insta::assert_snapshot!(text(&output.stdout), @r"
    evaluate           /opt/app-root/src/.s2i/action_hooks/deploy_env
    run                /opt/app-root/src/.s2i/action_hooks/deploy
    become             /usr/libexec/s2i/run
    ");
    image.job("jobs/hourly/B", "note b");
    image.job("jobs/hourly/a", "note a");
    image.file("app/src/.s2i/jobs/hourly/c", "#!/bin/sh\n");
    image.sorts_as_people_do();
    insta::assert_snapshot!(text(&image.ours(&["--trace", "jobs", "hourly"]).stdout), @"
    evaluate           /opt/app-root/src/.s2i/action_hooks/deploy_env
    run                /opt/app-root/src/.s2i/jobs/hourly/a
    run                /opt/app-root/src/.s2i/jobs/hourly/B
    not executable     /opt/app-root/src/.s2i/jobs/hourly/c
    ");
    let what = |words: &[&str]| {
        let output = image.ours(words);
        text(&output.stdout).lines().last().unwrap().to_owned()
    };
    insta::assert_snapshot!(what(&["--trace", "exec", "nosuch", "a"]), @"not found          nosuch a");
    insta::assert_snapshot!(what(&["--trace", "exec", "note", "a"]), @"become             note a");
    insta::assert_snapshot!(what(&["--trace", "exec", "/etc/passwd"]), @"not executable     /etc/passwd");
    image.upload(&[("build", "note build")]);
    let output = image.ours(&["--trace", "assemble"]);
    insta::assert_snapshot!(text(&output.stdout), @r"
    move here          /tmp/src/.s2i
    absent             /opt/app-root/src/.s2i/action_hooks/pre_build
    absent             /opt/app-root/src/.s2i/action_hooks/build_env
    run                /usr/libexec/s2i/assemble
    run                /opt/app-root/src/.s2i/action_hooks/build
    fix permissions    /opt/app-root/src
    ");
    assert_eq!(image.events(), "");
}

#[test]
fn the_log_is_one_object_a_step() {
    let image = Image::new();
    image.env("deploy_env", "A=1\n");
    image.hook("deploy", "true");
    image.hook("run", "true");
    let output = image.ours(&["--log", "json", "run"]);
    let time = regex_lite(&text(&output.stderr));
    insta::assert_snapshot!(time, @r#"
    {"time":"T","step":"environment","path":"/opt/app-root/src/.s2i/action_hooks/deploy_env","seconds":S,"status":0}
    {"time":"T","step":"hook","path":"/opt/app-root/src/.s2i/action_hooks/deploy","seconds":S,"status":0}
    {"time":"T","step":"become","path":"/opt/app-root/src/.s2i/action_hooks/run"}
    "#);
}

#[test]
fn a_log_holds_failures_too() {
    let image = Image::new();
    for (body, status) in [("false\n", 1), ("exit 0\n", 1), ("exit 3\n", 3)] {
        image.env("deploy_env", body);
        for words in [&["run"][..], &["exec", "true"], &["ready"]] {
            let words: Vec<&str> = ["--log", "json"].iter().chain(words).copied().collect();
            let output = image.ours(&words);
            assert_eq!(output.status.code(), Some(status), "{body} {words:?}");
            let log = regex_lite(&text(&output.stderr));
            let lines: Vec<&str> = log.lines().collect();
            let path = "/opt/app-root/src/.s2i/action_hooks/deploy_env";
            let said = body
                .trim()
                .rsplit(' ')
                .next()
                .unwrap()
                .replace("false", "1");
            assert_eq!(
                lines,
                [
                    format!(
                        r#"{{"time":"T","step":"environment","path":"{path}","seconds":S,"status":{said}}}"#
                    ),
                    format!(
                        r#"{{"time":"T","error":"Script {path} ended with status {said} before its last line was done."}}"#
                    ),
                ],
                "{words:?}"
            );
        }
    }
    image.env("deploy_env", "A=1\r\n");
    let output = image.ours(&["--log", "json", "exec", "nosuch"]);
    insta::assert_snapshot!(regex_lite(&text(&output.stderr)), @r#"
    {"time":"T","warning":"Script /opt/app-root/src/.s2i/action_hooks/deploy_env has Windows line ends (CRLF); they are left out."}
    {"time":"T","step":"environment","path":"/opt/app-root/src/.s2i/action_hooks/deploy_env","seconds":S,"status":0}
    {"time":"T","error":"nosuch: not found"}
    "#);
}

#[test]
fn a_command_that_bash_becomes_is_this_process() {
    let image = Image::new();
    image.env("deploy_env", "A=1\n");
    // Neither a second start nor a child: the runner is gone from /proc, and the command is process 1.
    let show = "echo $$; readlink /proc/1/exe; echo $A";
    let output = image.ours(&["exec", "sh", "-c", show]);
    let stdout = text(&output.stdout);
    assert!(
        stdout.starts_with("1\n/usr/bin/") && stdout.ends_with("\n1\n"),
        "{stdout}"
    );
    // What only the runner can take out of the environment takes it the longer way, and is gone as well.
    image.env("deploy_env", "f() { :; }\nA=2\n");
    let output = image.ours(&["exec", "sh", "-c", "env | grep -c BASH_FUNC; echo $A"]);
    assert_eq!(text(&output.stdout), "0\n2\n");
    // Found by the new path alone, or not at all any more.
    image.script("app/src/tools/special", "#!/bin/sh\necho special\n");
    image.env("deploy_env", "PATH=$PATH:/opt/app-root/src/tools\n");
    assert_eq!(text(&image.ours(&["exec", "special"]).stdout), "special\n");
    image.env("deploy_env", "PATH=/nosuch\n");
    let output = image.ours(&["exec", "special"]);
    assert_eq!(output.status.code(), Some(127));
    assert_eq!(text(&output.stderr), "ERROR: special: not found\n");
}

/// The log without its times.
fn regex_lite(log: &str) -> String {
    let cut = |line: &str, key: &str, end: char, put: &str| match line.split_once(key) {
        Some((before, after)) => {
            let rest = after.find(end).map_or("", |at| &after[at..]);
            format!("{before}{key}{put}{rest}")
        }
        None => line.to_owned(),
    };
    let line = |line: &str| {
        cut(
            &cut(line, "\"time\":\"", '"', "T"),
            "\"seconds\":",
            ',',
            "S",
        )
    };
    log.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn values_are_handed_on_whole() {
    let image = Image::new();
    image.env(
        "deploy_env",
        "TEXT=$'one\\ntwo\\n\\nA=b'\nBYTES=$'\\xff\\x01'\nunset LC_ALL\n",
    );
    let output = image.ours(&["exec", "env", "-0"]);
    let values: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
    assert!(values.contains(&&b"TEXT=one\ntwo\n\nA=b"[..]));
    assert!(values.contains(&&b"BYTES=\xff\x01"[..]));
    assert!(!values.iter().any(|value| value.starts_with(b"LC_ALL=")));
}

#[test]
fn what_the_environment_started_lives_on_below_the_application() {
    let image = Image::new();
    image.env(
        "deploy_env",
        "( touch /log/started; exec sleep 60 ) >/dev/null 2>&1 &\nHELPER=$!\n",
    );
    image.hook("run", "until [ -e /log/started ]; do sleep 0.02; done; grep PPid /proc/$HELPER/status; kill $HELPER; wait");
    let output = image.ours(&["run"]);
    assert!(
        text(&output.stdout).ends_with("PPid:\t1\n"),
        "{}",
        text(&output.stdout)
    );
    until("the log of the helper", || {
        image.at("log/started").exists().then_some(())
    });
}

#[test]
fn functions_that_are_too_large_to_be_handed_on_take_the_traps_with_them() {
    let image = Image::new();
    image.env(
        "deploy_env",
        "for i in {1..2000}; do eval \"f$i() { echo a function with a number of words, and another one; }\"; done\n\
         A=1\ntrap 'echo trapped' EXIT\n",
    );
    image.hook("ready", "echo ready $A");
    let output = image.ours(&["ready"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).ends_with("\nready 1\n"));
    insta::assert_snapshot!(text(&output.stderr), @"WARNING: Script /opt/app-root/src/.s2i/action_hooks/deploy_env has traps, which are left out: its functions take more than 128 KiB.");
}

#[test]
fn a_copy_without_windows_line_ends_is_removed() {
    let mut image = Image::new();
    image.without_proc = true;
    image.env("deploy_env", "A=1\r\nPATH=/nosuch\r\n");
    let output = image.ours(&["exec", "/bin/sh", "-c", "echo $A; echo /tmp/*"]);
    assert_eq!(text(&output.stdout), "1\n/tmp/*\n");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn an_engine_that_refuses_what_it_does_not_know() {
    const STATX: u32 = 332;
    const MEMFD_CREATE: u32 = 319;
    const CLONE3: u32 = 435;
    const FACCESSAT2: u32 = 439;
    let mut image = Image::new();
    image.refused = vec![STATX, MEMFD_CREATE, FACCESSAT2];
    // glibc does not get by without: it is what the test's own program is linked with, not what images get.
    if std::env::var_os("OPENSHIFTER_IMAGE_RUNNER").is_some() {
        image.refused.push(CLONE3);
    }
    let hook = |name: &str, body: &str| {
        let name = format!("app/src/.s2i/action_hooks/{name}");
        image.script(&name, &format!("#!/bin/sh\n{body}\n"));
    };
    hook("ready", "echo ready \"$A\"");
    hook("deploy", "echo deploy");
    hook("run", "echo run");
    for line in ["A=1\n", "A=1\r\n", "trap 'echo end' EXIT\nA=1\n"] {
        image.env("deploy_env", line);
        let end = if line.contains("trap") { "end\n" } else { "" };
        let ends = |words: &[&str], end: &str| {
            let output = image.ours(words);
            let stdout = text(&output.stdout);
            assert!(
                stdout.ends_with(end),
                "{words:?}: {stdout}{}",
                text(&output.stderr)
            );
        };
        ends(&["ready"], &format!("\nready 1\n{end}"));
        ends(&["exec", "/bin/sh", "-c", "echo \"$A\""], "1\n");
        ends(
            &["run"],
            "/deploy\ndeploy\n -----> Running /opt/app-root/src/.s2i/action_hooks/run\nrun\n",
        );
    }
    // A build, the folder of hooks replaced included.
    image.file("app/src/.s2i/old/file", "");
    image.file("tmp/src/.s2i/action_hooks/build_env", "B=2\n");
    image.script(
        "tmp/src/.s2i/action_hooks/build",
        "#!/bin/sh\necho build $B\n",
    );
    image.script("s2i/assemble", "#!/bin/sh\necho assemble\n");
    image.script("local/fix-permissions", "#!/bin/sh\necho fix\n");
    let output = image.ours(&["assemble"]);
    assert!(
        text(&output.stdout).ends_with("/build\nbuild 2\nfix\n"),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    assert!(!image.at("app/src/.s2i/old").exists());
}
