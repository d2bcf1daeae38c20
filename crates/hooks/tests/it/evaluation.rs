//! Signals while an environment file is evaluated by a bash that is not process 1.

use crate::image::{Image, Runner};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_signal_is_not_blamed_on_the_file() {
    for body in [
        "false || sleep 300\n",
        "TIME=300\nfalse || sleep $TIME\n",
        "f() { return 5; }\nf || sleep 300\n",
        "sleep 300\n",
        "( sleep 300; true )\n",
    ] {
        for options in [&[][..], &["--log", "json"]] {
            let image = Image::new();
            image.env("deploy_env", &format!("touch /log/there\n{body}"));
            image.hook("ready", "note ready");
            let options = options.join(" ");
            let line = format!(
                "powershift image {options} ready & runner=$!; until [ -e /log/there ]; do sleep 0.02; done; \
                 sleep 0.5; kill -TERM $runner; wait $runner; echo ended with $?"
            );
            let output = image.run(Runner::Ours, &["bash", "-c", &line]);
            let stdout = text(&output.stdout);
            assert!(stdout.ends_with("ended with 143\n"), "{body}: {stdout}");
            assert_eq!(image.events(), "");
            let stderr = text(&output.stderr);
            assert!(!stderr.contains("last line"), "{body} {options}: {stderr}");
        }
    }
}

#[test]
fn a_value_that_cannot_be_had_is_in_the_log_as_well() {
    let image = Image::new();
    image.env("deploy_env", "A=1\n: ${NOSUCH:?is missing}\n");
    let output = image.ours(&["--log", "json", "ready"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    let last = stderr.lines().last().unwrap();
    let error = "\"error\":\"Script /opt/app-root/src/.s2i/action_hooks/deploy_env ended with status 1 before its last line was done.\"}";
    let time = last.strip_suffix(error).unwrap_or_default();
    // `{"time":"2026-01-31T12:00:00.000Z",`
    assert!(
        time.len() == 35 && time.starts_with("{\"time\":\"2") && time.ends_with(".000Z\","),
        "{stderr}"
    );
}

#[test]
fn a_file_that_sources_what_is_not_there_is_named() {
    for word in [".", "source"] {
        let image = Image::new();
        image.env("deploy_env", &format!("{word} /nosuch\n"));
        let output = image.ours(&["ready"]);
        assert_eq!(output.status.code(), Some(1));
        let stderr = text(&output.stderr);
        let error = "ERROR: Script /opt/app-root/src/.s2i/action_hooks/deploy_env ended with status 1 before its last line was done.\n";
        assert!(stderr.ends_with(error), "{stderr}");
    }
}
