//! The runner under the name that hooks in the field call it by.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::image::{Image, Runner};

const FORMER: &str = "#!/bin/sh\nexec \"${0%/*}/openshifter-image\" \"$@\"\n";

/// A runner in a tree's `.s2i/runner`, and nothing of it on the path.
fn vendored(image: &mut Image, tree: &str) {
    let folder = format!("{tree}/.s2i/runner");
    image.script(&format!("{folder}/powershift"), FORMER);
    let program = image.at(&format!("{folder}/openshifter-image"));
    fs::copy(crate::program(), &program).unwrap();
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    image
        .environment
        .push(("PATH", "/usr/local/bin:/usr/bin:/bin"));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_vendored_runner_is_found_by_hooks_and_jobs() {
    let mut image = Image::new();
    vendored(&mut image, "app/src");
    image.env("deploy_env", "LEVEL=$(powershift image exec echo 4)\n");
    image.hook("deploy", "powershift image migrate");
    image.hook("migrate", "echo migrated $LEVEL; command -v powershift");
    image.job("jobs/hourly/a", "openshifter-image exec echo job $LEVEL");
    let program = "/opt/app-root/src/.s2i/runner/openshifter-image";
    let output = image.run(Runner::Ours, &[program, "run"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    insta::assert_snapshot!(text(&output.stdout), @r"
     -----> Running application run script.
     -----> Running /opt/app-root/src/.s2i/action_hooks/deploy_env
     -----> Running /opt/app-root/src/.s2i/action_hooks/deploy
     -----> Running /opt/app-root/src/.s2i/action_hooks/migrate
    migrated 4
    /opt/app-root/src/.s2i/runner/powershift
     -----> Running builder run script (/usr/libexec/s2i/run)
    ");
    let output = image.run(Runner::Ours, &[program, "jobs", "hourly"]);
    assert!(text(&output.stdout).ends_with("\njob 4\n"));
}

#[test]
fn a_build_finds_it_where_it_will_be() {
    let mut image = Image::new();
    vendored(&mut image, "tmp/src");
    image.upload(&[
        ("pre_build", "powershift image exec echo before"),
        ("build", "powershift image exec echo after; echo $PATH"),
    ]);
    image.script(
        "s2i/assemble",
        "#!/bin/bash\nshopt -s dotglob\nmv /tmp/src/* ./\npowershift image exec echo within\n",
    );
    let words = ["/tmp/src/.s2i/runner/openshifter-image", "assemble"];
    let output = image.run(Runner::Ours, &words);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    let said: Vec<&str> = stdout
        .lines()
        .filter(|line| !line.starts_with(' '))
        .collect();
    assert_eq!(
        said,
        [
            "before",
            "within",
            "after",
            "/usr/local/bin:/usr/bin:/bin:/opt/app-root/src/.s2i/runner"
        ]
    );
}

#[test]
fn a_name_that_the_path_has_is_left_alone() {
    let mut image = Image::new();
    vendored(&mut image, "app/src");
    image.script("local/powershift", "#!/bin/sh\necho another\n");
    image.hook("ready", "powershift; echo $PATH");
    let program = "/opt/app-root/src/.s2i/runner/openshifter-image";
    let output = image.run(Runner::Ours, &[program, "ready"]);
    assert_eq!(
        text(&output.stdout),
        "another\n/usr/local/bin:/usr/bin:/bin\n"
    );
}
